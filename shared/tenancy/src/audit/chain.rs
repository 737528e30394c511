//! The chains that an instance writes: for each tenant the end of one, which the next record goes on from.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::types::AttributeValue;
use hashlink::LruCache;

use super::{Ended, Entry, HASH, ended::ENDED_MAX, hash};
use crate::{Problem, canonical::Item, clock::Moment, crypto::random_bits, tenant::TenantId};

/// Tenants whose chains an instance goes on with. One that was forgotten gets a new chain.
const TENANTS_MAX: usize = 200;

/// The chains that nobody is writing to just now, and what the next record of a tenant's is to tell.
pub(crate) struct Chains {
    idle: Mutex<LruCache<TenantId, Chain>>,
    ended: Mutex<LruCache<TenantId, Vec<Ended>>>,
}

/// The end of a chain.
///
/// INVARIANT: it is neither copied nor cloned, every record before `place` is durable, and whoever can't say whether
/// the record at `place` became durable lets the chain go. So no two records ever have one place, and no record goes on
/// from one that is not there.
#[derive(Debug)]
pub(crate) struct Chain {
    /// 128 random bits, so that no two chains have one name.
    writer: String,
    /// Of the next record.
    place: u64,
    /// The hash of the last record; of the first one's predecessor, which is none, the writer.
    previous: String,
    /// When the last record was made.
    last: Moment,
}

/// A record with its place, still to become durable.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) item: Item,
    /// The record's sort key, which no other record ever has.
    pub(crate) sort_key: String,
    hash: String,
    at: Moment,
}

impl Chains {
    pub(crate) fn new() -> Self {
        Self { idle: Mutex::new(LruCache::new(TENANTS_MAX)), ended: Mutex::new(LruCache::new(TENANTS_MAX)) }
    }

    /// A chain of this tenant that nobody else has. A day has chains of its own, and so has time that went back: in a
    /// chain the later record is the one with the later key.
    pub(crate) fn take(&self, tenant: &TenantId, now: Moment) -> Result<Chain, Problem> {
        let idle = open(&self.idle).remove(tenant);
        match idle.filter(|chain| chain.last <= now && chain.last.day() == now.day()) {
            Some(chain) => Ok(chain),
            None => Chain::begin(now),
        }
    }

    /// Takes a chain back of which it is known how far it goes. Of two that were written at once the later one ends.
    pub(crate) fn keep(&self, tenant: &TenantId, chain: Chain) {
        open(&self.idle).insert(tenant.clone(), chain);
    }

    /// Keeps what the tenant's next record is to tell. Beyond what one tells there is enough to go by.
    pub(crate) fn end(&self, tenant: &TenantId, ended: Ended) {
        let mut all = open(&self.ended);
        let own = all.entry(tenant.clone()).or_insert_with(Vec::new);
        if own.len() < ENDED_MAX {
            own.push(ended);
        }
    }

    /// Takes back a chain whose next record was not made, and what that was to tell.
    pub(crate) fn keep_without(&self, tenant: &TenantId, chain: Chain, link: &Link) {
        self.keep(tenant, chain);
        Ended::read(&link.item).into_iter().for_each(|ended| self.end(tenant, ended));
    }

    /// What the tenant's next record tells. Where it is not known whether there is one, it is told by none.
    pub(crate) fn take_ended(&self, tenant: &TenantId) -> Vec<Ended> {
        open(&self.ended).remove(tenant).unwrap_or_default()
    }
}

/// Nothing can panic under either lock.
fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chain {
    fn begin(now: Moment) -> Result<Self, Problem> {
        let writer = TenantId::spell(random_bits()?).to_string();
        Ok(Self { previous: writer.clone(), writer, place: 0, last: now })
    }

    /// The record that comes next. The chain stands still until it is known to be durable.
    pub(crate) fn link(&self, tenant: &TenantId, now: Moment, entry: &Entry<'_>) -> Result<Link, Problem> {
        // Records of one moment sort by their places; the random bits are for an attempt that is made again.
        let attempt = TenantId::spell(random_bits()?);
        let sort_key = format!("{}#{:010}#{attempt}", now.rfc3339(), self.place);
        let mut item = entry.item(tenant, now, sort_key.clone())?;
        item.insert("writer".to_owned(), AttributeValue::S(self.writer.clone()));
        item.insert("seq".to_owned(), AttributeValue::N(self.place.to_string()));
        item.insert("prev".to_owned(), AttributeValue::S(self.previous.clone()));
        let hash = hash(&item);
        item.insert(HASH.to_owned(), AttributeValue::S(hash.clone()));
        Ok(Link { item, sort_key, hash, at: now })
    }

    /// The chain after a record that is durable.
    pub(crate) fn after(self, link: Link) -> Self {
        Self { writer: self.writer, place: self.place.saturating_add(1), previous: link.hash, last: link.at }
    }
}

impl fmt::Debug for Chains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chains").finish_non_exhaustive()
    }
}
