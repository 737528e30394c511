//! What calls came to: counted from the trail's records by the stream's function, once each.

mod cost;
mod own_table;
mod stocks;

use aws_sdk_dynamodb::types::AttributeValue;
use insula_local::{
    Edge,
    aws::{Fault, FaultKind},
};
use insula_tenancy::{Clock, Feature, Limits, Moment, Period, Plan, Status, Tally, Tier};
use serde_json::{Map, Value, json};

use crate::{
    ask::{Own, code_of, data_table, invoke, on_stack, operate, tenant_store, text, verdict},
    audit::chains::{Row, put, rows},
    audit::trail,
    harness::{Stack, json_of, metrics_of, options, stack, start, tool_call},
};

const SCOPE: &str = "notes:read notes:write items:read items:write";

/// Waits until everything is counted that was done so far.
pub(crate) async fn followed(stack: &'static Stack) {
    on_stack(stack, stack.local.followed()).await;
}

/// What `/v1/usage` says, when everything before is counted.
async fn usage(stack: &'static Stack, own: &Own, query: &str) -> Value {
    followed(stack).await;
    let path = format!("/v1/usage{query}");
    json_of(&own.ask(stack, SCOPE, (http::Method::GET, &path), (&[], &Value::Null)).await)
}

/// What the operator was told of a tenant by events of this kind, in their order.
fn told(stack: &Stack, own: &Own, kind: &str) -> Vec<Value> {
    let of_kind = stack.local.aws.events().into_iter().filter(|event| event["DetailType"] == kind);
    let details = of_kind.map(|event| serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap());
    details.filter(|detail: &Value| detail["tenant"] == own.id.to_string().as_str()).collect()
}

async fn tool(stack: &Stack, own: &Own, name: &str, arguments: Value) -> Value {
    json_of(&own.post(stack, &[], &tool_call(name, arguments)).await)["result"].clone()
}

/// Calls of tools, requests, refusals, errors.
fn counts(of: &Value) -> [u64; 4] {
    ["tool_calls", "api_requests", "denied", "errors"].map(|name| of[name].as_u64().unwrap())
}

/// One of everything: four calls of tools of which one fails, a request and a refusal.
async fn one_of_each(stack: &Stack, own: &Own) {
    assert_eq!(
        tool(stack, own, "notes_create", json!({ "title": "t", "text": "t" })).await["isError"],
        false
    );
    for _ in 0..2 {
        assert_eq!(tool(stack, own, "notes_list", json!({})).await["isError"], false);
    }
    let wrong = json!({ "collection": "none", "value": {} });
    assert_eq!(tool(stack, own, "items_create", wrong).await["isError"], true);
    let list = (http::Method::GET, "/v1/collections/notes/items");
    assert_eq!(own.ask(stack, SCOPE, list.clone(), (&[], &Value::Null)).await.status(), 200);
    assert_eq!(own.ask(stack, "notes:read", list, (&[], &Value::Null)).await.status(), 403);
}

#[tokio::test]
async fn every_call_counts_once_by_its_kind_its_end_its_action_and_its_day() {
    let stack = stack();
    let own = Own::make(stack, "metrics-exact", Tier::Professional).await;
    let none = usage(stack, &own, "").await;
    assert_eq!((counts(&none["activity"]), &none["activity"]["last_active"]), ([0; 4], &Value::Null));
    let minute = Clock::System.now();
    one_of_each(stack, &own).await;
    // The question before is counted as well.
    let activity = usage(stack, &own, "").await["activity"].take();
    assert_eq!(counts(&activity), [4, 2, 1, 1]);
    let (day, month) = (minute.day(), minute.month());
    assert_eq!(activity["period"], json!(month));
    let by_action = activity["by_action"].as_object().unwrap();
    let by_action: Vec<_> = by_action.iter().map(|(action, of)| (action.as_str(), counts(of))).collect();
    assert_eq!(
        by_action,
        [
            ("items_create", [1, 0, 0, 1]),
            ("items_list", [0, 1, 1, 0]),
            ("notes_create", [1, 0, 0, 0]),
            ("notes_list", [2, 0, 0, 0]),
            ("usage_read", [0, 1, 0, 0]),
        ]
    );
    let latency = &activity["by_action"]["notes_create"]["latency"];
    let [p50, p95, max] = ["p50_ms", "p95_ms", "max_ms"].map(|name| latency[name].as_u64().unwrap());
    assert!(p50 <= p95 && p95 <= max && max < 60_000, "{latency}");
    assert_eq!(activity["by_day"].as_object().unwrap().keys().collect::<Vec<_>>(), [&day]);
    let last = activity["last_active"].as_str().unwrap();
    // As moments: as texts, a whole second is behind its own fractions.
    assert!(last.ends_with(":00Z") && last.parse::<Moment>().unwrap() <= Clock::System.now(), "{last}");
    assert!(last[..16] >= minute.rfc3339()[..16], "{last} {minute:?}");

    let that_day = usage(stack, &own, &format!("?period={day}")).await["activity"].take();
    assert_eq!((counts(&that_day), &that_day["period"]), ([4, 3, 1, 1], &json!(day)));
    let long_ago = usage(stack, &own, "?period=2020-02").await["activity"].take();
    assert_eq!(counts(&long_ago), [0; 4]);
    for wrong in ["2026", "2026-13", "2026-02-30", "today", ""] {
        let path = format!("/v1/usage?period={wrong}");
        let asked = own.ask(stack, SCOPE, (http::Method::GET, &path), (&[], &Value::Null)).await;
        assert_eq!(code_of(&asked), "invalid", "{wrong}");
    }
}

