//! Who keeps how much, and who gives way: one list a tenant, in the order of use, and what is being fetched.

use std::{cmp::Reverse, collections::HashMap, hash::RandomState, sync::Arc};

use hashlink::LinkedHashMap;

use super::{Cell, Entry, Era, Key, Value, stats::Stats};
use crate::{
    clock::Moment,
    tenant::{TenantId, Tier},
};

/// How often it is looked for what has expired, and reported what has been done.
const SWEEP_S: i64 = 1;
const REPORT_S: i64 = 60;

/// How much is kept, in bytes of values, ids and [`Bounds::ENTRY_OVERHEAD_BYTES`] for each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Of all tenants.
    pub(super) bytes_max: usize,
    /// Of one tenant.
    pub(super) tenant_bytes_max: usize,
    /// What a tenant is left with, however great the need of others.
    pub(super) tenant_bytes_min: usize,
    /// Of one entry: what is heavier is served, and not kept.
    pub(super) entry_bytes_max: usize,
    /// Tenants.
    pub(super) tenants_max: usize,
}

impl Bounds {
    /// What an entry takes besides its value and its id: its key, its links, its place in the table.
    pub(super) const ENTRY_OVERHEAD_BYTES: usize = 256;

    /// An eighth of the memory of the functions that serve tenants; as many tenants as they keep sessions of.
    pub(super) const INSTANCE: Self = {
        const KB: usize = 1024;
        let bounds = Self {
            bytes_max: 32 * KB * KB,
            tenant_bytes_max: 8 * KB * KB,
            tenant_bytes_min: 64 * KB,
            entry_bytes_max: 96 * KB,
            tenants_max: 200,
        };
        assert!(bounds.can_be_kept());
        bounds
    };

    /// Whether everybody can keep their least, always. When more is kept than `bytes_max`, some tenant has more than
    /// its part of it, which is at least `tenant_bytes_min + entry_bytes_max`: it can give an entry and keep its least.
    pub(super) const fn can_be_kept(&self) -> bool {
        let part = self.tenant_bytes_min.saturating_add(self.entry_bytes_max);
        self.tenants_max.saturating_mul(part) <= self.bytes_max && part <= self.tenant_bytes_max
    }
}

/// What came of a question.
pub(super) enum Asked {
    /// This is kept.
    Kept(Value),
    /// Somebody fetches it, perhaps the asker.
    Flight(Arc<Cell>),
}

/// All that is kept and being fetched.
pub(super) struct Book {
    bounds: Bounds,
    pub(super) shares: HashMap<TenantId, Share>,
    // INVARIANT: a fetch is kept if and only if its flight is still here when it lands. Whoever must not get what is
    // older than now takes the flight out.
    pub(super) flights: HashMap<Key, Flight>,
    /// The newest version of everybody's cache that was seen.
    everyone: u64,
    swept: Moment,
    reported: Moment,
}

/// What is kept for one tenant.
pub(super) struct Share {
    tier: Tier,
    // INVARIANT: the era of every entry.
    era: Era,
    used: Moment,
    // INVARIANT: `bytes` is the sum of those of the entries, of which the first was used least recently.
    pub(super) entries: LinkedHashMap<Key, Entry, RandomState>,
    pub(super) bytes: usize,
    stats: Stats,
    reported: Stats,
}

/// A fetch and those who wait for it.
pub(super) struct Flight {
    cell: Arc<Cell>,
    begun: Moment,
    waiting: usize,
}

impl Book {
    pub(super) fn new(bounds: Bounds) -> Self {
        let never = Moment::default();
        Self {
            bounds,
            shares: HashMap::new(),
            flights: HashMap::new(),
            everyone: 0,
            swept: never,
            reported: never,
        }
    }

    /// Finds what is kept, or joins a fetch that was begun less than `join_s` ago, or begins one. Who joins one leaves it.
    pub(super) fn ask(&mut self, key: &Key, tier: Tier, join_s: u32, now: Moment) -> Asked {
        if key.era.everyone > self.everyone {
            self.everyone = key.era.everyone;
            self.clear_all();
        }
        if let Some(share) = self.share(key, tier, now)
            && let Some(value) = share.get(key, now)
        {
            return Asked::Kept(value);
        }
        let new = || Flight { cell: Arc::default(), begun: now, waiting: 0 };
        let flight = self.flights.entry(key.clone()).or_insert_with(new);
        // What it brings may be as old as it is.
        if now < flight.begun || flight.begun.plus_s(join_s.into()) <= now {
            *flight = new();
        }
        flight.waiting = flight.waiting.saturating_add(1);
        Asked::Flight(Arc::clone(&flight.cell))
    }

    /// The fetch of a flight is begun now: by the one who asked first, or by one who took it over.
    pub(super) fn begin(&mut self, key: &Key, cell: &Arc<Cell>, now: Moment) {
        if let Some(flight) = self.flight(key, cell) {
            flight.begun = now;
        }
    }

    /// One who waited leaves: the first one after it has landed keeps it, and the last one takes it away if it never
    /// will.
    pub(super) fn leave(&mut self, key: &Key, cell: &Arc<Cell>, now: Moment) {
        let Some(flight) = self.flight(key, cell) else { return };
        flight.waiting = flight.waiting.saturating_sub(1);
        let landed = cell.get();
        if landed.is_some() || flight.waiting == 0 {
            self.flights.remove(key);
        }
        if let Some(Ok(entry)) = landed {
            self.keep(key, entry.clone(), now);
        }
    }

    /// The flight of this cell, if nobody has taken it out.
    fn flight(&mut self, key: &Key, cell: &Arc<Cell>) -> Option<&mut Flight> {
        self.flights.get_mut(key).filter(|flight| Arc::ptr_eq(&flight.cell, cell))
    }

