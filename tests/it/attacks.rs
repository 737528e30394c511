//! Tokens and headers that try to be let in, or to be taken for another tenant's.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Response};
use insula_local::idp::Alg;
use insula_tenancy::{Plan, Status, Tier};
use serde_json::{Value, json};

use crate::{
    ask::{Own, ask, code_of, header, list_tools, operate, post_with, tenant_id},
    harness::{Stack, json_of, stack, tool_call},
};

/// What is wrong, the URL, and the headers beside the usual ones.
type Sent<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// The header of a good token.
fn good_header(stack: &Stack) -> Value {
    json!({ "typ": "at+jwt", "alg": "ES256", "kid": stack.local.idp.kid(Alg::Es256).unwrap() })
}

/// The claims of a good token of acme for a resource.
fn good_claims(stack: &Stack, resource: &str) -> Value {
    let now_s = stack.local.sessions.now_s();
    json!({
        "iss": stack.local.idp.issuer(),
        "sub": "alice",
        "aud": resource,
        "client_id": "attacks",
        "scope": "notes:read notes:write profile:read",
        "iat": now_s,
        "exp": now_s + 600,
        "jti": "attacks",
        "tenant_id": "org-acme",
    })
}

/// The object with these members changed, or taken away where the value is null.
fn with(mut object: Value, changes: &[(&str, Value)]) -> Value {
    for (name, value) in changes {
        let members = object.as_object_mut().unwrap();
        match value {
            Value::Null => drop(members.remove(*name)),
            value => drop(members.insert((*name).to_owned(), value.clone())),
        }
    }
    object
}

fn sign(stack: &Stack, header: &Value, claims: &Value) -> String {
    stack.local.idp.sign(header, claims, Alg::Es256).unwrap()
}

