//! The strict layer over `jsonwebtoken`: what it lets through is an access token of a pinned issuer, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Bearer, Denial,
    clock::Moment,
    keys::{Algorithm, Key},
    profile::Profile,
    registry::Carrier,
    tenant::Role,
};

/// How far the issuer's clock may be ahead or behind.
const LEEWAY_S: i64 = 5;
/// Objects and arrays of a token inside one another, at most.
const DEPTH_MAX: usize = 32;

/// A token taken apart, of which nothing is proved yet. It tells whose keys to ask for.
pub(crate) struct Draft<'a> {
    header: Header,
    claims: BTreeMap<String, Value>,
    message: &'a str,
    signature: &'a str,
}

/// What a token's signature proves: the claims that Insula reads, all typed.
pub(crate) struct Claims {
    pub(crate) subject: String,
    pub(crate) client: String,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) expires_s: i64,
    all: BTreeMap<String, Value>,
}

impl std::fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Draft(…)")
    }
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claims(…)")
    }
}

/// The header allow-list (RFC 8725 § 3): `crit`, `jwk`, `jku`, `x5u`, `zip` and every other name end the token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: Option<String>,
    /// A certificate thumbprint, which Entra sends: said to be there, and never read.
    #[serde(rename = "x5t")]
    _thumbprint: Option<String>,
}

/// Claims that only an ID token or a logout token has (OpenID Connect Core § 2, § 3.3.2.11).
const ID_TOKEN_CLAIMS: [&str; 6] = ["nonce", "at_hash", "c_hash", "s_hash", "events", "sub_jwk"];

impl<'a> Draft<'a> {
    /// Takes a token apart: three parts of strict base64url, a JSON object each, no name twice.
    pub(crate) fn parse(bearer: &'a Bearer) -> Result<Self, Denial> {
        let text = bearer.expose();
        let (message, signature) = text.rsplit_once('.').ok_or(Denial::MalformedToken)?;
        let (head, body) = message.split_once('.').ok_or(Denial::MalformedToken)?;
        if body.contains('.') || signature.is_empty() {
            return Err(Denial::MalformedToken);
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_err| Denial::MalformedToken);
        URL_SAFE_NO_PAD.decode(signature).map_err(|_err| Denial::MalformedToken)?;
        // Straight into a `Header`, an array would do as well: serde takes a struct's fields in their order.
        let header = Value::Object(object(&decode(head)?).ok_or(Denial::TokenHeader)?);
        let header: Header = serde_json::from_value(header).map_err(|_err| Denial::TokenHeader)?;
        let claims = object(&decode(body)?).ok_or(Denial::TokenClaims)?.into_iter().collect();
        let draft = Self { header, claims, message, signature };
        if draft.header.kid.is_empty() || draft.header.kid.len() > 128 {
            return Err(Denial::TokenHeader);
        }
        Ok(draft)
    }

    /// The issuer that the token says it is from.
    pub(crate) fn issuer(&self) -> Result<&str, Denial> {
        text(&self.claims, "iss")
    }

    /// The key that the token says it is signed with.
    pub(crate) fn key_id(&self) -> &str {
        &self.header.kid
    }

    /// The algorithm that the token says it is signed with: one of the asymmetric ones, or none at all.
    pub(crate) fn algorithm(&self) -> Result<Algorithm, Denial> {
        Algorithm::read(&self.header.alg).ok_or(Denial::TokenHeader)
    }

    /// Checks everything that needs no key: the profile, the audience and the times.
    ///
    /// `is_ours` says of another audience whether it is an address of this deployment: a token that is good at two
    /// of them is good at none.
    pub(crate) fn check(
        &self,
        profile: Profile,
        resource: &str,
        now: Moment,
        is_ours: impl Fn(&str) -> bool,
    ) -> Result<(), Denial> {
        profile.check_type(self.header.typ.as_deref())?;
        if ID_TOKEN_CLAIMS.iter().any(|name| self.claims.contains_key(*name)) {
            return Err(Denial::TokenClaims);
        }
        profile.check_marker(&self.claims)?;
        let audiences = self.audiences()?;
        let elsewhere = |audience: &&str| *audience != resource && is_ours(audience);
        if !audiences.contains(&resource) || audiences.iter().any(elsewhere) {
            return Err(Denial::Audience);
        }
        self.check_times(now)
    }

