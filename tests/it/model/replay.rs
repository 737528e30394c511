//! Traces of the model, replayed on the code over the embedded store: after each step the store has what the model's has,
//! and every client is told the same.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use insula_tenancy::{
    Clock, Limits, Plan as TenantPlan, Status, Tier,
    operator::{Operator, OperatorAuthority},
};
use serde_json::json;
use stateright::{Checker, Model};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    World,
    protocol::{Call, Client, Protocol, Reply, State, Step},
};
use crate::{
    ask::operate,
    faults::{Arrival, Ask, Books, Dice, Guest, House, Said, Session, access, settings, unique},
};

/// One client's call as it runs in the code.
struct Puppet<'h> {
    running: Option<Pin<Box<dyn Future<Output = Option<Said>> + 'h>>>,
    arrivals: UnboundedReceiver<Arrival>,
    /// The transaction that it waits for, and the reply that is on its way.
    waits_for: Option<Arrival>,
    reply: Option<http::Response<Bytes>>,
    ended: Option<Said>,
}

impl<'h> Puppet<'h> {
    fn begin(house: &'h House, guest: &'h Guest, ask: &'h Ask) -> Self {
        let (session, arrivals) = Session::as_told();
        let running = Box::pin(async move { session.run(guest.ask(house, ask)).await });
        Self { running: Some(running), arrivals, waits_for: None, reply: None, ended: None }
    }

    /// Runs until it has sent a transaction or ended.
    async fn run(&mut self) {
        let Some(running) = &mut self.running else { return };
        tokio::select! {
            biased;
            said = running => {
                self.ended = said;
                self.running = None;
            }
            arrival = self.arrivals.recv() => self.waits_for = arrival,
        }
    }
}

/// The time of all instances, which stands still but for what a world says.
struct Time(Arc<AtomicI64>);

impl Time {
    /// A minute that begins now, if what follows it soon is in the same month, for which a tenant has a limit.
    fn start(&self) {
        let now = Clock::System.now();
        let later = now.plus_s(600);
        let first = if later.month() == now.month() { now } else { later };
        self.0.store((first.minute() + 1) * 60_000_000, Ordering::Relaxed);
    }

    fn turn_minute(&self) {
        self.0.fetch_add(60_000_000, Ordering::Relaxed);
    }
}

/// What all traces are replayed on.
struct Stage {
    /// An instance for each client: one to which the store has said that a quota is used up would not ask again.
    houses: Vec<House>,
    operator: Operator,
    time: Time,
}

/// The code beside the model.
struct Replay<'h> {
    stage: &'h Stage,
    guest: &'h Guest,
    asks: &'h [Ask],
    puppets: Vec<Option<Puppet<'h>>>,
    ghosts: Vec<(Call, http::Request<Bytes>)>,
}

impl<'h> Replay<'h> {
    /// Does in the code what the step is in the model, which has this state before it.
    async fn take(&mut self, before: &State, step: Step) {
        match step {
            Step::Begin(at) => {
                let mut puppet = Puppet::begin(&self.stage.houses[at], self.guest, &self.asks[at]);
                puppet.run().await;
                self.puppets[at] = Some(puppet);
            }
            Step::Deliver(at) => {
                let request = self.puppets[at].as_mut().unwrap().waits_for.as_ref().unwrap().request.clone();
                let reply = self.stage.houses[at].wire.0.ask(request).await.unwrap();
                self.puppets[at].as_mut().unwrap().reply = Some(reply);
            }
            Step::Receive(at) => {
                let puppet = self.puppets[at].as_mut().unwrap();
                let answer = puppet.waits_for.take().unwrap().answer;
                answer.send(puppet.reply.take().unwrap()).unwrap();
                puppet.run().await;
            }
            Step::Lose(at) => {
                self.give_up(before, at);
                self.puppets[at].as_mut().unwrap().run().await;
            }
            Step::Crash(at) => {
                self.give_up(before, at);
                self.puppets[at] = None;
            }
            Step::Arrive(at) => {
                let (_, request) = self.ghosts.remove(at);
                self.stage.houses[0].wire.0.ask(request).await.unwrap();
            }
            Step::Lower => {
                self.change(|plan| {
                    let limits = Limits { calls_month: plan.limits.calls_month - 1, ..plan.limits };
                    TenantPlan { limits, ..plan }
                })
                .await;
            }
            Step::Suspend => self.change(|plan| TenantPlan { status: Status::Suspended, ..plan }).await,
            Step::Tick => self.stage.time.turn_minute(),
        }
    }

