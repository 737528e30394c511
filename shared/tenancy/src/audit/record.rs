//! A record of the trail as it is read.

use std::{collections::BTreeMap, fmt, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{canonical::Item, tenant::UnknownWord};

/// What was decided of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It ran, whatever came of it.
    Allowed,
    /// It was refused before it ran.
    Denied,
}

impl Decision {
    /// The word of the records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }
}

impl FromStr for Decision {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let all = [Self::Allowed, Self::Denied];
        all.into_iter().find(|decision| decision.word() == text).ok_or(UnknownWord)
    }
}

/// What a record knows of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// All of it.
    Whole,
    /// It was let in, and runs.
    Begun,
    /// How it ended, which was let in by another record. Only an end in a problem has one.
    Ended,
}

impl Stage {
    /// The word of the records; a whole one needs none.
    pub(crate) const fn word(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::Begun => Some("begun"),
            Self::Ended => Some("ended"),
        }
    }
}

/// One decision that was made of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// Who called; `None` once that was erased, and for several calls.
    pub who: Option<Who>,
    /// The tool, or the action of an endpoint.
    pub action: String,
    /// The addresses below `/v1/` of what it was about.
    pub resources: Vec<String>,
    /// `allowed` or `denied`.
    pub decision: String,
    /// Why: a stable word, `ok` where there is nothing to say.
    pub reason: String,
    /// API Gateway's request id.
    pub request_id: String,
    /// `begun` of a call that ran on when this was recorded, `ended` of the end of one in a problem; `None` of a whole one.
    pub stage: Option<String>,
    /// From the entrance to the record.
    pub duration_ms: u64,
    /// The version of the plan that it was decided under.
    pub epoch: u64,
    /// The chain that the record is in, its place there from 0, and its hash.
    pub chain: (String, u64, String),
    /// The calls that it stands for, where they are several.
    pub counted: Option<CountedDenials>,
}

/// Calls that were refused and have one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedDenials {
    /// When the first was, RFC 3339 in UTC.
    pub from: String,
    /// When the last was.
    pub until: String,
    /// How many, by reason.
    pub reasons: BTreeMap<String, u64>,
}

/// Who called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The token's `iss`.
    pub issuer: String,
    /// The token's `sub`.
    pub subject: String,
    /// The token's client.
    pub client: String,
}

impl AuditRecord {
    /// A record as the store has it. What is not there is empty: one that somebody has broken keeps nobody from the others,
    /// and whether it is whole is for [`verify`](super::verify) to say.
    pub(crate) fn read(item: &Item) -> Self {
        let text = |name: &str| get(item, name).unwrap_or_default();
        let who = match (get(item, "issuer"), get(item, "subject"), get(item, "client")) {
            (Some(issuer), Some(subject), Some(client)) => Some(Who { issuer, subject, client }),
            _ => None,
        };
        let resources = item.get("resources").and_then(|value| value.as_l().ok());
        let resources = resources.into_iter().flatten();
        Self {
            at: text("at"),
            who,
            action: text("action"),
            resources: resources.filter_map(|value| value.as_s().ok().cloned()).collect(),
            decision: text("decision"),
            reason: text("code"),
            request_id: text("request_id"),
            stage: get(item, "stage"),
            duration_ms: number(item, "duration_ms").unwrap_or_default(),
            epoch: number(item, "epoch").unwrap_or_default(),
            chain: (text("writer"), number(item, "seq").unwrap_or_default(), text("hash")),
            counted: CountedDenials::read(item),
        }
    }
}

impl CountedDenials {
    /// What any record of counted denials says; `None` for the record of one call.
    pub(crate) fn read(item: &Item) -> Option<Self> {
        let codes = item.get("codes")?.as_m().ok()?.iter();
        let counts = codes.filter_map(|(code, count)| Some((code.clone(), count.as_n().ok()?.parse().ok()?)));
        let [from, until] = ["from", "until"].map(|name| get(item, name).unwrap_or_default());
        Some(Self { from, until, reasons: counts.collect() })
    }
}

pub(super) fn get(item: &Item, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}

pub(super) fn number(item: &Item, name: &str) -> Option<u64> {
    item.get(name).map(AttributeValue::as_n)?.ok()?.parse().ok()
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