    pub(super) fn clear(&mut self, tenant: &TenantId) {
        self.flights.retain(|key, _| key.tenant != *tenant);
        if let Some(share) = self.shares.get_mut(tenant) {
            share.clear();
        }
    }

    fn clear_all(&mut self) {
        self.flights.clear();
        self.shares.values_mut().for_each(Share::clear);
    }

    /// The statistics that have changed since they were last reported, with what was counted since then.
    pub(super) fn due(&mut self, now: Moment) -> Vec<(TenantId, Stats)> {
        if !passed(self.reported, REPORT_S, now) {
            return Vec::new();
        }
        self.reported = now;
        let mut due = Vec::new();
        for (tenant, share) in &mut self.shares {
            let stats = share.stats();
            if stats != share.reported {
                due.push((tenant.clone(), stats.since(&share.reported)));
                share.reported = stats;
            }
        }
        due
    }

    /// The share of a tenant as it is in the era of the key. Where there are too many, one that is empty gives way, or
    /// one of the lowest tier, not above the asker's, that was not used for longest. Without one the asker has none.
    fn share(&mut self, key: &Key, tier: Tier, now: Moment) -> Option<&mut Share> {
        if !self.shares.contains_key(&key.tenant) && self.shares.len() >= self.bounds.tenants_max {
            let order = |share: &Share| (!share.entries.is_empty(), share.tier, share.used);
            let (tenant, share) = self.shares.iter().min_by_key(|(_, share)| order(share))?;
            if !share.entries.is_empty() && share.tier > tier {
                return None;
            }
            let tenant = tenant.clone();
            self.shares.remove(&tenant);
        }
        let share = self.shares.entry(key.tenant.clone()).or_insert_with(|| Share::new(key.era));
        share.tier = tier;
        share.used = now;
        if share.era < key.era {
            share.clear();
            share.era = key.era;
        }
        Some(share)
    }

    /// Keeps an entry, if it may be kept. What has expired makes room first, then the tenant's own beyond its share,
    /// then that of tenants who can give and keep their least: of the lowest tier among them, the one who has most.
    fn keep(&mut self, key: &Key, entry: Entry, now: Moment) {
        if entry.bytes > self.bounds.entry_bytes_max || !entry.is_fresh(now) {
            return;
        }
        let Some(share) = self.shares.get_mut(&key.tenant).filter(|share| share.era == key.era) else {
            return;
        };
        share.put(key, entry);
        let tenant_full = share.bytes > self.bounds.tenant_bytes_max;
        if (tenant_full || self.is_full()) && passed(self.swept, SWEEP_S, now) {
            self.swept = now;
            self.shares.values_mut().for_each(|share| share.sweep(now));
        }
        while let Some(share) = self.shares.get_mut(&key.tenant)
            && share.bytes > self.bounds.tenant_bytes_max
        {
            share.evict();
        }
        while self.is_full()
            && let Some(share) = self.gives_way()
        {
            share.evict();
        }
    }

    fn is_full(&self) -> bool {
        self.shares.values().map(|share| share.bytes).fold(0, usize::saturating_add) > self.bounds.bytes_max
    }

    fn gives_way(&mut self) -> Option<&mut Share> {
        let least = self.bounds.tenant_bytes_min;
        let can_give = |share: &&mut Share| share.bytes_after_evicting().is_some_and(|left| left >= least);
        let shares = self.shares.values_mut().filter(can_give);
        shares.min_by_key(|share| (share.tier, Reverse(share.bytes), share.used))
    }
}

impl Share {
    fn new(era: Era) -> Self {
        Self {
            tier: Tier::Free,
            era,
            used: Moment::default(),
            entries: LinkedHashMap::default(),
            bytes: 0,
            stats: Stats::default(),
            reported: Stats::default(),
        }
    }

    /// What is kept under this key, used now.
    fn get(&mut self, key: &Key, now: Moment) -> Option<Value> {
        let entry = self.entries.to_back(key);
        if let Some(value) = entry.filter(|entry| entry.is_fresh(now)).map(|entry| entry.value.clone()) {
            self.stats.hits = self.stats.hits.saturating_add(1);
            return Some(value);
        }
        self.stats.misses = self.stats.misses.saturating_add(1);
        self.remove(key);
        None
    }

    fn put(&mut self, key: &Key, entry: Entry) {
        self.remove(key);
        self.bytes = self.bytes.saturating_add(entry.bytes);
        self.entries.insert(key.clone(), entry);
    }

    fn remove(&mut self, key: &Key) {
        if let Some(old) = self.entries.remove(key) {
            self.bytes = self.bytes.saturating_sub(old.bytes);
        }
    }

    fn bytes_after_evicting(&self) -> Option<usize> {
        self.entries.front().map(|(_, entry)| self.bytes.saturating_sub(entry.bytes))
    }

    fn evict(&mut self) {
        if let Some((_, entry)) = self.entries.pop_front() {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
            self.stats.evictions = self.stats.evictions.saturating_add(1);
        }
    }

    fn sweep(&mut self, now: Moment) {
        self.entries.retain(|_, entry| entry.is_fresh(now));
        self.bytes = self.entries.values().map(|entry| entry.bytes).fold(0, usize::saturating_add);
    }

    fn clear(&mut self) {
        self.bytes = 0;
        self.entries.clear();
    }

    pub(super) fn stats(&self) -> Stats {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Stats { entries: count(self.entries.len()), bytes: count(self.bytes), ..self.stats }
    }
}

/// Whether so many seconds have passed, or the clock went back.
fn passed(since: Moment, seconds: i64, now: Moment) -> bool {
    now < since || since.plus_s(seconds) <= now
}
