//! One call is one effect and one charge, whatever the client, the meter or the store do; and what a call is not.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use insula_local::{
    Edge,
    aws::{Fault, FaultKind},
};
use insula_tenancy::{Feature, Limits, Overrides, Plan, Status, Tier};
use serde_json::{Value, json};

use crate::{
    ask::{Own, ask, code_of, header, list_tools, operate, post_with},
    harness::{Stack, json_of, options, stack, start, tool_call},
};

pub(crate) fn create(title: &str) -> Value {
    tool_call("notes_create", json!({ "title": title, "text": "t" }))
}

/// The same request under another JSON-RPC id.
fn renumbered(mut call: Value, id: Value) -> Value {
    call["id"] = id;
    call
}

/// The bytes of the result, without the envelope that has the id.
fn result_bytes(reply: &Response<Bytes>) -> String {
    let body = std::str::from_utf8(reply.body()).unwrap();
    let (_, rest) = body.split_once("\"result\":").unwrap_or_else(|| panic!("no result in {body}"));
    rest.to_owned()
}

#[tokio::test]
async fn what_reads_is_charged_and_recorded_each_time_whatever_its_key() {
    let stack = stack();
    let own = Own::make(stack, "calls-key-read", Tier::Free).await;
    let key = [("idempotency-key", "one")];
    let list = tool_call("notes_list", json!({}));
    let (mut calls, limit) = (0, 3);
    own.post(stack, &key, &create("a")).await;
    let id = own.id.clone();
    let lower = move |plan: Plan| Plan { limits: Limits { calls_month: limit, ..plan.limits }, ..plan };
    operate(stack, |operator| async move { operator.change_plan(&id, lower).await }).await.unwrap();
    for code in ["", "", "quota_reached"] {
        let reply = own.post(stack, &[("idempotency-key", "read")], &list).await;
        let said = json_of(&reply)["result"]["isError"].clone();
        assert_eq!((said, code.is_empty() || code_of(&reply) == code), (json!(!code.is_empty()), true));
        calls += u64::from(code.is_empty());
        assert_eq!(own.meter(stack).await.0, 1 + calls);
    }
}

#[tokio::test]
async fn a_repetition_is_answered_only_while_its_tenant_is_served_and_may_do_it() {
    let stack = stack();
    let own = Own::make(stack, "calls-key-later", Tier::Starter).await;
    let post = (Method::POST, "/v1/collections/notes/items");
    let headers = [("idempotency-key", "one")];
    let body = json!({ "title": "t", "text": "t" });
    let ask = async || {
        own.ask(stack, "notes:read notes:write items:read items:write", post.clone(), (&headers, &body)).await
    };
    let first = ask().await;
    assert_eq!(first.status(), 201);
    for (feature, status, code, expected) in [
        (true, Status::Active, "", 201),
        (false, Status::Active, "feature_off", 403),
        (true, Status::Suspended, "suspended", 403),
        (true, Status::Active, "", 201),
    ] {
        let (id, overrides) = (own.id.clone(), Overrides::default().with(Feature::ApiAccess, Some(feature)));
        let change = move |plan| Plan { status, overrides: overrides.clone(), ..plan };
        operate(stack, |operator| async move { operator.change_plan(&id, change).await }).await.unwrap();
        let reply = ask().await;
        assert_eq!(
            (reply.status().as_u16(), json_of(&reply)["code"].as_str().unwrap_or("")),
            (expected, code)
        );
        if expected == 201 {
            assert_eq!(reply.body(), first.body());
        }
    }
    assert_eq!(own.notes(stack).await, 1);
}

#[tokio::test]
async fn a_refusal_of_what_can_never_be_kept_says_what_is_kept() {
    let stack = stack();
    let own = Own::make(stack, "calls-used", Tier::Free).await;
    for title in ["a", "b"] {
        own.post(stack, &[], &create(title)).await;
    }
    let id = own.id.clone();
    let none = |plan: Plan| Plan { limits: Limits { items: 0, ..plan.limits }, ..plan };
    operate(stack, |operator| async move { operator.change_plan(&id, none).await }).await.unwrap();
    let refused = json_of(&own.post(stack, &[], &create("c")).await);
    let quota = &refused["result"]["_meta"]["tenancy/error"]["data"];
    assert_eq!((&quota["kind"], &quota["limit"], &quota["used"]), (&json!("items"), &json!(0), &json!(2)));
}

