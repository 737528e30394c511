//! `/v1/usage`: what the tenant may use and has used. Asking is not charged.

use std::{borrow::Cow, collections::BTreeMap};

use http::Method;
use insula_gateway::{
    Error,
    rest::{Answer, Ask, Endpoint, Takes, run},
    serve_rest,
};
use insula_tenancy::{Effect, Feature, Problem, Quota, TenantScope};
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
        effect: Effect::Uncharged,
        run: run(read),
    }]
}

/// What a tenant may use and has used, and since which version of its plan.
#[derive(Debug, Serialize)]
struct UsageView {
    tier: &'static str,
    epoch: u64,
    quotas: BTreeMap<Cow<'static, str>, QuotaView>,
    /// Calls of this month by tool or action, and by day; with the feature `advanced_analytics` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<CallsView>,
}

#[derive(Debug, Serialize)]
struct QuotaView {
    /// Whether one more is let in.
    allowed: bool,
    limit: u64,
    used: u64,
    remaining: u64,
    /// RFC 3339, UTC; a quota of what is kept has none.
    resets_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct CallsView {
    by_action: BTreeMap<String, u64>,
    by_day: BTreeMap<String, u64>,
}

async fn read(scope: TenantScope, _ask: Ask) -> Result<Answer, Problem> {
    let usage = scope.usage().await?;
    let quotas = usage.quotas().map(|quota| (quota.kind.word(), view(quota)));
    Answer::ok(&UsageView {
        tier: scope.tier().word(),
        epoch: scope.epoch(),
        quotas: quotas.collect(),
        calls: scope
            .feature(Feature::AdvancedAnalytics)
            .then(|| CallsView { by_action: usage.by_action().clone(), by_day: usage.by_day().clone() }),
    })
}

fn view(quota: &Quota) -> QuotaView {
    QuotaView {
        allowed: quota.allows(),
        limit: quota.limit,
        used: quota.used,
        remaining: quota.remaining(),
        resets_at: quota.resets.map(|reset| reset.rfc3339()),
    }
}
