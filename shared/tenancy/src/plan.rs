//! What a tenant may use: limits by tier, in a row that only the operator's role can write.

use std::{
    collections::{BTreeMap, HashMap},
    str::FromStr,
    sync::Arc,
};

use aws_sdk_dynamodb::{
    Client,
    error::BuildError,
    types::{AttributeValue, ConditionCheck, TransactWriteItem},
};
use moka::future::Cache;
use serde::Serialize;

use crate::{
    CollectionName, Feature, Problem,
    aws::read_item,
    feature::Overrides,
    key::Family,
    tenant::{Status, TenantId, Tier, UnknownWord},
};

mod erasure;
mod spread;

pub use erasure::{AuditEnd, Erasure};
pub use spread::Spread;
pub(crate) use spread::{Settled, parts};

/// A tenant's plan row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The registry's version of the tenant that this plan belongs to.
    pub epoch: u64,
    /// Whether the tenant is served.
    pub status: Status,
    /// What it pays for.
    pub tier: Tier,
    /// What it may use.
    pub limits: Limits,
    /// How many items it may keep in a collection, where that has a limit of its own.
    pub collection_items: BTreeMap<CollectionName, u64>,
    /// The counters over which its calls are spread.
    pub spread: Spread,
    /// Features that it has, or has not, whatever its tier says.
    pub overrides: Overrides,
    /// Where its data is.
    pub placement: Placement,
    /// Whether its data is on its way to the other placement.
    pub moving: Option<Moving>,
    /// The number of the data key under which secrets are sealed from now on; those before it still open.
    pub data_key: u32,
    /// ARN of the KMS key that new data keys are wrapped under, if it is the tenant's own.
    pub own_kms_key: Option<String>,
    /// How the tenant is erased; there as soon as its status says that it is, and never before.
    pub erasure: Option<Erasure>,
}

/// Where a tenant's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// `pooled`: in the table of all.
    Pooled,
    /// `dedicated`: in a table of its own.
    Dedicated,
}

/// How far a move is. Each step begins with a change of the plan, which every call's transaction checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moving {
    /// `copying`: calls read, and none writes but its charge and audit record.
    Copying,
    /// `closed`: no call is served, for as long as what was written while copying takes to be copied.
    Closed,
}

impl Placement {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::Dedicated => "dedicated",
        }
    }

    /// The table of a tenant's data, where that of all is known.
    pub(crate) fn table(self, pooled: &Arc<str>, tenant: &TenantId) -> Arc<str> {
        match self {
            Self::Pooled => Arc::clone(pooled),
            Self::Dedicated => format!("{pooled}-{tenant}").into(),
        }
    }
}

impl FromStr for Placement {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Pooled, Self::Dedicated].into_iter().find(|one| one.word() == text).ok_or(UnknownWord)
    }
}

impl Moving {
    const fn word(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Closed => "closed",
        }
    }

    fn read(attribute: Option<&AttributeValue>) -> Option<Option<Self>> {
        let Some(attribute) = attribute else { return Some(None) };
        let word = attribute.as_s().ok()?;
        [Self::Copying, Self::Closed].into_iter().find(|one| one.word() == word).map(Some)
    }
}

/// Plans that an instance remembers.
const PLANS_MAX: u64 = 10_000;

/// The plans that an instance knows, each by the epoch that a registry row said, and good until a transaction finds
/// that the plan has another one.
#[derive(Debug, Clone)]
pub(crate) struct Plans {
    known: Cache<(TenantId, u64), Plan>,
    /// The minute that a counter of a tenant's was last charged in: where the next charge is tried first.
    minutes: Cache<(TenantId, u8), i64>,
    table: Arc<str>,
}

/// A tenant's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Tool calls and API requests in a calendar month, UTC.
    pub calls_month: u64,
    /// Tool calls and API requests in a minute.
    pub calls_minute: u64,
    /// Bytes of all documents that are kept.
    pub storage_bytes: u64,
    /// Items of all collections.
    pub items: u64,
    /// People who use it.
    pub members: u64,
}

impl Plans {
    pub(crate) fn new(table: Arc<str>) -> Self {
        let known = Cache::builder().max_capacity(PLANS_MAX).build();
        let minutes = Cache::builder().max_capacity(PLANS_MAX).build();
        Self { known, minutes, table }
    }

