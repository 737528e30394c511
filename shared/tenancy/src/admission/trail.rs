//! The audit record of a call, in its place of a chain.

use std::collections::BTreeMap;

use super::{
    Admission, Outcome,
    transaction::{Cancelled, Transaction},
};
use crate::{
    Problem,
    audit::{Chain, Decision, Entry, Link, Resource},
    aws::store_problem,
    clock::Moment,
    key::Shelf,
    plan::Plan,
    staged::{Change, Place, Write},
};

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
        let (room, now) = (&self.room, self.room.clock.now());
        let asked: Vec<Resource> = self.operation.resource.iter().cloned().collect();
        let (chain, link) = self.link(&room.plan, now, (Decision::Denied, code), &asked)?;
        let put = room.store.client.put_item().table_name(&*room.table);
        let put = put.set_item(Some(link.item.clone())).condition_expression("attribute_not_exists(pk)");
        match put.send().await {
            Ok(_) => {
                room.chains.keep(&room.tenant, chain.after(link));
                Ok(())
            }
            // The key is of this attempt alone: its record is there, and the reply that said so was lost.
            Err(err)
                if err.as_service_error().is_some_and(|err| err.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(err) => Err(store_problem("recording a refusal", err)),
        }
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
