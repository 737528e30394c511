//! Merges behind the calls: by the stream's function alone, wherever one stops, and never where the plan says otherwise.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use insula_local::aws::{Fault, FaultKind};
use insula_tenancy::{CollectionName, Erasure, Moving, Placement, Plan, Status, Tier};
use serde_json::{Value, json};

use super::{page, pages_stack, rows, rows_in, start_pages, titles, write};
use crate::{
    ask::{Own, credentials, data_table, on_stack, operate, store, tenant_store, text},
    harness::Stack,
};

/// A page of so many words, of which one is in every page and one in this one alone.
fn long_page(n: usize, words: usize) -> Value {
    let words: String = (0..words).map(|word| format!("w{:04} ", (n * 31 + word * 7) % 4_000)).collect();
    page(&format!("page {n}"), &format!("common only{n:05} {words}"))
}

/// So many pages whose news are a row that leads to a look. Those of two dozen are due.
fn long_pages(from: usize, count: usize) -> Vec<Value> {
    (from..from + count).map(|n| long_page(n, 1_200)).collect()
}

async fn segment_rows(own: &Own, stack: &Stack, table: &str) -> usize {
    let mut found = 0;
    for partition in 0..16 {
        found += rows_in(own, stack, table, &format!("ROWS#{partition:x}")).await;
    }
    found
}

/// Waits until all changes were followed, and those that came of that.
async fn settle(stack: &Stack) {
    for _ in 0..3 {
        stack.local.followed().await;
    }
}

#[tokio::test]
async fn what_many_calls_write_is_merged_by_the_function_of_the_stream_alone_and_found_as_before() {
    let stack = pages_stack();
    let own = Own::make(stack, "search-merge", Tier::Business).await;
    let mut ids = Vec::new();
    for n in 0..220 {
        ids.extend(write(&own, stack, &[long_page(n, 40)]).await);
        if n % 29 == 5 {
            assert_eq!(titles(&own, stack, &format!("only{n:05}")).await, [format!("page {n}")]);
            // One of the last, which is in the news or in a segment by now.
            let gone = n - n % 5;
            write(&own, stack, &[json!({ "id": ids[gone] })]).await;
            assert_eq!(titles(&own, stack, &format!("only{gone:05}")).await, Vec::<String>::new());
        }
    }
    ids.extend(write(&own, stack, &long_pages(220, 12)).await);
    settle(stack).await;
    let (news, manifests) = (rows(&own, stack, "NEWS").await, rows(&own, stack, "MANIFEST").await);
    let segments = segment_rows(&own, stack, data_table(stack)).await;
    assert!(news < 64 && manifests == 1 && segments > 10, "{news} {manifests} {segments}");
    // Nobody else writes rows of segments: nothing but a merge writes in batches.
    assert!(stack.local.aws.calls_of_followers().contains_key("dynamodb:BatchWriteItem"));
    assert!(!stack.local.aws.calls().contains_key("dynamodb:BatchWriteItem"));
    let gone: BTreeSet<usize> = (0..220).filter(|n| n % 29 == 5).map(|n| n - n % 5).collect();
    for n in (0..232).filter(|n| n % 7 == 0 || gone.contains(n)) {
        let expected = if gone.contains(&n) { vec![] } else { vec![format!("page {n}")] };
        assert_eq!(titles(&own, stack, &format!("only{n:05}")).await, expected);
    }
    assert_eq!(titles(&own, stack, "common").await.len(), 20);
    assert_eq!(titles(&own, stack, "only0020*").await.len(), 9, "ten but for 205, which has ended");
    // What is in a segment ends and changes as what is in the news does.
    write(&own, stack, &[json!({ "id": ids[1] })]).await;
    write(&own, stack, &[json!({ "id": ids[64], "page": { "title": "page 64", "text": "renewed" } })]).await;
    assert_eq!(titles(&own, stack, "only00001").await, Vec::<String>::new());
    assert_eq!(titles(&own, stack, "only00064").await, Vec::<String>::new());
    assert_eq!(titles(&own, stack, "renewed").await, ["page 64"]);
    assert_eq!(titles(&own, stack, "only00066").await, ["page 66"]);
    let left: Vec<_> = ids.iter().enumerate().filter(|(n, _)| *n != 1 && !gone.contains(n)).collect();
    for chunk in left.chunks(90) {
        let ends: Vec<Value> = chunk.iter().map(|(_, id)| json!({ "id": id })).collect();
        write(&own, stack, &ends).await;
    }
    assert_eq!(titles(&own, stack, "common renewed").await, Vec::<String>::new());
    settle(stack).await;
    assert_eq!(titles(&own, stack, "common renewed").await, Vec::<String>::new());
}

