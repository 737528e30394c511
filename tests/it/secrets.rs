//! A tenant's secrets: written over REST by its admins, and opened inside a tool alone.

use bytes::Bytes;
use http::{Method, Response};
use insula_tenancy::Tier;
use serde_json::{Value, json};

use crate::{
    ask::{Own, ask, code_of, header, post_with},
    harness::{Stack, json_of, stack, tool_call},
    hook::Hook,
};

/// What an admin asks.
pub(crate) async fn admin(
    stack: &Stack,
    own: &Own,
    method: Method,
    path: &str,
    body: Value,
) -> Response<Bytes> {
    own.ask(stack, "workspace:admin", (method, path), (&[], &body)).await
}

/// Puts a secret, and says the status.
pub(crate) async fn put(stack: &Stack, own: &Own, name: &str, value: &str) -> u16 {
    let path = format!("/v1/secrets/{name}");
    admin(stack, own, Method::PUT, &path, json!({ "value": value })).await.status().as_u16()
}

/// Makes a note, and says its id.
pub(crate) async fn note(stack: &Stack, own: &Own) -> String {
    let made = own.post(stack, &[], &tool_call("notes_create", json!({ "title": "t", "text": "x" }))).await;
    json_of(&made)["result"]["structuredContent"]["id"].as_str().unwrap().to_owned()
}

/// Shares a note, which opens the tenant's secret: `ok`, or the code.
pub(crate) async fn share(stack: &Stack, own: &Own, note: &str) -> String {
    let reply = own.post(stack, &[], &tool_call("notes_share", json!({ "id": note }))).await;
    if json_of(&reply)["result"]["isError"] == false { "ok".to_owned() } else { code_of(&reply) }
}

#[tokio::test]
async fn a_secret_is_put_listed_replaced_and_deleted_and_its_value_is_in_no_reply() {
    let stack = stack();
    let own = Own::make(stack, "secrets-life", Tier::Starter).await;
    let made = admin(stack, &own, Method::PUT, "/v1/secrets/api_key", json!({ "value": "hunter2" })).await;
    assert_eq!(made.status(), 201);
    assert_eq!(header(made.headers(), "etag"), "\"1\"");
    assert_eq!(header(made.headers(), "location"), "/v1/secrets/api_key");
    let view = json_of(&made);
    assert_eq!((&view["name"], &view["version"]), (&json!("api_key"), &json!(1)));

    let path = (Method::PUT, "/v1/secrets/api_key");
    for (seen, status) in [("\"2\"", 409), ("\"1\"", 200), ("\"1\"", 409)] {
        let with = ([("if-match", seen)], json!({ "value": "hunter3" }));
        let reply = own.ask(stack, "workspace:admin", path.clone(), (&with.0, &with.1)).await;
        assert_eq!(reply.status(), status, "{seen}");
    }
    let listed = admin(stack, &own, Method::GET, "/v1/secrets", Value::Null).await;
    let body = json_of(&listed);
    let entry = &body["secrets"][0];
    assert_eq!((&entry["version"], &entry["created"]), (&json!(2), &view["created"]));
    assert_eq!(entry.as_object().unwrap().len(), 4, "name, version and two dates: {entry}");
    assert_ne!(entry["updated"], view["updated"]);
    assert_eq!((body["secrets"].as_array().unwrap().len(), &body["limit"]), (1, &json!(100)));

    let read = admin(stack, &own, Method::GET, "/v1/secrets/api_key", Value::Null).await;
    assert_eq!((read.status().as_u16(), header(read.headers(), "allow")), (405, "DELETE, PUT"));
    for (status, left) in [(204, 0), (404, 0)] {
        let gone = admin(stack, &own, Method::DELETE, "/v1/secrets/api_key", Value::Null).await;
        assert_eq!(gone.status(), status);
        let listed = json_of(&admin(stack, &own, Method::GET, "/v1/secrets", Value::Null).await);
        assert_eq!(listed["secrets"].as_array().unwrap().len(), left);
    }
    // A name that is free again is new, and none of its versions was another's.
    let again = admin(stack, &own, Method::PUT, "/v1/secrets/api_key", json!({ "value": "hunter4" })).await;
    assert_eq!((again.status().as_u16(), header(again.headers(), "etag")), (201, "\"3\""));
}

#[tokio::test]
async fn secrets_are_an_admins() {
    let stack = stack();
    let own = Own::make(stack, "secrets-role", Tier::Starter).await;
    assert_eq!(put(stack, &own, "b", "x").await, 201);
    for (scope, allowed) in
        [("workspace:admin", true), ("notes:read notes:write", false), ("notes:read", false)]
    {
        for (action, body, status) in [
            ((Method::GET, "/v1/secrets"), Value::Null, 200),
            ((Method::PUT, "/v1/secrets/a"), json!({ "value": "x" }), 201),
            ((Method::DELETE, "/v1/secrets/a"), Value::Null, 204),
            ((Method::POST, "/v1/secrets/re-seal"), Value::Null, 200),
        ] {
            let reply = own.ask(stack, scope, action.clone(), (&[], &body)).await;
            assert_eq!(reply.status(), if allowed { status } else { 403 }, "{scope} {action:?}");
        }
    }
}

