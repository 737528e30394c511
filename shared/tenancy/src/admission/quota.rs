//! What a limit leaves, and which quota is used up.

use std::collections::BTreeMap;

use super::Admission;
use crate::{
    CollectionName, Effect, Problem,
    aws::read_item,
    key::Shelf,
    plan::Plan,
    quota::{Quota, QuotaKind, Reset},
    recount::Stock,
    scope::{Room, stock_key},
    staged::{Change, Place, Write},
};

/// What a call adds to what is kept: bytes of all documents but members, items of all collections and of each, and members.
/// Less than nothing is a gain. No call adds members: seats are taken at the entrance.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Growth {
    pub(super) bytes: i64,
    pub(super) items: i64,
    pub(super) members: i64,
    pub(super) collections: BTreeMap<CollectionName, i64>,
    /// Whether any write changes what is kept, be it that their sum is nothing: whoever counts it meanwhile is to know.
    pub(super) is_felt: bool,
}

impl Growth {
    pub(super) fn of(writes: &BTreeMap<Place, Write>) -> Self {
        let mut growth = Self::default();
        for ((shelf, _), write) in writes {
            growth.add(shelf, write);
        }
        growth.collections.retain(|_, more| *more != 0);
        growth
    }

    fn add(&mut self, shelf: &Shelf, write: &Write) {
        let (bytes_after, is_after) = match &write.change {
            Change::Put(raw) => (raw.bytes(), true),
            Change::Delete => (0, false),
            Change::Keep(_) => return,
        };
        let more = i64::from(is_after).saturating_sub(write.version_before.is_some().into());
        let bytes = bytes_after.saturating_sub(write.bytes_before);
        match shelf {
            Shelf::Members => {
                self.is_felt |= more != 0;
                self.members = self.members.saturating_add(more);
            }
            Shelf::Items(collection) => {
                self.is_felt |= more != 0 || bytes != 0;
                self.items = self.items.saturating_add(more);
                self.bytes = self.bytes.saturating_add(bytes);
                if more != 0 {
                    let here = self.collections.entry(collection.clone()).or_default();
                    *here = here.saturating_add(more);
                }
            }
            Shelf::Settings | Shelf::Secrets | Shelf::Assets | Shelf::Domains => {
                self.is_felt |= bytes != 0;
                self.bytes = self.bytes.saturating_add(bytes);
            }
        }
    }

    /// Whether there is more afterwards of anything that has a limit.
    fn grows(&self) -> bool {
        self.bytes > 0 || self.items > 0 || self.collections.values().any(|more| *more > 0)
    }

    /// The limit that leaves no room for it beside what there is.
    pub(super) fn beyond(&self, plan: &Plan, stock: &Stock) -> Option<(QuotaKind, u64, u64)> {
        let limits = plan.limits;
        if self.bytes > 0 && self.bytes > room(limits.storage_bytes, stock.bytes) {
            return Some((QuotaKind::StorageBytes, limits.storage_bytes, stock.bytes));
        }
        if self.items > 0 && self.items > room(limits.items, stock.items) {
            return Some((QuotaKind::Items, limits.items, stock.items));
        }
        self.collections.iter().find_map(|(collection, more)| {
            let limit = *plan.collection_items.get(collection)?;
            let used = stock.collections.get(collection).copied().unwrap_or(0);
            let kind = || QuotaKind::ItemsOf(collection.clone());
            (*more > 0 && *more > room(limit, used)).then(|| (kind(), limit, used))
        })
    }
}

/// What a limit leaves.
fn room(limit: u64, used: u64) -> i64 {
    i64::try_from(limit.saturating_sub(used)).unwrap_or(i64::MAX)
}

impl Admission {
    /// Refuses what may never grow so much, whatever there is, and what has no room beside what was there a moment ago.
    pub(super) async fn check_possible(&self, plan: &Plan, growth: &Growth) -> Result<(), Problem> {
        let turnstile = self.room.running.turnstile();
        if growth.grows()
            && let Some(stock) = turnstile.kept(&self.room.tenant, self.epochs(plan))
            && let Some(reached) = growth.beyond(plan, &stock)
        {
            return self.refuse_quota(plan, reached, None);
        }
        if growth.beyond(plan, &Stock::default()).is_none() {
            return Ok(());
        }
        // It is refused in any case, and is to be told what is used.
        let Room { store, table, tenant, .. } = &*self.room;
        let row = read_item(&store.client, table, stock_key(tenant), "reading what a tenant keeps").await?;
        self.check_growth(plan, growth, &Stock::of_row(row.as_ref()))
    }

    /// Refuses what may not grow so much, seeing what there is.
    pub(super) fn check_growth(&self, plan: &Plan, growth: &Growth, stock: &Stock) -> Result<(), Problem> {
        let Some(reached) = growth.beyond(plan, stock) else { return Ok(()) };
        self.room.running.turnstile().remember_full(&self.room.tenant, self.epochs(plan), stock);
        self.refuse_quota(plan, reached, None)
    }

    /// What is remembered of the tenant is good for these.
    fn epochs(&self, plan: &Plan) -> (u64, u64) {
        (self.room.routed_epoch, plan.epoch)
    }

    /// Refuses, and remembers what can't change before it resets or the plan does.
    pub(super) fn refuse_quota<T>(
        &self,
        plan: &Plan,
        (kind, limit, used): (QuotaKind, u64, u64),
        resets: Option<Reset>,
    ) -> Result<T, Problem> {
        let quota = Quota { kind, limit, used, resets, contact: self.room.contact.clone() };
        self.room.running.turnstile().remember(&self.room.tenant, self.epochs(plan), &quota);
        Err(Problem::QuotaReached(Box::new(quota)))
    }

    /// The refusal of an operation whose quota is known to be used up, and which was not done before under its key: nothing
    /// is asked and nothing is written, for it is counted.
    pub(crate) async fn refusal_known(&self) -> Result<Option<Problem>, Problem> {
        if self.operation.effect == Effect::Uncharged {
            return Ok(None);
        }
        let Some(quota) = self.room.spent().await? else { return Ok(None) };
        if self.replay().await?.is_some() {
            return Ok(None);
        }
        let problem = Problem::QuotaReached(Box::new(quota));
        self.room.denials.count(&self.room.tenant, &problem);
        Ok(Some(problem))
    }
}
