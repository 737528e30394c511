//! Many workers at once, each with its own luck, which a seed decides.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use insula_tenancy::{Limits, Plan as TenantPlan, Spread, Tier};
use serde_json::{Value, json};

use super::{Ask, Books, Dice, Guest, House, Kind, Plan, Said, Session, operations::Operation, unique};
use crate::ask::operate;

const WORKERS: usize = 64;
/// A tenth of the replies is lost, and a tenth of the calls is the end of the instance.
const LOSSES: &[(u64, Kind)] =
    &[(5, Kind::Cut), (5, Kind::Failed), (5, Kind::CrashBefore), (5, Kind::CrashAfter)];
const EVERYTHING: &[(u64, Kind)] = &[
    (2, Kind::Unsent),
    (2, Kind::Refused),
    (2, Kind::Failed),
    (2, Kind::Cut),
    (2, Kind::Torn),
    (2, Kind::Throttled),
    (3, Kind::Contended),
    (2, Kind::Late),
    (2, Kind::Straggling),
    (2, Kind::Ghost),
    (1, Kind::Expired),
    (2, Kind::CrashBefore),
    (2, Kind::CrashAfter),
];

/// What is thrown first, and how often; `FAULTS_SEED` and `FAULTS_ROUNDS` say otherwise.
#[expect(clippy::disallowed_methods, reason = "whoever replays a seed says it to this test alone")]
fn rounds(seed: u64, count: u64) -> impl Iterator<Item = u64> {
    let read = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let first = read("FAULTS_SEED").unwrap_or(seed);
    (0..read("FAULTS_ROUNDS").unwrap_or(count)).map(move |round| first.wrapping_add(round))
}

/// The instances of a deployment, of which any may be asked.
struct Houses([House; 2]);

impl Houses {
    async fn open() -> Self {
        let house = House::open().await;
        let other = House::before(house.stack).await;
        Self([house, other])
    }

    /// A tenant that every instance has met, with so many calls left, over so many counters.
    async fn guest(&self, calls: u64, counters: u8) -> Guest {
        let guest = Guest::make(&self.0[0], &format!("many-{}", unique()), Tier::Business).await;
        let met = u64::try_from(self.0.len()).unwrap();
        let limits = Limits { calls_month: calls + met, ..Limits::of(Tier::Business) };
        let spread = Spread::over(counters);
        let plan = TenantPlan { limits, spread, ..TenantPlan::of(Tier::Business, 2) };
        let id = guest.own.id.clone();
        operate(self.0[0].stack, |operator| async move { operator.set_plan(&id, &plan).await })
            .await
            .unwrap();
        for house in &self.0 {
            let said = guest.ask(house, &Ask::tool("notes_list", json!({})).keyed(&unique())).await;
            assert!(said.is_done(), "{said:?}");
        }
        guest
    }