#[tokio::test]
async fn a_call_that_only_reads_counts_as_it_ended_and_took() {
    let stack = stack();
    let own = Own::make(stack, "metrics-reads", Tier::Professional).await;
    let made = tool(stack, &own, "notes_create", json!({ "title": "t", "text": "t" })).await;
    let there = made["structuredContent"]["id"].clone();
    let gone = there.as_str().unwrap().replace(|c: char| c.is_ascii_digit(), "0");
    for (id, is_error) in [(json!(gone), true), (there.clone(), false), (json!(gone), true), (there, false)] {
        assert_eq!(tool(stack, &own, "notes_get", json!({ "id": id })).await["isError"], is_error);
    }
    // The next record of the instance tells how long the last one took.
    tool(stack, &own, "notes_list", json!({})).await;
    let activity = usage(stack, &own, "").await["activity"].take();
    let of_get = &activity["by_action"]["notes_get"];
    assert_eq!(counts(of_get), [4, 0, 0, 2], "{activity}");
    assert!(of_get["latency"]["max_ms"].as_u64().unwrap() > 0, "{activity}");
    assert_eq!(
        activity["by_action"]["notes_list"]["latency"]["max_ms"], 0,
        "nobody has told of it: {activity}"
    );
    assert_eq!(counts(&activity)[3], 2);

    let records = trail(stack, &own).await;
    let of_get: Vec<_> = records.iter().filter(|record| record.action == "notes_get").collect();
    let said: Vec<_> =
        of_get.iter().rev().map(|it| (it.stage.as_deref().unwrap(), it.reason.as_str())).collect();
    let (begun, ended) = (("begun", "ok"), ("ended", "not_found"));
    assert_eq!(said, [begun, ended, begun, begun, ended, begun]);
    assert_eq!(of_get[4].request_id, of_get[5].request_id);
    assert_eq!((&of_get[4].who, &of_get[4].resources), (&of_get[5].who, &of_get[5].resources));
    assert_eq!(own.meter(stack).await.0, 6, "each is charged once");
}

/// DynamoDB's own JSON.
fn typed(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::L(values) => json!({ "L": values.iter().map(typed).collect::<Vec<_>>() }),
        AttributeValue::M(map) => {
            let map = map.iter().map(|(name, value)| (name.clone(), typed(value))).collect::<Map<_, _>>();
            json!({ "M": map })
        }
        other => panic!("{other:?}"),
    }
}

/// A record of the stream that says that this row was added.
pub(crate) fn added(stack: &Stack, row: &Row) -> Value {
    let image: Map<_, _> = row.iter().map(|(name, value)| (name.clone(), typed(value))).collect();
    let keys = json!({ "pk": image["pk"], "sk": image["sk"] });
    let arn = format!("arn:aws:dynamodb:r:1:table/{}/stream/local", data_table(stack));
    json!({ "eventName": "INSERT", "eventSourceARN": arn,
        "dynamodb": { "SequenceNumber": row["sk"].as_s().unwrap(), "Keys": keys, "NewImage": image } })
}

