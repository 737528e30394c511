//! The audit trail through the door: what a record says, who reads it, and that no change of it goes unseen.

pub(crate) mod attempts;
pub(crate) mod chains;
mod denials;
mod reading;
mod stream;

use insula_tenancy::{AuditQuery, AuditRecord, Decision, Tier};
use serde_json::json;

use crate::{
    ask::{Own, code_of, on_stack},
    harness::{Stack, json_of, stack, tool_call},
};

/// A tenant's records as the auditor reads them, newest first.
pub(crate) async fn trail(stack: &'static Stack, own: &Own) -> Vec<AuditRecord> {
    let id = own.id.clone();
    let ask = async move { stack.local.auditor.audit(&id, &AuditQuery::default()).await };
    on_stack(stack, ask).await.unwrap()
}

/// Makes a note, and gives its id.
async fn note(stack: &Stack, own: &Own, title: &str) -> String {
    let call = tool_call("notes_create", json!({ "title": title, "text": "a secret plan" }));
    let reply = own.post(stack, &[], &call).await;
    json_of(&reply)["result"]["structuredContent"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_record_says_who_did_what_to_which_item_and_no_argument() {
    let stack = stack();
    let own = Own::make(stack, "audit-record", Tier::Business).await;
    let id = note(stack, &own, "a secret title").await;
    own.post(stack, &[], &tool_call("notes_get", json!({ "id": id }))).await;
    own.post(stack, &[], &tool_call("notes_list", json!({}))).await;
    let records = trail(stack, &own).await;
    let said: Vec<_> = records
        .iter()
        .map(|record| (record.action.as_str(), record.decision.as_str(), record.reason.as_str()))
        .collect();
    let allowed = Decision::Allowed.word();
    assert_eq!(
        said,
        [("notes_list", allowed, "ok"), ("notes_get", allowed, "ok"), ("notes_create", allowed, "ok")]
    );
    let item = format!("collections/notes/items/{id}");
    let resources: Vec<_> = records.iter().map(|record| record.resources.clone()).collect();
    assert_eq!(resources, [vec![], vec![item.clone()], vec![item]]);
    for record in &records {
        let who = record.who.as_ref().unwrap();
        assert_eq!((who.subject.as_str(), &*who.issuer), ("tester", stack.local.idp.issuer()));
        assert!(!record.request_id.is_empty() && record.duration_ms < 60_000, "{record:?}");
        assert!(!format!("{record:?}").contains("secret"), "{record:?}");
    }
}

#[tokio::test]
async fn a_denial_is_recorded_before_the_reply_with_its_reason() {
    let stack = stack();
    let own = Own::make(stack, "audit-denial", Tier::Business).await;
    let create = (http::Method::POST, "/v1/collections/notes/items");
    let body = json!({ "title": "t", "text": "t" });
    let refused = own.ask(stack, "items:read", create.clone(), (&[], &body)).await;
    assert_eq!(
        (refused.status(), code_of(&refused).as_str()),
        (http::StatusCode::FORBIDDEN, "insufficient_scope")
    );
    let made = own.ask(stack, "items:write", create, (&[], &body)).await;
    assert_eq!(made.status(), http::StatusCode::CREATED);
    let records = trail(stack, &own).await;
    let said: Vec<_> =
        records.iter().map(|record| (record.decision.as_str(), record.reason.as_str())).collect();
    assert_eq!(said, [("allowed", "ok"), ("denied", "insufficient_scope")]);
    assert!(records[0].resources[0].starts_with("collections/notes/items/"), "{:?}", records[0]);
    assert_eq!(records[1].resources, ["collections/notes/items"]);
}
