//! What somebody can do to the records who reaches the table itself, and that it is seen.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use insula_tenancy::{Break, Clock, Tier, Verified, Wrong};

use super::note;
use crate::{
    ask::{Own, credentials, data_table, on_stack, store, tenant_store, text, verdict},
    harness::{Stack, stack},
};

pub(crate) type Row = HashMap<String, AttributeValue>;

/// The one who may write anything in the table, and whose keys somebody has stolen.
pub(crate) fn thief(stack: &Stack) -> Client {
    store(stack, credentials(stack, "MoverRole", &[]))
}

pub(crate) async fn rows(stack: &Stack, own: &Own) -> Vec<Row> {
    rows_in(stack, own, data_table(stack)).await
}

/// The records of today in this table.
pub(crate) async fn rows_in(stack: &Stack, own: &Own, table: &str) -> Vec<Row> {
    let partition = format!("TENANT#{}#AUDIT#{}", own.id, Clock::System.now().day());
    let query = thief(stack).query().table_name(table).key_condition_expression("pk = :pk");
    let reply = query.expression_attribute_values(":pk", text(&partition)).consistent_read(true).send().await;
    reply.unwrap().items.unwrap_or_default()
}

pub(crate) async fn verify(stack: &'static Stack, own: &Own) -> Result<Verified, Break> {
    let id = own.id.clone();
    let ask = async move { stack.local.auditor.verify_audit(&id, Clock::System.now()).await };
    on_stack(stack, ask).await.unwrap()
}

pub(crate) async fn put(stack: &Stack, row: Row) {
    thief(stack).put_item().table_name(data_table(stack)).set_item(Some(row)).send().await.unwrap();
}

pub(crate) async fn remove(stack: &Stack, row: &Row) {
    let delete = thief(stack).delete_item().table_name(data_table(stack));
    delete.key("pk", row["pk"].clone()).key("sk", row["sk"].clone()).send().await.unwrap();
}

/// A tenant with four records in one chain, which are given. Other tests keep instances busy, so a call may go to another
/// instance and chain.
pub(super) async fn four(stack: &'static Stack, slug: &str) -> (Own, Vec<Row>) {
    let own = Own::make(stack, slug, Tier::Business).await;
    loop {
        note(stack, &own, "one more").await;
        let rows = rows(stack, &own).await;
        let of = |row: &Row| rows.iter().filter(|other| other["writer"] == row["writer"]).count();
        if let Some(writer) = rows.iter().find(|row| of(row) == 4).map(|row| row["writer"].clone()) {
            let verified = verify(stack, &own).await.map(|verified| verified.records);
            assert_eq!(verified, Ok(rows.len().try_into().unwrap()), "before");
            return (own, rows.into_iter().filter(|row| row["writer"] == writer).collect());
        }
    }
}

#[tokio::test]
async fn a_record_that_is_altered_missing_or_reordered_is_named() {
    let stack = stack();
    let (own, rows) = four(stack, "audit-altered").await;
    let mut altered = rows[1].clone();
    altered.insert("action".to_owned(), text("notes_list"));
    put(stack, altered).await;
    let found = verify(stack, &own).await.unwrap_err();
    assert_eq!((found.wrong, found.record), (Wrong::Altered, rows[1]["sk"].as_s().unwrap().clone()));
    put(stack, rows[1].clone()).await;
    assert!(verify(stack, &own).await.is_ok(), "as it was");

    remove(stack, &rows[1]).await;
    let found = verify(stack, &own).await.unwrap_err();
    assert_eq!((found.wrong, found.seq), (Wrong::Missing, 1));
    put(stack, rows[1].clone()).await;

    // The second record gets a time after the third one's.
    let mut later = rows[1].clone();
    later.insert("sk".to_owned(), text(&format!("{}z", rows[2]["sk"].as_s().unwrap())));
    remove(stack, &rows[1]).await;
    put(stack, later).await;
    let found = verify(stack, &own).await.unwrap_err();
    assert_eq!((found.wrong, found.seq), (Wrong::Reordered, 1));
}

#[tokio::test]
async fn a_tenants_session_adds_records_and_reads_them_and_changes_none() {
    let stack = stack();
    let (own, rows) = four(stack, "audit-session").await;
    let (client, table) = (tenant_store(stack, &own.id.to_string()), data_table(stack));
    let query = client.query().table_name(table).key_condition_expression("pk = :pk");
    let query = query.expression_attribute_values(":pk", rows[0]["pk"].clone());
    assert_eq!(verdict(query.send().await), "ok");
    let key = |name: &str| rows[0][name].clone();
    let update = client.update_item().table_name(table).key("pk", key("pk")).key("sk", key("sk"));
    let update = update.update_expression("SET #action = :x").expression_attribute_names("#action", "action");
    let update = update.expression_attribute_values(":x", text("x"));
    assert_eq!(verdict(update.send().await), "AccessDeniedException");
    let delete = client.delete_item().table_name(table).key("pk", key("pk")).key("sk", key("sk"));
    assert_eq!(verdict(delete.send().await), "AccessDeniedException");
    // An overwrite is no other action than what adds a record. IAM lets it pass, and the chain shows it.
    let mut altered = rows[0].clone();
    altered.insert("subject".to_owned(), text("somebody-else"));
    assert_eq!(verdict(client.put_item().table_name(table).set_item(Some(altered)).send().await), "ok");
    assert_eq!(verify(stack, &own).await.unwrap_err().wrong, Wrong::Altered);
    // No session of a tenant's writes how far the chains go.
    let mut head = rows[0].clone();
    head.insert("pk".to_owned(), text(&format!("TENANT#{}#HEAD#2026-01-01", own.id)));
    let put = client.put_item().table_name(table).set_item(Some(head));
    assert_eq!(verdict(put.send().await), "AccessDeniedException");
}
