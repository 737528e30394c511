//! Who reads the trail, by which filters, and in which pages.

use bytes::Bytes;
use http::{Method, Response};
use insula_local::Edge;
use insula_tenancy::{AuditQuery, Clock, Tier};
use serde_json::{Value, json};

use super::{chains::rows, note};
use crate::{
    ask::{Own, code_of, data_table, on_stack},
    harness::{Stack, json_of, options, stack, start, tool_call},
    metrics::added,
};

const ADMIN: &str = "workspace:admin notes:read notes:write items:read items:write";

async fn get(stack: &Stack, own: &Own, scope: &str, query: &str) -> Response<Bytes> {
    let path = format!("/v1/audit{query}");
    own.ask(stack, scope, (Method::GET, &path), (&[], &Value::Null)).await
}

async fn records(stack: &Stack, own: &Own, query: &str) -> Vec<Value> {
    let reply = get(stack, own, ADMIN, query).await;
    json_of(&reply)["records"].as_array().unwrap_or_else(|| panic!("{query}: {reply:?}")).clone()
}

#[tokio::test]
async fn an_admin_reads_the_trail_by_both_doors_and_a_member_by_none() {
    let stack = stack();
    let own = Own::make(stack, "audit-doors", Tier::Business).await;
    note(stack, &own, "one").await;
    let first = &records(stack, &own, "").await[0];
    assert_eq!((&first["action"], &first["subject"]), (&json!("notes_create"), &json!("tester")));
    let search = json!(tool_call("audit_search", json!({ "action": "notes_create" })));
    let by_tool = own.ask(stack, ADMIN, (Method::POST, "/mcp"), (&[], &search)).await;
    assert_eq!(json_of(&by_tool)["result"]["structuredContent"]["records"], json!([first]));
    for refused in [
        get(stack, &own, "notes:read notes:write", "").await,
        own.ask(stack, "notes:read notes:write", (Method::POST, "/mcp"), (&[], &search)).await,
    ] {
        assert!(["forbidden", "insufficient_scope"].contains(&&*code_of(&refused)), "{refused:?}");
    }
    let denied = records(stack, &own, "?decision=denied").await;
    let actions: Vec<_> = denied.iter().map(|record| &record["action"]).collect();
    assert_eq!(actions, ["audit_search", "audit_search"], "and who was refused is in it");
}

#[tokio::test]
async fn the_trail_is_searched_by_time_subject_action_and_decision() {
    let stack = stack();
    let own = Own::make(stack, "audit-filters", Tier::Business).await;
    note(stack, &own, "one").await;
    own.post(stack, &[], &tool_call("notes_list", json!({}))).await;
    let now = Clock::System.now();
    let (before, later, day) = (now.plus_s(-3600).rfc3339(), now.plus_s(3600).rfc3339(), now.day());
    for (query, found) in [
        ("?action=notes_list".to_owned(), 1),
        ("?action=notes_burn".to_owned(), 0),
        ("?action=notes_list&subject=tester&decision=allowed".to_owned(), 1),
        ("?action=notes_list&subject=somebody".to_owned(), 0),
        ("?action=notes_list&decision=denied".to_owned(), 0),
        (format!("?action=notes_list&from={before}&until={later}"), 1),
        (format!("?action=notes_list&from={day}"), 1),
        (format!("?action=notes_list&until={before}"), 0),
    ] {
        assert_eq!(records(stack, &own, &query).await.len(), found, "{query}");
    }
    for query in [
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?decision=maybe",
        "?from=yesterday",
        "?from=2026-02-01&until=2026-01-01",
        "?from=2020-01-01&until=2026-01-01",
        "?cursor=x",
        "?tenant=acme",
    ] {
        assert_eq!(code_of(&get(stack, &own, ADMIN, query).await), "invalid", "{query}");
    }
    assert_eq!(get(stack, &own, ADMIN, "?limit=1000").await.status(), 200);
}

#[tokio::test]
async fn pages_of_the_trail_follow_each_other_newest_first_and_a_cursor_is_of_its_own_question() {
    let stack = stack();
    let (own, other) = (
        Own::make(stack, "audit-pages", Tier::Business).await,
        Own::make(stack, "audit-pages-other", Tier::Business).await,
    );
    let mut made = Vec::new();
    for title in ["one", "two", "three", "four", "five"] {
        made.push(format!("collections/notes/items/{}", note(stack, &own, title).await));
    }
    made.reverse();
    let mut seen: Vec<String> = Vec::new();
    let mut query = "?action=notes_create&limit=2".to_owned();
    let mut cursors = Vec::new();
    loop {
        let reply = json_of(&get(stack, &own, ADMIN, &query).await);
        let page = reply["records"].as_array().unwrap();
        assert!(page.len() <= 2);
        seen.extend(page.iter().map(|record| record["resources"][0].as_str().unwrap().to_owned()));
        let Some(cursor) = reply["next_cursor"].as_str() else { break };
        query = format!("?action=notes_create&limit=2&cursor={cursor}");
        cursors.push(cursor.to_owned());
    }
    assert_eq!(seen, made);
    let go_on = format!("?action=notes_create&limit=1&cursor={}", cursors[0]);
    assert_eq!(get(stack, &own, ADMIN, &go_on).await.status(), 200);
    let altered = format!("?action=notes_create&limit=1&cursor={}x", cursors[0]);
    let elsewhere = format!("?action=notes_list&limit=1&cursor={}", cursors[0]);
    for (who, query) in [(&own, &altered), (&own, &elsewhere), (&other, &go_on)] {
        assert_eq!(code_of(&get(stack, who, ADMIN, query).await), "invalid", "{query}");
    }
}

