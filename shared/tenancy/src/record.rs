//! What a tenant keeps: typed records in named collections.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Problem,
    key::{Family, ItemId},
    tenant::TenantId,
};

/// Bytes of a record's JSON. DynamoDB's own limit for an item is 400 KB with all of its names.
pub const RECORD_BYTES_MAX: usize = 380 * 1024;

/// A type of which a tenant keeps many. Its JSON form is what is stored.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The collection: 1 to 32 of `a-z 0-9 _`, the first a letter. Checked when the program is compiled.
    const COLLECTION: &'static str;
    /// What one of them is called in a message, for instance `note`.
    const KIND: &'static str;

    /// Refuses a value that must not be stored, with the reason for the caller.
    ///
    /// # Errors
    /// The path and the rule that is broken.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<R> {
    /// Its name within the collection.
    pub id: ItemId,
    /// Counts its writes from 1.
    pub version: u64,
    /// When it was made, RFC 3339 in UTC.
    pub created: String,
    /// When it was last written, RFC 3339 in UTC.
    pub updated: String,
    /// The value.
    pub value: R,
}

/// A record before its type is looked at, and as it is staged.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) id: ItemId,
    pub(crate) version: u64,
    pub(crate) created: String,
    pub(crate) updated: String,
    pub(crate) document: String,
}

impl Raw {
    pub(crate) fn bytes(&self) -> i64 {
        i64::try_from(self.document.len()).unwrap_or(i64::MAX)
    }

    pub(crate) fn typed<R: Record>(&self) -> Result<Stored<R>, Problem> {
        let value =
            serde_json::from_str(&self.document).map_err(|err| Problem::internal("reading a record", err))?;
        let Self { id, version, created, updated, .. } = self.clone();
        Ok(Stored { id, version, created, updated, value })
    }

    pub(crate) fn item(&self, tenant: &TenantId, collection: &str) -> HashMap<String, AttributeValue> {
        let text = |s: &str| AttributeValue::S(s.to_owned());
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(Family::Item(collection).of(tenant))),
            ("sk".to_owned(), text(self.id.as_str())),
            ("version".to_owned(), AttributeValue::N(self.version.to_string())),
            ("created".to_owned(), text(&self.created)),
            ("updated".to_owned(), text(&self.updated)),
            ("document".to_owned(), text(&self.document)),
        ])
    }

    pub(crate) fn read(item: &HashMap<String, AttributeValue>) -> Result<Self, Problem> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        let whole = || {
            Some(Self {
                id: text("sk")?.parse().ok()?,
                version: item.get("version")?.as_n().ok()?.parse().ok()?,
                created: text("created")?,
                updated: text("updated")?,
                document: text("document")?,
            })
        };
        whole().ok_or_else(|| Problem::internal("reading a record", "the item is not whole"))
    }
}

/// A value's JSON, validated and within its limit.
pub(crate) fn document<R: Record>(value: &R) -> Result<String, Problem> {
    value.validate().map_err(|detail| Problem::Invalid { detail })?;
    let text = serde_json::to_string(value).map_err(|err| Problem::internal("writing a record", err))?;
    if text.len() > RECORD_BYTES_MAX {
        return Err(Problem::TooLarge { what: R::KIND, bytes_max: RECORD_BYTES_MAX, bytes: text.len() });
    }
    Ok(text)
}
