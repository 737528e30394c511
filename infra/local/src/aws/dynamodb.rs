//! DynamoDB: `dynoxide` for what it does, and what each call needs to be allowed.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, mem,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

pub(crate) use self::feed::Record;
use self::{feed::Feed, guards::Guards, units::Units};
use super::{
    need::{Malformed, Need},
    reply::Reply,
};
use crate::template::Table;

mod expression;
mod facts;
mod feed;
mod guards;
mod members;
#[cfg(test)]
mod tests;
mod units;

/// The store.
pub struct Dynamo {
    database: Database,
    tables: Arc<RwLock<Tables>>,
    /// What the ARN of a table begins with.
    arn_prefix: String,
    units: Units,
    guards: Guards,
    feed: Arc<Feed>,
    /// What comes out of the streams, until somebody takes it.
    records: Mutex<Option<mpsc::UnboundedReceiver<Record>>>,
}

/// By name.
type Tables = BTreeMap<String, Arc<Shape>>;

impl std::fmt::Debug for Dynamo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dynamo").field("tables", &self.shapes().keys()).finish_non_exhaustive()
    }
}

/// What must be known of a table to say what a call touches.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    arn: String,
    /// The partition key's attribute.
    partition_key: String,
    /// By index, the partition key's attribute.
    indexes: BTreeMap<String, String>,
}

/// Parts of `CreateTable` that mean nothing here. Streams are made by [`feed`].
const NOT_HERE: [&str; 6] = [
    "DeletionProtectionEnabled",
    "PointInTimeRecoverySpecification",
    "SSESpecification",
    "StreamSpecification",
    "Tags",
    "TimeToLiveSpecification",
];

impl Dynamo {
    /// Opens the store, in memory or in a file of the folder, and makes the tables that are not there.
    ///
    /// # Errors
    /// A table that can't be made, or a file that can't be opened.
    pub fn open(tables: &[Table], data: Option<&Path>) -> Result<Self, String> {
        let database = match data {
            Some(folder) => {
                let file = folder.join("dynamodb.sqlite");
                keep_private(&file)?;
                Database::new(file.to_str().ok_or("the folder's name is not UTF-8")?)
            }
            None => Database::memory(),
        }
        .map_err(|err| err.to_string())?;
        let mut shapes = BTreeMap::new();
        for table in tables {
            let request = serde_json::from_value(without_what_is_not_here(table.create.clone()))
                .map_err(|err| format!("{}: {err}", table.name))?;
            match database.create_table(request) {
                Ok(_) => {}
                // It was kept by an earlier run.
                Err(DynoxideError::ResourceInUseException(_)) => {}
                Err(err) => return Err(format!("{}: {err}", table.name)),
            }
            let wanted = shape(&table.arn, &table.create)
                .ok_or_else(|| format!("{}: the key schema is not understood", table.name))?;
            // Authorisation goes by the template's keys, so a kept table with other keys would be a way around it.
            if kept(&database, &table.name, &table.arn)? != wanted {
                return Err(format!("{}: the kept table has other keys than the template's", table.name));
            }
            shapes.insert(table.name.clone(), Arc::new(wanted));
        }
        let arn = tables.first().map(|table| table.arn.as_str()).unwrap_or_default();
        let arn_prefix = arn.rsplit_once('/').map(|(prefix, _)| format!("{prefix}/")).unwrap_or_default();
        for name in names(&database)? {
            if let Entry::Vacant(unknown) = shapes.entry(name) {
                let name = unknown.key();
                let shape = kept(&database, name, &format!("{arn_prefix}{name}"))?;
                unknown.insert(Arc::new(shape));
            }
        }
        let (feed, records) = Feed::new();
        let with_stream = tables.iter().filter(|table| table.create.get("StreamSpecification").is_some());
        for table in with_stream {
            feed.open((&table.name, &table.arn), table.create.get("KeySchema").unwrap_or(&Value::Null));
        }
        let tables = Arc::new(RwLock::new(shapes));
        let (feed, records) = (Arc::new(feed), Mutex::new(Some(records)));
        let (units, guards) = (Units::default(), Guards::default());
        Ok(Self { database, tables, arn_prefix, units, guards, feed, records })
    }

    /// Opens these streams again, of tables that were kept. A stream that nobody followed is closed after a new start.
    pub(super) fn open_streams(&self, arns: &[String]) {
        for table in arns.iter().filter_map(|arn| feed::table_of(arn)) {
            self.open_stream(table);
        }
    }

    fn open_stream(&self, table: &str) {
        let described = dispatch(&self.database, "DescribeTable", json!({ "TableName": table }));
        if let (Some(schema), Ok(shape)) = (described.body.pointer("/Table/KeySchema"), self.table(table)) {
            self.feed.open((table, &shape.arn), schema);
        }
    }