    fn audiences(&self) -> Result<Vec<&str>, Denial> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => Ok(vec![one]),
            Some(Value::Array(many)) if (1..=8).contains(&many.len()) => {
                many.iter().map(|one| one.as_str().ok_or(Denial::TokenClaims)).collect()
            }
            _ => Err(Denial::TokenClaims),
        }
    }

    fn check_times(&self, now: Moment) -> Result<(), Denial> {
        let expires_s = seconds(&self.claims, "exp")?;
        let issued_s = seconds(&self.claims, "iat")?;
        let not_before_s = match self.claims.get("nbf") {
            Some(_) => seconds(&self.claims, "nbf")?,
            None => issued_s,
        };
        let late = now.seconds().saturating_sub(LEEWAY_S) >= expires_s;
        let early = now.seconds().saturating_add(LEEWAY_S) < not_before_s.max(issued_s);
        if late || early || expires_s <= issued_s { Err(Denial::Expired) } else { Ok(()) }
    }

    /// Verifies the signature with the issuer's key; with that the claims are the issuer's word.
    pub(crate) fn verify(self, key: &Key, profile: Profile) -> Result<Claims, Denial> {
        if !key.verifies(self.message.as_bytes(), self.signature, self.algorithm()?) {
            return Err(Denial::Signature);
        }
        let subject = text(&self.claims, "sub")?.to_owned();
        let client = text(&self.claims, profile.client_claim())?.to_owned();
        // An ID token's audience is its client; an access token's never is (RFC 9068 § 5).
        if self.audiences()?.contains(&client.as_str()) {
            return Err(Denial::TokenClaims);
        }
        let expires_s = seconds(&self.claims, "exp")?;
        let scopes = scopes(&self.claims)?;
        Ok(Claims { subject, client, scopes, expires_s, all: self.claims })
    }
}

impl Claims {
    /// A claim's text: absent, or a non-empty text of at most 256 bytes.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Denial> {
        self.all.get(name).map(|_claim| text(&self.all, name)).transpose()
    }

    /// The tenants that the token names, where its issuer says them.
    pub(crate) fn tenants(&self, carrier: &Carrier) -> Result<Vec<String>, Denial> {
        match carrier {
            Carrier::Claims(names) => names
                .iter()
                .filter_map(|name| self.text(name).transpose())
                .map(|value| value.map(str::to_owned))
                .collect(),
            Carrier::Scope => {
                let mut values = self.scopes.iter().filter_map(|scope| scope.strip_prefix("tenant:"));
                match (values.next(), values.next()) {
                    (Some(value), None) => Ok(vec![value.to_owned()]),
                    (None, _) => Ok(Vec::new()),
                    _ => Err(Denial::TenantClaim),
                }
            }
        }
    }

    /// What the caller may do in the tenant. Where the issuer says it in a claim, a token without one of its words there
    /// may only read: scopes are what a client asked for, and must not be a way around the claim.
    pub(crate) fn role(&self, role_claim: Option<&str>) -> Role {
        let Some(name) = role_claim else { return Role::of_scopes(&self.scopes) };
        let word = self.text(name).ok().flatten();
        word.and_then(|word| word.parse().ok()).unwrap_or(Role::ReadOnly)
    }

    /// Whether API Gateway's own JWT authorizer saw these very claims: iss, sub, aud, exp and the tenant claims.
    ///
    /// Its event has strings only. A text stands as it is, a number in decimal, an array as `[a b]`.
    pub(crate) fn agree_with(&self, seen: &BTreeMap<String, String>, tenant_claims: &[String]) -> bool {
        let names = ["iss", "sub", "aud", "exp"].into_iter().chain(tenant_claims.iter().map(String::as_str));
        names.into_iter().all(|name| self.all.get(name).map(stringified).as_ref() == seen.get(name))
    }
}

fn stringified(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(many) => {
            format!("[{}]", many.iter().map(stringified).collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

/// A claim that must be a non-empty text of at most 256 bytes without control characters.
fn text<'c>(claims: &'c BTreeMap<String, Value>, name: &str) -> Result<&'c str, Denial> {
    let text = claims.get(name).and_then(Value::as_str).ok_or(Denial::TokenClaims)?;
    let plain = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
    plain.then_some(text).ok_or(Denial::TokenClaims)
}

/// A claim that must be a whole number of seconds since 1970 (RFC 7519 allows a fraction; no issuer sends one).
fn seconds(claims: &BTreeMap<String, Value>, name: &str) -> Result<i64, Denial> {
    let seconds = claims.get(name).and_then(Value::as_i64).ok_or(Denial::TokenClaims)?;
    (0..=253_402_300_799).contains(&seconds).then_some(seconds).ok_or(Denial::TokenClaims)
}

/// `scope` as RFC 8693 has it, or `scp` as Okta (an array) and Entra (a text) do; both is one too many.
fn scopes(claims: &BTreeMap<String, Value>) -> Result<BTreeSet<String>, Denial> {
    match (claims.get("scope"), claims.get("scp")) {
        (None, None) => Ok(BTreeSet::new()),
        (Some(Value::String(text)), None) | (None, Some(Value::String(text))) => {
            Ok(text.split_ascii_whitespace().map(str::to_owned).collect())
        }
        (None, Some(Value::Array(many))) => {
            many.iter().map(|one| one.as_str().map(str::to_owned).ok_or(Denial::TokenClaims)).collect()
        }
        _ => Err(Denial::TokenClaims),
    }
}

/// A JSON object, in which no object has a name twice.
fn object(text: &[u8]) -> Option<Map<String, Value>> {
    match insula_json::parse(text, DEPTH_MAX) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
