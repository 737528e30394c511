//! A tenant's own table, whose stream is followed as that of the table of all is.

use insula_tenancy::{Placement, Tier};
use serde_json::{Value, json};

use super::{followed, one_of_each, stocks, told, usage};
use crate::{
    ask::{Own, data_table, on_stack},
    audit::chains::{Row, rows_in, thief, verify},
    harness::{Stack, stack},
};

async fn moved(stack: &'static Stack, own: &Own, to: Placement) {
    let (id, names) = (own.id.clone(), vec!["notes".parse().unwrap()]);
    on_stack(stack, async move { stack.local.mover.move_tenant(&id, to, &names).await }).await.unwrap();
}

fn table(stack: &Stack, own: &Own) -> String {
    format!("{}-{}", data_table(stack), own.id)
}

/// Calls of Lambda's list of mappings so far.
fn calls(stack: &Stack, operation: &str) -> u64 {
    stack.local.aws.calls().get(&format!("lambda:{operation}")).copied().unwrap_or(0)
}

/// What calls came to but for their times.
fn counted(mut activity: Value) -> Value {
    let members = activity.as_object_mut().unwrap();
    members.remove("last_active");
    for of in members["by_action"].as_object_mut().unwrap().values_mut() {
        of.as_object_mut().unwrap().remove("latency");
    }
    for of in members["by_day"].as_object_mut().unwrap().values_mut() {
        of.as_object_mut().unwrap().remove("latency");
    }
    activity
}

#[tokio::test]
async fn calls_count_in_a_table_of_its_own_as_they_do_in_that_of_all_and_once_whatever_is_moved() {
    let stack = stack();
    let [own, twin] = [
        Own::make(stack, "followed-own", Tier::Business).await,
        Own::make(stack, "followed-twin", Tier::Business).await,
    ];
    let mut after = Vec::new();
    for to in [Placement::Dedicated, Placement::Pooled, Placement::Dedicated] {
        moved(stack, &own, to).await;
        for tenant in [&own, &twin] {
            one_of_each(stack, tenant).await;
        }
        let of = counted(usage(stack, &own, "").await["activity"].take());
        assert_eq!(of, counted(usage(stack, &twin, "").await["activity"].take()), "{to:?}");
        after.push(of["tool_calls"].clone());
        assert_eq!(verify(stack, &own).await.map(|verified| verified.beyond_heads), Ok(0), "{to:?}");
    }
    assert_eq!(after, [4, 8, 12]);
    assert_eq!(told(stack, &own, "Audit Trail Broken"), [Value::Null; 0]);
}

#[tokio::test]
async fn a_record_that_is_removed_from_a_table_of_its_own_is_told_and_the_remains_of_a_move_are_not() {
    let stack = stack();
    let own = Own::make(stack, "followed-removed", Tier::Business).await;
    moved(stack, &own, Placement::Dedicated).await;
    one_of_each(stack, &own).await;
    let table = table(stack, &own);
    let row = rows_in(stack, &own, &table).await.remove(0);
    moved(stack, &own, Placement::Pooled).await;
    followed(stack).await;
    assert_eq!(rows_in(stack, &own, &table).await, Vec::<Row>::new());
    assert_eq!(told(stack, &own, "Audit Trail Broken"), [Value::Null; 0]);
    moved(stack, &own, Placement::Dedicated).await;
    let delete = thief(stack).delete_item().table_name(&table);
    delete.key("pk", row["pk"].clone()).key("sk", row["sk"].clone()).send().await.unwrap();
    followed(stack).await;
    let classes = told(stack, &own, "Audit Trail Broken");
    let classes: Vec<_> = classes.iter().map(|alarm| (&alarm["class"], &alarm["record"])).collect();
    assert_eq!(classes, [(&json!("removed"), &json!(row["sk"].as_s().unwrap()))]);
}

#[tokio::test]
async fn a_drift_in_a_table_of_its_own_is_corrected_beside_its_stream() {
    let stack = stack();
    let own = Own::make(stack, "followed-drift", Tier::Business).await;
    moved(stack, &own, Placement::Dedicated).await;
    let table = table(stack, &own);
    let wrong = stocks::stock_row(&own, [1_000, 7, 2]);
    thief(stack).put_item().table_name(&table).set_item(Some(wrong)).send().await.unwrap();
    followed(stack).await;
    let drift = told(stack, &own, "Storage Drift");
    assert_eq!(drift.len(), 1);
    assert_eq!(drift[0]["after"], json!({ "bytes": 0, "items": 0, "members": 0 }));
    assert_eq!(stocks::counts(&stocks::row(stack, &own, &table).await), [0, 0, 0]);
}

#[tokio::test]
async fn a_table_has_each_follower_once_and_none_when_it_is_gone() {
    let stack = stack();
    let own = Own::make(stack, "followed-once", Tier::Business).await;
    let (made, ended) = (calls(stack, "CreateEventSourceMapping"), calls(stack, "DeleteEventSourceMapping"));
    for _ in 0..2 {
        moved(stack, &own, Placement::Dedicated).await;
    }
    assert!(calls(stack, "CreateEventSourceMapping") > made);
    assert_eq!(stack.local.followers_of(&table(stack, &own)), ["MeterFunction"]);
    moved(stack, &own, Placement::Pooled).await;
    let id = own.id.clone();
    on_stack(stack, async move { stack.local.mover.drop_own_table(&id).await }).await.unwrap();
    assert!(calls(stack, "DeleteEventSourceMapping") > ended);
    assert_eq!(stack.local.followers_of(&table(stack, &own)), Vec::<String>::new());
}
