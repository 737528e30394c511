//! What goes over the wire when nobody waits for it, and what then need not.

use std::collections::BTreeMap;

use insula_local::Edge;
use insula_tenancy::{Clock, Limits, Plan, Slug, Tier};
use serde_json::{Value, json};

use crate::{
    ask::post_with,
    harness::{Stack, json_of, options, start, tool_call},
};

/// What one call of a tool asks of AWS. Of several calls the fewest: one opens the minute.
async fn asked(stack: &Stack, tool: &str, (arguments, key): (&Value, Option<&str>)) -> BTreeMap<String, u64> {
    let url = stack.host_url("acme");
    let token = stack.token("acme", &url);
    let mut asked: Vec<BTreeMap<String, u64>> = Vec::new();
    for turn in 0..3 {
        let before = stack.local.aws.calls();
        let key = key.map(|key| format!("{key}{turn}"));
        let headers: Vec<_> = key.iter().map(|key| ("idempotency-key", key.as_str())).collect();
        let reply = post_with(stack, &url, &token, &headers, &tool_call(tool, arguments.clone())).await;
        assert_eq!(json_of(&reply)["result"]["isError"], false, "{reply:?}");
        let more = stack.local.aws.calls().into_iter().filter_map(|(name, count)| {
            let more = count - before.get(&name).copied().unwrap_or(0);
            (more > 0).then_some((name, more))
        });
        asked.push(more.collect());
    }
    asked.into_iter().min_by_key(|asked| asked.values().sum::<u64>()).unwrap()
}

#[tokio::test]
async fn a_tool_call_is_one_transaction_and_its_own_reads() {
    let stack = start(options(Edge::Rest));
    let of = |counts: &[(&str, u64)]| {
        counts.iter().map(|(name, count)| (format!("dynamodb:{name}"), *count)).collect::<BTreeMap<_, _>>()
    };
    let note = json!({ "title": "t", "text": "t" });
    let made = stack.call("acme", "notes_create", note.clone()).await;
    let id = json!({ "id": made["structuredContent"]["id"] });
    for (tool, asks, counts) in [
        ("notes_create", (&note, None), &[("TransactWriteItems", 1)][..]),
        ("notes_create", (&note, Some("new")), &[("TransactWriteItems", 1)]),
        ("notes_get", (&id, None), &[("GetItem", 1), ("TransactWriteItems", 1)]),
        ("notes_list", (&json!({}), None), &[("Query", 1), ("TransactWriteItems", 1)]),
    ] {
        assert_eq!(asked(&stack, tool, asks).await, of(counts), "{tool} {asks:?}");
    }
}

#[tokio::test]
async fn what_is_known_to_be_repeated_costs_two_reads() {
    let stack = start(options(Edge::Rest));
    let url = stack.host_url("acme");
    let token = stack.token("acme", &url);
    let post = async |title: &str| {
        let call = tool_call("notes_create", json!({ "title": title, "text": "t" }));
        let before = stack.local.aws.calls();
        let reply = post_with(&stack, &url, &token, &[("idempotency-key", "same")], &call).await;
        let asked = ["GetItem", "TransactWriteItems"].map(|name| {
            let name = format!("dynamodb:{name}");
            stack.local.aws.calls().get(&name).unwrap_or(&0) - before.get(&name).unwrap_or(&0)
        });
        (json_of(&reply)["result"]["isError"] == false, asked)
    };
    assert!(post("t").await.0);
    // With other arguments it is refused, and the refusal is recorded; that it was repeated is known from there on.
    assert!(!post("another").await.0);
    assert_eq!(post("another").await, (false, [1, 1]), "its record, and the refusal's");
    // Its record, and the plan that it is answered under.
    assert_eq!(post("t").await, (true, [2, 0]));
}

#[tokio::test]
async fn the_first_event_after_init_opens_no_connection_to_aws() {
    let stack = start(options(Edge::Rest));
    // That there are new tenants is told by events.
    stack.local.followed().await;
    let (opened, calls) = (stack.local.aws.connections(), stack.local.aws.calls());
    let url = stack.host_url("acme");
    let token = stack.token("acme", &url);
    let reply = stack.post(&url, Some(&token), &tool_call("notes_list", json!({}))).await;
    assert_eq!(json_of(&reply)["result"]["isError"], false);
    // It did ask AWS, so that the count is not of an idle wire.
    assert!(stack.local.aws.calls().values().sum::<u64>() > calls.values().sum::<u64>() + 4);
    assert_eq!(stack.local.aws.connections(), opened);
}

/// What these calls of a tool ask of AWS together, within one minute: the first call of a minute opens it.
async fn asked_of_many(stack: &Stack, calls: &[Value]) -> BTreeMap<String, u64> {
    let url = stack.host_url("acme");
    let token = stack.token("acme", &url);
    let minute = || Clock::System.now().seconds().div_euclid(60);
    loop {
        assert_eq!(json_of(&stack.post(&url, Some(&token), &calls[0]).await)["result"]["isError"], false);
        let (began, before) = (minute(), stack.local.aws.calls());
        for call in calls {
            let reply = stack.post(&url, Some(&token), call).await;
            assert_eq!(json_of(&reply)["result"]["isError"], false, "{reply:?}");
        }
        let after = stack.local.aws.calls();
        if minute() == began {
            let more = |(name, count): (String, u64)| {
                let more = count - before.get(&name).copied().unwrap_or(0);
                (more > 0).then_some((name, more))
            };
            return after.into_iter().filter_map(more).collect();
        }
    }
}

#[tokio::test]
async fn forty_writes_in_a_row_are_forty_transactions_and_nothing_else_whatever_is_merged_behind_them() {
    let stack = start(options(Edge::Rest));
    let id: Slug = "acme".parse().unwrap();
    let id = stack.local.operator.find_tenant(&id).await.unwrap();
    let limits = Limits { calls_minute: 10_000, ..Limits::of(Tier::Business) };
    let change = |plan| Plan { limits, tier: Tier::Business, ..plan };
    stack.local.operator.change_plan(&id, change).await.unwrap();
    let text = |n: u64| (0..600).map(|word| format!("w{n}x{word} ")).collect::<String>();
    let note = |n: u64| json!({ "title": format!("note {n}"), "text": text(n) });
    let writes: Vec<Value> = (0..40).map(|n| tool_call("notes_create", note(n))).collect();
    let forty = BTreeMap::from([("dynamodb:TransactWriteItems".to_owned(), 40)]);
    assert_eq!(asked_of_many(&stack, &writes).await, forty);
    // Their index is merged, so there is something to leave out: one in sixteen of more leads to that, if none of these did.
    let is_merged = async |stack: &Stack| {
        stack.local.followed().await;
        let behind = stack.local.aws.calls_of_followers();
        ["sts:AssumeRole", "dynamodb:BatchWriteItem"].iter().all(|call| behind.contains_key(*call))
    };
    let mut more = 40..400;
    while !is_merged(&stack).await {
        let note = note(more.next().unwrap_or_else(|| panic!("nothing was merged")));
        assert_eq!(stack.call("acme", "notes_create", note).await["isError"], false);
    }
    // Nor does a search merge anything, whatever news it meets.
    let asked = asked_of_many(&stack, &[tool_call("search", json!({ "query": "w1x1 note" }))]).await;
    let kinds =
        ["BatchGetItem", "GetItem", "Query", "TransactWriteItems"].map(|name| format!("dynamodb:{name}"));
    assert!(asked.keys().all(|name| kinds.contains(name)), "{asked:?}");
    assert_eq!(asked["dynamodb:TransactWriteItems"], 1);
}