#[tokio::test]
async fn every_limit_says_itself_and_the_value_and_nothing_quotes_what_was_sent() {
    let stack = stack();
    let own = Own::make(stack, "secrets-limits", Tier::Starter).await;
    let long = "a".repeat(65);
    for (name, body, status, said) in [
        ("ok", json!({ "value": "x" }), 201, ""),
        ("largest", json!({ "value": "x".repeat(65_536) }), 201, ""),
        ("over", json!({ "value": "x".repeat(65_537) }), 413, "has 65537 bytes, and at most 65536"),
        ("empty", json!({ "value": "" }), 400, "at least 1 byte"),
        ("Upper", json!({ "value": "x" }), 400, "1 to 64 of a-z"),
        ("a-b", json!({ "value": "x" }), 400, "1 to 64 of a-z"),
        (long.as_str(), json!({ "value": "x" }), 400, "this has 65 bytes"),
        ("a", json!({ "value": 31_415_926 }), 400, "that is a text"),
        ("a", json!({ "value": ["31415926"] }), 400, "that is a text"),
        ("a", json!({ "value": "x", "31415926": 1 }), 400, "one member"),
        ("a", json!("31415926"), 400, "an object"),
        ("a", Value::Null, 400, "body"),
    ] {
        let reply = admin(stack, &own, Method::PUT, &format!("/v1/secrets/{name}"), body).await;
        let detail = json_of(&reply)["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reply.status(), status, "{name}: {detail}");
        assert!(detail.contains(said) && !detail.contains("31415926"), "{name}: {detail}");
    }
    let twice = r#"{"value":"31415926","value":"x"}"#;
    let url = stack.host_url(&own.slug).replace("/mcp", "/v1/secrets/a");
    let bearer = format!("Bearer {}", own.token(stack));
    let reply = ask(stack, Method::PUT, &url, &[("authorization", &bearer)], twice).await;
    assert_eq!(reply.status(), 400);
    assert!(!String::from_utf8_lossy(reply.body()).contains("31415926"), "{reply:?}");
}

#[tokio::test]
async fn a_tenant_has_a_hundred_secrets_and_not_one_more() {
    let stack = stack();
    let own = Own::make(stack, "secrets-hundred", Tier::Business).await;
    for number in 0..99 {
        assert_eq!(put(stack, &own, &format!("s{number}"), "x").await, 201);
    }
    // Two at once for the last place: one of them gets it.
    let (a, b) = tokio::join!(put(stack, &own, "last", "x"), put(stack, &own, "lost", "x"));
    let mut said = [a, b];
    said.sort_unstable();
    assert_eq!(said, [201, 400]);
    let over = admin(stack, &own, Method::PUT, "/v1/secrets/more", json!({ "value": "x" })).await;
    assert_eq!(json_of(&over)["detail"], "secrets: 100 of at most 100");
    assert_eq!(put(stack, &own, "s0", "y").await, 200, "a new value needs no place");
    let gone = admin(stack, &own, Method::DELETE, "/v1/secrets/s0", Value::Null).await;
    assert_eq!((gone.status().as_u16(), put(stack, &own, "more", "x").await), (204, 201));
}

#[tokio::test]
async fn a_repeated_put_under_one_key_is_one_version() {
    let stack = stack();
    let own = Own::make(stack, "secrets-idem", Tier::Starter).await;
    for (key, value, status, version) in [
        ("one", "x", 201, json!(1)),
        ("one", "x", 201, json!(1)),
        ("one", "y", 422, Value::Null),
        ("two", "x", 200, json!(2)),
    ] {
        let action = (Method::PUT, "/v1/secrets/a");
        let with = ([("idempotency-key", key)], json!({ "value": value }));
        let reply = own.ask(stack, "workspace:admin", action, (&with.0, &with.1)).await;
        assert_eq!(
            (reply.status().as_u16(), &json_of(&reply)["version"]),
            (status, &version),
            "{key} {value}"
        );
    }
}

#[tokio::test]
async fn a_tenant_never_shares_with_anothers_secret() {
    let stack = stack();
    let own = Own::make(stack, "secrets-own", Tier::Starter).await;
    let other = Own::make(stack, "secrets-other", Tier::Starter).await;
    let (hook, theirs) = (Hook::start("200 OK").await, Hook::start("200 OK").await);
    assert_eq!(put(stack, &other, "slack_webhook", &theirs.url()).await, 201);
    let (mine, foreign) = (note(stack, &own).await, note(stack, &other).await);
    // Not set here, whatever is set there.
    let reply = own.post(stack, &[], &tool_call("notes_share", json!({ "id": mine }))).await;
    assert_eq!(code_of(&reply), "forbidden");
    let said = "the secret slack_webhook is not set in this workspace; one of its admins can set it";
    assert_eq!(json_of(&reply)["result"]["content"][0]["text"], said);
    assert_eq!(put(stack, &own, "slack_webhook", &hook.url()).await, 201);
    assert_eq!(share(stack, &own, &foreign).await, "not_found");
    assert_eq!(share(stack, &own, &mine).await, "ok");
    assert_eq!((hook.got().len(), theirs.got().len()), (1, 0));
    assert_eq!(share(stack, &other, &foreign).await, "ok");
    assert_eq!((hook.got().len(), theirs.got().len()), (1, 1));
    // A token of one tenant is nothing at the other's address.
    let url = stack.host_url(&other.slug);
    let call = tool_call("notes_share", json!({ "id": foreign }));
    let crossing = post_with(stack, &url, &own.token(stack), &[], &call).await;
    assert_eq!((crossing.status().as_u16(), theirs.got().len()), (401, 1));
}
