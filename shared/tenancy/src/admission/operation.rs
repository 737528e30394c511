//! What is about to be done, and how it ended.

use crate::{
    Effect,
    audit::{Resource, Stage},
};

/// Where an operation was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A tool, over MCP.
    Tool,
    /// The REST API.
    Api,
}

impl Door {
    /// The word of the audit records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Api => "api",
        }
    }
}

/// What is about to be done, for the charge and the audit record.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The tool's name.
    pub action: String,
    /// What it may do.
    pub effect: Effect,
    /// Where it was asked for.
    pub door: Door,
    /// What says that it is the same as one before.
    pub idempotency: Idempotency,
    /// The arguments in one canonical form: only a keyed hash is kept.
    pub arguments: Vec<u8>,
    /// What it is about, as far as that is known before it runs.
    pub resource: Option<Resource>,
    /// API Gateway's request id.
    pub request_id: String,
}

impl Operation {
    /// Whether it is done once under its key. What writes nothing is done again, and charged again: its repetitions would else
    /// be calls that nobody counts.
    pub(crate) fn is_once(&self) -> bool {
        matches!(self.effect, Effect::Write | Effect::Outside) && self.idempotency != Idempotency::None
    }
}

/// What makes two operations of one caller the same one, which is done once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotency {
    /// Nothing does.
    None,
    /// The key that the client sent, for a day.
    Key(String),
    /// The action and its arguments, for a minute: for what a client may well send twice and nobody means twice.
    Arguments,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It did what it was asked: its writes become durable, and a replay gets this result, byte for byte.
    Done {
        /// The result.
        result: &'a str,
    },
    /// It only reads: nothing is written but the charge.
    Read,
    /// It looks at what the tenant may use and has used: it is recorded, and not charged, so that it answers when nothing is
    /// left.
    Uncharged,
    /// It is about to do something outside, which no transaction takes back: nothing is written but the charge and the
    /// name of its key, under which it is not done again.
    Begun,
    /// It did nothing, and says so in this word: it is charged, its writes are dropped, its key stays free.
    Failed {
        /// The problem's code.
        code: &'a str,
    },
}

impl Outcome<'_> {
    /// It has asked its user something, and is done by another call or by none.
    pub const ASKING: Outcome<'static> = Outcome::Failed { code: "asking" };

    pub(crate) const fn code(&self) -> &str {
        match self {
            Self::Done { .. } | Self::Read => "ok",
            Self::Uncharged => "uncharged",
            Self::Begun => "begun",
            Self::Failed { code } => code,
        }
    }

    /// What the record of its commit knows of it.
    pub(super) const fn stage(&self) -> Stage {
        match self {
            Self::Read | Self::Uncharged | Self::Begun => Stage::Begun,
            Self::Done { .. } | Self::Failed { .. } => Stage::Whole,
        }
    }
}
