//! What is denied before it is known whose request it is: recorded before the reply, counted when there is much of it, and
//! never changed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use http::Method;
use insula_local::{
    Edge,
    aws::{Fault, FaultKind},
    idp::Mint,
};
use insula_tenancy::{AuditQuery, Clock, Decision, Moving, Placement, Plan, Tier, operator::DenialRecord};
use serde_json::{Value, json};

use crate::{
    ask::{Own, ask, credentials, data_table, invoke, on_stack, operate, store, tenant_store, text, verdict},
    faults::{Ask, Guest, House},
    harness::{Stack, http_stack, options, stack, start, tool_call},
};

const DENIED: &str = "AccessDeniedException";

/// A stack of a test's own, since anybody's denials are in one place.
fn own_stack(edge: Edge) -> &'static Stack {
    Box::leak(Box::new(start(options(edge))))
}

/// What the operator reads of today.
async fn denials(stack: &'static Stack) -> Vec<DenialRecord> {
    on_stack(stack, stack.local.auditor.denials(Clock::System.now())).await.unwrap()
}

fn codes(records: &[DenialRecord]) -> Vec<BTreeMap<String, u64>> {
    records.iter().map(|record| record.counted.reasons.clone()).collect()
}

fn counts(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect()
}

fn puts(stack: &Stack) -> u64 {
    stack.local.aws.calls().get("dynamodb:PutItem").copied().unwrap_or(0)
}

#[tokio::test]
async fn a_denial_is_recorded_before_the_reply_and_a_flood_of_them_costs_one_write() {
    let stack = own_stack(Edge::Rest);
    let url = stack.host_url("acme");
    let good = stack.post(&url, Some(&stack.token("acme", &url)), &tool_call("notes_list", json!({}))).await;
    assert_eq!((good.status().as_u16(), denials(stack).await), (200, vec![]), "what is let in is none");
    // What the stream's function writes of the good call is no part of it.
    on_stack(stack, stack.local.followed()).await;
    let before = puts(stack);
    assert_eq!(stack.post(&url, None, &json!({})).await.status(), 401);
    let first = denials(stack).await;
    assert_eq!(codes(&first), [counts(&[("no_token", 1)])]);
    assert!(first[0].request_id.as_ref().is_some_and(|id| !id.is_empty()), "{first:?}");
    for n in 0..40 {
        let url = stack.host_url(&format!("nobody-{n}"));
        let token = format!("not.a.token{n}");
        let bearer = format!("Bearer {token}");
        let reply = ask(stack, Method::POST, &url, &[("authorization", &bearer)], "{}").await;
        assert_eq!(reply.status(), 401);
    }
    // One after the other they all meet one instance of the authorizer.
    assert_eq!((puts(stack) - before, denials(stack).await), (1, first), "the others are counted");
}

#[tokio::test]
async fn what_was_counted_is_one_record_written_by_whoever_comes_after_the_window() {
    let stack = own_stack(Edge::Rest);
    let micros = Arc::new(AtomicI64::new(Clock::System.now().micros()));
    let house = House::before_at(stack, Clock::Fixed(Arc::clone(&micros))).await;
    let guest = Guest::make(&house, "denials-window", Tier::Business).await;
    // Its token must not be of a time to come.
    micros.fetch_max(Clock::System.now().micros(), Ordering::Relaxed);
    let list = Ask::tool("notes_list", json!({}));
    let forged = async |bearer: &str| guest.ask_as(&house, bearer, &list).await.status;
    for (bearer, status) in [("Bearer a.b.c", 401), ("Bearer a.b.c", 401), ("Bearer x", 401), ("", 401)] {
        assert_eq!(forged(bearer).await, status, "{bearer}");
        micros.fetch_add(1_000_000, Ordering::Relaxed);
    }
    let malformed = counts(&[("malformed_token", 1)]);
    assert_eq!(codes(&denials(stack).await), std::slice::from_ref(&malformed), "the window runs");
    micros.fetch_add(61_000_000, Ordering::Relaxed);
    let told = [malformed.clone(), counts(&[("malformed_token", 2), ("no_token", 1)])];
    for again in ["whoever it is", "once"] {
        assert!(guest.ask(&house, &list).await.is_done());
        assert_eq!(codes(&denials(stack).await), told, "{again}");
    }

    // A store that fails keeps nobody from hearing where to sign in, and loses nothing.
    let fault =
        Fault { service: "dynamodb".to_owned(), operation: "PutItem".to_owned(), kind: FaultKind::Deny };
    stack.local.aws.fault_within(fault, "OPERATOR#DENIALS#");
    assert_eq!(forged("Bearer a.b.c").await, 401);
    assert_eq!(denials(stack).await.len(), 2);
    micros.fetch_add(61_000_000, Ordering::Relaxed);
    assert!(guest.ask(&house, &list).await.is_done());
    assert_eq!(codes(&denials(stack).await).last(), Some(&malformed));
}

