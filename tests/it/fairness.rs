//! One tenant's flood: refused by an instance that knows before it asks anybody, counted in the tenant's own trail, exact over
//! many instances, and no cost to others.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use futures_util::future::join_all;
use http::Method;
use insula_local::Edge;
use insula_tenancy::{AuditQuery, AuditRecord, Clock, Limits, Plan, Tier, operator::ROUTE_TTL_S};
use serde_json::{Value, json};

use crate::{
    ask::{on_stack, operate},
    faults::{Ask, Guest, House, Said, Session},
    harness::{Stack, options, start},
};

/// Calls of a minute of the tier that floods.
const LIMIT: u64 = 30;
/// What a flood has of it.
const TIMES: u64 = 20;
/// Seconds after which an instance reads again what leads to a tenant.
const ROUTE_S: i64 = ROUTE_TTL_S.cast_signed();
/// Refusals of the store after which an instance refuses by itself.
const SURE: u64 = 8;

/// A stack with instances before it, in a time that stands still unless a test moves it.
struct Street {
    houses: Vec<House>,
    micros: Arc<AtomicI64>,
    stack: &'static Stack,
}

impl Street {
    async fn open(houses: usize) -> Self {
        let stack: &'static Stack = Box::leak(Box::new(start(options(Edge::Rest))));
        let micros = Arc::new(AtomicI64::new(Clock::System.now().micros()));
        let mut all = Vec::new();
        for _ in 0..houses {
            all.push(House::before_at(stack, Clock::Fixed(Arc::clone(&micros))).await);
        }
        Self { houses: all, micros, stack }
    }

    fn pass_s(&self, seconds: i64) {
        self.micros.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }

    /// What was asked of AWS so far, when nothing that follows earlier calls is under way.
    async fn asked(&self) -> BTreeMap<String, u64> {
        on_stack(self.stack, self.stack.local.followed()).await;
        self.stack.local.aws.calls()
    }

    /// What was asked of AWS since then.
    async fn asked_since(&self, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let more = self.asked().await.into_iter().map(|(name, count)| {
            let more = count - before.get(&name).copied().unwrap_or(0);
            (name, more)
        });
        more.filter(|(_, more)| *more > 0).collect()
    }

    /// A tenant of its own. Its token must not be of a time to come, so the time that stands still catches up here.
    async fn guest(&self, slug: &str, tier: Tier) -> Guest {
        let guest = Guest::make(&self.houses[0], slug, tier).await;
        self.micros.fetch_max(Clock::System.now().micros(), Ordering::Relaxed);
        guest
    }

    /// A tenant whose minute is used up, as the first instance knows for sure.
    async fn spent(&self, slug: &str) -> Guest {
        let guest = self.guest(slug, Tier::Free).await;
        let said = self.calls(&guest, LIMIT + SURE).await;
        assert_eq!(said, (LIMIT, SURE));
        guest
    }

    /// How many of so many calls were done, and how many refused for the quota.
    async fn calls(&self, guest: &Guest, count: u64) -> (u64, u64) {
        let (mut done, mut refused) = (0, 0);
        for _ in 0..count {
            let said = guest.ask(&self.houses[0], &create()).await;
            done += u64::from(said.is_done());
            refused += u64::from(said.code == "quota_reached");
        }
        assert_eq!(done + refused, count);
        (done, refused)
    }
}

/// The tenant's trail, which a test's own time is a little ahead of.
async fn trail(stack: &'static Stack, guest: &Guest) -> Vec<AuditRecord> {
    let id = guest.own.id.clone();
    let until = Some(Clock::System.now().plus_s(3600));
    let ask =
        async move { stack.local.auditor.audit(&id, &AuditQuery { until, ..Default::default() }).await };
    on_stack(stack, ask).await.unwrap()
}

fn create() -> Ask {
    Ask::tool("notes_create", json!({ "title": "t", "text": "t" }))
}