#[tokio::test]
async fn a_repeated_key_returns_the_first_result_and_does_nothing_more() {
    let stack = stack();
    let own = Own::make(stack, "calls-key", Tier::Free).await;
    let other = Own::make(stack, "calls-key-other", Tier::Free).await;
    let key = [("idempotency-key", "one")];
    let first = own.post(stack, &key, &create("a")).await;
    let again = own.post(stack, &key, &renumbered(create("a"), json!("two"))).await;
    assert_eq!(json_of(&first)["result"]["isError"], false, "{first:?}");
    assert_eq!(json_of(&again)["id"], "two");
    assert_eq!(result_bytes(&first), result_bytes(&again));
    assert_eq!((own.notes(stack).await, own.meter(stack).await.0), (1, 1));

    let changed = own.post(stack, &key, &create("b")).await;
    assert_eq!(code_of(&changed), "idempotency_mismatch");
    assert_eq!((own.notes(stack).await, own.meter(stack).await.0), (1, 1));

    let another_key = own.post(stack, &[("idempotency-key", "two")], &create("a")).await;
    assert_ne!(result_bytes(&first), result_bytes(&another_key));
    assert_eq!((own.notes(stack).await, own.meter(stack).await.0), (2, 2));

    // The same words of another tenant are another operation.
    let theirs = other.post(stack, &key, &create("a")).await;
    assert_ne!(result_bytes(&first), result_bytes(&theirs));
    assert_eq!((other.notes(stack).await, other.meter(stack).await.0), (1, 1));
    assert_eq!(own.notes(stack).await, 2);
}

#[tokio::test]
async fn a_key_that_is_used_twice_at_once_has_one_effect() {
    let stack = stack();
    let own = Own::make(stack, "calls-key-race", Tier::Starter).await;
    let (key, call) = ([("idempotency-key", "race")], create("a"));
    let (a, b, c) = tokio::join!(
        own.post(stack, &key, &call),
        own.post(stack, &key, &call),
        own.post(stack, &key, &call)
    );
    assert_eq!((result_bytes(&a), result_bytes(&b)), (result_bytes(&b), result_bytes(&c)));
    assert_eq!((own.notes(stack).await, own.meter(stack).await.0), (1, 1));
}

#[tokio::test]
async fn the_free_tier_has_thirty_calls_a_minute_and_none_more() {
    let stack = stack();
    let own = Own::make(stack, "calls-minute", Tier::Free).await;
    let mut admitted = 0;
    // A minute that turns meanwhile gives thirty more, so that twice as many and one are always too many.
    let refused = loop {
        let reply = own.post(stack, &[], &create("t")).await;
        if json_of(&reply)["result"]["isError"] == true {
            break reply;
        }
        admitted += 1;
        assert!(admitted <= 300, "no minute has so many");
    };
    assert!(admitted >= 30, "{admitted}: {refused:?}");
    assert_eq!(code_of(&refused), "quota_reached");
    let error = json_of(&refused)["result"]["_meta"]["tenancy/error"]["data"].clone();
    assert_eq!((&error["kind"], &error["limit"]), (&json!("calls_minute"), &json!(30)));
    assert_eq!(own.meter(stack).await, (admitted, 30));
    assert_eq!(own.notes(stack).await, usize::try_from(admitted).unwrap(), "what is refused has no effect");
}

