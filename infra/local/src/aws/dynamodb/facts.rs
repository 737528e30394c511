//! What a call touches: action, table, leading keys and attributes, from its body alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{super::iam::Context, Dynamo, Malformed, Need};

type Names = BTreeMap<String, String>;

/// Members that carry attribute names in expressions.
const EXPRESSIONS: [&str; 5] = [
    "ProjectionExpression", "ConditionExpression", "FilterExpression", "KeyConditionExpression", "UpdateExpression",
];

/// Members that say nothing about what is touched.
const PLAIN: [&str; 18] = [
    "TableName", "Key", "Item", "ConsistentRead", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics",
    "ReturnValues", "ReturnValuesOnConditionCheckFailure", "ExpressionAttributeNames", "ExpressionAttributeValues",
    "Limit", "ScanIndexForward", "ExclusiveStartKey", "IndexName", "Select", "ClientRequestToken", "Segment",
    "TotalSegments",
];

/// Words of expressions that are no attributes.
const WORDS: [&str; 16] = [
    "SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN", "attribute_exists", "attribute_not_exists",
    "attribute_type", "begins_with", "contains", "size", "if_not_exists",
];

/// All needs of a call.
pub(super) fn needs(dynamo: &Dynamo, operation: &str, body: &Value) -> Result<Vec<Need>, Malformed> {
    let body = object(body)?;
    match operation {
        "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" | "Query" => {
            Ok(vec![single(dynamo, operation, body)?])
        }
        "Scan" | "DescribeTable" => {
            let shape = dynamo.table(text(body, "TableName")?)?;
            let resource = match body.get("IndexName").and_then(Value::as_str) {
                Some(index) => format!("{}/index/{index}", shape.arn),
                None => shape.arn.clone(),
            };
            Ok(vec![Need { action: format!("dynamodb:{operation}"), resource, context: Context::default() }])
        }
        "TransactWriteItems" | "TransactGetItems" => transaction(dynamo, operation, body),
        "BatchGetItem" | "BatchWriteItem" => batch(dynamo, operation, body),
        _ => Err(Malformed(format!("{operation} is not an operation of this store"))),
    }
}

fn single(dynamo: &Dynamo, action: &str, body: &Map<String, Value>) -> Result<Need, Malformed> {
    if let Some(other) = body.keys().find(|name| {
        !PLAIN.contains(&name.as_str()) && !EXPRESSIONS.contains(&name.as_str())
    }) {
        return Err(Malformed(format!("the member {other} is not understood")));
    }
    let shape = dynamo.table(text(body, "TableName")?)?;
    let index = body.get("IndexName").map(|index| index.as_str().ok_or_else(|| wrong("IndexName"))).transpose()?;
    let (resource, partition_key) = match index {
        Some(index) => {
            let key = shape.indexes.get(index).ok_or_else(|| wrong("IndexName"))?;
            (format!("{}/index/{index}", shape.arn), key)
        }
        None => (shape.arn.clone(), &shape.partition_key),
    };
    let names = names(body)?;
    let leading = match action {
        "Query" => queried(body, &names, partition_key)?,
        "PutItem" => key_text(object(member(body, "Item")?)?, partition_key)?,
        _ => key_text(object(member(body, "Key")?)?, partition_key)?,
    };
    let mut context = Context::default();
    context.one("dynamodb:LeadingKeys", leading);
    let reads = matches!(action, "GetItem" | "Query");
    let projects = body.contains_key("ProjectionExpression");
    if reads {
        let all = if index.is_some() { "ALL_PROJECTED_ATTRIBUTES" } else { "ALL_ATTRIBUTES" };
        let select = body.get("Select").and_then(Value::as_str);
        let default = if projects { "SPECIFIC_ATTRIBUTES" } else { all };
        context.one("dynamodb:Select", select.unwrap_or(default));
    }
    if let Some(values) = body.get("ReturnValues") {
        context.one("dynamodb:ReturnValues", values.as_str().ok_or_else(|| wrong("ReturnValues"))?);
    }
    if !reads || projects {
        context.set("dynamodb:Attributes", attributes(body, &names)?);
    }
    Ok(Need { action: format!("dynamodb:{action}"), resource, context })
}

fn transaction(
    dynamo: &Dynamo,
    operation: &str,
    body: &Map<String, Value>,
) -> Result<Vec<Need>, Malformed> {
    let items = member(body, "TransactItems")?.as_array().ok_or_else(|| wrong("TransactItems"))?;
    let mut needs = Vec::with_capacity(items.len());
    for item in items {
        let mut members = object(item)?.iter();
        let (Some((kind, part)), None) = (members.next(), members.next()) else {
            return Err(wrong("TransactItems"));
        };
        let part = object(part)?;
        let mut need = match (operation, kind.as_str()) {
            ("TransactGetItems", "Get") => single(dynamo, "GetItem", part)?,
            ("TransactWriteItems", "Put") => single(dynamo, "PutItem", part)?,
            ("TransactWriteItems", "Update") => single(dynamo, "UpdateItem", part)?,
            ("TransactWriteItems", "Delete") => single(dynamo, "DeleteItem", part)?,
            ("TransactWriteItems", "ConditionCheck") => single(dynamo, "ConditionCheckItem", part)?,
            _ => return Err(wrong("TransactItems")),
        };
        need.context.one("dynamodb:EnclosingOperation", operation);
        needs.push(need);
    }
    if needs.is_empty() { Err(wrong("TransactItems")) } else { Ok(needs) }
}

