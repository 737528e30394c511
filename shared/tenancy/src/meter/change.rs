//! One change of the table, with its types.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{Placement, canonical::Item, tenant::TenantId};

/// A change of one item of a tenant's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// Its place in the stream.
    pub(crate) sequence: String,
    pub(crate) tenant: TenantId,
    /// Whose table it is in: that of all, or the tenant's own.
    pub(crate) side: Placement,
    /// The partition key behind the tenant: `AUDIT#2026-11-23`, `ITEM#notes`.
    pub(crate) family: String,
    pub(crate) sort_key: String,
    /// `None` for an item that was not there.
    pub(crate) before: Option<Item>,
    /// `None` for an item that is not there any more.
    pub(crate) after: Option<Item>,
    /// Whether it is the table's own doing, at the end of an item's time to live.
    pub(crate) expired: bool,
}

impl Change {
    /// A record of a stream; `None` for an item that is no tenant's.
    ///
    /// # Errors
    /// The place of a record that is not understood, or is in neither the table of all nor the tenant's own.
    pub(super) fn read(record: &Value, pooled: &str) -> Result<Option<Self>, String> {
        let at = |path: &str| record.pointer(path);
        let text = |path: &str| at(path).and_then(Value::as_str).map(str::to_owned);
        let sequence = text("/dynamodb/SequenceNumber").unwrap_or_default();
        let unread = || sequence.clone();
        let partition = text("/dynamodb/Keys/pk/S").ok_or_else(unread)?;
        let sort_key = text("/dynamodb/Keys/sk/S").ok_or_else(unread)?;
        let Some((tenant, family)) = partition.strip_prefix("TENANT#").and_then(|rest| rest.split_once('#'))
        else {
            return Ok(None);
        };
        let tenant = TenantId::read(tenant).ok_or_else(unread)?;
        let arn = text("/eventSourceARN").unwrap_or_default();
        let side = side(&arn, pooled, &tenant).ok_or_else(unread)?;
        let image = |path: &str| at(path).map(|image| item(image).ok_or_else(unread)).transpose();
        let (before, after) = (image("/dynamodb/OldImage")?, image("/dynamodb/NewImage")?);
        if before.is_none() && after.is_none() {
            return Err(sequence);
        }
        let by =
            ["/userIdentity/type", "/userIdentity/principalId"].map(|path| text(path).unwrap_or_default());
        let expired = by == ["Service", "dynamodb.amazonaws.com"];
        let family = family.to_owned();
        Ok(Some(Self { sequence, tenant, side, family, sort_key, before, after, expired }))
    }
}

/// Which of the two tables in which a tenant's items can be a stream is of.
fn side(stream_arn: &str, pooled: &str, tenant: &TenantId) -> Option<Placement> {
    let (_, named) = stream_arn.split_once(":table/")?;
    let (table, _) = named.split_once("/stream/")?;
    let pooled = pooled.into();
    [Placement::Pooled, Placement::Dedicated].into_iter().find(|side| &*side.table(&pooled, tenant) == table)
}

fn item(image: &Value) -> Option<Item> {
    let members = image.as_object()?.iter();
    members.map(|(name, typed)| Some((name.clone(), value(typed)?))).collect()
}