#[tokio::test]
async fn a_batch_that_comes_again_in_whatever_parts_and_order_counts_nothing() {
    let stack = stack();
    let own = Own::make(stack, "metrics-again", Tier::Professional).await;
    one_of_each(stack, &own).await;
    followed(stack).await;
    let records: Vec<_> = rows(stack, &own).await.iter().map(|row| added(stack, row)).collect();
    assert_eq!(records.len(), 6);
    let reversed = records.iter().rev().cloned().collect();
    for batch in [records.clone(), records[..2].to_vec(), records[3..].to_vec(), reversed] {
        let reply = invoke(stack, "meter", &json!({ "Records": batch })).await.unwrap();
        assert_eq!(reply, json!({ "batchItemFailures": [] }));
    }
    assert_eq!(counts(&usage(stack, &own, "").await["activity"]), [4, 1, 1, 1]);
}

#[tokio::test]
async fn a_record_that_is_not_what_its_hash_says_counts_nothing() {
    let stack = stack();
    let own = Own::make(stack, "metrics-forged", Tier::Professional).await;
    one_of_each(stack, &own).await;
    let mut forged = rows(stack, &own).await[0].clone();
    forged.insert("sk".to_owned(), text(&format!("{}z", forged["sk"].as_s().unwrap())));
    forged.insert("action".to_owned(), text("forged"));
    put(stack, forged).await;
    let activity = usage(stack, &own, "").await["activity"].take();
    assert_eq!((counts(&activity), &activity["by_action"]["forged"]), ([4, 1, 1, 1], &Value::Null));
}

#[tokio::test]
async fn no_tenants_session_writes_its_rollups_or_reads_anothers() {
    let stack = stack();
    let (own, other) = (
        Own::make(stack, "metrics-own", Tier::Professional).await,
        Own::make(stack, "metrics-other", Tier::Professional).await,
    );
    one_of_each(stack, &own).await;
    let used = usage(stack, &own, "").await["activity"].take();
    assert_eq!(counts(&used), [4, 1, 1, 1]);
    let of_other = usage(stack, &other, "").await["activity"].take();
    assert_eq!(counts(&of_other), [0; 4], "nothing of another's");
    let (client, table) = (tenant_store(stack, &own.id.to_string()), data_table(stack));
    let partition = |own: &Own| text(&format!("TENANT#{}#ROLLUP#{}", own.id, Clock::System.now().month()));
    let query = |own: &Own| {
        let query = client.query().table_name(table).key_condition_expression("pk = :pk");
        query.expression_attribute_values(":pk", partition(own)).send()
    };
    let mine = query(&own).await.unwrap().items.unwrap();
    assert_eq!(mine.len(), 5, "{mine:?}");
    assert_eq!(verdict(query(&other).await), "AccessDeniedException");
    let (pk, sk) = (mine[0]["pk"].clone(), mine[0]["sk"].clone());
    let update = client.update_item().table_name(table).key("pk", pk.clone()).key("sk", sk.clone());
    let update = update.update_expression("SET tool_calls = :n");
    let update = update.expression_attribute_values(":n", AttributeValue::N("0".to_owned())).send().await;
    let put = client.put_item().table_name(table).set_item(Some(mine[0].clone())).send().await;
    let delete = client.delete_item().table_name(table).key("pk", pk).key("sk", sk).send().await;
    assert_eq!([verdict(update), verdict(put), verdict(delete)], ["AccessDeniedException"; 3]);
}

#[tokio::test]
async fn usage_show_says_the_same_in_totals_or_by_tool_and_answers_when_nothing_is_left() {
    let stack = stack();
    let own = Own::make(stack, "metrics-tool", Tier::Starter).await;
    one_of_each(stack, &own).await;
    let charged = own.meter(stack).await.0;
    let id = own.id.clone();
    let none_left = move |plan: Plan| Plan { limits: Limits { calls_month: 1, ..plan.limits }, ..plan };
    operate(stack, |operator| async move { operator.change_plan(&id, none_left).await }).await.unwrap();
    followed(stack).await;
    let refused = tool(stack, &own, "notes_list", json!({})).await;
    assert_eq!(refused["_meta"]["tenancy/error"]["code"], "quota_reached");
    let shown = tool(stack, &own, "usage_show", json!({})).await["structuredContent"].take();
    assert_eq!(
        (&shown["tier"], &shown["quotas"]["calls_month"]["allowed"]),
        (&json!("starter"), &json!(false))
    );
    assert_eq!((&shown["calls"], &shown["activity"]["by_action"]), (&Value::Null, &Value::Null));
    assert_eq!(counts(&shown["activity"])[0], 4);
    assert_eq!(own.meter(stack).await.0, charged, "asking cost nothing");

    let id = own.id.clone();
    let detailed = |plan: Plan| Plan {
        overrides: plan.overrides.clone().with(Feature::AdvancedAnalytics, Some(true)),
        ..plan
    };
    operate(stack, |operator| async move { operator.change_plan(&id, detailed).await }).await.unwrap();
    let day = json!({ "period": Clock::System.now().day() });
    let shown = tool(stack, &own, "usage_show", day).await["structuredContent"].take();
    assert_eq!(counts(&shown["activity"]["by_action"]["notes_list"])[0], 2);
    let wrong = tool(stack, &own, "usage_show", json!({ "period": "soon" })).await;
    assert_eq!(wrong["_meta"]["tenancy/error"]["code"], "invalid");
}

