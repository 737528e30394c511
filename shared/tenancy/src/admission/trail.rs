//! The audit record of a call, in its place of a chain.

use std::collections::BTreeMap;

use super::{
    Admission, Outcome,
    transaction::{Cancelled, Transaction},
};
use crate::{
    Problem,
    audit::{Chain, Decision, Entry, Link, Resource},
    aws::pause,
    clock::Moment,
    key::Shelf,
    plan::Plan,
    staged::{Change, Place, Write},
};

/// Turns of the record of a refusal that meets a change of the plan.
const DENIAL_ATTEMPTS_MAX: u32 = 4;
const DENYING: &str = "recording a refusal";

/// What a call is about: what it was asked for, and every item that it changes. What was not even valid named nothing, and
/// may be anything: a secret in the place of its name.
pub(super) fn resources(
    asked: Option<&Resource>,
    writes: &BTreeMap<Place, Write>,
    outcome: Outcome<'_>,
) -> Vec<Resource> {
    let asked = asked.filter(|_| outcome != Outcome::Failed { code: "invalid" });
    let changes = |write: &Write| matches!(write.change, Change::Put(_) | Change::Delete);
    let changed = writes.iter().filter(|(_, write)| changes(write));
    let mut all: Vec<Resource> = changed.filter_map(|((shelf, id), _)| item(shelf, id.as_str())).collect();
    all.extend(asked.filter(|asked| !all.contains(asked)).cloned());
    all
}

/// Whatever is no item of a collection is asked for by its own address.
fn item(shelf: &Shelf, id: &str) -> Option<Resource> {
    let Shelf::Items(collection) = shelf else { return None };
    Resource::fill("collections/{collection}/items/{id}", |name| match name {
        "collection" => Some(collection.as_str()),
        _ => Some(id),
    })
}

impl Admission {
    /// One attempt, with its record in the place that a chain has for it.
    pub(super) async fn send_recorded(
        &self,
        transaction: Transaction<'_>,
        resources: &[Resource],
    ) -> Result<Result<(), Cancelled>, Problem> {
        let Transaction { plan, now, outcome, .. } = transaction;
        let (chain, link) = self.link(plan, now, (Decision::Allowed, outcome.code()), resources)?;
        // Where no reply comes, nobody knows whether the record is there: then the chain ends here, with or without it.
        let sent = transaction.send(&link).await?;
        let chain = if sent.is_ok() { chain.after(link) } else { chain };
        self.room.chains.keep(&self.room.tenant, chain);
        Ok(sent)
    }

    /// The record of a refusal, durable before the caller hears of it; but for one of very many, which is counted.
    pub(super) async fn record_denial(&self, code: &'static str) -> Result<(), Problem> {
        if !self.room.denials.may_record(&self.room.tenant, code) {
            return Ok(());
        }
        let mut plan = self.room.plan.clone();
        for attempt in 0..DENIAL_ATTEMPTS_MAX {
            pause(attempt).await;
            // Nothing is written that a move would have to copy again.
            if plan.moving.is_some() {
                return self.count_denial(code);
            }
            if self.put_denial(&plan, code).await? {
                return Ok(());
            }
            // Under another plan the trail may be in another table.
            plan = match self.room.newer_plan().await {
                Err(Problem::Suspended) => return self.count_denial(code),
                read => read?,
            };
        }
        Err(Problem::Unavailable { doing: DENYING, source: None })
    }

    fn count_denial(&self, code: &'static str) -> Result<(), Problem> {
        self.room.denials.count_code(&self.room.tenant, code);
        Ok(())
    }

    /// Whether the record is there; `false` where the plan is another one, or somebody else is at it.
    async fn put_denial(&self, plan: &Plan, code: &'static str) -> Result<bool, Problem> {
        let (room, now) = (&self.room, self.room.clock.now());
        let asked: Vec<Resource> = self.operation.resource.iter().cloned().collect();
        room.add_record(plan, self.link(plan, now, (Decision::Denied, code), &asked)?).await
    }

    fn link(
        &self,
        plan: &Plan,
        now: Moment,
        (decision, code): (Decision, &str),
        resources: &[Resource],
    ) -> Result<(Chain, Link), Problem> {
        let Self { room, operation, .. } = self;
        let duration_ms = now.micros().saturating_sub(room.began.micros()).div_euclid(1_000);
        let entry = Entry {
            caller: Some(&room.caller),
            action: &operation.action,
            door: Some(operation.door),
            decision,
            code,
            resources,
            epoch: plan.epoch,
            request_id: &operation.request_id,
            duration_ms: u64::try_from(duration_ms).unwrap_or(0),
            counted: None,
        };
        let chain = room.chains.take(&room.tenant, now)?;
        let link = chain.link(&room.tenant, now, &entry)?;
        Ok((chain, link))
    }
}
