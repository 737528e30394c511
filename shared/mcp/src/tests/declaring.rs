//! What a builder refuses, beside the declaration that it takes.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{SCOPES, about, builder, complete, greet, note, prompt, query, resource, tool};
use crate::{Answer, Exchange, Hints, Implementation, PromptMessage, Rich, Server, ToolSpec};

fn flaw(spec: ToolSpec) -> Option<String> {
    builder().tool(spec, greet).build().err().map(|flaws| flaws.to_string())
}

#[test]
fn a_tool_that_is_incomplete_or_contradicts_itself_is_refused() {
    assert_eq!(flaw(tool("greet")), None);
    let destructive_read = Hints { read_only: true, destructive: true, idempotent: true, open_world: false };
    let cases = [
        (ToolSpec { title: " ", ..tool("t") }, "empty"),
        (ToolSpec { description: "", ..tool("t") }, "empty"),
        (tool(""), "name is not"),
        (tool("a b"), "name is not"),
        (tool("é"), "name is not"),
        (ToolSpec { scopes: &[], ..tool("t") }, "no scopes"),
        (ToolSpec { scopes: &["a b"], ..tool("t") }, "scope token"),
        (ToolSpec { scopes: &["notes:read", ""], ..tool("t") }, "scope token"),
        (ToolSpec { hints: destructive_read, ..tool("t") }, "read-only and destructive"),
        (ToolSpec { meta: Some(json!([])), ..tool("t") }, "meta"),
        (ToolSpec { meta: Some(json!({ "securitySchemes": [] })), ..tool("t") }, "meta"),
    ];
    for (spec, why) in cases {
        let flaw = flaw(spec).unwrap();
        assert!(flaw.contains(why), "{flaw}");
    }
}

#[test]
fn every_flaw_is_said_at_once() {
    let flaw = flaw(ToolSpec { title: "", scopes: &[], ..tool("t") }).unwrap();
    assert!(
        flaw.contains("tool `t`: it has no scopes") && flaw.contains("tool `t`: one of its names"),
        "{flaw}"
    );
}

#[test]
fn a_name_is_declared_once() {
    let twice = builder().tool(tool("greet"), greet).talking_tool(tool("greet"), query);
    assert!(twice.build().unwrap_err().to_string().contains("`greet`: it is there twice"));
    assert!(builder().tool(tool("greet"), greet).talking_tool(tool("query"), query).build().is_ok());
    let twice =
        builder().resource(resource("notes://about"), about).resource(resource("notes://about"), about);
    assert!(twice.build().is_err());
    let twice = builder().completion(SCOPES, complete).completion(SCOPES, complete);
    assert!(twice.build().is_err());
    let template = || resource("notes://{id}");
    assert!(builder().resource_template(template(), note).build().is_ok());
    assert!(
        builder().resource_template(template(), note).resource_template(template(), note).build().is_err()
    );
}

#[test]
fn arguments_and_results_are_objects() {
    async fn text(_: &'static str, _: String) -> Result<String, super::Problem> {
        Ok(String::new())
    }
    let flaws = builder().tool(tool("t"), text).build().unwrap_err().to_string();
    assert!(
        flaws.contains("arguments are not an object") && flaws.contains("result is not an object"),
        "{flaws}"
    );
}

#[test]
fn the_server_has_a_name() {
    let named = |name| Implementation { name, title: "T", version: "1" };
    assert!(Server::<(), super::Problem>::builder(named("n"), "").build().is_ok());
    assert!(Server::<(), super::Problem>::builder(named(""), "").build().is_err());
}

macro_rules! headers {
    ($($field:tt)*) => {{
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only the schema is looked at")]
        struct Args { $($field)* }
        async fn run(_: &'static str, _: Exchange, _: Args) -> Result<Answer<Rich>, super::Problem> {
            Ok(Rich::new([]).into())
        }
        builder().talking_tool(tool("t"), run).build().err().map(|flaws| flaws.to_string())
    }};
}

#[test]
fn a_header_is_asked_for_where_the_protocol_lets_it() {
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only the schema is looked at")]
    struct Inner {
        #[schemars(extend("x-mcp-header" = "Zone"))]
        zone: String,
    }
    assert_eq!(headers!(inner: Inner, #[schemars(extend("x-mcp-header" = "A"))] a: bool), None);
    let cases = [
        headers!(#[schemars(extend("x-mcp-header" = "A B"))] a: String),
        headers!(#[schemars(extend("x-mcp-header" = ""))] a: String),
        headers!(#[schemars(extend("x-mcp-header" = 7))] a: String),
        headers!(#[schemars(extend("x-mcp-header" = "A"))] a: f64),
        headers!(#[schemars(extend("x-mcp-header" = "A"))] a: Option<String>),
        headers!(#[schemars(extend("x-mcp-header" = "A"))] a: String, #[schemars(extend("x-mcp-header" = "a"))] b: String),
        headers!(inner: Vec<Inner>),
    ];
    for case in cases {
        assert!(case.as_ref().is_some_and(|flaw| flaw.contains("x-mcp-header")), "{case:?}");
    }
}

#[test]
fn a_template_is_of_level_1_and_a_resource_is_absolute() {
    for uri in ["notes://{id}", "notes://{id}/{part}", "notes://a/{id}.txt"] {
        assert!(builder().resource_template(resource(uri), note).build().is_ok(), "{uri}");
    }
    for uri in [
        "notes://a",
        "{id}",
        "notes://{id}{part}",
        "notes://{id}/{id}",
        "notes://{+id}",
        "notes://{id",
        "notes://{}",
        "notes://{a}}",
    ] {
        assert!(builder().resource_template(resource(uri), note).build().is_err(), "{uri}");
    }
    assert!(builder().resource(resource("notes://a"), about).build().is_ok());
    for uri in ["notes", "/a", "notes:", "1a:b", "notes://a b"] {
        assert!(builder().resource(resource(uri), about).build().is_err(), "{uri}");
    }
}

#[test]
fn an_argument_of_a_prompt_is_a_string() {
    macro_rules! taking {
        ($kind:ty) => {{
            #[derive(Deserialize, JsonSchema)]
            #[expect(dead_code, reason = "only the schema is looked at")]
            struct Args {
                a: $kind,
            }
            async fn run(
                _: &'static str,
                _: Exchange,
                _: Args,
            ) -> Result<Answer<Vec<PromptMessage>>, super::Problem> {
                Ok(Vec::new().into())
            }
            builder().prompt(prompt("p"), run).build().is_ok()
        }};
    }
    assert!(taking!(String) && taking!(Option<String>));
    assert!(!taking!(u32) && !taking!(Vec<String>));
}
