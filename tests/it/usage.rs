//! What a tenant may use and has used: asked without a charge, in totals or by tool and day.

use bytes::Bytes;
use http::{Method, Response};
use insula_tenancy::{Clock, Feature, Limits, Moment, Plan, Tier};
use serde_json::{Value, json};

use crate::{
    ask::{Own, code_of, header, operate},
    harness::{Stack, json_of, stack, tool_call},
};

const SCOPE: &str = "notes:read notes:write items:read items:write";

async fn get(stack: &Stack, own: &Own, path: &str) -> Response<Bytes> {
    own.ask(stack, SCOPE, (Method::GET, path), (&[], &Value::Null)).await
}

async fn plan(stack: &'static Stack, own: &Own, change: impl Fn(Plan) -> Plan + Send + Sync + 'static) {
    let id = own.id.clone();
    operate(stack, |operator| async move { operator.change_plan(&id, change).await }).await.unwrap();
}

/// RFC 3339 of the next month's first moment.
fn next_month() -> String {
    let epoch: Moment = "1970-01-01".parse().unwrap();
    epoch.plus_s(Clock::System.now().next_month_s()).rfc3339()
}

#[tokio::test]
async fn usage_says_what_is_used_and_is_left_and_is_not_charged() {
    let stack = stack();
    let own = Own::make(stack, "usage-totals", Tier::Starter).await;
    let before = json_of(&get(stack, &own, "/v1/usage").await);
    assert_eq!((&before["tier"], &before["quotas"]["items"]["used"]), (&json!("starter"), &json!(0)));
    let note = tool_call("notes_create", json!({ "title": "t", "text": "t" }));
    assert_eq!(json_of(&own.post(stack, &[], &note).await)["result"]["isError"], false);
    let usage = json_of(&get(stack, &own, "/v1/usage").await);
    let month = json!({ "allowed": true, "limit": 10_000, "used": 1, "remaining": 9_999,
        "resets_at": next_month() });
    assert_eq!(usage["quotas"]["calls_month"], month);
    let items = json!({ "allowed": true, "limit": 10_000, "used": 1, "remaining": 9_999, "resets_at": null });
    assert_eq!(usage["quotas"]["items"], items);
    assert_eq!(usage["quotas"]["storage_bytes"]["used"], own.stored_bytes(stack).await);
    assert_eq!(usage["quotas"]["members"]["used"], 1);
    assert_eq!(own.meter(stack).await.0, 1, "asking cost nothing");
    let asked = get(stack, &own, "/v1/usage?by=tool").await;
    assert_eq!((asked.status().as_u16(), code_of(&asked)), (400, "invalid".to_owned()));
}

