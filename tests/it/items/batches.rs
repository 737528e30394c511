//! Many items in one request: written in parts or all together, and what is said of a part that fails.

use http::Method;
use insula_local::aws::{Fault, FaultKind};
use insula_tenancy::{Tier, WRITES_MAX};
use serde_json::{Value, json};

use super::{Rest, note};
use crate::{
    ask::header,
    audit::attempts::told,
    faults::{Ask, Guest, House, Session},
    harness::{json_of, metrics_of},
};

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let rest = Rest::make("items-transaction").await;
    let (a, b) = (rest.create("notes", note("a")).await, rest.create("notes", note("b")).await);
    let send = async |operations: Value| {
        rest.ask((Method::POST, "notes/transaction"), &[], &json!({ "operations": operations })).await
    };
    let operations = |version: u64| {
        json!([
            { "op": "create", "value": note("c") },
            { "op": "replace", "id": a, "version": 1, "value": note("a2") },
            { "op": "check", "id": b, "version": version },
        ])
    };
    let refused = send(operations(2)).await;
    assert_eq!(refused.status(), 409);
    assert_eq!(json_of(&refused)["detail"], "operations[2]: the note has version 1, not 2");
    assert_eq!(rest.titles("").await, ["a", "b"]);
    let done = json_of(&send(operations(1)).await);
    assert_eq!((&done["done"][1]["version"], &done["done"][2]["op"]), (&json!(2), &json!("check")));
    assert_eq!(rest.titles("").await, ["a2", "b", "c"]);
    let many: Vec<_> = (0..=WRITES_MAX).map(|_| json!({ "op": "create", "value": note("x") })).collect();
    let too_many = send(json!(many)).await;
    assert_eq!(json_of(&too_many)["detail"], "operations: 91, of 1 to 90");
}

#[tokio::test]
async fn a_batch_is_done_in_parts_and_a_repetition_does_what_is_missing() {
    let rest = Rest::make("items-batch").await;
    let mut operations: Vec<_> =
        (0..WRITES_MAX + 10).map(|n| json!({ "op": "create", "value": note(&format!("n{n}")) })).collect();
    operations[WRITES_MAX + 5] = json!({ "op": "delete", "id": "missing" });
    let key = [("idempotency-key", "batch")];
    let body = json!({ "operations": operations });
    let send = async || rest.ask((Method::POST, "notes/batch-write"), &key, &body).await;
    let first = json_of(&send().await);
    assert_eq!(first["parts"][0]["done"].as_array().unwrap().len(), WRITES_MAX);
    let failed = json!({ "from": 90, "failed": 10, "code": "not_found", "detail": "operations[5]: there is no such note" });
    assert_eq!(first["parts"][1], failed);
    assert_eq!(rest.own.notes(rest.stack).await, WRITES_MAX);
    let again = json_of(&send().await);
    assert_eq!(again, first, "what was done is not done again");
    assert_eq!(rest.own.notes(rest.stack).await, WRITES_MAX);
}

#[tokio::test]
async fn what_was_wrong_in_one_of_many_operations_is_said_with_its_place() {
    let rest = Rest::make("items-places").await;
    let id = rest.create("documents", json!({ "a": 1 })).await;
    let good = json!({ "op": "create", "value": { "a": 1 } });
    let said = async |number: usize, wrong: &Value| {
        let mut operations = vec![good.clone(); 60];
        operations[number] = wrong.clone();
        let body = json!({ "operations": operations });
        let reply = rest.ask((Method::POST, "documents/transaction"), &[], &body).await;
        (reply.status().as_u16(), json_of(&reply)["detail"].as_str().unwrap_or_default().to_owned())
    };
    let replace =
        |version: u64, value: Value| json!({ "op": "replace", "id": id, "version": version, "value": value });
    let huge = "x".repeat(390_000);
    for (wrong, status, detail) in [
        (json!({ "op": "delete", "id": "missing" }), 404, "there is no such item"),
        (replace(1, json!({ "a": huge })), 413, "the item has 390008 bytes, and at most 389120 are allowed"),
        (replace(2, json!({})), 409, "the item has version 1, not 2"),
        (replace(1, json!(7)), 400, "item: a JSON object is expected"),
    ] {
        assert_eq!(said(57, &wrong).await, (status, format!("operations[57]: {detail}")));
    }
    assert_eq!(said(57, &replace(1, json!({}))).await, (200, String::new()));
}

