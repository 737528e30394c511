//! What tenants used, from above: for the bill, and counted anew.

use super::{Operator, text};
use crate::{
    CollectionName, Period, Placement, Plan, Problem, Recounted, Rollup, Status, Stock, Tally, TenantId,
    Tier,
    admission::{Meter, month_rows},
    aws::{read_item, store_problem},
    clock::Clock,
    recount::Recount,
    registry::ALL_TENANTS,
    scope::stock_key,
};

const DOING: &str = "reading what was used";

/// What a tenant is billed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Who.
    pub tenant: TenantId,
    /// Its name in addresses.
    pub slug: String,
    /// What it pays for now.
    pub tier: Tier,
    /// Whether it is served now.
    pub status: Status,
    /// Calls that were charged in the month: the count that its limit is held against.
    pub charged: u64,
    /// What all calls of the month came to, charged or not.
    pub calls: Tally,
    /// What it keeps now.
    pub stock: Stock,
}

impl Operator {
    /// Every tenant with its slug, in no order that says anything. It needs the accountant's role.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn tenants(&self) -> Result<Vec<(TenantId, String)>, Problem> {
        let mut tenants = Vec::new();
        let mut start = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.registry)
                .index_name(ALL_TENANTS.index)
                .key_condition_expression("#kind = :kind")
                .expression_attribute_names("#kind", ALL_TENANTS.attribute)
                .expression_attribute_values(":kind", text(ALL_TENANTS.kind))
                .set_exclusive_start_key(start);
            let reply = query.send().await.map_err(|err| store_problem("listing tenants", err))?;
            tenants.extend(reply.items().iter().filter_map(|row| {
                let id = TenantId::read(row.get("pk")?.as_s().ok()?.strip_prefix("tenant/")?)?;
                Some((id, row.get("slug")?.as_s().ok()?.clone()))
            }));
            start = reply.last_evaluated_key;
            if start.is_none() {
                return Ok(tenants);
            }
        }
    }

    /// What a tenant used in a month, and keeps now. It needs the accountant's role.
    ///
    /// # Errors
    /// [`Problem::Internal`] for a tenant without a plan; [`Problem::Unavailable`] when the store does not answer.
    pub async fn used(&self, id: &TenantId, slug: &str, month: &Period) -> Result<Used, Problem> {
        let plan = self.plan(id).await?;
        // The table of its own goes before the erasure ends, and nobody's bill is to wait for that.
        let placement = if plan.status.is_gone() { Placement::Pooled } else { plan.placement };
        let table = placement.table(&self.data.as_str().into(), id);
        let (charged, stock, rollup) = tokio::join!(
            self.charged(&table, id, (&plan, month.month())),
            read_item(&self.client, &table, stock_key(id), DOING),
            Rollup::fetch(&self.client, &self.data, id, month),
        );
        let Plan { tier, status, .. } = plan;
        Ok(Used {
            tenant: id.clone(),
            slug: slug.to_owned(),
            tier,
            status,
            charged: charged?,
            calls: rollup?.total(),
            stock: Stock::of_row(stock?.as_ref()),
        })
    }

    /// What all counters of a month have counted.
    async fn charged(
        &self,
        table: &str,
        id: &TenantId,
        (plan, month): (&Plan, &str),
    ) -> Result<u64, Problem> {
        let rows = month_rows((&self.client, table), id, month, plan.spread.counters_of(month)).await?;
        Ok(rows.iter().fold(0, |charged, row| Meter::read(row).calls.saturating_add(charged)))
    }

    /// Counts what a tenant keeps, wherever that is, and corrects its count. It needs the accountant's role.
    ///
    /// # Errors
    /// [`Problem::Conflict`] when its calls change it all the time or it is being moved; [`Problem::Unavailable`] when the
    /// store does not answer.
    pub async fn recount(&self, id: &TenantId, collections: &[CollectionName]) -> Result<Recounted, Problem> {
        let day = Clock::System.now().day();
        let counting =
            Recount { client: &self.client, data: &self.data, collections, pages_max: u32::MAX, day: &day };
        counting.run(id).await
    }
}
