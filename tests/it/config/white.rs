//! What a tenant and its users see of us: with white label, nothing.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use insula_tenancy::{Feature, Tier};
use serde_json::json;

use super::{ADMIN, Config, named};
use crate::{ask::list_tools, harness::tool_call};

/// Everything that a tenant or its user reads of us, as one text.
async fn all_that_is_seen(config: &Config) -> String {
    let mcp = [
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("user-agent", "openai-mcp/1.0.0"),
    ];
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let initialize = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "x", "version": "1" } },
    });
    let mut seen = String::new();
    let mut note = |what: &str, reply: &Response<Bytes>| {
        seen.push_str(&format!(
            "{what} {} {:?} {}\n",
            reply.status(),
            reply.headers(),
            String::from_utf8_lossy(reply.body())
        ));
    };
    for body in [
        initialize,
        list_tools(),
        tool_call("get_profile", json!({})),
        tool_call("nothing", json!({})),
        json!([]),
    ] {
        let reply = config.send(("root", ADMIN), (Method::POST, "/mcp"), &mcp[..1], body.to_string()).await;
        note("legacy", &reply);
    }
    for method in ["server/discover", "tools/list", "prompts/list"] {
        let headers = [mcp[0], mcp[1], mcp[2], ("mcp-method", method)];
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": { "_meta": meta } });
        let reply = config.send(("root", ADMIN), (Method::POST, "/mcp"), &headers, body.to_string()).await;
        note(method, &reply);
    }
    for template in ["invitation", "welcome", "quota_warning"] {
        let path = format!("/v1/config/emails/{template}/preview");
        note(&path, &config.json((Method::POST, &path), None, &json!({})).await);
    }
    let paths = [
        "/v1/config",
        "/v1/config/members",
        "/v1/config/assets",
        "/v1/config/export",
        "/v1/usage",
        "/v1/secrets",
        "/v1/collections/notes/items",
        "/v1/nothing",
        "/v1/config/nothing",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/openai-apps-challenge",
    ];
    for path in paths {
        note(path, &config.get(path).await);
        let url = config.stack.host_url(&config.own.slug).replace("/mcp", path);
        let nobody = Request::get("/").body(Full::new(Bytes::new())).unwrap();
        note(path, &config.stack.send(&url, nobody).await);
    }
    note("version", &config.put(None, &json!({})).await);
    note("faults", &config.put(Some("\"9\""), &json!({ "tier": 1 })).await);
    note("not allowed", &config.delete("/v1/config").await);
    seen
}

#[tokio::test]
async fn with_white_label_our_name_is_nowhere() {
    let config = Config::make("config-white", Tier::Professional).await;
    assert_eq!(config.patch(&named("Acme Ltd")).await.status(), 200);
    let shown = all_that_is_seen(&config).await.to_lowercase();
    // The name of the issuer is that of the laptop's own identity provider, which is on no product's address.
    for place in
        ["serverinfo\":{\"name\":\"insula\",\"title\":\"insula\"", "sent with insula", "product_shown\":true"]
    {
        assert!(shown.contains(place), "{place}");
    }
    config.switch(Feature::WhiteLabel, true).await;
    let hidden = all_that_is_seen(&config).await;
    let lower = hidden.to_lowercase();
    let lines: Vec<_> = lower.lines().filter(|line| line.contains("insula")).collect();
    assert_eq!(lines, [""; 0]);
    assert_eq!(hidden.matches(r#""name":"Acme Ltd","title":"Acme Ltd""#).count(), 4, "{hidden}");
    // Without a name of its own it has none of ours.
    assert_eq!(config.patch(&json!({ "branding": null })).await.status(), 200);
    let nameless = all_that_is_seen(&config).await;
    assert!(!nameless.to_lowercase().contains("insula") && nameless.contains(r#""title":"Workspace""#));
}
