use super::*;

const CALL: &str = "POST /acme/mcp HTTP/1.1\r\nHost: Acme.localhost:9000";

fn with(head: &str, name: &str, value: &Value) -> String {
    format!("{head}\r\n{name}: {value}")
}

fn policy(effect: &str, resource: &str, context: &Value) -> Value {
    let statement = json!({ "Effect": effect, "Action": "execute-api:Invoke", "Resource": resource });
    let reply = json!({
        "principalId": "p",
        "policyDocument": { "Version": "2012-10-17", "Statement": [statement] },
        "context": context,
    });
    json!({ "do": "reply", "reply": reply })
}

#[tokio::test]
async fn the_event_is_that_of_a_rest_api() {
    let running = Running::new(rest_api()).await;
    let head = "POST /a%20b/mcp?q=1&q=2&e=%20 HTTP/1.1\r\nhOsT: Acme.localhost:9000\r\nX-Two: a\r\nX-Two: b\r\n\
                User-Agent: me\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: gopher\r\nTE: trailers\r\n\
                X-Amzn-Trace-Id: Root=1-00000000-000000000000000000000001";
    let answer = running.ask(head, r#"{"a":1}"#).await;
    let event = answer.event();
    let port = running.gateway.addr().port().to_string();
    assert_eq!(
        event["headers"],
        json!({
            "hOsT": "Acme.localhost:9000", "X-Two": "b", "User-Agent": "me", "Content-Length": "7",
            "X-Forwarded-For": "9.9.9.9, 127.0.0.1", "X-Forwarded-Port": port, "X-Forwarded-Proto": "http",
            "X-Amzn-Trace-Id": "Root=1-00000000-000000000000000000000001",
        })
    );
    assert_eq!(event["multiValueHeaders"]["X-Two"], json!(["a", "b"]));
    assert_eq!(event["resource"], "/{tenant}/mcp");
    assert_eq!(event["path"], "/a%20b/mcp");
    assert_eq!(event["httpMethod"], "POST");
    assert_eq!(event["queryStringParameters"], json!({ "q": "2", "e": " " }));
    assert_eq!(event["multiValueQueryStringParameters"], json!({ "q": ["1", "2"], "e": [" "] }));
    assert_eq!(event["pathParameters"], json!({ "tenant": "a%20b" }));
    assert_eq!(event["stageVariables"], Value::Null);
    assert_eq!(event["body"], r#"{"a":1}"#);
    assert_eq!(event["isBase64Encoded"], false);
    let context = &event["requestContext"];
    for (name, value) in [
        ("accountId", "123456789012"),
        ("apiId", "abcdef1234"),
        ("domainName", "acme.localhost"),
        ("domainPrefix", "acme"),
        ("httpMethod", "POST"),
        ("path", "/a%20b/mcp"),
        ("protocol", "HTTP/1.1"),
        ("resourcePath", "/{tenant}/mcp"),
        ("stage", "live"),
    ] {
        assert_eq!(context[name], value, "{name}");
    }
    assert_eq!(context["identity"]["sourceIp"], "127.0.0.1");
    assert_eq!(context["identity"]["userAgent"], "me");
    assert_eq!(context["requestId"], answer.header("x-amzn-requestid").unwrap());
    assert_eq!(context["extendedRequestId"], answer.header("x-amz-apigw-id").unwrap());
    assert_eq!(context["authorizer"]["principalId"], "p");
    assert_eq!(context["authorizer"]["number"], "7");
    assert!(context["authorizer"]["integrationLatency"].is_u64());
    let seen = &answer.json()["headers"]["lambda-runtime-trace-id"];
    assert_eq!(seen, "Root=1-00000000-000000000000000000000001");
    running.stop().await;
}

#[tokio::test]
async fn the_body_of_a_binary_media_type_is_base64() {
    let running = Running::new(rest_api()).await;
    for (kind, body, is_encoded) in
        [("image/png", "aGk=", true), ("image/gif", "hi", false), ("application/json", "hi", false)]
    {
        let head = format!("POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}");
        let event = running.ask(&head, "hi").await.event();
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(body), &json!(is_encoded)), "{kind}");
    }
    running.stop().await;

    let every = Running::new(Api { binary_media_types: vec!["*/*".to_owned()], ..rest_api() }).await;
    for head in ["", "\r\nContent-Type: image/gif"] {
        let event = every.ask(&format!("POST /open HTTP/1.1\r\nHost: localhost{head}"), "hi").await.event();
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("aGk="), &json!(true)), "{head}");
    }
    every.stop().await;
}

#[tokio::test]
async fn the_authorizer_sees_the_request_and_the_methods_arn() {
    let running = Running::new(rest_api()).await;
    let event = running.ask(CALL, "secret").await.event();
    let seen: Value =
        serde_json::from_str(event["requestContext"]["authorizer"]["event"].as_str().unwrap()).unwrap();
    assert_eq!(seen["type"], "REQUEST");
    let arn = "arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/live/POST/acme/mcp";
    assert_eq!(seen["methodArn"], arn);
    assert_eq!(seen["requestContext"]["domainName"], "acme.localhost");
    assert_eq!(seen["queryStringParameters"], json!({}));
    assert_eq!(seen["pathParameters"], json!({ "tenant": "acme" }));
    assert_eq!(seen["body"], Value::Null);
    let open = running.ask("POST /open HTTP/1.1\r\nHost: localhost", "").await.event();
    assert_eq!(open["requestContext"]["authorizer"], Value::Null);
    assert_eq!(open["pathParameters"], Value::Null);
    assert_eq!(open["queryStringParameters"], Value::Null);
    assert_eq!(open["body"], Value::Null);
    running.stop().await;
}