fn fail(stack: &Stack, (service, operation, text): (&str, &str, &str), kind: FaultKind, times: usize) {
    for _ in 0..times {
        let fault = Fault { service: service.to_owned(), operation: operation.to_owned(), kind };
        stack.local.aws.fault_of_follower(fault, text);
    }
}

/// Every call that a merge makes under its session, in its order. The last is that of the news' end.
const MERGES: [(&str, &str, &str); 5] = [
    ("dynamodb", "GetItem", "#PLAN"),
    ("dynamodb", "Query", "#SEARCH#NEWS"),
    ("dynamodb", "GetItem", "#SEARCH#MANIFEST"),
    ("dynamodb", "BatchWriteItem", "#SEARCH#ROWS"),
    ("dynamodb", "TransactWriteItems", "#SEARCH#MANIFEST"),
];

#[tokio::test]
async fn wherever_a_merge_stops_a_search_is_right_and_the_next_merge_goes_on() {
    let stack: &Stack = Box::leak(Box::new(start_pages()));
    for (at, call) in MERGES.into_iter().enumerate() {
        for kind in [FaultKind::Before, FaultKind::After] {
            let own =
                Own::make(stack, &format!("search-stop{at}{kind:?}").to_lowercase(), Tier::Business).await;
            write(&own, stack, &long_pages(0, 12)).await;
            settle(stack).await;
            // Every attempt of the SDK fails.
            fail(stack, call, kind, 3);
            let ids = write(&own, stack, &long_pages(12, 12)).await;
            settle(stack).await;
            let sees = async || {
                for n in [0, 11, 12, 23] {
                    let found = titles(&own, stack, &format!("only{n:05}")).await;
                    assert_eq!(found, [format!("page {n}")], "{call:?} {kind:?}");
                }
                let common = titles(&own, stack, "common").await;
                let once: BTreeSet<&String> = common.iter().collect();
                assert_eq!((once.len(), common.len()), (20, 20), "{call:?} {kind:?}");
            };
            sees().await;
            write(&own, stack, &[json!({ "id": ids[0] })]).await;
            assert_eq!(titles(&own, stack, "only00012").await, Vec::<String>::new());
            write(&own, stack, &[long_page(12, 9)]).await;
            write(&own, stack, &long_pages(24, 12)).await;
            settle(stack).await;
            sees().await;
            assert!(rows(&own, stack, "NEWS").await <= 3, "{call:?} {kind:?}");
            assert!(segment_rows(&own, stack, data_table(stack)).await > 10, "{call:?} {kind:?}");
        }
    }
}

