//! The guide's tools through the door, and the guide's code against that of its tools.

use std::{collections::BTreeMap, fs};

use insula_local::{Edge, Options};
use insula_tenancy::Tier;
use serde_json::{Value, json};

use crate::{
    ask::{Own, code_of},
    harness::{Stack, bin_dir, json_of, options, root, start, tool_call},
    hook::Hook,
    secrets::put,
};

/// Lines of the code that the guide speaks of.
const LINES_BELOW: usize = 30;

fn start_with_fixture() -> &'static Stack {
    let overrides = BTreeMap::from([("McpFunction".to_owned(), bin_dir().join("first-tool-fixture"))]);
    Box::leak(Box::new(start(Options { overrides, ..options(Edge::Rest) })))
}

/// The id that is told, or the code of the refusal.
async fn call(stack: &Stack, own: &Own, tool: &str, arguments: Value) -> Result<String, String> {
    let reply = own.post(stack, &[], &tool_call(tool, arguments)).await;
    let id = json_of(&reply)["result"]["structuredContent"]["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| code_of(&reply))
}

#[tokio::test]
async fn the_guides_tools_keep_an_order_and_send_it_to_their_own_tenants_webhook() {
    let stack = start_with_fixture();
    let hook = Hook::start("200 OK").await;
    let own = Own::make(stack, "first-own", Tier::Starter).await;
    let other = Own::make(stack, "first-other", Tier::Starter).await;
    let id = call(stack, &own, "orders_keep", json!({ "text": "two of them" })).await.unwrap();
    let send = async |by| call(stack, by, "orders_send", json!({ "id": id })).await;
    assert_eq!(send(&own).await, Err("forbidden".to_owned()), "the secret is not set yet");
    for tenant in [&own, &other] {
        assert_eq!(put(stack, tenant, "orders_webhook", &hook.url()).await, 201);
    }
    assert_eq!(send(&other).await, Err("not_found".to_owned()));
    assert_eq!(hook.got().len(), 0);
    assert_eq!(send(&own).await, Ok(id.clone()));
    let sent = hook.got().remove(0);
    let (_, body) = sent.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"text":"two of them"}"#);
}

#[test]
fn the_guide_shows_the_code_that_is_tested_and_counts_its_lines() {
    let read = |path| fs::read_to_string(root().join(path)).unwrap();
    let (guide, source) = (read("docs/first-tool.md"), read("tests/src/first_tool.rs"));
    let (_, code) = source.split_once("use serde::{Deserialize, Serialize};\n\n").unwrap();
    assert!(guide.contains(&format!("```rust\n{code}```\n")), "docs/first-tool.md has other code");
    let lines = code.lines().filter(|line| !line.is_empty() && !line.starts_with("///"));
    assert!(lines.count() < LINES_BELOW);
}
