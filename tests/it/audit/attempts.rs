//! Attempts to cross: told to the operator by the attacker's own tenant, beside requests that are none.

use std::sync::{Mutex, PoisonError};

use insula_local::{
    Edge, Options,
    aws::{Fault, FaultKind},
    idp::Alg,
};
use insula_tenancy::{
    Profile, TenantId, Tier,
    operator::{NewIssuer, NewTenant},
};
use serde_json::{Value, json};

use super::{note, trail};
use crate::{
    ask::{Own, code_of, operate, post_with},
    harness::{Stack, json_of, options, stack, start, tool_call},
    secrets,
};

/// What the operator was told of a tenant's attempts: class and target.
pub(crate) fn told(stack: &Stack, own: &Own) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for event in stack.local.aws.events() {
        let mut detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
        if event["DetailType"] == "Cross-Tenant Attempt" && detail["tenant"] == own.id.to_string().as_str() {
            all.push((detail["class"].as_str().unwrap().to_owned(), detail["target"].take()));
        }
    }
    all
}

#[tokio::test]
async fn a_token_at_another_tenants_address_is_told_with_whose_it_is() {
    let stack = stack();
    let (own, other) = (
        Own::make(stack, "attempt-own", Tier::Business).await,
        Own::make(stack, "attempt-target", Tier::Business).await,
    );
    let call = tool_call("notes_list", json!({}));
    assert_eq!(own.post(stack, &[], &call).await.status(), 200);
    assert_eq!(told(stack, &own), [], "at one's own address");
    let forged = format!("{}x", own.token(stack));
    let there = stack.host_url("attempt-target");
    assert_eq!(post_with(stack, &there, &forged, &[], &call).await.status(), 401);
    assert_eq!(told(stack, &own), [], "a token that nobody has signed says nothing of whose it is");
    for _ in 0..3 {
        assert_eq!(post_with(stack, &there, &own.token(stack), &[], &call).await.status(), 401);
    }
    let target = json!(other.id.to_string());
    let all = told(stack, &own);
    // Each instance of the authorizer tells it once a minute.
    assert!(!all.is_empty() && all.len() < 4, "{all:?}");
    assert!(all.iter().all(|one| *one == ("host_against_token".to_owned(), target.clone())), "{all:?}");
    assert_eq!(told(stack, &other), [], "who is attacked attacks nobody");
    let said = format!("{:?}", trail(stack, &own).await);
    assert!(!said.contains(&other.id.to_string()) && !said.contains(&other.slug), "{said}");
}

