//! The store, the clients and what is on its way between them.

use std::collections::BTreeSet;

use super::World;

/// What one write of a protocol does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// The plan is the one that was read, and the tenant is served.
    Plan,
    /// The key was not used, and is from now on.
    Key,
    /// There is room in month and minute, and one less from now on.
    Meter,
    /// There is room in the month; nothing is written.
    Look,
    /// One more, whatever the limit.
    Count,
    /// The effect.
    Item,
    Audit,
}

/// In which order a call does what it must, each line at once or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protocol {
    /// Ours.
    OneTransaction,
    CheckThenAct,
    CounterAlone,
    RecordAndCounter,
}

impl Protocol {
    fn steps(self) -> &'static [&'static [Part]] {
        use Part::{Audit, Count, Item, Key, Look, Meter, Plan};
        match self {
            Self::OneTransaction => &[&[Plan, Key, Meter, Item, Audit]],
            Self::CheckThenAct => &[&[Look], &[Count], &[Item], &[Audit]],
            Self::CounterAlone => &[&[Meter], &[Item], &[Audit]],
            Self::RecordAndCounter => &[&[Key, Meter], &[Item], &[Audit]],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Plan {
    pub(super) epoch: u8,
    pub(super) limit: u8,
    pub(super) active: bool,
}

/// What is durable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Store {
    pub(super) plan: Plan,
    pub(super) calls: u8,
    /// The minute that runs, and its calls.
    window: Option<(u8, u8)>,
    /// By key.
    pub(super) keys: Vec<bool>,
    pub(super) items: Vec<u8>,
    pub(super) audits: Vec<u8>,
    /// Of transactions that are done: the store does none twice.
    tokens: BTreeSet<Token>,
}

/// Client, its beginning, and the attempt.
type Token = (usize, u8, u8);

/// How a client's call ended, or what it is told to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Reply {
    Done,
    /// The key was used before.
    Before,
    /// The plan is another one, or the tenant is suspended.
    OtherPlan,
    /// The meter's condition failed: calls, and the window.
    Meter(u8, Option<(u8, u8)>),
    Quota,
    Suspended,
}

/// A write on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Call {
    token: Token,
    key: usize,
    step: usize,
    plan: Plan,
    /// The minute that is thought to run; `None` to open that of the clock.
    window: Option<u8>,
    now: u8,
    /// What the store has said, when it has.
    pub(super) reply: Option<Reply>,
    lost: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// So many times it has begun; an instance that has ended is asked again.
    Idle {
        begun: u8,
    },
    Waiting(Call),
    Ended(Reply),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) clients: Vec<Client>,
    /// Writes for whose reply nobody waits any more, and which are not done yet.
    pub(super) ghosts: Vec<Call>,
    /// By client, the plan that its instance remembers, and the minute that it has charged to.
    known: Vec<Plan>,
    charged: Vec<Option<u8>>,
    pub(super) now: u8,
    pub(super) losses_left: u8,
    pub(super) crashes_left: u8,
    /// By key, whether somebody was told a success.
    pub(super) told: Vec<bool>,
    /// An effect was made above the limit, or after the suspension.
    pub(super) over: bool,
    pub(super) late: bool,
    pub(super) by_minute: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Begin(usize),
    /// The store meets what this client has sent.
    Deliver(usize),
    Receive(usize),
    /// The client's connection breaks, and its SDK tries again; what was sent may still arrive.
    Lose(usize),
    Crash(usize),
    /// What was given up arrives.
    Arrive(usize),
    Lower,
    Suspend,
    Tick,
}

/// The SDK's tries.
const TRIES: u8 = 3;

impl Store {
    pub(super) fn is_whole(&self, key: usize) -> bool {
        self.items[key] == self.audits[key] && (!self.keys[key] || self.items[key] > 0)
    }

    /// Does all parts or none.
    fn meet(&mut self, world: &World, call: &Call) -> Reply {
        let parts = world.protocol.steps()[call.step];
        if self.tokens.contains(&call.token) {
            return Reply::Done;
        }
        let has = |part| parts.contains(&part);
        if has(Part::Plan) && (self.plan.epoch != call.plan.epoch || !self.plan.active) {
            return Reply::OtherPlan;
        }
        if has(Part::Key) && self.keys[call.key] {
            return Reply::Before;
        }
        if (has(Part::Meter) || has(Part::Look)) && self.calls >= call.plan.limit {
            return Reply::Meter(self.calls, self.window);
        }
        if has(Part::Meter) && world.protocol == Protocol::OneTransaction {
            let room = match (call.window, self.window) {
                (None, running) => running.is_none_or(|(minute, _)| minute < call.now),
                (Some(thought), Some((minute, calls))) => minute == thought && calls < world.minute_limit,
                (Some(_), None) => false,
            };
            if !room {
                return Reply::Meter(self.calls, self.window);
            }
            self.window = match (call.window, self.window) {
                (Some(minute), Some((_, calls))) => Some((minute, calls + 1)),
                _ => Some((call.now, 1)),
            };
        }
        self.calls += u8::from(has(Part::Meter) || has(Part::Count));
        self.keys[call.key] |= has(Part::Key);
        self.items[call.key] += u8::from(has(Part::Item));
        self.audits[call.key] += u8::from(has(Part::Audit));
        if parts.len() > 1 {
            self.tokens.insert(call.token);
        }
        Reply::Done
    }
}

