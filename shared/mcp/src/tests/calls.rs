//! Calls of tools, reads of resources, prompts and completions.

use serde_json::{Value, json};

use super::{Post, Problem, run, server};
use crate::{Call, Outcome, OutcomeKind, Step};

/// The call that a request makes, given to `look`.
fn called<T>(post: &Post, look: impl FnOnce(Call<'_, &'static str, Problem>) -> T) -> T {
    let server = server();
    match server.receive(&post.headers, &serde_json::to_vec(&post.body).unwrap()) {
        Step::Call(call) => look(*call),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_structured_result_is_mirrored_as_text() {
    let answered = Post::call("greet", json!({ "name": "you", "times": 2 })).send();
    assert_eq!(
        answered.result(),
        json!({
            "resultType": "complete",
            "content": [{ "type": "text", "text": "{\"text\":\"acme greets you 2\"}" }],
            "structuredContent": { "text": "acme greets you 2" },
            "isError": false,
        })
    );
    assert_eq!(answered.kind, Some(OutcomeKind::Complete));
}

#[test]
fn wrong_arguments_are_a_result_that_says_where_and_why_and_nothing_runs() {
    let cases = [
        (json!({}), "wrong arguments: missing field `name`"),
        (json!({ "name": 7 }), "wrong arguments: `name`: invalid type: integer `7`, expected a string"),
        (
            json!({ "name": "a", "times": -1 }),
            "wrong arguments: `times`: invalid value: integer `-1`, expected u32",
        ),
        (
            json!({ "name": "a", "tags": ["b", 1] }),
            "wrong arguments: `tags[1]`: invalid type: integer `1`, expected a string",
        ),
        (
            json!({ "name": "a", "nane": "b" }),
            "wrong arguments: `nane`: unknown field `nane`, expected one of `name`, `times`, `tags`",
        ),
    ];
    for (arguments, why) in cases {
        let answered = Post::call("greet", arguments).send();
        assert_eq!((answered.reply.status.as_u16(), answered.kind), (200, None));
        assert_eq!(
            answered.result(),
            json!({
                "resultType": "complete",
                "content": [{ "type": "text", "text": why }],
                "isError": true,
                "_meta": { "tenancy/error": { "code": "invalid_arguments" } },
            })
        );
    }
    assert_eq!(Post::modern("tools/call", json!({ "name": "greet", "arguments": [] })).sent(), (400, -32602));
    assert_eq!(
        Post::modern("tools/call", json!({ "name": "greet", "arguments": null })).sent(),
        (400, -32602)
    );
}

#[test]
fn a_refusal_is_a_result_that_the_model_can_say() {
    let limit = Post::call("greet", json!({ "name": "limit" })).send();
    assert_eq!(
        limit.result(),
        json!({
            "resultType": "complete",
            "content": [{ "type": "text", "text": "no calls are left until Monday" }],
            "isError": true,
            "_meta": { "tenancy/error": { "code": "limit_reached", "data": { "limit": 100 } } },
        })
    );
    let sign_in = Post::call("greet", json!({ "name": "stranger" })).send();
    let challenge = r#"Bearer error="invalid_token", error_description="expired""#;
    assert_eq!(sign_in.result()["_meta"]["mcp/www_authenticate"], json!([challenge]));
}

#[test]
fn an_unknown_tool_is_an_error() {
    assert_eq!(Post::call("greet", json!({ "name": "you" })).sent(), (200, 0));
    assert_eq!(Post::call("greeet", json!({ "name": "you" })).sent(), (400, -32602));
    assert_eq!(Post::legacy("tools/call", json!({ "name": "greeet" })).sent(), (200, -32602));
    assert_eq!(Post::modern("tools/call", json!({})).sent(), (400, -32602));
    assert_eq!(Post::modern("tools/call", json!({ "name": 7 })).sent(), (400, -32602));
}

#[test]
fn an_argument_that_a_header_repeats_is_there_twice_and_equal() {
    let call = Post::call("query", json!({ "region": "eu", "limit": 3 }))
        .header("mcp-param-region", "eu")
        .header("mcp-param-limit", "3");
    assert_eq!(call.sent(), (200, 0));
    for (header, value) in
        [("mcp-param-region", "us"), ("mcp-param-region", "=?base64?ZXU?="), ("mcp-param-limit", "4")]
    {
        assert_eq!(call.clone().header(header, value).sent(), (400, -32020), "{header}: {value}");
    }
    assert_eq!(call.clone().without("mcp-param-region").sent(), (400, -32020));
    assert_eq!(call.clone().header("mcp-param-region", "=?base64?ZXU=?=").sent(), (200, 0));
    assert_eq!(call.clone().header("mcp-param-other", "x").sent(), (200, 0));
    let no_limit = call.with(|body| _ = body["params"]["arguments"].as_object_mut().unwrap().remove("limit"));
    assert_eq!(no_limit.sent(), (400, -32020));
    assert_eq!(no_limit.without("mcp-param-limit").sent(), (200, 0));
    // The initialize era has no such headers.
    let legacy = json!({ "name": "query", "arguments": { "region": "eu" } });
    assert_eq!(Post::legacy("tools/call", legacy).sent(), (200, 0));
}

#[test]
fn a_call_says_what_its_caller_must_check() {
    let post = Post::call("greet", json!({ "times": 1, "name": "you" }))
        .meta("tenancy/idempotencyKey", json!("k1"))
        .meta("io.modelcontextprotocol/clientInfo", json!({ "name": "a\nb" }));
    called(&post, |call| {
        assert_eq!((call.method(), call.name(), call.read_only()), ("tools/call", "greet", false));
        assert_eq!((call.scopes(), call.idempotency_key()), (["notes:read"].as_slice(), Some("k1")));
        assert_eq!(call.client_name(), Some("ab"));
        let canonical = br#"{"arguments":{"name":"you","times":1},"method":"tools/call","name":"greet"}"#;
        assert_eq!(call.canonical(), canonical);
    });
}

#[test]
fn an_idempotency_key_is_short_and_visible() {
    let call = Post::call("greet", json!({ "name": "you" }));
    for key in [json!("k".repeat(128)), json!("!")] {
        assert_eq!(call.clone().meta("tenancy/idempotencyKey", key).sent(), (200, 0));
    }
    for key in [json!(""), json!("k".repeat(129)), json!("a b"), json!("é"), json!(7), Value::Null] {
        assert_eq!(call.clone().meta("tenancy/idempotencyKey", key.clone()).sent(), (400, -32602), "{key}");
    }
}

#[test]
fn a_stored_outcome_is_replayed_byte_for_byte_under_another_id() {
    // A structured result, whose content is made anew, and one of free content.
    for (post, has_content) in
        [(Post::call("greet", json!({ "name": "y\"ou" })), false), (Post::call("chatty", json!({})), true)]
    {
        let (stored, first) = called(&post, |mut call| {
            let outcome = run(&mut call);
            let stored = outcome.as_ref().unwrap().stored().unwrap().to_owned();
            (stored, String::from_utf8(call.reply(outcome).body).unwrap())
        });
        let result: Value = serde_json::from_str::<Value>(&first).unwrap()["result"].clone();
        let kept: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(kept.get("content").is_some(), has_content, "{stored}");
        assert_eq!(kept.get("structuredContent"), result.get("structuredContent"));
        let text = result["content"][0]["text"].as_str().unwrap();
        if !has_content {
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), result["structuredContent"]);
        }
        let again = post.with(|body| body["id"] = json!("again"));
        let second = called(&again, |call| call.reply(Ok(Outcome::from_stored(stored).unwrap())).body);
        assert_eq!(String::from_utf8(second).unwrap(), first.replace("\"id\":1", "\"id\":\"again\""));
    }
    assert!(Outcome::from_stored("[1]".to_owned()).is_none());
    assert!(Outcome::from_stored("{".to_owned()).is_none());
}

