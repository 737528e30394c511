//! The grammar of a message, and what is around it.

use http::HeaderMap;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Post, code, send};

fn sent(body: &[u8]) -> (u16, i64) {
    let reply = send(&HeaderMap::new(), body).reply;
    (reply.status.as_u16(), code(&reply))
}

/// A message with an array of so many levels, which stands two levels deep.
fn nested(levels: usize) -> Vec<u8> {
    let (open, close) = ("[".repeat(levels), "]".repeat(levels));
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"deep":{open}{close}}}}}"#).into_bytes()
}

#[test]
fn a_body_that_is_not_one_strict_json_text_is_a_parse_error() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"é"}}"#;
    assert_eq!(sent(ping.as_bytes()), (200, 0));
    let latin1: Vec<u8> = ping.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let cases = [
        Vec::new(),
        b"{".to_vec(),
        ping.as_bytes().iter().copied().take(ping.len() - 1).collect(),
        format!("{ping}{ping}").into_bytes(),
        latin1,
        ping.replace('é', r"\ud800").into_bytes(),
        ping.replace("\"é\"", "1e999").into_bytes(),
        ping.replace("\"é\"", "NaN").into_bytes(),
    ];
    for body in cases {
        assert_eq!(sent(&body), (400, -32700), "{}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn nesting_is_bounded() {
    assert_eq!(sent(&nested(62)), (200, 0));
    assert_eq!(sent(&nested(63)), (400, -32700));
    assert_eq!(sent(&nested(400_000)), (400, -32700));
}

#[test]
fn a_name_that_is_there_twice_is_refused_at_every_level() {
    assert_eq!(sent(br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[{"b":1,"c":1}]}}"#), (200, 0));
    assert_eq!(
        sent(br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[{"b":1,"b":1}]}}"#),
        (400, -32700)
    );
    assert_eq!(sent(br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}"#), (400, -32700));
    // The same name, written with an escape.
    assert_eq!(sent(br#"{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"ping"}"#), (400, -32700));
}

#[test]
fn a_message_out_of_grammar_is_an_invalid_request() {
    let ping = Post::legacy("ping", json!({}));
    assert_eq!(ping.sent(), (200, 0));
    let long = "m".repeat(129);
    let cases = [
        ("jsonrpc", json!("1.0")),
        ("jsonrpc", json!(2.0)),
        ("id", Value::Null),
        ("id", json!(1.5)),
        ("id", json!(true)),
        ("id", json!("i".repeat(257))),
        ("method", json!("")),
        ("method", json!("pi ng")),
        ("method", json!("ping\n")),
        ("method", json!(long)),
        ("method", json!(7)),
    ];
    for (member, value) in cases {
        assert_eq!(
            ping.clone().with(|body| body[member] = value.clone()).sent(),
            (400, -32600),
            "{member} {value}"
        );
    }
    let no_method = ping.clone().with(|body| _ = body.as_object_mut().unwrap().remove("method"));
    assert_eq!(no_method.sent(), (400, -32600));
    assert_eq!(ping.clone().with(|body| body["params"] = json!([])).sent(), (400, -32602));
    assert_eq!(ping.clone().with(|body| *body = json!([body])).sent(), (400, -32600));
    assert_eq!(ping.with(|body| *body = json!("ping")).sent(), (400, -32600));
}

#[test]
fn an_id_comes_back_as_it_was_sent_with_errors_too() {
    for id in [json!("i".repeat(256)), json!(0), json!(-7), json!(u64::MAX), json!("")] {
        let ping = Post::legacy("ping", json!({})).with(|body| body["id"] = id.clone());
        assert_eq!(ping.send().json(), json!({ "jsonrpc": "2.0", "id": id, "result": {} }));
        let unknown = ping.with(|body| body["method"] = json!("no/such"));
        assert_eq!(unknown.send().json()["id"], id);
    }
    assert_eq!(send(&HeaderMap::new(), b"{").json()["id"], Value::Null);
}

#[test]
fn a_notification_is_accepted_and_not_answered() {
    let post = Post::legacy("notifications/initialized", json!({}));
    let note = post.clone().with(|body| _ = body.as_object_mut().unwrap().remove("id"));
    for note in [note.clone(), note.clone().header("mcp-protocol-version", "2026-07-28")] {
        let reply = note.send().reply;
        assert_eq!((reply.status.as_u16(), reply.body.len(), reply.headers.len()), (202, 0, 0));
    }
    assert_eq!(note.header("mcp-protocol-version", "1999-01-01").sent(), (400, -32022));
    assert_eq!(post.sent(), (200, -32601));
}

#[test]
fn only_json_is_read_and_only_what_the_client_takes_is_sent() {
    let ping = Post::legacy("ping", json!({}));
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(ping.clone().header("content-type", kind).sent(), (200, 0), "{kind}");
    }
    assert_eq!(ping.clone().header("content-type", "text/plain").sent(), (415, -32600));
    assert_eq!(ping.clone().without("content-type").sent(), (200, 0));
    for kind in ["application/json", "*/*", "text/html, application/*;q=0.1"] {
        let reply = ping.clone().header("accept", kind).send().reply;
        assert_eq!(reply.headers["content-type"], "application/json", "{kind}");
    }
    assert_eq!(ping.clone().without("accept").sent(), (200, 0));
    assert_eq!(ping.clone().header("accept", "text/html").sent(), (406, -32600));
    let reply = ping.header("accept", "text/event-stream").send().reply;
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    assert_eq!(reply.body, b"event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n");
}

#[test]
fn other_http_methods_are_told_what_is_allowed() {
    let reply = crate::Server::<(), super::Problem>::method_not_allowed();
    assert_eq!((reply.status.as_u16(), reply.headers["allow"].to_str().unwrap()), (405, "POST"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(sent(&bytes).0 >= 400);
    }
}
