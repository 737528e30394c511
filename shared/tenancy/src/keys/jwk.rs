//! From a JSON web key set to keys that are fit for use (RFC 7517, RFC 8725 § 3.5).

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use super::{Algorithm, Key};

/// Keys in one set, beyond which the set is refused.
const KEYS_MAX: usize = 64;

/// A key set that is none.
#[derive(Debug)]
pub(super) struct BadSet(String);

impl fmt::Display for BadSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a key set: {}", self.0)
    }
}

impl std::error::Error for BadSet {}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kid: String,
    kty: String,
    #[serde(rename = "use")]
    use_: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<Value>,
    k: Option<Value>,
}

/// Reads a set. A key that is not fit (for encryption, too short, private, of a curve that is not in the list) is
/// left out; an id that stands twice is nobody's.
pub(super) fn read_set(body: &[u8]) -> Result<BTreeMap<String, Key>, BadSet> {
    let set: Set = serde_json::from_slice(body).map_err(|err| BadSet(err.to_string()))?;
    if set.keys.len() > KEYS_MAX {
        return Err(BadSet(format!("over {KEYS_MAX} keys")));
    }
    let mut keys: BTreeMap<String, Option<Key>> = BTreeMap::new();
    for value in set.keys {
        let Ok(jwk) = serde_json::from_value::<Jwk>(value) else { continue };
        let key = jwk.fit();
        keys.entry(jwk.kid).and_modify(|twice| *twice = None).or_insert(key);
    }
    Ok(keys.into_iter().filter_map(|(id, key)| key.map(|key| (id, key))).collect())
}

impl Jwk {
    fn fit(&self) -> Option<Key> {
        let public = self.d.is_none() && self.k.is_none();
        let signs = self.use_.as_deref().is_none_or(|use_| use_ == "sig");
        let verifies =
            self.key_ops.as_ref().is_none_or(|ops| ops.len() == 1 && ops.iter().all(|op| op == "verify"));
        let named = !self.kid.is_empty() && self.kid.len() <= 128;
        if !(public && signs && verifies && named) {
            return None;
        }
        match self.kty.as_str() {
            "RSA" => self.rsa(),
            "EC" => self.curve(),
            "OKP" => self.edwards(),
            _ => None,
        }
    }

    fn rsa(&self) -> Option<Key> {
        let algorithm = self.alg.as_deref().unwrap_or("RS256");
        let rsa = algorithm.starts_with("RS") || algorithm.starts_with("PS");
        let (n, e) = (self.n.as_deref()?, self.e.as_deref()?);
        let modulus = URL_SAFE_NO_PAD.decode(n).ok()?;
        let exponent = URL_SAFE_NO_PAD.decode(e).ok()?;
        let top = modulus.first().copied()?;
        // The length in bits: whole bytes less the leading zero bits. A leading zero byte is not RFC 7518's form.
        let bits = modulus.len().checked_mul(8)?.checked_sub(usize::try_from(top.leading_zeros()).ok()?)?;
        let odd = modulus.last()? & 1 == 1;
        // Other exponents than 65,537 have no use but attacks; nobody's provider has one.
        let fit = rsa && top != 0 && (2048..=8192).contains(&bits) && odd && exponent == [1, 0, 1];
        let key = DecodingKey::from_rsa_components(n, e).ok()?;
        fit.then_some(Key { key, algorithm: Algorithm::read(algorithm)? })
    }

    fn curve(&self) -> Option<Key> {
        let (algorithm, bytes, verification) = match self.crv.as_deref()? {
            "P-256" => ("ES256", 32, &ECDSA_P256_SHA256_FIXED),
            "P-384" => ("ES384", 48, &ECDSA_P384_SHA384_FIXED),
            _ => return None,
        };
        let (x, y) = (self.x.as_deref()?, self.y.as_deref()?);
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().filter(|part| part.len() == bytes);
        // The uncompressed form of SEC 1: a pair of numbers that is no point of the curve is no key.
        let point = [vec![4], part(x)?, part(y)?].concat();
        ParsedPublicKey::new(verification, point).ok()?;
        let fit = self.alg.as_deref().is_none_or(|alg| alg == algorithm);
        let key = DecodingKey::from_ec_components(x, y).ok()?;
        fit.then_some(Key { key, algorithm: Algorithm::read(algorithm)? })
    }

    fn edwards(&self) -> Option<Key> {
        let x = self.x.as_deref()?;
        let full = URL_SAFE_NO_PAD.decode(x).is_ok_and(|part| part.len() == 32);
        let named = self.crv.as_deref() == Some("Ed25519");
        let fit = named && full && self.alg.as_deref().is_none_or(|alg| alg == "EdDSA");
        let key = DecodingKey::from_ed_components(x).ok()?;
        fit.then_some(Key { key, algorithm: Algorithm::read("EdDSA")? })
    }
}

#[cfg(test)]
mod tests;
