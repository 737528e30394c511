//! The tenant's own audit trail, which its calls write and none of them changes.

use super::TenantScope;
use crate::{
    Problem,
    audit::{AuditPage, AuditQuery, Decision, Spot, Trail},
    crypto::Purpose,
};

impl TenantScope {
    /// A page of the tenant's audit trail as it was when this call began, newest first.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a limit out of 1 to 1,000, more than 366 days, and a cursor that is not of this question;
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn audit(&self, query: &AuditQuery<'_>) -> Result<AuditPage, Problem> {
        let room = &self.room;
        let first = Spot::first(query, room.began)?;
        let context = context(query);
        let spot = match query.cursor {
            Some(cursor) => {
                let opened = room.sealer.open_seal(Purpose::Cursor, &room.tenant, &context, cursor).await?;
                let spot = opened.ok().and_then(|text| Spot::read(&text));
                spot.ok_or_else(|| Problem::Forged { what: "cursor: not one of this listing" })?
            }
            None => first,
        };
        let trail = Trail { client: &room.store.client, table: &room.table, tenant: &room.tenant };
        let (records, spot) = trail.page(query, spot).await?;
        let next_cursor = match spot {
            Some(spot) => {
                Some(room.sealer.seal(Purpose::Cursor, &room.tenant, &context, &spot.text()).await?)
            }
            None => None,
        };
        Ok(AuditPage { records, next_cursor })
    }
}

/// What a cursor is bound to. The times are in the cursor itself, where "now" is what it was on the first page.
fn context(query: &AuditQuery<'_>) -> String {
    let AuditQuery { from, until, subject, action, decision, .. } = query;
    let texts = [*subject, *action, decision.map(Decision::word)];
    format!("audit {:?} {:?} {texts:?}", from.map(|at| at.micros()), until.map(|at| at.micros()))
}
