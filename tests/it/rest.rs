//! The REST door: every function under `/v1`, on both edges and at every form of address.

use std::{collections::BTreeMap, sync::OnceLock};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use insula_local::{
    Edge, Options,
    idp::{Alg, Mint},
};
use insula_tenancy::{
    Profile, Slug, Tier,
    operator::{NewIssuer, NewTenant},
};
use serde_json::{Value, json};

use crate::{
    ask::{Own, ask, code_of, header, operate},
    harness::{Stack, bin_dir, http_stack, json_of, options, start},
};

/// A path of every route under `/v1`, and what its function answers to a GET.
const PATHS: [(&str, u16); 10] = [
    ("/v1/audit", 200),
    ("/v1/audit/x", 404),
    ("/v1/usage", 200),
    ("/v1/usage/x", 404),
    ("/v1/config", 200),
    ("/v1/config/x", 404),
    ("/v1/secrets", 200),
    ("/v1/secrets/x", 405),
    ("/v1/collections", 200),
    ("/v1/collections/unknown/items", 404),
];

/// A stack whose function `items` has the tests' cards.
fn with_cards(edge: Edge) -> &'static Stack {
    static STACKS: [OnceLock<Stack>; 2] = [const { OnceLock::new() }; 2];
    STACKS[usize::from(edge == Edge::Http)].get_or_init(|| {
        let cards = bin_dir().join("cards-fixture");
        let overrides = BTreeMap::from([("ItemsFunction".to_owned(), cards)]);
        start(Options { overrides, ..options(edge) })
    })
}

/// A user's token for a resource, with all of the user's scopes.
fn token(stack: &Stack, user: &str, resource: &str) -> String {
    let mint = Mint { user: Some(user.to_owned()), resource: resource.to_owned(), ..Mint::default() };
    stack.local.idp.mint(&mint).unwrap().access_token
}

/// Asks at the address of a resource URL `…/mcp`, whose tokens are good for `/v1` too.
async fn at(
    stack: &Stack,
    method: &str,
    (resource, path): (&str, &str),
    (token, headers): (Option<&str>, &[(&str, &str)]),
    body: &str,
) -> Response<Bytes> {
    let url = format!("{}{path}", resource.strip_suffix("/mcp").unwrap());
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut all = headers.to_vec();
    all.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    ask(stack, method.parse::<Method>().unwrap(), &url, &all, body.to_owned()).await
}

async fn get(stack: &Stack, resource: &str, path: &str, token: Option<&str>) -> Response<Bytes> {
    at(stack, "GET", (resource, path), (token, &[]), "").await
}

#[tokio::test]
async fn behind_the_rest_api_every_route_serves_its_own_address_alone() {
    let stack = crate::harness::stack();
    let universal = format!("http://localhost:{}/mcp", stack.local.port);
    for resource in [stack.host_url("acme"), stack.path_url("acme"), universal] {
        let own = token(stack, "alice", &resource);
        let elsewhere = token(stack, "alice", &stack.host_url("globex"));
        for (path, status) in PATHS {
            let reply = get(stack, &resource, path, Some(&own)).await;
            assert_eq!(reply.status(), status, "{resource} {path}");
            assert_eq!(header(reply.headers(), "cache-control"), "no-store");
            for refused in [None, Some(elsewhere.as_str())] {
                assert_eq!(get(stack, &resource, path, refused).await.status(), 401, "{resource} {path}");
            }
        }
    }
    for (resource, foreign) in [
        (stack.host_url("acme"), token(stack, "gloria", &stack.host_url("acme"))),
        (stack.path_url("acme"), token(stack, "gloria", &stack.path_url("acme"))),
    ] {
        for (path, _) in PATHS {
            let reply = get(stack, &resource, path, Some(&foreign)).await;
            assert_eq!((reply.status().as_u16(), json_of(&reply)), (401, json!({"error": "unauthorized"})));
        }
    }
}

#[tokio::test]
async fn behind_the_http_api_every_route_serves_its_own_address_alone() {
    let stack = http_stack();
    let universal = format!("http://localhost:{}/mcp", stack.local.port);
    let foreign = token(stack, "gloria", &stack.path_url("acme"));
    // API Gateway answers a tenant's URL with 403 where our authorizer denies, and asks it only if there is a token.
    for (resource, denied) in [(universal, 401), (stack.path_url("acme"), 403)] {
        let own = token(stack, "alice", &resource);
        for (path, status) in PATHS {
            assert_eq!(get(stack, &resource, path, Some(&own)).await.status(), status, "{resource} {path}");
            assert_eq!(get(stack, &resource, path, None).await.status(), 401, "{resource} {path}");
            let other =
                if denied == 401 { token(stack, "alice", &stack.path_url("acme")) } else { foreign.clone() };
            let reply = get(stack, &resource, path, Some(&other)).await;
            assert_eq!(reply.status(), denied, "{resource} {path}");
        }
    }
}

