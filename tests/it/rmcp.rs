//! A stock client, rmcp's own, in both eras of the protocol.

use std::net::SocketAddr;

use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient,
    model::{CallToolRequestParams, ProtocolVersion},
    service::RunningService,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};

use crate::harness::{Stack, stack};

/// Connects at a URL, whose host the client resolves to loopback by itself where the system does not.
async fn connect(
    stack: &Stack,
    url: &str,
    token: Option<String>,
    lifecycle: ClientLifecycleMode,
) -> Option<RunningService<RoleClient, ()>> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    if let Some(token) = token {
        config = config.auth_header(token);
    }
    let loopback = SocketAddr::from(([127, 0, 0, 1], stack.local.port));
    let http = reqwest::Client::builder().resolve("acme.localhost", loopback).build().unwrap();
    let transport = StreamableHttpClientTransport::with_client(http, config);
    ().serve_with_lifecycle(transport, lifecycle).await.ok()
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
async fn a_stock_client_lists_and_calls_tools_in_both_eras_at_both_addresses() {
    let stack = stack();
    let modern = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    let (host, path) = (stack.host_url("acme"), stack.path_url("acme"));
    for (url, other) in [(&path, &host), (&host, &path)] {
        for lifecycle in [ClientLifecycleMode::Initialize, modern.clone()] {
            let token = stack.token("acme", url);
            let client = connect(stack, url, Some(token), lifecycle.clone()).await.unwrap();
            use_tools(&client).await;
            client.cancel().await.unwrap();
            let without = connect(stack, url, None, lifecycle.clone()).await;
            assert!(without.is_none(), "{url} {lifecycle:?} without a token");
            // A good token of the same tenant, for its other address.
            let elsewhere = stack.token("acme", other);
            assert!(connect(stack, url, Some(elsewhere), lifecycle).await.is_none(), "{url}");
        }
    }
}
