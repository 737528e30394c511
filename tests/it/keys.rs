//! Data keys over time: the next one of a tenant, and all of them wrapped anew, without anybody seeing a secret.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicI64},
};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::primitives::Blob;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use insula_local::{
    Edge,
    aws::{Fault, FaultKind},
};
use insula_tenancy::{Clock, Moment, Problem, Tier, operator::Rewrapped};
use serde_json::{Value, json};

use crate::{
    ask::{Own, credentials, data_table, kms, on_stack, operate, store, text, verdict},
    audit::chains::thief,
    faults::{Ask, Guest, House},
    harness::{Stack, json_of, options, stack, start, tool_call},
    hook::Hook,
    seals::{key_row_key, key_rows, keys_table, read_row, seal_of},
    secrets::{admin, note, put},
};

const DENIED: &str = "AccessDeniedException";

async fn rotate(stack: &'static Stack, own: &Own) -> u32 {
    let id = own.id.clone();
    operate(stack, |operator| async move { operator.rotate_data_key(&id).await }).await.unwrap()
}

async fn rewrap(stack: &'static Stack, before: Moment) -> Result<Rewrapped, Problem> {
    on_stack(stack, stack.local.keeper.rewrap_keys(before)).await
}

/// The number of the data key that a secret is sealed under.
async fn key_of(stack: &Stack, own: &Own, name: &str) -> u32 {
    let seal = URL_SAFE_NO_PAD.decode(seal_of(&read_row(stack, own, name).await)).unwrap();
    u32::from_be_bytes(seal[1..5].try_into().unwrap())
}

async fn shares(stack: &Stack, own: &Own, note: &str) -> bool {
    // Each is a call of its own, where without a key the second would be the first one sent again.
    let key = Clock::System.now().micros().to_string();
    let call = tool_call("notes_share", json!({ "id": note }));
    let reply = own.post(stack, &[("idempotency-key", &key)], &call).await;
    json_of(&reply)["result"]["isError"] == false
}

#[tokio::test]
async fn after_a_rotation_new_seals_are_under_the_new_key_and_old_ones_open_until_they_are_sealed_anew() {
    let stack = stack();
    let own = Own::make(stack, "keys-rotate", Tier::Starter).await;
    let hook = Hook::start("200 OK").await;
    assert_eq!(put(stack, &own, "slack_webhook", &hook.url()).await, 201);
    for number in 0..22 {
        assert_eq!(put(stack, &own, &format!("s{number:02}"), "x").await, 201);
    }
    let note = note(stack, &own).await;
    assert_eq!(rotate(stack, &own).await, 2);
    assert_eq!(put(stack, &own, "later", "x").await, 201);
    assert_eq!((key_of(stack, &own, "later").await, key_of(stack, &own, "slack_webhook").await), (2, 1));
    assert_eq!(key_rows(stack, &own).await.len(), 2);
    assert!(shares(stack, &own, &note).await, "what is under the old key opens");

    let list = || async { json_of(&admin(stack, &own, Method::GET, "/v1/secrets", Value::Null).await) };
    let before = list().await;
    for (resealed, left) in [(20, 3), (3, 0), (0, 0)] {
        let reply = admin(stack, &own, Method::POST, "/v1/secrets/re-seal", Value::Null).await;
        assert_eq!(json_of(&reply), json!({ "resealed": resealed, "left": left }));
    }
    assert_eq!(list().await, before, "versions and dates are those of the values");
    assert_eq!((key_of(stack, &own, "s00").await, key_of(stack, &own, "slack_webhook").await), (2, 2));
    assert!(shares(stack, &own, &note).await);
    assert_eq!(hook.got().len(), 2);
}

#[tokio::test]
async fn the_next_key_of_one_tenant_is_nothing_to_another() {
    let stack = stack();
    let own = Own::make(stack, "keys-one", Tier::Starter).await;
    let other = Own::make(stack, "keys-other", Tier::Starter).await;
    rotate(stack, &own).await;
    for (tenant, number) in [(&own, 2), (&other, 1)] {
        assert_eq!(put(stack, tenant, "a", "x").await, 201);
        assert_eq!(key_of(stack, tenant, "a").await, number);
    }
}

/// What a data key is, as the tenant's own session unwraps it.
async fn unwrapped(stack: &Stack, own: &Own, row: &HashMap<String, AttributeValue>) -> Blob {
    let id = own.id.to_string();
    let client = kms(stack, credentials(stack, "TenantRole", &[("tenant", &id)]));
    let decrypt = client.decrypt().encryption_context("tenant", &id);
    let decrypt = decrypt.ciphertext_blob(row["wrapped"].as_b().unwrap().clone());
    decrypt.send().await.unwrap().plaintext.unwrap()
}

