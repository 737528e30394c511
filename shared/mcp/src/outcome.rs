//! How a call ended, and its stored form.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use crate::{content::Content, reply::Fault};

/// How a call ended. Its bytes can be stored, and sent again under another JSON-RPC id.
#[derive(Debug)]
pub struct Outcome(pub(crate) Ended);

#[derive(Debug)]
pub(crate) enum Ended {
    /// The content of a result that is structured is left out of its JSON: it is the same once more, as a text.
    Result {
        json: Box<RawValue>,
        kind: OutcomeKind,
    },
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

    /// The result as it is sent: with its content. None for what the protocol does not let be answered.
    ///
    /// # Errors
    /// None that a result can cause.
    pub fn sent(&self) -> Result<Option<Cow<'_, RawValue>>, serde_json::Error> {
        match &self.0 {
            Ended::Result { json, .. } => whole(json).map(Some),
            Ended::Fault(_) => Ok(None),
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

/// What the JSON of a structured result without its content begins with.
const STRUCTURED: &str = r#"{"resultType":"complete","structuredContent":"#;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Structured<'a> {
    #[serde(borrow)]
    structured_content: &'a RawValue,
}

#[derive(Serialize)]
struct Head {
    #[serde(rename = "resultType")]
    result_type: &'static str,
    content: [Content; 1],
}

/// The result with its content: that of a structured one is its own JSON as a text, for clients that read only that.
pub(crate) fn whole(json: &RawValue) -> Result<Cow<'_, RawValue>, serde_json::Error> {
    let Some(behind) = json.get().strip_prefix(STRUCTURED) else { return Ok(Cow::Borrowed(json)) };
    let Structured { structured_content } = serde_json::from_str(json.get())?;
    let head = Head { result_type: "complete", content: [Content::text(structured_content.get())] };
    let head = to_raw_value(&head)?;
    let head = head.get().strip_suffix('}').unwrap_or_default();
    RawValue::from_string([head, r#","structuredContent":"#, behind].concat()).map(Cow::Owned)
}