    /// The connection breaks; what was not met yet may still arrive.
    fn give_up(&mut self, before: &State, at: usize) {
        let Client::Waiting(call) = &before.clients[at] else { panic!("{before:?} at {at}") };
        let puppet = self.puppets[at].as_mut().unwrap();
        let arrival = puppet.waits_for.take().unwrap();
        if puppet.reply.take().is_none() {
            self.ghosts.push((call.clone(), arrival.request));
            self.ghosts.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
    }

    async fn change(&self, change: impl Fn(TenantPlan) -> TenantPlan) {
        self.stage.operator.change_plan(&self.guest.own.id, change).await.unwrap();
    }
}

/// What every client is told, and where something has met the store, what the store has.
async fn compare(replay: &Replay<'_>, at_first: Option<&Books>, state: &State) -> Result<(), String> {
    if let Some(at_first) = at_first {
        compare_stores(replay, at_first, state).await?;
    }
    for (client, puppet) in state.clients.iter().zip(&replay.puppets) {
        let said = puppet.as_ref().and_then(|puppet| puppet.ended.as_ref());
        let waits = puppet.as_ref().is_some_and(|puppet| puppet.waits_for.is_some());
        let same = match client {
            Client::Idle { .. } => puppet.is_none(),
            Client::Waiting(_) => waits && said.is_none(),
            Client::Ended(Reply::Done | Reply::Before) => said.is_some_and(Said::is_done),
            Client::Ended(Reply::Quota) => said.is_some_and(|said| said.code == "quota_reached"),
            Client::Ended(_) => said.is_some_and(|said| said.code == "suspended"),
        };
        if !same {
            return Err(format!("a client is told {said:?}, and {client:?} in the model"));
        }
    }
    Ok(())
}

/// What the code's store has more than at first, and what the model's has: charged, admitted, keys, items.
async fn compare_stores(replay: &Replay<'_>, at_first: &Books, state: &State) -> Result<(), String> {
    let books = Books::read(&replay.stage.houses[0], &replay.guest.own).await?;
    let has = [
        books.charged - at_first.charged,
        books.done() - at_first.done(),
        books.keys - at_first.keys,
        u64::try_from(books.items()).unwrap(),
    ];
    let store = &state.store;
    let sum = |counts: &[u8]| counts.iter().map(|count| u64::from(*count)).sum::<u64>();
    let keys = store.keys.iter().filter(|used| **used).count();
    let must = [u64::from(store.calls), sum(&store.audits), u64::try_from(keys).unwrap(), sum(&store.items)];
    if has != must {
        return Err(format!("the store has {has:?}, and {must:?} in the model"));
    }
    Ok(())
}

/// Replays one trace with a tenant of its own.
async fn replay(stage: &Stage, world: &World, trace: &[Step]) -> Result<(), String> {
    let Stage { houses, time, .. } = stage;
    let house = &houses[0];
    let guest = Guest::make(house, &format!("model-{}", unique()), Tier::Business).await;
    let met = u64::try_from(houses.len()).unwrap();
    let mut limits = Limits { calls_month: u64::from(world.plan.limit) + met, ..Limits::of(Tier::Business) };
    if world.window.is_none() {
        limits.calls_minute = world.minute_limit.into();
    }
    let plan = TenantPlan { limits, ..TenantPlan::of(Tier::Business, 2) };
    let id = guest.own.id.clone();
    operate(house.stack, |operator| async move { operator.set_plan(&id, &plan).await }).await.unwrap();
    time.start();
    // The minute runs, the plan is known, and the first person has a seat.
    for house in houses {
        let said = guest.ask(house, &Ask::tool("notes_list", json!({})).keyed(&unique())).await;
        assert!(said.is_done(), "{said:?}");
        if world.window.is_none() {
            // Whatever minute an instance remembers is over.
            time.turn_minute();
        }
    }
    let ask = |key: &usize| {
        Ask::tool("notes_create", json!({ "title": format!("{key}"), "text": "" })).keyed(&format!("{key}"))
    };
    let asks: Vec<Ask> = world.keys.iter().map(ask).collect();
    let puppets = asks.iter().map(|_| None).collect();
    let mut replay = Replay { stage, guest: &guest, asks: &asks, puppets, ghosts: Vec::new() };
    let at_first = Books::read(house, &guest.own).await?;
    let mut state = State::new(world);
    tokio::time::pause();
    let mut end = Ok(());
    for (at, step) in trace.iter().enumerate() {
        replay.take(&state, *step).await;
        state.take(world, *step);
        // The rest changes nothing in the store.
        let is_met = matches!(step, Step::Deliver(_) | Step::Arrive(_)) || at + 1 == trace.len();
        end = compare(&replay, is_met.then_some(&at_first), &state)
            .await
            .map_err(|why| format!("step {at} of {trace:?}: {why}"));
        if end.is_err() {
            break;
        }
    }
    tokio::time::resume();
    end
}

/// A way through the model that the seed decides.
fn walk(world: &World, seed: u64) -> Vec<Step> {
    let (mut dice, mut state, mut trace) = (Dice(seed), State::new(world), Vec::new());
    loop {
        let mut steps = Vec::new();
        world.actions(&state, &mut steps);
        let Some(count) = u64::try_from(steps.len()).ok().filter(|count| *count > 0) else { return trace };
        let step = steps[usize::try_from(dice.below(count)).unwrap()];
        state.take(world, step);
        trace.push(step);
    }
}

#[tokio::test]
async fn the_code_does_what_the_model_does() {
    let house = House::open().await;
    let authority = OperatorAuthority::ambient();
    let at = access(house.stack, "OperatorRole");
    let operator = Operator::open_at(&authority, &settings(house.stack), at).await.unwrap();
    let worlds = [World::with_faults, World::with_operator, World::with_minutes]
        .map(|world| world(Protocol::OneTransaction));
    let time = Time(Arc::default());
    time.start();
    let mut houses = Vec::new();
    for _ in 0..worlds.iter().map(|world| world.keys.len()).max().unwrap() {
        houses.push(House::before_at(house.stack, Clock::Fixed(Arc::clone(&time.0))).await);
    }
    let stage = Stage { houses, operator, time };
    for world in worlds {
        let checker = world.clone().checker().spawn_bfs().join();
        let found = checker.discoveries().into_values().map(|path| path.into_actions());
        for trace in found.chain((0..30).map(|seed| walk(&world, seed))) {
            replay(&stage, &world, &trace).await.unwrap();
        }
    }
}
