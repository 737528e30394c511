//! Which calls are one: the same key of the same caller, for a day, as long as the caller may still do it.

use aws_sdk_dynamodb::types::AttributeValue;
use http::Method;
use insula_local::idp::Alg;
use insula_tenancy::{
    Clock, Limits, Plan, Profile, Tier,
    operator::{NewIssuer, NewTenant},
};
use serde_json::json;

use crate::{
    ask::{Own, code_of, credentials, data_table, operate, post_with, store, tenant_store, text},
    audit::chains::Row,
    calls::create,
    harness::{Stack, json_of, stack},
};

const DAY_S: i64 = 24 * 3600;

/// The tenant's idempotency records.
async fn records(stack: &Stack, own: &Own) -> Vec<Row> {
    let mover = store(stack, credentials(stack, "MoverRole", &[]));
    let mut rows = Vec::new();
    for shard in 0..16 {
        let query = mover.query().table_name(data_table(stack)).key_condition_expression("pk = :pk");
        let partition = text(&format!("TENANT#{}#IDEM#{shard:x}", own.id));
        let query = query.expression_attribute_values(":pk", partition).consistent_read(true);
        rows.extend(query.send().await.unwrap().items.unwrap_or_default());
    }
    rows
}

/// Lets every idempotency record of a tenant count until then. The tables of the laptop remove none, and AWS does it days later.
pub(crate) async fn end_at(stack: &Stack, own: &Own, until_s: i64) {
    let tenant = tenant_store(stack, &own.id.to_string());
    for mut row in records(stack, own).await {
        row.insert("ttl".to_owned(), AttributeValue::N(until_s.to_string()));
        tenant.put_item().table_name(data_table(stack)).set_item(Some(row)).send().await.unwrap();
    }
}

/// Who calls, beside whose tenant it is.
#[derive(Debug, Clone, Copy)]
struct Who<'a> {
    issuer: &'a str,
    subject: &'a str,
    client: &'a str,
}

/// Makes a note under the key `same`: its id.
async fn make(stack: &Stack, own: &Own, Who { issuer, subject, client }: Who<'_>) -> String {
    let (resource, now_s) = (stack.host_url(&own.slug), stack.local.sessions.now_s());
    let head = json!({ "typ": "at+jwt", "alg": "ES256", "kid": stack.local.idp.kid(Alg::Es256).unwrap() });
    let claims = json!({
        "iss": issuer, "sub": subject, "aud": resource, "client_id": client, "jti": "repeats",
        "scope": "notes:read notes:write", "iat": now_s, "exp": now_s + 600,
        "tenant_id": format!("org-{}", own.slug), "role": "member",
    });
    let token = stack.local.idp.sign(&head, &claims, Alg::Es256).unwrap();
    let reply = post_with(stack, &resource, &token, &[("idempotency-key", "same")], &create("t")).await;
    let id = json_of(&reply)["result"]["structuredContent"]["id"].clone();
    id.as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned()
}

#[tokio::test]
async fn a_clients_key_counts_for_a_day_and_no_longer() {
    let stack = stack();
    let own = Own::make(stack, "repeats-day", Tier::Starter).await;
    let who = Who { issuer: stack.local.idp.issuer(), subject: "alice", client: "one" };
    let (before_s, first) = (Clock::System.now().seconds(), make(stack, &own, who).await);
    let after_s = Clock::System.now().seconds();
    let row = records(stack, &own).await.remove(0);
    let until_s: i64 = row["ttl"].as_n().unwrap().parse().unwrap();
    assert!((before_s + DAY_S..=after_s + DAY_S).contains(&until_s), "{before_s} {until_s} {after_s}");

    end_at(stack, &own, after_s + 600).await;
    assert_eq!(make(stack, &own, who).await, first, "its end is not yet");
    end_at(stack, &own, after_s).await;
    let second = make(stack, &own, who).await;
    assert_ne!(second, first, "what has expired is still in the store and counts no more");
    assert_eq!(make(stack, &own, who).await, second, "and its place is the new call's");
    assert_eq!((records(stack, &own).await.len(), own.notes(stack).await), (1, 2));
}

#[tokio::test]
async fn a_key_is_its_subjects_its_clients_and_its_issuers_own() {
    let stack = stack();
    let (issuer, other) = (stack.local.idp.issuer(), format!("{}/repeats", stack.local.idp.issuer()));
    let pinned = NewIssuer {
        issuer: other.clone(),
        jwks_uri: stack.local.idp.jwks_uri().parse().unwrap(),
        profile: Profile::Rfc9068,
        claims: Vec::new(),
        role_claim: Some("role".to_owned()),
    };
    operate(stack, |operator| async move { operator.pin_issuer(&pinned).await }).await.unwrap();
    let issuers = vec![issuer.to_owned(), other.clone()];
    let new = NewTenant {
        slug: "repeats-own".parse().unwrap(),
        tier: Tier::Starter,
        claims: issuers.iter().map(|issuer| (issuer.clone(), "org-repeats-own".to_owned())).collect(),
        issuers,
        origins: Vec::new(),
    };
    let id = operate(stack, |operator| async move { operator.create_tenant(&new).await }).await.unwrap();
    let own = Own { slug: "repeats-own".to_owned(), id };
    let alice = Who { issuer, subject: "alice", client: "one" };
    let callers = [
        alice,
        Who { subject: "bob", ..alice },
        Who { client: "two", ..alice },
        Who { issuer: &other, ..alice },
    ];
    let mut made = Vec::new();
    for who in callers {
        let id = make(stack, &own, who).await;
        assert_eq!(make(stack, &own, who).await, id, "{who:?} is who called before");
        assert!(!made.contains(&id), "{who:?} is somebody else than any before");
        made.push(id);
    }
    assert_eq!(own.notes(stack).await, callers.len());
}

