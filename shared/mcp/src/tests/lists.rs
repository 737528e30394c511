//! What is listed.

use serde_json::{Value, json};

use super::{Post, builder, greet, server, tool};
use crate::{Hints, ToolSpec};

fn list(method: &str, member: &str) -> Vec<Value> {
    let result = Post::modern(method, json!({})).send().result();
    assert_eq!((&result["resultType"], &result["cacheScope"]), (&json!("complete"), &json!("private")));
    assert!(result["ttlMs"].is_u64());
    result[member].as_array().unwrap().clone()
}

#[test]
fn tools_are_listed_in_the_order_of_declaration() {
    let names: Vec<_> = list("tools/list", "tools").iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, ["greet", "query", "erase", "chatty", "needy"]);
}

#[test]
fn a_tool_says_everything_that_chatgpt_reads() {
    let hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };
    let spec = ToolSpec { hints, meta: Some(json!({ "openai/profile": true })), ..tool("greet") };
    let server = builder().tool(spec, greet).build().unwrap();
    let tools: Value = server.answers["tools/list"].value.clone();
    assert_eq!(
        tools["tools"],
        json!([{
            "name": "greet",
            "title": "A tool",
            "description": "Does something",
            "inputSchema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {
                    "name": { "type": "string", "description": "Whom to greet" },
                    "times": { "type": ["integer", "null"], "minimum": 0 },
                    "tags": { "type": "array", "items": { "type": "string" }, "default": [] },
                },
                "required": ["name"],
                "additionalProperties": false,
            },
            "outputSchema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": { "text": { "type": "string" } },
                "required": ["text"],
            },
            "annotations": {
                "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false,
            },
            "securitySchemes": [{ "type": "oauth2", "scopes": ["notes:read"] }],
            "_meta": {
                "openai/profile": true,
                "securitySchemes": [{ "type": "oauth2", "scopes": ["notes:read"] }],
            },
        }])
    );
}

#[test]
fn schemas_refer_to_nothing() {
    let text = serde_json::to_string(&list("tools/list", "tools")).unwrap();
    assert!(!text.contains("$ref") && !text.contains("$defs") && text.contains("\"number\""));
}

#[test]
fn resources_templates_and_prompts_are_listed() {
    let described = json!({
        "name": "resource", "title": "A resource", "description": "Something to read", "mimeType": "text/plain",
    });
    let with = |member: &str, uri: &str| {
        let mut resource = described.clone();
        resource[member] = json!(uri);
        vec![resource]
    };
    assert_eq!(list("resources/list", "resources"), with("uri", "notes://about"));
    let templates = list("resources/templates/list", "resourceTemplates");
    assert_eq!(templates, with("uriTemplate", "notes://note/{id}.txt"));
    assert_eq!(
        list("prompts/list", "prompts"),
        vec![json!({
            "name": "welcome", "title": "A prompt", "description": "Something to say",
            "arguments": [
                { "name": "mood", "description": "mood", "required": false },
                { "name": "name", "description": "Whom to welcome", "required": true },
            ],
        })]
    );
}

#[test]
fn a_cursor_that_no_list_gave_out_is_refused() {
    for method in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
        assert_eq!(Post::modern(method, json!({ "cursor": null })).sent(), (200, 0));
        assert_eq!(Post::modern(method, json!({ "cursor": "2" })).sent(), (400, -32602));
    }
}

#[test]
fn what_is_not_declared_is_not_there() {
    let server = builder().tool(tool("greet"), greet).build().unwrap();
    for (method, found) in [("tools/list", true), ("prompts/list", false), ("resources/list", false)] {
        assert_eq!(server.answers.contains_key(method), found, "{method}");
    }
    assert_eq!(server.capabilities, json!({ "tools": {} }));
    let methods = ["prompts/get", "resources/read", "completion/complete", "logging/setLevel"];
    for method in methods {
        let post =
            Post::legacy(method, json!({ "name": "welcome", "uri": "notes://about", "level": "info" }));
        let body = serde_json::to_vec(&post.body).unwrap();
        let crate::Step::Reply(reply) = server.receive(&post.headers, &body) else { panic!("{method} ran") };
        assert_eq!(super::code(&reply), -32601, "{method}");
    }
}

#[test]
fn an_introduction_under_another_name_names_the_server_nowhere() {
    let server = server();
    let named = |post: &Post, name: Option<&str>| {
        let body = serde_json::to_vec(&post.body).unwrap();
        let crate::Step::Introduction(introduction) = server.receive(&post.headers, &body) else {
            panic!("{body:?} has no name in it")
        };
        String::from_utf8(introduction.reply(name).body).unwrap()
    };
    let initialize = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {} });
    for (post, place) in [
        (Post::legacy("initialize", initialize), "/result/serverInfo"),
        (Post::modern("server/discover", json!({})), "/result/_meta/io.modelcontextprotocol~1serverInfo"),
        (Post::modern("tools/list", json!({})), "/result/_meta/io.modelcontextprotocol~1serverInfo"),
    ] {
        let info = |text: &str| serde_json::from_str::<Value>(text).unwrap().pointer(place).cloned().unwrap();
        let own = named(&post, None);
        assert_eq!(info(&own), json!({ "name": "notes", "title": "Notes", "version": "1.0.0" }));
        let other = named(&post, Some("Acme"));
        assert_eq!(info(&other), json!({ "name": "Acme", "title": "Acme", "version": "1.0.0" }));
        let renamed = other.replace(r#""name":"Acme","title":"Acme""#, r#""name":"notes","title":"Notes""#);
        assert_eq!(
            serde_json::from_str::<Value>(&renamed).unwrap(),
            serde_json::from_str::<Value>(&own).unwrap()
        );
    }
}
