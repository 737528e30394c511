//! Refusals, when a call of the store goes wrong: one that was answered has its record or is counted, and nothing is
//! charged for what was denied.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use http::Method;
use insula_tenancy::{Clock, Limits, Plan as TenantPlan, Tier};
use serde_json::{Value, json};

use super::{
    Ask, Books, Guest, House, Kind, Plan, Said, Session,
    single::{THINNED, at_every_call},
    unique,
};
use crate::{
    ask::{Own, operate},
    audit::chains::verify,
};

const ITEMS: &str = "/v1/collections/notes/items";

#[derive(Debug, Clone, Copy)]
enum Case {
    /// A member asks for what is an admin's.
    Role,
    /// The token lacks a scope of the tool.
    Scope,
    /// Another tenant's item is to be deleted, which is charged: it might have been the own one.
    Foreign,
    /// The key of another call.
    Mismatch,
    /// No call of the month is left.
    Quota,
}

/// The instances, and their time.
struct Houses {
    pair: [House; 2],
    time: Arc<AtomicI64>,
    /// Another tenant's note.
    foreign: String,
}

impl Houses {
    async fn open() -> Self {
        let time = Arc::new(AtomicI64::new(Clock::System.now().micros()));
        let clock = || Clock::Fixed(Arc::clone(&time));
        let stack = House::open().await.stack;
        let pair = [House::before_at(stack, clock()).await, House::before_at(stack, clock()).await];
        let other = Guest::make(&pair[0], "refusals-other", Tier::Professional).await;
        let mut houses = Self { pair, time, foreign: String::new() };
        houses.turn_to_now();
        houses.foreign = houses.note(&other, &unique()).await;
        houses
    }

    fn turn_to_now(&self) {
        self.time.store(Clock::System.now().micros(), Ordering::Relaxed);
    }

    async fn note(&self, guest: &Guest, key: &str) -> String {
        let create = Ask::rest(Method::POST, ITEMS, &json!({ "title": "one", "text": "" }));
        let said = guest.ask(&self.pair[0], &create.keyed(key)).await;
        assert!(said.is_done(), "{said:?}");
        let body: Value = serde_json::from_str(&said.body).unwrap();
        body["id"].as_str().unwrap().to_owned()
    }
}

impl Case {
    const ALL: [Self; 5] = [Self::Role, Self::Scope, Self::Foreign, Self::Mismatch, Self::Quota];

    const fn code(self) -> &'static str {
        match self {
            Self::Role => "forbidden",
            Self::Scope => "insufficient_scope",
            Self::Foreign => "not_found",
            Self::Mismatch => "idempotency_mismatch",
            Self::Quota => "quota_reached",
        }
    }

    /// Somebody new, with a seat in both instances, and what is refused.
    async fn prepare(self, houses: &Houses) -> (Guest, Ask) {
        let scopes = match self {
            Self::Scope => "notes:read usage:read",
            _ => "items:read items:write notes:read notes:write usage:read",
        };
        let own = Own::make(houses.pair[0].stack, &format!("refused-{}", unique()), Tier::Professional).await;
        let guest = Guest::holding(&houses.pair[0], own, "first", scopes);
        houses.turn_to_now();
        for house in &houses.pair {
            let said = guest.ask(house, &Ask::tool("notes_list", json!({}))).await;
            assert!(said.is_done(), "{said:?}");
        }
        let (key, note) = (unique(), json!({ "title": "other", "text": "" }));
        let ask = match self {
            Self::Role => Ask::rest(Method::PUT, "/v1/secrets/s", &json!({ "value": "v" })),
            Self::Scope => Ask::tool("notes_create", note),
            Self::Foreign => Ask::rest(Method::DELETE, format!("{ITEMS}/{}", houses.foreign), &Value::Null),
            Self::Mismatch => {
                houses.note(&guest, &key).await;
                Ask::rest(Method::POST, ITEMS, &note)
            }
            Self::Quota => {
                let change = |plan: TenantPlan| {
                    let limits = Limits { calls_month: 2, ..plan.limits };
                    TenantPlan { limits, ..plan }
                };
                let id = guest.own.id.clone();
                operate(houses.pair[0].stack, move |operator| async move {
                    operator.change_plan(&id, change).await
                })
                .await
                .unwrap();
                Ask::tool("notes_create", note)
            }
        };
        (guest, ask.keyed(&key))
    }

    /// How often it is recorded, or counted.
    fn found(self, books: &Books) -> u64 {
        match self {
            Self::Foreign => books.recorded(self.code()),
            _ => books.denied.get(self.code()).copied().unwrap_or(0),
        }
    }

    /// How many calls it has made.
    async fn take(self, houses: &Houses, plan: Plan) -> usize {
        let (guest, ask) = self.prepare(houses).await;
        let [house, other] = &houses.pair;
        let read = async |when: &str| {
            let books = Books::read(house, &guest.own).await;
            books.unwrap_or_else(|wrong| panic!("{self:?}, {plan:?}: {wrong}, {when}"))
        };
        let before = read("before").await;
        let session = Session::new(plan);
        let first = session.run(guest.ask(house, &ask)).await;
        if session.was_hit() {
            tokio::time::resume();
        }
        let turn = format!("{self:?}, {plan:?} of {:?}", session.calls());
        let is_refused = |said: &Said| said.code == self.code();
        if let Some(first) = first.as_ref().filter(|said| !is_refused(said)) {
            assert!(session.was_hit() && first.code == "unavailable", "{turn}: {first:?}");
        }
        let middle = read(&turn).await;
        let again =
            guest.ask(if session.calls().len().is_multiple_of(2) { house } else { other }, &ask).await;
        assert!(is_refused(&again), "{turn}: {again:?} after {first:?}");
        session.release(&house.wire).await;
        // What was counted is written in another minute.
        houses.time.fetch_add(61_000_000, Ordering::Relaxed);
        for house in &houses.pair {
            let said = guest.ask(house, &Ask::tool("usage_show", json!({}))).await;
            assert!(said.is_done(), "{turn}: {said:?}");
        }
        let after = read(&turn).await;
        let told = 1 + u64::from(first.as_ref().is_some_and(is_refused));
        let found = self.found(&after) - self.found(&before);
        assert!((told..=2).contains(&found), "{turn}: {found} of {told}");
        assert_eq!((&before.kept, &before.kept), (&middle.kept, &after.kept), "{turn}");
        if !matches!(self, Self::Foreign) {
            assert_eq!(before.charged, after.charged, "{turn}");
        }
        let verified = verify(house.stack, &guest.own).await;
        assert!(verified.is_ok(), "{turn}: {verified:?}");
        session.calls().len()
    }
}

#[tokio::test]
async fn a_refusal_that_was_answered_has_its_record_whatever_goes_wrong() {
    let houses = Houses::open().await;
    for (row, case) in Case::ALL.into_iter().enumerate() {
        let mut calls =
            case.take(&houses, Plan::At { call: usize::MAX, kind: Kind::Cut, every_try: false }).await;
        assert!(calls > 0, "{case:?}");
        let lasting = Kind::LASTING.map(|kind| (kind, true));
        let kinds = Kind::ALL.map(|kind| (kind, false)).into_iter().chain(lasting);
        for (column, (kind, every_try)) in kinds.enumerate() {
            calls = at_every_call((row + column, THINNED), calls, async |call| {
                case.take(&houses, Plan::At { call, kind, every_try }).await
            })
            .await;
        }
    }
}
