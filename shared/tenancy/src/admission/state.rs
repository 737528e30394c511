//! What an operation remembers between two rounds with the client.

use crate::{
    clock::Clock,
    crypto::{Purpose, Ring},
    tenant::TenantId,
};

/// How long an answer to a question may take.
const STATE_TTL_S: i64 = 600;

/// Seals what an `input_required` result must bring back: good for one tenant, caller and operation with the same
/// arguments, for ten minutes.
#[derive(Debug, Clone)]
pub struct StateSeal {
    pub(super) ring: Ring,
    pub(super) tenant: TenantId,
    pub(super) context: String,
    pub(super) clock: Clock,
}

impl StateSeal {
    /// The sealed form; `None` if the AEAD fails.
    #[must_use]
    pub fn seal(&self, text: &str) -> Option<String> {
        let until_s = self.clock.now().plus_s(STATE_TTL_S).seconds();
        self.ring.seal(Purpose::RequestState, &self.tenant, &self.context, &format!("{until_s} {text}"))
    }

    /// What was sealed; `None` when it was altered, is another's, or has expired.
    #[must_use]
    pub fn open(&self, sealed: &str) -> Option<String> {
        let opened = self.ring.open(Purpose::RequestState, &self.tenant, &self.context, sealed)?;
        let (until, text) = opened.split_once(' ')?;
        (self.clock.now().seconds() < until.parse::<i64>().ok()?).then(|| text.to_owned())
    }
}
