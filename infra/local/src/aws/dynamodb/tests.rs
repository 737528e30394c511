//! Each refusal beside its twin, and what a call that is understood needs.

use super::*;

mod served;
mod streams;

const TABLE: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/data";

fn table() -> Table {
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let keys = |hash: &str, range: &str| json!([{ "AttributeName": hash, "KeyType": "HASH" }, { "AttributeName": range, "KeyType": "RANGE" }]);
    let create = json!({
        "TableName": "data",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [attribute("pk"), attribute("sk"), attribute("ipk")],
        "KeySchema": keys("pk", "sk"),
        "GlobalSecondaryIndexes": [
            { "IndexName": "by-i", "KeySchema": keys("ipk", "sk"), "Projection": { "ProjectionType": "ALL" } },
        ],
        "SSESpecification": { "SSEEnabled": true },
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        "DeletionProtectionEnabled": true,
    });
    Table {
        name: "data".to_owned(),
        arn: TABLE.to_owned(),
        create,
        ttl_attribute: Some("expires".to_owned()),
    }
}

fn dynamo() -> Dynamo {
    Dynamo::open(&[table()], None).unwrap()
}

fn key(pk: &str) -> Value {
    json!({ "pk": { "S": pk }, "sk": { "S": "1" } })
}

/// The first object with the members of the second.
fn with(base: &Value, more: Value) -> Value {
    let mut base = base.clone();
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

/// `action resource leading keys | attributes | select | return values | enclosing operation`, a line a need.
fn lines(operation: &str, body: &Value) -> Result<Vec<String>, Malformed> {
    let fact = |need: &Need, name: &str| {
        need.context.get(&format!("dynamodb:{name}")).map_or("-".to_owned(), |values| values.join(","))
    };
    let line = |need: &Need| {
        let facts = ["LeadingKeys", "Attributes", "Select", "ReturnValues", "EnclosingOperation"];
        let facts: Vec<String> = facts.iter().map(|name| fact(need, name)).collect();
        let action = need.action.strip_prefix("dynamodb:").unwrap();
        let resource = need.resource.strip_prefix(TABLE).unwrap();
        format!("{action} {resource}| {}", facts.join(" | "))
    };
    dynamo().needs(operation, body).map(|needs| needs.iter().map(line).collect())
}

#[test]
fn every_operation_says_what_it_touches() {
    let get = json!({ "TableName": "data", "Key": key("A") });
    let names = json!({ "#p": "plan.row", "#n": "n" });
    let query = json!({ "TableName": "data", "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": { ":p": { "S": "A" }, ":q": { "S": "B" } } });
    let put = json!({ "TableName": "data", "Item": with(&key("A"), json!({ "x": { "N": "1" } })) });
    let update = json!({ "TableName": TABLE, "Key": key("A"), "ReturnValues": "ALL_NEW",
        "UpdateExpression": "SET a.b[0] = if_not_exists(#n, :z) - :o, l = list_append(m, :l) REMOVE #p.#n ADD u :o",
        "ConditionExpression": "attribute_not_exists(c) AND (size(d) < :o OR NOT e IN (:o, f)) and contains(g, :o)",
        "ExpressionAttributeNames": names });
    let cases = [
        ("GetItem", get.clone(), "GetItem | A | - | ALL_ATTRIBUTES | - | -"),
        (
            "GetItem",
            with(
                &get,
                json!({ "ProjectionExpression": "a.b, #p[1].z,c", "ExpressionAttributeNames": names }),
            ),
            "GetItem | A | a,c,pk,plan.row,sk | SPECIFIC_ATTRIBUTES | - | -",
        ),
        ("PutItem", put, "PutItem | A | pk,sk,x | - | - | -"),
        ("UpdateItem", update, "UpdateItem | A | a,c,d,e,f,g,l,m,n,pk,plan.row,sk,u | - | ALL_NEW | -"),
        ("DeleteItem", get.clone(), "DeleteItem | A | pk,sk | - | - | -"),
        ("Query", query.clone(), "Query | A | - | ALL_ATTRIBUTES | - | -"),
        ("Query", with(&query, json!({ "Select": "COUNT" })), "Query | A | - | COUNT | - | -"),
        (
            "Query",
            with(&query, json!({ "ProjectionExpression": "a", "FilterExpression": "b = :q" })),
            "Query | A | a,b,pk | SPECIFIC_ATTRIBUTES | - | -",
        ),
        (
            "Query",
            with(&query, json!({ "IndexName": "by-i", "KeyConditionExpression": "ipk=:q" })),
            "Query /index/by-i| B | - | ALL_PROJECTED_ATTRIBUTES | - | -",
        ),
        ("Scan", json!({ "TableName": "data" }), "Scan | - | - | ALL_ATTRIBUTES | - | -"),
        ("DescribeTable", json!({ "TableName": "data" }), "DescribeTable | - | - | - | - | -"),
        (
            "BatchGetItem",
            json!({ "RequestItems": { "data": { "Keys": [key("A"), key("B")] } } }),
            "BatchGetItem | A,B | - | ALL_ATTRIBUTES | - | -",
        ),
        (
            "BatchWriteItem",
            json!({ "RequestItems": { "data": [
                { "PutRequest": { "Item": with(&key("A"), json!({ "x": { "N": "1" } })) } },
                { "DeleteRequest": { "Key": key("B") } },
            ] } }),
            "BatchWriteItem | A,B | pk,sk,x | - | - | -",
        ),
    ];
    for (operation, body, line) in cases {
        assert_eq!(lines(operation, &body), Ok(vec![line.to_owned()]), "{operation} {body}");
    }
}

#[test]
fn a_transaction_needs_what_each_of_its_items_needs() {
    let part = |pk: &str| json!({ "TableName": "data", "Key": key(pk) });
    let check = json!({ "ConditionExpression": "attribute_exists(c)" });
    let body = json!({ "ClientRequestToken": "t", "TransactItems": [
        { "Put": { "TableName": "data", "Item": key("A") } },
        { "Update": with(&part("B"), json!({ "UpdateExpression": "REMOVE x" })) },
        { "Delete": part("C") },
        { "ConditionCheck": with(&part("D"), check) },
    ] });
    let expected = [
        "PutItem | A | pk,sk | - | - | TransactWriteItems",
        "UpdateItem | B | pk,sk,x | - | - | TransactWriteItems",
        "DeleteItem | C | pk,sk | - | - | TransactWriteItems",
        "ConditionCheckItem | D | c,pk,sk | - | - | TransactWriteItems",
    ];
    assert_eq!(lines("TransactWriteItems", &body).unwrap(), expected);
    let body = json!({ "TransactItems": [{ "Get": part("A") }] });
    let expected = ["GetItem | A | - | ALL_ATTRIBUTES | - | TransactGetItems"];
    assert_eq!(lines("TransactGetItems", &body).unwrap(), expected);
}

#[test]
fn a_query_is_understood_only_by_its_one_partition() {
    let ask = |expression: &str| {
        lines(
            "Query",
            &json!({ "TableName": "data", "KeyConditionExpression": expression,
            "ExpressionAttributeNames": { "#pk": "pk", "#sk": "sk" },
            "ExpressionAttributeValues": { ":p": { "S": "A" }, ":q": { "S": "B" }, ":n": { "N": "1" } } }),
        )
    };
    for good in [
        "pk = :p",
        "#pk=:p",
        "(pk = :p)",
        "( #pk = :p )AND(begins_with( sk , :q))",
        "sk = :q and pk = :p",
        "sk BETWEEN :q AND :q AND pk = :p",
        "(pk = :p AND sk <= :q)",
        "\tpk\n=\r:p",
    ] {
        assert_eq!(ask(good), Ok(vec!["Query | A | - | ALL_ATTRIBUTES | - | -".to_owned()]), "{good}");
    }
    for bad in [
        "",
        "sk = :p",
        "pk = :p AND pk = :q",
        "pk = :p AND #pk = :q",
        "pk = :p OR pk = :q",
        "pk = :p OR sk = :q",
        "NOT pk = :q",
        "pk <> :p",
        "pk >= :p",
        "begins_with(pk, :p)",
        "pk BETWEEN :p AND :q",
        ":p = pk",
        "pk = :p AND :q = sk",
        "pk = :missing",
        "#missing = :p",
        "pk = sk",
        "pk.x = :p",
        "pk = :p)",
        "(pk = :p",
        "pk = :p sk = :q",
        "pk = :p AND",
        "pk\u{a0}= :p",
        "pk = :p;",
    ] {
        assert!(ask(bad).is_err(), "{bad}: {:?}", ask(bad));
    }
}

#[test]
fn a_call_on_one_item_that_is_not_understood_is_refused_beside_its_twin() {
    let get = json!({ "TableName": "data", "Key": key("A") });
    let put = json!({ "TableName": "data", "Item": with(&key("B"), json!({ "ipk": { "S": "A" } })) });
    let twins = [
        ("GetItem", get.clone(), json!({ "Select": "SPECIFIC_ATTRIBUTES" })),
        ("GetItem", get.clone(), json!({ "ProjectionExpression": null })),
        ("GetItem", get.clone(), json!({ "projectionExpression": "pk" })),
        ("GetItem", get.clone(), json!({ "AttributesToGet": ["pk"] })),
        ("GetItem", get.clone(), json!({ "IndexName": "by-i" })),
        ("GetItem", get.clone(), json!({ "TableName": "other" })),
        (
            "GetItem",
            get.clone(),
            json!({ "TableName": "arn:aws:dynamodb:eu-central-1:999999999999:table/data" }),
        ),
        ("GetItem", get.clone(), json!({ "Key": { "sk": { "S": "1" } } })),
        ("GetItem", get.clone(), json!({ "Key": { "pk": { "S": "A", "N": "1" }, "sk": { "S": "1" } } })),
        ("GetItem", get.clone(), json!({ "Key": { "pk": { "L": [] }, "sk": { "S": "1" } } })),
        ("GetItem", get.clone(), json!({ "ProjectionExpression": "#missing" })),
        ("GetItem", get.clone(), json!({ "ProjectionExpression": "a;b" })),
        (
            "GetItem",
            get.clone(),
            json!({ "ExpressionAttributeNames": { "pk": "x" }, "ProjectionExpression": "pk" }),
        ),
        ("PutItem", put.clone(), json!({ "IndexName": "by-i" })),
        ("PutItem", put.clone(), json!({ "Key": key("A") })),
        ("PutItem", put.clone(), json!({ "Expected": {} })),
        ("PutItem", put, json!({ "ConditionExpression": "unknown(a)" })),
        ("UpdateItem", get.clone(), json!({ "AttributeUpdates": {} })),
        ("DeleteItem", get, json!({ "UpdateExpression": "REMOVE a" })),
    ];
    assert_twins(&twins);
}

#[test]
fn a_call_on_many_items_that_is_not_understood_is_refused_beside_its_twin() {
    let get = json!({ "TableName": "data", "Key": key("A") });
    let query = json!({ "TableName": "data", "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": { ":p": { "S": "A" } } });
    let batch = |table: Value| json!({ "RequestItems": { "data": table } });
    let twins = [
        ("Query", query.clone(), json!({ "KeyConditions": {} })),
        ("Query", query.clone(), json!({ "Select": "SPECIFIC_ATTRIBUTES" })),
        ("Query", query.clone(), json!({ "IndexName": null })),
        ("Query", query.clone(), json!({ "IndexName": "unknown" })),
        ("Query", query.clone(), json!({ "IndexName": "by-i" })),
        ("Query", query, json!({ "ExpressionAttributeValues": { ":p": { "SS": ["A"] } } })),
        ("Scan", json!({ "TableName": "data" }), json!({ "ScanFilter": {} })),
        ("DescribeTable", json!({ "TableName": "data" }), json!({ "IndexName": "by-i" })),
        ("BatchGetItem", batch(json!({ "Keys": [key("A")] })), batch(json!({ "Keys": [] }))),
        (
            "BatchGetItem",
            batch(json!({ "Keys": [key("A")] })),
            batch(json!({ "Keys": [key("A")], "keys": [] })),
        ),
        ("BatchGetItem", batch(json!({ "Keys": [key("A")] })), json!({ "RequestItems": {} })),
        (
            "BatchGetItem",
            batch(json!({ "Keys": [key("A")] })),
            json!({ "RequestItems": { "data": { "Keys": [key("A")] }, TABLE: { "Keys": [key("B")] } } }),
        ),
        (
            "BatchWriteItem",
            batch(json!([{ "DeleteRequest": { "Key": key("A") } }])),
            batch(json!([{ "DeleteRequest": { "Key": key("A") }, "PutRequest": { "Item": key("B") } }])),
        ),
        (
            "TransactWriteItems",
            json!({ "TransactItems": [{ "Delete": get.clone() }] }),
            json!({ "TransactItems": [{ "Delete": get.clone(), "Put": get.clone() }] }),
        ),
        (
            "TransactWriteItems",
            json!({ "TransactItems": [{ "Delete": get.clone() }] }),
            json!({ "TransactItems": [{ "Delete": with(&get, json!({ "IndexName": "by-i" })) }] }),
        ),
        ("TransactGetItems", json!({ "TransactItems": [{ "Get": get }] }), json!({ "TransactItems": [] })),
    ];
    assert_twins(&twins);
    assert!(lines("ExecuteStatement", &json!({ "Statement": "SELECT * FROM data" })).is_err());
}

/// Each is an operation, a request that is understood, and the members that make it one that is not.
fn assert_twins(twins: &[(&str, Value, Value)]) {
    for (operation, good, change) in twins {
        assert!(lines(operation, good).is_ok(), "{operation} {good}: {:?}", lines(operation, good));
        let bad = with(good, change.clone());
        assert!(lines(operation, &bad).is_err(), "{operation} {bad}");
    }
}