#[tokio::test]
async fn a_month_limit_is_exact_when_many_call_at_once() {
    let stack = stack();
    let own = Own::make(stack, "calls-month", Tier::Free).await;
    let limits = Limits { calls_month: 3, ..Limits::of(Tier::Free) };
    let plan = Plan { limits, ..Plan::of(Tier::Free, 2) };
    let id = own.id.clone();
    operate(stack, |operator| async move { operator.set_plan(&id, &plan).await }).await.unwrap();
    let call = create("t");
    let one = || async {
        let reply = own.post(stack, &[], &call).await;
        if json_of(&reply)["result"]["isError"] == false { "ok".to_owned() } else { code_of(&reply) }
    };
    let (a, b, c, d, e, f) = tokio::join!(one(), one(), one(), one(), one(), one());
    let mut said = [a, b, c, d, e, f];
    said.sort();
    assert_eq!(said, ["ok", "ok", "ok", "quota_reached", "quota_reached", "quota_reached"]);
    assert_eq!((own.meter(stack).await.0, own.notes(stack).await), (3, 3));
}

pub(crate) fn fail(stack: &Stack, kind: FaultKind, times: usize) {
    for _ in 0..times {
        stack.local.aws.fault(Fault {
            service: "dynamodb".to_owned(),
            operation: "TransactWriteItems".to_owned(),
            kind,
        });
    }
}

/// A fault hits whoever comes next, so these tests have a stack each.
fn own_stack() -> &'static Stack {
    Box::leak(Box::new(start(options(Edge::Rest))))
}

#[tokio::test]
async fn a_call_costs_one_transaction_whichever_it_is_of_its_minute() {
    let stack = own_stack();
    let own = Own::make(stack, "calls-once", Tier::Free).await;
    let sent = || stack.local.aws.calls()["dynamodb:TransactWriteItems"];
    own.post(stack, &[], &create("first")).await;
    let before = sent();
    for n in 0..5 {
        own.post(stack, &[], &create(&n.to_string())).await;
    }
    // One that is cancelled is charged by DynamoDB as well.
    assert_eq!((sent() - before, own.notes(stack).await), (5, 6));
}

#[tokio::test]
async fn a_reply_of_the_store_that_is_lost_costs_one_charge_and_makes_one_note() {
    let stack = own_stack();
    for (n, kind) in
        [FaultKind::Before, FaultKind::Throttle, FaultKind::After, FaultKind::CutAfter, FaultKind::Hang]
            .into_iter()
            .enumerate()
    {
        let own = Own::make(stack, &format!("calls-fault{n}"), Tier::Free).await;
        fail(stack, kind, 1);
        let reply = own.post(stack, &[], &create("t")).await;
        assert_eq!(json_of(&reply)["result"]["isError"], false, "{kind:?} {reply:?}");
        assert_eq!((own.notes(stack).await, own.meter(stack).await), (1, (1, 1)), "{kind:?}");
    }
}

#[tokio::test]
async fn a_store_that_fails_for_good_is_a_retryable_error_with_nothing_half_written() {
    let stack = own_stack();
    for (n, kind) in [FaultKind::Before, FaultKind::Throttle, FaultKind::Hang].into_iter().enumerate() {
        let own = Own::make(stack, &format!("calls-down{n}"), Tier::Free).await;
        let key = [("idempotency-key", "down")];
        // The SDK tries three times.
        fail(stack, kind, 3);
        let reply = own.post(stack, &key, &create("t")).await;
        assert_eq!(code_of(&reply), "unavailable", "{kind:?}");
        assert_eq!((own.notes(stack).await, own.meter(stack).await), (0, (0, 0)), "{kind:?}");
        let again = own.post(stack, &key, &create("t")).await;
        assert_eq!(json_of(&again)["result"]["isError"], false, "{kind:?} {again:?}");
        assert_eq!((own.notes(stack).await, own.meter(stack).await), (1, (1, 1)), "{kind:?}");
    }
}

