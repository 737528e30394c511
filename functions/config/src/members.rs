//! The people of a tenant.

use insula_gateway::rest::{Answer, Ask};
use insula_tenancy::{ItemId, Member, Problem, Query, Stored, TenantScope};
use serde::Serialize;

/// Members of a page where the client does not say.
const PAGE: u32 = 100;

#[derive(Debug, Serialize)]
struct MembersView {
    members: Vec<MemberView>,
    /// Seats that are taken.
    count: u64,
    /// How many there are.
    limit: u64,
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct MemberView {
    id: String,
    subject: String,
    issuer: String,
    role: String,
    first_seen: String,
}

impl From<Stored<Member>> for MemberView {
    fn from(stored: Stored<Member>) -> Self {
        let Stored { id, created, value: Member { subject, issuer, role }, .. } = stored;
        Self { id: id.to_string(), subject, issuer, role, first_seen: created }
    }
}

pub(crate) async fn list(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let limit = ask.query_as("limit")?.unwrap_or(PAGE);
    let cursor = ask.query.get("cursor").map(String::as_str);
    let page = scope.list_members(&Query { limit, cursor, ..Query::default() }).await?;
    Answer::ok(&MembersView {
        members: page.records.into_iter().map(MemberView::from).collect(),
        count: scope.count_members().await?,
        limit: scope.limits().members,
        next_cursor: page.next_cursor,
    })
}

pub(crate) async fn remove(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    scope.remove_member(&ask.parameter("id")?.parse::<ItemId>()?).await?;
    Ok(Answer::no_content())
}
