//! What a function that talks with the client knows of the request, and what it may say before its result.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{answer::Elicited, spec::ClientCapability};

/// A reply is one buffered body, so a tool that never stops talking must not fill the memory.
const NOTES_MAX: usize = 256;

/// The talk with the client about one call. Nothing in it says who the client is.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub(crate) asked: Arc<Asked>,
    pub(crate) state: Option<String>,
    pub(crate) notes: Arc<Mutex<Vec<Value>>>,
}

/// The part of an exchange that came with the request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) capabilities: Map<String, Value>,
    pub(crate) responses: Map<String, Value>,
    pub(crate) progress_token: Option<Value>,
    pub(crate) log_level: Option<LogLevel>,
}

/// How much a log notification matters, the least first. Source: RFC 5424 § 6.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the whole of their meaning")]
pub enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl LogLevel {
    pub(crate) fn read(value: &Value) -> Option<LogLevel> {
        LogLevel::deserialize(value).ok()
    }

    fn name(self) -> &'static str {
        match self {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Notice => "notice",
            LogLevel::Warning => "warning",
            LogLevel::Error => "error",
            LogLevel::Critical => "critical",
            LogLevel::Alert => "alert",
            LogLevel::Emergency => "emergency",
        }
    }
}

impl Exchange {
    /// Whether the client said that it can.
    #[must_use]
    pub fn supports(&self, capability: ClientCapability) -> bool {
        self.asked.capabilities.contains_key(capability.name())
    }

    /// What the user answered to a question of an earlier round; none if it was not asked, or not answered in
    /// the form that was asked for, and then it is asked again.
    #[must_use]
    pub fn elicited<T: DeserializeOwned>(&self, name: &str) -> Option<Elicited<T>> {
        Elicited::read(self.asked.responses.get(name)?)
    }

    /// The client's answer to a question of an earlier round, as it came.
    #[must_use]
    pub fn response(&self, name: &str) -> Option<&Value> {
        self.asked.responses.get(name)
    }

    /// What an earlier round of this very call remembered.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Says how far it is, to a client that wants to know. The reply is one body, so it arrives with the result.
    pub fn progress(&self, progress: f64, total: f64) {
        if let Some(token) = &self.asked.progress_token {
            self.note(
                "notifications/progress",
                &json!({
                    "progressToken": token, "progress": progress, "total": total,
                }),
            );
        }
    }

    /// Writes to the client's log, if the client takes that level.
    pub fn log(&self, level: LogLevel, data: &str) {
        if self.asked.log_level.is_some_and(|least| level >= least) {
            self.note("notifications/message", &json!({ "level": level.name(), "data": data }));
        }
    }

    fn note(&self, method: &str, params: &Value) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTES_MAX {
            notes.push(json!({ "jsonrpc": "2.0", "method": method, "params": params }));
        }
    }
}
