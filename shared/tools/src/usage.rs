//! What the workspace may use and has used, and what its calls came to.

use std::collections::BTreeMap;

use insula_mcp::{Builder, Hints, ToolSpec};
use insula_tenancy::{Feature, Moment, Period, Problem, Quota, Tally, TenantScope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ToolError;

/// Declares the tool.
pub(crate) fn declare(builder: Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError> {
    let spec = ToolSpec {
        name: "usage_show",
        title: "Show the workspace's usage",
        description: "Returns what this workspace may use, has used and has left, when that resets, and what its calls of a \
                      month or a day came to: calls, refusals, errors and the last activity, and by tool and day with \
                      latencies where the workspace has advanced analytics. It is not charged, so that it answers when \
                      nothing is left. Calls are counted some seconds after they were made.",
        hints: Hints { read_only: true, destructive: false, idempotent: true, open_world: false },
        scopes: &["usage:read"],
        ..ToolSpec::default()
    };
    builder.tool(spec, show)
}

/// Which calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// A month such as 2026-11 or a day such as 2026-11-23, in UTC; this month if absent.
    period: Option<String>,
}

/// What a workspace may use and has used.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsageView {
    tier: String,
    /// The version of the workspace's plan.
    epoch: u64,
    /// By kind: calls_month, calls_minute, storage_bytes, items, members, and items:<collection> where that has a limit.
    quotas: BTreeMap<String, QuotaView>,
    /// Charged calls of this month; with advanced analytics alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<CallsView>,
    activity: ActivityView,
}

#[derive(Debug, Serialize, JsonSchema)]
struct QuotaView {
    /// Whether one more is let in.
    allowed: bool,
    limit: u64,
    used: u64,
    remaining: u64,
    /// RFC 3339, UTC; a quota of what is kept has none.
    resets_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CallsView {
    /// By tool, or by action of a REST endpoint.
    by_action: BTreeMap<String, u64>,
    by_day: BTreeMap<String, u64>,
}

/// What the calls of a period came to, charged or not.
#[derive(Debug, Serialize, JsonSchema)]
struct ActivityView {
    /// The month or day, in UTC.
    period: String,
    #[serde(flatten)]
    total: TallyView,
    /// The minute of the last call in the period, RFC 3339 in UTC; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_active: Option<String>,
    /// By tool, or by action of a REST endpoint; with advanced analytics alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_action: Option<BTreeMap<String, DetailView>>,
    /// By day in UTC; with advanced analytics alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_day: Option<BTreeMap<String, DetailView>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TallyView {
    /// Calls of tools that were let in.
    tool_calls: u64,
    /// Requests to the REST API that were let in.
    api_requests: u64,
    /// Both kinds, refused.
    denied: u64,
    /// Of those that were let in, how many ended in an error.
    errors: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DetailView {
    #[serde(flatten)]
    total: TallyView,
    latency: LatencyView,
}

/// Milliseconds that calls took: of one that writes all but its commit. How long one took that only read, or acted outside, is
/// told by the next call of the same instance, so that some are not among these. All are 0 where nobody has
/// told yet.
#[derive(Debug, Serialize, JsonSchema)]
struct LatencyView {
    mean_ms: u64,
    /// What half of the calls did not exceed, to within its class.
    p50_ms: u64,
    /// What 95 of 100 calls did not exceed, to within its class.
    p95_ms: u64,
    max_ms: u64,
}

impl UsageView {
    /// What the tenant may use and has used, and what its calls of a period came to.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a text that is no period; [`Problem::Unavailable`] when the store does not answer.
    pub async fn of(scope: &TenantScope, period: Option<&str>) -> Result<Self, Problem> {
        let invalid = |err| Problem::Invalid { detail: format!("period: {err}") };
        let period = period.map(str::parse::<Period>).transpose().map_err(invalid)?;
        let usage = scope.usage().await?;
        let activity = scope.activity(period).await?;
        let quotas = usage.quotas().map(|quota| (quota.kind.to_string(), quota.into()));
        let is_detailed = scope.feature(Feature::AdvancedAnalytics);
        let details = |tallies: &BTreeMap<String, Tally>| {
            tallies.iter().map(|(name, tally)| (name.clone(), tally.into())).collect()
        };
        Ok(Self {
            tier: scope.tier().word().to_owned(),
            epoch: scope.epoch(),
            quotas: quotas.collect(),
            calls: is_detailed
                .then(|| CallsView { by_action: usage.by_action().clone(), by_day: usage.by_day().clone() }),
            activity: ActivityView {
                period: activity.period.to_string(),
                total: (&activity.total).into(),
                last_active: activity.total.last_minute.map(Moment::rfc3339_of_minute),
                by_action: is_detailed.then(|| details(&activity.by_action)),
                by_day: is_detailed.then(|| details(&activity.by_day)),
            },
        })
    }
}

impl From<&Quota> for QuotaView {
    fn from(quota: &Quota) -> Self {
        Self {
            allowed: quota.allows(),
            limit: quota.limit,
            used: quota.used,
            remaining: quota.remaining(),
            resets_at: quota.resets.map(|reset| reset.rfc3339()),
        }
    }
}

impl From<&Tally> for TallyView {
    fn from(tally: &Tally) -> Self {
        let Tally { tool_calls, api_requests, denied, errors, .. } = *tally;
        Self { tool_calls, api_requests, denied, errors }
    }
}

impl From<&Tally> for DetailView {
    fn from(tally: &Tally) -> Self {
        let latency = &tally.latency;
        let latency = LatencyView {
            mean_ms: latency.mean_ms(),
            p50_ms: latency.percentile_ms(50),
            p95_ms: latency.percentile_ms(95),
            max_ms: latency.max_ms(),
        };
        Self { total: tally.into(), latency }
    }
}

async fn show(scope: TenantScope, Asked { period }: Asked) -> Result<UsageView, ToolError> {
    Ok(UsageView::of(&scope, period.as_deref()).await?)
}