#[tokio::test]
async fn a_tier_without_api_access_is_told_so() {
    let stack = crate::harness::stack();
    for (user, tenant, code) in [("alice", "acme", None), ("gloria", "globex", Some("feature_off"))] {
        let resource = stack.host_url(tenant);
        let reply = get(stack, &resource, "/v1/usage", Some(&token(stack, user, &resource))).await;
        assert_eq!(json_of(&reply)["code"].as_str(), code, "{tenant}");
    }
}

const CARDS: &str = "/v1/collections/cards/items";
const TEXT: &str = r#"{"text":"one"}"#;

/// Makes a card at a resource's address and says its path below that address, with all of the reply.
async fn make(stack: &Stack, resource: &str, token: &str, key: Option<&str>) -> (String, Response<Bytes>) {
    let headers: Vec<_> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
    let reply = at(stack, "POST", (resource, CARDS), (Some(token), &headers), TEXT).await;
    let id = json_of(&reply)["id"].as_str().unwrap_or_default().to_owned();
    (format!("{CARDS}/{id}"), reply)
}

#[tokio::test]
async fn a_role_may_do_what_its_row_says_and_no_more() {
    let stack = with_cards(Edge::Rest);
    let resource = stack.host_url("acme");
    let admin = token(stack, "alice", &resource);
    for (user, made, deleted) in [("arthur", 403, 403), ("amelia", 201, 403), ("alice", 201, 204)] {
        let own = token(stack, user, &resource);
        let (card, _) = make(stack, &resource, &admin, None).await;
        assert_eq!(get(stack, &resource, &card, Some(&own)).await.status(), 200, "{user}");
        let (_, reply) = make(stack, &resource, &own, None).await;
        assert_eq!(reply.status(), made, "{user}");
        let reply = at(stack, "DELETE", (&resource, &card), (Some(&own), &[]), "").await;
        assert_eq!(reply.status(), deleted, "{user}");
        if deleted == 403 {
            let expected = json!({
                "type": "about:blank", "title": "Forbidden", "status": 403, "code": "forbidden",
                "detail": "this needs the role admin in the workspace, which its admins grant",
            });
            assert_eq!(json_of(&reply), expected);
            assert_eq!(header(reply.headers(), "content-type"), "application/problem+json");
            assert_eq!(get(stack, &resource, &card, Some(&admin)).await.status(), 200, "it is still there");
        }
    }
}

#[tokio::test]
async fn a_member_of_one_scope_less_may_only_read() {
    let stack = with_cards(Edge::Rest);
    let resource = stack.host_url("acme");
    for (scope, status) in [("notes:read notes:write", 201), ("notes:read profile:read", 403)] {
        let mint = Mint {
            user: Some("alice".to_owned()),
            scope: Some(scope.to_owned()),
            resource: resource.clone(),
            ..Mint::default()
        };
        let own = stack.local.idp.mint(&mint).unwrap().access_token;
        assert_eq!(make(stack, &resource, &own, None).await.1.status(), status, "{scope}");
    }
}

#[tokio::test]
async fn an_issuers_role_claim_counts_and_its_scopes_do_not() {
    let stack = with_cards(Edge::Rest);
    let issuer = format!("{}/with-roles", stack.local.idp.issuer());
    let pinned = NewIssuer {
        issuer: issuer.clone(),
        jwks_uri: stack.local.idp.jwks_uri().parse().unwrap(),
        profile: Profile::Rfc9068,
        claims: Vec::new(),
        role_claim: Some("role".to_owned()),
    };
    let slug: Slug = "with-roles".parse().unwrap();
    let tenant = NewTenant {
        slug: slug.clone(),
        tier: Tier::Starter,
        issuers: vec![issuer.clone()],
        claims: vec![(issuer.clone(), "org-with-roles".to_owned())],
        origins: Vec::new(),
    };
    operate(stack, |operator| async move { operator.pin_issuer(&pinned).await }).await.unwrap();
    operate(stack, |operator| async move { operator.create_tenant(&tenant).await }).await.unwrap();
    let resource = stack.host_url(&slug.to_string());
    let now_s = stack.local.sessions.now_s();
    let head = json!({ "typ": "at+jwt", "alg": "ES256", "kid": stack.local.idp.kid(Alg::Es256).unwrap() });
    for (role, status) in [
        (json!("member"), 201),
        (json!("admin"), 201),
        (json!("read_only"), 403),
        (json!(["admin"]), 403),
        (Value::Null, 403),
    ] {
        let claims = json!({
            "iss": issuer, "sub": "somebody", "aud": resource, "client_id": "tests", "jti": "tests",
            "scope": "notes:write workspace:admin", "iat": now_s, "exp": now_s + 600,
            "tenant_id": "org-with-roles", "role": role,
        });
        let own = stack.local.idp.sign(&head, &claims, Alg::Es256).unwrap();
        assert_eq!(make(stack, &resource, &own, None).await.1.status(), status, "{role}");
    }
}

