//! Items and results as large as they can be, and one byte more.

use http::Method;
use insula_gateway::rest::{Answer, Ask as Asked, Endpoint, Run, Takes, run};
use insula_tenancy::{Collection, Effect, RECORD_BYTES_MAX, Tier, WRITTEN_BYTES_MAX};
use serde_json::{Value, json};

use super::{Rest, tool};
use crate::{
    audit::trail,
    faults::{Ask, Guest, House},
    harness::json_of,
};

#[tokio::test]
async fn what_a_reply_has_no_room_for_is_read_by_asking_again() {
    let rest = Rest::make("items-large").await;
    // Each byte of it is two in a reply to Lambda, and six in that of a tool.
    let large = json!({ "a": "\"".repeat(190_000) });
    let mut ids = vec![rest.create("documents", json!({ "a": 1 })).await];
    for _ in 0..17 {
        ids.push(rest.create("documents", large.clone()).await);
    }
    let few = rest.ask((Method::POST, "documents/batch-get"), &[], &json!({ "ids": &ids[..6] })).await;
    assert_eq!(json_of(&few)["items"].as_array().unwrap().len(), 6);
    assert_eq!(json_of(&few)["unread"], Value::Null, "what fits is read as a whole");
    let (mut left, mut read) = (json!(ids), Vec::new());
    while !left.is_null() {
        let reply = rest.ask((Method::POST, "documents/batch-get"), &[], &json!({ "ids": left })).await;
        assert_eq!(reply.status(), 200, "{:?}", reply.body());
        let items = json_of(&reply)["items"].clone();
        read.extend(items.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        left = json_of(&reply)["unread"].clone();
    }
    assert_eq!(read, ids);
    let (mut cursor, mut listed) = (Value::Null, Vec::new());
    let mut pages = 0;
    while pages == 0 || !cursor.is_null() {
        let mut page = json!({ "collection": "documents", "limit": 100 });
        if !cursor.is_null() {
            page["cursor"] = cursor;
        }
        let reply = tool(&rest, "items_list", &page, (&json!({}), &json!({}))).await;
        let items =
            reply["structuredContent"]["items"].as_array().unwrap_or_else(|| panic!("{reply}")).clone();
        listed.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        cursor = reply["structuredContent"]["next_cursor"].clone();
        pages += 1;
    }
    assert_eq!((listed, pages), (ids, 9));
}

#[tokio::test]
async fn the_largest_item_is_made_once_under_its_key_by_either_door() {
    let rest = Rest::make("items-largest").await;
    // Whatever has to be escaped is twice as long in a text.
    let quotes = "\"".repeat(RECORD_BYTES_MAX / 2 - 4);
    let largest = json!({ "a": quotes });
    assert_eq!(largest.to_string().len(), RECORD_BYTES_MAX);
    let key = [("idempotency-key", "largest")];
    let make = async |value: &Value| rest.ask((Method::POST, "documents/items"), &key, value).await;
    let (made, again) = (make(&largest).await, make(&largest).await);
    assert_eq!((made.status().as_u16(), made.body()), (201, again.body()));
    let meta = json!({ "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "tenancy/idempotencyKey": "largest-by-a-tool",
    } });
    let call = async |value: &Value| {
        let arguments = json!({ "collection": "documents", "value": value });
        tool(&rest, "items_create", &arguments, (&json!({}), &meta)).await
    };
    let (made, again) = (call(&largest).await, call(&largest).await);
    assert_eq!(made["_meta"]["tenancy/error"], Value::Null);
    assert!(made["structuredContent"]["value"] == largest, "it is kept as it came");
    assert!(made == again, "a repetition says the same");
    let text: Value = serde_json::from_str(made["content"][0]["text"].as_str().unwrap()).unwrap();
    assert!(text == made["structuredContent"], "the text is the same once more");
    let listed = json_of(&rest.get("documents/items").await);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_result_that_cannot_be_kept_is_a_failed_call_that_says_its_bytes() {
    let results = run(async |_scope, ask: Asked| {
        let bytes: usize = ask.json()?;
        Answer::ok(&"x".repeat(bytes))
    });
    let house = House::open_with(vec![endpoint("collections/{collection}/results", results)]).await;
    let guest = Guest::make(&house, "items-results", Tier::Professional).await;
    let ask = |bytes: usize| Ask::rest(Method::POST, "/v1/collections/notes/results", &json!(bytes));
    let most = 399 * 1024 - r#"{"status":200,"body":"","version":null,"location":null}"#.len();
    assert!(guest.ask(&house, &ask(most).keyed("most")).await.is_done());
    let refused = guest.ask(&house, &ask(most + 1).keyed("more")).await;
    assert_eq!((refused.status, &*refused.code), (413, "too_large"));
    assert!(
        refused.body.contains("the result has 408577 bytes, and at most 408576 are allowed"),
        "{}",
        refused.body
    );
    assert!(guest.ask(&house, &ask(most + 1)).await.is_done(), "without a key none is kept");
    let reasons: Vec<_> =
        trail(house.stack, &guest.own).await.into_iter().map(|record| record.reason).collect();
    assert_eq!(reasons, ["ok", "too_large", "ok"]);
    assert_eq!(guest.own.meter(house.stack).await.0, 3);
}

/// An endpoint of a test that writes.
fn endpoint(path: &'static str, run: Run) -> Endpoint {
    Endpoint {
        method: Method::POST,
        path,
        query: &[],
        takes: Takes::Json,
        scopes: &["items:write"],
        action: "items_create",
        feature: None,
        effect: Effect::Write,
        run,
    }
}

#[tokio::test]
async fn a_transaction_as_large_as_may_be_is_kept_and_a_larger_one_is_a_failed_call() {
    // Items of these bytes, with as many different words as can be found.
    let run = run(async |scope: insula_tenancy::TenantScope, ask: Asked| {
        let collection = Collection::free_form("documents".parse().unwrap());
        for bytes in ask.json::<Vec<usize>>()? {
            let mut text: String = (0..).map(|n: u32| format!("w{n} ")).take(bytes / 8).collect();
            text.truncate(bytes - r#"{"a":""}"#.len());
            let fill = bytes - r#"{"a":""}"#.len() - text.len();
            scope.items(&collection).create(&json!({ "a": text + &"x".repeat(fill) }))?;
        }
        Answer::ok(&"x".repeat(390 * 1024))
    });
    let house = House::open_with(vec![endpoint("collections/{collection}/many", run)]).await;
    let guest = Guest::make(&house, "items-transaction-bytes", Tier::Professional).await;
    let ask = |sizes: &[usize]| Ask::rest(Method::POST, "/v1/collections/documents/many", &json!(sizes));
    let few: Vec<usize> =
        [RECORD_BYTES_MAX; 5].into_iter().chain([WRITTEN_BYTES_MAX - 5 * RECORD_BYTES_MAX]).collect();
    let many: Vec<usize> = [WRITTEN_BYTES_MAX / 90; 89]
        .into_iter()
        .chain([WRITTEN_BYTES_MAX - WRITTEN_BYTES_MAX / 90 * 89])
        .collect();
    for (key, mut sizes) in [("few", few), ("many", many)] {
        let kept = guest.ask(&house, &ask(&sizes).keyed(key)).await;
        assert!(kept.is_done(), "{key}: {} {}", kept.status, kept.code);
        *sizes.last_mut().unwrap() += 1;
        let refused = guest.ask(&house, &ask(&sizes).keyed("more")).await;
        assert_eq!((refused.status, &*refused.code), (413, "too_large"), "{key}");
        let said = "the transaction has 1966081 bytes, and at most 1966080 are allowed";
        assert!(refused.body.contains(said), "{}", refused.body);
    }
    let reasons: Vec<_> =
        trail(house.stack, &guest.own).await.into_iter().map(|record| record.reason).collect();
    assert_eq!(reasons, ["too_large", "ok", "too_large", "ok"]);
}
