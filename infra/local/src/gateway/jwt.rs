//! An HTTP API's native JWT authorizer.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::gateway::jwks::Issuer;

/// Why a token is not let in, as the `www-authenticate` header says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Challenge {
    Missing,
    Invalid(&'static str),
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("Bearer"),
            Self::Invalid(why) => {
                write!(f, r#"Bearer scope="" error="invalid_token" error_description="{why}""#)
            }
        }
    }
}

/// One JWT authorizer.
#[derive(Debug)]
pub(super) struct Verifier {
    issuer: Issuer,
    audiences: Vec<String>,
}

impl Verifier {
    pub(super) fn new(issuer: Issuer, audiences: Vec<String>) -> Self {
        Self { issuer, audiences }
    }

    /// The claims as strings. The identity source may hold the token alone, or with `Bearer` before it.
    pub(super) async fn verify(
        &self,
        source: Option<&str>,
        now_s: i64,
    ) -> Result<BTreeMap<String, String>, Challenge> {
        let source = source.filter(|source| !source.is_empty()).ok_or(Challenge::Missing)?;
        let token = source.strip_prefix("Bearer ").unwrap_or(source);
        let (signed, signature) = token.rsplit_once('.').ok_or(NOT_THREE)?;
        let (header, payload) =
            signed.split_once('.').filter(|(_, payload)| !payload.contains('.')).ok_or(NOT_THREE)?;
        let header = object(header)?;
        if header.get("alg").and_then(Value::as_str) != Some("RS256") {
            return Err(Challenge::Invalid("signing method is invalid"));
        }
        let kid = header.get("kid").and_then(Value::as_str).ok_or(NO_KEY)?;
        let claims = object(payload)?;
        self.check_issuer(&claims)?;
        let key = self.issuer.key(kid).await.map_err(Challenge::Invalid)?.ok_or(NO_KEY)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok().ok_or(NOT_BASE64)?;
        RsaPublicKeyComponents { n: &key.n, e: &key.e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .ok()
            .ok_or(Challenge::Invalid("crypto/rsa: verification error"))?;
        check_times(&claims, now_s)?;
        self.check_audience(&claims)?;
        Ok(claims.iter().map(|(name, value)| (name.clone(), stringified(value))).collect())
    }

    fn check_issuer(&self, claims: &Map<String, Value>) -> Result<(), Challenge> {
        let issuer = claims.get("iss").and_then(Value::as_str);
        let matches = issuer == Some(self.issuer.name());
        matches.then_some(()).ok_or(Challenge::Invalid("the token does not have a valid issuer"))
    }

    /// `client_id` counts where there is no `aud`.
    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), Challenge> {
        let known = |value: &Value| {
            value.as_str().is_some_and(|value| self.audiences.iter().any(|audience| audience == value))
        };
        let matches = match claims.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(known),
            Some(audience) => known(audience),
            None => claims.get("client_id").is_some_and(known),
        };
        matches.then_some(()).ok_or(Challenge::Invalid("the token does not have a valid audience"))
    }
}

const NOT_THREE: Challenge = Challenge::Invalid("token contains an invalid number of segments");
const NOT_BASE64: Challenge = Challenge::Invalid("illegal base64 data");
const NO_KEY: Challenge = Challenge::Invalid("unable to find a signing key that matches the token");

fn object(part: &str) -> Result<Map<String, Value>, Challenge> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok().ok_or(NOT_BASE64)?;
    serde_json::from_slice(&bytes).ok().ok_or(Challenge::Invalid("the token is not valid json"))
}

/// Source: the JWT authorizer's page: after `nbf`, before `exp`; `iat` may not be in the future either.
fn check_times(claims: &Map<String, Value>, now_s: i64) -> Result<(), Challenge> {
    let time = |name| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(Challenge::Invalid("the token has an invalid time")),
    };
    if time("exp")?.is_none_or(|exp| exp <= now_s) {
        return Err(Challenge::Invalid("the token has expired"));
    }
    if time("nbf")?.is_some_and(|nbf| nbf > now_s) || time("iat")?.is_some_and(|iat| iat > now_s) {
        return Err(Challenge::Invalid("the token is not valid yet"));
    }
    Ok(())
}

/// A claim as it reaches the function: lists as `[a b]`, maps as `map[k:v]`, numbers and truth values as text.
fn stringified(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(" ");
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(values) => format!("[{}]", joined(values.iter().map(stringified).collect())),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{key}:{}", stringified(value)));
            format!("map[{}]", joined(pairs.collect()))
        }
    }
}
