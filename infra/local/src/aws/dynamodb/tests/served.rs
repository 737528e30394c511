//! What the store answers.

use super::*;

async fn ok(dynamo: &Dynamo, operation: &str, body: Value) -> Value {
    let reply = dynamo.serve(operation, body).await;
    assert_eq!(reply.status, 200, "{operation}: {}", reply.body);
    reply.body
}

async fn refused(dynamo: &Dynamo, operation: &str, body: Value) -> (String, Value) {
    let reply = dynamo.serve(operation, body).await;
    assert_eq!(reply.status, 400, "{operation}: {}", reply.body);
    let kind = reply.body["__type"].as_str().unwrap();
    (kind.rsplit('#').next().unwrap().to_owned(), reply.body.clone())
}

fn item(pk: &str, n: u32) -> Value {
    with(&key(pk), json!({ "n": { "N": n.to_string() } }))
}

#[tokio::test]
async fn what_is_put_is_read_and_queried_and_scanned() {
    let dynamo = dynamo();
    ok(&dynamo, "PutItem", json!({ "TableName": "data", "Item": item("A", 1) })).await;
    for table in ["data", TABLE] {
        let got = ok(&dynamo, "GetItem", json!({ "TableName": table, "Key": key("A") })).await;
        assert_eq!(got, json!({ "Item": item("A", 1) }));
    }
    let none = ok(&dynamo, "GetItem", json!({ "TableName": "data", "Key": key("B") })).await;
    assert_eq!(none, json!({}));
    let query = json!({ "TableName": "data", "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": { ":p": { "S": "A" } } });
    assert_eq!(ok(&dynamo, "Query", query).await["Count"], 1);
    assert_eq!(ok(&dynamo, "Scan", json!({ "TableName": "data" })).await["Count"], 1);
    let described = ok(&dynamo, "DescribeTable", json!({ "TableName": "data" })).await;
    assert_eq!(described["Table"]["LatestStreamArn"], format!("{TABLE}/stream/local"));
    let unkept = json!({ "TableName": "data", "StreamSpecification": { "StreamEnabled": false } });
    assert!(dynamo.needs("UpdateTable", &unkept).is_err(), "a stream is not ended here");
    let (kind, _) = refused(&dynamo, "ListTables", json!({})).await;
    assert_eq!(kind, "UnknownOperationException");
}

#[tokio::test]
async fn a_cancelled_transaction_changes_nothing_and_says_why_item_by_item() {
    let dynamo = dynamo();
    ok(&dynamo, "PutItem", json!({ "TableName": "data", "Item": item("A", 1) })).await;
    let transaction = |condition: &str| {
        json!({ "TransactItems": [
            { "Put": { "TableName": "data", "Item": item("B", 2) } },
            { "Put": { "TableName": "data", "Item": item("A", 2), "ConditionExpression": condition,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD" } },
        ] })
    };
    let (kind, body) = refused(&dynamo, "TransactWriteItems", transaction("attribute_not_exists(pk)")).await;
    assert_eq!(kind, "TransactionCanceledException");
    let reasons = &body["CancellationReasons"];
    assert_eq!(reasons[0]["Code"], "None");
    assert_eq!((&reasons[1]["Code"], &reasons[1]["Item"]), (&json!("ConditionalCheckFailed"), &item("A", 1)));
    let absent = ok(&dynamo, "GetItem", json!({ "TableName": "data", "Key": key("B") })).await;
    assert_eq!(absent, json!({}));
    ok(&dynamo, "TransactWriteItems", transaction("attribute_exists(pk)")).await;
    let both = json!({ "TransactItems": [
        { "Get": { "TableName": "data", "Key": key("A") } }, { "Get": { "TableName": "data", "Key": key("B") } },
    ] });
    let got = ok(&dynamo, "TransactGetItems", both).await;
    assert_eq!(got, json!({ "Responses": [{ "Item": item("A", 2) }, { "Item": item("B", 2) }] }));
}

#[tokio::test]
async fn a_condition_that_fails_gives_the_old_item_when_asked() {
    let dynamo = dynamo();
    ok(&dynamo, "PutItem", json!({ "TableName": "data", "Item": item("A", 1) })).await;
    let put = |condition: &str| {
        json!({ "TableName": "data", "Item": item("A", 2), "ConditionExpression": condition,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD" })
    };
    let (kind, body) = refused(&dynamo, "PutItem", put("attribute_not_exists(pk)")).await;
    assert_eq!((kind.as_str(), &body["Item"]), ("ConditionalCheckFailedException", &item("A", 1)));
    ok(&dynamo, "PutItem", put("attribute_exists(pk)")).await;
}

#[tokio::test]
async fn a_token_used_again_is_a_replay_or_with_other_items_a_mismatch() {
    let dynamo = dynamo();
    let add = |by: &str| {
        json!({ "ClientRequestToken": "token", "TransactItems": [{ "Update": { "TableName": "data",
            "Key": key("A"), "UpdateExpression": "ADD n :n",
            "ExpressionAttributeValues": { ":n": { "N": by } } } }] })
    };
    ok(&dynamo, "TransactWriteItems", add("1")).await;
    ok(&dynamo, "TransactWriteItems", add("1")).await;
    let (kind, _) = refused(&dynamo, "TransactWriteItems", add("2")).await;
    assert_eq!(kind, "IdempotentParameterMismatchException");
    let got = ok(&dynamo, "GetItem", json!({ "TableName": "data", "Key": key("A") })).await;
    assert_eq!(got["Item"]["n"], json!({ "N": "1" }));
}

#[tokio::test]
async fn batches_write_and_read() {
    let dynamo = dynamo();
    let writes = json!({ "RequestItems": { "data": [{ "PutRequest": { "Item": item("A", 1) } }] } });
    assert_eq!(ok(&dynamo, "BatchWriteItem", writes).await["UnprocessedItems"], json!({}));
    for table in ["data", TABLE] {
        let reads = json!({ "RequestItems": { table: { "Keys": [key("A")] } } });
        assert_eq!(ok(&dynamo, "BatchGetItem", reads).await["Responses"]["data"], json!([item("A", 1)]));
    }
    let reads = json!({ "TransactItems": [{ "Get": { "TableName": TABLE, "Key": key("A") } }] });
    assert_eq!(ok(&dynamo, "TransactGetItems", reads).await["Responses"], json!([{ "Item": item("A", 1) }]));
}

#[tokio::test]
async fn a_kept_table_is_there_after_a_restart_and_refused_with_other_keys() {
    let folder = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    fs::create_dir(&folder).unwrap();
    let open = |table: Table| Dynamo::open(&[table], Some(&folder));
    let first = open(table()).unwrap();
    ok(&first, "PutItem", json!({ "TableName": "data", "Item": item("A", 1) })).await;
    #[cfg(unix)]
    for file in fs::read_dir(&folder).unwrap() {
        let file = file.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
    }
    drop(first);
    let again = open(table()).unwrap();
    let got = ok(&again, "GetItem", json!({ "TableName": "data", "Key": key("A") })).await;
    assert_eq!(got["Item"], item("A", 1));
    drop(again);
    let mut other = table();
    other.create["KeySchema"] = json!([{ "AttributeName": "sk", "KeyType": "HASH" },
        { "AttributeName": "pk", "KeyType": "RANGE" }]);
    assert!(open(other).is_err());
    fs::remove_dir_all(folder).unwrap();
}