    fn shapes(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this call needs to be allowed.
    ///
    /// # Errors
    /// A call that can't be understood to its last member.
    pub fn needs(&self, operation: &str, body: &Value) -> Result<Vec<Need>, Malformed> {
        facts::needs(self, operation, body)
    }

    /// Does it, for nobody.
    pub async fn serve(&self, operation: &str, body: Value) -> Reply {
        self.serve_for("", operation, body).await
    }

    /// Does it for a role, whose units they are.
    pub(super) async fn serve_for(&self, role_arn: &str, operation: &str, mut body: Value) -> Reply {
        self.name_tables(&mut body);
        if let Some(reply) = self.guarded(operation, &body) {
            return reply;
        }
        let unasked = Units::ask(operation, &mut body);
        let called = operation;
        let (database, tables, feed) =
            (self.database.clone(), Arc::clone(&self.tables), Arc::clone(&self.feed));
        let (operation, arn_prefix) = (operation.to_owned(), self.arn_prefix.clone());
        let asks_stream = body.get("StreamSpecification").is_some();
        let table = body.get("TableName").and_then(Value::as_str).unwrap_or_default().to_owned();
        // SQLite blocks its thread; the door's other calls go on.
        #[expect(clippy::disallowed_methods, reason = "the laptop is never frozen, and this is awaited")]
        let served = tokio::task::spawn_blocking(move || match operation.as_str() {
            "CreateTable" | "DeleteTable" => {
                let mut tables = tables.write().unwrap_or_else(PoisonError::into_inner);
                change_tables(&database, &mut tables, &arn_prefix, &operation, body)
            }
            _ => feed.serve(&database, &operation, body),
        })
        .await;
        let mut reply = served.unwrap_or_else(|_panic| Reply::fault("InternalServerError"));
        match called {
            "CreateTable" if asks_stream && reply.status == 200 => self.open_stream(&table),
            "DeleteTable" if reply.status == 200 => self.feed.close(&table),
            "DescribeTable" => self.feed.describe(&table, &mut reply.body),
            _ => {}
        }
        self.units.count((role_arn, called), unasked, &mut reply.body);
        reply
    }

    /// The answer of a table's guards, where they have one.
    fn guarded(&self, operation: &str, body: &Value) -> Option<Reply> {
        let name = body.get("TableName").and_then(Value::as_str).unwrap_or_default();
        match operation {
            "CreateTable" if !self.shapes().contains_key(name) => {
                self.guards.protect(name, body);
                None
            }
            "DeleteTable" => self.guards.refusal(name),
            _ if guards::OPERATIONS.contains(&operation) => Some(match self.table(name) {
                Ok(_) => {
                    if body.get("StreamSpecification").is_some() {
                        self.open_stream(name);
                    }
                    self.guards.answer(operation, name, body)
                }
                Err(_) => Reply::refused("ResourceNotFoundException", "there is no such table"),
            }),
            _ => None,
        }
    }

    /// What comes out of the streams; nothing the second time.
    pub(super) fn take_records(&self) -> Option<mpsc::UnboundedReceiver<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Records that have come out since the start.
    pub(super) fn records(&self) -> u64 {
        self.feed.taken()
    }

    /// Read and write units since the start, by role and operation.
    pub(super) fn units(&self) -> BTreeMap<(String, String), f64> {
        self.units.so_far()
    }

    /// The store knows tables by name only, and a caller may name them by ARN.
    fn name_tables(&self, body: &mut Value) {
        let tables = self.shapes();
        let name =
            |given: &str| tables.iter().find(|(_, shape)| shape.arn == given).map(|(name, _)| name.clone());
        let rename = |members: &mut Value| {
            if let Some(given) = members.get_mut("TableName")
                && let Some(name) = given.as_str().and_then(name)
            {
                *given = Value::String(name);
            }
        };
        rename(body);
        let actions = body.get_mut("TransactItems").and_then(Value::as_array_mut);
        actions
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
            .flat_map(Map::values_mut)
            .for_each(rename);
        if let Some(tables) = body.get_mut("RequestItems").and_then(Value::as_object_mut) {
            *tables = mem::take(tables)
                .into_iter()
                .map(|(given, part)| (name(&given).unwrap_or(given), part))
                .collect();
        }
    }

    fn table(&self, name: &str) -> Result<Arc<Shape>, Malformed> {
        let tables = self.shapes();
        let found = tables.get(name).or_else(|| tables.values().find(|shape| shape.arn == name));
        found.cloned().ok_or_else(|| Malformed(format!("there is no table {name}")))
    }
}

/// Makes or removes a table, with what must be known of it to authorise calls.
fn change_tables(
    database: &Database,
    tables: &mut RwLockWriteGuard<'_, Tables>,
    arn_prefix: &str,
    operation: &str,
    body: Value,
) -> Reply {
    let name = body.get("TableName").and_then(Value::as_str).unwrap_or_default().to_owned();
    if operation == "DeleteTable" {
        let reply = run(body, |request| database.delete_table(request));
        if reply.status == 200 {
            tables.remove(&name);
        }
        return reply;
    }
    let Some(shape) = shape(&format!("{arn_prefix}{name}"), &body) else {
        return Reply::refused("ValidationException", "the key schema is not understood");
    };
    let reply = run(without_what_is_not_here(body), |request| database.create_table(request));
    if reply.status == 200 {
        tables.insert(name, Arc::new(shape));
    }
    reply
}

fn without_what_is_not_here(mut create: Value) -> Value {
    if let Some(create) = create.as_object_mut() {
        create.retain(|name, _| !NOT_HERE.contains(&name.as_str()));
    }
    create
}

fn names(database: &Database) -> Result<Vec<String>, String> {
    let request = serde_json::from_value(json!({})).map_err(|err| err.to_string())?;
    let listed = database.list_tables(request).map_err(|err| err.to_string())?;
    let listed = serde_json::to_value(listed).map_err(|err| err.to_string())?;
    let names = listed.get("TableNames").and_then(Value::as_array).into_iter().flatten();
    Ok(names.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn dispatch(database: &Database, operation: &str, body: Value) -> Reply {
    match operation {
        "GetItem" => run(body, |request| database.get_item(request)),
        "PutItem" => run(body, |request| database.put_item(request)),
        "UpdateItem" => run(body, |request| database.update_item(request)),
        "DeleteItem" => run(body, |request| database.delete_item(request)),
        "Query" => run(body, |request| database.query(request)),
        "Scan" => run(body, |request| database.scan(request)),
        "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => run(body, |request| database.batch_write_item(request)),
        "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
        "TransactGetItems" => run(body, |request| database.transact_get_items(request)),
        "DescribeTable" => run(body, |request| database.describe_table(request)),
        "DescribeTimeToLive" => run(body, |request| database.describe_time_to_live(request)),
        "UpdateTimeToLive" => run(body, |request| database.update_time_to_live(request)),
        _ => Reply::refused("UnknownOperationException", "there is no such operation here"),
    }
}

fn run<I, O>(body: Value, operation: impl FnOnce(I) -> Result<O, DynoxideError>) -> Reply
where
    I: DeserializeOwned,
    O: Serialize,
{
    let request = match serde_json::from_value(body) {
        Ok(request) => request,
        Err(err) => {
            // The store's own types mark what they refuse.
            let message = err.to_string();
            let (_, message) = message.split_once("VALIDATION:").unwrap_or(("", &message));
            return Reply::refused("ValidationException", message);
        }
    };
    match operation(request) {
        Ok(done) => Reply::ok(serde_json::to_value(done).unwrap_or_else(|_err| json!({}))),
        Err(err) => Reply {
            status: err.status_code(),
            body: serde_json::from_str(&err.to_json()).unwrap_or_else(|_err| json!({})),
        },
    }
}

fn kept(database: &Database, name: &str, arn: &str) -> Result<Shape, String> {
    let wrong = |err: &dyn std::fmt::Display| format!("{name}: {err}");
    let request = serde_json::from_value(json!({ "TableName": name })).map_err(|err| wrong(&err))?;
    let described = database.describe_table(request).map_err(|err| wrong(&err))?;
    let described = serde_json::to_value(described).map_err(|err| wrong(&err))?;
    described
        .get("Table")
        .and_then(|described| shape(arn, described))
        .ok_or_else(|| wrong(&"the kept table is not understood"))
}

/// Of a `CreateTable` request, or of the description that answers `DescribeTable`.
fn shape(arn: &str, table: &Value) -> Option<Shape> {
    let mut indexes = BTreeMap::new();
    for kind in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        let Some(list) = table.get(kind).filter(|list| !list.is_null()) else { continue };
        for index in list.as_array()? {
            indexes.insert(index.get("IndexName")?.as_str()?.to_owned(), hash_key(index)?);
        }
    }
    Some(Shape { arn: arn.to_owned(), partition_key: hash_key(table)?, indexes })
}

/// The one attribute of the partition key.
fn hash_key(schema: &Value) -> Option<String> {
    let keys = schema.get("KeySchema")?.as_array()?;
    let mut hashes = keys.iter().filter(|key| key.get("KeyType").and_then(Value::as_str) == Some("HASH"));
    match (hashes.next(), hashes.next()) {
        (Some(hash), None) => hash.get("AttributeName")?.as_str().map(str::to_owned),
        _ => None,
    }
}

/// Only the owner may read a tenant's data on disk. SQLite gives the file's mode to the files that it puts beside it,
/// so the file is there before SQLite is.
fn keep_private(file: &Path) -> Result<(), String> {
    let wrong = |err: std::io::Error| format!("{}: {err}", file.display());
    let open = fs::OpenOptions::new().append(true).create(true).open(file).map_err(wrong)?;
    #[cfg(unix)]
    open.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(wrong)?;
    drop(open);
    Ok(())
}