#[tokio::test]
async fn what_becomes_of_a_tenant_is_told_once_for_each_change() {
    let stack = stack();
    let own = Own::make(stack, "metrics-life", Tier::Free).await;
    let id = own.id.to_string();
    let change = async |change: fn(Plan) -> Plan| {
        let id = own.id.clone();
        operate(stack, |operator| async move { operator.change_plan(&id, change).await }).await.unwrap();
    };
    change(|plan| Plan { status: Status::Suspended, ..plan }).await;
    change(|plan| Plan { status: Status::Active, ..plan }).await;
    change(|plan| Plan { tier: Tier::Starter, limits: Limits::of(Tier::Starter), ..plan }).await;
    followed(stack).await;
    let created = json!({ "tenant": id, "epoch": 1, "tier": "free" });
    assert_eq!(told(stack, &own, "Tenant Created"), [created]);
    assert_eq!(told(stack, &own, "Tenant Suspended"), [json!({ "tenant": id, "epoch": 2 })]);
    assert_eq!(told(stack, &own, "Tenant Resumed"), [json!({ "tenant": id, "epoch": 3 })]);
    let changed = json!({ "tenant": id, "epoch": 4, "tier": "starter", "tier_before": "free" });
    assert_eq!(told(stack, &own, "Tenant Plan Changed"), [changed]);
    assert_eq!(told(stack, &own, "Tenant Moved"), [Value::Null; 0]);
}

#[tokio::test]
async fn a_months_bill_has_every_tenant_with_what_it_used_alone() {
    let stack = stack();
    let (own, idle) = (
        Own::make(stack, "metrics-bill", Tier::Starter).await,
        Own::make(stack, "metrics-idle", Tier::Free).await,
    );
    one_of_each(stack, &own).await;
    followed(stack).await;
    let tenants = on_stack(stack, stack.local.accountant.tenants()).await.unwrap();
    let month = Period::month_of(Clock::System.now());
    let mut bills = Vec::new();
    for own in [&own, &idle] {
        let (id, slug) = tenants.iter().find(|(id, _)| *id == own.id).unwrap().clone();
        let month = month.clone();
        let bill = async move { stack.local.accountant.used(&id, &slug, &month).await };
        bills.push(on_stack(stack, bill).await.unwrap());
    }
    let [bill, nothing] = [&bills[0], &bills[1]];
    assert_eq!((bill.slug.as_str(), bill.tier, bill.status), ("metrics-bill", Tier::Starter, Status::Active));
    let calls = &bill.calls;
    assert_eq!([calls.tool_calls, calls.api_requests, calls.denied, calls.errors], [4, 1, 1, 1]);
    assert_eq!((bill.charged, bill.stock.items, bill.stock.members), (5, 1, 1));
    assert_eq!(bill.stock.bytes, own.stored_bytes(stack).await);
    assert_eq!((nothing.charged, &nothing.calls, nothing.stock.members), (0, &Tally::default(), 0));
}

/// The line of metrics of a call that this makes, which comes a moment after its reply.
async fn line(own: &Own, is: fn(&Value) -> bool, call: impl AsyncFn()) -> Value {
    for _ in 0..100 {
        call().await;
        if let Some(line) = metrics_of(&own.id).into_iter().find(is) {
            return line;
        }
    }
    panic!("{:?}", metrics_of(&own.id))
}

