//! Credentials that STS gave out, and what they stand for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::STANDARD};
use insula_tenancy::Clock;

use super::iam::Policies;

/// What a program signs with.
#[derive(Clone)]
pub struct Credentials {
    /// `ASIA` and 16 characters.
    pub access_key_id: String,
    /// The signing secret.
    pub secret_access_key: String,
    /// Sent along with every signed request.
    pub session_token: String,
    /// Seconds since 1970 UTC.
    pub expires_s: i64,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// What a session may do: a role's policies, with these tags.
#[derive(Debug)]
pub struct Session {
    pub(super) credentials: Credentials,
    /// The role's ARN.
    pub role_arn: String,
    /// The session's name.
    pub name: String,
    /// Session tags.
    pub tags: BTreeMap<String, String>,
    /// A session policy takes away; `None` takes nothing.
    pub policy: Option<Policies>,
}

/// Every session that is alive.
#[derive(Debug)]
pub struct Sessions {
    clock: Clock,
    alive: Mutex<HashMap<String, Arc<Session>>>,
}

/// The generator of random bytes failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandomness;

impl std::fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the generator of random bytes failed")
    }
}

impl std::error::Error for NoRandomness {}

/// As long as this AWS runs. Sessions are in memory alone, so none outlives it.
///
/// Lambda replaces an instance before the credentials in its environment end, so a function never sees them end. An
/// instance here is as old as the laptop's process, and has credentials that are good as long.
pub const WHILE_IT_RUNS_S: i64 = i64::MAX;

/// A session to begin.
#[derive(Debug, Default)]
pub struct NewSession {
    /// The role's ARN.
    pub role_arn: String,
    /// The session's name.
    pub name: String,
    /// Session tags.
    pub tags: BTreeMap<String, String>,
    /// The session policy.
    pub policy: Option<Policies>,
    /// How long it lasts.
    pub ttl_s: i64,
}

impl Sessions {
    /// No sessions.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, alive: Mutex::default() }
    }

    /// Now, as this AWS has it.
    #[must_use]
    pub fn now_s(&self) -> i64 {
        self.clock.now().seconds()
    }

    /// Begins a session, as the services do for the roles that they run as.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn issue(&self, new: NewSession) -> Result<Credentials, NoRandomness> {
        let random = || {
            let mut bytes = [0_u8; 30];
            rand::fill(&mut bytes).map(|()| STANDARD.encode(bytes)).map_err(|_err| NoRandomness)
        };
        let id: String = random()?.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
        let credentials = Credentials {
            access_key_id: format!("ASIA{}", id.to_uppercase()),
            secret_access_key: random()?,
            session_token: format!("{}{}", random()?, random()?),
            expires_s: self.now_s().saturating_add(new.ttl_s),
        };
        let NewSession { role_arn, name, tags, policy, .. } = new;
        let session = Session { credentials: credentials.clone(), role_arn, name, tags, policy };
        let now_s = self.now_s();
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        // An hour after its end a session is not even called expired any more.
        alive.retain(|_, session| session.credentials.expires_s.saturating_add(3_600) > now_s);
        alive.insert(credentials.access_key_id.clone(), Arc::new(session));
        Ok(credentials)
    }

    pub(super) fn find(&self, access_key_id: &str) -> Option<Arc<Session>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).get(access_key_id).cloned()
    }
}
