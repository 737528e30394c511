//! One call, admitted exactly once: its charge, its audit record, its idempotency record and its writes become
//! durable in one transaction, or none of them does.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    Problem,
    crypto::{Ring, sha256},
    key::{Family, Shelf},
    plan::{Moving, Plan},
    recount::Stock,
    scope::{Room, TenantScope},
    staged::Place,
    tenant::TenantId,
};

mod begun;
mod names;
mod news;
mod operation;
mod quota;
mod state;
mod trail;
mod transaction;
mod turn;

use names::Named;
pub use operation::{Door, Idempotency, Operation, Outcome};
use quota::Growth;
pub use state::{Opened, StateSeal};
use transaction::{Cancelled, Transaction};
pub(crate) use turn::{Meter, month_rows};

/// What the counters of a month begin with: those of one tool or action, and those of one day.
pub(crate) const TOOL: &str = "tool:";
pub(crate) const DAY: &str = "day:";
/// What the counters of one collection's items begin with.
pub(crate) const ITEMS_OF: &str = "items:";
/// Bytes of a result that is kept for replays. Source: DynamoDB's limit of 400 KB for an item, of which names and keys get 1 KiB.
const RESULT_BYTES_MAX: usize = 399 * 1024;
/// How often an operation is run again because of what it was based on.
const RUNS_AGAIN_MAX: u32 = 3;
/// Turns of the transaction: newer plans, a turned minute, and what is left for conflicts with other calls.
const ATTEMPTS_MAX: u32 = 8;

/// The right to do one operation, still to be charged for.
#[derive(Debug)]
pub struct Admission {
    room: Arc<Room>,
    operation: Operation,
    /// What the idempotency record is called, where there is to be one, and for how long. Behind it are the names that it
    /// may have under another key of the platform.
    names: Vec<Named>,
    keeps_s: i64,
    ring: Ring,
    /// How often it may still be run again because of what it was based on.
    runs_left: u32,
}

/// What came of a commit.
#[derive(Debug)]
pub enum Committed {
    /// Charged now, and every staged write is durable.
    Now,
    /// The same operation was charged before; nothing was written. Its kept result, if it keeps one.
    Before(Option<String>),
    /// Nothing is charged or written, since what the operation was based on has changed: it is to be run again, in this
    /// scope.
    Again(TenantScope, Box<Admission>),
}

impl Admission {
    pub(crate) async fn new(room: Arc<Room>, operation: Operation) -> Result<Self, Problem> {
        let ring = room.sealer.ring().await?;
        let keeps_s = operation.idempotency.keeps_s();
        let mut names = Vec::new();
        if operation.is_once() {
            for key in ring.shared(room.clock.now()) {
                names.push(Named::by(key, &room, &operation).ok_or_else(no_platform_key)?);
            }
        }
        Ok(Self { room, operation, names, keeps_s, ring, runs_left: RUNS_AGAIN_MAX })
    }

    /// A part of an operation that is too large for one transaction: a room of its own, and an admission whose key is
    /// derived from this one's and its number.
    ///
    #[must_use]
    pub fn chunk(&self, number: usize) -> (TenantScope, Self) {
        let (scope, mut admission) = self.emptied(self.room.plan.clone(), RUNS_AGAIN_MAX);
        admission.names = self.names.iter().map(|named| named.of_part(number)).collect();
        (scope, admission)
    }

    fn emptied(&self, plan: Plan, runs_left: u32) -> (TenantScope, Self) {
        let room = Arc::new(self.room.emptied(plan));
        let admission = Self {
            room: Arc::clone(&room),
            operation: self.operation.clone(),
            names: self.names.clone(),
            keeps_s: self.keeps_s,
            ring: self.ring.clone(),
            runs_left,
        };
        (TenantScope { room }, admission)
    }

    /// The seal of this operation's state.
    #[must_use]
    pub fn state_seal(&self) -> StateSeal {
        let caller = &self.room.caller;
        let arguments = sha256(&self.operation.arguments);
        let parts = [&*caller.issuer, &caller.subject, &caller.client, &self.operation.action, &arguments];
        StateSeal {
            ring: self.ring.clone(),
            tenant: self.room.tenant.clone(),
            context: parts.join("\0"),
            clock: self.room.clock.clone(),
        }
    }

