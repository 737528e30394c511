//! What a tenant has used of what it may use. Asking is not charged.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{TenantScope, stock_key};
use crate::{
    Feature, Period, Problem, Rollup, Tally,
    admission::{DAY, Meter, TOOL, month_rows},
    aws::read_item,
    clock::Moment,
    quota::{Quota, QuotaKind, Reset},
    recount::Stock,
};

const DOING: &str = "reading the usage";

type Row = HashMap<String, AttributeValue>;

/// What the calls of a period came to.
#[derive(Debug)]
pub struct Activity {
    /// Which.
    pub period: Period,
    /// All of them.
    pub total: Tally,
    /// By tool, or action of an endpoint.
    pub by_action: BTreeMap<String, Tally>,
    /// By day, such as `2026-11-23`.
    pub by_day: BTreeMap<String, Tally>,
}

/// What is used of every limit, as it is now.
#[derive(Debug)]
pub struct Usage {
    quotas: BTreeMap<QuotaKind, Quota>,
    by_action: BTreeMap<String, u64>,
    by_day: BTreeMap<String, u64>,
}

/// What all counters of this month have counted.
#[derive(Debug, Default)]
struct Month {
    calls: u64,
    minute_calls: u64,
    by_action: BTreeMap<String, u64>,
    by_day: BTreeMap<String, u64>,
}

impl Usage {
    /// One quota, if the tenant has it.
    #[must_use]
    pub fn quota(&self, kind: &QuotaKind) -> Option<&Quota> {
        self.quotas.get(kind)
    }

    /// All of them.
    pub fn quotas(&self) -> impl Iterator<Item = &Quota> {
        self.quotas.values()
    }

    /// Calls of this month by tool or action, which a tenant sees with [`Feature::AdvancedAnalytics`].
    #[must_use]
    pub const fn by_action(&self) -> &BTreeMap<String, u64> {
        &self.by_action
    }

    /// Calls of this month by day, `2026-11-28` for instance, which a tenant sees with [`Feature::AdvancedAnalytics`].
    #[must_use]
    pub const fn by_day(&self) -> &BTreeMap<String, u64> {
        &self.by_day
    }
}

impl Month {
    fn add(&mut self, row: &Row, now: Moment) {
        let month = now.month();
        let more = |total: &mut u64, more: u64| *total = total.saturating_add(more);
        let meter = Meter::read(row);
        more(&mut self.calls, meter.calls);
        if meter.minute == now.minute() {
            more(&mut self.minute_calls, meter.minute_calls);
        }
        for name in row.keys() {
            if let Some(action) = name.strip_prefix(TOOL) {
                more(self.by_action.entry(action.to_owned()).or_default(), number(row, name));
            } else if let Some(day) = name.strip_prefix(DAY) {
                more(self.by_day.entry(format!("{month}-{day}")).or_default(), number(row, name));
            }
        }
    }
}

impl TenantScope {
    /// What is used of one limit.
    ///
    /// # Errors
    /// [`Problem::NotFound`] for a collection that has no limit of its own; [`Problem::Unavailable`] when the store does not
    /// answer.
    pub async fn quota(&self, kind: &QuotaKind) -> Result<Quota, Problem> {
        self.usage().await?.quotas.remove(kind).ok_or(Problem::NotFound { kind: "quota" })
    }

    /// What is used of every limit. The calls by tool and day are empty without [`Feature::AdvancedAnalytics`].
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn usage(&self) -> Result<Usage, Problem> {
        let (room, now) = (&self.room, self.room.clock.now());
        let (month, stock) = tokio::join!(
            self.month(now),
            read_item(&room.store.client, &room.table, stock_key(&room.tenant), DOING),
        );
        let (month, stock) = (month?, Stock::of_row(stock?.as_ref()));
        let kinds = QuotaKind::COMMON.into_iter();
        let kinds = kinds.chain(room.plan.collection_items.keys().cloned().map(QuotaKind::ItemsOf));
        let quotas = kinds.map(|kind| (kind.clone(), self.quota_of(kind, (&month, &stock), now))).collect();
        let is_detailed = self.feature(Feature::AdvancedAnalytics);
        let (by_action, by_day) =
            if is_detailed { (month.by_action, month.by_day) } else { Default::default() };
        Ok(Usage { quotas, by_action, by_day })
    }

    async fn month(&self, now: Moment) -> Result<Month, Problem> {
        let (room, name) = (&self.room, now.month());
        let counters = room.plan.spread.counters_of(&name);
        let rows = month_rows((&room.store.client, &room.table), &room.tenant, &name, counters).await?;
        let mut month = Month::default();
        rows.iter().for_each(|row| month.add(row, now));
        Ok(month)
    }

    /// What the calls of a period came to, as far as that is counted; of this month where none is named. By tool and day it is
    /// empty without [`Feature::AdvancedAnalytics`].
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn activity(&self, period: Option<Period>) -> Result<Activity, Problem> {
        let room = &self.room;
        let period = period.unwrap_or_else(|| Period::month_of(room.clock.now()));
        let rollup = Rollup::fetch(&room.store.client, room.plans.table(), &room.tenant, &period).await?;
        let (mut by_action, mut by_day) = (BTreeMap::new(), BTreeMap::new());
        if self.feature(Feature::AdvancedAnalytics) {
            (by_action, by_day) = (rollup.by_action(), rollup.by_day());
        }
        Ok(Activity { total: rollup.total(), period, by_action, by_day })
    }

    fn quota_of(&self, kind: QuotaKind, (month, stock): (&Month, &Stock), now: Moment) -> Quota {
        let (plan, limits) = (&self.room.plan, self.limits());
        let ends = |at_s| Some(Reset::at(at_s, now));
        let (limit, used, resets) = match &kind {
            QuotaKind::CallsMonth => (limits.calls_month, month.calls, ends(now.next_month_s())),
            QuotaKind::CallsMinute => {
                let ends_s = now.minute().saturating_add(1).saturating_mul(60);
                (limits.calls_minute, month.minute_calls, ends(ends_s))
            }
            QuotaKind::StorageBytes => (limits.storage_bytes, stock.bytes, None),
            QuotaKind::Items => (limits.items, stock.items, None),
            QuotaKind::Members => (limits.members, stock.members, None),
            QuotaKind::ItemsOf(collection) => {
                let limit = plan.collection_items.get(collection).copied().unwrap_or(limits.items);
                (limit, stock.collections.get(collection).copied().unwrap_or(0), None)
            }
        };
        Quota { kind, limit, used, resets, contact: self.room.contact.clone() }
    }
}

/// A counter of a row; one that is missing counts nothing.
fn number(row: &Row, name: &str) -> u64 {
    row.get(name).and_then(|value| value.as_n().ok()?.parse().ok()).unwrap_or(0)
}
