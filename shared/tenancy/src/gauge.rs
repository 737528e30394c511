//! What one call was, as a line of metrics, written before its reply.

use serde_json::{Map, Value, json};

use crate::{Clock, Config, ConfigError, Door, Moment, Tier, admission::Admission, tenant::TenantId};

/// Codes of problems that end a call before it runs.
const REFUSALS: [&str; 5] = ["insufficient_scope", "forbidden", "feature_off", "quota_reached", "suspended"];

/// How calls are measured in this deployment.
#[derive(Debug, Clone)]
pub(crate) struct Gauges {
    namespace: String,
    /// The tiers whose tenants are dimensions, each value of which is metrics to pay for.
    tiers: Vec<Tier>,
    clock: Clock,
}

/// A call that is being measured.
#[derive(Debug)]
pub struct Gauge {
    gauges: Gauges,
    tenant: TenantId,
    is_dimension: bool,
    action: String,
    door: Door,
    began: Moment,
}

impl Gauges {
    /// As the settings say; `None` where the deployment names no namespace for metrics.
    ///
    /// # Errors
    /// The setting, when it names a tier that there is not.
    pub(crate) fn read(config: &Config, clock: Clock) -> Result<Option<Self>, ConfigError> {
        const TIERS: &str = "METRICS_BY_TENANT";
        let Some(namespace) = config.metrics_namespace() else { return Ok(None) };
        let names = config.require(TIERS).unwrap_or_default().split(',').filter(|name| !name.is_empty());
        let tiers = names.map(str::parse).collect::<Result<_, _>>();
        let tiers = tiers.map_err(|_err| ConfigError { name: TIERS })?;
        Ok(Some(Self { namespace: namespace.to_owned(), tiers, clock }))
    }

    pub(crate) fn gauge(&self, admission: &Admission) -> Gauge {
        let room = admission.room();
        let operation = admission.operation();
        Gauge {
            tenant: room.tenant.clone(),
            is_dimension: self.tiers.contains(&room.plan.tier),
            action: operation.action.clone(),
            door: operation.door,
            began: room.began,
            gauges: self.clone(),
        }
    }
}

impl Gauge {
    /// The line of a call that has ended so: `ok`, or the code of its problem. The tenant and the action are properties, by
    /// which a query of the log can group; a dimension only where the operator wants it, since each value of one is paid for.
    #[must_use]
    pub fn line(&self, code: &str) -> String {
        let now = self.gauges.clock.now();
        let is_refused = REFUSALS.contains(&code);
        let calls = match self.door {
            Door::Tool => "ToolCalls",
            Door::Api => "ApiRequests",
        };
        let latency_ms = now.micros().saturating_sub(self.began.micros()).div_euclid(1_000);
        let metrics = [
            (calls, "Count", 1),
            ("Denied", "Count", i64::from(is_refused)),
            ("Errors", "Count", i64::from(!is_refused && code != "ok")),
            ("Latency", "Milliseconds", latency_ms.max(0)),
        ];
        let described: Vec<_> =
            metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
        let dimensions = if self.is_dimension { json!([["tenant_id"], []]) } else { json!([[]]) };
        let mut line = Map::new();
        let about = json!({
            "Timestamp": now.micros().div_euclid(1_000),
            "CloudWatchMetrics":
                [{ "Namespace": self.gauges.namespace, "Dimensions": dimensions, "Metrics": described }],
        });
        line.insert("_aws".to_owned(), about);
        line.insert("message".to_owned(), "a call".into());
        line.insert("tenant".to_owned(), json!({ "id": self.tenant.as_str() }));
        if self.is_dimension {
            line.insert("tenant_id".to_owned(), self.tenant.as_str().into());
        }
        line.insert("action".to_owned(), self.action.as_str().into());
        line.insert("code".to_owned(), code.into());
        line.extend(metrics.iter().map(|(name, _, value)| ((*name).to_owned(), Value::from(*value))));
        Value::from(line).to_string() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(tiers: &[Tier], code: &str) -> Value {
        let clock = Clock::fixed_at_s(1_795_500_000);
        let tiers = tiers.to_vec();
        let gauge = Gauge {
            began: clock.now().plus_s(-2),
            is_dimension: tiers.contains(&Tier::Business),
            gauges: Gauges { namespace: "Insula/test".to_owned(), tiers, clock },
            tenant: TenantId::spell([7; 16]),
            action: "notes_get".to_owned(),
            door: Door::Tool,
        };
        serde_json::from_str(&gauge.line(code)).unwrap()
    }

    #[test]
    fn a_line_counts_a_call_by_how_it_ended() {
        for (code, [denied, errors]) in
            [("ok", [0, 0]), ("not_found", [0, 1]), ("quota_reached", [1, 0]), ("forbidden", [1, 0])]
        {
            let line = line(&[], code);
            assert_eq!((&line["Denied"], &line["Errors"]), (&json!(denied), &json!(errors)), "{code}");
            assert_eq!((&line["ToolCalls"], &line["Latency"]), (&json!(1), &json!(2_000)));
        }
    }

    #[test]
    fn a_tenant_is_a_dimension_where_its_tier_is_named_and_else_a_property() {
        let id = json!(TenantId::spell([7; 16]).as_str());
        let property = line(&[Tier::Free], "ok");
        assert_eq!(property["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
        assert_eq!((&property["tenant"]["id"], &property["tenant_id"]), (&id, &Value::Null));
        let dimension = line(&[Tier::Business], "ok");
        assert_eq!(dimension["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["tenant_id"], []]));
        assert_eq!(dimension["tenant_id"], id);
    }
}