#[tokio::test]
async fn behind_api_gateways_own_authorizer_the_function_records_what_it_denies() {
    let stack = own_stack(Edge::Http);
    let url = format!("http://localhost:{}/mcp", stack.local.port);
    let call = tool_call("notes_list", json!({}));
    let with = |tenant: &str| {
        let mint = insula_local::idp::Mint {
            tenant: Some(format!("org-{tenant}")),
            sub: Some("tester".to_owned()),
            resource: url.clone(),
            ..Default::default()
        };
        stack.local.idp.mint(&mint).unwrap().access_token
    };
    assert_eq!(stack.post(&url, Some(&with("acme")), &call).await.status(), 200);
    assert_eq!(stack.post(&url, None, &call).await.status(), 401);
    assert_eq!(codes(&denials(stack).await), [], "what API Gateway refuses is in its access log alone");
    assert_eq!(stack.post(&url, Some(&with("nobodys-claim")), &call).await.status(), 401);
    assert_eq!(codes(&denials(stack).await), [counts(&[("tenant_claim", 1)])]);
    let answer = invoke(stack, "authorize", &json!({ "version": "2.0", "type": "REQUEST" })).await.unwrap();
    assert_eq!(answer["isAuthorized"], false);
    let told = [counts(&[("tenant_claim", 1)]), counts(&[("evidence", 1)])];
    assert_eq!(codes(&denials(stack).await), told, "nor is an event that is not in order passed over");
}

#[tokio::test]
async fn whoever_denies_adds_to_the_operators_partitions_and_does_nothing_else_there() {
    let stack = stack();
    let own = Own::make(stack, "denials-walls", Tier::Free).await;
    let (table, ledger) = (data_table(stack), "OPERATOR#DENIALS#2026-01-01".to_owned());
    let foreign = [
        format!("TENANT#{}#AUDIT#2026-01-01", own.id),
        format!("TENANT#{}#ITEM#notes", own.id),
        "OPERATOR#ELSE#2026-01-01".to_owned(),
        "OPERATOR#DENIALS".to_owned(),
    ];
    for role in
        ["AuthorizeRole", "McpRole", "ItemsRole", "ConfigRole", "SecretsRole", "UsageRole", "AuditRole"]
    {
        let client = store(stack, credentials(stack, role, &[]));
        let put = |pk: &str| {
            let put = client.put_item().table_name(table).item("pk", text(pk));
            put.item("sk", text(&format!("walls-{role}"))).send()
        };
        assert_eq!(verdict(put(&ledger).await), "ok", "{role}");
        for pk in &foreign {
            assert_eq!(verdict(put(pk).await), DENIED, "{role} {pk}");
        }
        let key = |name: &str| text(if name == "pk" { &ledger } else { "walls" });
        let get = client.get_item().table_name(table).key("pk", key("pk")).key("sk", key("sk"));
        assert_eq!(verdict(get.send().await), DENIED, "{role} reads");
        let delete = client.delete_item().table_name(table).key("pk", key("pk")).key("sk", key("sk"));
        assert_eq!(verdict(delete.send().await), DENIED, "{role} removes");
        let update = client.update_item().table_name(table).key("pk", key("pk")).key("sk", key("sk"));
        let update = update.update_expression("SET a = :a").expression_attribute_values(":a", text("a"));
        assert_eq!(verdict(update.send().await), DENIED, "{role} changes");
    }
    let query = |role: &str, pk: &str| {
        let query = store(stack, credentials(stack, role, &[])).query().table_name(table);
        query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", text(pk)).send()
    };
    assert_eq!(verdict(query("AuditorRole", &ledger).await), "ok");
    for role in ["AuthorizeRole", "McpRole", "OperatorRole", "MeterRole", "VendRole", "DiscoverRole"] {
        assert_eq!(verdict(query(role, &ledger).await), DENIED, "{role}");
    }
    let tenant = tenant_store(stack, &own.id.to_string());
    let put = tenant.put_item().table_name(table).item("pk", text(&ledger)).item("sk", text("walls"));
    assert_eq!(verdict(put.send().await), DENIED, "no tenant writes there");
}

