//! `/v1/usage`: what the tenant may use.

use http::Method;
use insula_gateway::{
    Error,
    rest::{Answer, Ask, Endpoint, Takes, run},
    serve_rest,
};
use insula_tenancy::{Effect, Limits, Problem, TenantScope};
use serde::Serialize;

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
        query: &[],
        takes: Takes::Nothing,
        scopes: &[],
        action: "usage_read",
        effect: Effect::Read,
        run: run(read),
    }]
}

/// What a tenant may use, and since which version of its plan.
#[derive(Debug, Serialize)]
struct UsageView {
    tier: &'static str,
    epoch: u64,
    limits: LimitsView,
}

#[derive(Debug, Serialize)]
struct LimitsView {
    calls_month: u64,
    calls_minute: u64,
    storage_bytes: u64,
    items: u64,
    members: u64,
}

async fn read(scope: TenantScope, _ask: Ask) -> Result<Answer, Problem> {
    let Limits { calls_month, calls_minute, storage_bytes, items, members } = scope.limits();
    let limits = LimitsView { calls_month, calls_minute, storage_bytes, items, members };
    Answer::ok(&UsageView { tier: scope.tier().word(), epoch: scope.epoch(), limits })
}
