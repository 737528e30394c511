use std::{cell::Cell, future::pending};

use http::StatusCode;
use insula_tenancy::{Denial, Problem, Quota, QuotaKind, Reset};
use serde_json::json;

use super::*;
use crate::event::tests::{context, v1, v2, with_header};

async fn echo(request: Request) -> Reply {
    Reply::json(StatusCode::OK, request.body)
}

async fn status(event: &Value) -> Value {
    let before_handler = answer(echo, event.to_string().as_bytes(), context(10_000)).await.unwrap();
    before_handler["statusCode"].clone()
}

#[tokio::test]
async fn a_rest_reply_has_api_gateways_form() {
    let reply = answer(echo, v1().to_string().as_bytes(), context(10_000)).await.unwrap();
    assert_eq!(reply["statusCode"], 200);
    assert_eq!((&reply["body"], &reply["isBase64Encoded"]), (&json!("{}"), &json!(false)));
    let headers = &reply["multiValueHeaders"];
    assert_eq!(headers["cache-control"], json!(["no-store"]));
    assert_eq!(headers["x-content-type-options"], json!(["nosniff"]));
    assert_eq!(headers["content-type"], json!(["application/json"]));
}

#[tokio::test]
async fn an_http_reply_has_api_gateways_form() {
    let reply = answer(echo, v2().to_string().as_bytes(), context(10_000)).await.unwrap();
    assert_eq!(reply["statusCode"], 200);
    assert_eq!(reply["headers"]["cache-control"], "no-store");
    assert_eq!(reply["headers"]["content-type"], "application/json");
    assert_eq!(reply["body"], "{}");
}

#[tokio::test]
async fn only_a_public_reply_may_be_cached() {
    let public = async |_| Reply::json(StatusCode::OK, "{}").public(300);
    let reply = answer(public, v2().to_string().as_bytes(), context(10_000)).await.unwrap();
    assert_eq!(reply["headers"]["cache-control"], "public, max-age=300");
}

#[tokio::test]
async fn bytes_that_are_no_text_go_out_as_base64() {
    let binary = async |_| Reply::text(StatusCode::OK, vec![0xff, 0xfe]);
    let reply = answer(binary, v1().to_string().as_bytes(), context(10_000)).await.unwrap();
    assert_eq!((&reply["body"], &reply["isBase64Encoded"]), (&json!("//4="), &json!(true)));
}

#[tokio::test]
async fn hostile_events_are_answered_before_the_handler() {
    for (name, bad, good) in [
        ("Host", "exa mple.com", "example.com"),
        ("X-Forwarded-Proto", "ht tp", "https"),
        ("X-Other", "a\r\nb", "a b"),
    ] {
        for (bad, good) in with_header(name, &json!(bad)).iter().zip(&with_header(name, &json!(good))) {
            assert_eq!((status(bad).await, status(good).await), (json!(400), json!(200)), "{name}");
        }
    }
    for (event, key, bad, code) in [
        (v1(), "path", "/".repeat(70_000), 414),
        (v2(), "rawPath", "/".repeat(70_000), 414),
        (v2(), "rawQueryString", "a=\"".to_owned(), 400),
        (v1(), "body", "a".repeat(1_048_577), 413),
        (v2(), "body", "a".repeat(1_048_577), 413),
    ] {
        let mut hostile = event.clone();
        hostile[key] = json!(bad);
        assert_eq!((status(&hostile).await, status(&event).await), (json!(code), json!(200)), "{key}");
    }
}

#[tokio::test]
async fn a_refusal_is_a_problem_document() {
    let [rest, _] = with_header("Host", &json!("exa mple.com"));
    let reply = answer(echo, rest.to_string().as_bytes(), context(10_000)).await.unwrap();
    assert_eq!(reply["multiValueHeaders"]["content-type"], json!(["application/problem+json"]));
    let body: Value = serde_json::from_str(reply["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        body,
        json!({
            "type": "about:blank", "title": "Bad Request", "status": 400, "code": "invalid",
            "detail": "the host is not a name or address with or without a port",
        })
    );
}

#[tokio::test]
async fn an_event_of_another_service_is_an_error_of_the_runtime() {
    for event in [&b"{}"[..], b"", b"\xff", br#"{"Records":[]}"#] {
        let error = answer(echo, event, context(10_000)).await.unwrap_err();
        assert_eq!(error.error_type, "NotAnApiEvent");
    }
    let mut authorizers = v1();
    authorizers["type"] = json!("REQUEST");
    assert_eq!(status(&authorizers).await, 400);
}

#[tokio::test]
async fn a_handler_that_panics_is_a_500_and_the_next_event_is_answered() {
    let calls = Cell::new(0);
    let handler = async |request: Request| {
        calls.set(calls.get() + 1);
        assert!(calls.get() > 1, "the first call panics, with a secret");
        echo(request).await
    };
    let event = v1().to_string();
    let reply = answer(&handler, event.as_bytes(), context(10_000)).await.unwrap();
    assert_eq!(reply["statusCode"], 500);
    assert!(!reply.to_string().contains("secret"));
    let reply = answer(&handler, event.as_bytes(), context(10_000)).await.unwrap();
    assert_eq!(reply["statusCode"], 200);
}

#[tokio::test]
async fn a_handler_that_hangs_is_a_503_before_the_deadline() {
    let hang = async |_| pending::<Reply>().await;
    let started = Instant::now();
    let reply = answer(hang, v2().to_string().as_bytes(), context(520)).await.unwrap();
    assert_eq!((&reply["statusCode"], &reply["headers"]["retry-after"]), (&json!(503), &json!("2")));
    assert!(started.elapsed() < guard::RESERVE);
    let reply = answer(echo, v2().to_string().as_bytes(), context(520)).await.unwrap();
    assert_eq!(reply["statusCode"], 200);
}

#[tokio::test]
async fn a_problem_keeps_its_status_challenge_and_time_to_retry() {
    let metadata = || Some("https://acme.example/.well-known/oauth-protected-resource/mcp".to_owned());
    let reply = Reply::problem(&Problem::unauthenticated(Denial::NoToken, metadata()));
    assert_eq!(reply.status, 401);
    assert_eq!(
        reply.headers["www-authenticate"],
        r#"Bearer resource_metadata="https://acme.example/.well-known/oauth-protected-resource/mcp""#
    );
    let broken = Reply::problem(&Problem::unauthenticated(Denial::NoToken, Some("a\r\nb".to_owned())));
    assert_eq!(broken.headers["www-authenticate"], "Bearer");

    let resets = Some(Reset { at_s: 0, in_s: 77 });
    let quota = Quota { kind: QuotaKind::CallsMonth, limit: 10, used: 10, resets, contact: None };
    let reply = Reply::problem(&Problem::QuotaReached(Box::new(quota)));
    assert_eq!((reply.status.as_u16(), reply.headers["retry-after"].to_str().unwrap()), (429, "77"));

    let reply = Reply::problem(&Problem::internal("reading usage", "arn:aws:dynamodb:secret"));
    assert_eq!(reply.status, 500);
    assert!(!String::from_utf8_lossy(&reply.body).contains("arn:"));
}
