//! A tenant's secrets: written over REST by its admins, opened inside a tool alone, and sealed to the place where they are.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::primitives::Blob;
use bytes::Bytes;
use http::{Method, Response};
use insula_tenancy::Tier;
use serde_json::{Value, json};

use crate::{
    ask::{
        Own, ask, code_of, credentials, data_table, header, kms, post_with, store, tenant_store, text,
        verdict,
    },
    harness::{Stack, json_of, stack, tool_call},
    hook::Hook,
};

const DENIED: &str = "AccessDeniedException";

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
async fn share(stack: &Stack, own: &Own, note: &str) -> String {
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
    // A name that is free again begins again.
    assert_eq!(put(stack, &own, "api_key", "hunter4").await, 201);
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
async fn first_writers_at_once_make_one_data_key_and_every_secret_opens() {
    let stack = stack();
    let own = Own::make(stack, "secrets-first", Tier::Starter).await;
    let hook = Hook::start("200 OK").await;
    let url = hook.url();
    let statuses = tokio::join!(
        put(stack, &own, "slack_webhook", &url),
        put(stack, &own, "second", "x"),
        put(stack, &own, "third", "x"),
    );
    assert_eq!(statuses, (201, 201, 201));
    assert_eq!(key_rows(stack, &own).await.len(), 1);
    let note = note(stack, &own).await;
    assert_eq!((share(stack, &own, &note).await.as_str(), hook.got().len()), ("ok", 1));
}

type Row = HashMap<String, AttributeValue>;

fn keys_table(stack: &Stack) -> &str {
    let tables = &stack.local.stack.tables;
    &tables.iter().find(|table| table.name.ends_with("-keys")).unwrap().name
}

fn secret_key(own: &Own, name: &str) -> Row {
    HashMap::from([
        ("pk".to_owned(), text(&format!("TENANT#{}#SECRET", own.id))),
        ("sk".to_owned(), text(name)),
    ])
}

async fn read_row(stack: &Stack, own: &Own, name: &str) -> Row {
    let get = tenant_store(stack, &own.id.to_string()).get_item().table_name(data_table(stack));
    get.set_key(Some(secret_key(own, name))).consistent_read(true).send().await.unwrap().item.unwrap()
}

/// The tenant's own session may write its rows: what is put there is what a hostile writer could put there.
async fn write_row(stack: &Stack, own: &Own, name: &str, mut row: Row) {
    row.extend(secret_key(own, name));
    let put = tenant_store(stack, &own.id.to_string()).put_item().table_name(data_table(stack));
    put.set_item(Some(row)).send().await.unwrap();
}

/// A row with another seal.
fn with_seal(row: &Row, seal: &str) -> Row {
    let mut row = row.clone();
    row.insert("document".to_owned(), text(&json!({ "sealed": seal }).to_string()));
    row
}

fn seal_of(row: &Row) -> String {
    let document: Value = serde_json::from_str(row["document"].as_s().unwrap()).unwrap();
    document["sealed"].as_str().unwrap().to_owned()
}

/// The rows of a tenant's wrapped keys, by the one who may list them.
async fn key_rows(stack: &Stack, own: &Own) -> Vec<Row> {
    let mut rows = Vec::new();
    for number in 1..=4 {
        let reply = tenant_store(stack, &own.id.to_string())
            .get_item()
            .table_name(keys_table(stack))
            .set_key(Some(key_row_key(own, number)))
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        rows.extend(reply.item);
    }
    rows
}

fn key_row_key(own: &Own, number: u32) -> Row {
    HashMap::from([
        ("pk".to_owned(), text(&format!("TENANT#{}#KEY", own.id))),
        ("sk".to_owned(), text(&format!("{number:010}"))),
    ])
}

#[tokio::test]
async fn a_seal_that_was_moved_or_altered_does_not_open() {
    let stack = stack();
    let own = Own::make(stack, "secrets-moved", Tier::Starter).await;
    let other = Own::make(stack, "secrets-moved-other", Tier::Starter).await;
    let hook = Hook::start("200 OK").await;
    for tenant in [&own, &other] {
        assert_eq!(put(stack, tenant, "slack_webhook", &hook.url()).await, 201);
        assert_eq!(put(stack, tenant, "neighbour", &hook.url()).await, 201);
    }
    let before = read_row(stack, &own, "slack_webhook").await;
    assert_eq!(put(stack, &own, "slack_webhook", &hook.url()).await, 200);
    let good = read_row(stack, &own, "slack_webhook").await;
    let seal = seal_of(&good);
    let note = note(stack, &own).await;
    let altered = |at: usize, letter: char| {
        let mut letters: Vec<char> = seal.chars().collect();
        letters[at] = if letters[at] == letter { 'Q' } else { letter };
        letters.into_iter().collect::<String>()
    };
    let newer = {
        let mut row = before.clone();
        row.insert("version".to_owned(), good["version"].clone());
        row
    };
    for (what, row) in [
        ("another name's", read_row(stack, &own, "neighbour").await),
        ("another tenant's", read_row(stack, &other, "slack_webhook").await),
        ("the version before", before),
        ("the version before, under the number of this one", newer),
        ("a truncated tag", with_seal(&good, &seal[..seal.len() - 4])),
        ("a bit of the tag", with_seal(&good, &altered(seal.len() - 3, 'A'))),
        ("a bit of the nonce", with_seal(&good, &altered(8, 'A'))),
        ("a bit of the text", with_seal(&good, &altered(30, 'A'))),
        // The first letter is of the format alone; the sixth is of the key's number alone.
        ("an unknown format", with_seal(&good, &altered(0, 'B'))),
        ("an unknown key", with_seal(&good, &altered(5, 'C'))),
        ("nothing", with_seal(&good, "")),
    ] {
        write_row(stack, &own, "slack_webhook", row).await;
        assert_eq!((share(stack, &own, &note).await.as_str(), hook.got().len()), ("internal", 0), "{what}");
    }
    write_row(stack, &own, "slack_webhook", good).await;
    assert_eq!((share(stack, &own, &note).await.as_str(), hook.got().len()), ("ok", 1));
}

#[tokio::test]
async fn a_data_key_that_was_wrapped_for_another_tenant_is_not_unwrapped() {
    let stack = stack();
    let foreign = Own::make(stack, "secrets-foreign-key", Tier::Starter).await;
    assert_eq!(put(stack, &foreign, "a", "x").await, 201);
    let mut row = key_rows(stack, &foreign).await.remove(0);
    for (slug, planted, status) in [("secrets-planted", true, 500), ("secrets-not-planted", false, 201)] {
        let own = Own::make(stack, slug, Tier::Starter).await;
        if planted {
            row.extend(key_row_key(&own, 1));
            let put = tenant_store(stack, &own.id.to_string()).put_item().table_name(keys_table(stack));
            put.set_item(Some(row.clone())).send().await.unwrap();
        }
        assert_eq!(put(stack, &own, "a", "x").await, status, "{slug}");
    }
}

#[tokio::test]
async fn no_role_but_the_tenants_own_reads_or_unwraps_a_data_key() {
    let stack = stack();
    let own = Own::make(stack, "secrets-roles", Tier::Starter).await;
    let other = Own::make(stack, "secrets-roles-other", Tier::Starter).await;
    assert_eq!(put(stack, &own, "a", "x").await, 201);
    let wrapped = key_rows(stack, &own).await.remove(0)["wrapped"].as_b().unwrap().clone().into_inner();
    let (id, other_id) = (own.id.to_string(), other.id.to_string());
    let key = &stack.local.stack.keys.first().unwrap().arn;
    for (role, tag, allowed) in [
        ("TenantRole", Some(&id), true),
        ("TenantRole", Some(&other_id), false),
        ("TenantRole", None, false),
        ("McpRole", Some(&id), false),
        ("SecretsRole", Some(&id), false),
        ("VendRole", Some(&id), false),
        ("MoverRole", Some(&id), false),
        ("OperatorRole", Some(&id), false),
    ] {
        let tags: Vec<_> = tag.map(|id| ("tenant", id.as_str())).into_iter().collect();
        let expected = if allowed { "ok" } else { DENIED };
        let client = store(stack, credentials(stack, role, &tags));
        let get = client.get_item().table_name(keys_table(stack)).set_key(Some(key_row_key(&own, 1)));
        assert_eq!(verdict(get.send().await), expected, "{role} {tag:?} reads");
        let decrypt = kms(stack, credentials(stack, role, &tags)).decrypt().key_id(key);
        let decrypt = decrypt.encryption_context("tenant", &id).ciphertext_blob(Blob::new(wrapped.clone()));
        assert_eq!(verdict(decrypt.send().await), expected, "{role} {tag:?} unwraps");
    }
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
