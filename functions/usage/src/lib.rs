//! `/v1/usage`: what the tenant may use and has used, and what its calls came to. Asking is not charged.

use http::Method;
use insula_gateway::{
    Error,
    rest::{Answer, Ask, Endpoint, Takes, run},
    serve_rest,
};
use insula_tenancy::{Effect, Feature, Problem, TenantScope};
use insula_tools::UsageView;

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
        path: "usage",
        query: &["period"],
        takes: Takes::Nothing,
        scopes: &[],
        feature: Some(Feature::ApiAccess),
        action: "usage_read",
        effect: Effect::Uncharged,
        run: run(read),
    }]
}

async fn read(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    Answer::ok(&UsageView::of(&scope, ask.query.get("period").map(String::as_str)).await?)
}
