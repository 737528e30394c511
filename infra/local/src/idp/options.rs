//! What the identity provider is started with.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::names::Names;

/// How the identity provider is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who can sign in: one button each, in this order.
    pub users: Vec<User>,
    /// The scopes of the protected resources; `openid` and `offline_access` are known beside them.
    pub scopes: Vec<String>,
    /// What tokens are signed with: `Rs256` where API Gateway's own authorizer reads them.
    pub default_alg: Alg,
    /// A `resource` must be `http://<host>:<port>/…`, where the host is localhost, a name under it, or one of the domains.
    pub gateway_port: u16,
    /// The gateway's names beside localhost.
    pub domains: Names,
    /// A directory that keeps keys and registered clients; without it they last a run.
    pub data: Option<PathBuf>,
    /// Clients that need not register.
    pub clients: Vec<PredefinedClient>,
    /// Whether the metadata says `client_id_metadata_document_supported`.
    pub advertise_client_documents: bool,
    /// Where the time comes from.
    pub clock: Clock,
}

/// A test user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The `sub` claim.
    pub id: String,
    /// What the button says.
    pub name: String,
    /// The `tenant_id` claim.
    pub tenant: String,
    /// The `roles` claim, left out when empty.
    #[serde(default)]
    pub roles: Vec<String>,
    /// All that this user can be granted; `openid` and `offline_access` need not be listed.
    #[serde(default)]
    pub scopes: Vec<String>,
}

impl User {
    /// `<tenant>/<id>`: two tenants may each have a user of one id.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.tenant, self.id)
    }
}

/// A client that is known from the start.
#[derive(Debug, Clone)]
pub struct PredefinedClient {
    /// The `client_id`.
    pub id: String,
    /// What the sign-in page calls it.
    pub name: String,
    /// Sent by `client_secret_basic` or `client_secret_post`; a client without one is public.
    pub secret: Option<SecretString>,
    /// `https` anywhere or `http` on loopback, where any port matches.
    pub redirect_uris: Vec<String>,
}

/// A signature algorithm of RFC 7518.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alg {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, the only family that API Gateway's own authorizer reads.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Alg {
    /// The name in a token's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// Where the time comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// Seconds since 1970 that a test sets.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    pub(super) fn now_s(&self) -> u64 {
        match self {
            // Before 1970 nothing would be expired; so such a clock makes everything expired instead.
            Self::System => {
                u64::try_from(time::OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(u64::MAX)
            }
            Self::Manual(now_s) => now_s.load(Ordering::SeqCst),
        }
    }
}
