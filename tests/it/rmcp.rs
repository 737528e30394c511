//! A stock client, rmcp's own, in both eras of the protocol.

use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient,
    model::{CallToolRequestParams, ProtocolVersion},
    service::RunningService,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};

use crate::harness::{Stack, stack};

async fn connect(
    stack: &Stack,
    token: Option<String>,
    lifecycle: ClientLifecycleMode,
) -> Option<RunningService<RoleClient, ()>> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(stack.path_url("acme"));
    if let Some(token) = token {
        config = config.auth_header(token);
    }
    ().serve_with_lifecycle(StreamableHttpClientTransport::from_config(config), lifecycle).await.ok()
}

fn call(name: &'static str, arguments: Value) -> CallToolRequestParams {
    CallToolRequestParams::new(name).with_arguments(arguments.as_object().unwrap().clone())
}

/// Lists tools, makes a note and reads it, as a client would that knows nothing of this server.
async fn use_tools(client: &RunningService<RoleClient, ()>) {
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    for name in ["notes_create", "notes_get", "notes_list", "notes_delete", "get_profile"] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    let made =
        client.call_tool(call("notes_create", json!({ "title": "rmcp", "text": "stock" }))).await.unwrap();
    assert_ne!(made.is_error, Some(true), "{made:?}");
    let id = made.structured_content.unwrap()["id"].clone();
    let read = client.call_tool(call("notes_get", json!({ "id": id }))).await.unwrap();
    assert_eq!(read.structured_content.unwrap()["text"], "stock");
    let missing = json!({ "id": "01m00000000000000000000000" });
    let missing = client.call_tool(call("notes_get", missing)).await.unwrap();
    assert_eq!(missing.is_error, Some(true));
}

#[tokio::test]
async fn a_stock_client_lists_and_calls_tools_in_both_eras() {
    let stack = stack();
    let modern = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    for lifecycle in [ClientLifecycleMode::Initialize, modern] {
        let token = stack.token("acme", &stack.path_url("acme"));
        let client = connect(stack, Some(token), lifecycle.clone()).await.unwrap();
        use_tools(&client).await;
        client.cancel().await.unwrap();
        assert!(connect(stack, None, lifecycle.clone()).await.is_none(), "{lifecycle:?} without a token");
        // A good token of the same tenant, for its other address.
        let elsewhere = stack.token("acme", &stack.host_url("acme"));
        assert!(connect(stack, Some(elsewhere), lifecycle).await.is_none());
    }
}