    /// Records that the operation is refused before it ran. It is not charged.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer: a refusal without a record is none to rely on.
    pub async fn refuse(self, problem: &Problem) -> Result<(), Problem> {
        self.room.staged().close();
        self.record_denial(problem.code()).await
    }

    /// Charges, records and writes, all or nothing. What is staged after this is refused.
    ///
    /// # Errors
    /// [`Problem::QuotaReached`], [`Problem::Suspended`], [`Problem::Conflict`] when a record that was read has
    /// changed, [`Problem::IdempotencyMismatch`], [`Problem::Unavailable`] when the store does not answer in time.
    pub async fn commit(&self, outcome: Outcome<'_>) -> Result<Committed, Problem> {
        // Boxed, since a future has the layout of all that it waits for, and the compiler follows it so deep and no deeper.
        let committed = match Box::pin(self.charge(outcome)).await {
            // What can't be done any more may have been done: then this is its repetition, and no refusal.
            Err(problem) if is_refusal(&problem) && !matches!(outcome, Outcome::Failed { .. }) => {
                self.before().await.and_then(|before| before.ok_or(problem))
            }
            committed => committed,
        };
        Box::pin(self.refused(committed)).await
    }

    /// What came of it, whose refusal is recorded if it is one that nothing else records.
    async fn refused<T>(&self, ended: Result<T, Problem>) -> Result<T, Problem> {
        if let Err(problem) = &ended
            && is_refusal(problem)
        {
            self.record_denial(problem.code()).await?;
        }
        ended
    }

    async fn charge(&self, outcome: Outcome<'_>) -> Result<Committed, Problem> {
        let (writes, repeatable, empties_cache) = {
            let mut staged = self.room.staged();
            let empties_cache = staged.empties_cache();
            (staged.close(), staged.repeatable(), empties_cache)
        };
        // An operation that failed is charged and recorded, and changes nothing.
        let is_done = matches!(outcome, Outcome::Done { .. });
        let (writes, empties_cache) = if is_done { (writes, empties_cache) } else { Default::default() };
        let resources = trail::resources(self.operation.resource.as_ref(), &writes, outcome);
        let news = news::of(&self.room, &writes)?;
        let growth = Growth::of(&writes);
        let mut plan = self.room.plan.clone();
        if plan.moving.is_some() || growth.beyond(&plan, &Stock::default()).is_some() {
            // What is remembered may be over, so nobody is refused for it before it is read again.
            plan = self.room.newer_plan().await?;
            check_moving(&plan, outcome)?;
            if !plan.promises_as(&self.room.plan) {
                return self.again(plan);
            }
        }
        self.check_possible(&plan, &growth).await?;
        let Room { plans, tenant, clock, .. } = &*self.room;
        let mut turn = self.first_turn(&plan).await?;
        let mut attempt = 0;
        // By the plan as it is by then: it may have more counters than the one that was remembered.
        while attempt < attempts_max(&plan) {
            attempt = attempt.saturating_add(1);
            let now = clock.now();
            let transaction = Transaction {
                admission: self,
                plan: &plan,
                outcome,
                writes: &writes,
                news: &news,
                growth: &growth,
                empties_cache,
                turn,
                now,
            };
            match self.send_recorded(transaction, &resources).await? {
                Ok(()) => {
                    plans.charged_in(tenant, turn.counter, turn.window.minute(now)).await;
                    self.forget(&growth, empties_cache);
                    return Ok(Committed::Now);
                }
                Err(Cancelled::Done(item)) => return self.same(&item),
                // However often it changes meanwhile: with one that is over, no attempt can do.
                Err(Cancelled::Plan) => {
                    plan = self.room.newer_plan().await?;
                    check_moving(&plan, outcome)?;
                    if !plan.promises_as(&self.room.plan) {
                        return self.again(plan);
                    }
                    self.check_possible(&plan, &growth).await?;
                    turn = self.first_turn(&plan).await?;
                }
                Err(Cancelled::Meter(meter)) => turn = self.next_turn(&plan, turn, &meter, now).await?,
                // Where there is room, somebody made it meanwhile, and the next attempt will do.
                Err(Cancelled::Storage(stock)) => self.check_growth(&plan, &growth, &stock)?,
                Err(Cancelled::Write(_)) if repeatable => return self.again(plan),
                Err(Cancelled::Write(at)) => {
                    return Err(changed_meanwhile(at.and_then(|at| writes.keys().nth(at))));
                }
                Err(Cancelled::Contended) => {
                    let pause_ms = 10_u64.saturating_mul(1 << attempt.min(5));
                    tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
                }
            }
        }
        Err(Problem::Unavailable { doing: "committing a call", source: None })
    }

