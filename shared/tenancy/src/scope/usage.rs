//! What a tenant has used of what it may use. Asking is not charged.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{TenantScope, stock_key};
use crate::{
    Feature, Problem,
    admission::{DAY, TOOL},
    aws::read_item,
    clock::Moment,
    key::Family,
    problem::{Quota, Reset},
};

const DOING: &str = "reading the usage";

type Row = HashMap<String, AttributeValue>;

/// A limit of a tenant's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuotaKind {
    /// `calls_month`: tool calls and API requests in a calendar month, UTC.
    CallsMonth,
    /// `calls_minute`: the same in a minute.
    CallsMinute,
    /// `storage_bytes`: bytes of all documents that are kept.
    StorageBytes,
    /// `items`: items of all collections.
    Items,
    /// `members`: people who have a seat.
    Members,
}

impl QuotaKind {
    /// Every kind, in the order in which they are listed.
    pub const ALL: [Self; 5] =
        [Self::CallsMonth, Self::CallsMinute, Self::StorageBytes, Self::Items, Self::Members];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::CallsMonth => "calls_month",
            Self::CallsMinute => "calls_minute",
            Self::StorageBytes => "storage_bytes",
            Self::Items => "items",
            Self::Members => "members",
        }
    }
}

impl Quota {
    /// What is left of it.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Whether one more is let in.
    #[must_use]
    pub const fn allows(&self) -> bool {
        self.used < self.limit
    }
}

/// Both rows as they are now.
#[derive(Debug)]
pub struct Usage {
    quotas: BTreeMap<QuotaKind, Quota>,
    by_action: BTreeMap<String, u64>,
    by_day: BTreeMap<String, u64>,
}

impl Usage {
    /// One quota.
    #[must_use]
    pub fn quota(&self, kind: QuotaKind) -> Option<&Quota> {
        self.quotas.get(&kind)
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

impl TenantScope {
    /// What is used of one limit.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn quota(&self, kind: QuotaKind) -> Result<Quota, Problem> {
        let mut usage = self.usage().await?;
        usage.quotas.remove(&kind).ok_or_else(|| Problem::internal(DOING, "a kind is missing"))
    }

    /// What is used of every limit. The calls by tool and day are empty without [`Feature::AdvancedAnalytics`].
    ///
    /// # Errors
    /// As [`TenantScope::quota`].
    pub async fn usage(&self) -> Result<Usage, Problem> {
        let (room, now) = (&self.room, self.room.clock.now());
        let month_key = HashMap::from([
            ("pk".to_owned(), AttributeValue::S(Family::Meter.of(&room.tenant))),
            ("sk".to_owned(), AttributeValue::S(now.month())),
        ]);
        let (month, stock) = tokio::join!(
            read_item(&room.store.client, &room.table, month_key, DOING),
            read_item(&room.store.client, &room.table, stock_key(&room.tenant), DOING),
        );
        let (month, stock) = (month?.unwrap_or_default(), stock?.unwrap_or_default());
        let quota = |kind| (kind, self.quota_of(kind, (&month, &stock), now));
        let is_detailed = self.feature(Feature::AdvancedAnalytics);
        Ok(Usage {
            quotas: QuotaKind::ALL.into_iter().map(quota).collect(),
            by_action: if is_detailed { counters(&month, TOOL) } else { BTreeMap::new() },
            by_day: if is_detailed { days(&month, now) } else { BTreeMap::new() },
        })
    }

    fn quota_of(&self, kind: QuotaKind, (month, stock): (&Row, &Row), now: Moment) -> Quota {
        let limits = self.limits();
        let ends = |at_s| Some(Reset::at(at_s, now));
        let minute = now.minute();
        let minute_calls = if number(month, "win") == u64::try_from(minute).ok() {
            number(month, "win_calls")
        } else {
            None
        };
        let (limit, used, resets) = match kind {
            QuotaKind::CallsMonth => (limits.calls_month, number(month, "calls"), ends(now.next_month_s())),
            QuotaKind::CallsMinute => {
                (limits.calls_minute, minute_calls, ends(minute.saturating_add(1).saturating_mul(60)))
            }
            QuotaKind::StorageBytes => (limits.storage_bytes, number(stock, "byte_count"), None),
            QuotaKind::Items => (limits.items, number(stock, "item_count"), None),
            QuotaKind::Members => (limits.members, number(stock, "member_count"), None),
        };
        Quota { kind: kind.word(), limit, used: used.unwrap_or(0), resets }
    }
}

/// Attributes that begin so, by the rest of their names.
fn counters(row: &Row, start: &str) -> BTreeMap<String, u64> {
    let counted = |name: &String| Some((name.strip_prefix(start)?.to_owned(), number(row, name)?));
    row.keys().filter_map(counted).collect()
}

fn days(month: &Row, now: Moment) -> BTreeMap<String, u64> {
    let days = counters(month, DAY).into_iter();
    days.map(|(day, calls)| (format!("{}-{day}", now.month()), calls)).collect()
}

fn number(row: &Row, name: &str) -> Option<u64> {
    row.get(name)?.as_n().ok()?.parse().ok()
}
