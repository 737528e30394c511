//! DynamoDB: `dynoxide` for what it does, and what each call needs to be allowed.

use std::{collections::BTreeMap, fs, path::Path};

use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    need::{Malformed, Need},
    reply::Reply,
};
use crate::template::Table;

mod facts;

/// The store.
pub struct Dynamo {
    database: Database,
    tables: BTreeMap<String, Shape>,
}

impl std::fmt::Debug for Dynamo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dynamo").field("tables", &self.tables.keys()).finish_non_exhaustive()
    }
}

/// What must be known of a table to say what a call touches.
#[derive(Debug, Clone)]
struct Shape {
    arn: String,
    /// The partition key's attribute.
    partition_key: String,
    /// By index, the partition key's attribute.
    indexes: BTreeMap<String, String>,
}

/// Parts of `CreateTable` that mean nothing here. Streams are left out because every write would scan all records of
/// the stream.
const NOT_HERE: [&str; 6] = [
    "DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "SSESpecification", "StreamSpecification", "Tags",
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
                Database::new(file.to_str().ok_or("the folder's name is not UTF-8")?)
            }
            None => Database::memory(),
        }
        .map_err(|err| err.to_string())?;
        if let Some(folder) = data {
            keep_private(&folder.join("dynamodb.sqlite"))?;
        }
        let mut shapes = BTreeMap::new();
        for table in tables {
            let mut create = table.create.clone();
            if let Some(create) = create.as_object_mut() {
                create.retain(|name, _| !NOT_HERE.contains(&name.as_str()));
            }
            let request = serde_json::from_value(create).map_err(|err| format!("{}: {err}", table.name))?;
            match database.create_table(request) {
                Ok(_) => {}
                Err(err) if err.short_error_code() == "ResourceInUseException" => {}
                Err(err) => return Err(format!("{}: {err}", table.name)),
            }
            shapes.insert(table.name.clone(), shape(table).ok_or("a table without a key schema")?);
        }
        Ok(Self { database, tables: shapes })
    }

    /// What this call needs to be allowed.
    ///
    /// # Errors
    /// A call that can't be understood to its last member.
    pub fn needs(&self, operation: &str, body: &Value) -> Result<Vec<Need>, Malformed> {
        facts::needs(self, operation, body)
    }

    /// Does it.
    pub async fn serve(&self, operation: &str, body: Value) -> Reply {
        let database = self.database.clone();
        let operation = operation.to_owned();
        // SQLite blocks its thread; the door's other calls go on.
        let served = tokio::task::spawn_blocking(move || dispatch(&database, &operation, body)).await;
        served.unwrap_or_else(|_panic| Reply::fault("InternalServerError"))
    }

    fn table(&self, name: &str) -> Result<&Shape, Malformed> {
        self.tables
            .get(name)
            .or_else(|| self.tables.values().find(|shape| shape.arn == name))
            .ok_or_else(|| Malformed(format!("there is no table {name}")))
    }
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
        Err(err) => return Reply::refused("ValidationException", &err.to_string()),
    };
    match operation(request) {
        Ok(done) => Reply::ok(serde_json::to_value(done).unwrap_or_else(|_err| json!({}))),
        Err(err) => Reply {
            status: err.status_code(),
            body: serde_json::from_str(&err.to_json()).unwrap_or_else(|_err| json!({})),
        },
    }
}

fn shape(table: &Table) -> Option<Shape> {
    let indexes = ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"]
        .iter()
        .filter_map(|kind| table.create.get(kind)?.as_array())
        .flatten()
        .filter_map(|index| Some((index.get("IndexName")?.as_str()?.to_owned(), hash_key(index)?)))
        .collect();
    Some(Shape { arn: table.arn.clone(), partition_key: hash_key(&table.create)?, indexes })
}

fn hash_key(schema: &Value) -> Option<String> {
    let keys = schema.get("KeySchema")?.as_array()?;
    let hash = keys.iter().find(|key| key.get("KeyType").and_then(Value::as_str) == Some("HASH"))?;
    hash.get("AttributeName")?.as_str().map(str::to_owned)
}

/// Only the owner may read a tenant's data on disk.
fn keep_private(file: &Path) -> Result<(), String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let readable = fs::Permissions::from_mode(0o600);
        fs::set_permissions(file, readable).map_err(|err| format!("{}: {err}", file.display()))?;
    }
    Ok(())
}