    /// The minute that this counter was last charged in here. Others may have charged it in a later one.
    pub(crate) async fn minute(&self, tenant: &TenantId, counter: u8) -> Option<i64> {
        self.minutes.get(&(tenant.clone(), counter)).await
    }

    pub(crate) async fn charged_in(&self, tenant: &TenantId, counter: u8, minute: i64) {
        self.minutes.insert((tenant.clone(), counter), minute).await;
    }

    /// The table of all, in which every tenant's plan is.
    pub(crate) const fn table(&self) -> &Arc<str> {
        &self.table
    }

    /// The plan that is known for this epoch of the registry, else the row.
    pub(crate) async fn of(&self, client: &Client, tenant: &TenantId, epoch: u64) -> Result<Plan, Problem> {
        match self.known.get(&(tenant.clone(), epoch)).await {
            Some(plan) => Ok(plan),
            None => self.read(client, tenant, epoch).await,
        }
    }

    /// The row, whatever is known.
    pub(crate) async fn read(&self, client: &Client, tenant: &TenantId, epoch: u64) -> Result<Plan, Problem> {
        let plan = Plan::fetch(client, &self.table, tenant).await?;
        self.known.insert((tenant.clone(), epoch), plan.clone()).await;
        Ok(plan)
    }
}

impl Limits {
    /// What a tier has unless the operator says otherwise.
    #[must_use]
    pub const fn of(tier: Tier) -> Self {
        match tier {
            Tier::Free => Self::new([1_000, 30, 10 << 20, 1_000, 3]),
            Tier::Starter => Self::new([10_000, 120, 100 << 20, 10_000, 10]),
            Tier::Professional => Self::new([100_000, 600, 1 << 30, 100_000, 50]),
            Tier::Business => Self::new([1_000_000, 3_000, 10 << 30, 1_000_000, 500]),
        }
    }

    const fn new([calls_month, calls_minute, storage_bytes, items, members]: [u64; 5]) -> Self {
        Self { calls_month, calls_minute, storage_bytes, items, members }
    }

    /// Each with the attribute that keeps it.
    const fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("calls_month", self.calls_month),
            ("calls_minute", self.calls_minute),
            ("storage_bytes", self.storage_bytes),
            ("items", self.items),
            ("members", self.members),
        ]
    }
}

impl Plan {
    /// A tier's own plan, of a tenant that is served.
    #[must_use]
    pub fn of(tier: Tier, epoch: u64) -> Self {
        Self {
            epoch,
            status: Status::Active,
            tier,
            limits: Limits::of(tier),
            collection_items: BTreeMap::new(),
            spread: Spread::default(),
            overrides: Overrides::default(),
            placement: Placement::Pooled,
            moving: None,
            data_key: 1,
            own_kms_key: None,
            erasure: None,
        }
    }