#[tokio::test]
async fn an_item_that_changes_while_a_transaction_is_on_its_way_is_named() {
    let house = House::open().await;
    let guest = Guest::make(&house, "items-meanwhile", Tier::Professional).await;
    let make = async || {
        let said =
            guest.ask(&house, &Ask::rest(Method::POST, "/v1/collections/notes/items", &note("n"))).await;
        serde_json::from_str::<Value>(&said.body).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (one, other) = (make().await, make().await);
    let check = |version: u64| {
        let operations = json!([
            { "op": "replace", "id": one, "version": version, "value": note("changed") },
            { "op": "check", "id": other, "version": 1 },
        ]);
        Ask::rest(Method::POST, "/v1/collections/notes/transaction", &json!({ "operations": operations }))
    };
    let (session, mut arrivals) = Session::as_told();
    let ask = check(1);
    let meanwhile = async {
        let arrival = arrivals.recv().await.unwrap();
        let patch = Ask::rest(
            Method::PATCH,
            format!("/v1/collections/notes/items/{other}"),
            &json!({ "text": "later" }),
        );
        assert!(guest.ask(&house, &patch).await.is_done());
        arrival.answer.send(house.wire.0.ask(arrival.request).await.unwrap()).unwrap();
        // The one that records what came of it.
        let arrival = arrivals.recv().await.unwrap();
        arrival.answer.send(house.wire.0.ask(arrival.request).await.unwrap()).unwrap();
    };
    let running = async {
        tokio::select! {
            said = session.run(guest.ask(&house, &ask)) => said.unwrap(),
            () = async { meanwhile.await; std::future::pending().await } => unreachable!(),
        }
    };
    let said = running.await;
    let body: Value = serde_json::from_str(&said.body).unwrap();
    assert_eq!((said.status, &*said.code), (409, "conflict"));
    assert_eq!(body["detail"], format!("the item {other} of notes has changed meanwhile"));
    assert!(!guest.ask(&house, &check(1)).await.is_done(), "it is another version now");
}

#[tokio::test]
async fn a_part_that_aws_refuses_is_told_as_a_call_would_be() {
    let rest = Rest::make("items-denied-part").await;
    let write = async |title: &str| {
        let body = json!({ "operations": [{ "op": "create", "value": note(title) }] });
        let reply = rest.ask((Method::POST, "notes/batch-write"), &[], &body).await;
        assert_eq!(
            (reply.status().as_u16(), header(reply.headers(), "content-type")),
            (200, "application/json")
        );
        json_of(&reply)["parts"][0].clone()
    };
    let codes = || {
        let lines = metrics_of(&rest.own.id).into_iter();
        let batches = lines.filter(|line| line["action"] == "items_batch_write");
        batches.map(|line| line["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(write("plain").await["done"].as_array().unwrap().len(), 1);
    assert_eq!((codes(), told(rest.stack, &rest.own)), (vec!["ok".to_owned()], vec![]));
    let fault = Fault {
        service: "dynamodb".to_owned(),
        operation: "TransactWriteItems".to_owned(),
        kind: FaultKind::Deny,
    };
    rest.stack.local.aws.fault_within(fault, "refused-by-a-wall");
    let part = write("refused-by-a-wall").await;
    assert_eq!((&part["code"], &part["detail"]), (&json!("internal"), &json!("internal error")));
    assert_eq!(codes(), ["ok", "internal"]);
    assert_eq!(told(rest.stack, &rest.own), [("access_denied".to_owned(), Value::Null)]);
}
