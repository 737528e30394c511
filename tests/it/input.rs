//! Bad input through the door: a clear error of the right status, nothing changed, no instance gone.

use bytes::Bytes;
use http::{Method, Response};
use insula_tenancy::Tier;
use serde_json::{Value, json};

use crate::{
    ask::{Own, ask, code_of, post_with},
    harness::{Stack, json_of, stack, tool_call},
};

const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Sends bytes with a good token of the tenant.
async fn send(stack: &Stack, own: &Own, body: impl Into<Bytes>) -> Response<Bytes> {
    let bearer = format!("Bearer {}", own.token(stack));
    ask(stack, Method::POST, &stack.host_url(&own.slug), &[("authorization", &bearer)], body).await
}

/// The processes that serve tenants.
fn pids(stack: &Stack) -> Vec<u32> {
    stack.local.lambda.instances().iter().map(|instance| instance.pid).collect()
}

fn ping(filler: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "filler": filler } }).to_string()
}

/// A ping with arrays in one another.
fn nested(depth: usize) -> String {
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"deep":{open}{close}}}}}"#)
}

fn padded(bytes: usize) -> String {
    let mut body = ping("");
    body.extend(std::iter::repeat_n(' ', bytes - body.len()));
    body
}

#[tokio::test]
async fn a_body_that_is_no_message_is_refused_and_its_good_twin_is_served() {
    let stack = stack();
    let own = Own::make(stack, "input-bodies", Tier::Free).await;
    let before = pids(stack);
    let good = ping("x");
    let bad_utf8 = {
        let at = good.find("ping").unwrap();
        let mut bytes = good.clone().into_bytes();
        bytes[at] = 0xff;
        bytes
    };
    let twice = good.replace(r#""id":1"#, r#""id":1,"id":2"#);
    let cases: [(&str, Vec<u8>, u16, Value); 11] = [
        ("cut off", good[..good.len() - 1].into(), 400, json!(-32700)),
        ("bad UTF-8", bad_utf8, 400, json!(-32700)),
        ("nested", nested(1_000).into(), 400, json!(-32700)),
        ("nested far", nested(100_000).into(), 400, json!(-32700)),
        ("a name twice", twice.into(), 400, json!(-32700)),
        ("empty", Vec::new(), 400, json!(-32700)),
        ("a batch", format!("[{good}]").into(), 400, json!(-32600)),
        ("a text", "\"ping\"".into(), 400, json!(-32600)),
        ("another version", good.replace("2.0", "1.0").into(), 400, json!(-32600)),
        ("a method out of grammar", good.replace("ping", "pi ng").into(), 400, json!(-32600)),
        ("an id out of grammar", good.replace(r#""id":1"#, r#""id":1.5"#).into(), 400, json!(-32600)),
    ];
    for (what, body, status, code) in cases {
        let reply = send(stack, &own, body).await;
        assert_eq!((reply.status().as_u16(), &json_of(&reply)["error"]["code"]), (status, &code), "{what}");
    }
    for body in [good, ping("é"), nested(10)] {
        let reply = send(stack, &own, body.clone()).await;
        assert!(reply.status() == 200 && json_of(&reply)["result"].is_object(), "{body} {reply:?}");
    }
    let after = pids(stack);
    assert!(before.iter().all(|pid| after.contains(pid)), "every instance lives: {before:?} {after:?}");
    assert_eq!(own.meter(stack).await, (0, 0), "nothing was charged");
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused_and_one_of_a_mebibyte_is_served() {
    let stack = stack();
    let own = Own::make(stack, "input-sizes", Tier::Free).await;
    let before = pids(stack);
    assert_eq!(send(stack, &own, padded(BODY_BYTES_MAX + 1)).await.status(), 413);
    assert_eq!(send(stack, &own, padded(5 * BODY_BYTES_MAX)).await.status(), 413);
    assert_eq!(send(stack, &own, padded(BODY_BYTES_MAX)).await.status(), 200);
    let after = pids(stack);
    assert!(before.iter().all(|pid| after.contains(pid)), "every instance lives: {before:?} {after:?}");
}

#[tokio::test]
async fn a_tool_is_called_by_its_name_with_arguments_of_its_types_or_not_at_all() {
    let stack = stack();
    let own = Own::make(stack, "input-tools", Tier::Free).await;
    let good = json!({ "title": "t", "text": "t" });
    for name in ["notes_creat", "NOTES_CREATE", "", "notes_create\u{0}", "../notes_create"] {
        let reply = own.post(stack, &[], &tool_call(name, good.clone())).await;
        assert_eq!(json_of(&reply)["error"]["code"], -32602, "{name:?}");
    }
    let wrong = [
        json!({ "title": 1, "text": "t" }),
        json!({ "title": "t" }),
        json!({ "title": "t", "text": null }),
        json!({ "title": "t", "text": "t", "tenant": "globex" }),
        json!({ "title": "", "text": "t" }),
        json!({ "title": "t".repeat(201), "text": "t" }),
        json!({ "title": ["t"], "text": "t" }),
    ];
    for arguments in wrong {
        let reply = own.post(stack, &[], &tool_call("notes_create", arguments.clone())).await;
        assert_eq!(json_of(&reply)["result"]["isError"], true, "{arguments} {reply:?}");
    }
    assert_eq!(own.notes(stack).await, 0, "nothing is kept of a call that is refused");
    let reply = own.post(stack, &[], &tool_call("notes_create", good)).await;
    assert_eq!(json_of(&reply)["result"]["structuredContent"]["version"], 1);
    assert_eq!(own.notes(stack).await, 1);
}

/// Makes three notes and returns the first page's cursor.
async fn cursor(stack: &Stack, own: &Own) -> String {
    for title in ["one", "two", "three"] {
        own.post(stack, &[], &tool_call("notes_create", json!({ "title": title, "text": "t" }))).await;
    }
    let page = json_of(&own.post(stack, &[], &tool_call("notes_list", json!({ "limit": 1 }))).await);
    page["result"]["structuredContent"]["next_cursor"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_cursor_works_for_its_own_tenant_as_it_was_given() {
    let stack = stack();
    let own = Own::make(stack, "input-cursor-own", Tier::Starter).await;
    let other = Own::make(stack, "input-cursor-other", Tier::Starter).await;
    let (mine, theirs) = (cursor(stack, &own).await, cursor(stack, &other).await);
    let list = |cursor: &str| tool_call("notes_list", json!({ "limit": 1, "cursor": cursor }));
    let good = json_of(&own.post(stack, &[], &list(&mine)).await);
    assert_eq!(good["result"]["structuredContent"]["notes"][0]["title"], "two");

    let mut refused = vec![theirs, String::new(), "x".to_owned(), mine[..mine.len() - 1].to_owned()];
    for at in [0, mine.len() / 2, mine.len() - 2] {
        let with = if mine.as_bytes()[at] == b'A' { "B" } else { "A" };
        refused.push([&mine[..at], with, &mine[at + 1..]].concat());
    }
    let mut bodies = Vec::new();
    for cursor in refused {
        let reply = own.post(stack, &[], &list(&cursor)).await;
        assert_eq!(code_of(&reply), "invalid", "{cursor}");
        bodies.push(reply.body().clone());
    }
    assert!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "a foreign cursor is like any other: {bodies:?}"
    );
    // That it is no cursor of acme's does not spoil it for its owner.
    let again = json_of(&own.post(stack, &[], &list(&mine)).await);
    assert_eq!(again["result"]["structuredContent"]["notes"][0]["title"], "two");
}

#[tokio::test]
async fn a_header_that_differs_from_the_body_is_refused() {
    let stack = stack();
    let url = stack.host_url("acme");
    let token = stack.token("acme", &url);
    let version = "2026-07-28";
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "get_profile",
        "arguments": {},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    } });
    let good = [("mcp-protocol-version", version), ("mcp-method", "tools/call"), ("mcp-name", "get_profile")];
    let reply = post_with(stack, &url, &token, &good, &body).await;
    assert!(reply.status() == 200 && json_of(&reply)["result"].is_object(), "{reply:?}");
    for (at, wrong) in [(0, "2025-11-25"), (1, "tools/list"), (2, "notes_list"), (2, "get_profile2")] {
        let mut headers = good;
        headers[at].1 = wrong;
        let reply = post_with(stack, &url, &token, &headers, &body).await;
        assert_eq!(
            (reply.status().as_u16(), &json_of(&reply)["error"]["code"]),
            (400, &json!(-32020)),
            "{wrong}"
        );
        let missing: Vec<_> =
            good.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, one)| *one).collect();
        let reply = post_with(stack, &url, &token, &missing, &body).await;
        assert_eq!(
            (reply.status().as_u16(), &json_of(&reply)["error"]["code"]),
            (400, &json!(-32020)),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_version_that_is_not_served_is_refused_with_the_one_that_is() {
    let stack = stack();
    let url = stack.host_url("acme");
    let token = stack.token("acme", &url);
    let list = crate::ask::list_tools();
    for (version, status, code) in
        [("2025-11-25", 200, Value::Null), ("1999-01-01", 400, json!(-32022)), ("1 2", 400, json!(-32020))]
    {
        let reply = post_with(stack, &url, &token, &[("mcp-protocol-version", version)], &list).await;
        assert_eq!(
            (reply.status().as_u16(), &json_of(&reply)["error"]["code"]),
            (status, &code),
            "{version}"
        );
    }
}
