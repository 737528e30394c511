//! What the cache did for a tenant, and how its operator sees that.

use crate::{clock::Moment, metric, tenant::TenantId};

/// The statistics of one tenant in one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stats {
    /// Entries that are kept.
    pub(super) entries: u64,
    /// Bytes that they take.
    pub(super) bytes: u64,
    /// Questions that a kept entry answered.
    pub(super) hits: u64,
    /// Questions that a fetch answered, their own or one that they waited for.
    pub(super) misses: u64,
    /// Entries that were dropped for want of room.
    pub(super) evictions: u64,
}

impl Stats {
    /// These statistics with only what was counted after `earlier`.
    pub(super) const fn since(self, earlier: &Self) -> Self {
        Self {
            hits: self.hits.saturating_sub(earlier.hits),
            misses: self.misses.saturating_sub(earlier.misses),
            evictions: self.evictions.saturating_sub(earlier.evictions),
            ..self
        }
    }

    /// A line of these statistics.
    pub(super) fn line(&self, namespace: &str, tenant: &TenantId, now: Moment) -> String {
        let metrics = [
            ("CacheEntries", "Count", self.entries),
            ("CacheBytes", "Bytes", self.bytes),
            ("CacheHits", "Count", self.hits),
            ("CacheMisses", "Count", self.misses),
            ("CacheEvictions", "Count", self.evictions),
        ];
        metric::line((namespace, "the cache of a tenant"), Some(tenant), None, now, &metrics)
    }
}
