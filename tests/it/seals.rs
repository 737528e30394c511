//! How secrets are kept: sealed to the place where they are, under a key that is wrapped for one tenant.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::primitives::Blob;
use http::Method;
use insula_tenancy::Tier;
use serde_json::{Value, json};

use crate::{
    ask::{Own, credentials, data_table, kms, store, tenant_store, text, verdict},
    harness::{Stack, stack},
    hook::Hook,
    secrets::{admin, note, put, share},
};

const DENIED: &str = "AccessDeniedException";

pub(crate) type Row = HashMap<String, AttributeValue>;

/// The table of wrapped data keys.
pub(crate) fn keys_table(stack: &Stack) -> &str {
    let tables = &stack.local.stack.tables;
    &tables.iter().find(|table| table.name.ends_with("-keys")).unwrap().name
}

fn secret_key(own: &Own, name: &str) -> Row {
    HashMap::from([
        ("pk".to_owned(), text(&format!("TENANT#{}#SECRET", own.id))),
        ("sk".to_owned(), text(name)),
    ])
}

/// A secret's row.
pub(crate) async fn read_row(stack: &Stack, own: &Own, name: &str) -> Row {
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

/// The seal of a secret's row.
pub(crate) fn seal_of(row: &Row) -> String {
    let document: Value = serde_json::from_str(row["document"].as_s().unwrap()).unwrap();
    document["sealed"].as_str().unwrap().to_owned()
}

/// The rows of a tenant's wrapped keys.
pub(crate) async fn key_rows(stack: &Stack, own: &Own) -> Vec<Row> {
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

/// The key of the row of a wrapped key.
pub(crate) fn key_row_key(own: &Own, number: u32) -> Row {
    HashMap::from([
        ("pk".to_owned(), text(&format!("TENANT#{}#KEY", own.id))),
        ("sk".to_owned(), text(&format!("{number:010}"))),
    ])
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
    write_row(stack, &own, "slack_webhook", good.clone()).await;
    assert_eq!((share(stack, &own, &note).await.as_str(), hook.got().len()), ("ok", 1));
    // One that was deleted stays so, whatever is put under its name. The same note again would be a repetition.
    let note = crate::secrets::note(stack, &own).await;
    let gone = admin(stack, &own, Method::DELETE, "/v1/secrets/slack_webhook", Value::Null).await;
    assert_eq!(gone.status(), 204);
    for _ in 0..2 {
        put(stack, &own, "slack_webhook", &hook.url()).await;
        let new = read_row(stack, &own, "slack_webhook").await;
        write_row(stack, &own, "slack_webhook", good.clone()).await;
        assert_eq!((share(stack, &own, &note).await.as_str(), hook.got().len()), ("internal", 1));
        write_row(stack, &own, "slack_webhook", new).await;
    }
    assert_eq!((share(stack, &own, &note).await.as_str(), hook.got().len()), ("ok", 2));
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
