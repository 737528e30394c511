//! How a call ended, and its stored form.

use serde_json::{Map, Value, value::RawValue};

use crate::reply::Fault;

/// How a call ended. Its bytes can be stored, and sent again under another JSON-RPC id.
#[derive(Debug)]
pub struct Outcome(pub(crate) Ended);

#[derive(Debug)]
pub(crate) enum Ended {
    Result { json: Box<RawValue>, kind: OutcomeKind },
    Fault(Fault),
}

/// What an outcome is, for the one who stores, charges and audits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    /// The function did what it was asked.
    Complete,
    /// A tool said that it failed, in a result.
    Failed,
    /// The client is asked first: nothing is done yet, and nothing is to be stored.
    Asking,
    /// The protocol does not let the call be answered; nothing is to be stored.
    Refused,
}

impl Outcome {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> OutcomeKind {
        match &self.0 {
            Ended::Result { kind, .. } => *kind,
            Ended::Fault(_) => OutcomeKind::Refused,
        }
    }

    /// The result as JSON text, to be stored; only a complete or failed one has it.
    #[must_use]
    pub fn stored(&self) -> Option<&str> {
        match &self.0 {
            Ended::Result { json, kind: OutcomeKind::Complete | OutcomeKind::Failed } => Some(json.get()),
            _ => None,
        }
    }

    /// The outcome that was stored as this text; none if it is not a result.
    #[must_use]
    pub fn from_stored(text: String) -> Option<Outcome> {
        let json = RawValue::from_string(text).ok()?;
        let result: Map<String, Value> = serde_json::from_str(json.get()).ok()?;
        let failed = result.get("isError") == Some(&Value::Bool(true));
        let kind = if failed { OutcomeKind::Failed } else { OutcomeKind::Complete };
        Some(Outcome(Ended::Result { json, kind }))
    }
}