#[tokio::test]
async fn no_tenants_trail_has_anything_of_another() {
    let stack = stack();
    let (own, other) = (
        Own::make(stack, "audit-own", Tier::Business).await,
        Own::make(stack, "audit-other", Tier::Business).await,
    );
    let theirs = note(stack, &other, "theirs").await;
    let ours = note(stack, &own, "ours").await;
    // Somebody with a good token of their own asks at the other's address.
    let url = stack.host_url("audit-other");
    let call = tool_call("notes_get", json!({ "id": theirs }));
    let reply = stack.post(&url, Some(&own.token(stack)), &call).await;
    assert_eq!(reply.status(), 401);
    let text = |records: &[Value]| Value::from(records.to_vec()).to_string();
    let (seen_own, seen_other) = (records(stack, &own, "").await, records(stack, &other, "").await);
    let (seen_own, seen_other) = (text(&seen_own), text(&seen_other));
    assert!(seen_own.contains(&ours) && seen_other.contains(&theirs));
    for foreign in [&theirs, &other.id.to_string(), &other.slug] {
        assert!(!seen_own.contains(foreign.as_str()), "{foreign}: {seen_own}");
    }
    for foreign in [&ours, &own.id.to_string()] {
        assert!(!seen_other.contains(foreign.as_str()), "{foreign}: {seen_other}");
    }
}

/// A stack whose only tenant has a trail of more records than any page.
async fn with_long_trail() -> (&'static Stack, Own) {
    let stack: &'static Stack = Box::leak(Box::new(start(options(Edge::Rest))));
    let own = Own::make(stack, "audit-long", Tier::Business).await;
    note(stack, &own, "one").await;
    let row = rows(stack, &own).await.remove(0);
    let (table, key) = (data_table(stack), row["sk"].as_s().unwrap().clone());
    let image = added(stack, &row)["dynamodb"]["NewImage"].clone();
    let again: Vec<Value> = (0..1_050)
        .map(|n| {
            let mut image = image.clone();
            image["sk"] = json!({ "S": format!("{key}{n:04}") });
            json!({ "PutRequest": { "Item": image } })
        })
        .collect();
    for some in again.chunks(25) {
        let write = json!({ "RequestItems": { table: some } });
        let reply = stack.local.aws.store().serve("BatchWriteItem", write).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    (stack, own)
}

#[tokio::test]
async fn a_page_has_100_records_or_as_many_as_are_asked_for_up_to_1000() {
    let (stack, own) = with_long_trail().await;
    let by_tool = async |arguments: Value| {
        let call = tool_call("audit_search", arguments);
        own.ask(stack, ADMIN, (Method::POST, "/mcp"), (&[], &call)).await
    };
    let by_operator = async |limit: u32| {
        let id = own.id.clone();
        let ask = async move {
            stack.local.auditor.audit(&id, &AuditQuery { limit, ..AuditQuery::default() }).await
        };
        on_stack(stack, ask).await.map(|records| records.len())
    };
    for limit in [1, 1_000] {
        assert_eq!(records(stack, &own, &format!("?limit={limit}")).await.len(), limit);
        let page = json_of(&by_tool(json!({ "limit": limit })).await);
        let records = page["result"]["structuredContent"]["records"].as_array().unwrap().len();
        assert_eq!(records, limit);
        assert_eq!(by_operator(limit.try_into().unwrap()).await.unwrap(), limit);
    }
    for limit in [0, 1_001] {
        let refused = by_tool(json!({ "limit": limit })).await;
        assert_eq!(code_of(&refused), "invalid", "{limit}: {refused:?}");
        assert_eq!(by_operator(limit).await.unwrap_err().code(), "invalid", "{limit}");
    }
    assert_eq!(records(stack, &own, "").await.len(), 100);
    let page = json_of(&by_tool(json!({})).await);
    assert_eq!(page["result"]["structuredContent"]["records"].as_array().unwrap().len(), 100);
    assert_eq!(super::trail(stack, &own).await.len(), 100);
}
