//! EventBridge: the default bus, which keeps what was put for whoever looks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::{
    emulated::{Grammar, unknown},
    iam::Context,
    need::{Malformed, Need},
    reply::Reply,
};

const GRAMMAR: Grammar =
    Grammar { service: "EventBridge", operations: &["PutEvents"], members: &["Entries"] };
const ENTRY: [&str; 3] = ["Source", "DetailType", "Detail"];

/// The bus.
#[derive(Debug)]
pub(super) struct Events {
    arn: String,
    kept: Mutex<Vec<Value>>,
}

impl Events {
    pub(super) fn new(account: &str, region: &str) -> Self {
        let arn = format!("arn:aws:events:{region}:{account}:event-bus/default");
        Self { arn, kept: Mutex::default() }
    }

    /// What was put since the start.
    pub(super) fn kept(&self) -> Vec<Value> {
        self.open().clone()
    }

    pub(super) fn needs(&self, operation: &str, body: &Value) -> Result<Vec<Need>, Malformed> {
        GRAMMAR.check(operation, body)?;
        let entries = body.get("Entries").and_then(Value::as_array);
        let entries = entries.filter(|entries| (1..=10).contains(&entries.len()));
        let entries = entries.ok_or_else(|| Malformed("1 to 10 entries are expected".to_owned()))?;
        // An entry may name another bus, which would be another resource.
        let strange = |entry: &Value| {
            let members = entry.as_object();
            members.is_none_or(|members| {
                members.len() != ENTRY.len()
                    || members.iter().any(|(name, value)| !ENTRY.contains(&&**name) || !value.is_string())
            })
        };
        if entries.iter().any(strange) {
            return Err(Malformed("an entry is not understood".to_owned()));
        }
        let (action, resource) = ("events:PutEvents".to_owned(), self.arn.clone());
        Ok(vec![Need { action, resource, context: Context::default() }])
    }

    pub(super) fn serve(&self, operation: &str, body: &Value) -> Reply {
        if operation != "PutEvents" {
            return unknown();
        }
        let entries: Vec<Value> = body.get("Entries").and_then(Value::as_array).cloned().unwrap_or_default();
        let ids: Vec<Value> =
            entries.iter().map(|_| json!({ "EventId": uuid::Uuid::new_v4().to_string() })).collect();
        self.open().extend(entries);
        Reply::ok(json!({ "FailedEntryCount": 0, "Entries": ids }))
    }

    /// No holder leaves it half done.
    fn open(&self) -> MutexGuard<'_, Vec<Value>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