#[tokio::test]
async fn only_the_apis_hosts_are_served() {
    let running = Running::new(rest_api()).await;
    let status =
        async |host: &str| running.ask(&format!("POST /open HTTP/1.1\r\nHost: {host}"), "").await.status;
    for host in ["localhost", "localhost:1", "ACME.localhost", "a-b.LOCALHOST:65535"] {
        assert_eq!(status(host).await, 200, "{host}");
    }
    let own = "abcdef1234.execute-api.eu-central-1.amazonaws.com";
    for host in ["example.com", "a.b.localhost", ".localhost", "xlocalhost", "localhost.", "127.0.0.1", own] {
        assert_eq!(status(host).await, 403, "{host}");
    }
    let refused = running.ask("POST /open HTTP/1.1\r\nHost: example.com", "").await;
    assert_eq!(refused.body, r#"{"message":"Forbidden"}"#);
    running.stop().await;
}

#[tokio::test]
async fn a_denial_answers_with_the_authorizers_challenge_under_its_own_name() {
    let running = Running::new(rest_api()).await;
    let challenge = json!({ "challenge": "Bearer resource_metadata=\"x\"" });
    let deny = with(CALL, "x-fake-auth", &policy("Deny", "$ARN", &challenge));
    let denied = running.ask(&deny, "").await;
    assert_eq!(denied.status, 401);
    assert_eq!(denied.header("www-authenticate"), Some("Bearer resource_metadata=\"x\""));
    assert_eq!(
        denied.json()["message"],
        "User is not authorized to access this resource with an explicit deny"
    );
    assert_eq!(denied.json()["id"], denied.header("x-amzn-requestid").unwrap());
    assert_eq!(running.lambda.started("Mcp"), 0);
    let allow = with(CALL, "x-fake-auth", &policy("Allow", "$ARN", &challenge));
    assert_eq!(running.ask(&allow, "").await.status, 200);
    let other = with(CALL, "x-fake-auth", &policy("Allow", "$ARN/x", &json!({})));
    let other = running.ask(&other, "").await;
    assert_eq!((other.status, other.header("www-authenticate")), (401, None));
    running.stop().await;
}

#[tokio::test]
async fn an_authorizer_that_fails_lets_nobody_in() {
    let running = Running::new(rest_api()).await;
    let listed = json!({ "a": [1] });
    for (order, status) in [
        (json!({ "do": "error" }), 500),
        (json!({ "do": "exit" }), 500),
        (json!({ "do": "reply", "reply": { "isAuthorized": true } }), 500),
        (json!({ "do": "reply", "reply": "allow" }), 500),
        (policy("Allow", "$ARN", &listed), 500),
        (policy("Allow", "$ARN", &json!({})), 200),
    ] {
        let answer = running.ask(&with(CALL, "x-fake-auth", &order), "").await;
        assert_eq!(answer.status, status, "{order}");
    }
    let anonymous = running.ask("GET /query HTTP/1.1\r\nHost: localhost", "").await;
    assert_eq!((anonymous.status, anonymous.body.as_str()), (401, r#"{"message":"Unauthorized"}"#));
    assert_eq!(running.ask("GET /query?key=1 HTTP/1.1\r\nHost: localhost", "").await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn lambdas_tenant_is_the_authorizers_and_never_the_clients() {
    let running = Running::new(rest_api()).await;
    let call = "POST /isolated HTTP/1.1\r\nHost: localhost\r\nX-Amz-Tenant-Id: globex";
    let served = running.ask(call, "").await;
    assert_eq!(served.json()["headers"]["lambda-runtime-aws-tenant-id"], "acme");
    let none = with(call, "x-fake-auth", &policy("Allow", "$ARN", &json!({})));
    assert_eq!(running.ask(&none, "").await.status, 500);
    let unmapped = "GET /unmapped HTTP/1.1\r\nHost: localhost\r\nX-Amz-Tenant-Id: globex";
    assert_eq!(running.ask(unmapped, "").await.status, 500);
    let tenants: Vec<_> = running.lambda.instances().into_iter().filter_map(|each| each.tenant).collect();
    assert_eq!(tenants, ["acme"]);
    running.stop().await;
}

#[tokio::test]
async fn paths_methods_and_replies_are_refused_as_a_rest_api_does() {
    let running = Running::with_timeout(rest_api(), Duration::from_millis(1500)).await;
    for line in ["POST /none", "GET /open", "POST /open/", "POST //open", "BREW /open"] {
        let answer = running.ask(&format!("{line} HTTP/1.1\r\nHost: localhost"), "").await;
        assert_eq!(answer.status, 403, "{line}");
        assert_eq!(answer.body, r#"{"message":"Missing Authentication Token"}"#);
        assert_eq!(answer.header("x-amzn-errortype"), Some("MissingAuthenticationTokenException"));
    }
    let open = "POST /open HTTP/1.1\r\nHost: localhost";
    assert_eq!(running.ask("POST /open?a=%7C HTTP/1.1\r\nHost: localhost", "").await.status, 200);
    assert_eq!(running.ask("POST /open?a=| HTTP/1.1\r\nHost: localhost", "").await.status, 400);
    for (order, status) in [
        (json!({ "do": "reply", "reply": { "statusCode": 203 } }), 203),
        (json!({ "do": "reply", "reply": { "status": 203 } }), 502),
        (json!({ "do": "error" }), 502),
        (json!({ "do": "exit" }), 502),
        (json!({ "do": "big" }), 502),
        (json!({ "do": "sleep", "ms": 4000 }), 504),
    ] {
        let answer = running.ask(&with(open, "x-fake", &order), "").await;
        assert_eq!(answer.status, status, "{order}");
    }
    running.stop().await;
}
