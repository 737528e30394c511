//! DynamoDB: `dynoxide` for what it does, and what each call needs to be allowed.

use std::{collections::BTreeMap, fs, mem, path::Path};

use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    need::{Malformed, Need},
    reply::Reply,
};
use crate::template::Table;

mod expression;
mod facts;
mod members;
#[cfg(test)]
mod tests;

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
            let mut create = table.create.clone();
            if let Some(create) = create.as_object_mut() {
                create.retain(|name, _| !NOT_HERE.contains(&name.as_str()));
            }
            let request = serde_json::from_value(create).map_err(|err| format!("{}: {err}", table.name))?;
            match database.create_table(request) {
                Ok(_) => {}
                // It was kept by an earlier run.
                Err(DynoxideError::ResourceInUseException(_)) => {}
                Err(err) => return Err(format!("{}: {err}", table.name)),
            }
            let wanted = shape(&table.arn, &table.create)
                .ok_or_else(|| format!("{}: the key schema is not understood", table.name))?;
            // Authorisation goes by the template's keys, so a kept table with other keys would be a way around it.
            if kept(&database, table)? != wanted {
                return Err(format!("{}: the kept table has other keys than the template's", table.name));
            }
            shapes.insert(table.name.clone(), wanted);
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
    pub async fn serve(&self, operation: &str, mut body: Value) -> Reply {
        self.name_tables(&mut body);
        let database = self.database.clone();
        let operation = operation.to_owned();
        // SQLite blocks its thread; the door's other calls go on.
        let served = tokio::task::spawn_blocking(move || dispatch(&database, &operation, body)).await;
        served.unwrap_or_else(|_panic| Reply::fault("InternalServerError"))
    }

    /// The store knows tables by name only, and a caller may name them by ARN.
    fn name_tables(&self, body: &mut Value) {
        let name = |given: &str| {
            self.tables.iter().find(|(_, shape)| shape.arn == given).map(|(name, _)| name.clone())
        };
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

fn kept(database: &Database, table: &Table) -> Result<Shape, String> {
    let wrong = |err: &dyn std::fmt::Display| format!("{}: {err}", table.name);
    let request = serde_json::from_value(json!({ "TableName": table.name })).map_err(|err| wrong(&err))?;
    let described = database.describe_table(request).map_err(|err| wrong(&err))?;
    let described = serde_json::to_value(described).map_err(|err| wrong(&err))?;
    described
        .get("Table")
        .and_then(|described| shape(&table.arn, described))
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
