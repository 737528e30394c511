//! The people of a tenant.

use insula_gateway::rest::{Answer, Ask};
use insula_tenancy::{ItemId, Problem, TenantScope};
use insula_tools::MembersView;

pub(crate) async fn list(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let cursor = ask.query.get("cursor").map(String::as_str);
    Answer::ok(&MembersView::page(&scope, ask.query_as("limit")?, cursor).await?)
}

pub(crate) async fn remove(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    scope.remove_member(&ask.parameter("id")?.parse::<ItemId>()?, None).await?;
    Ok(Answer::no_content())
}
