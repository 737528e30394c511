//! `/v1/audit`: the tenant's audit trail, for its admins.

use http::Method;
use insula_gateway::{
    Error,
    rest::{Answer, Ask, Endpoint, Takes, run},
    serve_rest,
};
use insula_tenancy::{AuditQuery, Effect, Feature, Problem, TenantScope};
use insula_tools::TrailView;

/// Records of a page where the client does not say.
const PAGE: u32 = 100;

/// Starts the function and serves until Lambda ends it.
///
/// # Errors
/// A setting that is wrong, an endpoint without a role, or a registry that does not answer in init.
pub async fn serve() -> Result<(), Error> {
    serve_rest(|_config| Ok(endpoints()), insula_tools::role_of).await
}

/// Every endpoint of the function.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint {
        method: Method::GET,
        path: "audit",
        query: &["from", "until", "subject", "action", "decision", "limit", "cursor"],
        takes: Takes::Nothing,
        scopes: &[],
        feature: Some(Feature::ApiAccess),
        action: "audit_search",
        effect: Effect::Read,
        run: run(search),
    }]
}

/// Newest first: from the time `until` back to `from`.
async fn search(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let text = |name: &str| ask.query.get(name).map(String::as_str);
    let query = AuditQuery {
        from: ask.query_as("from")?,
        until: ask.query_as("until")?,
        subject: text("subject"),
        action: text("action"),
        decision: ask.query_as("decision")?,
        limit: ask.query_as("limit")?.unwrap_or(PAGE),
        cursor: text("cursor"),
    };
    Answer::ok(&TrailView::from(scope.audit(&query).await?))
}
