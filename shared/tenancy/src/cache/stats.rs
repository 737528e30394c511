//! What the cache did for a tenant, and how its operator sees that.

use serde_json::json;

use crate::{clock::Moment, tenant::TenantId};

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

    /// A line of CloudWatch's embedded metric format. The tenant is a property, by which a query of the log can group and
    /// sum over instances, and not a dimension, each value of which would be five metrics to pay for.
    pub(super) fn line(&self, namespace: &str, tenant: &TenantId, now: Moment) -> String {
        let metric = |name, unit| json!({ "Name": name, "Unit": unit });
        json!({
            "_aws": {
                "Timestamp": now.micros().div_euclid(1_000),
                "CloudWatchMetrics": [{
                    "Namespace": namespace,
                    "Dimensions": [[]],
                    "Metrics": [
                        metric("CacheEntries", "Count"),
                        metric("CacheBytes", "Bytes"),
                        metric("CacheHits", "Count"),
                        metric("CacheMisses", "Count"),
                        metric("CacheEvictions", "Count"),
                    ],
                }],
            },
            "message": "the cache of a tenant",
            "tenant": { "id": tenant.as_str() },
            "CacheEntries": self.entries,
            "CacheBytes": self.bytes,
            "CacheHits": self.hits,
            "CacheMisses": self.misses,
            "CacheEvictions": self.evictions,
        })
        .to_string()
    }
}