impl State {
    pub(super) fn new(world: &World) -> Self {
        let keys = world.keys.iter().max().map_or(0, |most| most + 1);
        Self {
            store: Store {
                plan: world.plan,
                calls: 0,
                window: world.window,
                keys: vec![false; keys],
                items: vec![0; keys],
                audits: vec![0; keys],
                tokens: BTreeSet::new(),
            },
            clients: world.keys.iter().map(|_| Client::Idle { begun: 0 }).collect(),
            ghosts: Vec::new(),
            known: vec![world.plan; world.keys.len()],
            charged: vec![world.window.map(|(minute, _)| minute); world.keys.len()],
            now: 0,
            losses_left: world.losses,
            crashes_left: world.crashes,
            told: vec![false; keys],
            over: false,
            late: false,
            by_minute: vec![0; usize::from(world.ticks) + 1],
        }
    }

    /// Nobody waits, and nothing is on its way.
    pub(super) fn is_at_rest(&self) -> bool {
        self.ghosts.is_empty() && !self.clients.iter().any(|client| matches!(client, Client::Waiting(_)))
    }

    pub(super) fn has_ended(&self, with: Reply) -> bool {
        self.clients.contains(&Client::Ended(with))
    }

    pub(super) fn take(&mut self, world: &World, step: Step) {
        match step {
            Step::Begin(at) => self.begin(world, at),
            Step::Deliver(at) => {
                let Client::Waiting(mut call) = self.clients[at].clone() else { return };
                call.reply = Some(self.meet(world, &call));
                self.clients[at] = Client::Waiting(call);
            }
            Step::Receive(at) => self.receive(world, at),
            Step::Lose(at) => {
                let Client::Waiting(call) = self.clients[at].clone() else { return };
                self.losses_left -= 1;
                self.give_up(&call);
                let lost = call.lost + 1;
                self.clients[at] = if lost == TRIES {
                    Client::Idle { begun: call.token.1 }
                } else {
                    Client::Waiting(Call { lost, reply: None, ..call })
                };
            }
            Step::Crash(at) => {
                let Client::Waiting(call) = self.clients[at].clone() else { return };
                self.crashes_left -= 1;
                self.give_up(&call);
                self.clients[at] = Client::Idle { begun: call.token.1 };
            }
            Step::Arrive(at) => {
                let call = self.ghosts.remove(at);
                self.meet(world, &call);
            }
            Step::Lower => {
                let Plan { epoch, limit, active } = self.store.plan;
                self.store.plan = Plan { epoch: epoch + 1, limit: limit - 1, active };
            }
            Step::Suspend => {
                let Plan { epoch, limit, .. } = self.store.plan;
                self.store.plan = Plan { epoch: epoch + 1, limit, active: false };
            }
            Step::Tick => self.now += 1,
        }
    }

    /// The store meets a write, and it is noted whether it should have had an effect.
    fn meet(&mut self, world: &World, call: &Call) -> Reply {
        let before = self.store.items.iter().sum::<u8>();
        let reply = self.store.meet(world, call);
        let after = self.store.items.iter().sum::<u8>();
        if after > before {
            self.over |= after > self.store.plan.limit;
            self.late |= !self.store.plan.active;
            let minute = self.store.window.map_or(0, |(minute, _)| usize::from(minute));
            self.by_minute[minute] += 1;
        }
        reply
    }

    fn give_up(&mut self, call: &Call) {
        if call.reply.is_none() {
            self.ghosts.push(call.clone());
            self.ghosts.sort();
        }
    }

    fn begin(&mut self, world: &World, at: usize) {
        let Client::Idle { begun } = self.clients[at] else { return };
        let key = world.keys[at];
        let token = (at, begun + 1, 0);
        let (plan, now) = (self.known[at], self.now);
        let window = self.charged[at].filter(|minute| *minute >= now);
        let call = Call { token, key, step: 0, plan, window, now, reply: None, lost: 0 };
        self.clients[at] = Client::Waiting(call);
    }

    fn receive(&mut self, world: &World, at: usize) {
        let Client::Waiting(mut call) = self.clients[at].clone() else { return };
        let Some(reply) = call.reply.take() else { return };
        let (client, begun, attempt) = call.token;
        call.token = (client, begun, attempt + 1);
        call.lost = 0;
        let sent = std::mem::replace(&mut call.now, self.now);
        match reply {
            Reply::Done if world.protocol == Protocol::OneTransaction => {
                self.charged[at] = call.window.or(Some(sent));
                return self.end(at, call.key, Reply::Done);
            }
            Reply::Done if call.step + 1 < world.protocol.steps().len() => call.step += 1,
            Reply::OtherPlan => {
                self.known[at] = self.store.plan;
                call.plan = self.store.plan;
                if !call.plan.active {
                    return self.end(at, call.key, Reply::Suspended);
                }
            }
            Reply::Meter(calls, window) => match window {
                _ if calls >= call.plan.limit => return self.end(at, call.key, Reply::Quota),
                // Of the minute in which it was sent: what has turned meanwhile is for the next call.
                Some((minute, calls)) if minute >= sent => {
                    if calls >= world.minute_limit {
                        return self.end(at, call.key, Reply::Quota);
                    }
                    call.window = Some(minute);
                }
                _ => call.window = None,
            },
            end => return self.end(at, call.key, end),
        }
        self.clients[at] = Client::Waiting(call);
    }

    fn end(&mut self, at: usize, key: usize, reply: Reply) {
        self.told[key] |= matches!(reply, Reply::Done | Reply::Before);
        self.clients[at] = Client::Ended(reply);
    }
}