/// DynamoDB's own JSON: one member, whose name is the type.
fn value(typed: &Value) -> Option<AttributeValue> {
    let (kind, value_of) = typed.as_object().filter(|members| members.len() == 1)?.iter().next()?;
    let text = || value_of.as_str().map(str::to_owned);
    let bytes = |text: &Value| STANDARD.decode(text.as_str()?).ok().map(Blob::new);
    let texts = || -> Option<Vec<String>> {
        value_of.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect()
    };
    Some(match kind.as_str() {
        "S" => AttributeValue::S(text()?),
        "N" => AttributeValue::N(text()?),
        "B" => AttributeValue::B(bytes(value_of)?),
        "BOOL" => AttributeValue::Bool(value_of.as_bool()?),
        "NULL" => AttributeValue::Null(true),
        "L" => AttributeValue::L(value_of.as_array()?.iter().map(value).collect::<Option<_>>()?),
        "M" => AttributeValue::M(item(value_of)?),
        "SS" => AttributeValue::Ss(texts()?),
        "NS" => AttributeValue::Ns(texts()?),
        "BS" => AttributeValue::Bs(value_of.as_array()?.iter().map(bytes).collect::<Option<_>>()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(pk: &str) -> Value {
        json!({
            "eventName": "INSERT",
            "eventSourceARN": "arn:aws:dynamodb:r:1:table/data/stream/2026",
            "dynamodb": {
                "SequenceNumber": "7",
                "Keys": { "pk": { "S": pk }, "sk": { "S": "s" } },
                "NewImage": { "sk": { "S": "s" }, "l": { "L": [{ "N": "1" }, { "BOOL": true }] } },
            },
        })
    }

    #[test]
    fn a_change_is_read_with_its_tenant_and_family() {
        let tenant = TenantId::spell([7; 16]);
        let change = Change::read(&record(&format!("TENANT#{tenant}#ITEM#notes")), "data").unwrap().unwrap();
        assert_eq!((&change.tenant, change.family.as_str()), (&tenant, "ITEM#notes"));
        let list = vec![AttributeValue::N("1".to_owned()), AttributeValue::Bool(true)];
        assert_eq!(change.after.unwrap()["l"], AttributeValue::L(list));
        assert_eq!((change.before, change.expired), (None, false));
        assert_eq!(Change::read(&record("OPERATOR#DENIALS#2026-11-23"), "data"), Ok(None));
    }

    #[test]
    fn what_is_not_understood_is_given_once_more() {
        let tenant = TenantId::spell([7; 16]);
        let good = record(&format!("TENANT#{tenant}#ITEM#notes"));
        for (path, wrong) in [
            ("/dynamodb/Keys", json!({})),
            ("/dynamodb/Keys/pk/S", json!("TENANT#acme#ITEM#notes")),
            ("/eventSourceARN", json!(null)),
            ("/eventSourceARN", json!("arn:aws:dynamodb:r:1:table/other/stream/2026")),
            ("/dynamodb/NewImage", json!({ "x": { "Q": "1" } })),
            ("/dynamodb/NewImage", json!({ "x": { "S": "1", "N": "1" } })),
        ] {
            let mut record = good.clone();
            *record.pointer_mut(path).unwrap() = wrong;
            assert_eq!(Change::read(&record, "data"), Err("7".to_owned()), "{path}");
        }
    }

    #[test]
    fn a_change_is_in_the_table_of_all_or_in_the_tenants_own_and_in_no_other_tenants() {
        let [own, other] = [7, 8].map(|byte| TenantId::spell([byte; 16]));
        let side = |table: &str| {
            let mut record = record(&format!("TENANT#{own}#ITEM#notes"));
            record["eventSourceARN"] = json!(format!("arn:aws:dynamodb:r:1:table/{table}/stream/2026"));
            Change::read(&record, "data").map(|change| change.map(|change| change.side))
        };
        assert_eq!(side("data"), Ok(Some(Placement::Pooled)));
        assert_eq!(side(&format!("data-{own}")), Ok(Some(Placement::Dedicated)));
        assert_eq!(side(&format!("data-{other}")), Err("7".to_owned()));
    }

    #[test]
    fn only_the_tables_own_removals_are_the_end_of_a_time_to_live() {
        let mut removed = record(&format!("TENANT#{}#AUDIT#2026-11-23", TenantId::spell([7; 16])));
        let expired = |record: &Value| Change::read(record, "data").unwrap().unwrap().expired;
        assert!(!expired(&removed));
        let by = |kind: &str| json!({ "type": kind, "principalId": "dynamodb.amazonaws.com" });
        removed["userIdentity"] = by("Service");
        assert!(expired(&removed));
        removed["userIdentity"] = by("AssumedRole");
        assert!(!expired(&removed));
    }
}