#[tokio::test]
async fn who_may_no_more_gets_no_kept_result() {
    let stack = stack();
    let own = Own::make(stack, "repeats-scope", Tier::Starter).await;
    let (tool, item) = (create("kept"), json!({ "title": "kept", "text": "t" }));
    for (path, body, scope, less) in [
        ("/mcp", &tool, "notes:read notes:write", "notes:read"),
        ("/v1/collections/notes/items", &item, "items:read items:write", "items:read"),
    ] {
        let ask = async |scope: &str| {
            own.ask(stack, scope, (Method::POST, path), (&[("idempotency-key", "same")], body)).await
        };
        let first = ask(scope).await;
        assert!(first.status().is_success() && json_of(&first)["result"]["isError"] != true, "{first:?}");
        let before = own.meter(stack).await.0;
        let refused = ask(less).await;
        assert_eq!(code_of(&refused), "insufficient_scope", "{path}: {refused:?}");
        assert!(!String::from_utf8_lossy(refused.body()).contains("kept"), "{path}: {refused:?}");
        let again = ask(scope).await;
        assert_eq!((again.status(), again.body()), (first.status(), first.body()), "{path}");
        assert_eq!(own.meter(stack).await.0, before, "{path}: nothing is charged twice");
    }
    assert_eq!((own.notes(stack).await, own.denials(stack, "insufficient_scope").await), (2, 2));
}

#[tokio::test]
async fn what_can_be_done_only_once_is_answered_as_before() {
    let stack = stack();
    let own = Own::make(stack, "repeats-once", Tier::Starter).await;
    let scope = "items:read items:write";
    let items = "/v1/collections/notes/items";
    let (value, empty) = (json!({ "title": "t", "text": "t" }), json!(null));
    let made = own.ask(stack, scope, (Method::POST, items), (&[], &value)).await;
    let item = format!("{items}/{}", json_of(&made)["id"].as_str().unwrap_or_else(|| panic!("{made:?}")));
    for (method, body, status, later) in
        [(Method::PUT, &value, 200, (409, "conflict")), (Method::DELETE, &empty, 204, (404, "not_found"))]
    {
        let version = if method == Method::PUT { "\"1\"" } else { "\"2\"" };
        let ask = async |key: &str| {
            let headers = [("idempotency-key", key), ("if-match", version)];
            own.ask(stack, scope, (method.clone(), &item), (&headers, body)).await
        };
        let first = ask("same").await;
        assert_eq!(first.status(), status, "{method}: {first:?}");
        let (before, records) = (own.meter(stack).await.0, own.denials(stack, later.1).await);
        // The second time its record is found by its failure, and by then it is known to be repeated.
        for _ in 0..3 {
            let again = ask("same").await;
            assert_eq!((again.status(), again.body()), (first.status(), first.body()), "{method}");
        }
        assert_eq!(own.meter(stack).await.0, before, "{method}: nothing is charged twice");
        assert_eq!(own.denials(stack, later.1).await, records, "{method}: a repetition is no refusal");
        let other = ask("other").await;
        assert_eq!(
            (other.status().as_u16(), &*code_of(&other)),
            later,
            "{method}: another call is another one"
        );
    }
}

#[tokio::test]
async fn a_repetition_is_answered_where_nothing_is_left_for_another_call() {
    let stack = stack();
    let own = Own::make(stack, "repeats-full", Tier::Starter).await;
    let first = own.post(stack, &[("idempotency-key", "same")], &create("t")).await;
    assert_eq!(json_of(&first)["result"]["isError"], false, "{first:?}");
    let full: [fn(Limits) -> Limits; 5] = [
        |limits| Limits { items: 1, ..limits },
        |limits| Limits { items: 0, ..limits },
        |limits| Limits { storage_bytes: 1, ..limits },
        |limits| Limits { calls_month: 1, ..limits },
        |limits| Limits { calls_minute: 0, ..limits },
    ];
    for (at, full) in full.into_iter().enumerate() {
        let id = own.id.clone();
        let lower = move |plan: Plan| Plan { limits: full(Limits::of(Tier::Starter)), ..plan };
        operate(stack, |operator| async move { operator.change_plan(&id, lower).await }).await.unwrap();
        let before = own.denials(stack, "quota_reached").await;
        let again = own.post(stack, &[("idempotency-key", "same")], &create("t")).await;
        assert_eq!(again.body(), first.body(), "{at}");
        assert_eq!(own.denials(stack, "quota_reached").await, before, "{at}: it is no refusal");
        let other = own.post(stack, &[("idempotency-key", "other")], &create("t")).await;
        assert_eq!(code_of(&other), "quota_reached", "{at}: {other:?}");
        assert_eq!(own.denials(stack, "quota_reached").await, before + 1, "{at}: and this is one");
    }
    assert_eq!((own.notes(stack).await, own.meter(stack).await.0), (1, 1));
}
