//! What goes over the wire when nobody waits for it, and what then need not.

use insula_local::Edge;
use serde_json::json;

use crate::harness::{json_of, options, start, tool_call};

#[tokio::test]
async fn the_first_event_after_init_opens_no_connection_to_aws() {
    let stack = start(options(Edge::Rest));
    let (opened, calls) = (stack.local.aws.connections(), stack.local.aws.calls());
    let url = stack.host_url("acme");
    let token = stack.token("acme", &url);
    let reply = stack.post(&url, Some(&token), &tool_call("notes_list", json!({}))).await;
    assert_eq!(json_of(&reply)["result"]["isError"], false);
    // It did ask AWS, so that the count is not of an idle wire.
    assert!(stack.local.aws.calls().values().sum::<u64>() > calls.values().sum::<u64>() + 4);
    assert_eq!(stack.local.aws.connections(), opened);
}
