//! Signing keys: made, kept, rotated, published.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::mint::TTL_S_MAX;
use super::options::Alg;
use super::shelf::Digest;

const FILE: &str = "idp-keys.json";

/// The keys, newest last.
pub(super) struct KeyRing {
    keys: RwLock<Vec<Key>>,
    file: Option<PathBuf>,
}

struct Key {
    kid: String,
    jwk: Value,
    signer: Signer,
    kept: Kept,
}

enum Signer {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A key as it is in the file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    alg: Alg,
    pkcs8: String,
    retired_s: Option<u64>,
}

impl KeyRing {
    /// Reads the keys that `data` keeps, or makes new ones.
    pub(super) fn open(data: Option<&Path>, now_s: u64) -> Result<KeyRing, KeyError> {
        let file = data.map(|data| data.join(FILE));
        let kept = match &file {
            Some(file) => read_private(file).map_err(KeyError::File)?,
            None => None,
        };
        let ring = KeyRing { keys: RwLock::default(), file };
        let Some(text) = kept else {
            ring.rotate(now_s)?;
            return Ok(ring);
        };
        let kept: Vec<Kept> = serde_json::from_slice(&text).map_err(KeyError::Json)?;
        let keys = kept.into_iter().map(Key::open).collect::<Result<Vec<_>, _>>()?;
        *ring.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        // A file without a live key of each kind would only be noticed at the first sign-in.
        ring.kid(Alg::Es256)?;
        ring.kid(Alg::Rs256)?;
        Ok(ring)
    }

    pub(super) fn rotate(&self, now_s: u64) -> Result<(), KeyError> {
        let new = [Key::make(Alg::Es256)?, Key::make(Alg::Rs256)?];
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let mut kept: Vec<Kept> = keys.iter().map(|key| key.kept.retire(now_s)).collect();
        kept.extend(new.iter().map(|key| key.kept.clone()));
        kept.retain(|kept| kept.is_published(now_s));
        if let Some(file) = &self.file {
            let text = serde_json::to_vec(&kept).map_err(KeyError::Json)?;
            write_private(file, &text).map_err(KeyError::File)?;
        }
        for key in keys.iter_mut() {
            key.kept = key.kept.retire(now_s);
        }
        keys.retain(|key| key.kept.is_published(now_s));
        keys.extend(new);
        Ok(())
    }

    /// RFC 7517: public members only, of every key that may have signed a token that is alive.
    pub(super) fn jwks(&self, now_s: u64) -> Value {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let published = keys.iter().filter(|key| key.kept.is_published(now_s));
        json!({ "keys": published.map(|key| key.jwk.clone()).collect::<Vec<_>>() })
    }

    pub(super) fn kid(&self, alg: Alg) -> Result<String, KeyError> {
        self.newest(alg, |key| Ok(key.kid.clone()))
    }

    /// A compact JWS of `header` and `claims` as they are.
    pub(super) fn sign(&self, header: &Value, claims: &Value, alg: Alg) -> Result<String, KeyError> {
        self.newest(alg, |key| key.sign(header, claims))
    }

    /// A compact JWS under a header of `typ`, `alg` and `kid`.
    pub(super) fn sign_as(&self, typ: &str, claims: &Value, alg: Alg) -> Result<String, KeyError> {
        self.newest(alg, |key| key.sign(&json!({ "alg": alg.name(), "typ": typ, "kid": key.kid }), claims))
    }

    fn newest<T>(&self, alg: Alg, use_key: impl Fn(&Key) -> Result<T, KeyError>) -> Result<T, KeyError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let newest = keys.iter().rev().find(|key| key.kept.alg == alg && key.kept.retired_s.is_none());
        newest.ok_or(KeyError::Missing(alg)).and_then(use_key)
    }
}

impl Kept {
    fn retire(&self, now_s: u64) -> Kept {
        Kept { retired_s: self.retired_s.or(Some(now_s)), ..self.clone() }
    }

    fn is_published(&self, now_s: u64) -> bool {
        self.retired_s.is_none_or(|retired_s| now_s <= retired_s.saturating_add(TTL_S_MAX))
    }
}

impl Key {
    fn make(alg: Alg) -> Result<Key, KeyError> {
        let pkcs8 = match alg {
            Alg::Es256 => {
                let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
                STANDARD.encode(key.to_pkcs8v1()?)
            }
            Alg::Rs256 => {
                let key: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
                STANDARD.encode(key.as_ref())
            }
        };
        Key::open(Kept { alg, pkcs8, retired_s: None })
    }

