//! A tenant's own table: the same code and tools, chosen by the plan, and the way there and back.

use insula_local::Edge;
use insula_tenancy::{
    CollectionName, Limits, Moving, Placement, Plan, Problem, TenantId, Tier, operator::Moved,
};
use serde_json::json;

use crate::{
    ask::{
        Own, code_of, credentials, data_table, on_stack, operate, store, tenant_id, tenant_store, text,
        verdict,
    },
    harness::{Stack, json_of, options, stack, start, tool_call},
};

fn collections() -> Vec<CollectionName> {
    vec!["notes".parse().unwrap()]
}

async fn moved(stack: &'static Stack, id: &TenantId, to: Placement) -> Result<Moved, Problem> {
    let id = id.clone();
    let run = async move { stack.local.mover.move_tenant(&id, to, &collections()).await };
    on_stack(stack, run).await
}

async fn change(stack: &'static Stack, id: &TenantId, change: fn(Plan) -> Plan) {
    let id = id.clone();
    operate(stack, |operator| async move { operator.change_plan(&id, change).await }).await.unwrap();
}

async fn note(own: &Own, stack: &Stack, title: &str) -> String {
    let reply =
        own.post(stack, &[], &tool_call("notes_create", json!({ "title": title, "text": "t" }))).await;
    json_of(&reply)["result"]["structuredContent"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{reply:?}"))
        .to_owned()
}

async fn titles(own: &Own, stack: &Stack) -> Vec<String> {
    let reply = own.post(stack, &[], &tool_call("notes_list", json!({}))).await;
    let notes = json_of(&reply)["result"]["structuredContent"]["notes"].clone();
    let notes = notes.as_array().unwrap_or_else(|| panic!("{reply:?}"));
    notes.iter().map(|note| note["title"].as_str().unwrap().to_owned()).collect()
}

fn own_table(stack: &Stack, id: &TenantId) -> String {
    format!("{}-{id}", data_table(stack))
}

#[tokio::test]
async fn a_tenant_is_moved_to_its_own_table_and_back_with_all_that_it_has() {
    let stack = stack();
    let own = Own::make(stack, "placement-moved", Tier::Business).await;
    let key = [("idempotency-key", "once")];
    let create = tool_call("notes_create", json!({ "title": "keyed", "text": "t" }));
    let first = own.post(stack, &key, &create).await;
    note(&own, stack, "one").await;
    let there = moved(stack, &own.id, Placement::Dedicated).await.unwrap();
    // Two notes and their two rows of news for the index, the month, the storage row, an idempotency record, two audit
    // records, the seat of who called.
    assert_eq!(there.sum.map(|sum| sum.items), Some(10));
    assert_eq!(there.removed, 10);
    assert_eq!(titles(&own, stack).await, ["keyed", "one"]);
    assert_eq!(own.post(stack, &key, &create).await.body(), first.body(), "its key is still known");
    note(&own, stack, "two").await;
    assert_eq!(own.notes(stack).await, 0, "nothing of it is in the table of all");
    // The listing and the note there were charged to the same month.
    let back = moved(stack, &own.id, Placement::Pooled).await.unwrap();
    assert_eq!(back.sum.map(|sum| sum.items), Some(14));
    assert_eq!(titles(&own, stack).await, ["keyed", "one", "two"]);
    assert_eq!((own.notes(stack).await, own.meter(stack).await.0), (3, 5));
    assert_eq!(moved(stack, &own.id, Placement::Pooled).await.unwrap(), Moved { sum: None, removed: 0 });
    // It is guarded as the table of all is, until the command that knows that it is empty removes it.
    let (mover, table) = (store(stack, credentials(stack, "MoverRole", &[])), own_table(stack, &own.id));
    let ttl = mover.describe_time_to_live().table_name(&table).send().await.unwrap();
    let ttl = ttl.time_to_live_description.unwrap();
    assert_eq!(
        (ttl.attribute_name.as_deref(), ttl.time_to_live_status.unwrap().as_str()),
        (Some("ttl"), "ENABLED")
    );
    assert!(stack.local.aws.calls().keys().any(|call| call.ends_with("UpdateContinuousBackups")));
    assert_eq!(verdict(mover.delete_table().table_name(&table).send().await), "ValidationException");
    let id = own.id.clone();
    let drop = async move { stack.local.mover.drop_own_table(&id).await };
    on_stack(stack, drop).await.unwrap();
    let gone =
        tenant_store(stack, &own.id.to_string()).describe_table().table_name(own_table(stack, &own.id));
    assert_ne!(verdict(gone.send().await), "ok");
}

#[tokio::test]
async fn a_session_reaches_its_own_table_and_no_other_tenants() {
    let stack = stack();
    let own = Own::make(stack, "placement-wall", Tier::Business).await;
    moved(stack, &own.id, Placement::Dedicated).await.unwrap();
    let table = own_table(stack, &own.id);
    let foreign = tenant_id(stack, "acme").await;
    let pk = |tenant: &str| text(&format!("TENANT#{tenant}#ITEM#notes"));
    let own_id = own.id.to_string();
    for (session, tenant, expected) in [
        (own_id.as_str(), own_id.as_str(), "ok"),
        // Another's key in one's own table, one's own key in another's table, and another's in another's.
        (own_id.as_str(), foreign.as_str(), "AccessDeniedException"),
        (foreign.as_str(), foreign.as_str(), "AccessDeniedException"),
        (foreign.as_str(), own_id.as_str(), "AccessDeniedException"),
    ] {
        let get = tenant_store(stack, session).get_item().table_name(&table).key("pk", pk(tenant));
        assert_eq!(verdict(get.key("sk", text("x")).send().await), expected, "{session} {tenant}");
        for index in ["by_updated", "index1"] {
            let name = if index == "index1" { "i1pk" } else { "pk" };
            let query = tenant_store(stack, session).query().table_name(&table).index_name(index);
            let query = query.key_condition_expression(format!("{name} = :pk"));
            let reply = query.expression_attribute_values(":pk", pk(tenant)).send().await;
            assert_eq!(verdict(reply), expected, "{index} {session} {tenant}");
        }
    }
}

#[tokio::test]
async fn a_table_of_its_own_is_for_the_tier_business() {
    let stack = stack();
    for (slug, tier, is_moved) in
        [("placement-low", Tier::Professional, false), ("placement-high", Tier::Business, true)]
    {
        let own = Own::make(stack, slug, tier).await;
        assert_eq!(moved(stack, &own.id, Placement::Dedicated).await.is_ok(), is_moved, "{slug}");
    }
}

#[tokio::test]
async fn while_it_is_copied_a_tenant_reads_and_does_not_write() {
    let stack = stack();
    let own = Own::make(stack, "placement-window", Tier::Business).await;
    note(&own, stack, "before").await;
    let create = tool_call("notes_create", json!({ "title": "t", "text": "t" }));
    let list = tool_call("notes_list", json!({}));
    let said = |reply: http::Response<bytes::Bytes>| {
        if json_of(&reply)["result"]["isError"] == false { "ok".to_owned() } else { code_of(&reply) }
    };
    change(stack, &own.id, |plan| Plan { moving: Some(Moving::Copying), ..plan }).await;
    assert_eq!(said(own.post(stack, &[], &create).await), "moving");
    assert_eq!(said(own.post(stack, &[], &list).await), "ok");
    change(stack, &own.id, |plan| Plan { moving: Some(Moving::Closed), ..plan }).await;
    assert_eq!(said(own.post(stack, &[], &create).await), "moving");
    assert_eq!(said(own.post(stack, &[], &list).await), "moving");
    // To stay where it is gives the move up.
    moved(stack, &own.id, Placement::Pooled).await.unwrap();
    assert_eq!(said(own.post(stack, &[], &create).await), "ok");
    assert_eq!(own.notes(stack).await, 2);
}

#[tokio::test]
async fn a_move_that_was_interrupted_at_any_call_of_the_store_is_taken_up() {
    use insula_local::aws::{Fault, FaultKind};
    let stack: &'static Stack = Box::leak(Box::new(start(options(Edge::Rest))));
    let own = Own::make(stack, "placement-faults", Tier::Business).await;
    for n in 0..3 {
        note(&own, stack, &format!("note {n}")).await;
    }
    let mut to = Placement::Dedicated;
    for operation in ["TransactWriteItems", "Query", "GetItem", "DescribeTable"] {
        for kind in [FaultKind::Before, FaultKind::After] {
            // The SDK tries three times, and so the third fault in a row is seen.
            let fault = Fault { service: "dynamodb".to_owned(), operation: operation.to_owned(), kind };
            (0..3).for_each(|_| stack.local.aws.fault(fault.clone()));
            let mut turns = 0;
            while let Err(problem) = moved(stack, &own.id, to).await {
                turns += 1;
                assert!(turns < 5, "{operation} {kind:?} {problem:?}");
            }
            assert_eq!(
                titles(&own, stack).await,
                ["note 0", "note 1", "note 2"],
                "{operation} {kind:?} {to:?}"
            );
            let pooled = if to == Placement::Pooled { 3 } else { 0 };
            assert_eq!(own.notes(stack).await, pooled, "{operation} {kind:?} {to:?}");
            to = if to == Placement::Pooled { Placement::Dedicated } else { Placement::Pooled };
        }
    }
}

#[tokio::test]
async fn a_move_that_does_not_know_every_collection_leaves_the_tenant_where_it_was() {
    let stack = stack();
    let own = Own::make(stack, "placement-unknown", Tier::Business).await;
    note(&own, stack, "kept").await;
    let id = own.id.clone();
    let run = async move { stack.local.mover.move_tenant(&id, Placement::Dedicated, &[]).await };
    let refused = on_stack(stack, run).await.unwrap_err();
    assert_eq!(refused.code(), "conflict", "{refused}");
    assert_eq!(titles(&own, stack).await, ["kept"]);
    note(&own, stack, "and written to").await;
    moved(stack, &own.id, Placement::Dedicated).await.unwrap();
    assert_eq!(titles(&own, stack).await, ["kept", "and written to"]);
}

#[tokio::test]
async fn what_is_kept_stays_within_the_plan_and_may_shrink_above_it() {
    let stack = stack();
    let own = Own::make(stack, "placement-quota", Tier::Starter).await;
    let said = |reply: http::Response<bytes::Bytes>| {
        let error = &json_of(&reply)["result"]["_meta"]["tenancy/error"];
        error["data"]["kind"].as_str().unwrap_or("ok").to_owned()
    };
    let create = |text: &str| tool_call("notes_create", json!({ "title": "t", "text": text }));
    change(stack, &own.id, |plan| Plan { limits: Limits { items: 2, ..plan.limits }, ..plan }).await;
    let first = note(&own, stack, "one").await;
    assert_eq!(said(own.post(stack, &[], &create("t")).await), "ok");
    assert_eq!(said(own.post(stack, &[], &create("t")).await), "items");
    assert_eq!(own.notes(stack).await, 2, "what is refused has no effect");
    change(stack, &own.id, |plan| Plan { limits: Limits { items: 1, ..plan.limits }, ..plan }).await;
    let delete = (http::Method::DELETE, &*format!("/v1/collections/notes/items/{first}"));
    let deleted = own.ask(stack, "items:write", delete, (&[], &serde_json::Value::Null)).await;
    assert_eq!(deleted.status(), 204, "above the limit it may still shrink");
    change(stack, &own.id, |plan| Plan {
        limits: Limits { items: 9, storage_bytes: 100, ..plan.limits },
        ..plan
    })
    .await;
    assert_eq!(said(own.post(stack, &[], &create(&"x".repeat(90))).await), "storage_bytes");
    assert_eq!(said(own.post(stack, &[], &create("x")).await), "ok");
}
