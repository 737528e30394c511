//! Metrics, as lines of CloudWatch's embedded metric format that are written to standard output.

use serde_json::{Map, Value, json};

use crate::{clock::Moment, tenant::TenantId};

/// What is counted: name, unit, value.
pub(crate) type Metric = (&'static str, &'static str, u64);

/// One line. The tenant is a property, by which a query of the log can group and sum over instances, and not a dimension,
/// each value of which would be metrics to pay for. A class is one of a few, and so a dimension.
pub(crate) fn line(
    (namespace, message): (&str, &str),
    tenant: Option<&TenantId>,
    class: Option<&str>,
    now: Moment,
    metrics: &[Metric],
) -> String {
    // An alarm can't add up classes, so what is counted by class is counted as a whole as well.
    let dimensions: &[&[&str]] = if class.is_some() { &[&["class"], &[]] } else { &[&[]] };
    let described: Vec<Value> =
        metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let mut line = Map::new();
    let about = json!({
        "Timestamp": now.micros().div_euclid(1_000),
        "CloudWatchMetrics": [{ "Namespace": namespace, "Dimensions": dimensions, "Metrics": described }],
    });
    line.insert("_aws".to_owned(), about);
    line.insert("message".to_owned(), message.into());
    line.extend(class.map(|class| ("class".to_owned(), class.into())));
    line.extend(tenant.map(|tenant| ("tenant".to_owned(), json!({ "id": tenant.as_str() }))));
    line.extend(metrics.iter().map(|(name, _, value)| ((*name).to_owned(), Value::from(*value))));
    Value::from(line).to_string()
}