#[tokio::test]
async fn what_is_made_is_where_the_reply_says_at_every_address() {
    for edge in [Edge::Rest, Edge::Http] {
        let stack = with_cards(edge);
        let universal = format!("http://localhost:{}/mcp", stack.local.port);
        let host = (edge == Edge::Rest).then(|| stack.host_url("acme"));
        for resource in [universal, stack.path_url("acme")].into_iter().chain(host) {
            let own = token(stack, "alice", &resource);
            let (card, made) = make(stack, &resource, &own, None).await;
            assert_eq!((made.status().as_u16(), header(made.headers(), "etag")), (201, "\"1\""));
            let prefix = if resource.ends_with("/acme/mcp") { "/acme" } else { "" };
            assert_eq!(header(made.headers(), "location"), format!("{prefix}{card}"), "{resource}");
            let found = get(stack, &resource, &card, Some(&own)).await;
            assert_eq!((found.status().as_u16(), found.body()), (200, made.body()));
            assert_eq!(header(found.headers(), "etag"), "\"1\"");
        }
    }
}

#[tokio::test]
async fn a_repetition_under_the_same_key_gets_the_same_answer_and_makes_nothing() {
    let stack = with_cards(Edge::Rest);
    let own = Own::make(stack, "repeats", Tier::Starter).await;
    let (resource, token) = (stack.host_url(&own.slug), own.token(stack));
    let (_, first) = make(stack, &resource, &token, Some("k1")).await;
    let (_, again) = make(stack, &resource, &token, Some("k1")).await;
    assert_eq!((first.status().as_u16(), first.status()), (201, again.status()));
    assert_eq!(first.body(), again.body());
    for name in ["etag", "location", "content-type"] {
        assert_eq!(header(first.headers(), name), header(again.headers(), name));
    }
    assert_eq!(own.meter(stack).await.0, 1, "it is charged once");
    let key: &[(&str, &str)] = &[("idempotency-key", "k1")];
    let other = at(stack, "POST", (&resource, CARDS), (Some(&token), key), r#"{"text":"two"}"#).await;
    assert_eq!((other.status().as_u16(), code_of(&other)), (422, "idempotency_mismatch".to_owned()));
    let (_, another) = make(stack, &resource, &token, Some("k2")).await;
    assert_ne!(first.body(), another.body());
}

#[tokio::test]
async fn a_version_that_was_not_seen_is_not_overwritten() {
    let stack = with_cards(Edge::Rest);
    let resource = stack.host_url("acme");
    let own = token(stack, "amelia", &resource);
    let (card, _) = make(stack, &resource, &own, None).await;
    for (seen, status, code) in [
        (None, 428, "version_required"),
        (Some("1"), 400, "invalid"),
        (Some("\"2\""), 409, "conflict"),
        (Some("\"1\""), 200, ""),
        (Some("\"1\""), 409, "conflict"),
        (Some("\"2\""), 200, ""),
    ] {
        let headers: Vec<_> = seen.map(|seen| ("if-match", seen)).into_iter().collect();
        let reply = at(stack, "PUT", (&resource, &card), (Some(&own), &headers), r#"{"text":"two"}"#).await;
        assert_eq!(reply.status(), status, "{seen:?}");
        assert_eq!(json_of(&reply)["code"].as_str().unwrap_or_default(), code);
    }
}

#[tokio::test]
async fn another_tenants_card_is_byte_for_byte_a_missing_one() {
    let stack = with_cards(Edge::Rest);
    let resource = stack.host_url("acme");
    let (card, _) = make(stack, &resource, &token(stack, "alice", &resource), None).await;
    let own = Own::make(stack, "neighbour", Tier::Starter).await;
    let (resource, token) = (stack.host_url(&own.slug), own.token(stack));
    let missing = format!("{CARDS}/01m00000000000000000000000");
    let (mine, _) = make(stack, &resource, &token, None).await;
    assert_eq!(get(stack, &resource, &mine, Some(&token)).await.status(), 200);
    for method in ["GET", "DELETE"] {
        let seen = async |path: &str| {
            let reply = at(stack, method, (&resource, path), (Some(&token), &[]), "").await;
            (reply.status().as_u16(), reply.body().clone())
        };
        let foreign = seen(&card).await;
        assert_eq!(foreign.0, 404, "{method}");
        assert_eq!(foreign, seen(&missing).await);
        assert_eq!(foreign, seen(&format!("{CARDS}/no-id")).await);
    }
}

#[tokio::test]
async fn what_is_not_known_is_refused_before_anything_is_done() {
    let stack = with_cards(Edge::Rest);
    let own = Own::make(stack, "strict", Tier::Starter).await;
    let (resource, token) = (stack.host_url(&own.slug), own.token(stack));
    let deep = format!(r#"{{"text":{}{}}}"#, "[".repeat(32), "]".repeat(32));
    for (method, path, headers, body, status) in [
        ("POST", CARDS, &[][..], TEXT, 201),
        ("POST", CARDS, &[], r#"{"text":"one","text":"two"}"#, 400),
        ("POST", CARDS, &[], &deep, 400),
        ("POST", CARDS, &[], "", 400),
        ("POST", &format!("{CARDS}?a=1"), &[], TEXT, 400),
        ("POST", CARDS, &[("idempotency-key", "")], TEXT, 400),
        ("POST", CARDS, &[("if-match", "*")], TEXT, 400),
        ("DELETE", &format!("{CARDS}/x"), &[], "{}", 400),
        ("DELETE", CARDS, &[], "", 405),
        ("GET", "/v1/collections/cards", &[], "", 404),
        ("GET", "/v1/collections/cards/items/x/y", &[], "", 404),
        ("GET", "/v1/collections/cards%2Fitems%2F..", &[], "", 404),
        ("GET", "/v1/collections/cards/%zz", &[], "", 400),
    ] {
        let reply = at(stack, method, (&resource, path), (Some(&token), headers), body).await;
        assert_eq!(reply.status(), status, "{method} {path} {body}: {:?}", reply.body());
        assert_eq!(header(reply.headers(), "allow"), if status == 405 { "POST" } else { "" });
    }
    assert_eq!(own.meter(stack).await.0, 1, "only the first is charged");
    // Which members a body has is the endpoint's own to know, so it has run by then.
    let more = r#"{"text":"one","more":1}"#;
    let reply = at(stack, "POST", (&resource, CARDS), (Some(&token), &[]), more).await;
    assert_eq!((reply.status().as_u16(), code_of(&reply)), (400, "invalid".to_owned()));
    assert_eq!(own.meter(stack).await.0, 2);
}

#[tokio::test]
async fn bytes_that_are_no_text_reach_the_endpoint_on_both_edges() {
    for edge in [Edge::Rest, Edge::Http] {
        let stack = with_cards(edge);
        let resource = stack.path_url("acme");
        let url = resource.replace("/mcp", "/v1/collections/cards/pictures");
        let bearer = format!("Bearer {}", token(stack, "alice", &resource));
        for (media_type, status) in [("image/png", 200), ("image/webp", 400)] {
            let request =
                Request::put("/").header("authorization", &bearer).header("content-type", media_type);
            let request = request.body(Full::new(Bytes::from_static(b"\x89PNG\xff\0"))).unwrap();
            let reply = stack.send(&url, request).await;
            assert_eq!(reply.status(), status, "{edge:?} {media_type}");
            let bytes = if status == 200 { json!([137, 80, 78, 71, 255, 0]) } else { Value::Null };
            assert_eq!(json_of(&reply)["bytes"], bytes);
        }
    }
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_change_things_and_another_may_not() {
    let stack = with_cards(Edge::Rest);
    let resource = stack.host_url("acme");
    let own = token(stack, "alice", &resource);
    for (origin, allowed) in [("http://localhost:6274", true), ("http://localhost:6275", false)] {
        let headers = &[("origin", origin), ("access-control-request-headers", "if-match")];
        let asked = at(stack, "OPTIONS", (&resource, CARDS), (None, headers), "").await;
        assert_eq!(asked.status(), 204);
        let methods = header(asked.headers(), "access-control-allow-methods");
        let names = header(asked.headers(), "access-control-allow-headers");
        assert_eq!(methods.contains("PATCH") && names.contains("If-Match"), allowed, "{origin}");
        let made = at(stack, "POST", (&resource, CARDS), (Some(&own), &headers[..1]), TEXT).await;
        assert_eq!(made.status(), if allowed { 201 } else { 403 }, "{origin}");
        let exposed = header(made.headers(), "access-control-expose-headers");
        assert_eq!(exposed.contains("ETag") && exposed.contains("Location"), allowed);
    }
}