#[tokio::test]
async fn a_round_that_was_interrupted_goes_on_where_it_was_and_every_key_stays_the_same() {
    let stack: &'static Stack = Box::leak(Box::new(start(options(Edge::Rest))));
    let mut before = Vec::new();
    let mut owners = Vec::new();
    for slug in ["keys-a", "keys-b", "keys-c"] {
        let own = Own::make(stack, slug, Tier::Starter).await;
        assert_eq!(put(stack, &own, "a", "x").await, 201);
        rotate(stack, &own).await;
        assert_eq!(put(stack, &own, "b", "x").await, 201);
        for row in key_rows(stack, &own).await {
            before.push((unwrapped(stack, &own, &row).await, row["wrapped"].clone()));
        }
        owners.push(own);
    }
    let moment = Clock::System.now();
    let fail = |service: &str, operation: &str, kind| {
        // As often as the SDK tries.
        for _ in 0..3 {
            let (service, operation) = (service.to_owned(), operation.to_owned());
            stack.local.aws.fault(Fault { service, operation, kind });
        }
    };
    // Before KMS has wrapped one; when one is wrapped and not kept; when one is kept and nobody heard of it.
    fail("kms", "ReEncrypt", FaultKind::Before);
    assert_eq!(rewrap(stack, moment).await.unwrap_err().code(), "unavailable");
    fail("dynamodb", "UpdateItem", FaultKind::Before);
    assert_eq!(rewrap(stack, moment).await.unwrap_err().code(), "unavailable");
    fail("dynamodb", "UpdateItem", FaultKind::After);
    assert_eq!(rewrap(stack, moment).await.unwrap_err().code(), "unavailable");
    let done = rewrap(stack, moment).await.unwrap();
    assert_eq!((done.wrapped, done.met), (5, 0));
    assert_eq!(rewrap(stack, moment).await.unwrap(), Rewrapped::default(), "a round that is over is over");

    let mut after = Vec::new();
    for own in &owners {
        for row in key_rows(stack, own).await {
            after.push((unwrapped(stack, own, &row).await, row["wrapped"].clone()));
        }
    }
    assert_eq!(before.len(), after.len());
    for ((key, wrapped), (same_key, wrapped_anew)) in before.iter().zip(&after) {
        assert_eq!(key, same_key);
        assert_ne!(wrapped, wrapped_anew);
    }
}

#[tokio::test]
async fn the_keeper_wraps_keys_anew_and_can_do_nothing_else_with_them() {
    let stack = stack();
    let own = Own::make(stack, "keys-keeper", Tier::Starter).await;
    assert_eq!(put(stack, &own, "a", "x").await, 201);
    let row = key_rows(stack, &own).await.remove(0);
    let id = own.id.to_string();
    let key = &stack.local.stack.keys.first().unwrap().arn;
    let wrapped = || row["wrapped"].as_b().unwrap().clone();
    for (role, allowed) in
        [("KeeperRole", true), ("OperatorRole", false), ("MoverRole", false), ("McpRole", false)]
    {
        let client = kms(stack, credentials(stack, role, &[]));
        for (from, to, context) in [(&id, &id, "tenant"), (&id, &id, "Tenant"), (&id, &id, "other")] {
            let anew =
                client.re_encrypt().ciphertext_blob(wrapped()).source_key_id(key).destination_key_id(key);
            let anew =
                anew.source_encryption_context(context, from).destination_encryption_context(context, to);
            let expected = if allowed && context == "tenant" { "ok" } else { DENIED };
            assert_eq!(verdict(anew.send().await), expected, "{role} {context}");
        }
        let decrypt =
            client.decrypt().key_id(key).encryption_context("tenant", &id).ciphertext_blob(wrapped());
        assert_eq!(verdict(decrypt.send().await), DENIED, "{role}");
        let store = store(stack, credentials(stack, role, &[]));
        let get = store.get_item().table_name(keys_table(stack)).set_key(Some(key_row_key(&own, 1)));
        assert_eq!(verdict(get.send().await), DENIED, "{role}");
        for (kind, expected) in [("KEY", if allowed { "ok" } else { DENIED }), (id.as_str(), DENIED)] {
            let query = store.query().table_name(keys_table(stack)).index_name("by_wrapped_at");
            let query = query.key_condition_expression("#kind = :kind");
            let query = query.expression_attribute_names("#kind", "kind");
            let query = query.expression_attribute_values(":kind", text(kind));
            assert_eq!(verdict(query.send().await), expected, "{role} {kind}");
        }
    }
    // The index of all keys is nothing to a tenant's session.
    let tenant = store(stack, credentials(stack, "TenantRole", &[("tenant", &id)]));
    let query = tenant.query().table_name(keys_table(stack)).index_name("by_wrapped_at");
    let query = query.key_condition_expression("#kind = :kind").expression_attribute_names("#kind", "kind");
    assert_eq!(verdict(query.expression_attribute_values(":kind", text("KEY")).send().await), DENIED);
}