#[test]
fn a_call_can_run_again() {
    called(&Post::call("greet", json!({ "name": "you" })), |mut call| {
        let once = run(&mut call).unwrap().stored().unwrap().to_owned();
        assert_eq!(run(&mut call).unwrap().stored().unwrap(), once);
    });
}

#[test]
fn notifications_come_before_the_result_and_only_to_who_asked() {
    let call = Post::call("chatty", json!({}));
    let types = |post: &Post| {
        let reply = post.send().reply;
        let body = String::from_utf8(reply.body).unwrap();
        (reply.headers["content-type"].to_str().unwrap().to_owned(), body)
    };
    assert_eq!(types(&call).0, "application/json");
    let asked =
        call.meta("progressToken", json!("t")).meta("io.modelcontextprotocol/logLevel", json!("info"));
    let (kind, body) = types(&asked);
    assert_eq!(kind, "text/event-stream");
    let events: Vec<Value> = body
        .split("\n\n")
        .filter(|event| !event.is_empty())
        .map(|event| serde_json::from_str(event.strip_prefix("event: message\ndata: ").unwrap()).unwrap())
        .collect();
    assert_eq!(events.len(), 3);
    assert_eq!(events[0]["params"], json!({ "progressToken": "t", "progress": 1.0, "total": 2.0 }));
    assert_eq!(events[1]["params"], json!({ "level": "warning", "data": "found" }));
    assert_eq!(events[2]["result"]["content"][0]["text"], "done");
    assert_eq!(types(&asked.header("accept", "application/json")).0, "application/json");
    let legacy = Post::legacy("tools/call", json!({ "name": "chatty" }));
    assert_eq!(types(&legacy).1.matches("notifications/message").count(), 1);
}

