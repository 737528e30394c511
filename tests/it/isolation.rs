//! Two tenants behind one deployment: each finds its own, and nothing of the other.

use serde_json::json;

use crate::harness::{json_of, stack, tool_call};

#[tokio::test]
async fn a_note_is_found_by_its_own_tenant_and_is_missing_for_the_other() {
    let stack = stack();
    let made = stack.call("acme", "notes_create", json!({ "title": "plan", "text": "ours" })).await;
    let id = made["structuredContent"]["id"].as_str().unwrap().to_owned();
    let own = stack.call("acme", "notes_get", json!({ "id": id })).await;
    assert_eq!(own["structuredContent"]["text"], "ours");

    let foreign = stack.call("globex", "notes_get", json!({ "id": id })).await;
    let missing = stack.call("globex", "notes_get", json!({ "id": "01m00000000000000000000000" })).await;
    assert_eq!(foreign["isError"], true);
    assert_eq!(foreign.to_string(), missing.to_string());
}

#[tokio::test]
async fn a_token_for_another_host_is_refused() {
    let stack = stack();
    let (acme, globex) = (stack.host_url("acme"), stack.host_url("globex"));
    let list = tool_call("notes_list", json!({}));
    let token = stack.token("acme", &acme);
    assert_eq!(stack.post(&acme, Some(&token), &list).await.status(), 200);
    assert_eq!(stack.post(&globex, Some(&token), &list).await.status(), 401);
    assert_eq!(stack.post(&stack.path_url("acme"), Some(&token), &list).await.status(), 401);
}

#[tokio::test]
async fn a_token_with_the_other_tenants_audience_is_refused_on_the_shared_issuer() {
    let stack = stack();
    let globex = stack.host_url("globex");
    let list = tool_call("notes_list", json!({}));
    let stolen = stack.token("acme", &globex);
    let reply = stack.post(&globex, Some(&stolen), &list).await;
    assert_eq!(reply.status(), 401);
    let own = stack.token("globex", &globex);
    assert_eq!(stack.post(&globex, Some(&own), &list).await.status(), 200);
}

#[tokio::test]
async fn the_same_id_in_two_tenants_is_two_items() {
    let stack = stack();
    for (tenant, text) in [("acme", "a"), ("globex", "g")] {
        let url = stack.path_url(tenant);
        let token = stack.token(tenant, &url);
        let call = tool_call("notes_create", json!({ "title": tenant, "text": text }));
        let reply = stack.post(&url, Some(&token), &call).await;
        assert_eq!(json_of(&reply)["result"]["structuredContent"]["text"], text);
    }
    let listed = stack.call("globex", "notes_list", json!({})).await.to_string();
    assert!(listed.contains("globex") && !listed.contains("acme"), "{listed}");
}