    fn open(kept: Kept) -> Result<Key, KeyError> {
        let pkcs8 = STANDARD.decode(&kept.pkcs8).map_err(KeyError::Base64)?;
        let (signer, mut jwk) = match kept.alg {
            Alg::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)?;
                let jwk = ec_jwk(pair.public_key().as_ref())?;
                (Signer::Ec(pair), jwk)
            }
            Alg::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(&pkcs8)?;
                if pair.public_modulus_len() < 256 {
                    return Err(KeyError::Crypto);
                }
                let jwk = rsa_jwk(pair.public_key());
                (Signer::Rsa(pair), jwk)
            }
        };
        // RFC 7638: the digest of the required members in the order of their names; `jwk` was made in that
        // order and holds nothing else yet.
        let kid = Digest::of(&jwk.to_string()).base64url();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".into(), kid.clone().into());
            members.insert("use".into(), "sig".into());
            members.insert("alg".into(), kept.alg.name().into());
        }
        Ok(Key { kid, jwk, signer, kept })
    }

    fn sign(&self, header: &Value, claims: &Value) -> Result<String, KeyError> {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let random = SystemRandom::new();
        let signature = match &self.signer {
            Signer::Ec(pair) => URL_SAFE_NO_PAD.encode(pair.sign(&random, message.as_bytes())?),
            Signer::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)?;
                URL_SAFE_NO_PAD.encode(signature)
            }
        };
        Ok(format!("{message}.{signature}"))
    }
}

fn ec_jwk(point: &[u8]) -> Result<Value, KeyError> {
    // SEC 1 § 2.3.3: 4, then the two coordinates of 32 bytes each.
    let Some((4, coordinates)) = point.split_first().map(|(form, rest)| (*form, rest)) else {
        return Err(KeyError::Crypto);
    };
    let (x, y) = coordinates.split_at_checked(32).filter(|(_, y)| y.len() == 32).ok_or(KeyError::Crypto)?;
    Ok(json!({ "crv": "P-256", "kty": "EC", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) }))
}

fn rsa_jwk(key: &aws_lc_rs::rsa::PublicKey) -> Value {
    let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
    let (exponent, modulus) = (key.exponent(), key.modulus());
    json!({
        "e": encode(exponent.big_endian_without_leading_zero()),
        "kty": "RSA",
        "n": encode(modulus.big_endian_without_leading_zero()),
    })
}

/// The file's bytes, or none where there is no file yet.
pub(super) fn read_private(file: &Path) -> io::Result<Option<Vec<u8>>> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::metadata(file) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let why = "others may read or change the file: chmod 600 it, or delete it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(_) => {}
    }
    std::fs::read(file).map(Some)
}

/// Replaces the file at once, for its owner only.
pub(crate) fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let new = file.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let mut open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    open.write_all(bytes)?;
    open.sync_all()?;
    std::fs::rename(&new, file)
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}

/// Why a key could not be made, read, kept or used.
#[derive(Debug)]
pub enum KeyError {
    /// The cryptography library refused, and never says why.
    Crypto,
    /// There is no key to sign with.
    Missing(Alg),
    /// The file can't be read or written.
    File(io::Error),
    /// The file holds something else.
    Json(serde_json::Error),
    /// The file holds something else.
    Base64(base64::DecodeError),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crypto => f.write_str("the key can't be made or used"),
            Self::Missing(alg) => write!(f, "there is no {} key in {FILE}", alg.name()),
            Self::File(err) => write!(f, "{FILE}: {err}"),
            Self::Json(_) | Self::Base64(_) => write!(f, "{FILE} holds something else than keys"),
        }
    }
}

impl std::error::Error for KeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Crypto | Self::Missing(_) => None,
            Self::File(err) => Some(err),
            Self::Json(err) => Some(err),
            Self::Base64(err) => Some(err),
        }
    }
}

impl From<Unspecified> for KeyError {
    fn from(_: Unspecified) -> KeyError {
        KeyError::Crypto
    }
}

impl From<aws_lc_rs::error::KeyRejected> for KeyError {
    fn from(_: aws_lc_rs::error::KeyRejected) -> KeyError {
        KeyError::Crypto
    }
}
