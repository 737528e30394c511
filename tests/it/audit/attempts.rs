//! Attempts to cross: told to the operator by the attacker's own tenant, beside requests that are none.

use insula_local::aws::{Fault, FaultKind};
use insula_tenancy::Tier;
use serde_json::{Value, json};

use super::{note, trail};
use crate::{
    ask::{Own, code_of, post_with},
    harness::{Stack, json_of, stack, tool_call},
};

/// What the operator was told of a tenant's attempts: class and target.
fn told(stack: &Stack, own: &Own) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for event in stack.local.aws.events() {
        let mut detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
        if event["DetailType"] == "Cross-Tenant Attempt" && detail["tenant"] == own.id.to_string().as_str() {
            all.push((detail["class"].as_str().unwrap().to_owned(), detail["target"].take()));
        }
    }
    all
}

#[tokio::test]
async fn a_token_at_another_tenants_address_is_told_with_whose_it_is() {
    let stack = stack();
    let (own, other) = (
        Own::make(stack, "attempt-own", Tier::Business).await,
        Own::make(stack, "attempt-target", Tier::Business).await,
    );
    let call = tool_call("notes_list", json!({}));
    assert_eq!(own.post(stack, &[], &call).await.status(), 200);
    assert_eq!(told(stack, &own), [], "at one's own address");
    let forged = format!("{}x", own.token(stack));
    let there = stack.host_url("attempt-target");
    assert_eq!(post_with(stack, &there, &forged, &[], &call).await.status(), 401);
    assert_eq!(told(stack, &own), [], "a token that nobody has signed says nothing of whose it is");
    for _ in 0..3 {
        assert_eq!(post_with(stack, &there, &own.token(stack), &[], &call).await.status(), 401);
    }
    let target = json!(other.id.to_string());
    let all = told(stack, &own);
    // Each instance of the authorizer tells it once a minute.
    assert!(!all.is_empty() && all.len() < 4, "{all:?}");
    assert!(all.iter().all(|one| *one == ("host_against_token".to_owned(), target.clone())), "{all:?}");
    assert_eq!(told(stack, &other), [], "who is attacked attacks nobody");
    let said = format!("{:?}", trail(stack, &own).await);
    assert!(!said.contains(&other.id.to_string()) && !said.contains(&other.slug), "{said}");
}

#[tokio::test]
async fn a_cursor_that_was_altered_is_told_and_one_that_is_good_is_not() {
    let stack = stack();
    let own = Own::make(stack, "attempt-cursor", Tier::Business).await;
    for title in ["one", "two"] {
        note(stack, &own, title).await;
    }
    let list = |cursor: Value| tool_call("notes_list", json!({ "limit": 1, "cursor": cursor }));
    let first = own.post(stack, &[], &list(Value::Null)).await;
    let cursor = json_of(&first)["result"]["structuredContent"]["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(own.post(stack, &[], &list(json!(cursor))).await.status(), 200);
    assert_eq!(told(stack, &own), []);
    let refused = own.post(stack, &[], &list(json!(format!("{cursor}x")))).await;
    assert_eq!(code_of(&refused), "invalid");
    assert_eq!(told(stack, &own), [("altered_cursor".to_owned(), Value::Null)]);
}

#[tokio::test]
async fn what_aws_refuses_on_a_tenants_path_is_told() {
    let stack = stack();
    let own = Own::make(stack, "attempt-denied", Tier::Business).await;
    let id = note(stack, &own, "one").await;
    let get = tool_call("notes_get", json!({ "id": id }));
    assert_eq!(told(stack, &own), []);
    let fault =
        Fault { service: "dynamodb".to_owned(), operation: "GetItem".to_owned(), kind: FaultKind::Deny };
    stack.local.aws.fault_within(fault, &id);
    let refused = own.post(stack, &[], &get).await;
    assert_eq!(code_of(&refused), "internal", "{refused:?}");
    assert_eq!(told(stack, &own), [("access_denied".to_owned(), Value::Null)]);
    assert_eq!(json_of(&own.post(stack, &[], &get).await)["result"]["structuredContent"]["id"], json!(id));
}
