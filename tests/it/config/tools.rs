//! The workspace's configuration by tools, and without the API.

use http::Method;
use insula_tenancy::{Feature, Tier};
use serde_json::{Value, json};

use super::{ADMIN, Config, MEMBER};
use crate::harness::{json_of, tool_call};

impl Config {
    /// A tool's result.
    async fn tool(&self, scope: &str, name: &str, arguments: Value) -> Value {
        let headers = [("content-type", "application/json")];
        let call = tool_call(name, arguments).to_string();
        let reply = self.send(("admin", scope), (Method::POST, "/mcp"), &headers, call).await;
        json_of(&reply)["result"].clone()
    }
}

fn code(result: &Value) -> &str {
    if result["isError"] == false {
        "ok"
    } else {
        result["_meta"]["tenancy/error"]["code"].as_str().unwrap_or("?")
    }
}

#[tokio::test]
async fn an_admin_reads_and_changes_the_settings_by_tools_as_over_rest() {
    let config = Config::make("config-by-tools", Tier::Professional).await;
    let name = |name: &str| json!({ "settings": { "branding": { "company_name": name } } });
    let changed = config.tool(ADMIN, "config_patch", name("Acme")).await;
    assert_eq!((code(&changed), &changed["structuredContent"]["version"]), ("ok", &json!(1)));
    let read = config.tool(ADMIN, "config_read", json!({})).await["structuredContent"].clone();
    assert_eq!(read, changed["structuredContent"]);
    assert_eq!(read, json_of(&config.get("/v1/config").await));
    assert_eq!(read["branding"]["company_name"], "Acme");
    for (version, expected) in [(0, "conflict"), (1, "ok")] {
        let mut asked = name("Acme Inc.");
        asked["version"] = json!(version);
        assert_eq!(code(&config.tool(ADMIN, "config_patch", asked).await), expected, "{version}");
    }
    // Everything that is wrong at once, and then nothing is changed.
    let wrong = json!({ "settings": { "integrations": { "slack_webhook_secret": 1 }, "colour": 1, "branding": { "logo": "none" } } });
    let refused = config.tool(ADMIN, "config_patch", wrong).await;
    let said = refused["content"][0]["text"].as_str().unwrap();
    assert_eq!(code(&refused), "invalid");
    for part in ["integrations.slack_webhook_secret", "colour", "branding.logo"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(config.version().await, 2);
    for tool in ["config_read", "config_patch", "members_list", "secrets_list"] {
        let arguments = if tool == "config_patch" { name("Other") } else { json!({}) };
        assert_eq!(code(&config.tool(ADMIN, tool, arguments.clone()).await), "ok", "{tool}");
        assert_ne!(code(&config.tool(MEMBER, tool, arguments).await), "ok", "{tool}");
    }
    let members = config.tool(ADMIN, "members_list", json!({})).await["structuredContent"].clone();
    assert_eq!(members, json_of(&config.get("/v1/config/members").await));
}

#[tokio::test]
async fn what_an_admin_needs_to_run_the_workspace_is_no_api_access() {
    let config = Config::make("config-free", Tier::Free).await;
    let data = "/v1/collections/notes/items";
    for (on, status) in [(true, 200), (false, 403)] {
        config.switch(Feature::ApiAccess, on).await;
        assert_eq!(config.get(data).await.status(), status);
        for path in ["/v1/config", "/v1/config/members", "/v1/secrets"] {
            assert_eq!(config.get(path).await.status(), 200, "{path} {on}");
        }
    }
    let headers = [("content-type", "application/json")];
    let put = (Method::PUT, "/v1/secrets/slack_webhook");
    let put = config.send(("admin", ADMIN), put, &headers, json!({ "value": "v" }).to_string()).await;
    assert_eq!(put.status(), 201);
    let listed = config.tool(ADMIN, "secrets_list", json!({})).await;
    assert_eq!(listed["structuredContent"]["secrets"][0]["name"], "slack_webhook");
    let named = json!({ "settings": { "branding": null } });
    assert_eq!(code(&config.tool(ADMIN, "config_patch", named).await), "ok");
}

#[tokio::test]
async fn a_member_is_removed_by_a_tool_only_where_it_may_be_done_unasked_or_is_confirmed() {
    let config = Config::make("config-member", Tier::Starter).await;
    assert_eq!(config.call("somebody").await, "ok");
    let members = config.tool(ADMIN, "members_list", json!({})).await["structuredContent"].clone();
    let somebody =
        members["members"].as_array().unwrap().iter().find(|member| member["subject"] == "somebody");
    let remove = json!({ "id": somebody.unwrap()["id"] });
    // This client can't ask.
    let refused = config.tool(ADMIN, "members_remove", remove.clone()).await;
    assert_eq!(code(&refused), "forbidden");
    // Nor does a conversation decide that nobody has to be asked.
    let allow = json!({ "tools": { "confirm_deletes": "allow" } });
    let decided = config.tool(ADMIN, "config_patch", json!({ "settings": allow })).await;
    assert_eq!(code(&decided), "forbidden");
    assert_eq!(config.patch(&allow).await.status(), 200);
    assert_ne!(code(&config.tool(MEMBER, "members_remove", remove.clone()).await), "ok");
    let removed = config.tool(ADMIN, "members_remove", remove.clone()).await;
    assert_eq!((code(&removed), &removed["structuredContent"]["subject"]), ("ok", &json!("somebody")));
    assert_eq!(code(&config.tool(ADMIN, "members_remove", remove).await), "not_found");
}
