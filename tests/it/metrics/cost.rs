//! What counting costs: calls of the store for a batch of the stream.

use insula_local::Edge;
use insula_tenancy::{Clock, Tier};
use serde_json::json;

use super::{added, one_of_each};
use crate::{
    ask::{Own, data_table, invoke, text},
    audit::chains::{remove, rows, thief},
    harness::{Stack, options, start},
};

/// Forgets how far a tenant's chains go, so that its records are new to the stream's function.
async fn forget(stack: &Stack, own: &Own) {
    let partition = text(&format!("TENANT#{}#HEAD#{}", own.id, Clock::System.now().day()));
    let query = thief(stack).query().table_name(data_table(stack)).key_condition_expression("pk = :pk");
    let heads = query.expression_attribute_values(":pk", partition).send().await.unwrap();
    for head in heads.items() {
        remove(stack, head).await;
    }
}

#[tokio::test]
async fn a_batch_is_four_calls_of_the_store_however_many_records_and_tenants_it_has() {
    let stack: &'static Stack = Box::leak(Box::new(start(options(Edge::Rest))));
    let mut records = Vec::new();
    for slug in ["cost-one", "cost-other"] {
        let own = Own::make(stack, slug, Tier::Starter).await;
        one_of_each(stack, &own).await;
        stack.local.followed().await;
        stack.local.followed().await;
        forget(stack, &own).await;
        records.extend(rows(stack, &own).await.iter().map(|row| added(stack, row)));
    }
    stack.local.followed().await;
    assert_eq!(records.len(), 12);
    for (batch, units_max) in [(vec![records[0].clone()], 7.0), (records.clone(), 50.0)] {
        let (calls, units) = (stack.local.aws.calls_of_followers(), stack.local.aws.units());
        let reply = invoke(stack, "meter", &json!({ "Records": batch })).await.unwrap();
        assert_eq!(reply, json!({ "batchItemFailures": [] }));
        let more = |name: &str| {
            let count = |calls: &std::collections::BTreeMap<String, u64>| {
                calls.get(&format!("dynamodb:{name}")).copied().unwrap_or(0)
            };
            count(&stack.local.aws.calls_of_followers()) - count(&calls)
        };
        assert_eq!(["BatchGetItem", "TransactWriteItems", "PutItem"].map(more), [3, 1, 0]);
        let sum = |units: &std::collections::BTreeMap<(String, String), f64>| units.values().sum::<f64>();
        let consumed = sum(&stack.local.aws.units()) - sum(&units);
        assert!(consumed > 0.0 && consumed <= units_max, "{} records: {consumed}", batch.len());
    }
}
