mod hostile;
mod parameters;
mod properties;
mod watch;

use std::time::SystemTime;

use lambda_runtime::Context;
use serde_json::{Value, json};

use super::*;
use crate::Request;

/// A REST API's event, with each header in both of its maps.
pub(crate) fn v1() -> Value {
    json!({
        "resource": "/{tenant}/mcp",
        "path": "/acme/mcp",
        "httpMethod": "POST",
        "headers": {
            "Host": "mcp.example.com", "X-Forwarded-Proto": "https", "Authorization": "Bearer aaa.bbb.ccc",
            "Content-Type": "application/json", "Origin": "https://app.example.com",
        },
        "multiValueHeaders": {
            "Host": ["mcp.example.com"], "X-Forwarded-Proto": ["https"], "Authorization": ["Bearer aaa.bbb.ccc"],
            "Content-Type": ["application/json"], "Origin": ["https://app.example.com"],
        },
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": {"tenant": "acme"},
        "stageVariables": null,
        "requestContext": {
            "resourcePath": "/{tenant}/mcp", "httpMethod": "POST", "path": "/acme/mcp", "stage": "live",
            "domainName": "mcp.example.com", "apiId": "a1b2c3", "requestId": "gateway-1",
            "identity": {"sourceIp": "192.0.2.1"}, "requestTimeEpoch": 1_795_500_000_000_i64,
            "authorizer": {
                "principalId": "user", "integrationLatency": 7, "tenantId": "t-acme", "epoch": 3, "admin": false,
            },
        },
        "body": "{}",
        "isBase64Encoded": false,
    })
}

