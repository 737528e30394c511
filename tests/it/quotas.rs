//! Limits of one collection, limits of nothing, and calls that are spread over several counters: never more than the limit,
//! whatever is changed meanwhile.

use http::Method;
use insula_local::{Edge, aws::FaultKind};
use insula_tenancy::{Limits, Plan, Spread, Tier};
use serde_json::{Value, json};

use crate::{
    ask::{Own, code_of, data_table, operate, tenant_store, text},
    calls::{create, fail},
    harness::{Stack, json_of, options, stack, start, tool_call},
};

async fn plan(stack: &'static Stack, own: &Own, change: impl Fn(Plan) -> Plan + Send + Sync + 'static) {
    let id = own.id.clone();
    operate(stack, |operator| async move { operator.change_plan(&id, change).await }).await.unwrap();
}

/// Calls a tool: `ok`, or the kind of the quota that is used up, or the code.
async fn said(stack: &Stack, own: &Own, call: &Value) -> String {
    let reply = own.post(stack, &[], call).await;
    let result = &json_of(&reply)["result"];
    match result["_meta"]["tenancy/error"]["data"]["kind"].as_str() {
        _ if result["isError"] == false => "ok".to_owned(),
        Some(kind) => kind.to_owned(),
        None => code_of(&reply),
    }
}

/// Calls so often, four at a time; how many were admitted.
async fn admitted(stack: &Stack, own: &Own, calls: usize) -> usize {
    let (call, mut admitted) = (create("t"), 0);
    for _ in 0..calls.div_ceil(4) {
        let one = || said(stack, own, &call);
        let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
        let all = [a, b, c, d];
        assert!(all.iter().all(|said| ["ok", "calls_month"].contains(&said.as_str())), "{all:?}");
        admitted += all.iter().filter(|said| *said == "ok").count();
    }
    admitted
}

async fn usage(stack: &Stack, own: &Own) -> Value {
    let reply = own.ask(stack, "items:read", (Method::GET, "/v1/usage"), (&[], &Value::Null)).await;
    json_of(&reply)["quotas"].clone()
}

/// What the counters of this month have counted, each.
async fn counters(stack: &Stack, own: &Own) -> Vec<u64> {
    let store = tenant_store(stack, &own.id.to_string());
    let month = insula_tenancy::Clock::System.now().month();
    let mut counted = Vec::new();
    for counter in 0..16 {
        let sort_key = if counter == 0 { month.clone() } else { format!("{month}#{counter}") };
        let request = store.get_item().table_name(data_table(stack)).consistent_read(true);
        let request = request.key("pk", text(&format!("TENANT#{}#METER", own.id))).key("sk", text(&sort_key));
        if let Some(row) = request.send().await.unwrap().item {
            counted.push(row["calls"].as_n().unwrap().parse().unwrap());
        }
    }
    counted
}

#[tokio::test]
async fn a_collection_has_a_limit_of_its_own_where_the_operator_sets_one() {
    let stack = stack();
    let own = Own::make(stack, "quotas-collection", Tier::Starter).await;
    let limit = |items: Option<u64>| {
        move |mut plan: Plan| {
            plan.collection_items =
                items.map(|items| ("notes".parse().unwrap(), items)).into_iter().collect();
            plan
        }
    };
    assert_eq!(said(stack, &own, &create("before there is a limit")).await, "ok");
    plan(stack, &own, limit(Some(2))).await;
    let made = json_of(&own.post(stack, &[], &create("the last")).await);
    let id = made["result"]["structuredContent"]["id"].clone();
    let refused = own.post(stack, &[], &create("one more")).await;
    let data = json_of(&refused)["result"]["_meta"]["tenancy/error"]["data"].clone();
    let full = json!({ "kind": "items:notes", "limit": 2, "used": 2, "resets_at": null, "contact": "operator@example.com" });
    assert_eq!((code_of(&refused), data), ("quota_reached".to_owned(), full));
    let said_aloud = json_of(&refused)["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(
        said_aloud.contains("items:notes of 2") && said_aloud.contains("operator@example.com"),
        "{said_aloud}"
    );
    let other = tool_call("items_create", json!({ "collection": "documents", "value": { "a": 1 } }));
    assert_eq!(said(stack, &own, &other).await, "ok", "another collection has room");
    let quotas = usage(stack, &own).await;
    let of_notes = json!({ "allowed": false, "limit": 2, "used": 2, "remaining": 0, "resets_at": null });
    assert_eq!((&quotas["items:notes"], &quotas["items"]["used"]), (&of_notes, &json!(3)));
    assert_eq!(quotas["items:documents"], Value::Null);
    // What is removed makes room, in the same collection alone.
    let url = format!("/v1/collections/notes/items/{}", id.as_str().unwrap());
    let removed = own.ask(stack, "items:write", (Method::DELETE, &url), (&[], &Value::Null)).await;
    assert_eq!(removed.status().as_u16(), 204);
    assert_eq!(said(stack, &own, &create("again")).await, "ok");
    assert_eq!(said(stack, &own, &create("one more")).await, "items:notes");
    plan(stack, &own, limit(None)).await;
    assert_eq!(said(stack, &own, &create("without a limit")).await, "ok");
}

