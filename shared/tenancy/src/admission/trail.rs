//! The audit record of a call, in its place of a chain.

use std::collections::BTreeMap;

use super::{
    Admission, Operation, Outcome,
    transaction::{Cancelled, Transaction},
};
use crate::{
    Problem,
    audit::{Chain, Decision, Entry, Link, Resource, Stage},
    aws::pause,
    clock::Moment,
    key::Shelf,
    plan::Plan,
    scope::Room,
    staged::{Change, Place, Write},
};

/// Turns of a record that meets a change of the plan.
const ADD_ATTEMPTS_MAX: u32 = 4;
const ADDING: &str = "recording what became of a call";

/// What a call is about: what it was asked for, and every item that it changes. What was not even valid named nothing, and
/// may be anything: a secret in the place of its name.
pub(super) fn resources(
    asked: Option<&Resource>,
    writes: &BTreeMap<Place, Write>,
    outcome: Outcome<'_>,
) -> Vec<Resource> {
    let asked = asked.filter(|_| outcome.code() != "invalid");
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

/// What a record says of an operation, beside who asked for it and what it was about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'s> {
    pub(super) decision: Decision,
    pub(super) stage: Stage,
    pub(super) code: &'s str,
}

/// Who writes down what becomes of one operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scribe<'s> {
    room: &'s Room,
    operation: &'s Operation,
}

impl Admission {
    pub(super) fn scribe(&self) -> Scribe<'_> {
        Scribe { room: &self.room, operation: &self.operation }
    }

    /// One attempt, with its record in the place that a chain has for it.
    pub(super) async fn send_recorded(
        &self,
        transaction: Transaction<'_>,
        resources: &[Resource],
    ) -> Result<Result<(), Cancelled>, Problem> {
        let Transaction { plan, now, outcome, .. } = transaction;
        let said = Said { decision: Decision::Allowed, stage: outcome.stage(), code: outcome.code() };
        let (chain, link) = self.scribe().link(plan, now, said, resources)?;
        // Where no reply comes, nobody knows whether the record is there: then the chain ends here, with or without it.
        let sent = transaction.send(&link).await?;
        let Room { chains, tenant, .. } = &*self.room;
        match &sent {
            Ok(()) => chains.keep(tenant, chain.after(link)),
            Err(_cancelled) => chains.keep_without(tenant, chain, &link),
        }
        Ok(sent)
    }

    /// The record of a refusal, durable before the caller hears of it; but for one of very many, which is counted.
    pub(super) async fn record_denial(&self, code: &'static str) -> Result<(), Problem> {
        let Room { denials, tenant, .. } = &*self.room;
        let said = Said { decision: Decision::Denied, stage: Stage::Whole, code };
        if denials.may_record(tenant, code) && !self.scribe().add(said).await? {
            denials.count_code(tenant, code);
        }
        Ok(())
    }
}

impl Scribe<'_> {
    /// Adds a record, which is durable then; `false` where the trail takes none just now.
    pub(super) async fn add(self, said: Said<'_>) -> Result<bool, Problem> {
        let mut plan = self.room.plan.clone();
        let asked: Vec<Resource> = self.operation.resource.iter().cloned().collect();
        for attempt in 0..ADD_ATTEMPTS_MAX {
            pause(attempt).await;
            // Nothing is written that a move would have to copy again.
            if plan.moving.is_some() {
                return Ok(false);
            }
            let link = self.link(&plan, self.room.clock.now(), said, &asked)?;
            if self.room.add_record(&plan, link).await? {
                return Ok(true);
            }
            // Under another plan the trail may be in another table.
            plan = match self.room.newer_plan().await {
                Err(Problem::Suspended) => return Ok(false),
                read => read?,
            };
        }
        Err(Problem::Unavailable { doing: ADDING, source: None })
    }

    fn link(
        self,
        plan: &Plan,
        now: Moment,
        Said { decision, stage, code }: Said<'_>,
        resources: &[Resource],
    ) -> Result<(Chain, Link), Problem> {
        let Self { room, operation } = self;
        let entry = Entry {
            caller: Some(&room.caller),
            action: &operation.action,
            door: Some(operation.door),
            decision,
            stage,
            code,
            resources,
            epoch: plan.epoch,
            request_id: &operation.request_id,
            duration_ms: room.took_ms(now),
            counted: None,
            ended: &room.chains.take_ended(&room.tenant),
        };
        let chain = room.chains.take(&room.tenant, now)?;
        let link = chain.link(&room.tenant, now, &entry)?;
        Ok((chain, link))
    }
}
