//! What a call touches: action, table, leading keys and attributes, from its body alone.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::iam::Context,
    Dynamo, Malformed, Need, expression,
    feed::specification,
    members::{Object, array, known, member, names, object, only, scalar, text, text_if_any, wrong},
};

/// The members of an action on one item, alone or in a transaction.
const GET: &[&str] = &["TableName", "Key", "ProjectionExpression", "ExpressionAttributeNames"];
const PUT: &[&str] = &["TableName", "Item", "ConditionExpression", "ExpressionAttributeNames"];
const CHANGE: &[&str] = &["TableName", "Key", "ConditionExpression", "ExpressionAttributeNames"];
const WRITE: &[&str] = &["ExpressionAttributeValues", "ReturnValuesOnConditionCheckFailure"];
const UPDATE: &[&str] = &["UpdateExpression"];
/// Those that an action has only when it is alone.
const READ_ALONE: &[&str] = &["ConsistentRead", "ReturnConsumedCapacity"];
const WRITE_ALONE: &[&str] = &["ReturnValues", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics"];
/// Those of a query and a scan.
const PAGE: &[&str] = &[
    "TableName",
    "IndexName",
    "Select",
    "Limit",
    "ExclusiveStartKey",
    "FilterExpression",
    "ProjectionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ConsistentRead",
    "ReturnConsumedCapacity",
];
const QUERY: &[&str] = &["KeyConditionExpression", "ScanIndexForward"];
const SCAN: &[&str] = &["Segment", "TotalSegments"];

/// Those of a new table. Tags are left out: each would need a right of its own.
const CREATE: &[&str] = &[
    "TableName",
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "DeletionProtectionEnabled",
    "StreamSpecification",
];

const UPDATE_TABLE: &[&str] = &["TableName", "DeletionProtectionEnabled", "StreamSpecification"];

/// Members whose attributes count as touched.
const EXPRESSIONS: [&str; 5] = [
    "ConditionExpression",
    "FilterExpression",
    "KeyConditionExpression",
    "ProjectionExpression",
    "UpdateExpression",
];

/// All needs of a call.
pub(super) fn needs(dynamo: &Dynamo, operation: &str, body: &Value) -> Result<Vec<Need>, Malformed> {
    let one = |need: Result<Need, Malformed>| need.map(|need| vec![need]);
    match operation {
        "GetItem" => one(item(dynamo, operation, known(body, &[GET, READ_ALONE])?)),
        "PutItem" => one(item(dynamo, operation, known(body, &[PUT, WRITE, WRITE_ALONE])?)),
        "UpdateItem" => one(item(dynamo, operation, known(body, &[CHANGE, UPDATE, WRITE, WRITE_ALONE])?)),
        "DeleteItem" => one(item(dynamo, operation, known(body, &[CHANGE, WRITE, WRITE_ALONE])?)),
        "Query" => one(page(dynamo, operation, known(body, &[PAGE, QUERY])?)),
        "Scan" => one(page(dynamo, operation, known(body, &[PAGE, SCAN])?)),
        "TransactGetItems" | "TransactWriteItems" => transaction(dynamo, operation, body),
        "BatchGetItem" | "BatchWriteItem" => batch(dynamo, operation, body),
        "CreateTable" => one(table(dynamo, operation, streamed(known(body, &[CREATE])?)?)),
        "DescribeTable" | "DeleteTable" | "DescribeTimeToLive" => {
            one(table(dynamo, operation, known(body, &[&["TableName"]])?))
        }
        "UpdateTable" => one(table(dynamo, operation, streamed(known(body, &[UPDATE_TABLE])?)?)),
        "UpdateTimeToLive" => {
            one(table(dynamo, operation, known(body, &[&["TableName", "TimeToLiveSpecification"]])?))
        }
        "UpdateContinuousBackups" => {
            one(table(dynamo, operation, known(body, &[&["TableName", "PointInTimeRecoverySpecification"]])?))
        }
        _ => Err(Malformed(format!("{operation} is not an operation of this store"))),
    }
}

/// A table's stream is of the one kind that there is here, if it asks for one.
fn streamed(members: &Object) -> Result<&Object, Malformed> {
    match members.get("StreamSpecification") {
        Some(asked) if *asked != specification() => Err(wrong("a stream has NEW_AND_OLD_IMAGES")),
        _ => Ok(members),
    }
}

/// An action on a table, which need not be there: who may ask for it may know that it is not.
fn table(dynamo: &Dynamo, operation: &str, members: &Object) -> Result<Need, Malformed> {
    let name = text(members, "TableName")?;
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    let resource = match dynamo.table(name) {
        Ok(shape) => shape.arn.clone(),
        Err(_) if plain => format!("{}{name}", dynamo.arn_prefix),
        Err(err) => return Err(err),
    };
    Ok(Need { action: format!("dynamodb:{operation}"), resource, context: Context::default() })
}

/// An action on one item, whose members are known to be its own.
fn item(dynamo: &Dynamo, action: &str, members: &Object) -> Result<Need, Malformed> {
    let shape = dynamo.table(text(members, "TableName")?)?;
    let holder = object_of(members, if action == "PutItem" { "Item" } else { "Key" })?;
    let mut context = Context::default();
    context.one("dynamodb:LeadingKeys", scalar(member(holder, &shape.partition_key)?)?);
    let projects = members.contains_key("ProjectionExpression");
    if action == "GetItem" {
        context.one("dynamodb:Select", if projects { "SPECIFIC_ATTRIBUTES" } else { "ALL_ATTRIBUTES" });
    }
    if action != "GetItem" || projects {
        let mut touched = touched(members)?;
        touched.extend(holder.keys().cloned());
        context.set("dynamodb:Attributes", touched);
    }
    if let Some(values) = text_if_any(members, "ReturnValues")? {
        context.one("dynamodb:ReturnValues", values);
    }
    Ok(Need { action: format!("dynamodb:{action}"), resource: shape.arn.clone(), context })
}

/// A query, which names one partition of a table or an index, or a scan, which names none.
fn page(dynamo: &Dynamo, operation: &str, members: &Object) -> Result<Need, Malformed> {
    let shape = dynamo.table(text(members, "TableName")?)?;
    let index = text_if_any(members, "IndexName")?;
    let (resource, partition_key) = match index {
        Some(index) => {
            let key = shape.indexes.get(index).ok_or_else(|| wrong("IndexName"))?;
            (format!("{}/index/{index}", shape.arn), key)
        }
        None => (shape.arn.clone(), &shape.partition_key),
    };
    let mut context = Context::default();
    if operation == "Query" {
        let value =
            expression::partition(text(members, "KeyConditionExpression")?, &names(members)?, partition_key)?;
        let values = object_of(members, "ExpressionAttributeValues")?;
        context.one("dynamodb:LeadingKeys", scalar(member(values, &value)?)?);
    }
    let projects = members.contains_key("ProjectionExpression");
    let select = match (text_if_any(members, "Select")?, projects) {
        (None | Some("SPECIFIC_ATTRIBUTES"), true) => "SPECIFIC_ATTRIBUTES",
        // To say so without naming them would look like less than it is.
        (Some("SPECIFIC_ATTRIBUTES"), false) | (Some(_), true) => return Err(wrong("Select")),
        (Some(select), false) => select,
        (None, false) if index.is_some() => "ALL_PROJECTED_ATTRIBUTES",
        (None, false) => "ALL_ATTRIBUTES",
    };
    context.one("dynamodb:Select", select);
    let touched = touched(members)?;
    if projects {
        context.set("dynamodb:Attributes", touched);
    }
    Ok(Need { action: format!("dynamodb:{operation}"), resource, context })
}

fn transaction(dynamo: &Dynamo, operation: &str, body: &Value) -> Result<Vec<Need>, Malformed> {
    let writes = operation == "TransactWriteItems";
    let own: &[&str] = if writes { &["ClientRequestToken", "ReturnItemCollectionMetrics"] } else { &[] };
    let members = known(body, &[&["TransactItems", "ReturnConsumedCapacity"], own])?;
    let mut needs = Vec::new();
    for action in array(members, "TransactItems")? {
        let (kind, part) = only(action)?;
        let (action, members) = match (writes, kind) {
            (false, "Get") => ("GetItem", known(part, &[GET])?),
            (true, "Put") => ("PutItem", known(part, &[PUT, WRITE])?),
            (true, "Update") => ("UpdateItem", known(part, &[CHANGE, UPDATE, WRITE])?),
            (true, "Delete") => ("DeleteItem", known(part, &[CHANGE, WRITE])?),
            (true, "ConditionCheck") => ("ConditionCheckItem", known(part, &[CHANGE, WRITE])?),
            _ => return Err(wrong("TransactItems")),
        };
        let mut need = item(dynamo, action, members)?;
        need.context.one("dynamodb:EnclosingOperation", operation);
        needs.push(need);
    }
    if needs.is_empty() { Err(wrong("TransactItems")) } else { Ok(needs) }
}

/// A need for each table, with the leading keys of all its items.
fn batch(dynamo: &Dynamo, operation: &str, body: &Value) -> Result<Vec<Need>, Malformed> {
    let writes = operation == "BatchWriteItem";
    let own: &[&str] = if writes { &["ReturnItemCollectionMetrics"] } else { &[] };
    let members = known(body, &[&["RequestItems", "ReturnConsumedCapacity"], own])?;
    let mut needs: Vec<Need> = Vec::new();
    for (table, part) in object_of(members, "RequestItems")? {
        let shape = dynamo.table(table)?;
        // Once by name and once by ARN, the store would see one of the two.
        if needs.iter().any(|need| need.resource == shape.arn) {
            return Err(wrong("RequestItems"));
        }
        let mut context = Context::default();
        let items = if writes { written(part)? } else { read(part, &mut context)? };
        let leading = items.iter().map(|item| scalar(member(item, &shape.partition_key)?));
        let leading = leading.collect::<Result<Vec<_>, _>>()?;
        if leading.is_empty() {
            return Err(wrong("RequestItems"));
        }
        context.set("dynamodb:LeadingKeys", leading);
        if writes {
            let touched: BTreeSet<String> = items.iter().flat_map(|item| item.keys().cloned()).collect();
            context.set("dynamodb:Attributes", touched);
        }
        needs.push(Need { action: format!("dynamodb:{operation}"), resource: shape.arn.clone(), context });
    }
    if needs.is_empty() { Err(wrong("RequestItems")) } else { Ok(needs) }
}

fn read<'b>(part: &'b Value, context: &mut Context) -> Result<Vec<&'b Object>, Malformed> {
    let lists: &[&[&str]] =
        &[&["Keys", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames"]];
    let part = known(part, lists)?;
    let keys = array(part, "Keys")?.iter().map(object).collect::<Result<Vec<_>, _>>()?;
    if part.contains_key("ProjectionExpression") {
        let mut touched = touched(part)?;
        touched.extend(keys.iter().flat_map(|key| key.keys().cloned()));
        context.one("dynamodb:Select", "SPECIFIC_ATTRIBUTES");
        context.set("dynamodb:Attributes", touched);
    } else {
        context.one("dynamodb:Select", "ALL_ATTRIBUTES");
    }
    Ok(keys)
}

fn written(part: &Value) -> Result<Vec<&Object>, Malformed> {
    let writes = part.as_array().ok_or_else(|| wrong("RequestItems"))?;
    let item = |write| match only(write)? {
        ("PutRequest", put) => object_of(known(put, &[&["Item"]])?, "Item"),
        ("DeleteRequest", delete) => object_of(known(delete, &[&["Key"]])?, "Key"),
        _ => Err(wrong("RequestItems")),
    };
    writes.iter().map(item).collect()
}

/// The attributes that the expressions of a request touch at their top level.
fn touched(members: &Object) -> Result<BTreeSet<String>, Malformed> {
    let names = names(members)?;
    let mut touched = BTreeSet::new();
    for name in EXPRESSIONS {
        if let Some(text) = text_if_any(members, name)? {
            touched.extend(expression::attributes(text, &names)?);
        }
    }
    Ok(touched)
}

fn object_of<'b>(members: &'b Object, name: &str) -> Result<&'b Object, Malformed> {
    object(member(members, name)?)
}