#[test]
fn a_resource_is_read_and_a_missing_one_is_an_error_of_its_era() {
    let read = |uri: &str| Post::modern("resources/read", json!({ "uri": uri }));
    assert_eq!(
        read("notes://note/7.txt").send().result(),
        json!({
            "resultType": "complete",
            "contents": [{ "uri": "notes://note/7.txt", "mimeType": "text/plain", "text": "acme" }],
            "ttlMs": 0,
            "cacheScope": "private",
        })
    );
    let absent =
        ["notes://note/404.txt", "notes://note/x.txt", "notes://note/7/8.txt", "notes://note/%37.txt"];
    for uri in absent.into_iter().chain(["notes://note/.txt", "notes://note/7.txt2", "notes://nothing", ""]) {
        let answered = read(uri).send();
        assert_eq!(answered.reply.status.as_u16(), 400, "{uri}");
        assert_eq!(
            answered.error(),
            json!({ "code": -32602, "message": "resource not found", "data": { "uri": uri } })
        );
        assert_eq!(Post::legacy("resources/read", json!({ "uri": uri })).sent(), (200, -32002), "{uri}");
    }
    assert_eq!(read("notes://about").sent(), (200, 0));
    called(&read("notes://note/7.txt"), |call| assert_eq!(call.name(), "notes://note/{id}.txt"));
}

#[test]
fn a_refusal_of_a_read_is_an_error() {
    let answered = Post::modern("resources/read", json!({ "uri": "notes://note/429.txt" })).send();
    assert_eq!(
        answered.error(),
        json!({
            "code": -32000,
            "message": "no calls are left until Monday",
            "data": { "code": "limit_reached", "data": { "limit": 100 } },
        })
    );
}

#[test]
fn a_prompt_is_got_with_the_arguments_that_it_has() {
    let get =
        |arguments: Value| Post::modern("prompts/get", json!({ "name": "welcome", "arguments": arguments }));
    let message = json!({ "role": "user", "content": { "type": "text", "text": "you" } });
    let result = get(json!({ "name": "you" })).send().result();
    assert_eq!(result, json!({ "resultType": "complete", "messages": [message] }));
    assert_eq!(get(json!({})).sent(), (400, -32602));
    assert_eq!(get(json!({ "name": 7 })).sent(), (400, -32602));
    assert_eq!(Post::modern("prompts/get", json!({ "name": "farewell" })).sent(), (400, -32602));
}

#[test]
fn a_completion_is_of_something_that_is_declared_and_has_at_most_100_values() {
    let complete = |reference: Value| {
        Post::modern(
            "completion/complete",
            json!({ "ref": reference, "argument": { "name": "name", "value": "a" } }),
        )
    };
    let known = complete(json!({ "type": "ref/prompt", "name": "welcome" }));
    let completion = known.send().result()["completion"].take();
    assert_eq!((completion["total"].as_u64(), completion["hasMore"].as_bool()), (Some(150), Some(true)));
    assert_eq!(completion["values"].as_array().unwrap().len(), 100);
    assert_eq!(complete(json!({ "type": "ref/resource", "uri": "notes://note/{id}.txt" })).sent(), (200, 0));
    assert_eq!(complete(json!({ "type": "ref/prompt", "name": "farewell" })).sent(), (400, -32602));
    assert_eq!(complete(json!({ "type": "ref/resource", "uri": "notes://about" })).sent(), (400, -32602));
    assert_eq!(complete(json!({ "type": "ref/tool", "name": "greet" })).sent(), (400, -32602));
}
