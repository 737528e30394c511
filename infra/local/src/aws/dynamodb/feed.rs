//! The stream of a table, as records of its changes: what an item was before a call and is after it.
//!
//! The store has streams of its own, and scans all records of them at every write: 2,000 writes a second fall to 100 by
//! 40,000. Here each write reads the few items that it names, and a record is gone when it was delivered: half as many writes
//! a second (600 for 1,200, measured in the dev profile on a busy 2-core machine), and at 40,000 as many as at 10,000.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use dynoxide::Database;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::{super::reply::Reply, dispatch};
/// What the ARN of a table's stream ends in.
const STREAM: &str = "/stream/local";

/// A record of a stream, in the form in which Lambda gives it to a function.
pub(crate) type Record = Value;

/// All streams.
#[derive(Debug)]
pub(super) struct Feed {
    streams: RwLock<Streams>,
    /// Held while items are read, written and read again, so that records are in the order of their changes.
    turn: Mutex<()>,
    records: mpsc::UnboundedSender<Record>,
    taken: AtomicU64,
}

/// By table: what its records say where they are from, and the attributes of its key.
type Streams = BTreeMap<String, (String, Vec<String>)>;

/// An item that a call names.
struct Named {
    table: String,
    key: Value,
}

impl Feed {
    /// No streams, and where their records come out.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Record>) {
        let (records, out) = mpsc::unbounded_channel();
        let streams = RwLock::default();
        (Self { streams, turn: Mutex::default(), records, taken: AtomicU64::new(0) }, out)
    }

    /// Opens the stream of a table with this key schema.
    pub(super) fn open(&self, (table, arn): (&str, &str), schema: &Value) {
        let keys = schema.as_array().into_iter().flatten();
        let names = keys.filter_map(|key| key.get("AttributeName")?.as_str().map(str::to_owned));
        let stream = (format!("{arn}{STREAM}"), names.collect());
        self.streams_mut().insert(table.to_owned(), stream);
    }

    /// Ends the stream of a table that is gone.
    pub(super) fn close(&self, table: &str) {
        self.streams_mut().remove(table);
    }

    /// Says of a table's description which stream it has.
    pub(super) fn describe(&self, table: &str, described: &mut Value) {
        if let Some((arn, _)) = self.streams().get(table)
            && let Some(members) = described.get_mut("Table").and_then(Value::as_object_mut)
        {
            members.insert("LatestStreamArn".to_owned(), json!(arn));
            members.insert("StreamSpecification".to_owned(), specification());
        }
    }

    fn streams(&self) -> RwLockReadGuard<'_, Streams> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams_mut(&self) -> RwLockWriteGuard<'_, Streams> {
        self.streams.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records since the start.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Does a call, and gives out a record for each item that is another one after it.
    pub(super) fn serve(&self, database: &Database, operation: &str, body: Value) -> Reply {
        let named = self.named(operation, &body);
        if named.is_empty() {
            return dispatch(database, operation, body);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before: Vec<Option<Value>> = named.iter().map(|named| named.read(database)).collect();
        let reply = dispatch(database, operation, body);
        for (named, before) in named.iter().zip(before) {
            let after = named.read(database);
            if before != after {
                self.give(named, before, after);
            }
        }
        reply
    }

    fn give(&self, named: &Named, before: Option<Value>, after: Option<Value>) {
        let Some(arn) = self.streams().get(&named.table).map(|(arn, _)| arn.clone()) else { return };
        let number = self.taken.fetch_add(1, Ordering::AcqRel);
        let name = match (&before, &after) {
            (None, _) => "INSERT",
            (Some(_), Some(_)) => "MODIFY",
            (Some(_), None) => "REMOVE",
        };
        let sequence = format!("{number:021}");
        let mut change = Map::from_iter([
            ("Keys".to_owned(), named.key.clone()),
            ("SequenceNumber".to_owned(), Value::from(sequence.clone())),
            ("StreamViewType".to_owned(), Value::from("NEW_AND_OLD_IMAGES")),
        ]);
        change.extend(before.map(|image| ("OldImage".to_owned(), image)));
        change.extend(after.map(|image| ("NewImage".to_owned(), image)));
        let record = json!({
            "eventID": sequence,
            "eventName": name,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "eventSourceARN": arn,
            "dynamodb": change,
        });
        // Where nobody takes records any more, the stack has ended.
        drop(self.records.send(record));
    }

    /// The items of tables with a stream that a call writes.
    fn named(&self, operation: &str, body: &Value) -> Vec<Named> {
        let mut named = Vec::new();
        match operation {
            "PutItem" => named.extend(self.one(body, "Item")),
            "UpdateItem" | "DeleteItem" => named.extend(self.one(body, "Key")),
            "TransactWriteItems" => {
                for action in body.get("TransactItems").and_then(Value::as_array).into_iter().flatten() {
                    let holders = [("Put", "Item"), ("Update", "Key"), ("Delete", "Key")];
                    let parts =
                        holders.iter().filter_map(|(kind, holder)| Some((action.get(kind)?, *holder)));
                    named.extend(parts.filter_map(|(part, holder)| self.one(part, holder)));
                }
            }
            "BatchWriteItem" => {
                for (table, parts) in
                    body.get("RequestItems").and_then(Value::as_object).into_iter().flatten()
                {
                    for part in parts.as_array().into_iter().flatten() {
                        let put = part.pointer("/PutRequest/Item");
                        let item = put.or_else(|| part.pointer("/DeleteRequest/Key"));
                        named.extend(item.and_then(|item| self.of(table, item)));
                    }
                }
            }
            _ => {}
        }
        named
    }

    fn one(&self, part: &Value, holder: &str) -> Option<Named> {
        self.of(part.get("TableName")?.as_str()?, part.get(holder)?)
    }

    fn of(&self, table: &str, item: &Value) -> Option<Named> {
        let streams = self.streams();
        let (_, names) = streams.get(table)?;
        let key = names.iter().map(|name| Some((name.clone(), item.get(name)?.clone())));
        Some(Named { table: table.to_owned(), key: Value::Object(key.collect::<Option<_>>()?) })
    }
}

/// The one kind of stream that there is here.
pub(super) fn specification() -> Value {
    json!({ "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" })
}

/// The table of a stream's ARN.
pub(super) fn table_of(stream_arn: &str) -> Option<&str> {
    stream_arn.strip_suffix(STREAM)?.rsplit_once('/').map(|(_, table)| table)
}

impl Named {
    fn read(&self, database: &Database) -> Option<Value> {
        let request = json!({ "TableName": self.table, "Key": self.key, "ConsistentRead": true });
        let mut reply = dispatch(database, "GetItem", request);
        reply.body.get_mut("Item").map(Value::take).filter(|item| !item.is_null())
    }
}