#[tokio::test]
async fn a_call_leaves_a_line_whose_tenant_is_a_dimension_where_its_tier_is_named() {
    let stack = stack();
    for (slug, tier, dimensions) in [
        ("metrics-line", Tier::Starter, json!([[]])),
        ("metrics-dimension", Tier::Business, json!([["tenant_id"], []])),
    ] {
        let own = Own::make(stack, slug, tier).await;
        let list = async || drop(tool(stack, &own, "notes_list", json!({})).await);
        let line_of_list = line(&own, |line| line["action"] == "notes_list", list).await;
        assert_eq!(line_of_list["_aws"]["CloudWatchMetrics"][0]["Dimensions"], dimensions);
        assert_eq!((&line_of_list["ToolCalls"], &line_of_list["code"]), (&json!(1), &json!("ok")));
        let wrong = json!({ "collection": "none", "value": {} });
        let gone = async || drop(tool(stack, &own, "items_create", wrong.clone()).await);
        let line_of_gone = line(&own, |line| line["action"] == "items_create", gone).await;
        assert_eq!((&line_of_gone["Errors"], &line_of_gone["code"]), (&json!(1), &json!("not_found")));
        let path = (http::Method::GET, "/v1/collections/notes/items");
        let refused = async || {
            drop(own.ask(stack, "notes:read", path.clone(), (&[], &Value::Null)).await);
        };
        let line_of_refused = line(&own, |line| line["action"] == "items_list", refused).await;
        assert_eq!((&line_of_refused["ApiRequests"], &line_of_refused["Denied"]), (&json!(1), &json!(1)));
    }
}

#[tokio::test]
async fn a_call_that_is_cut_off_by_its_deadline_leaves_its_line_too() {
    // Its faults hit whoever comes next.
    let stack = Box::leak(Box::new(start(options(Edge::Rest))));
    let own = Own::make(stack, "metrics-late", Tier::Starter).await;
    let made = tool(stack, &own, "notes_create", json!({ "title": "t", "text": "t" })).await;
    let item = format!("/v1/collections/notes/items/{}", made["structuredContent"]["id"].as_str().unwrap());
    let note = json!({ "title": "t", "text": "t" });
    let replace = || own.ask(stack, SCOPE, (http::Method::PUT, &item), (&[("if-match", "\"1\"")], &note));
    // Whoever it is and what it may do is known from here on, and asked no more.
    assert_eq!(own.ask(stack, SCOPE, (http::Method::GET, &item), (&[], &Value::Null)).await.status(), 200);
    // The store answers neither the question nor the commit, and each is waited for longer than half of the function's time.
    stack.local.followed().await;
    for operation in ["GetItem", "TransactWriteItems"] {
        for _ in 0..3 {
            let (service, operation) = ("dynamodb".to_owned(), operation.to_owned());
            stack.local.aws.fault(Fault { service, operation, kind: FaultKind::Hang });
        }
    }
    let late = replace().await;
    assert_eq!((late.status().as_u16(), code_of(&late).as_str()), (503, "unavailable"));
    // What the late call did not come to meets the ones after it.
    while replace().await.status() != 200 {}
    for _ in 0..100 {
        let lines = metrics_of(&own.id).into_iter().filter(|line| line["action"] == "items_replace");
        let said: Vec<_> =
            lines.map(|line| (line["code"].clone(), line["Latency"].as_u64().unwrap())).collect();
        if let [(late, took_ms), .., (ok, _)] = &said[..]
            && ok == "ok"
        {
            assert_eq!(late, "unavailable");
            assert!(*took_ms >= 9_000, "{took_ms}");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{:?}", metrics_of(&own.id));
}

#[tokio::test]
async fn a_call_of_the_store_that_costs_much_is_told_with_its_operation_and_tenant() {
    let stack = stack();
    let own = Own::make(stack, "metrics-costly", Tier::Starter).await;
    tool(stack, &own, "notes_create", json!({ "title": "small", "text": "t" })).await;
    let large = json!({ "title": "large", "text": "t".repeat(60_000) });
    let path = (http::Method::POST, "/v1/collections/documents/items");
    let create = async || drop(own.ask(stack, SCOPE, path.clone(), (&[], &large)).await);
    let costly = line(&own, |line| line["CostlyStoreCalls"] == 1, create).await;
    assert_eq!(costly["class"], "TransactWriteItems");
    assert!(costly["StoreCallUnits"].as_u64().unwrap() >= 100, "{costly}");
}