fn counts(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_flood_is_refused_without_a_call_of_aws_and_counted_in_the_tenants_own_trail() {
    let street = Street::open(1).await;
    let guest = street.spent("fair-flood").await;
    let before = street.asked().await;
    let more = LIMIT * TIMES - LIMIT - SURE;
    assert_eq!(street.calls(&guest, more).await, (0, more));
    assert_eq!(street.asked_since(&before).await, counts(&[]));
    let refused = guest.ask(&street.houses[0], &create()).await;
    let error: Value = serde_json::from_str(&refused.body).unwrap();
    let data = &error["result"]["_meta"]["tenancy/error"]["data"];
    assert_eq!((&data["kind"], &data["limit"]), (&json!("calls_minute"), &json!(LIMIT)), "{error}");
    let records = trail(street.stack, &guest).await;
    assert_eq!(
        records.len(),
        usize::try_from(LIMIT + SURE).unwrap(),
        "the store's refusals have their own records"
    );

    street.pass_s(61);
    assert!(guest.ask(&street.houses[0], &create()).await.is_done(), "of the next minute");
    let records = trail(street.stack, &guest).await;
    let several: Vec<_> =
        records.iter().filter_map(|record| Some((record, record.counted.clone()?))).collect();
    let [(record, counted)] = several.as_slice() else { panic!("{several:?}") };
    assert_eq!(counted.reasons, counts(&[("quota_reached", more + 1)]));
    assert_eq!((record.decision.as_str(), record.reason.as_str()), ("denied", "quota_reached"));
    assert_eq!((record.action.as_str(), &record.who), ("calls", &None));
    let (id, stack) = (guest.own.id.clone(), street.stack);
    let day = record.at.parse().unwrap();
    on_stack(stack, stack.local.followed()).await;
    let verify = async move { stack.local.auditor.verify_audit(&id, day).await };
    let verified = on_stack(stack, verify).await.unwrap().unwrap();
    assert_eq!(verified.beyond_heads, 0, "its place is in a chain");
}

#[tokio::test]
async fn a_flood_that_goes_on_writes_one_record_a_window() {
    let street = Street::open(1).await;
    let guest = street.guest("fair-long", Tier::Business).await;
    assert_eq!(street.calls(&guest, 1).await, (1, 0));
    let (id, limits) = (guest.own.id.clone(), Limits { calls_month: 1, ..Limits::of(Tier::Business) });
    let lower = move |plan| Plan { limits, ..plan };
    operate(street.stack, |operator| async move { operator.change_plan(&id, lower).await }).await.unwrap();
    // Who is routed by a newer plan asks the store again until it is sure.
    street.pass_s(ROUTE_S);
    assert_eq!(street.calls(&guest, 10).await, (0, 10));
    let before = street.asked().await;
    for _ in 0..12 {
        street.pass_s(10);
        assert_eq!(street.calls(&guest, 10).await, (0, 10));
    }
    let asked = street.asked_since(&before).await;
    // Two windows have ended. Each ten seconds the plan is read once, and no more; each minute the seat is looked at, and
    // each half minute what leads here: the slug, the tenant, its issuer and its claim.
    assert_eq!(asked.get("dynamodb:TransactWriteItems"), Some(&2), "{asked:?}");
    assert!(asked["dynamodb:GetItem"] <= 12 + 2 * 3 + 4 * 4, "{asked:?}");
    let records = trail(street.stack, &guest).await;
    let counted =
        records.iter().filter_map(|record| record.counted.clone()).map(|c| c.reasons["quota_reached"]);
    assert_eq!(
        (records.len(), counted.sum::<u64>()),
        (11, 2 + 11 * 10),
        "what is left is of the window that runs"
    );
}

#[tokio::test]
async fn a_raised_limit_counts_from_the_first_call_that_brings_its_epoch_and_else_within_two_seconds() {
    let street = Street::open(1).await;
    for (slug, brings) in [("fair-epoch", true), ("fair-silent", false)] {
        let mut guest = street.spent(slug).await;
        let (id, limits) = (guest.own.id.clone(), Limits { calls_minute: 60, ..Limits::of(Tier::Free) });
        let raise = move |plan| Plan { limits, ..plan };
        let plan = operate(street.stack, |operator| async move { operator.change_plan(&id, raise).await })
            .await
            .unwrap();
        if brings {
            guest.epoch = plan.epoch;
        } else {
            let before = street.asked().await;
            assert_eq!(street.calls(&guest, 5).await, (0, 5), "nobody has said so");
            assert_eq!(street.asked_since(&before).await, counts(&[]));
            street.pass_s(2);
        }
        assert_eq!(street.calls(&guest, 5).await, (5, 0), "{slug}");
    }
}

#[tokio::test]
async fn a_plan_that_is_unchanged_costs_one_read_in_two_seconds() {
    let street = Street::open(1).await;
    let guest = street.spent("fair-doubt").await;
    street.pass_s(2);
    let before = street.asked().await;
    assert_eq!(street.calls(&guest, 50).await, (0, 50));
    assert_eq!(street.asked_since(&before).await, counts(&[("dynamodb:GetItem", 1)]));
}

#[tokio::test]
async fn writes_that_have_no_room_are_refused_without_a_call_of_aws_until_there_is_some() {
    let street = Street::open(2).await;
    let [house, other] = &street.houses[..] else { panic!("there are two") };
    let guest = street.guest("fair-full", Tier::Starter).await;
    let notes = "/v1/collections/notes/items";
    let make = async |house: &House| {
        guest.ask(house, &Ask::rest(Method::POST, notes, &json!({ "title": "t", "text": "t" }))).await
    };
    let refuse = async |count: usize| {
        for _ in 0..count {
            assert_eq!(make(house).await.code, "quota_reached");
        }
    };
    let delete = async |house: &House, made: &Said| {
        let made: Value = serde_json::from_str(&made.body).unwrap();
        let path = format!("{notes}/{}", made["id"].as_str().unwrap());
        let delete = Ask::rest(Method::DELETE, path, &Value::Null).with("if-match", "\"1\"");
        assert_eq!(guest.ask(house, &delete).await.status, 204);
    };
    let first = make(house).await;
    let (id, limits) = (guest.own.id.clone(), Limits { items: 1, ..Limits::of(Tier::Starter) });
    let lower = move |plan| Plan { limits, ..plan };
    operate(street.stack, |operator| async move { operator.change_plan(&id, lower).await }).await.unwrap();
    street.pass_s(ROUTE_S);

    // The store refuses until the instance is sure, and twenty refusals of a window have a record.
    refuse(20).await;
    let before = street.asked().await;
    refuse(50).await;
    assert_eq!(street.asked_since(&before).await, counts(&[]), "what was not charged costs nothing");
    let list = guest.ask(house, &Ask::rest(Method::GET, notes, &Value::Null)).await;
    assert_eq!(list.status, 200, "what does not grow has room: {list:?}");

    delete(house, &first).await;
    let second = make(house).await;
    assert_eq!(second.status, 201, "{second:?}");
    refuse(9).await;
    delete(other, &second).await;
    refuse(1).await;
    street.pass_s(2);
    assert_eq!(make(house).await.status, 201, "one asks the store");
    refuse(1).await;
}

#[tokio::test]
async fn a_repetition_is_answered_under_a_used_up_quota_and_asking_what_is_used_too() {
    let street = Street::open(1).await;
    let house = &street.houses[0];
    let guest = street.guest("fair-keys", Tier::Business).await;
    let body = json!({ "title": "t", "text": "t" });
    let post = Ask::rest(Method::POST, "/v1/collections/notes/items", &body);
    let made = guest.ask(house, &post.clone().keyed("one")).await;
    assert!(made.is_done(), "{made:?}");
    let (id, limits) = (guest.own.id.clone(), Limits { calls_month: 1, ..Limits::of(Tier::Business) });
    let lower = move |plan| Plan { limits, ..plan };
    operate(street.stack, |operator| async move { operator.change_plan(&id, lower).await }).await.unwrap();
    for _ in 0..SURE {
        let refused = guest.ask(house, &post).await;
        assert_eq!((refused.status, refused.code.as_str()), (429, "quota_reached"));
    }
    let before = street.asked().await;
    assert_eq!(guest.ask(house, &post).await.code, "quota_reached");
    assert_eq!(street.asked_since(&before).await, counts(&[]), "it is known");
    let again = guest.ask(house, &post.clone().keyed("one")).await;
    assert_eq!(again, made, "a repetition costs nothing");
    let before = street.asked().await;
    assert_eq!(guest.ask(house, &post.clone().keyed("two")).await.code, "quota_reached");
    let read = counts(&[("dynamodb:GetItem", 1)]);
    assert_eq!(
        street.asked_since(&before).await,
        read,
        "whether it is one is looked up, and nothing is written"
    );
    let usage = guest.ask(house, &Ask::rest(Method::GET, "/v1/usage", &Value::Null)).await;
    assert!(usage.is_done() && usage.body.contains("\"allowed\":false"), "{usage:?}");
}

#[tokio::test]
async fn an_instance_runs_so_many_calls_of_a_tenant_at_once_and_another_tenants_too() {
    let street = Street::open(1).await;
    let house = &street.houses[0];
    let (guest, other) =
        (street.guest("fair-busy", Tier::Business).await, street.guest("fair-calm", Tier::Business).await);
    let read = Ask::rest(Method::GET, "/v1/collections/notes/items", &Value::Null);
    assert!(guest.ask(house, &create()).await.is_done() && guest.ask(house, &read).await.is_done());
    let create = create();
    let mut held = Vec::new();
    for _ in 0..16 {
        let (session, mut arrivals) = Session::as_told();
        let (guest, create) = (&guest, &create);
        let mut call = Box::pin(async move { session.run(guest.ask(house, create)).await });
        tokio::select! {
            biased;
            said = &mut call => panic!("{said:?}"),
            arrival = arrivals.recv() => held.push((call, arrival.unwrap())),
        }
    }
    let refused = guest.ask(house, &create).await;
    assert_eq!((refused.status, refused.code.as_str()), (200, "busy"), "{refused:?}");
    assert!(refused.body.contains("\"isError\":true"));
    assert!(other.ask(house, &create).await.is_done());
    assert!(guest.ask(house, &read).await.is_done(), "of another function");
    // However a call ends, its place is free.
    held.pop();
    assert!(guest.ask(house, &create).await.is_done());
    drop(held);
    street.pass_s(61);
    assert!(guest.ask(house, &create).await.is_done());
    let records = trail(street.stack, &guest).await;
    let counted: Vec<_> = records.iter().filter_map(|record| record.counted.clone()).collect();
    let reasons: Vec<_> = counted.into_iter().map(|counted| counted.reasons).collect();
    assert_eq!(reasons, [counts(&[("busy", 1)])]);
}

#[tokio::test]
async fn a_page_that_may_not_ask_is_counted_in_the_tenants_trail() {
    let street = Street::open(1).await;
    let house = &street.houses[0];
    let guest = street.guest("fair-origin", Tier::Business).await;
    assert!(guest.ask(house, &create()).await.is_done());
    let refused = guest.ask(house, &create().with("Origin", "https://evil.example.com")).await;
    assert_eq!(refused.status, 403);
    street.pass_s(61);
    assert!(guest.ask(house, &create()).await.is_done());
    let records = trail(street.stack, &guest).await;
    let reasons: Vec<_> = records.iter().filter_map(|record| Some(record.counted.clone()?.reasons)).collect();
    assert_eq!(reasons, [counts(&[("forbidden", 1)])]);
}

#[tokio::test]
async fn a_neighbours_calls_are_what_they_were_while_another_tenant_floods() {
    let street = Street::open(1).await;
    let house = &street.houses[0];
    let calm = street.guest("fair-neighbour", Tier::Business).await;
    assert!(calm.ask(house, &create()).await.is_done());
    let guest = street.spent("fair-loud").await;
    let list = Ask::tool("notes_list", json!({}));
    for flood in [0, TIMES] {
        for _ in 0..10 {
            let before = street.asked().await;
            let flooded = street.calls(&guest, flood).await;
            assert_eq!(flooded, (0, flood));
            assert!(calm.ask(house, &list).await.is_done());
            let asked = street.asked_since(&before).await;
            let own: BTreeMap<_, _> = asked
                .into_iter()
                .filter(|(name, _)| matches!(name.as_str(), "dynamodb:Query" | "dynamodb:TransactWriteItems"))
                .collect();
            assert_eq!(own, counts(&[("dynamodb:Query", 1), ("dynamodb:TransactWriteItems", 1)]), "{flood}");
        }
    }
}

#[tokio::test]
async fn over_many_instances_exactly_the_limit_is_admitted_and_each_is_soon_sure() {
    const INSTANCES: u64 = 8;
    let street = Street::open(usize::try_from(INSTANCES).unwrap()).await;
    let guest = street.guest("fair-many", Tier::Free).await;
    let before = street.asked().await;
    let create = create();
    let (guest_of, create_of) = (&guest, &create);
    // Each instance has one call at a time, as Lambda gives them.
    let said = join_all(street.houses.iter().map(|house| async move {
        let mut said: Vec<Said> = Vec::new();
        for _ in 0..(LIMIT * TIMES / INSTANCES) {
            said.push(guest_of.ask(house, create_of).await);
        }
        said
    }));
    let said: Vec<Said> = said.await.into_iter().flatten().collect();
    let done = said.iter().filter(|said| said.is_done()).count();
    let refused = said.iter().filter(|said| said.code == "quota_reached").count();
    assert_eq!((done, done + refused), (30, 600));
    assert_eq!(guest.own.notes(street.stack).await, 30);
    let asked = street.asked_since(&before).await;
    let records = trail(street.stack, &guest).await;
    let denied = records.iter().filter(|record| record.decision == "denied").count();
    let sure = INSTANCES * SURE;
    assert!(
        denied <= usize::try_from(sure).unwrap(),
        "so many refusals an instance have asked the store: {denied}"
    );
    // Those that were admitted, the refusals of the store with a record each, and an attempt more where a minute was opened by
    // another.
    assert!(asked["dynamodb:TransactWriteItems"] <= LIMIT + 2 * sure + INSTANCES * 3, "{asked:?}");
}