    /// Forgets what the instance remembers of the tenant and has just changed.
    fn forget(&self, growth: &Growth, empties_cache: bool) {
        let Room { tenant, running, cache, .. } = &*self.room;
        if growth.is_felt {
            running.turnstile().forget_full(tenant);
        }
        if empties_cache {
            cache.clear(tenant);
        }
    }

    /// The room, for what is done after the commit.
    pub(crate) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.room)
    }

    pub(crate) const fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Whether what came of the operation can be kept for its repetitions.
    pub(crate) fn check_result(&self, outcome: Outcome<'_>) -> Result<(), Problem> {
        match (self.names.first(), outcome) {
            (Some(_), Outcome::Done { result }) if result.len() > RESULT_BYTES_MAX => {
                let bytes = result.len();
                Err(Problem::TooLarge { what: "result", bytes_max: RESULT_BYTES_MAX, bytes })
            }
            _ => Ok(()),
        }
    }

    /// The operation under the plan as it is right now, where that promises something else; nothing where it does not.
    ///
    /// # Errors
    /// [`Problem::Suspended`], or [`Problem::Unavailable`] when the store does not answer.
    pub async fn newer(&self) -> Result<Option<(TenantScope, Self)>, Problem> {
        let plan = self.room.newer_plan().await?;
        if plan.promises_as(&self.room.plan) {
            return Ok(None);
        }
        Ok(Some(self.emptied(plan, self.runs_left)))
    }

    /// The operation under the plan as it is right now.
    pub(crate) async fn under_plan_of_now(&self) -> Result<(TenantScope, Self), Problem> {
        Ok(self.emptied(self.room.newer_plan().await?, self.runs_left))
    }

    /// The operation once more, under this plan and with nothing staged.
    fn again(&self, plan: Plan) -> Result<Committed, Problem> {
        let runs_left = self.runs_left.checked_sub(1).ok_or_else(|| changed_meanwhile(None))?;
        let (scope, admission) = self.emptied(plan, runs_left);
        Ok(Committed::Again(scope, Box::new(admission)))
    }
}

/// Every counter may take a turn of a minute that was guessed wrong, and one of a minute that is right.
fn attempts_max(plan: &Plan) -> u32 {
    let others = u32::from(plan.spread.counters()).saturating_sub(1);
    ATTEMPTS_MAX.saturating_add(others.saturating_mul(2))
}

/// Whether it is a refusal that has a record of its own.
const fn is_refusal(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::IdempotencyMismatch | Problem::Conflict { .. } | Problem::Moving | Problem::QuotaReached(_)
    )
}

/// A move lets calls read until it closes; then it lets none in.
fn check_moving(plan: &Plan, outcome: Outcome<'_>) -> Result<(), Problem> {
    match (plan.moving, outcome) {
        (Some(Moving::Closed), _) | (Some(Moving::Copying), Outcome::Done { .. }) => Err(Problem::Moving),
        _ => Ok(()),
    }
}

fn no_platform_key() -> Problem {
    Problem::internal("naming", "there is no platform key")
}

/// The item that it is, where the caller knows it by its id.
fn changed_meanwhile(place: Option<&Place>) -> Problem {
    let detail = match place {
        Some((Shelf::Items(collection), id)) => {
            format!("the item {id} of {collection} has changed meanwhile")
        }
        _ => "a record that this call read has changed meanwhile".to_owned(),
    };
    Problem::Conflict { detail }
}

/// The key of a counter of a month, such as `2026-11`.
pub(crate) fn month_key(tenant: &TenantId, month: &str, counter: u8) -> HashMap<String, AttributeValue> {
    let sort_key = if counter == 0 { month.to_owned() } else { format!("{month}#{counter}") };
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(Family::Meter.of(tenant))),
        ("sk".to_owned(), AttributeValue::S(sort_key)),
    ])
}
