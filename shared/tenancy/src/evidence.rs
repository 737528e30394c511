//! What an event says about who is calling: raw, and believed by nobody until [`crate::resolve`] has compared it.

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret, SecretString};

use crate::problem::Denial;

/// Everything in one event that can name a tenant. No header but `Authorization` has a part in it.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The event's version, which tells the edge.
    pub event: EventKind,
    /// `requestContext.domainName`, never the Host header.
    pub domain_name: Option<String>,
    /// `requestContext.apiId`.
    pub api_id: Option<String>,
    /// The path parameter `tenant` of a route `/{tenant}/…`.
    pub path_tenant: Option<String>,
    /// The context that our own authorizer made.
    pub authorizer: Option<BTreeMap<String, String>>,
    /// The claims that API Gateway's own JWT authorizer passed on, all strings.
    pub jwt_claims: Option<BTreeMap<String, String>>,
    /// The tenant id of Lambda's tenant isolation mode.
    pub lambda_tenant: Option<String>,
    /// The token of the `Authorization` header.
    pub bearer: Option<Bearer>,
}

/// The two event versions of API Gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// REST API, payload version 1.0.
    V1,
    /// HTTP API, payload version 2.0.
    V2,
}

/// A bearer token as it was sent: of bounded size, and of no meaning yet. It never shows in a log.
#[derive(Clone)]
pub struct Bearer(SecretString);

impl Bearer {
    /// Most bytes of a token.
    pub const BYTES_MAX: usize = 8 * 1024;

    /// Reads the value of an `Authorization` header (RFC 6750 § 2.1): the scheme in any case, one space, the token.
    ///
    /// # Errors
    /// [`Denial::MalformedToken`] for another scheme, another character than RFC 6750 allows, or a token over 8 KiB.
    pub fn from_authorization(value: &str) -> Result<Self, Denial> {
        let (scheme, token) = value.split_once(' ').ok_or(Denial::MalformedToken)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Denial::MalformedToken);
        }
        Self::from_token(token)
    }

    /// Reads a bare token.
    ///
    /// # Errors
    /// [`Denial::MalformedToken`] for an empty token, one over 8 KiB, or a character that no signed JWT has.
    pub fn from_token(token: &str) -> Result<Self, Denial> {
        let fits = !token.is_empty() && token.len() <= Self::BYTES_MAX;
        let plain = token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if fits && plain { Ok(Self(token.into())) } else { Err(Denial::MalformedToken) }
    }

    /// The text of the token, for its verification and for handing it to `vend`.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}
