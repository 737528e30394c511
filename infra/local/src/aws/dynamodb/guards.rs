//! What keeps a table from being lost, which the store does not have: protection from its end. Backups there are none, and
//! are said to be on where they are switched on.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use super::Reply;

/// The operations that are answered here.
pub(super) const OPERATIONS: [&str; 2] = ["UpdateTable", "UpdateContinuousBackups"];

/// The protected tables. A laptop that starts again protects none.
#[derive(Debug, Default)]
pub(super) struct Guards(Mutex<BTreeSet<String>>);

impl Guards {
    /// Answers one of [`OPERATIONS`] for a table that is there.
    pub(super) fn answer(&self, operation: &str, name: &str, body: &Value) -> Reply {
        if operation == "UpdateTable" {
            self.protect(name, body);
            return Reply::ok(json!({ "TableDescription": { "TableName": name, "TableStatus": "ACTIVE" } }));
        }
        let path = "/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled";
        let is_on = body.pointer(path).and_then(Value::as_bool) == Some(true);
        let recovery = json!({ "PointInTimeRecoveryStatus": if is_on { "ENABLED" } else { "DISABLED" } });
        Reply::ok(json!({ "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery,
        } }))
    }

    /// Takes over what a request says of the table's protection, if it says anything.
    pub(super) fn protect(&self, name: &str, body: &Value) {
        match body.get("DeletionProtectionEnabled").and_then(Value::as_bool) {
            Some(true) => drop(self.protected().insert(name.to_owned())),
            Some(false) => drop(self.protected().remove(name)),
            None => {}
        }
    }

    /// Why a table can't be removed, if it can't.
    pub(super) fn refusal(&self, name: &str) -> Option<Reply> {
        let refusal = || Reply::refused("ValidationException", "the table is protected from deletion");
        self.protected().contains(name).then(refusal)
    }

    fn protected(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