#[tokio::test]
async fn a_cursor_that_was_altered_is_told_and_one_that_is_good_is_not() {
    let stack = stack();
    let own = Own::make(stack, "attempt-cursor", Tier::Business).await;
    for title in ["one", "two"] {
        note(stack, &own, title).await;
    }
    let list = |cursor: Value| tool_call("notes_list", json!({ "limit": 1, "cursor": cursor }));
    let first = own.post(stack, &[], &list(Value::Null)).await;
    let cursor = json_of(&first)["result"]["structuredContent"]["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(own.post(stack, &[], &list(json!(cursor))).await.status(), 200);
    assert_eq!(told(stack, &own), []);
    let refused = own.post(stack, &[], &list(json!(format!("{cursor}x")))).await;
    assert_eq!(code_of(&refused), "invalid");
    assert_eq!(told(stack, &own), [("altered_cursor".to_owned(), Value::Null)]);
}

#[tokio::test]
async fn what_aws_refuses_on_a_tenants_path_is_told() {
    let stack = stack();
    let own = Own::make(stack, "attempt-denied", Tier::Business).await;
    let id = note(stack, &own, "one").await;
    let get = tool_call("notes_get", json!({ "id": id }));
    assert_eq!(told(stack, &own), []);
    let fault =
        Fault { service: "dynamodb".to_owned(), operation: "GetItem".to_owned(), kind: FaultKind::Deny };
    stack.local.aws.fault_within(fault, &id);
    let refused = own.post(stack, &[], &get).await;
    assert_eq!(code_of(&refused), "internal", "{refused:?}");
    assert_eq!(told(stack, &own), [("access_denied".to_owned(), Value::Null)]);
    assert_eq!(json_of(&own.post(stack, &[], &get).await)["result"]["structuredContent"]["id"], json!(id));
}

/// A tenant whose tokens are of an issuer that speaks for it alone, and what signs them.
async fn of_own_issuer(stack: &'static Stack, slug: &str) -> (TenantId, impl Fn(&str) -> String) {
    let issuer = format!("{}/{slug}", stack.local.idp.issuer());
    let pinned = NewIssuer {
        issuer: issuer.clone(),
        jwks_uri: stack.local.idp.jwks_uri().parse().unwrap(),
        profile: Profile::Rfc9068,
        claims: Vec::new(),
        role_claim: None,
    };
    let new = NewTenant {
        slug: slug.parse().unwrap(),
        tier: Tier::Business,
        issuers: vec![issuer.clone()],
        claims: vec![(issuer.clone(), format!("org-{slug}"))],
        origins: Vec::new(),
    };
    operate(stack, |operator| async move { operator.pin_issuer(&pinned).await }).await.unwrap();
    let id = operate(stack, |operator| async move { operator.create_tenant(&new).await }).await.unwrap();
    let claim = format!("org-{slug}");
    let sign = move |audience: &str| {
        let now_s = stack.local.sessions.now_s();
        let head =
            json!({ "typ": "at+jwt", "alg": "ES256", "kid": stack.local.idp.kid(Alg::Es256).unwrap() });
        let claims = json!({
            "iss": issuer, "sub": "somebody", "aud": audience, "client_id": "tests", "jti": "tests",
            "scope": "notes:read", "iat": now_s, "exp": now_s + 600, "tenant_id": claim,
        });
        stack.local.idp.sign(&head, &claims, Alg::Es256).unwrap()
    };
    (id, sign)
}

#[tokio::test]
async fn a_token_of_another_tenants_own_issuer_is_told_whatever_address_it_is_for() {
    let stack = stack();
    let other = Own::make(stack, "attempt-shared", Tier::Business).await;
    let (own_host, there) = (stack.host_url("attempt-issuer"), stack.host_url("attempt-shared"));
    let (id, sign) = of_own_issuer(stack, "attempt-issuer").await;
    let own = Own { slug: "attempt-issuer".to_owned(), id };
    let call = tool_call("notes_list", json!({}));
    assert_eq!(post_with(stack, &own_host, &sign(&own_host), &[], &call).await.status(), 200);
    let forged = format!("{}x", sign(&there));
    assert_eq!(post_with(stack, &there, &forged, &[], &call).await.status(), 401);
    assert_eq!(told(stack, &own), [], "at its own address, and where nobody has signed");
    for audience in [&own_host, &there] {
        let before = told(stack, &own).len();
        assert_eq!(post_with(stack, &there, &sign(audience), &[], &call).await.status(), 401);
        let all = told(stack, &own);
        // The same instance tells it once a minute.
        assert!(before > 0 || all.len() == 1, "{audience}: {all:?}");
        let target = ("host_against_token".to_owned(), json!(other.id.to_string()));
        assert!(all.iter().all(|one| *one == target), "{all:?}");
    }
}

#[tokio::test]
async fn a_session_that_aws_refuses_is_told() {
    let stack = stack();
    let own = Own::make(stack, "attempt-session", Tier::Business).await;
    let call = tool_call("notes_list", json!({}));
    let fault =
        Fault { service: "sts".to_owned(), operation: "AssumeRole".to_owned(), kind: FaultKind::Deny };
    stack.local.aws.fault_within(fault, &own.id.to_string());
    let refused = own.post(stack, &[], &call).await;
    assert_eq!(code_of(&refused), "unavailable", "{refused:?}");
    assert_eq!(told(stack, &own), [("access_denied".to_owned(), Value::Null)]);
    let again = own.post(stack, &[], &call).await;
    assert_eq!((&json_of(&again)["result"]["isError"], told(stack, &own).len()), (&json!(false), 1));
}

#[tokio::test]
async fn what_kms_refuses_on_a_tenants_path_is_told() {
    let stack = stack();
    let own = Own::make(stack, "attempt-kms", Tier::Business).await;
    let fault =
        Fault { service: "kms".to_owned(), operation: "GenerateDataKey".to_owned(), kind: FaultKind::Deny };
    stack.local.aws.fault_within(fault, &own.id.to_string());
    assert_eq!(secrets::put(stack, &own, "api_key", "hunter2").await, 500);
    assert_eq!(told(stack, &own), [("access_denied".to_owned(), Value::Null)]);
    assert_eq!(secrets::put(stack, &own, "api_key", "hunter2").await, 201);
    assert_eq!(told(stack, &own).len(), 1, "what is done is no attempt");
}

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn log(_function: &str, line: &str) {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
}

fn lines() -> Vec<String> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[tokio::test]
async fn an_attempt_has_a_line_of_metrics_and_no_line_names_who_was_attacked() {
    let stack: &'static Stack = Box::leak(Box::new(start(Options { log, ..options(Edge::Rest) })));
    let (own, other) = (
        Own::make(stack, "attempt-line", Tier::Business).await,
        Own::make(stack, "attempt-unnamed", Tier::Business).await,
    );
    let (call, there) = (tool_call("notes_list", json!({})), stack.host_url(&other.slug));
    let (own_id, other_id) = (own.id.to_string(), other.id.to_string());
    let count = || -> Option<Value> {
        let line = lines().into_iter().find(|line| line.contains("\"CrossTenantAttempts\""))?;
        Some(serde_json::from_str(&line).unwrap())
    };
    // A line comes a moment after its reply.
    for _ in 0..100 {
        assert_eq!(own.post(stack, &[], &call).await.status(), 200);
        if lines().iter().any(|line| line.contains(&own_id)) {
            break;
        }
    }
    assert_eq!(count(), None, "at one's own address");
    for _ in 0..100 {
        assert_eq!(post_with(stack, &there, &own.token(stack), &[], &call).await.status(), 401);
        if count().is_some() {
            break;
        }
    }
    let line = count().unwrap();
    assert_eq!(
        (&line["CrossTenantAttempts"], &line["tenant"]["id"], &line["class"]),
        (&json!(1), &json!(own_id), &json!("host_against_token")),
        "{line}"
    );
    let warned = |line: &String| line.contains("\"WARN\"") && line.contains("an attempt to cross");
    assert!(lines().iter().any(|line| warned(line) && line.contains(&own_id)), "{:?}", lines());
    let naming = || -> Vec<String> {
        let names = |line: &String| line.contains(&other_id) || line.contains(&other.slug);
        lines().into_iter().filter(names).collect()
    };
    assert_eq!(naming(), Vec::<String>::new());
    // A call of its own is logged with its id, so that the search finds what is there.
    for _ in 0..100 {
        assert_eq!(other.post(stack, &[], &call).await.status(), 200);
        if !naming().is_empty() {
            return;
        }
    }
    panic!("the search finds nothing of {other_id}");
}
