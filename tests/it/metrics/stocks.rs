//! What a tenant keeps, counted anew: a drift that was put in by hand is corrected and told, and no call is lost by it.

use insula_tenancy::{Clock, CollectionName, Placement, Problem, Recounted, Stock, Tier};
use serde_json::{Value, json};

use super::{followed, line, told, tool};
use crate::{
    ask::{Own, data_table, on_stack, store, text},
    audit::chains::{Row, put, thief},
    harness::{Stack, stack},
};

fn number(n: u64) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::N(n.to_string())
}

fn collections() -> Vec<CollectionName> {
    vec!["notes".parse().unwrap()]
}

async fn recount(stack: &'static Stack, own: &Own) -> Result<Recounted, Problem> {
    let id = own.id.clone();
    on_stack(stack, async move { stack.local.accountant.recount(&id, &collections()).await }).await
}

pub(super) fn stock_row(own: &Own, counts: [u64; 3]) -> Row {
    let mut row = Row::from([
        ("pk".to_owned(), text(&format!("TENANT#{}#METER", own.id))),
        ("sk".to_owned(), text("STORAGE")),
    ]);
    let names = ["byte_count", "item_count", "member_count"];
    row.extend(names.into_iter().zip(counts).map(|(name, count)| (name.to_owned(), number(count))));
    row
}

pub(super) async fn row(stack: &Stack, own: &Own, table: &str) -> Row {
    let get = thief(stack).get_item().table_name(table).consistent_read(true);
    let get = get.key("pk", text(&format!("TENANT#{}#METER", own.id))).key("sk", text("STORAGE"));
    get.send().await.unwrap().item.unwrap_or_default()
}

pub(super) fn counts(row: &Row) -> [u64; 3] {
    ["byte_count", "item_count", "member_count"].map(|name| row[name].as_n().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_drift_is_corrected_beside_the_stream_and_told_and_a_right_count_is_not() {
    let stack = stack();
    let own = Own::make(stack, "stock-drift", Tier::Starter).await;
    let document = "{\"title\":\"t\",\"text\":\"t\"}";
    let note = [
        ("pk", text(&format!("TENANT#{}#ITEM#notes", own.id))),
        ("sk", text("one")),
        ("version", number(1)),
        ("created", text("2026-01-01")),
        ("updated", text("2026-01-01")),
        ("document", text(document)),
    ];
    put(stack, note.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).await;
    put(stack, stock_row(&own, [1_000, 7, 2])).await;
    followed(stack).await;
    followed(stack).await;
    let bytes = u64::try_from(document.len()).unwrap();
    let after = row(stack, &own, data_table(stack)).await;
    assert_eq!((counts(&after), &after["counted_day"]), ([bytes, 1, 0], &text(&Clock::System.now().day())));
    let drift = json!({
        "tenant": own.id.to_string(),
        "before": { "bytes": 1_000, "items": 7, "members": 2 },
        "after": { "bytes": bytes, "items": 1, "members": 0 },
    });
    assert_eq!(told(stack, &own, "Storage Drift"), [drift]);
    let is_drift = |line: &Value| !line["StorageDriftItems"].is_null();
    let line_of_drift = line(&own, is_drift, async || followed(stack).await).await;
    let drifts =
        ["StorageDriftBytes", "StorageDriftItems", "StorageDriftMembers"].map(|name| &line_of_drift[name]);
    assert_eq!(drifts, [&json!(1_000 - bytes), &json!(6), &json!(2)]);

    let right = Own::make(stack, "stock-right", Tier::Starter).await;
    assert_eq!(
        tool(stack, &right, "notes_create", json!({ "title": "t", "text": "t" })).await["isError"],
        false
    );
    followed(stack).await;
    followed(stack).await;
    let row = row(stack, &right, data_table(stack)).await;
    assert_eq!((&row["counted_day"], &counts(&row)[1..]), (&text(&Clock::System.now().day()), &[1, 1][..]));
    assert_eq!(told(stack, &right, "Storage Drift"), [Value::Null; 0]);
}

#[tokio::test]
async fn a_count_while_calls_write_takes_nothing_from_them() {
    let stack = stack();
    let own = Own::make(stack, "stock-race", Tier::Starter).await;
    let write = async {
        for n in 0..8 {
            let title = json!({ "title": n.to_string(), "text": "t".repeat(n) });
            assert_eq!(tool(stack, &own, "notes_create", title).await["isError"], false);
        }
    };
    let count = async {
        for _ in 0..12 {
            match recount(stack, &own).await {
                Ok(counted) => assert!(!counted.is_drift(), "{counted:?}"),
                Err(problem) => assert_eq!(problem.code(), "conflict"),
            }
        }
    };
    tokio::join!(write, count);
    let Recounted { before, after } = recount(stack, &own).await.unwrap();
    assert_eq!((&before, after.items, after.members), (&after, 8, 1));
    assert_eq!(after.bytes, own.stored_bytes(stack).await);
}

#[tokio::test]
async fn the_accountant_counts_a_tenant_with_a_table_of_its_own_and_writes_nothing_else() {
    let stack = stack();
    let own = Own::make(stack, "stock-own-table", Tier::Business).await;
    assert_eq!(
        tool(stack, &own, "notes_create", json!({ "title": "t", "text": "t" })).await["isError"],
        false
    );
    let id = own.id.clone();
    let there = async move { stack.local.mover.move_tenant(&id, Placement::Dedicated, &collections()).await };
    on_stack(stack, there).await.unwrap();
    let table = format!("{}-{}", data_table(stack), own.id);
    let right = recount(stack, &own).await.unwrap();
    assert!(!right.is_drift() && right.after.items == 1, "{right:?}");
    let mut wrong = stock_row(&own, [0, 5, 1]);
    // Or it would be corrected beside the stream.
    wrong.insert("counted_day".to_owned(), text(&Clock::System.now().day()));
    thief(stack).put_item().table_name(&table).set_item(Some(wrong)).send().await.unwrap();
    let Recounted { before, after } = recount(stack, &own).await.unwrap();
    let wrong = Stock { bytes: 0, items: 5, members: 1, ..Stock::default() };
    assert_eq!((before, &after), (wrong, &right.after));
    assert_eq!(counts(&row(stack, &own, &table).await), [after.bytes, after.items, after.members]);

    let accountant = store(stack, crate::ask::credentials(stack, "AccountantRole", &[]));
    let key = |family: &str| text(&format!("TENANT#{}#{family}", own.id));
    for (family, sk) in [("ITEM#notes", "one"), ("PLAN", "PLAN"), ("ROLLUP#2026-11", "23#notes_get")] {
        let put =
            accountant.put_item().table_name(data_table(stack)).item("pk", key(family)).item("sk", text(sk));
        assert_eq!(crate::ask::verdict(put.send().await), "AccessDeniedException", "{family}");
    }
    let trail = accountant.query().table_name(data_table(stack)).key_condition_expression("pk = :pk");
    let trail = trail.expression_attribute_values(":pk", key("AUDIT#2026-11-23")).send().await;
    assert_eq!(crate::ask::verdict(trail), "AccessDeniedException");
}
