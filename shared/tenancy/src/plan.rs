//! What a tenant may use: limits by tier, in a row that only the operator's role can write.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::AttributeValue};

use crate::{
    Problem,
    aws::store_problem,
    key::Family,
    tenant::{Status, TenantId, Tier},
};

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
}

/// A tenant's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tool calls in a calendar month, UTC.
    pub calls_month: u64,
    /// Tool calls in a minute.
    pub calls_minute: u64,
}

impl Limits {
    /// What a tier has unless the operator says otherwise.
    #[must_use]
    pub const fn of(tier: Tier) -> Self {
        match tier {
            Tier::Free => Self { calls_month: 1_000, calls_minute: 30 },
            Tier::Starter => Self { calls_month: 10_000, calls_minute: 120 },
            Tier::Professional => Self { calls_month: 100_000, calls_minute: 600 },
            Tier::Business => Self { calls_month: 1_000_000, calls_minute: 3_000 },
        }
    }
}

impl Plan {
    /// The row as the store has it.
    pub(crate) fn item(&self, tenant: &TenantId) -> HashMap<String, AttributeValue> {
        let number = |n: u64| AttributeValue::N(n.to_string());
        let text = |s: &str| AttributeValue::S(s.to_owned());
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(Family::Plan.of(tenant))),
            ("sk".to_owned(), text("PLAN")),
            ("epoch".to_owned(), number(self.epoch)),
            ("status".to_owned(), text(self.status.word())),
            ("tier".to_owned(), text(self.tier.word())),
            ("calls_month".to_owned(), number(self.limits.calls_month)),
            ("calls_minute".to_owned(), number(self.limits.calls_minute)),
        ])
    }

    fn read(item: &HashMap<String, AttributeValue>) -> Option<Self> {
        let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<u64>().ok();
        let text = |name: &str| item.get(name)?.as_s().ok();
        Some(Self {
            epoch: number("epoch")?,
            status: text("status")?.parse().ok()?,
            tier: text("tier")?.parse().ok()?,
            limits: Limits { calls_month: number("calls_month")?, calls_minute: number("calls_minute")? },
        })
    }

    /// Reads the row as the tenant may see it.
    ///
    /// # Errors
    /// [`Problem::Internal`] when there is none: a tenant without a plan is not served.
    pub(crate) async fn fetch(client: &Client, table: &str, tenant: &TenantId) -> Result<Self, Problem> {
        let reply = client
            .get_item()
            .table_name(table)
            .key("pk", AttributeValue::S(Family::Plan.of(tenant)))
            .key("sk", AttributeValue::S("PLAN".to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|err| store_problem("reading the plan", err))?;
        reply
            .item
            .as_ref()
            .and_then(Self::read)
            .ok_or_else(|| Problem::internal("reading the plan", "the row is missing or not whole"))
    }
}