/// A page of one note: the cursor to the next.
async fn cursor(stack: &Stack, own: &Own, from: Option<&str>) -> Option<String> {
    let arguments = match from {
        Some(cursor) => json!({ "limit": 1, "cursor": cursor }),
        None => json!({ "limit": 1 }),
    };
    let reply = own.post(stack, &[], &tool_call("notes_list", arguments)).await;
    json_of(&reply)["result"]["structuredContent"]["next_cursor"].as_str().map(str::to_owned)
}

/// The id of the platform's key that a cursor is sealed under.
fn platform_key(cursor: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(cursor).unwrap()[1..5].to_vec()
}

#[tokio::test]
async fn the_platforms_key_is_renewed_while_it_serves() {
    let stack: &'static Stack = Box::leak(Box::new(start(options(Edge::Rest))));
    let own = Own::make(stack, "keys-platform", Tier::Starter).await;
    for _ in 0..3 {
        note(stack, &own).await;
    }
    let before = cursor(stack, &own, None).await.unwrap();
    operate(stack, |operator| operator.renew_sealing_key()).await.unwrap();
    // The instance that runs, and others that start after the renewal: nothing is deployed, and nobody is refused.
    stack.local.lambda.prewarm("McpFunction", None, 3).await.unwrap();
    let list = || cursor(stack, &own, None);
    let (a, b, c, d) = tokio::join!(list(), list(), list(), list());
    let after = [a, b, c, d].map(Option::unwrap);
    let renewed: Vec<_> =
        after.iter().filter(|cursor| platform_key(cursor) != platform_key(&before)).collect();
    assert!(!renewed.is_empty(), "an instance that started after it seals under the new key");
    for from in [&before, renewed[0]] {
        let next = || cursor(stack, &own, Some(from));
        let (a, b, c, d) = tokio::join!(next(), next(), next(), next());
        assert!([a, b, c, d].iter().all(Option::is_some), "every instance opens what any has sealed");
    }
}

/// After a renewal the names of idempotency records are made by another key, and not by all instances from the same moment on.
#[tokio::test]
async fn under_one_key_a_call_is_done_once_by_instances_that_call_its_record_differently() {
    let house = House::open().await;
    let guest = Guest::make(&house, "keys-names", Tier::Professional).await;
    operate(house.stack, |operator| operator.renew_sealing_key()).await.unwrap();
    let later = Arc::new(AtomicI64::new(Clock::System.now().plus_s(17 * 60).micros()));
    let houses = [House::before(house.stack).await, House::before_at(house.stack, Clock::Fixed(later)).await];
    let make = |key: &str| {
        Ask::tool("notes_create", json!({ "title": "t", "text": "t" })).keyed(&format!("renewed-{key}"))
    };
    for (key, first, again) in [("a", 0, 1), ("b", 1, 0)] {
        let said = guest.ask(&houses[first], &make(key)).await;
        assert!(said.is_done(), "{said:?}");
        assert_eq!(guest.ask(&houses[again], &make(key)).await, said);
    }
    for n in 0..8 {
        let ask = make(&n.to_string());
        let (one, other) = tokio::join!(guest.ask(&houses[0], &ask), guest.ask(&houses[1], &ask));
        assert!(one.is_done() && one == other, "{one:?} {other:?}");
    }
    let mut rows = Vec::new();
    for shard in 0..16 {
        let query = thief(house.stack).query().table_name(data_table(house.stack));
        let query = query.key_condition_expression("pk = :pk");
        let pk = text(&format!("TENANT#{}#IDEM#{shard:x}", guest.own.id));
        rows.extend(query.expression_attribute_values(":pk", pk).send().await.unwrap().items.unwrap());
    }
    assert_eq!((rows.len(), guest.own.notes(house.stack).await), (10, 10));
}
