//! The audit trail: what a record says of a call, and the chains by which it shows that one was altered or removed.
//!
//! Each instance writes a chain of its own for each tenant and day: records with places that count from 0, each with the
//! hash of the one before. So no record waits for another instance's, and the chain needs no read. What the hash covers
//! is the whole record but who called: that is covered by a salted commitment, so that it can be erased one day, and the
//! chain still be verified.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    Door, Problem,
    aws::text,
    canonical::{Item, write_map},
    clock::Moment,
    crypto::{random_bits, sha256},
    denials::Counted,
    key::Family,
    tenant::{Caller, TenantId},
};

mod chain;
mod counted;
mod ended;
mod read;
mod record;
mod resource;
mod verify;

pub(crate) use chain::{Chain, Chains, Link};
pub(crate) use ended::Ended;
pub use read::{AUDIT_PAGE_MAX, AuditPage, AuditQuery};
pub(crate) use read::{Spot, Trail};
pub(crate) use record::Stage;
pub use record::{AuditRecord, CountedDenials, Decision, Who};
pub use resource::Resource;
pub use verify::{Break, Head, Verified, Wrong};
pub(crate) use verify::{Linked, check};

/// What the salted commitment covers instead of the chain: these may be erased, all together.
const WHO: [&str; 4] = ["issuer", "subject", "client", "who_salt"];
const HASH: &str = "hash";

/// What there is to say of one decision, before it has its place in a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'e> {
    /// Nobody in particular, where denials are counted.
    pub(crate) caller: Option<&'e Caller>,
    pub(crate) action: &'e str,
    /// None where denials are counted, through whatever door they came.
    pub(crate) door: Option<Door>,
    pub(crate) decision: Decision,
    pub(crate) stage: Stage,
    /// Why: a stable word, `ok` where there is nothing to say.
    pub(crate) code: &'e str,
    /// What it was about. Never an argument.
    pub(crate) resources: &'e [Resource],
    pub(crate) epoch: u64,
    pub(crate) request_id: &'e str,
    /// From the entrance to this record.
    pub(crate) duration_ms: u64,
    /// The denials that it stands for, where they are several.
    pub(crate) counted: Option<&'e Counted>,
    /// Calls that ended since the last record, of which it tells.
    pub(crate) ended: &'e [Ended],
}

impl Entry<'_> {
    /// The record without its place.
    fn item(&self, tenant: &TenantId, now: Moment, sort_key: String) -> Result<Item, Problem> {
        let resources = self.resources.iter().map(|resource| text(resource.as_str())).collect();
        let mut item = Item::from([
            ("pk".to_owned(), AttributeValue::S(Family::Audit(&now.day()).of(tenant))),
            ("sk".to_owned(), AttributeValue::S(sort_key)),
            ("at".to_owned(), AttributeValue::S(now.rfc3339())),
            ("action".to_owned(), text(self.action)),
            ("resources".to_owned(), AttributeValue::L(resources)),
            ("decision".to_owned(), text(self.decision.word())),
            ("code".to_owned(), text(self.code)),
            ("epoch".to_owned(), AttributeValue::N(self.epoch.to_string())),
            ("request_id".to_owned(), text(self.request_id)),
            ("duration_ms".to_owned(), AttributeValue::N(self.duration_ms.to_string())),
        ]);
        item.extend(self.stage.word().map(|stage| ("stage".to_owned(), text(stage))));
        if !self.ended.is_empty() {
            let ended = self.ended.iter().map(Ended::attribute).collect();
            item.insert(ended::ENDED.to_owned(), AttributeValue::L(ended));
        }
        item.extend(self.door.map(|door| ("door".to_owned(), text(door.word()))));
        item.extend(self.counted.map(Counted::attributes).into_iter().flatten());
        if let Some(Caller { issuer, subject, client, .. }) = self.caller {
            let salt = sha256(&random_bits()?);
            let who_hash = who_hash(issuer, subject, client, &salt);
            item.insert("who_hash".to_owned(), AttributeValue::S(who_hash));
            item.extend(
                WHO.iter()
                    .zip([issuer, subject, client, &salt])
                    .map(|(name, it)| ((*name).to_owned(), text(it))),
            );
        }
        Ok(item)
    }
}

/// The commitment to who called. Without the salt nobody can try out whom it stands for.
fn who_hash(issuer: &str, subject: &str, client: &str, salt: &str) -> String {
    let who = WHO.iter().zip([issuer, subject, client, salt]);
    let who: Item = who.map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    hash_of(b"insula/1/audit/who", &who)
}

/// What is left of a record once its caller is erased.
pub(crate) fn without_caller(record: &Item) -> Item {
    let mut left = record.clone();
    left.retain(|name, _| !WHO.contains(&name.as_str()));
    left
}

/// The hash of a record: over all of it but the hash itself and what the commitment stands for.
fn hash(record: &Item) -> String {
    let covered = |name: &&String| *name != HASH && !WHO.contains(&name.as_str());
    let covered: Item = record
        .iter()
        .filter(|(name, _)| covered(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    hash_of(b"insula/1/audit/record", &covered)
}

fn hash_of(what: &[u8], item: &Item) -> String {
    let mut bytes = what.to_vec();
    write_map(&mut bytes, item);
    sha256(&bytes)
}

#[cfg(test)]
mod tests;