/// A token with this header and these claims whose last part is what it is.
fn assemble(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

/// Every hostile token, by what is wrong with it.
fn hostile(stack: &Stack, url: &str) -> Vec<(&'static str, String)> {
    let (head, claims) = (good_header(stack), good_claims(stack, url));
    let now_s = stack.local.sessions.now_s();
    let globex = stack.host_url("globex");
    let claim = |changes: &[(&str, Value)]| sign(stack, &head, &with(claims.clone(), changes));
    let heads = |changes: &[(&str, Value)]| sign(stack, &with(head.clone(), changes), &claims);
    let good = sign(stack, &head, &claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (first, rest) = signature.split_at(1);
    let flipped = format!("{signed}.{}{rest}", if first == "A" { "B" } else { "A" });
    let none = json!({ "typ": "at+jwt", "alg": "none" });
    vec![
        ("expired", claim(&[("exp", json!(now_s - 60)), ("iat", json!(now_s - 600))])),
        ("without expiry", claim(&[("exp", Value::Null)])),
        ("not valid yet", claim(&[("nbf", json!(now_s + 600))])),
        ("another issuer", claim(&[("iss", json!("http://localhost:1"))])),
        ("an array of issuers", claim(&[("iss", json!([stack.local.idp.issuer()]))])),
        ("without issuer", claim(&[("iss", Value::Null)])),
        ("an ID token's type", heads(&[("typ", json!("JWT"))])),
        ("without type", heads(&[("typ", Value::Null)])),
        ("without tenant", claim(&[("tenant_id", Value::Null)])),
        ("a tenant that nobody is", claim(&[("tenant_id", json!("org-nobody"))])),
        ("a slug in place of the claim's value", claim(&[("tenant_id", json!("acme"))])),
        ("a tenant that is a list", claim(&[("tenant_id", json!(["org-acme"]))])),
        ("two tenants", claim(&[("tenant_slug", json!("org-globex"))])),
        ("the other tenant", claim(&[("tenant_id", json!("org-globex"))])),
        ("both hosts as audience", claim(&[("aud", json!([url, globex]))])),
        ("the other host as audience", claim(&[("aud", json!(globex))])),
        ("the path form as audience", claim(&[("aud", json!(stack.path_url("acme")))])),
        ("a slash more in the audience", claim(&[("aud", json!(format!("{url}/")))])),
        ("without audience", claim(&[("aud", Value::Null)])),
        ("without subject", claim(&[("sub", Value::Null)])),
        ("an unknown key", heads(&[("kid", json!("nobody"))])),
        ("without key", heads(&[("kid", Value::Null)])),
        ("a key of its own", heads(&[("jwk", json!({ "kty": "EC" }))])),
        ("a key from elsewhere", heads(&[("jku", json!("http://localhost:1/jwks"))])),
        ("a critical extension", heads(&[("crit", json!(["exp"]))])),
        ("HS256", heads(&[("alg", json!("HS256"))])),
        ("RS256 with the EC key", heads(&[("alg", json!("RS256"))])),
        ("no algorithm", assemble(&none, &claims, "")),
        ("no algorithm, with a signature", assemble(&none, &claims, signature)),
        ("an altered signature", flipped),
        ("altered claims", assemble(&head, &with(claims.clone(), &[("sub", json!("mallory"))]), signature)),
        ("no signature", format!("{signed}.")),
        ("two parts", signed.to_owned()),
        ("no token at all", "x".to_owned()),
        ("a token over 8 KiB", claim(&[("pad", json!("x".repeat(6_300)))])),
    ]
}

/// What a refused caller sees, but for ids and dates.
fn seen(reply: &Response<Bytes>) -> (u16, Bytes, Vec<String>) {
    let varies = |name: &str| name == "date" || name.starts_with("x-amz") && name.contains("id");
    let mut headers: Vec<String> = reply
        .headers()
        .iter()
        .filter(|(name, _)| !varies(name.as_str()) && *name != "www-authenticate")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    (reply.status().as_u16(), reply.body().clone(), headers)
}

#[tokio::test]
async fn every_hostile_token_gets_one_and_the_same_refusal() {
    let stack = stack();
    let url = stack.host_url("acme");
    let list = list_tools();
    let good = sign(stack, &good_header(stack), &good_claims(stack, &url));
    assert_eq!(stack.post(&url, Some(&good), &list).await.status(), 200);
    let bare = stack.post(&url, None, &list).await;
    assert_eq!(bare.status(), 401);

    let mut challenges = Vec::new();
    for (what, token) in hostile(stack, &url) {
        let reply = stack.post(&url, Some(&token), &list).await;
        assert_eq!(seen(&reply), seen(&bare), "{what}");
        challenges.push((what, header(reply.headers(), "www-authenticate").to_owned()));
    }
    let (_, first) = challenges.first().unwrap().clone();
    for (what, challenge) in challenges {
        assert_eq!(challenge, first, "{what}");
    }
    assert_eq!(stack.post(&url, Some(&good), &list).await.status(), 200);
}

/// The URL in a challenge.
fn metadata_url(reply: &Response<Bytes>) -> String {
    let challenge = header(reply.headers(), "www-authenticate");
    let (_, rest) = challenge.split_once("resource_metadata=\"").unwrap_or_else(|| panic!("{challenge}"));
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_challenge_leads_to_the_document_of_the_very_url_that_was_used() {
    let stack = stack();
    let universal = format!("http://localhost:{}/mcp", stack.local.port);
    for url in [stack.host_url("acme"), stack.path_url("acme"), stack.host_url("globex"), universal] {
        let refused = stack.post(&url, None, &list_tools()).await;
        assert_eq!(refused.status(), 401, "{url}");
        let found = ask(stack, Method::GET, &metadata_url(&refused), &[], "").await;
        assert_eq!(found.status(), 200, "{url}");
        let document = json_of(&found);
        assert_eq!(document["resource"], url);
        assert_eq!(document["authorization_servers"], json!([stack.local.idp.issuer()]), "{url}");
    }
}

#[tokio::test]
async fn a_host_that_no_tenant_has_looks_like_one_that_is_another_tenants() {
    let stack = stack();
    let (url, foreign, unknown) =
        (stack.host_url("acme"), stack.host_url("globex"), stack.host_url("nobody"));
    let token = stack.token("acme", &url);
    let list = list_tools();
    assert_eq!(stack.post(&url, Some(&token), &list).await.status(), 200);
    for token in [Some(&*token), None] {
        let at_foreign = stack.post(&foreign, token, &list).await;
        let at_unknown = stack.post(&unknown, token, &list).await;
        assert_eq!(seen(&at_foreign), seen(&at_unknown));
        let challenge = |reply: &Response<Bytes>, slug: &str| {
            header(reply.headers(), "www-authenticate").replace(&format!("//{slug}."), "//x.")
        };
        assert_eq!(challenge(&at_foreign, "globex"), challenge(&at_unknown, "nobody"));
    }
    for path in ["globex", "nobody"] {
        assert_eq!(stack.post(&stack.path_url(path), Some(&token), &list).await.status(), 401);
    }
}

#[tokio::test]
async fn a_token_counts_in_one_authorization_header_and_nowhere_else() {
    let stack = stack();
    let url = stack.host_url("acme");
    let token = stack.token("acme", &url);
    let bearer = format!("Bearer {token}");
    let body = list_tools().to_string();
    let good = ask(stack, Method::POST, &url, &[("authorization", &bearer)], body.clone()).await;
    assert_eq!(good.status(), 200);

    let in_query = format!("{url}?access_token={token}");
    let basic = format!("Basic {token}");
    let twice = format!("{bearer}, {bearer}");
    let cases: [Sent; 7] = [
        ("in the query", &in_query, &[]),
        ("without scheme", &url, &[("authorization", &token)]),
        ("another scheme", &url, &[("authorization", &basic)]),
        ("two headers", &url, &[("authorization", &bearer), ("authorization", &bearer)]),
        ("two in one header", &url, &[("authorization", &twice)]),
        ("another header", &url, &[("x-authorization", &bearer)]),
        ("a cookie", &url, &[("cookie", &format!("access_token={token}"))]),
    ];
    for (what, url, headers) in cases {
        let reply = ask(stack, Method::POST, url, headers, body.clone()).await;
        assert_eq!(reply.status(), 401, "{what}");
    }
    let both = ask(stack, Method::POST, &in_query, &[("authorization", &bearer)], body).await;
    assert_eq!(both.status(), 200, "a query parameter decides nothing");
}

#[tokio::test]
async fn no_header_and_no_parameter_names_the_tenant() {
    let stack = stack();
    let (url, globex) = (stack.host_url("acme"), stack.host_url("globex"));
    let token = stack.token("acme", &url);
    let foreign = stack.token("globex", &globex);
    let globex_id = tenant_id(stack, "globex").await;
    let made = stack.call("acme", "notes_create", json!({ "title": "headers", "text": "ours" })).await;
    let id = made["structuredContent"]["id"].as_str().unwrap();
    let call = tool_call("notes_get", json!({ "id": id }));
    let forwarded_host = format!("host={}", globex.split('/').nth(2).unwrap());
    let host = globex.split('/').nth(2).unwrap();
    let headers: [(&str, &str); 8] = [
        ("x-tenant-id", &globex_id),
        ("x-amz-tenant-id", &globex_id),
        ("x-amzn-tenant-id", &globex_id),
        ("x-forwarded-host", host),
        ("x-original-host", host),
        ("x-host", host),
        ("forwarded", &forwarded_host),
        ("x-original-url", "/globex/mcp"),
    ];
    for (name, value) in headers {
        let own = post_with(stack, &url, &token, &[(name, value)], &call).await;
        assert_eq!(json_of(&own)["result"]["structuredContent"]["text"], "ours", "{name}");
        // The other tenant's good token at acme's host, with a header that says that it is at home.
        let stolen = post_with(stack, &url, &foreign, &[(name, value)], &call).await;
        assert_eq!(stolen.status(), 401, "{name}");
    }
    for query in [format!("?tenant={globex_id}"), "?tenant_id=org-globex".to_owned()] {
        let own = post_with(stack, &format!("{url}{query}"), &token, &[], &call).await;
        assert_eq!(json_of(&own)["result"]["structuredContent"]["text"], "ours", "{query}");
    }
    let home = post_with(stack, &globex, &foreign, &[], &call).await;
    assert_eq!(code_of(&home), "not_found");
}

#[tokio::test]
async fn a_suspended_tenant_is_refused_at_the_very_next_call_and_served_again_after() {
    let stack = stack();
    let own = Own::make(stack, "attacks-suspended", Tier::Free).await;
    let create = tool_call("notes_create", json!({ "title": "t", "text": "t" }));
    let list = tool_call("notes_list", json!({}));
    for (epoch, status) in [(1, Status::Active), (2, Status::Suspended), (3, Status::Active)] {
        if epoch > 1 {
            let plan = Plan { status, ..Plan::of(Tier::Free, epoch) };
            let id = own.id.clone();
            operate(stack, |operator| async move { operator.set_plan(&id, &plan).await }).await.unwrap();
        }
        for call in [&create, &list, &list_tools()] {
            let reply = own.post(stack, &[], call).await;
            let body = json_of(&reply);
            if status == Status::Active {
                assert!(reply.status() == 200 && body["result"]["isError"] != true, "{epoch} {body}");
            } else {
                assert_eq!(code_of(&reply), "suspended", "{call}");
                assert!(body["result"]["isError"] == true || reply.status() == 403, "{reply:?}");
            }
        }
    }
    assert_eq!(own.notes(stack).await, 2, "the refused call kept nothing");
    let other = stack.post(&stack.host_url("attacks-suspended"), None, &list).await;
    assert_eq!(other.status(), 401);
}