#[tokio::test]
async fn a_commit_whose_every_reply_is_lost_is_found_done_by_its_key() {
    let stack = own_stack();
    for (n, kind) in [FaultKind::After, FaultKind::CutAfter].into_iter().enumerate() {
        let own = Own::make(stack, &format!("calls-lost{n}"), Tier::Free).await;
        let key = [("idempotency-key", "lost")];
        fail(stack, kind, 3);
        let reply = own.post(stack, &key, &create("t")).await;
        assert_eq!(code_of(&reply), "unavailable", "{kind:?}");
        let again = own.post(stack, &key, &create("t")).await;
        assert_eq!(json_of(&again)["result"]["isError"], false, "{kind:?} {again:?}");
        assert_eq!((own.notes(stack).await, own.meter(stack).await), (1, (1, 1)), "{kind:?}");
    }
}

#[tokio::test]
async fn the_public_documents_are_at_the_root_and_before_the_path() {
    let stack = stack();
    let (at_host, at_path) = (stack.host_url("acme"), stack.path_url("acme"));
    let universal = format!("http://localhost:{}", stack.local.port);
    let host = at_host.strip_suffix("/mcp").unwrap();
    let well_known = "/.well-known/oauth-protected-resource";
    let universal_mcp = format!("{universal}/mcp");
    let documents = [
        (format!("{host}{well_known}"), &at_host),
        (format!("{host}{well_known}/mcp"), &at_host),
        (format!("{universal}{well_known}/acme/mcp"), &at_path),
        (format!("{universal}{well_known}"), &universal_mcp),
        (format!("{universal}{well_known}/mcp"), &universal_mcp),
    ];
    for (url, resource) in documents {
        let reply = ask(stack, Method::GET, &url, &[], "").await;
        assert_eq!(reply.status(), 200, "{url}");
        assert_eq!(json_of(&reply)["resource"], **resource, "{url}");
        assert!(header(reply.headers(), "cache-control").contains("public"), "{url} {reply:?}");
    }
    let private = stack.post(&at_host, Some(&stack.token("acme", &at_host)), &list_tools()).await;
    assert_eq!(header(private.headers(), "cache-control"), "no-store");
}

#[tokio::test]
async fn nothing_but_post_is_served_and_it_says_so() {
    let stack = stack();
    let url = stack.host_url("acme");
    let bearer = format!("Bearer {}", stack.token("acme", &url));
    for method in [Method::GET, Method::DELETE] {
        let reply = ask(stack, method.clone(), &url, &[("authorization", &bearer)], "").await;
        assert_eq!(
            (reply.status(), header(reply.headers(), "allow")),
            (StatusCode::METHOD_NOT_ALLOWED, "POST")
        );
        assert_eq!(ask(stack, method, &url, &[], "").await.status(), 401);
    }
    let good = ask(stack, Method::POST, &url, &[("authorization", &bearer)], list_tools().to_string()).await;
    assert_eq!(good.status(), 200);
}

#[tokio::test]
async fn a_page_of_a_listed_origin_is_served_and_of_any_other_refused() {
    let stack = stack();
    let listed = "http://localhost:6274";
    let cases = [
        ("acme", listed, true),
        ("acme", "http://localhost:6275", false),
        ("acme", "http://localhost:6274.example.com", false),
        ("acme", "https://localhost:6274", false),
        ("acme", "null", false),
        ("globex", listed, false),
    ];
    for (tenant, origin, served) in cases {
        let url = stack.host_url(tenant);
        let asks = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = ask(stack, Method::OPTIONS, &url, &asks, "").await;
        let allowed = header(preflight.headers(), "access-control-allow-origin");
        assert_eq!(
            (preflight.status().as_u16(), allowed),
            (204, if served { origin } else { "" }),
            "{tenant} {origin}"
        );

        let token = stack.token(tenant, &url);
        let reply = post_with(stack, &url, &token, &[("origin", origin)], &list_tools()).await;
        assert_eq!(reply.status().as_u16(), if served { 200 } else { 403 }, "{tenant} {origin}");
        let allowed = header(reply.headers(), "access-control-allow-origin");
        assert_eq!(allowed, if served { origin } else { "" }, "{tenant} {origin}");
        assert!(!reply.headers().contains_key("access-control-allow-credentials"));
    }
}
