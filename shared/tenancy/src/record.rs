//! What a tenant keeps: typed records in named collections.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Problem,
    key::{Family, ItemId, Shelf, is_name},
    search::Searchable,
    tenant::TenantId,
};

/// Bytes of a record's JSON. DynamoDB's own limit for an item is 400 KB with all of its names.
pub const RECORD_BYTES_MAX: usize = 380 * 1024;
/// Indexes of one collection, as many as the table has for them.
pub const INDEXES_MAX: usize = 3;
/// Bytes of an indexed value, and of what orders it. DynamoDB's own limits for keys are 2,048 and 1,024.
const INDEXED_BYTES_MAX: usize = 512;

/// A type of which a tenant keeps many. Its JSON form is what is stored.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The collection: 1 to 32 of `a-z 0-9 _`, the first a letter. Checked when the program is compiled.
    const COLLECTION: &'static str;
    /// What one of them is called in a message, for instance `note`.
    const KIND: &'static str;
    /// Bytes of one record's JSON, at most [`RECORD_BYTES_MAX`].
    const BYTES_MAX: usize = RECORD_BYTES_MAX;
    /// Names of what records can be asked for by, at most three: 1 to 32 of `a-z 0-9 _`, the first a letter. Checked when
    /// the program is compiled. Their order is kept in the table, so a new one goes to the end, and none is taken out of
    /// the middle.
    const INDEXES: &'static [&'static str] = &[];

    /// The JSON Schema of a record, by which a client learns the form; `None` if it is not told.
    fn schema() -> Option<Value> {
        None
    }

    /// Refuses a value that must not be stored, with the reason for the caller.
    ///
    /// # Errors
    /// The path and the rule that is broken.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }

    /// Where this record stands in one of [`Record::INDEXES`]; nowhere, if it is not to be found by it.
    fn indexed(&self, index: &str) -> Option<Indexed> {
        let _ = index;
        None
    }

    /// What a search finds this record by; `None` if it is not to be found.
    fn searchable(&self) -> Option<Searchable> {
        None
    }
}

/// A record's place in an index: found by equality, then in order. Each has at most 512 bytes, and `equals` at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// What is asked for.
    pub equals: String,
    /// What sorts those that are equal, by its bytes in UTF-8. It may be empty.
    pub order: String,
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

/// A document before its type is looked at, and as it is staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) id: ItemId,
    pub(crate) version: u64,
    pub(crate) created: String,
    pub(crate) updated: String,
    /// Whether the index of searches lists it in the state that was read.
    pub(crate) listed: bool,
    pub(crate) prepared: Prepared,
}

/// A value that may be stored: its JSON, and its places in its collection's indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) document: String,
    /// By the position of the index, with its name: at most [`INDEXES_MAX`].
    pub(crate) indexed: Vec<(&'static str, Option<Indexed>)>,
    /// What a search is to find it by; of what was read that is not known.
    pub(crate) searchable: Option<Searchable>,
}

impl Prepared {
    /// A document of ours, which is in no index.
    pub(crate) fn of(document: &impl Serialize) -> Result<Self, Problem> {
        let document =
            serde_json::to_string(document).map_err(|err| Problem::internal("writing a document", err))?;
        Ok(Self { document, ..Self::default() })
    }
}

impl Raw {
    /// Bytes of its JSON.
    pub(crate) fn len(&self) -> usize {
        self.prepared.document.len()
    }

    pub(crate) fn bytes(&self) -> i64 {
        i64::try_from(self.len()).unwrap_or(i64::MAX)
    }

    pub(crate) fn typed<V: DeserializeOwned>(&self) -> Result<Stored<V>, Problem> {
        let value = serde_json::from_str(&self.prepared.document)
            .map_err(|err| Problem::internal("reading a record", err))?;
        let Self { id, version, created, updated, .. } = self.clone();
        Ok(Stored { id, version, created, updated, value })
    }

