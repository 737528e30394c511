//! The two eras: which one a request is of, and what each demands.

use serde_json::{Value, json};

use super::{MODERN, Post};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

fn without(member: &'static str) -> impl FnOnce(&mut Value) {
    move |body| _ = body["params"]["_meta"].as_object_mut().unwrap().remove(member).unwrap()
}

#[test]
fn the_first_call_of_chatgpt_is_answered_with_and_without_its_headers() {
    let first =
        Post::modern("server/discover", json!({})).with(|body| body["id"] = json!("openai-mcp-discover"));
    let bare = first.clone().without("mcp-protocol-version").without("mcp-method");
    for first in [first.clone(), bare] {
        let answered = first.send();
        assert_eq!(answered.reply.status.as_u16(), 200);
        assert_eq!(
            answered.json(),
            json!({
                "jsonrpc": "2.0",
                "id": "openai-mcp-discover",
                "result": {
                    "resultType": "complete",
                    "ttlMs": 300_000,
                    "cacheScope": "private",
                    "supportedVersions": [MODERN],
                    "capabilities": { "tools": {}, "prompts": {}, "resources": {}, "completions": {}, "logging": {} },
                    "instructions": "Keeps notes.",
                    "_meta": { "io.modelcontextprotocol/serverInfo": {
                        "name": "notes", "title": "Notes", "version": "1.0.0",
                    } },
                },
            })
        );
    }
    assert_eq!(first.header("mcp-method", "tools/list").sent(), (400, -32020));
}

#[test]
fn a_modern_request_without_its_envelope_is_refused() {
    let list = Post::modern("tools/list", json!({}));
    assert_eq!(list.sent(), (200, 0));
    assert_eq!(list.clone().with(without(VERSION)).sent(), (400, -32602));
    assert_eq!(list.clone().with(without(CAPABILITIES)).sent(), (400, -32602));
    assert_eq!(list.clone().meta(CAPABILITIES, json!([])).sent(), (400, -32602));
    assert_eq!(list.clone().meta(VERSION, json!(20_260_728)).sent(), (400, -32602));
    assert_eq!(list.clone().meta(VERSION, json!("v".repeat(65))).sent(), (400, -32602));
    assert_eq!(list.clone().meta(VERSION, json!("2026 07")).sent(), (400, -32602));
    assert_eq!(list.clone().params("_meta", json!(7)).sent(), (400, -32602));
    let discover = Post::modern("server/discover", json!({}));
    assert_eq!(discover.with(|body| body["params"] = json!({})).sent(), (400, -32602));
}

#[test]
fn a_header_that_differs_from_the_body_is_refused() {
    let call = Post::call("greet", json!({ "name": "you" }));
    assert_eq!(call.sent(), (200, 0));
    let cases = [
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-protocol-version", "v999"),
        ("mcp-method", "tools/list"),
        ("mcp-method", "TOOLS/CALL"),
        ("mcp-name", "query"),
        ("mcp-name", "=?base64?Z3JlZXQ?="),
        ("mcp-name", "=?base64?Z3Jl!!V0?="),
        ("mcp-name", "gré\u{e9}t"),
    ];
    for (header, value) in cases {
        assert_eq!(call.clone().header(header, value).sent(), (400, -32020), "{header}: {value}");
    }
    for header in ["mcp-protocol-version", "mcp-method", "mcp-name"] {
        assert_eq!(call.clone().without(header).sent(), (400, -32020), "{header}");
        let same = call.headers[header].to_str().unwrap();
        assert_eq!(call.clone().twice(header, same).sent(), (400, -32020), "{header}");
    }
    assert_eq!(call.clone().header("mcp-name", "  greet ").sent(), (200, 0));
    assert_eq!(call.header("mcp-name", "=?base64?Z3JlZXQ=?=").sent(), (200, 0));
}

#[test]
fn an_unknown_version_is_told_the_known_one_after_the_headers_were_compared() {
    let list = Post::modern("tools/list", json!({})).meta(VERSION, json!("v999.0.0"));
    assert_eq!(list.sent(), (400, -32020));
    let agreed = list.header("mcp-protocol-version", "v999.0.0");
    assert_eq!(agreed.sent(), (400, -32022));
    assert_eq!(agreed.send().error()["data"], json!({ "supported": [MODERN], "requested": "v999.0.0" }));
    let legacy_in_envelope = Post::modern("tools/list", json!({}))
        .meta(VERSION, json!("2025-11-25"))
        .header("mcp-protocol-version", "2025-11-25");
    assert_eq!(legacy_in_envelope.sent(), (400, -32022));
}

#[test]
fn methods_of_the_other_era_and_unknown_ones_are_not_found() {
    let gone = ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];
    for method in gone.into_iter().chain(["subscriptions/listen", "unknown/method"]) {
        let post = Post::modern(method, json!({ "protocolVersion": "2025-11-25", "level": "info" }));
        assert_eq!(post.sent(), (404, -32601), "{method}");
    }
    // A 404 would tell a client of the initialize era that its session is gone.
    for method in ["resources/subscribe", "subscriptions/listen", "unknown/method"] {
        assert_eq!(Post::legacy(method, json!({})).sent(), (200, -32601), "{method}");
    }
}

#[test]
fn initialize_agrees_on_a_version_and_makes_no_session() {
    let versions = [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("nonsense", "2025-11-25"),
    ];
    for (asked, agreed) in versions {
        let params = json!({ "protocolVersion": asked, "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
        let answered = Post::legacy("initialize", params).send();
        assert_eq!(
            answered.result(),
            json!({
                "protocolVersion": agreed,
                "capabilities": { "tools": {}, "prompts": {}, "resources": {}, "completions": {}, "logging": {} },
                "serverInfo": { "name": "notes", "title": "Notes", "version": "1.0.0" },
                "instructions": "Keeps notes.",
            })
        );
        assert!(!answered.reply.headers.contains_key("mcp-session-id"));
    }
    assert_eq!(Post::legacy("initialize", json!({})).sent(), (200, -32602));
}

#[test]
fn a_legacy_request_is_of_a_served_version_or_of_none() {
    let list = Post::legacy("tools/list", json!({}));
    assert_eq!(list.sent(), (200, 0));
    for version in ["2025-11-25", "2025-06-18", "2025-03-26"] {
        assert_eq!(list.clone().header("mcp-protocol-version", version).sent(), (200, 0), "{version}");
    }
    assert_eq!(list.clone().header("mcp-protocol-version", "2024-11-05").sent(), (400, -32022));
    assert_eq!(list.clone().header("mcp-protocol-version", "a b").sent(), (400, -32020));
    assert_eq!(list.clone().header("mcp-protocol-version", "").sent(), (400, -32020));
    assert_eq!(list.header("mcp-protocol-version", MODERN).sent(), (400, -32602));
}

#[test]
fn a_log_level_is_one_of_the_eight() {
    let level = |level: &str| Post::legacy("logging/setLevel", json!({ "level": level }));
    assert_eq!(level("debug").send().result(), json!({}));
    assert_eq!(level("loud").sent(), (200, -32602));
    let list = Post::modern("tools/list", json!({}));
    assert_eq!(list.clone().meta("io.modelcontextprotocol/logLevel", json!("debug")).sent(), (200, 0));
    assert_eq!(list.meta("io.modelcontextprotocol/logLevel", json!("loud")).sent(), (400, -32602));
}
