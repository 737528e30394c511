//! What goes over the wire when nobody waits for it, and what then need not.

use std::collections::BTreeMap;

use insula_local::Edge;
use serde_json::{Value, json};

use crate::{
    ask::post_with,
    harness::{Stack, json_of, options, start, tool_call},
};

/// What one call of a tool asks of AWS. Of several calls the fewest: one in some also tidies the index of
/// searches, one opens the minute, and the stream's function may be at work beside one.
async fn asked(stack: &Stack, tool: &str, (arguments, key): (&Value, Option<&str>)) -> BTreeMap<String, u64> {
    let url = stack.host_url("acme");
    let token = stack.token("acme", &url);
    let mut asked: Vec<BTreeMap<String, u64>> = Vec::new();
    for turn in 0..9 {
        // What follows the call before is no part of this one, nor is what follows that.
        stack.local.followed().await;
        stack.local.followed().await;
        let before = stack.local.aws.calls();
        let key = key.map(|key| format!("{key}{turn}"));
        let headers: Vec<_> = key.iter().map(|key| ("idempotency-key", key.as_str())).collect();
        let reply = post_with(stack, &url, &token, &headers, &tool_call(tool, arguments.clone())).await;
        assert_eq!(json_of(&reply)["result"]["isError"], false, "{reply:?}");
        let more = stack.local.aws.calls().into_iter().filter_map(|(name, count)| {
            let more = count - before.get(&name).copied().unwrap_or(0);
            // The stream's function alone reads batches here.
            (more > 0 && name != "dynamodb:BatchGetItem").then_some((name, more))
        });
        asked.push(more.collect());
    }
    asked.into_iter().min_by_key(|asked| asked.values().sum::<u64>()).unwrap()
}

#[tokio::test]
async fn a_tool_call_is_one_transaction_and_its_own_reads() {
    let stack = start(options(Edge::Rest));
    let of = |counts: &[(&str, u64)]| {
        counts.iter().map(|(name, count)| (format!("dynamodb:{name}"), *count)).collect::<BTreeMap<_, _>>()
    };
    let note = json!({ "title": "t", "text": "t" });
    let made = stack.call("acme", "notes_create", note.clone()).await;
    let id = json!({ "id": made["structuredContent"]["id"] });
    for (tool, asks, counts) in [
        ("notes_create", (&note, None), &[("TransactWriteItems", 1)][..]),
        ("notes_create", (&note, Some("new")), &[("TransactWriteItems", 1)]),
        ("notes_get", (&id, None), &[("GetItem", 1), ("TransactWriteItems", 1)]),
        ("notes_list", (&json!({}), None), &[("Query", 1), ("TransactWriteItems", 1)]),
    ] {
        assert_eq!(asked(&stack, tool, asks).await, of(counts), "{tool} {asks:?}");
    }
}

#[tokio::test]
async fn the_first_event_after_init_opens_no_connection_to_aws() {
    let stack = start(options(Edge::Rest));
    // That there are new tenants is told by events.
    stack.local.followed().await;
    let (opened, calls) = (stack.local.aws.connections(), stack.local.aws.calls());
    let url = stack.host_url("acme");
    let token = stack.token("acme", &url);
    let reply = stack.post(&url, Some(&token), &tool_call("notes_list", json!({}))).await;
    assert_eq!(json_of(&reply)["result"]["isError"], false);
    // It did ask AWS, so that the count is not of an idle wire.
    assert!(stack.local.aws.calls().values().sum::<u64>() > calls.values().sum::<u64>() + 4);
    assert_eq!(stack.local.aws.connections(), opened);
}
