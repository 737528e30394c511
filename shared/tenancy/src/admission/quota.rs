//! What a limit leaves, and which quota is used up.

use std::collections::BTreeMap;

use super::{Admission, transaction::Window};
use crate::{
    Problem,
    clock::Moment,
    key::Shelf,
    plan::{Limits, Plan},
    problem::{Quota, Reset},
    staged::{Change, Place, Write},
};

/// The month's counters as they were when a condition on them failed. A row that is missing counts nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Meter {
    pub(super) calls: u64,
    pub(super) minute: i64,
    pub(super) minute_calls: u64,
}

/// What the tenant keeps, as it was when a condition on it failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stock {
    pub(super) bytes: u64,
    pub(super) items: u64,
}

/// What a call adds to what is kept: bytes of all documents but members, items of collections, and members. Less than
/// nothing is a gain. No call adds members: seats are taken at the entrance.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Growth {
    pub(super) bytes: i64,
    pub(super) items: i64,
    pub(super) members: i64,
}

impl Growth {
    pub(super) fn of(writes: &BTreeMap<Place, Write>) -> Self {
        let mut growth = Self::default();
        for ((shelf, _), write) in writes {
            let (bytes_after, is_after) = match &write.change {
                Change::Put(raw) => (raw.bytes(), true),
                Change::Delete => (0, false),
                Change::Keep(_) => continue,
            };
            let more = i64::from(is_after).saturating_sub(write.version_before.is_some().into());
            let bytes = bytes_after.saturating_sub(write.bytes_before);
            match shelf {
                Shelf::Members => growth.members = growth.members.saturating_add(more),
                Shelf::Items(_) => {
                    growth.items = growth.items.saturating_add(more);
                    growth.bytes = growth.bytes.saturating_add(bytes);
                }
                Shelf::Settings | Shelf::Secrets | Shelf::Assets | Shelf::Domains => {
                    growth.bytes = growth.bytes.saturating_add(bytes);
                }
            }
        }
        growth
    }

    /// The limit that leaves no room for it beside what there is.
    pub(super) fn beyond(self, limits: Limits, stock: Stock) -> Option<Quota> {
        let Stock { bytes, items } = stock;
        if self.bytes > 0 && self.bytes > room(limits.storage_bytes, bytes) {
            Some(Quota { kind: "storage_bytes", limit: limits.storage_bytes, used: bytes, resets: None })
        } else if self.items > 0 && self.items > room(limits.items, items) {
            Some(Quota { kind: "items", limit: limits.items, used: items, resets: None })
        } else {
            None
        }
    }
}

/// What a limit leaves.
fn room(limit: u64, used: u64) -> i64 {
    i64::try_from(limit.saturating_sub(used)).unwrap_or(i64::MAX)
}

impl Admission {
    /// Which window to try next, seeing the meter as it was when the condition failed; or which quota is used up.
    pub(super) async fn next_window(
        &self,
        plan: &Plan,
        meter: &Meter,
        now: Moment,
    ) -> Result<Window, Problem> {
        let limits = plan.limits;
        let quota = |kind, limit, used, at_s| Quota { kind, limit, used, resets: Some(Reset::at(at_s, now)) };
        let reached = if meter.calls >= limits.calls_month {
            quota("calls_month", limits.calls_month, meter.calls, now.next_month_s())
        } else if meter.minute >= now.minute() && meter.minute_calls >= limits.calls_minute {
            let at_s = meter.minute.saturating_add(1).saturating_mul(60);
            quota("calls_minute", limits.calls_minute, meter.minute_calls, at_s)
        } else if meter.minute >= now.minute() {
            // Another instance opened this minute, or its clock is a little ahead: its minute counts.
            return Ok(Window::Running(meter.minute));
        } else {
            return Ok(Window::Opened);
        };
        self.refuse_quota(reached).await
    }

    /// Refuses what may not grow so much, seeing what there is.
    pub(super) async fn check_growth(
        &self,
        plan: &Plan,
        growth: &Growth,
        stock: Stock,
    ) -> Result<(), Problem> {
        match growth.beyond(plan.limits, stock) {
            Some(reached) => self.refuse_quota(reached).await,
            None => Ok(()),
        }
    }
}
