//! What was done to the operator's records of denials, which are added and never changed.

use serde_json::Value;

use super::Alarm;
use crate::denials::PARTITIONS;

/// The alarms of these records of the stream. The end of a record's time to live is none.
pub(super) fn broken(records: &[Value]) -> Vec<Alarm> {
    records.iter().filter_map(alarm).collect()
}

fn alarm(record: &Value) -> Option<Alarm> {
    let text = |path: &str| record.pointer(path).and_then(Value::as_str);
    let day = text("/dynamodb/Keys/pk/S")?.strip_prefix(PARTITIONS)?;
    let has = |path: &str| record.pointer(path).is_some();
    let by = ["/userIdentity/type", "/userIdentity/principalId"].map(text);
    let class = match (has("/dynamodb/OldImage"), has("/dynamodb/NewImage")) {
        (true, true) => "altered",
        (true, false) if by != [Some("Service"), Some("dynamodb.amazonaws.com")] => "removed",
        _ => return None,
    };
    let record = text("/dynamodb/Keys/sk/S").unwrap_or_default().to_owned();
    Some(Alarm { tenant: None, class, day: day.to_owned(), record })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(pk: &str, images: &[&str]) -> Value {
        let mut change = json!({ "Keys": { "pk": { "S": pk }, "sk": { "S": "s" } } });
        for image in images {
            change[*image] = json!({ "count": { "N": "1" } });
        }
        json!({ "dynamodb": change })
    }

    #[test]
    fn a_record_of_denials_is_added_and_whatever_else_is_done_to_it_is_told() {
        let own = "OPERATOR#DENIALS#2026-11-23";
        let classes = |record: Value| {
            let alarms = broken(&[record]);
            alarms.into_iter().map(|alarm| (alarm.class, alarm.day, alarm.tenant)).collect::<Vec<_>>()
        };
        let told = |class| vec![(class, "2026-11-23".to_owned(), None)];
        assert_eq!(classes(record(own, &["NewImage"])), []);
        assert_eq!(classes(record(own, &["OldImage", "NewImage"])), told("altered"));
        assert_eq!(classes(record(own, &["OldImage"])), told("removed"));
        assert_eq!(classes(record("OPERATOR#ELSE#2026-11-23", &["OldImage"])), []);
        let mut expired = record(own, &["OldImage"]);
        expired["userIdentity"] = json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" });
        assert_eq!(classes(expired), []);
    }
}
