use serde_json::{Value, json};

use super::*;
use crate::event::{Event, tests as events};

const APP: &str = "https://app.example.com";

fn request(origin: &Value) -> Request {
    let [mut rest, _] = events::with_header("Origin", origin);
    let asked = "authorization, Mcp-Param-City, mcp-param-, x-other, Mcp-Param-A B";
    rest["multiValueHeaders"]["Access-Control-Request-Headers"] = json!([asked]);
    let text = rest.to_string();
    Request::read(&Event::read(&text).unwrap(), &text, &events::context(10_000)).unwrap()
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn a_listed_origin_may_send_the_named_headers() {
    let reply = preflight(&request(&json!(APP)), &[APP.to_owned()]);
    assert_eq!(reply.status, 204);
    assert_eq!(header(&reply, "access-control-allow-origin"), Some(APP));
    assert_eq!(
        header(&reply, "access-control-allow-methods"),
        Some("GET, POST, PUT, PATCH, DELETE, OPTIONS")
    );
    assert_eq!(
        header(&reply, "access-control-allow-headers"),
        Some(
            "Authorization, Content-Type, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Idempotency-Key, \
             If-Match, Last-Event-ID, mcp-param-city"
        )
    );
    assert_eq!(header(&reply, "access-control-max-age"), Some("600"));
    assert_eq!(header(&reply, "access-control-allow-credentials"), None);
}

#[test]
fn an_origin_that_is_not_listed_to_the_byte_is_told_nothing() {
    let near =
        ["https://app.example.com.", "https://APP.example.com", "http://app.example.com", "null", "*", ""];
    let allowed = [APP.to_owned(), "null".to_owned(), "*".to_owned(), String::new()];
    for origin in near {
        let request = request(&json!(origin));
        for reply in [preflight(&request, &allowed), expose(Reply::empty(StatusCode::OK), &request, &allowed)]
        {
            assert!(
                reply.headers.keys().all(|name| !name.as_str().starts_with("access-control")),
                "{origin}"
            );
            assert!(header(&reply, "vary").unwrap().starts_with("Origin"));
        }
        assert!(demand(&request, &allowed).is_err());
    }
    assert_eq!(header(&preflight(&request(&json!(APP)), &[]), "access-control-allow-origin"), None);
    assert!(demand(&request(&json!(APP)), &[]).is_err());
}

#[test]
fn a_reply_to_a_listed_origin_shows_its_challenge() {
    let request = request(&json!(APP));
    let reply = expose(Reply::empty(StatusCode::UNAUTHORIZED), &request, &[APP.to_owned()]);
    assert_eq!(header(&reply, "access-control-allow-origin"), Some(APP));
    assert_eq!(header(&reply, "vary"), Some("Origin"));
    for name in ["WWW-Authenticate", "Retry-After", "ETag", "Location"] {
        assert!(header(&reply, "access-control-expose-headers").unwrap().contains(name), "{name}");
    }
    assert!(demand(&request, &[APP.to_owned()]).is_ok());
}

#[test]
fn a_client_that_is_no_browser_is_admitted() {
    assert!(demand(&request(&Value::Null), &[]).is_ok());
}