#[tokio::test]
async fn a_merge_that_has_no_session_or_no_answer_is_left_to_the_next_look_and_the_stream_goes_on() {
    let stack: &'static Stack = Box::leak(Box::new(start_pages()));
    for (at, (call, kind, times)) in [
        (("sts", "AssumeRole", "IndexRole"), FaultKind::Before, 3),
        (("sts", "AssumeRole", "IndexRole"), FaultKind::Deny, 1),
        (("dynamodb", "BatchWriteItem", "#SEARCH#ROWS"), FaultKind::Hang, 3),
    ]
    .into_iter()
    .enumerate()
    {
        let own = Own::make(stack, &format!("search-late{at}"), Tier::Business).await;
        fail(stack, call, kind, times);
        write(&own, stack, &long_pages(0, 30)).await;
        settle(stack).await;
        // A batch that had failed would have come again, and no fault would have met it.
        assert_eq!(rows(&own, stack, "MANIFEST").await, 0, "{call:?} {kind:?}");
        assert_eq!(titles(&own, stack, "only00029").await, ["page 29"]);
        write(&own, stack, &long_pages(30, 12)).await;
        settle(stack).await;
        assert_eq!(rows(&own, stack, "MANIFEST").await, 1, "{call:?} {kind:?}");
        assert_eq!(titles(&own, stack, "only00029").await, ["page 29"]);
    }
}

#[tokio::test]
async fn a_search_whose_rows_are_merged_away_under_it_begins_again() {
    let stack: &Stack = Box::leak(Box::new(start_pages()));
    let own = Own::make(stack, "search-race", Tier::Business).await;
    let mut doomed = Vec::new();
    for from in [0, 10, 20] {
        doomed.extend(write(&own, stack, &long_pages(from, 10)).await);
    }
    let doomed = doomed.split_off(15);
    // Two callers write all the time, which is merged behind them; the third searches, and ends what it has found.
    let writer = async |from: usize| {
        for n in 0..12 {
            write(&own, stack, &long_pages(from + n * 10, 10)).await;
        }
    };
    let searcher = async || {
        for (n, id) in (15..30).zip(&doomed) {
            assert_eq!(
                titles(&own, stack, &format!("only{:05}", n - 15)).await,
                [format!("page {}", n - 15)]
            );
            assert_eq!(titles(&own, stack, &format!("only{n:05}")).await, [format!("page {n}")]);
            write(&own, stack, &[json!({ "id": id })]).await;
            assert_eq!(titles(&own, stack, &format!("only{n:05}")).await, Vec::<String>::new());
        }
    };
    tokio::join!(writer(1_000), writer(2_000), searcher());
    settle(stack).await;
    for n in [0, 14, 1_000, 1_119, 2_000, 2_119] {
        assert_eq!(titles(&own, stack, &format!("only{n:05}")).await, [format!("page {n}")]);
    }
    for n in [15, 22, 29] {
        assert_eq!(titles(&own, stack, &format!("only{n:05}")).await, Vec::<String>::new());
    }
    assert!(segment_rows(&own, stack, data_table(stack)).await > 10);
    assert_eq!(stack.local.aws.denials(), Vec::<String>::new());
}

/// A change of a plan by the operator.
type Change = fn(Plan) -> Plan;

/// Puts rows of news that are due and lead to a look, as if calls had come before the plan was what it is.
async fn put_news(own: &Own, stack: &Stack, body: &AttributeValue, from: usize) {
    let tenant = tenant_store(stack, &own.id.to_string());
    for n in from..from + 3 {
        let put = tenant.put_item().table_name(data_table(stack)).item("sk", text(&format!("late{n:03}x0")));
        let pk = text(&format!("TENANT#{}#SEARCH#NEWS", own.id));
        put.item("pk", pk).item("body", body.clone()).send().await.unwrap();
    }
}