/// An HTTP API's event.
pub(crate) fn v2() -> Value {
    json!({
        "version": "2.0",
        "routeKey": "POST /{tenant}/mcp",
        "rawPath": "/acme/mcp",
        "rawQueryString": "",
        "headers": {
            "host": "mcp.example.com", "x-forwarded-proto": "https", "authorization": "Bearer aaa.bbb.ccc",
            "content-type": "application/json", "origin": "https://app.example.com",
        },
        "pathParameters": {"tenant": "acme"},
        "requestContext": {
            "routeKey": "POST /{tenant}/mcp", "stage": "$default", "domainName": "mcp.example.com",
            "apiId": "a1b2c3", "requestId": "gateway-2", "timeEpoch": 1_795_500_000_000_i64,
            "http": {
                "method": "POST", "path": "/acme/mcp", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "authorizer": {"jwt": {"claims": {"sub": "user", "exp": "1795500000"}, "scopes": null}},
        },
        "body": "{}",
        "isBase64Encoded": false,
    })
}

/// Both events with one change of a header: `null` takes it away.
pub(crate) fn with_header(name: &str, value: &Value) -> [Value; 2] {
    let (mut rest, mut http) = (v1(), v2());
    rest["headers"][name] = value.clone();
    rest["multiValueHeaders"][name] = json!([value]);
    let lower = name.to_ascii_lowercase();
    http["headers"][&lower] = value.clone();
    if value.is_null() {
        rest["headers"].as_object_mut().unwrap().remove(name);
        rest["multiValueHeaders"].as_object_mut().unwrap().remove(name);
        http["headers"].as_object_mut().unwrap().remove(&lower);
    }
    [rest, http]
}

/// An invocation that Lambda ends after so many milliseconds.
pub(crate) fn context(left_ms: u64) -> Context {
    let mut context = Context::default();
    context.request_id = "lambda-1".to_owned();
    let now_ms = u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    context.deadline = now_ms.saturating_add(left_ms);
    context
}

/// The request of an event, or the status and text of its refusal; a panic of the conversion is not caught here.
fn read(event: &Value) -> Result<Request, (u16, String)> {
    let text = event.to_string();
    let event = Event::read(&text).map_err(|foreign| (0, foreign.0.to_owned()))?;
    Request::read(&event, &text, &context(10_000)).map_err(|refusal| {
        let reply = refusal.reply();
        (reply.status.as_u16(), String::from_utf8(reply.body.to_vec()).unwrap())
    })
}

#[track_caller]
fn refused(event: &Value, status: u16) {
    assert_eq!(read(event).map_err(|(status, _)| status).map(|_| "read"), Err(status));
}

#[test]
fn a_rest_event_is_read_with_its_evidence() {
    let request = read(&v1()).unwrap();
    assert_eq!(request.evidence.event, EventKind::V1);
    assert_eq!(request.evidence.domain_name.as_deref(), Some("mcp.example.com"));
    assert_eq!(request.evidence.api_id.as_deref(), Some("a1b2c3"));
    assert_eq!(request.evidence.path_tenant.as_deref(), Some("acme"));
    let context: Vec<_> = request.evidence.authorizer.unwrap().into_iter().collect();
    let expected = [("admin", "false"), ("epoch", "3"), ("tenantId", "t-acme")];
    assert_eq!(context, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(request.evidence.jwt_claims, None);
    assert_eq!(request.evidence.bearer.unwrap().expose(), "aaa.bbb.ccc");
    assert_eq!((request.route.as_str(), request.path.as_str()), ("/{tenant}/mcp", "/acme/mcp"));
    assert_eq!((request.method.as_str(), request.request_id.as_str()), ("POST", "gateway-1"));
    assert_eq!((&*request.body, request.origin.as_deref()), (&b"{}"[..], Some("https://app.example.com")));
    assert!(request.headers.contains_key("content-type") && !request.headers.contains_key("authorization"));
}

#[test]
fn an_http_event_is_read_with_its_evidence() {
    let mut event = v2();
    event["cookies"] = json!(["a=1", "b=2"]);
    let request = read(&event).unwrap();
    assert_eq!(request.evidence.event, EventKind::V2);
    assert_eq!(request.evidence.path_tenant.as_deref(), Some("acme"));
    assert_eq!(request.evidence.authorizer, None);
    let claims: Vec<_> = request.evidence.jwt_claims.unwrap().into_iter().collect();
    assert_eq!(claims, [("exp".to_owned(), "1795500000".to_owned()), ("sub".to_owned(), "user".to_owned())]);
    assert_eq!((request.route.as_str(), request.request_id.as_str()), ("/{tenant}/mcp", "gateway-2"));
    assert!(!request.headers.contains_key("authorization") && !request.headers.contains_key("cookie"));

    event["requestContext"]["authorizer"] = json!({"lambda": {"tenantId": "t-acme", "epoch": 3}});
    let request = read(&event).unwrap();
    assert_eq!(request.evidence.authorizer.unwrap()["epoch"], "3");
    assert_eq!(request.evidence.jwt_claims, None);
}

#[test]
fn the_lambda_tenant_comes_from_the_context_of_the_invocation() {
    let (text, mut context) = (v1().to_string(), context(10_000));
    context.tenant_id = Some("t-acme".to_owned());
    let request = Request::read(&Event::read(&text).unwrap(), &text, &context).unwrap();
    assert_eq!(request.evidence.lambda_tenant.as_deref(), Some("t-acme"));
    assert_eq!(read(&v1()).unwrap().evidence.lambda_tenant, None);
}

#[test]
fn a_method_outside_the_grammar_is_refused() {
    for (method, admitted) in
        [("", false), ("PO ST", false), ("GET\n", false), ("PROPFIND", true), ("GET", true)]
    {
        let (mut rest, mut http) = (v1(), v2());
        rest["httpMethod"] = json!(method);
        http["requestContext"]["http"]["method"] = json!(method);
        assert_eq!(read(&rest).is_ok(), admitted, "{method}");
        assert_eq!(read(&http).is_ok(), admitted, "{method}");
    }
}

#[test]
fn two_authorization_headers_are_a_malformed_token() {
    let mut twice = v1();
    twice["multiValueHeaders"]["Authorization"] = json!(["Bearer aaa.bbb.ccc", "Bearer aaa.bbb.ccc"]);
    let mut other_case = v1();
    other_case["headers"]["authorization"] = json!("Bearer ddd.eee.fff");
    let mut apart = v1();
    apart["multiValueHeaders"]["Authorization"] = json!(["Bearer ddd.eee.fff"]);
    let mut joined = v2();
    joined["headers"]["authorization"] = json!("Bearer aaa.bbb.ccc,Bearer ddd.eee.fff");
    let mut other_scheme = v2();
    other_scheme["headers"]["authorization"] = json!("Basic aaa");
    for event in [twice, other_case, apart, joined, other_scheme] {
        let request = read(&event).unwrap();
        assert!(request.evidence.bearer.is_none());
        assert_eq!(request.bearer_denial, Some(Denial::MalformedToken));
    }
    for event in with_header("Authorization", &Value::Null) {
        let request = read(&event).unwrap();
        assert!(request.evidence.bearer.is_none() && request.bearer_denial.is_none());
    }
    for event in [v1(), v2()] {
        let request = read(&event).unwrap();
        assert!(request.evidence.bearer.is_some() && request.bearer_denial.is_none());
    }
}

#[test]
fn two_hosts_or_origins_are_refused() {
    for name in ["Host", "Origin"] {
        let mut event = v1();
        event["multiValueHeaders"][name] = json!(["https://a.example", "https://b.example"]);
        refused(&event, 400);
    }
    let mut event = v1();
    event["multiValueHeaders"]["X-Other"] = json!(["a", "b"]);
    drop(read(&event).unwrap());
}

#[test]
fn the_tenant_of_the_path_counts_only_on_a_route_that_has_one() {
    let mut event = v1();
    event["resource"] = json!("/mcp");
    event["requestContext"]["resourcePath"] = json!("/mcp");
    assert_eq!(read(&event).unwrap().evidence.path_tenant, None);
    let mut event = v1();
    event["pathParameters"] = Value::Null;
    refused(&event, 400);
}

#[test]
fn an_event_that_names_two_routes_or_none_is_refused() {
    for (mut event, key) in [(v1(), "resourcePath"), (v2(), "routeKey")] {
        event["requestContext"][key] = json!("POST /other");
        refused(&event, 400);
    }
    let mut event = v2();
    event["routeKey"] = json!("$default");
    event["requestContext"]["routeKey"] = json!("$default");
    assert_eq!(read(&event).unwrap().route, "$default");
}

#[test]
fn an_authorizer_context_that_is_not_flat_is_refused() {
    for bad in [json!({"a": {}}), json!({"a": []}), json!("a"), json!([1])] {
        let (mut rest, mut http) = (v1(), v2());
        rest["requestContext"]["authorizer"] = bad.clone();
        refused(&rest, 400);
        http["requestContext"]["authorizer"] = json!({"lambda": bad});
        refused(&http, 400);
    }
    let mut http = v2();
    http["requestContext"]["authorizer"]["jwt"]["claims"]["aud"] = json!(["a"]);
    refused(&http, 400);
    let mut rest = v1();
    rest["requestContext"]["authorizer"] = json!({"principalId": "user", "claims": {"sub": ["a"]}});
    assert_eq!(read(&rest).unwrap().evidence.authorizer, None);
}

#[test]
fn a_repeated_key_is_refused() {
    let rest = v1().to_string();
    let http = v2().to_string();
    for (text, once, twice) in [
        (
            &rest,
            r#""domainName":"mcp.example.com""#,
            r#""domainName":"a.example","domainName":"mcp.example.com""#,
        ),
        (&rest, r#""tenantId":"t-acme""#, r#""tenantId":"t-globex","tenantId":"t-acme""#),
        (&rest, r#""tenant":"acme""#, r#""tenant":"globex","tenant":"acme""#),
        (&http, r#""sub":"user""#, r#""sub":"other","sub":"user""#),
        (&http, r#""version":"2.0""#, r#""version":"2.0","version":"2.0""#),
    ] {
        let repeated = text.replace(once, twice);
        assert_ne!(&repeated, text);
        let accepted = |text: &str| {
            Event::read(text).is_ok_and(|event| Request::read(&event, text, &context(10_000)).is_ok())
        };
        assert!(accepted(text));
        assert!(!accepted(&repeated), "{twice}");
    }
}

#[test]
fn events_of_other_services_are_foreign() {
    let mut balancer = v1();
    balancer["requestContext"]["elb"] = json!({"targetGroupArn": "arn:aws:elasticloadbalancing:x"});
    let mut socket = v1();
    socket["requestContext"]["connectionId"] = json!("c");
    let mut no_context = v2();
    no_context.as_object_mut().unwrap().remove("requestContext");
    let mut no_version = v2();
    no_version.as_object_mut().unwrap().remove("version");
    let mut other_version = v2();
    other_version["version"] = json!("1.0");
    let mut both = v1();
    both["version"] = json!("2.0");
    let queue = json!({"Records": [{"eventSource": "aws:sqs"}]});
    for event in
        [balancer, socket, no_context, no_version, other_version, both, queue, json!({}), json!(null)]
    {
        refused(&event, 0);
    }
}
