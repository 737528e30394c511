//! `/dev/token`.

use serde_json::json;

use super::*;

const JSON: &str = "Content-Type: application/json";
const DEV: &str = "X-Insula-Dev: 1";

async fn dev(local: &Local, body: &Value) -> Answer {
    local.post_with("/dev/token", &[JSON, DEV], &body.to_string()).await
}

#[tokio::test]
async fn a_token_is_made_for_a_user_or_the_first_user_of_a_tenant() {
    let local = Local::start().await;
    let cases = [
        (json!({ "user": "acme" }), "alice", "acme", "notes:read notes:write"),
        (json!({ "user": "bob" }), "bob", "acme", "notes:read notes:write"),
        (json!({ "user": "globex/alice" }), "alice", "globex", "notes:read"),
        (
            json!({ "user": "acme", "sub": "eve", "tenant": "globex" }),
            "eve",
            "globex",
            "notes:read notes:write",
        ),
        (json!({ "sub": "zoe", "tenant": "initech", "scope": "notes:read" }), "zoe", "initech", "notes:read"),
    ];
    for (mut body, sub, tenant, scope) in cases {
        body["resource"] = RESOURCE.into();
        body["ttl_s"] = 60.into();
        let answer = dev(&local, &body).await;
        assert_eq!((answer.status, &answer.json()["expires_in"]), (200, &json!(60)), "{body}");
        let (_, claims) = decode(&answer.text("access_token"));
        assert_eq!(claims["exp"], NOW_S + 60);
        let found = (&claims["sub"], &claims["tenant_id"], &claims["scope"]);
        assert_eq!(found, (&json!(sub), &json!(tenant), &json!(scope)), "{body}");
    }
}

#[tokio::test]
async fn a_web_page_can_not_make_a_token() {
    let local = Local::start().await;
    let body = json!({ "user": "acme", "resource": RESOURCE }).to_string();
    let own = format!("Origin: http://localhost:{}", local.port);
    let cases: [&[&str]; 5] = [
        &[JSON],
        &[JSON, "X-Insula-Dev: 2"],
        &[JSON, DEV, "Origin: https://evil.example"],
        &[JSON, DEV, &own],
        &[JSON, DEV, "Sec-Fetch-Site: none"],
    ];
    for headers in cases {
        let answer = local.post_with("/dev/token", headers, &body).await;
        assert_eq!(answer.error(), (400, "access_denied".into()), "{headers:?}");
    }
    let answer = local.post_with("/dev/token", &[DEV, "Content-Type: text/plain"], &body).await;
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    assert_eq!(local.post_with("/dev/token", &[JSON, DEV], &body).await.status, 200);
}

#[tokio::test]
async fn a_token_that_sign_in_would_not_give_is_refused() {
    let local = Local::start().await;
    let cases = [
        (json!({ "user": "acme", "resource": "http://evil.example/mcp" }), "invalid_target"),
        (json!({ "user": "nobody", "resource": RESOURCE }), "invalid_request"),
        // Two tenants have an alice.
        (json!({ "user": "alice", "resource": RESOURCE }), "invalid_request"),
        (json!({ "tenant": "acme", "resource": RESOURCE }), "invalid_request"),
        (json!({ "user": "acme", "resource": RESOURCE, "scope": "root" }), "invalid_scope"),
        (json!({ "user": "globex", "resource": RESOURCE, "scope": "notes:write" }), "invalid_scope"),
        (json!({ "user": "acme", "resource": RESOURCE, "ttl_s": 0 }), "invalid_request"),
        (json!({ "user": "acme", "resource": RESOURCE, "ttl_s": 86_401 }), "invalid_request"),
        (json!({ "user": "acme", "resource": RESOURCE, "alg": "HS256" }), "invalid_request"),
        (json!({ "user": "acme", "resource": RESOURCE, "exp": 1 }), "invalid_request"),
        (json!({ "user": "acme" }), "invalid_request"),
    ];
    for (body, error) in cases {
        assert_eq!(dev(&local, &body).await.error(), (400, error.into()), "{body}");
    }
    let good = json!({ "user": "acme", "resource": RESOURCE, "scope": "notes:write", "ttl_s": 86_400, "alg": "RS256" });
    let answer = dev(&local, &good).await;
    assert_eq!((answer.status, answer.text("scope")), (200, "notes:write".into()));
}
