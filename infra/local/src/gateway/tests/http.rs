use super::*;

const OPEN: &str = "POST /open HTTP/1.1\r\nHost: localhost";
const CALL: &str = "POST /acme/mcp HTTP/1.1\r\nHost: acme.localhost\r\nAuthorization: x";

#[tokio::test]
async fn the_event_is_that_of_an_http_api() {
    let running = Running::new(http_api()).await;
    let head = "POST /.well-known/a/b%20c?q=1&q=2 HTTP/1.1\r\nHost: Acme.localhost:9\r\nX-Two: a\r\nx-two: b\r\n\
                Cookie: a=1; b=2\r\nUser-Agent: me\r\nContent-Type: application/json; charset=utf-8";
    let answer = running.ask(head, "{}").await;
    let event = answer.event();
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "ANY /.well-known/{proxy+}");
    assert_eq!(event["rawPath"], "/.well-known/a/b c");
    assert_eq!(event["rawQueryString"], "q=1&q=2");
    assert_eq!(event["queryStringParameters"], json!({ "q": "1,2" }));
    assert_eq!(event["pathParameters"], json!({ "proxy": "a/b c" }));
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(event["headers"]["x-two"], "a,b");
    assert_eq!(event["headers"]["host"], "Acme.localhost:9");
    assert_eq!(event["headers"]["cookie"], Value::Null);
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
    let context = &event["requestContext"];
    assert_eq!(context["domainName"], "acme.localhost");
    assert_eq!(context["domainPrefix"], "acme");
    assert_eq!(context["stage"], "$default");
    assert_eq!(context["authorizer"], Value::Null);
    assert_eq!(context["requestId"], answer.header("apigw-requestid").unwrap());
    let http = json!({
        "method": "POST", "path": "/.well-known/a/b c", "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1", "userAgent": "me",
    });
    assert_eq!(context["http"], http);
    running.stop().await;
}

#[tokio::test]
async fn the_route_is_that_of_the_decoded_path() {
    let running = Running::new(http_api()).await;
    for (path, proxy) in [("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("a%3Fb", "a"), ("a%ffb", "a\u{fffd}b")] {
        let head = format!("POST /.well-known/{path}?q=%20 HTTP/1.1\r\nHost: localhost");
        let event = running.ask(&head, "").await.event();
        assert_eq!(event["pathParameters"], json!({ "proxy": proxy }), "{path}");
        assert_eq!(event["rawPath"], format!("/.well-known/{proxy}"));
        assert_eq!(event["rawQueryString"], "q=%20");
    }
    let encoded = running.ask("POST /%6fpen HTTP/1.1\r\nHost: localhost", "").await.event();
    assert_eq!(encoded["routeKey"], "POST /open");
    running.stop().await;
    let running = Running::new(rest_api()).await;
    let encoded = running.ask("POST /%6fpen HTTP/1.1\r\nHost: localhost", "").await;
    assert_ne!(encoded.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_text_is_base64() {
    let running = Running::new(http_api()).await;
    for (kind, text) in [
        ("text/plain", true),
        ("application/json", true),
        ("application/x-www-form-urlencoded", false),
        ("application/octet-stream", false),
        ("application/json\r\nContent-Encoding: gzip", false),
    ] {
        let event = running.ask(&format!("{OPEN}\r\nContent-Type: {kind}"), "hi").await.event();
        assert_eq!(event["isBase64Encoded"], !text, "{kind}");
        assert_eq!(event["body"], if text { "hi" } else { "aGk=" }, "{kind}");
    }
    let none = running.ask(OPEN, "").await.event();
    assert_eq!((&none["body"], &none["isBase64Encoded"]), (&Value::Null, &json!(false)));
    running.stop().await;
}

#[tokio::test]
async fn lambda_authorizers_decide_in_both_forms() {
    let running = Running::new(http_api()).await;
    let context = running.ask(CALL, "").await.event()["requestContext"]["authorizer"]["lambda"].clone();
    assert_eq!((&context["tenantId"], &context["number"]), (&json!("acme"), &json!(7)));
    let seen: Value = serde_json::from_str(context["event"].as_str().unwrap()).unwrap();
    let arn = "arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/$default/POST/acme/mcp";
    assert_eq!(
        (&seen["version"], &seen["type"], &seen["routeArn"]),
        (&json!("2.0"), &json!("REQUEST"), &json!(arn))
    );
    assert_eq!(seen["identitySource"], json!(["x"]));
    let policy = "POST /policy HTTP/1.1\r\nHost: localhost\r\nAuthorization: x";
    assert_eq!(running.ask(policy, "").await.status, 200);
    let anonymous = running.ask("POST /acme/mcp HTTP/1.1\r\nHost: localhost", "").await;
    assert_eq!((anonymous.status, anonymous.body.as_str()), (401, r#"{"message":"Unauthorized"}"#));
    for (call, reply, status) in [
        (CALL, json!({ "isAuthorized": true }), 200),
        (CALL, json!({ "isAuthorized": false }), 403),
        (CALL, json!({ "isAuthorized": "true" }), 500),
        (CALL, json!({ "isAuthorized": true, "context": [] }), 500),
        (CALL, json!({}), 500),
        (policy, json!({ "isAuthorized": true }), 500),
        (policy, json!({ "principalId": "p", "policyDocument": { "Statement": [] } }), 403),
    ] {
        let order = json!({ "do": "reply", "reply": reply });
        let answer = running.ask(&format!("{call}\r\nx-fake-auth: {order}"), "").await;
        assert_eq!(answer.status, status, "{order}");
    }
    running.stop().await;
}

#[tokio::test]
async fn refusals_are_those_of_an_http_api() {
    let running = Running::new(http_api()).await;
    let own = "POST /open HTTP/1.1\r\nHost: ABCDEF1234.execute-api.eu-central-1.amazonaws.com";
    assert_eq!(running.ask(own, "").await.status, 200);
    for (head, status, message) in [
        (own.replace("eu-central-1", "us-east-1").as_str(), 403, "Forbidden"),
        ("POST /none HTTP/1.1\r\nHost: localhost", 404, "Not Found"),
        ("GET /open HTTP/1.1\r\nHost: localhost", 404, "Not Found"),
        (&format!("{OPEN}\r\nx-fake: {{\"do\":\"error\"}}"), 500, "Internal Server Error"),
        (&format!("{OPEN}\r\nX: {}", "x".repeat(10_240)), 431, "Request Header Fields Too Large"),
    ] {
        let answer = running.ask(head, "").await;
        assert_eq!((answer.status, answer.json()), (status, json!({ "message": message })), "{head}");
        assert!(answer.header("apigw-requestid").is_some());
    }
    running.stop().await;
}
