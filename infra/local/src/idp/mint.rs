//! Tokens: what is in them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::key::KeyError;
use super::options::{Alg, User};
use super::resource::is_resource;
use super::shelf;
use super::state::{State, is_oidc_scope};

/// The longest life of a token, after which a retired key can leave the JWKS.
pub(super) const TTL_S_MAX: u64 = 86_400;
/// The life of a token when nobody asks for another.
pub(super) const TTL_S: u64 = 3_600;
/// `client_id` of a token that no client asked for.
const DEV_CLIENT: &str = "insula-token";

/// What to put into an access token that nobody signs in for: also the body of `POST /dev/token`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mint {
    /// `<tenant>/<id>`, or an id that only one user has, or a tenant, which means its first user.
    /// Without it `tenant` and `sub` are needed.
    pub user: Option<String>,
    /// Another `tenant_id` than the user's.
    pub tenant: Option<String>,
    /// Another `sub` than the user's.
    pub sub: Option<String>,
    /// Separated by spaces; all of the user's when absent.
    pub scope: Option<String>,
    /// The `aud`.
    pub resource: String,
    /// 1 to 86,400; 3,600 when absent.
    pub ttl_s: Option<u64>,
    /// The identity provider's default when absent.
    pub alg: Option<Alg>,
}

/// An access token and what a client is told about it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Minted {
    /// A JWT of RFC 9068.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: u64,
    /// Separated by spaces.
    pub scope: String,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// For whom, for what and how long an access token is.
#[derive(Debug)]
pub(super) struct Access<'a> {
    pub(super) sub: &'a str,
    pub(super) tenant: &'a str,
    pub(super) roles: &'a [String],
    pub(super) client_id: &'a str,
    pub(super) scopes: &'a [String],
    pub(super) resource: &'a str,
    pub(super) ttl_s: u64,
    pub(super) alg: Alg,
}

impl State {
    pub(super) fn mint(&self, mint: &Mint) -> Result<Minted, MintError> {
        if !is_resource(&mint.resource, &self.options) {
            return Err(MintError::Resource(self.options.gateway_port));
        }
        let ttl_s = mint.ttl_s.unwrap_or(TTL_S);
        if !(1..=TTL_S_MAX).contains(&ttl_s) {
            return Err(MintError::Ttl);
        }
        let user = match &mint.user {
            Some(name) => Some(self.user_or_tenant(name).ok_or(MintError::User)?),
            None => None,
        };
        let tenant = mint.tenant.as_deref().or(user.map(|user| user.tenant.as_str()));
        let sub = mint.sub.as_deref().or(user.map(|user| user.id.as_str()));
        let (Some(tenant), Some(sub)) = (tenant, sub) else { return Err(MintError::User) };
        let all = user.map_or(&self.options.scopes, |user| &user.scopes);
        let scopes = match &mint.scope {
            None => all.clone(),
            Some(text) => text.split(' ').map(str::to_owned).collect(),
        };
        if !scopes.iter().all(|scope| all.contains(scope) || is_oidc_scope(scope)) {
            return Err(MintError::Scope);
        }
        self.access_token(&Access {
            sub,
            tenant,
            roles: user.map_or(&[], |user| &user.roles),
            client_id: DEV_CLIENT,
            scopes: &scopes,
            resource: &mint.resource,
            ttl_s,
            alg: mint.alg.unwrap_or(self.options.default_alg),
        })
        .map_err(MintError::Key)
    }

    fn user_or_tenant(&self, name: &str) -> Option<&User> {
        let users = &self.options.users;
        let mut by_id = users.iter().filter(|user| user.id == name);
        match (self.user(name), by_id.next(), by_id.next()) {
            (Some(user), _, _) | (None, Some(user), None) => Some(user),
            // Whom of the two was meant is not guessed.
            (None, Some(_), Some(_)) => None,
            (None, None, _) => users.iter().find(|user| user.tenant == name),
        }
    }

    /// RFC 9068 § 2.
    pub(super) fn access_token(&self, access: &Access<'_>) -> Result<Minted, KeyError> {
        let now_s = self.now_s();
        let scope = access.scopes.join(" ");
        let mut claims = json!({
            "iss": self.issuer,
            "sub": access.sub,
            "aud": access.resource,
            "client_id": access.client_id,
            "scope": scope,
            "iat": now_s,
            "exp": now_s.saturating_add(access.ttl_s),
            "jti": shelf::secret()?,
            "tenant_id": access.tenant,
        });
        if let (false, Some(members)) = (access.roles.is_empty(), claims.as_object_mut()) {
            members.insert("roles".into(), access.roles.into());
        }
        let access_token = self.keys.sign_as("at+jwt", &claims, access.alg)?;
        Ok(Minted { access_token, token_type: "Bearer", expires_in: access.ttl_s, scope })
    }

    /// OpenID Connect Core § 2; it says who signed in and opens nothing.
    pub(super) fn id_token(
        &self,
        user: &User,
        client_id: &str,
        nonce: Option<&str>,
    ) -> Result<String, KeyError> {
        let now_s = self.now_s();
        let mut claims = json!({
            "iss": self.issuer,
            "sub": user.id,
            "aud": client_id,
            "iat": now_s,
            "exp": now_s.saturating_add(TTL_S),
            "name": user.name,
        });
        if let (Some(nonce), Some(members)) = (nonce, claims.as_object_mut()) {
            members.insert("nonce".into(), Value::from(nonce));
        }
        self.keys.sign_as("JWT", &claims, self.options.default_alg)
    }
}

/// Why a token was not made.
#[derive(Debug)]
pub enum MintError {
    /// No such user, or no user and not both of tenant and subject.
    User,
    /// Not a resource of the gateway on this port.
    Resource(u16),
    /// A scope that the user can't be granted.
    Scope,
    /// Out of range.
    Ttl,
    /// Signing failed.
    Key(KeyError),
}

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => {
                f.write_str("no such user, or more than one; name one, or both a tenant and a subject")
            }
            Self::Resource(port) => write!(
                f,
                "the resource must be like http://localhost:{port}/mcp or http://acme.localhost:{port}/mcp"
            ),
            Self::Scope => f.write_str("a scope that this user can't be granted"),
            Self::Ttl => write!(f, "the lifetime must be 1 to {TTL_S_MAX} seconds"),
            Self::Key(_) => f.write_str("the token could not be signed"),
        }
    }
}

impl std::error::Error for MintError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Key(err) => Some(err),
            Self::User | Self::Resource(_) | Self::Scope | Self::Ttl => None,
        }
    }
}
