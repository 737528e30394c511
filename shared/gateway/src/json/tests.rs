use std::future::pending;

use serde_json::json;

use super::*;
use crate::event::tests::context;

#[derive(serde::Deserialize)]
struct Input {
    bearer: String,
}

async fn length(input: Input, meta: Meta) -> Value {
    json!({"bytes": input.bearer.len(), "id": meta.request_id})
}

#[tokio::test]
async fn an_input_of_its_form_is_answered() {
    let output = answer_json(length, br#"{"bearer":"abc"}"#, context(10_000)).await.unwrap();
    assert_eq!(output, json!({"bytes": 3, "id": "lambda-1"}));
}

#[tokio::test]
async fn an_input_of_another_form_is_an_error_that_quotes_nothing() {
    for input in [&br#"{"bearer":["s3cret"]}"#[..], br#""s3cret""#, b"s3cret", b"\xff", b""] {
        let error = answer_json(length, input, context(10_000)).await.unwrap_err();
        assert_eq!(error.error_type, "BadInput");
        assert!(!error.error_message.contains("s3cret"));
    }
}

#[tokio::test]
async fn a_panic_or_a_hang_is_an_error_that_says_nothing_more() {
    let panics = async |_: Value, _: Meta| -> Value { panic!("s3cret") };
    let error = answer_json(panics, b"{}", context(10_000)).await.unwrap_err();
    assert_eq!((error.error_type.as_str(), error.error_message.as_str()), ("Internal", "internal error"));
    let hangs = async |_: Value, _: Meta| pending::<Value>().await;
    let error = answer_json(hangs, b"{}", context(510)).await.unwrap_err();
    assert_eq!(error.error_type, "Unavailable");
}