#[tokio::test]
async fn the_operator_is_told_of_a_record_of_denials_that_was_overwritten() {
    let stack = http_stack();
    let told = async |sk: &str| {
        on_stack(stack, stack.local.followed()).await;
        let all = stack.local.aws.events().into_iter().filter_map(|event| {
            let detail: Value = serde_json::from_str(event["Detail"].as_str()?).ok()?;
            let is = event["DetailType"] == "Audit Trail Broken" && detail["record"] == sk;
            is.then(|| (detail["class"].as_str().unwrap().to_owned(), detail["tenant"].clone()))
        });
        all.collect::<Vec<_>>()
    };
    let client = store(stack, credentials(stack, "AuthorizeRole", &[]));
    let put = |count: &str| {
        let put = client.put_item().table_name(data_table(stack));
        let put = put.item("pk", text("OPERATOR#DENIALS#2026-01-02")).item("sk", text("overwritten"));
        put.item("count", text(count)).send()
    };
    put("9").await.unwrap();
    assert_eq!(told("overwritten").await, [], "what is added is in order");
    put("1").await.unwrap();
    assert_eq!(told("overwritten").await, [("altered".to_owned(), Value::Null)]);
}

#[tokio::test]
async fn a_refusal_is_recorded_where_the_trail_is_by_an_instance_that_has_not_heard_of_the_move() {
    let stack = own_stack(Edge::Rest);
    let house = House::before(stack).await;
    let guest = Guest::make(&house, "denials-moved", Tier::Business).await;
    let create = Ask::tool("notes_create", json!({ "title": "t", "text": "t" }));
    let reader = {
        let mint = Mint {
            tenant: Some("org-denials-moved".to_owned()),
            sub: Some("first".to_owned()),
            scope: Some("notes:read".to_owned()),
            resource: stack.host_url("denials-moved"),
            ..Mint::default()
        };
        format!("Bearer {}", stack.local.idp.mint(&mint).unwrap().access_token)
    };
    let refused = async || guest.ask_as(&house, &reader, &create).await;
    let trail = async || {
        let id = guest.own.id.clone();
        let query = AuditQuery { decision: Some(Decision::Denied), ..AuditQuery::default() };
        on_stack(stack, async move { stack.local.auditor.audit(&id, &query).await }).await.unwrap().len()
    };
    assert!(guest.ask(&house, &create).await.is_done());
    assert!(!refused().await.is_done());
    assert_eq!(trail().await, 1);
    for (to, denied) in [(Placement::Dedicated, 2), (Placement::Pooled, 3)] {
        let (id, names) = (guest.own.id.clone(), vec!["notes".parse().unwrap()]);
        on_stack(stack, async move { stack.local.mover.move_tenant(&id, to, &names).await }).await.unwrap();
        // The first that the instance hears of it.
        assert!(!refused().await.is_done());
        assert!(guest.ask(&house, &create).await.is_done());
        let checked = super::chains::verify(stack, &guest.own).await;
        assert!(checked.is_ok(), "{to:?} {checked:?}");
        assert_eq!(trail().await, denied, "{to:?}");
    }
    // While it is moved nothing more is to be copied: it is counted, and written behind the move.
    let id = guest.own.id.clone();
    let copying = |plan: Plan| Plan { moving: Some(Moving::Copying), ..plan };
    operate(stack, |operator| async move { operator.change_plan(&id, copying).await }).await.unwrap();
    assert!(!refused().await.is_done());
    assert_eq!(trail().await, 3);
}