#[tokio::test]
async fn the_index_of_who_is_suspended_moved_elsewhere_or_erased_is_left_as_it_is() {
    let stack = pages_stack();
    let change = async |own: &Own, change: Change| {
        let id = own.id.clone();
        operate(stack, |operator| async move { operator.change_plan(&id, change).await }).await.unwrap();
    };
    let active: Change =
        |plan| Plan { status: Status::Active, moving: None, placement: Placement::Pooled, ..plan };
    let states: [(&str, Change); 5] = [
        ("suspended", |plan| Plan { status: Status::Suspended, ..plan }),
        ("copying", |plan| Plan { moving: Some(Moving::Copying), ..plan }),
        ("closed", |plan| Plan { moving: Some(Moving::Closed), ..plan }),
        ("elsewhere", |plan| Plan { placement: Placement::Dedicated, ..plan }),
        ("erasing", |plan| Plan { status: Status::Suspended, ..plan }),
    ];
    for (name, state) in states {
        let own = Own::make(stack, &format!("search-{name}"), Tier::Business).await;
        write(&own, stack, &long_pages(0, 12)).await;
        settle(stack).await;
        let news = tenant_store(stack, &own.id.to_string())
            .query()
            .table_name(data_table(stack))
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(&format!("TENANT#{}#SEARCH#NEWS", own.id)))
            .send()
            .await
            .unwrap();
        let body = news.items()[0]["body"].clone();
        change(&own, state).await;
        if name == "erasing" {
            let (id, confirmed) = (own.id.clone(), own.id.to_string());
            let collections: Vec<CollectionName> =
                vec!["notes".parse().unwrap(), "documents".parse().unwrap()];
            let begin = async move {
                let erasure = Erasure { audit: insula_tenancy::AuditEnd::Removed, collections };
                stack.local.eraser.begin_erasure(&id, &confirmed, &erasure).await
            };
            on_stack(stack, begin).await.unwrap();
        }
        put_news(&own, stack, &body, 0).await;
        settle(stack).await;
        assert_eq!(rows(&own, stack, "MANIFEST").await, 0, "{name}");
        assert_eq!(segment_rows(&own, stack, data_table(stack)).await, 0, "{name}");
        if name == "erasing" {
            continue;
        }
        change(&own, active).await;
        put_news(&own, stack, &body, 3).await;
        settle(stack).await;
        assert_eq!(rows(&own, stack, "MANIFEST").await, 1, "{name}");
    }
}

#[tokio::test]
async fn the_index_in_a_tenants_own_table_is_merged_there_and_comes_back_with_it() {
    let stack = pages_stack();
    let own = Own::make(stack, "search-own-table", Tier::Business).await;
    let moved = async |to: Placement| {
        let id = own.id.clone();
        let names: Vec<CollectionName> = vec!["notes".parse().unwrap(), "documents".parse().unwrap()];
        let moving = async move {
            let begun = stack.local.mover.begin_move(&id, to).await?;
            // Said once, however often it is said.
            assert_eq!(stack.local.mover.begin_move(&id, to).await?, begun);
            assert_eq!((begun.moving, begun.placement == to), (Some(Moving::Copying), false));
            stack.local.mover.move_tenant(&id, to, &names).await
        };
        on_stack(stack, moving).await.unwrap();
    };
    let (pooled, dedicated) = (data_table(stack).to_owned(), format!("{}-{}", data_table(stack), own.id));
    write(&own, stack, &long_pages(0, 12)).await;
    settle(stack).await;
    moved(Placement::Dedicated).await;
    write(&own, stack, &long_pages(12, 20)).await;
    settle(stack).await;
    assert!(segment_rows(&own, stack, &dedicated).await > 10);
    assert_eq!(rows_in(&own, stack, &dedicated, "MANIFEST").await, 1);
    let mover = store(stack, credentials(stack, "MoverRole", &[]));
    for part in ["NEWS", "MANIFEST", "ROWS#1"] {
        let query = mover.query().table_name(&pooled).key_condition_expression("pk = :pk");
        let pk = text(&format!("TENANT#{}#SEARCH#{part}", own.id));
        let left = query.expression_attribute_values(":pk", pk).send().await.unwrap();
        assert_eq!(left.count, 0, "{part}");
    }
    assert_eq!(titles(&own, stack, "only00003").await, ["page 3"]);
    moved(Placement::Pooled).await;
    assert!(segment_rows(&own, stack, &pooled).await > 10);
    for n in [0, 11, 12, 31] {
        assert_eq!(titles(&own, stack, &format!("only{n:05}")).await, [format!("page {n}")]);
    }
}
