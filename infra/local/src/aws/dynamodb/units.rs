//! What calls would cost: the read and write units that the store says, by role and operation.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

const ASKING: &str = "ReturnConsumedCapacity";
const SAID: &str = "ConsumedCapacity";
/// The operations that say it.
const SAYING: [&str; 10] = [
    "GetItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "Query",
    "Scan",
    "BatchGetItem",
    "BatchWriteItem",
    "TransactGetItems",
    "TransactWriteItems",
];

/// Units since the start.
#[derive(Debug, Default)]
pub(super) struct Units(Mutex<BTreeMap<(String, String), f64>>);

impl Units {
    pub(super) fn so_far(&self) -> BTreeMap<(String, String), f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the store what a call consumes. Whether its caller has not.
    pub(super) fn ask(operation: &str, body: &mut Value) -> bool {
        let Some(members) = body.as_object_mut().filter(|_| SAYING.contains(&operation)) else {
            return false;
        };
        let unasked = !members.contains_key(ASKING);
        if unasked {
            members.insert(ASKING.to_owned(), Value::from("TOTAL"));
        }
        unasked
    }

    /// Counts what the store says, and takes it away where nobody has asked.
    pub(super) fn count(&self, (role, operation): (&str, &str), unasked: bool, reply: &mut Value) {
        let said = reply.get(SAID);
        let one = |said: &Value| said.get("CapacityUnits").and_then(Value::as_f64);
        let units: f64 = match said {
            Some(Value::Array(tables)) => tables.iter().filter_map(one).sum(),
            Some(table) => one(table).unwrap_or(0.0),
            None => return,
        };
        let whose = (role.to_owned(), operation.to_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(whose).or_default() += units;
        if unasked && let Some(members) = reply.as_object_mut() {
            members.remove(SAID);
        }
    }
}