#[tokio::test]
async fn a_limit_of_nothing_lets_nothing_in() {
    let stack = stack();
    let own = Own::make(stack, "quotas-nothing", Tier::Starter).await;
    for (kind, nothing, one) in [
        (
            "calls_month",
            Limits { calls_month: 0, ..Limits::of(Tier::Free) },
            Limits { calls_month: 1, ..Limits::of(Tier::Free) },
        ),
        ("calls_minute", Limits { calls_minute: 0, ..Limits::of(Tier::Free) }, Limits::of(Tier::Free)),
    ] {
        plan(stack, &own, move |plan| Plan { limits: nothing, ..plan }).await;
        assert_eq!(said(stack, &own, &create("t")).await, kind);
        plan(stack, &own, move |plan| Plan { limits: one, ..plan }).await;
        assert_eq!(said(stack, &own, &create("t")).await, "ok", "{kind}");
    }
    assert_eq!(own.notes(stack).await, 2);
}

#[tokio::test]
async fn calls_over_several_counters_end_at_the_limit_whatever_is_changed() {
    let stack = stack();
    let own = Own::make(stack, "quotas-spread", Tier::Starter).await;
    let limits = |calls_month| {
        move |plan: Plan| Plan {
            limits: Limits { calls_month, calls_minute: 100_000, ..plan.limits },
            ..plan
        }
    };
    plan(stack, &own, limits(5)).await;
    assert_eq!(admitted(stack, &own, 4).await, 4);
    // Whatever the first counter has counted by now is counted.
    plan(stack, &own, move |plan| Plan { spread: Spread::over(4), ..limits(20)(plan) }).await;
    let before = usize::try_from(counters(stack, &own).await.iter().sum::<u64>()).unwrap();
    assert_eq!(before + admitted(stack, &own, 20).await, 20);
    assert_eq!(counters(stack, &own).await.len(), 4, "every counter has counted");
    let quota = usage(stack, &own).await["calls_month"].clone();
    assert_eq!((&quota["limit"], &quota["used"], &quota["allowed"]), (&json!(20), &json!(20), &json!(false)));
    for (limit, counters, more) in [(23, 4, 3), (10, 4, 0), (30, 2, 7), (31, 16, 1), (40, 1, 9), (45, 3, 5)] {
        plan(stack, &own, move |plan| Plan { spread: Spread::over(counters), ..limits(limit)(plan) }).await;
        assert_eq!(admitted(stack, &own, 12).await, more, "{limit} over {counters}");
        let used = usage(stack, &own).await["calls_month"]["used"].clone();
        assert_eq!(used, own.notes(stack).await, "{limit} over {counters}");
    }
    let all: u64 = counters(stack, &own).await.iter().sum();
    assert_eq!(usize::try_from(all).unwrap(), own.notes(stack).await, "charged is admitted");
}

#[tokio::test]
async fn a_plan_that_is_over_lets_nobody_in_on_any_counter() {
    let stack: &'static Stack = Box::leak(Box::new(start(options(Edge::Rest))));
    let own = Own::make(stack, "quotas-copies", Tier::Starter).await;
    plan(stack, &own, |plan| Plan { spread: Spread::over(8), ..plan }).await;
    assert_eq!(admitted(stack, &own, 24).await, 24);
    plan(stack, &own, |plan| Plan { status: insula_tenancy::Status::Suspended, ..plan }).await;
    for _ in 0..16 {
        assert_eq!(said(stack, &own, &create("t")).await, "suspended");
    }
    plan(stack, &own, |plan| Plan { status: insula_tenancy::Status::Active, ..plan }).await;
    assert_eq!(said(stack, &own, &create("t")).await, "ok");
    // A reply that is lost is one call's, on whichever counter it was.
    fail(stack, FaultKind::CutAfter, 1);
    assert_eq!(said(stack, &own, &create("t")).await, "ok");
    assert_eq!(own.notes(stack).await, 26);
    assert_eq!(counters(stack, &own).await.iter().sum::<u64>(), 26);
}