#[tokio::test]
async fn with_advanced_analytics_it_says_by_tool_and_day_and_without_in_totals_alone() {
    let stack = stack();
    let own = Own::make(stack, "usage-detail", Tier::Professional).await;
    for (tool, arguments) in [
        ("notes_create", json!({ "title": "t", "text": "t" })),
        ("notes_list", json!({})),
        ("notes_list", json!({})),
    ] {
        let reply = own.post(stack, &[], &tool_call(tool, arguments)).await;
        assert_eq!(json_of(&reply)["result"]["isError"], false, "{reply:?}");
    }
    let usage = json_of(&get(stack, &own, "/v1/usage").await);
    assert_eq!(usage["calls"]["by_action"], json!({ "notes_create": 1, "notes_list": 2 }));
    let by_day: u64 = usage["calls"]["by_day"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(by_day, 3);
    assert!(usage["calls"]["by_day"].as_object().unwrap().contains_key(&Clock::System.now().day()));
    plan(stack, &own, |plan| Plan {
        overrides: plan.overrides.clone().with(Feature::AdvancedAnalytics, Some(false)),
        ..plan
    })
    .await;
    let totals = json_of(&get(stack, &own, "/v1/usage").await);
    assert_eq!((&totals["calls"], &totals["quotas"]["calls_month"]["used"]), (&Value::Null, &json!(3)));
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_429_with_what_a_client_can_wait_for_and_usage_still_answers() {
    let stack = stack();
    let own = Own::make(stack, "usage-none", Tier::Starter).await;
    let path = "/v1/collections/notes/items";
    assert_eq!(get(stack, &own, path).await.status(), 200);
    plan(stack, &own, |plan| Plan { limits: Limits { calls_month: 1, ..plan.limits }, ..plan }).await;
    let refused = get(stack, &own, path).await;
    assert_eq!((refused.status().as_u16(), code_of(&refused)), (429, "quota_reached".to_owned()));
    let after_s: i64 = header(refused.headers(), "retry-after").parse().unwrap();
    let left_s = Clock::System.now().next_month_s() - Clock::System.now().seconds();
    assert!((left_s..=left_s + 60).contains(&after_s), "{after_s} {left_s}");
    assert_eq!(header(refused.headers(), "ratelimit-policy"), "\"calls_month\";q=1");
    assert_eq!(header(refused.headers(), "ratelimit"), format!("\"calls_month\";r=0;t={after_s}"));
    let quota = json!({ "kind": "calls_month", "limit": 1, "used": 1,
        "resets_at": next_month(), "contact": "operator@example.com" });
    assert_eq!(json_of(&refused)["quota"], quota);
    let usage = get(stack, &own, "/v1/usage").await;
    assert_eq!(
        (usage.status().as_u16(), &json_of(&usage)["quotas"]["calls_month"]["allowed"]),
        (200, &json!(false))
    );
    plan(stack, &own, |plan| Plan { limits: Limits { calls_month: 2, ..plan.limits }, ..plan }).await;
    assert_eq!(get(stack, &own, path).await.status(), 200, "a new limit counts from the next call on");
}

#[tokio::test]
async fn a_minute_that_is_used_up_is_429_with_one_moment_in_body_and_headers() {
    let stack = stack();
    let own = Own::make(stack, "usage-minute", Tier::Starter).await;
    let path = "/v1/collections/notes/items";
    plan(stack, &own, |plan| Plan { limits: Limits { calls_minute: 1, ..plan.limits }, ..plan }).await;
    assert_eq!(get(stack, &own, path).await.status(), 200, "the first of its minute");
    // A minute may begin between two calls, but not between each two of three.
    let mut refused = get(stack, &own, path).await;
    if refused.status() == 200 {
        refused = get(stack, &own, path).await;
    }
    let now_s = Clock::System.now().seconds();
    assert_eq!((refused.status().as_u16(), code_of(&refused)), (429, "quota_reached".to_owned()));
    let after_s: i64 = header(refused.headers(), "retry-after").parse().unwrap();
    assert!((1..=60).contains(&after_s), "{after_s}");
    assert_eq!(header(refused.headers(), "ratelimit-policy"), "\"calls_minute\";q=1");
    assert_eq!(header(refused.headers(), "ratelimit"), format!("\"calls_minute\";r=0;t={after_s}"));
    let quota = json_of(&refused)["quota"].clone();
    let resets_at: Moment = quota["resets_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(resets_at.micros() % 60_000_000, 0, "the begin of a minute: {resets_at:?}");
    // What was said counts from when it was said, which is a moment ago.
    assert!((0..=5).contains(&(now_s - (resets_at.seconds() - after_s))), "{resets_at:?} {after_s} {now_s}");
    assert_eq!(
        (&quota["kind"], &quota["limit"], &quota["used"]),
        (&json!("calls_minute"), &json!(1), &json!(1))
    );
    plan(stack, &own, |plan| Plan { limits: Limits { calls_minute: 60, ..plan.limits }, ..plan }).await;
    assert_eq!(get(stack, &own, path).await.status(), 200, "a new limit counts from the next call on");
}
