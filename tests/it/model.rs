//! The protocol of admission as a model: every order in which requests, retries, lost replies, crashes and the operator's
//! changes can come. What holds here holds of the code as far as its traces, replayed on the code, say the same.

mod protocol;
mod replay;

use std::collections::BTreeSet;

use stateright::{Checker, Model, Property};

use self::protocol::{Client, Plan, Protocol, Reply, State, Step};

/// Requests with their keys, under a protocol.
#[derive(Debug, Clone)]
struct World {
    protocol: Protocol,
    /// By client, the name of its key: two of the same are one request that was sent twice.
    keys: Vec<usize>,
    plan: Plan,
    /// The minute that runs at first, and its calls.
    window: Option<(u8, u8)>,
    minute_limit: u8,
    ticks: u8,
    losses: u8,
    crashes: u8,
    /// Whether the operator lowers the limit, and whether it suspends the tenant.
    lowers: bool,
    suspends: bool,
}

impl World {
    /// Requests, one of them sent twice, with lost replies and crashes.
    fn with_faults(protocol: Protocol) -> Self {
        let plan = Plan { epoch: 1, limit: 1, active: true };
        let keys = vec![0, 0, 1];
        Self {
            protocol,
            keys,
            plan,
            window: Some((0, 0)),
            minute_limit: 9,
            ticks: 0,
            losses: 1,
            crashes: 1,
            lowers: false,
            suspends: false,
        }
    }

    /// The operator lowers the limit and suspends the tenant while its requests are on their way.
    fn with_operator(protocol: Protocol) -> Self {
        let plan = Plan { epoch: 1, limit: 2, active: true };
        Self { plan, keys: vec![0, 1], lowers: true, suspends: true, ..Self::with_faults(protocol) }
    }

    /// Minutes turn, and an instance that thinks that an older one runs is late.
    fn with_minutes(protocol: Protocol) -> Self {
        let plan = Plan { epoch: 1, limit: 3, active: true };
        let keys = vec![0, 1, 2];
        Self { plan, keys, window: None, minute_limit: 1, ticks: 1, losses: 0, ..Self::with_faults(protocol) }
    }
}

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for (at, client) in state.clients.iter().enumerate() {
            match client {
                Client::Idle { begun } if *begun < 2 => steps.push(Step::Begin(at)),
                Client::Waiting(call) => {
                    steps.push(if call.reply.is_some() { Step::Receive(at) } else { Step::Deliver(at) });
                    if state.losses_left > 0 {
                        steps.push(Step::Lose(at));
                    }
                    if state.crashes_left > 0 {
                        steps.push(Step::Crash(at));
                    }
                }
                _ => {}
            }
        }
        steps.extend((0..state.ghosts.len()).map(Step::Arrive));
        if self.lowers && state.store.plan.limit == self.plan.limit {
            steps.push(Step::Lower);
        }
        if self.suspends && state.store.plan.active {
            steps.push(Step::Suspend);
        }
        if state.now < self.ticks {
            steps.push(Step::Tick);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        state.take(self, step);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(CHARGED, |_, state: &State| {
                !state.is_at_rest() || state.store.calls == state.store.audits.iter().sum::<u8>()
            }),
            Property::always(LIMIT, |world: &Self, state: &State| {
                !state.over && state.by_minute.iter().all(|count| *count <= world.minute_limit)
            }),
            Property::always(ONCE, |_, state: &State| state.store.items.iter().all(|count| *count <= 1)),
            Property::always(DURABLE, |_, state: &State| {
                let kept = |key: usize| state.store.items[key] > 0 && state.store.audits[key] > 0;
                state.told.iter().enumerate().all(|(key, told)| !told || kept(key))
            }),
            Property::always(AUDITED, |_, state: &State| {
                !state.is_at_rest() || state.store.items == state.store.audits
            }),
            Property::always(WHOLE, |_, state: &State| {
                !state.is_at_rest() || (0..state.told.len()).all(|key| state.store.is_whole(key))
            }),
            Property::always(SERVED, |_, state: &State| !state.late),
            // What must be possible, so that nothing above holds because nothing happens.
            Property::sometimes(CAN[0], |_, state: &State| state.told.iter().all(|told| *told)),
            Property::sometimes(CAN[1], |_, state: &State| state.has_ended(Reply::Quota)),
            Property::sometimes(CAN[2], |_, state: &State| state.has_ended(Reply::Before)),
            Property::sometimes(CAN[3], |_, state: &State| state.has_ended(Reply::Suspended)),
        ]
    }
}

const CHARGED: &str = "charged is admitted";
const LIMIT: &str = "never above the limit";
const ONCE: &str = "at most one effect a key";
const DURABLE: &str = "a success is durable";
const AUDITED: &str = "the audit is complete";
const WHOLE: &str = "no partial state";
const SERVED: &str = "no effect after the suspension";

/// As many as are looked at; ours has fewer.
const STATES_MAX: usize = 50_000;
const CAN: [&str; 4] =
    ["all are told a success", "a quota is reached", "a key was used before", "a suspension is told"];
const MUST: [&str; 7] = [CHARGED, LIMIT, ONCE, DURABLE, AUDITED, WHOLE, SERVED];

/// What the protocol breaks in all worlds together, and what can come of a call.
fn found(protocol: Protocol) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let worlds =
        [World::with_faults(protocol), World::with_operator(protocol), World::with_minutes(protocol)];
    let mut found = BTreeSet::new();
    for world in worlds {
        let checker = world.checker().target_state_count(STATES_MAX).spawn_bfs().join();
        if protocol == Protocol::OneTransaction {
            assert!(checker.unique_state_count() < STATES_MAX, "every state has been seen");
        }
        found.extend(checker.discoveries().into_keys());
    }
    found.into_iter().partition(|name| MUST.contains(name))
}

#[test]
fn one_transaction_keeps_all_that_it_must() {
    let (broken, possible) = found(Protocol::OneTransaction);
    assert_eq!(broken, BTreeSet::new());
    assert_eq!(possible, BTreeSet::from(CAN));
}

#[test]
fn to_check_and_then_to_act_is_refuted() {
    let (broken, _) = found(Protocol::CheckThenAct);
    assert_eq!(broken, BTreeSet::from([CHARGED, LIMIT, ONCE, AUDITED, WHOLE, SERVED]));
}

#[test]
fn a_counter_alone_is_refuted() {
    let (broken, _) = found(Protocol::CounterAlone);
    assert_eq!(broken, BTreeSet::from([CHARGED, LIMIT, ONCE, AUDITED, WHOLE, SERVED]));
}

#[test]
fn a_record_and_a_counter_are_refuted() {
    let (broken, _) = found(Protocol::RecordAndCounter);
    assert_eq!(broken, BTreeSet::from([CHARGED, LIMIT, ONCE, DURABLE, AUDITED, WHOLE, SERVED]));
}
