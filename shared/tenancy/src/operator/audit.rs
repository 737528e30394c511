//! The audit trail from above: read as it is, and verified against the heads that no tenant can write.

use std::collections::BTreeMap;

use super::{Operator, partitions::Pages};
use crate::{
    AuditQuery, AuditRecord, Break, Head, Problem, TenantId, Verified,
    audit::{Spot, Trail, check},
    canonical::Item,
    clock::{Clock, Moment},
    key::Family,
};

impl Operator {
    /// The newest records of a tenant's trail. It needs the auditor's role.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a question that can't be asked; [`Problem::Unavailable`] when the store does not answer.
    pub async fn audit(&self, id: &TenantId, query: &AuditQuery<'_>) -> Result<Vec<AuditRecord>, Problem> {
        let table = self.table_of(id).await?;
        let trail = Trail { client: &self.client, table: &table, tenant: id };
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut spot = Some(Spot::first(query, Clock::System.now())?);
        let mut found = Vec::new();
        while let Some(at) = spot.take().filter(|_| found.len() < limit) {
            let (records, next) = trail.page(query, at).await?;
            found.extend(records);
            spot = next;
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Whether the records of a day (UTC) are those that were written: every chain, from its first record to the head
    /// that the stream's function wrote down. It needs the auditor's role.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn verify_audit(&self, id: &TenantId, day: Moment) -> Result<Result<Verified, Break>, Problem> {
        let table = self.table_of(id).await?;
        // The heads first: a record that is made meanwhile is beyond them, and none can be before them.
        let heads = self.partition(&self.data, &Family::Head(&day.day()).of(id)).await?;
        let records = self.partition(&table, &Family::Audit(&day.day()).of(id)).await?;
        let heads: BTreeMap<String, Head> = heads.iter().filter_map(Head::read).collect();
        Ok(check(&records, &heads))
    }

    async fn table_of(&self, id: &TenantId) -> Result<String, Problem> {
        let plan = self.plan(id).await?;
        Ok(plan.placement.table(&self.data.as_str().into(), id).to_string())
    }

    async fn partition(&self, table: &str, partition: &str) -> Result<Vec<Item>, Problem> {
        let mut all = Vec::new();
        let mut pages = Pages::new(&self.client, table, partition);
        while let Some(items) = pages.next().await? {
            all.extend(items);
        }
        Ok(all)
    }
}
