//! The function that follows the stream, when one of its calls goes wrong: Lambda gives it the batch once more, and then
//! everything counts once and was told at least once.

use std::collections::BTreeMap;

use insula_local::aws::Whose;
use insula_tenancy::{Clock, Limits, Plan, Tier};
use serde_json::{Value, json};

use super::{
    Ask, Books, Guest, House,
    books::{number, partition},
    door::{OF_PROCESSES, Turn, in_these_ways},
    unique,
};
use crate::{
    ask::{Own, operate},
    audit::chains::verify,
    metrics::followed,
};

const SCOPES: &str = "items:read notes:read notes:write";

/// A tenant begins, is called by two instances, refuses a call, and gets another plan.
async fn live([house, other]: &[House; 2]) -> Guest {
    let own = Own::make(house.stack, &format!("followed-{}", unique()), Tier::Professional).await;
    let guest = Guest::holding(house, own, "first", SCOPES);
    for house in [house, other] {
        let create = Ask::tool("notes_create", json!({ "title": "a", "text": "" }));
        let said = guest.ask(house, &create.keyed(&unique())).await;
        assert!(said.is_done(), "{said:?}");
    }
    let said = guest.ask(house, &Ask::tool("search", json!({ "query": "a" }))).await;
    assert_eq!(said.code, "insufficient_scope", "{said:?}");
    let change = |plan: Plan| Plan { limits: Limits { items: 7, ..plan.limits }, ..plan };
    let id = guest.own.id.clone();
    operate(house.stack, move |operator| async move { operator.change_plan(&id, change).await })
        .await
        .unwrap();
    followed(house.stack).await;
    guest
}

/// What the rollups say of each action: let in, and denied.
async fn rolled_up(house: &House, own: &Own) -> BTreeMap<String, [u64; 2]> {
    let now = Clock::System.now();
    let mut rows = partition(house, own, &format!("ROLLUP#{}", now.month())).await;
    let yesterday = now.plus_s(-24 * 3600);
    if yesterday.month() != now.month() {
        rows.extend(partition(house, own, &format!("ROLLUP#{}", yesterday.month())).await);
    }
    let mut actions = BTreeMap::<String, [u64; 2]>::new();
    for row in rows {
        let count = |name: &str| u64::try_from(number(&row[name])).unwrap();
        let (_, action) = row["sk"]["S"].as_str().unwrap().split_once('#').unwrap();
        let [allowed, denied] = actions.entry(action.to_owned()).or_default();
        *allowed += count("tool_calls") + count("api_requests");
        *denied += count("denied_calls");
    }
    actions
}

/// How often the operator was told of a tenant, by kind.
fn told(house: &House, own: &Own) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for event in house.stack.local.aws.events() {
        let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
        if detail["tenant"] == own.id.to_string().as_str() {
            *told.entry(event["DetailType"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    told
}

/// How many calls the function has made.
async fn take(houses: &[House; 2], turn: Turn) -> usize {
    let house = &houses[0];
    followed(house.stack).await;
    let (guest, seen) = turn.run(house, Whose::Followers, live(houses)).await;
    let own = &guest.unwrap().own;
    let of = format!("{turn:?} of {seen:?}");
    for late in [false, true] {
        if late {
            house.stack.local.aws.release().await;
        }
        followed(house.stack).await;
        let books = Books::read(house, own).await.unwrap_or_else(|wrong| panic!("{of}: {wrong}"));
        assert_eq!((books.charged, books.items(), books.denied["insufficient_scope"]), (2, 2, 1), "{of}");
        let expected = [("notes_create", [2, 0]), ("search", [0, 1])];
        let expected = expected.map(|(action, counts)| (action.to_owned(), counts)).into();
        assert_eq!(rolled_up(house, own).await, expected, "{of}");
        let verified = verify(house.stack, own).await.unwrap();
        assert_eq!((verified.records, verified.beyond_heads), (3, 0), "{of}: {verified:?}");
        let told = told(house, own);
        assert_eq!(
            told.keys().collect::<Vec<_>>(),
            ["Tenant Created", "Tenant Plan Changed"],
            "{of}: {told:?}"
        );
    }
    seen.calls.len()
}

#[tokio::test]
async fn what_is_followed_counts_once_and_is_told_whatever_goes_wrong() {
    let house = House::open().await;
    let other = House::before(house.stack).await;
    let houses = [house, other];
    in_these_ways(0, &OF_PROCESSES, async |turn| take(&houses, turn).await).await;
}