    /// A client that asks again under its key, whichever instance comes next, until it is told what has come of it.
    async fn insist(
        &self,
        guest: &Guest,
        ask: &Ask,
        (seed, kinds): (u64, &'static [(u64, Kind)]),
    ) -> (Said, Vec<Arc<Session>>) {
        let mut dice = Dice(seed);
        let mut sessions = Vec::new();
        loop {
            let house = &self.0[usize::try_from(dice.below(2)).unwrap()];
            let session = Session::new(Plan::Dice { seed: dice.below(u64::MAX), kinds });
            let said = Box::pin(session.run(guest.ask(house, ask))).await;
            sessions.push(session);
            match said {
                Some(said) if said.is_done() || matches!(&*said.code, "quota_reached" | "conflict") => {
                    return (said, sessions);
                }
                _ => tokio::time::sleep(Duration::from_millis(dice.below(200))).await,
            }
            assert!(sessions.len() < 200, "{ask:?} is never answered");
        }
    }
}

#[tokio::test]
async fn exactly_so_many_are_admitted_as_the_limit_lets_in() {
    let houses = Houses::open().await;
    for seed in rounds(20_261_128, 3) {
        let mut dice = Dice(seed);
        let limit = 1 + dice.below(80);
        let counters = u8::try_from(1 + dice.below(4)).unwrap();
        let guest = houses.guest(limit, counters).await;
        let asks: Vec<Ask> = (0..WORKERS)
            .map(|n| {
                Ask::tool("notes_create", json!({ "title": format!("{n}"), "text": "" })).keyed(&unique())
            })
            .collect();
        let seeds: Vec<u64> = asks.iter().map(|_| dice.below(u64::MAX)).collect();
        tokio::time::pause();
        let said = join_all(
            asks.iter().zip(&seeds).map(|(ask, seed)| Box::pin(houses.insist(&guest, ask, (*seed, LOSSES)))),
        )
        .await;
        tokio::time::resume();
        let books = Books::read(&houses.0[0], &guest.own)
            .await
            .unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        let admitted = limit.min(u64::try_from(WORKERS).unwrap());
        let told = said.iter().filter(|(said, _)| said.is_done()).count();
        let counts = [books.charged - 2, books.done() - 2, u64::try_from(told).unwrap()];
        let of = format!("seed {seed}: of a limit of {limit} over {counters} counters");
        assert_eq!(counts, [admitted; 3], "{of}: charged, recorded and told");
        assert_eq!(u64::try_from(books.items()).unwrap(), admitted, "seed {seed}");
        for (said, _) in said.iter().filter(|(said, _)| said.is_done()) {
            let body: Value = serde_json::from_str(&said.body).unwrap();
            let id = body["result"]["structuredContent"]["id"].as_str().unwrap().to_owned();
            assert!(
                books.kept.contains_key(&("ITEM#notes".to_owned(), id)),
                "seed {seed}: {body} is not kept"
            );
        }
    }
}

#[tokio::test]
async fn whatever_goes_wrong_at_random_the_books_are_right() {
    const MIXED: [Operation; 10] = [
        Operation::ToolRead,
        Operation::ToolCreate,
        Operation::Replace,
        Operation::Patch,
        Operation::Delete,
        Operation::Transaction,
        Operation::Settings,
        Operation::PutAsset,
        Operation::PutSecret,
        Operation::DeleteSecret,
    ];
    let houses = Houses::open().await;
    for seed in rounds(7, 2) {
        let mut dice = Dice(seed);
        let guest = houses.guest(100_000, 1).await;
        let (mut asks, mut more_items) = (Vec::new(), Vec::new());
        for n in 0..30 {
            let operation = MIXED[usize::try_from(dice.below(10)).unwrap()];
            let (_, ask) = operation.prepare(&houses.0[0], &guest, n).await;
            asks.push((ask.keyed(&unique()), dice.below(u64::MAX)));
            more_items.push(operation.writes().then(|| operation.more_items()));
        }
        let before = Books::read(&houses.0[0], &guest.own).await.unwrap();
        tokio::time::pause();
        let said = join_all(
            asks.iter().map(|(ask, seed)| Box::pin(houses.insist(&guest, ask, (*seed, EVERYTHING)))),
        )
        .await;
        tokio::time::resume();
        let written: Vec<isize> = said
            .iter()
            .zip(&more_items)
            .filter_map(|((said, _), more)| more.filter(|_| said.is_done()))
            .collect();
        let told = written.len();
        let items = before.items().strict_add_signed(written.iter().sum());
        for late in [false, true] {
            if late {
                // What was sent and given up arrives when everything is over.
                for session in said.iter().flat_map(|(_, sessions)| sessions) {
                    session.release(&houses.0[0].wire).await;
                }
            }
            let read = Books::read(&houses.0[0], &guest.own).await;
            let books = read.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
            let done = books.once() - before.once();
            assert_eq!(done, u64::try_from(told).unwrap(), "seed {seed}, late {late}: done and told");
            assert_eq!(books.items(), items, "seed {seed}, late {late}: kept and told");
        }
    }
}
