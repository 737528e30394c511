//! What comes out of a table's stream.

use super::*;

fn streaming() -> (Dynamo, mpsc::UnboundedReceiver<Record>) {
    let dynamo = dynamo();
    let records = dynamo.take_records().unwrap();
    (dynamo, records)
}

fn item(pk: &str, n: u32) -> Value {
    with(&key(pk), json!({ "n": { "N": n.to_string() } }))
}

/// The records that are out: name, images.
fn out(records: &mut mpsc::UnboundedReceiver<Record>) -> Vec<(String, Value, Value)> {
    let mut all = Vec::new();
    while let Ok(record) = records.try_recv() {
        let change = &record["dynamodb"];
        let name = record["eventName"].as_str().unwrap().to_owned();
        all.push((name, change["OldImage"].clone(), change["NewImage"].clone()));
    }
    all
}

#[tokio::test]
async fn a_change_comes_out_once_with_what_was_before_and_is_after() {
    let (dynamo, mut records) = streaming();
    let put = |n| json!({ "TableName": TABLE, "Item": item("A", n) });
    for n in [1, 1, 2] {
        assert_eq!(dynamo.serve("PutItem", put(n)).await.status, 200);
    }
    dynamo.serve("GetItem", json!({ "TableName": "data", "Key": key("A") })).await;
    dynamo.serve("DeleteItem", json!({ "TableName": "data", "Key": key("A") })).await;
    dynamo.serve("DeleteItem", json!({ "TableName": "data", "Key": key("A") })).await;
    let expected = [
        ("INSERT".to_owned(), Value::Null, item("A", 1)),
        ("MODIFY".to_owned(), item("A", 1), item("A", 2)),
        ("REMOVE".to_owned(), item("A", 2), Value::Null),
    ];
    assert_eq!(out(&mut records), expected, "neither a read nor a write that changes nothing is a change");
}

#[tokio::test]
async fn a_transaction_comes_out_item_by_item_and_a_cancelled_one_does_not() {
    let (dynamo, mut records) = streaming();
    let transact = |condition: &str| {
        let put = |pk: &str| {
            json!({ "Put": { "TableName": "data", "Item": item(pk, 1),
            "ConditionExpression": condition } })
        };
        json!({ "TransactItems": [put("A"), put("B")] })
    };
    dynamo.serve("TransactWriteItems", transact("attribute_exists(pk)")).await;
    assert_eq!(out(&mut records), []);
    dynamo.serve("TransactWriteItems", transact("attribute_not_exists(pk)")).await;
    let batch = json!({ "RequestItems": { "data": [
        { "PutRequest": { "Item": item("C", 1) } }, { "DeleteRequest": { "Key": key("A") } },
    ] } });
    dynamo.serve("BatchWriteItem", batch).await;
    let names: Vec<_> = out(&mut records).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["INSERT", "INSERT", "INSERT", "REMOVE"]);
}