    pub(crate) fn item(&self, tenant: &TenantId, shelf: &Shelf) -> HashMap<String, AttributeValue> {
        let text = |s: &str| AttributeValue::S(s.to_owned());
        let mut item = HashMap::from([
            ("pk".to_owned(), AttributeValue::S(Family::Shelf(shelf).of(tenant))),
            ("sk".to_owned(), text(self.id.as_str())),
            ("version".to_owned(), AttributeValue::N(self.version.to_string())),
            ("created".to_owned(), text(&self.created)),
            ("updated".to_owned(), text(&self.updated)),
            ("document".to_owned(), text(&self.prepared.document)),
        ]);
        if self.prepared.searchable.is_some() {
            item.insert("listed".to_owned(), AttributeValue::Bool(true));
        }
        for (slot, (index, indexed)) in (1..).zip(&self.prepared.indexed) {
            if let Some(Indexed { equals, order }) = indexed {
                item.insert(format!("i{slot}pk"), AttributeValue::S(index_key(tenant, shelf, index, equals)));
                item.insert(format!("i{slot}sk"), AttributeValue::S(index_sort(order)));
            }
        }
        item
    }

    /// Reads what every document has, and its place in the index that it was found by.
    pub(crate) fn read(item: &HashMap<String, AttributeValue>) -> Result<Self, Problem> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        let whole = || {
            Some(Self {
                id: text("sk")?.parse().ok()?,
                version: item.get("version")?.as_n().ok()?.parse().ok()?,
                created: text("created")?,
                updated: text("updated")?,
                listed: item.contains_key("listed"),
                prepared: Prepared { document: text("document")?, ..Prepared::default() },
            })
        };
        whole().ok_or_else(|| Problem::internal("reading a record", "the item is not whole"))
    }
}

/// The partition key of an index: it begins with the tenant, as that of the table does.
pub(crate) fn index_key(tenant: &TenantId, shelf: &Shelf, index: &str, equals: &str) -> String {
    format!("{}#{index}#{equals}", Family::Shelf(shelf).of(tenant))
}

/// The sort key of an index, which is never empty: DynamoDB refuses that of an index's key.
pub(crate) fn index_sort(order: &str) -> String {
    format!("#{order}")
}

/// A value that is validated and within its limits.
pub(crate) fn prepare<R: Record>(value: &R) -> Result<Prepared, Problem> {
    const {
        assert!(R::INDEXES.len() <= INDEXES_MAX, "too many indexes");
        assert!(R::BYTES_MAX <= RECORD_BYTES_MAX, "records can't be as large");
        let mut left = R::INDEXES;
        while let [index, rest @ ..] = left {
            assert!(is_name(index), "not the name of an index");
            left = rest;
        }
    }
    value.validate().map_err(|detail| Problem::Invalid { detail })?;
    let document = serde_json::to_string(value).map_err(|err| Problem::internal("writing a record", err))?;
    if document.len() > R::BYTES_MAX {
        return Err(Problem::TooLarge { what: R::KIND, bytes_max: R::BYTES_MAX, bytes: document.len() });
    }
    let place = |&index: &&'static str| {
        let indexed = value.indexed(index);
        if let Some(Indexed { equals, order }) = &indexed {
            check_indexed(index, equals, 1)?;
            check_indexed(index, order, 0)?;
        }
        Ok((index, indexed))
    };
    let indexed = R::INDEXES.iter().map(place).collect::<Result<_, Problem>>()?;
    Ok(Prepared { document, indexed, searchable: value.searchable() })
}

/// Whether a text may be looked up in an index.
pub(crate) fn check_indexed(index: &str, text: &str, bytes_min: usize) -> Result<(), Problem> {
    if (bytes_min..=INDEXED_BYTES_MAX).contains(&text.len()) {
        return Ok(());
    }
    let bytes = text.len();
    Err(Problem::Invalid { detail: format!("{index}: {bytes} bytes, of {bytes_min} to {INDEXED_BYTES_MAX}") })
}
