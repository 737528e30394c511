//! `insula quota`: one limit of a tenant.

use std::str::FromStr;

use clap::Args;
use insula_tenancy::{CollectionNameError, Plan, QuotaKind, Slug, Spread};

use crate::operator::At;

/// One limit of a tenant.
#[derive(Debug, Args)]
pub(crate) struct Quota {
    /// The tenant's slug.
    slug: Slug,
    /// `calls_month`, `calls_minute`, `storage_bytes`, `items`, `members`; `items:<collection>` for one collection; `counters`
    /// for the number of counters over which the tenant's calls are spread, 1 to 16.
    kind: Kind,
    /// The limit, or `none` where a collection is to have none of its own.
    limit: Limit,
    #[command(flatten)]
    at: At,
}

#[derive(Debug, Clone)]
enum Kind {
    Limit(QuotaKind),
    Counters,
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(collection) = text.strip_prefix("items:") {
            let collection = collection.parse().map_err(|err: CollectionNameError| err.to_string())?;
            return Ok(Self::Limit(QuotaKind::ItemsOf(collection)));
        }
        let common = QuotaKind::COMMON.into_iter().find(|kind| kind.word() == text);
        match (common, text) {
            (Some(kind), _) => Ok(Self::Limit(kind)),
            (None, "counters") => Ok(Self::Counters),
            (None, _) => Err(format!(
                "one of {}, items:<collection>, counters",
                QuotaKind::COMMON.map(|kind| kind.word()).join(", ")
            )),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    Of(u64),
    None,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            number => number.parse().map(Self::Of).map_err(|_err| "a whole number, or none".to_owned()),
        }
    }
}

impl Quota {
    pub(crate) async fn run(self) -> Result<(), String> {
        let Self { slug, kind, limit, at } = self;
        let counters_max = u64::from(Spread::COUNTERS_MAX);
        match (&kind, limit) {
            (Kind::Limit(QuotaKind::ItemsOf(_)), _) | (Kind::Limit(_), Limit::Of(_)) => {}
            (Kind::Counters, Limit::Of(counters)) if (1..=counters_max).contains(&counters) => {}
            (Kind::Counters, _) => return Err(format!("counters: 1 to {counters_max}")),
            (Kind::Limit(kind), Limit::None) => return Err(format!("{kind}: every tenant has this limit")),
        }
        at.change(&slug, Some(move |plan| changed(plan, &kind, limit))).await
    }
}

fn changed(mut plan: Plan, kind: &Kind, limit: Limit) -> Plan {
    match (kind, limit) {
        (Kind::Counters, Limit::Of(counters)) => plan.spread = Spread::over(counters.try_into().unwrap_or(1)),
        (Kind::Limit(QuotaKind::CallsMonth), Limit::Of(limit)) => plan.limits.calls_month = limit,
        (Kind::Limit(QuotaKind::CallsMinute), Limit::Of(limit)) => plan.limits.calls_minute = limit,
        (Kind::Limit(QuotaKind::StorageBytes), Limit::Of(limit)) => plan.limits.storage_bytes = limit,
        (Kind::Limit(QuotaKind::Items), Limit::Of(limit)) => plan.limits.items = limit,
        (Kind::Limit(QuotaKind::Members), Limit::Of(limit)) => plan.limits.members = limit,
        (Kind::Limit(QuotaKind::ItemsOf(collection)), Limit::Of(limit)) => {
            plan.collection_items.insert(collection.clone(), limit);
        }
        (Kind::Limit(QuotaKind::ItemsOf(collection)), Limit::None) => {
            plan.collection_items.remove(collection);
        }
        (_, Limit::None) => {}
    }
    plan
}