fn batch(dynamo: &Dynamo, operation: &str, body: &Map<String, Value>) -> Result<Vec<Need>, Malformed> {
    let tables = object(member(body, "RequestItems")?)?;
    let mut needs = Vec::with_capacity(tables.len());
    for (table, part) in tables {
        let shape = dynamo.table(table)?;
        let keys = if operation == "BatchGetItem" { batch_gets(part)? } else { batch_writes(part)? };
        let leading = keys.iter().map(|key| key_text(key, &shape.partition_key)).collect::<Result<Vec<_>, _>>()?;
        let mut context = Context::default();
        if leading.is_empty() {
            return Err(wrong("RequestItems"));
        }
        context.set("dynamodb:LeadingKeys", leading);
        if operation == "BatchGetItem" {
            context.one("dynamodb:Select", "ALL_ATTRIBUTES");
        }
        needs.push(Need { action: format!("dynamodb:{operation}"), resource: shape.arn.clone(), context });
    }
    if needs.is_empty() { Err(wrong("RequestItems")) } else { Ok(needs) }
}

fn batch_gets(part: &Value) -> Result<Vec<&Map<String, Value>>, Malformed> {
    let part = object(part)?;
    if let Some(other) = part.keys().find(|name| !["Keys", "ConsistentRead"].contains(&name.as_str())) {
        return Err(Malformed(format!("the member {other} is not understood")));
    }
    member(part, "Keys")?.as_array().ok_or_else(|| wrong("Keys"))?.iter().map(object).collect()
}

fn batch_writes(part: &Value) -> Result<Vec<&Map<String, Value>>, Malformed> {
    let writes = part.as_array().ok_or_else(|| wrong("RequestItems"))?;
    writes
        .iter()
        .map(|write| {
            let mut members = object(write)?.iter();
            match (members.next(), members.next()) {
                (Some((kind, put)), None) if kind == "PutRequest" => object(member(object(put)?, "Item")?),
                (Some((kind, delete)), None) if kind == "DeleteRequest" => object(member(object(delete)?, "Key")?),
                _ => Err(wrong("RequestItems")),
            }
        })
        .collect()
}

/// The partition key of a query: exactly one equality on it, and nothing but `AND` beside it.
fn queried(body: &Map<String, Value>, names: &Names, partition_key: &str) -> Result<String, Malformed> {
    let expression = text(body, "KeyConditionExpression")?;
    let plain = expression.replace(['(', ')'], " ");
    let words: Vec<&str> = plain.split_whitespace().collect();
    let upper = plain.to_ascii_uppercase();
    if [" OR ", "NOT ", "<>"].iter().any(|word| upper.contains(word)) {
        return Err(wrong("KeyConditionExpression"));
    }
    let spaced = words.join(" ").replace('=', " = ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut found = Vec::new();
    for window in words.windows(3) {
        if let [name, "=", value] = window
            && names.get(*name).map_or(*name, String::as_str) == partition_key
        {
            found.push(*value);
        }
    }
    let [value] = found.as_slice() else { return Err(wrong("KeyConditionExpression")) };
    let values = object(member(body, "ExpressionAttributeValues")?)?;
    scalar(values.get(*value).ok_or_else(|| wrong("KeyConditionExpression"))?)
}

/// The attributes that a call touches at their top level.
fn attributes(body: &Map<String, Value>, names: &Names) -> Result<BTreeSet<String>, Malformed> {
    let mut touched = BTreeSet::new();
    for part in ["Item", "Key"] {
        if let Some(part) = body.get(part) {
            touched.extend(object(part)?.keys().cloned());
        }
    }
    for name in EXPRESSIONS {
        let Some(expression) = body.get(name) else { continue };
        let expression = expression.as_str().ok_or_else(|| wrong(name))?;
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '#' | ':' | '.' | '-');
        for word in expression.split(|c| !part(c)) {
            let top = word.split('.').next().unwrap_or_default();
            if top.is_empty() || top.starts_with(':') || top.starts_with(|c: char| c.is_ascii_digit()) {
                continue;
            }
            if top.starts_with('#') {
                touched.insert(names.get(top).ok_or_else(|| wrong(name))?.clone());
            } else if !WORDS.iter().any(|known| known.eq_ignore_ascii_case(top)) {
                touched.insert(top.to_owned());
            }
        }
    }
    Ok(touched)
}

fn names(body: &Map<String, Value>) -> Result<Names, Malformed> {
    let Some(names) = body.get("ExpressionAttributeNames") else { return Ok(Names::new()) };
    object(names)?
        .iter()
        .map(|(short, name)| {
            let name = name.as_str().ok_or_else(|| wrong("ExpressionAttributeNames"))?;
            Ok((short.clone(), name.to_owned()))
        })
        .collect()
}

fn key_text(item: &Map<String, Value>, partition_key: &str) -> Result<String, Malformed> {
    scalar(item.get(partition_key).ok_or_else(|| wrong("the partition key"))?)
}

fn scalar(value: &Value) -> Result<String, Malformed> {
    let mut members = object(value)?.iter();
    match (members.next(), members.next()) {
        (Some((kind, Value::String(text))), None) if ["S", "N", "B"].contains(&kind.as_str()) => Ok(text.clone()),
        _ => Err(wrong("a key's value")),
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, Malformed> {
    value.as_object().ok_or_else(|| Malformed("an object is expected".to_owned()))
}

fn member<'b>(body: &'b Map<String, Value>, name: &str) -> Result<&'b Value, Malformed> {
    body.get(name).ok_or_else(|| wrong(name))
}

fn text<'b>(body: &'b Map<String, Value>, name: &str) -> Result<&'b str, Malformed> {
    member(body, name)?.as_str().ok_or_else(|| wrong(name))
}

fn wrong(what: &str) -> Malformed {
    Malformed(format!("{what} is missing or not understood"))
}
