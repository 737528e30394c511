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

/// What came of opening a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It was sealed for this operation.
    State(String),
    /// It was, too long ago.
    Late,
    /// It was altered, or is another's.
    Forged,
}

impl StateSeal {
    /// The sealed form; `None` if the AEAD fails.
    #[must_use]
    pub fn seal(&self, text: &str) -> Option<String> {
        let now = self.clock.now();
        let text = format!("{} {text}", now.plus_s(STATE_TTL_S).seconds());
        // Another instance is to open it, and where it did not it would be taken for forged.
        let key = self.ring.shared(now).into_iter().next()?;
        key.seal(Purpose::RequestState, &self.tenant, &self.context, &text)
    }

    /// What was sealed.
    #[must_use]
    pub fn open(&self, sealed: &str) -> Opened {
        let opened = self.ring.open(Purpose::RequestState, &self.tenant, &self.context, sealed);
        let parts = opened.as_deref().and_then(|text| text.split_once(' '));
        match parts.and_then(|(until, text)| Some((until.parse::<i64>().ok()?, text))) {
            Some((until_s, text)) if self.clock.now().seconds() < until_s => Opened::State(text.to_owned()),
            Some(_) => Opened::Late,
            None => Opened::Forged,
        }
    }
}