    /// Whether the tenant has a feature.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.overrides.get(feature).unwrap_or_else(|| feature.is_part_of(self.tier))
    }

    /// Whether a call that began under this plan may end under another, except for its limits.
    pub(crate) fn promises_as(&self, other: &Self) -> bool {
        self.tier == other.tier
            && self.placement == other.placement
            && self.data_key == other.data_key
            && Feature::ALL.iter().all(|&feature| self.has(feature) == other.has(feature))
    }

    /// The condition of a transaction that this is still the plan, and the tenant is served. Each counter has its own copy
    /// of the row, since transactions meet on a condition as they do on a write.
    pub(crate) fn still(
        &self,
        table: &str,
        tenant: &TenantId,
        counter: u8,
    ) -> Result<TransactWriteItem, BuildError> {
        let check = ConditionCheck::builder()
            .table_name(table)
            .set_key(Some(Self::key(tenant, counter)))
            .condition_expression("epoch = :epoch AND #status = :active")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":epoch", AttributeValue::N(self.epoch.to_string()))
            .expression_attribute_values(":active", AttributeValue::S(Status::Active.word().to_owned()))
            .build()?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// The condition of a transaction that the plan has this epoch, whether the tenant is served or not: for who stands above it.
    pub(crate) fn of_epoch(
        table: &str,
        tenant: &TenantId,
        epoch: u64,
    ) -> Result<TransactWriteItem, BuildError> {
        let check = ConditionCheck::builder()
            .table_name(table)
            .set_key(Some(Self::key(tenant, 0)))
            .condition_expression("epoch = :epoch")
            .expression_attribute_values(":epoch", AttributeValue::N(epoch.to_string()))
            .build()?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// The key of the row, or of a counter's copy of it.
    pub(crate) fn key(tenant: &TenantId, counter: u8) -> HashMap<String, AttributeValue> {
        let sort_key = if counter == 0 { "PLAN".to_owned() } else { format!("PLAN#{counter}") };
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(Family::Plan.of(tenant))),
            ("sk".to_owned(), AttributeValue::S(sort_key)),
        ])
    }

    /// The row as the store has it.
    pub(crate) fn item(&self, tenant: &TenantId, counter: u8) -> HashMap<String, AttributeValue> {
        let number = |n: u64| AttributeValue::N(n.to_string());
        let text = |s: &str| AttributeValue::S(s.to_owned());
        let mut item = Self::key(tenant, counter);
        item.insert("epoch".to_owned(), number(self.epoch));
        item.insert("status".to_owned(), text(self.status.word()));
        item.insert("tier".to_owned(), text(self.tier.word()));
        item.insert("features".to_owned(), self.overrides.attribute());
        item.insert("data_key".to_owned(), number(self.data_key.into()));
        item.insert("placement".to_owned(), text(self.placement.word()));
        item.extend(self.own_kms_key.as_deref().map(|arn| ("own_kms_key".to_owned(), text(arn))));
        item.extend(self.moving.map(|moving| ("moving".to_owned(), text(moving.word()))));
        item.extend(self.limits.named().map(|(name, limit)| (name.to_owned(), number(limit))));
        if !self.collection_items.is_empty() {
            let limits = self.collection_items.iter().map(|(name, limit)| (name.to_string(), number(*limit)));
            item.insert("collection_items".to_owned(), AttributeValue::M(limits.collect()));
        }
        item.extend(self.erasure.iter().flat_map(Erasure::attributes));
        item.extend(self.spread.attributes());
        item
    }

    pub(crate) fn read(item: &HashMap<String, AttributeValue>) -> Option<Self> {
        let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<u64>().ok();
        let text = |name: &str| item.get(name)?.as_s().ok();
        let status: Status = text("status")?.parse().ok()?;
        let erasure = Erasure::read(item)?;
        if status.is_gone() != erasure.is_some() {
            return None;
        }
        Some(Self {
            epoch: number("epoch")?,
            status,
            tier: text("tier")?.parse().ok()?,
            limits: Limits {
                calls_month: number("calls_month")?,
                calls_minute: number("calls_minute")?,
                storage_bytes: number("storage_bytes")?,
                items: number("items")?,
                members: number("members")?,
            },
            collection_items: collection_items(item.get("collection_items"))?,
            spread: Spread::read(item)?,
            overrides: Overrides::read(item.get("features"))?,
            placement: text("placement")?.parse().ok()?,
            moving: Moving::read(item.get("moving"))?,
            data_key: u32::try_from(number("data_key")?).ok()?,
            own_kms_key: match item.get("own_kms_key") {
                Some(arn) => Some(arn.as_s().ok()?.clone()),
                None => None,
            },
            erasure,
        })
    }

    /// Reads the row as the tenant may see it.
    ///
    /// # Errors
    /// [`Problem::Internal`] when there is none: a tenant without a plan is not served.
    pub(crate) async fn fetch(client: &Client, table: &str, tenant: &TenantId) -> Result<Self, Problem> {
        let item = read_item(client, table, Self::key(tenant, 0), "reading the plan").await?;
        item.as_ref()
            .and_then(Self::read)
            .ok_or_else(|| Problem::internal("reading the plan", "the row is missing or not whole"))
    }
}

fn collection_items(attribute: Option<&AttributeValue>) -> Option<BTreeMap<CollectionName, u64>> {
    let Some(attribute) = attribute else { return Some(BTreeMap::new()) };
    let limits = attribute.as_m().ok()?.iter();
    limits.map(|(name, limit)| Some((name.parse().ok()?, limit.as_n().ok()?.parse().ok()?))).collect()
}
