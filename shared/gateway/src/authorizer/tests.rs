use std::future::pending;

use proptest::prelude::*;

use super::*;
use crate::event::tests as events;

const ARN: &str = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/live/POST/acme/mcp";

fn v1() -> Value {
    let mut event = events::v1();
    event["type"] = json!("REQUEST");
    event["methodArn"] = json!(ARN);
    event["requestContext"].as_object_mut().unwrap().remove("authorizer");
    event.as_object_mut().unwrap().remove("body");
    event
}

fn v2() -> Value {
    let mut event = events::v2();
    event["type"] = json!("REQUEST");
    event["routeArn"] = json!(ARN);
    event["identitySource"] = json!(["mcp.example.com"]);
    event["requestContext"].as_object_mut().unwrap().remove("authorizer");
    event.as_object_mut().unwrap().remove("body");
    event
}

/// Allows whoever sends a bearer token.
async fn by_token(request: AuthorizerRequest) -> Verdict {
    match request.evidence.bearer {
        Some(_) => {
            let context = BTreeMap::from([("tenantId".to_owned(), "t-acme".to_owned())]);
            Verdict::Allow { context, principal: "user".to_owned() }
        }
        None => Verdict::Deny { challenge: r#"Bearer resource_metadata="https://a""#.to_owned() },
    }
}

async fn ask(event: &Value) -> Value {
    answer_authorizer(by_token, event.to_string().as_bytes(), events::context(10_000)).await.unwrap()
}

fn allows(answer: &Value) -> bool {
    answer["isAuthorized"] == true || answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
}

#[tokio::test]
async fn a_rest_api_gets_a_policy_for_exactly_the_method_it_asked_for() {
    assert_eq!(
        ask(&v1()).await,
        json!({
            "principalId": "user",
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": ARN}],
            },
            "context": {"tenantId": "t-acme"},
        })
    );
    let mut event = v1();
    event["multiValueHeaders"] = json!({});
    event["headers"] = json!({"Host": "mcp.example.com"});
    let answer = ask(&event).await;
    let statement = json!([{"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": ARN}]);
    assert_eq!(answer["policyDocument"]["Statement"], statement);
    assert_eq!(answer["context"], json!({"challenge": r#"Bearer resource_metadata="https://a""#}));
}

#[tokio::test]
async fn an_http_api_gets_a_simple_answer() {
    assert_eq!(ask(&v2()).await, json!({"isAuthorized": true, "context": {"tenantId": "t-acme"}}));
    let mut event = v2();
    event["headers"] = json!({"host": "mcp.example.com"});
    let context = json!({"challenge": r#"Bearer resource_metadata="https://a""#});
    assert_eq!(ask(&event).await, json!({"isAuthorized": false, "context": context}));
}

#[tokio::test]
async fn an_event_that_is_not_in_order_is_denied() {
    for (pointer, value) in [
        ("/type", json!("TOKEN")),
        ("/type", Value::Null),
        ("/headers", json!({"Host": "exa mple.com", "Authorization": "Bearer aaa.bbb.ccc"})),
        ("/requestContext", json!({"authorizer": {"tenantId": "t-acme"}})),
        ("/requestContext", Value::Null),
        ("/pathParameters", Value::Null),
    ] {
        for mut event in [v1(), v2()] {
            assert!(allows(&ask(&event).await));
            *event.pointer_mut(pointer).unwrap() = value.clone();
            let answer = ask(&event).await;
            assert!(!allows(&answer), "{pointer}");
            assert_eq!(answer["context"]["challenge"], "Bearer");
        }
    }
    for text in [&b""[..], b"[]", b"\xff", b"{}", br#"{"version":"2.0"}"#] {
        let answer = answer_authorizer(by_token, text, events::context(10_000)).await.unwrap();
        assert!(!allows(&answer) && answer.is_object());
    }
}

#[tokio::test]
async fn a_method_arn_that_would_match_other_methods_is_denied() {
    for arn in
        ["*", "arn:aws:execute-api:x:1:a/live/*", "arn:aws:execute-api:x:1:a/live/POST/${aws:username}", ""]
    {
        let mut event = v1();
        event["methodArn"] = json!(arn);
        assert!(!allows(&ask(&event).await), "{arn}");
    }
    let mut event = v1();
    event["methodArn"] = Value::Null;
    let answer = ask(&event).await;
    assert_eq!(answer["policyDocument"]["Statement"][0]["Effect"], "Deny");
    assert_eq!(answer["policyDocument"]["Statement"][0]["Resource"], "*");
}

#[tokio::test]
async fn a_context_of_another_authorizer_is_denied() {
    for (mut event, authorizer) in
        [(v1(), json!({"tenantId": "t-acme"})), (v2(), json!({"lambda": {"tenantId": "t-acme"}}))]
    {
        event["requestContext"]["authorizer"] = authorizer;
        assert!(!allows(&ask(&event).await));
    }
}

#[tokio::test]
async fn no_verdict_is_an_error_and_never_an_allow() {
    let event = v1().to_string();
    let panics = async |_: AuthorizerRequest| -> Verdict { panic!("s3cret") };
    let hangs = async |_: AuthorizerRequest| pending::<Verdict>().await;
    let unavailable = async |_: AuthorizerRequest| Verdict::Unavailable;
    let error = answer_authorizer(panics, event.as_bytes(), events::context(10_000)).await.unwrap_err();
    assert_eq!(error.error_type, "Internal");
    let error = answer_authorizer(hangs, event.as_bytes(), events::context(510)).await.unwrap_err();
    assert_eq!(error.error_type, "Unavailable");
    let error = answer_authorizer(unavailable, event.as_bytes(), events::context(10_000)).await.unwrap_err();
    assert_eq!(error.error_type, "Unavailable");
}

#[tokio::test]
async fn a_challenge_that_is_no_header_value_becomes_a_plain_one() {
    let splits = async |_: AuthorizerRequest| Verdict::Deny { challenge: "a\r\nb".to_owned() };
    let answer =
        answer_authorizer(splits, v1().to_string().as_bytes(), events::context(10_000)).await.unwrap();
    assert_eq!(answer["context"]["challenge"], "Bearer");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_without_a_token_are_allowed(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), rest in any::<bool>(),
    ) {
        let mut event = if rest { v1() } else { v2() };
        event["headers"] = json!({"Host": "mcp.example.com"});
        event["multiValueHeaders"] = json!({});
        let mut bytes = event.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let answer = runtime.block_on(answer_authorizer(by_token, &bytes, events::context(10_000)));
        prop_assert!(!allows(&answer.unwrap()));
    }
}
