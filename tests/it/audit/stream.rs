//! What the stream's function makes of the records: heads that no tenant's session can write, and alarms.

use insula_local::aws::{Fault, FaultKind};
use insula_tenancy::{Placement, Tier, Wrong};
use serde_json::Value;

use super::{
    chains::{four, put, remove, rows, verify},
    note,
};
use crate::{
    ask::{Own, data_table, on_stack, tenant_store, text},
    harness::{Stack, stack},
};

async fn followed(stack: &'static Stack) {
    on_stack(stack, stack.local.followed()).await;
}

/// What the operator was told of a tenant: classes, in the order of their events.
async fn told(stack: &'static Stack, own: &Own) -> Vec<String> {
    followed(stack).await;
    let mut classes = Vec::new();
    for event in stack.local.aws.events() {
        let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
        let is_alarm = event["DetailType"] == "Audit Trail Broken";
        if is_alarm && detail["tenant"] == own.id.to_string().as_str() {
            assert_eq!(event["Source"], "insula");
            classes.push(detail["class"].as_str().unwrap().to_owned());
        }
    }
    classes
}

#[tokio::test]
async fn the_end_of_a_chain_can_not_be_cut_off_once_its_head_is_written() {
    let stack = stack();
    let (own, rows) = four(stack, "audit-truncated").await;
    followed(stack).await;
    assert_eq!(verify(stack, &own).await.map(|verified| verified.beyond_heads), Ok(0));
    remove(stack, &rows[3]).await;
    let found = verify(stack, &own).await.unwrap_err();
    assert_eq!((found.wrong, found.seq), (Wrong::Truncated, 3));
}

#[tokio::test]
async fn the_operator_is_told_of_what_was_overwritten_removed_or_forged() {
    let stack = stack();
    let (own, rows) = four(stack, "audit-alarms").await;
    assert_eq!(told(stack, &own).await, Vec::<String>::new(), "what is added is in order");
    let (client, table) = (tenant_store(stack, &own.id.to_string()), data_table(stack));
    let overwrite = |subject: &str| {
        let mut row = rows[1].clone();
        row.insert("subject".to_owned(), text(subject));
        client.put_item().table_name(table).set_item(Some(row)).send()
    };
    overwrite("somebody-else").await.unwrap();
    assert_eq!(told(stack, &own).await, ["altered"]);
    overwrite("somebody-else").await.unwrap();
    assert_eq!(told(stack, &own).await, ["altered"], "what changes nothing is no change");
    remove(stack, &rows[2]).await;
    assert_eq!(told(stack, &own).await, ["altered", "removed"]);
    let mut forged = rows[3].clone();
    forged.insert("sk".to_owned(), text(&format!("{}z", rows[3]["sk"].as_s().unwrap())));
    put(stack, forged).await;
    assert_eq!(told(stack, &own).await, ["altered", "removed", "forged"]);
}

#[tokio::test]
async fn an_alarm_that_nobody_took_is_raised_once_more() {
    let stack = stack();
    let (own, rows) = four(stack, "audit-alarm-again").await;
    followed(stack).await;
    let fault =
        Fault { service: "events".to_owned(), operation: "PutEvents".to_owned(), kind: FaultKind::Before };
    stack.local.aws.fault_within(fault, &own.id.to_string());
    remove(stack, &rows[1]).await;
    assert_eq!(told(stack, &own).await, ["removed"]);
}

#[tokio::test]
async fn a_move_is_no_tampering_and_what_is_removed_before_it_is() {
    let stack = stack();
    let own = Own::make(stack, "audit-moved", Tier::Business).await;
    note(stack, &own, "one").await;
    for to in [Placement::Dedicated, Placement::Pooled] {
        let (id, names) = (own.id.clone(), vec!["notes".parse().unwrap()]);
        let ask = async move { stack.local.mover.move_tenant(&id, to, &names).await };
        assert!(on_stack(stack, ask).await.unwrap().removed > 0);
        assert!(verify(stack, &own).await.is_ok(), "{to:?}");
    }
    assert_eq!(told(stack, &own).await, Vec::<String>::new());
    remove(stack, &rows(stack, &own).await[0]).await;
    assert_eq!(told(stack, &own).await, ["removed"]);
}
