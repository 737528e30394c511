//! Collections with their types taken off: what the REST API and free-form data go by.

use std::fmt;

use serde_json::{Value, json};

use crate::{
    Problem,
    key::CollectionName,
    record::{Prepared, RECORD_BYTES_MAX, Record, prepare},
    search::Searchable,
};

/// What an item of a free-form collection is called in a message.
const FREE_KIND: &str = "item";
/// Levels of a free-form document. A typed record has those of its type.
const DEPTH_MAX: usize = 32;

/// A collection that a tenant has, and the check of what goes into it.
#[derive(Clone)]
pub struct Collection {
    name: CollectionName,
    pub(crate) kind: &'static str,
    pub(crate) indexes: &'static [&'static str],
    item_bytes_max: usize,
    schema: Option<Value>,
    check: Check,
    searchable: fn(&Value) -> Option<Searchable>,
}

/// Whether a value may be stored.
type Check = fn(&Value) -> Result<Prepared, Problem>;

impl Collection {
    /// The collection of a record type: only what the type reads and validates goes into it.
    #[must_use]
    pub fn of<R: Record>() -> Self {
        Self {
            name: CollectionName::of::<R>(),
            kind: R::KIND,
            indexes: R::INDEXES,
            item_bytes_max: R::BYTES_MAX,
            schema: R::schema(),
            check: check_typed::<R>,
            searchable: typed_searchable::<R>,
        }
    }

    /// A collection of JSON objects of any form, for a SaaS that brings its own data.
    #[must_use]
    pub fn free_form(name: CollectionName) -> Self {
        Self {
            name,
            kind: FREE_KIND,
            indexes: &[],
            item_bytes_max: RECORD_BYTES_MAX,
            schema: Some(json!({ "type": "object" })),
            check: check_free_form,
            searchable: free_searchable,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &CollectionName {
        &self.name
    }

    /// What one of its items is called in a message.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// What its items can be asked for by.
    #[must_use]
    pub const fn indexes(&self) -> &'static [&'static str] {
        self.indexes
    }

    /// Bytes of one item's JSON.
    #[must_use]
    pub const fn item_bytes_max(&self) -> usize {
        self.item_bytes_max
    }

    /// The JSON Schema of its items, where there is one.
    #[must_use]
    pub const fn schema(&self) -> Option<&Value> {
        self.schema.as_ref()
    }

    /// What a search finds this item by; `None` if it is not to be found.
    #[must_use]
    pub fn searchable(&self, value: &Value) -> Option<Searchable> {
        (self.searchable)(value)
    }

    pub(crate) fn prepare(&self, value: &Value) -> Result<Prepared, Problem> {
        (self.check)(value)
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").field("name", &self.name).finish_non_exhaustive()
    }
}

fn check_typed<R: Record>(value: &Value) -> Result<Prepared, Problem> {
    let record =
        R::deserialize(value).map_err(|err| Problem::Invalid { detail: format!("{}: {err}", R::KIND) })?;
    prepare(&record)
}

fn check_free_form(value: &Value) -> Result<Prepared, Problem> {
    if !value.is_object() {
        return Err(Problem::Invalid { detail: "item: a JSON object is expected".to_owned() });
    }
    let levels = depth(value);
    if levels > DEPTH_MAX {
        return Err(Problem::Invalid { detail: format!("item: {levels} levels, of at most {DEPTH_MAX}") });
    }
    let document = value.to_string();
    let bytes = document.len();
    if bytes > RECORD_BYTES_MAX {
        return Err(Problem::TooLarge { what: FREE_KIND, bytes_max: RECORD_BYTES_MAX, bytes });
    }
    Ok(Prepared { document, searchable: free_searchable(value), ..Prepared::default() })
}

fn typed_searchable<R: Record>(value: &Value) -> Option<Searchable> {
    R::deserialize(value).ok()?.searchable()
}

/// A free-form item is found by all of its strings; its title is its member `title` or `name`.
fn free_searchable(value: &Value) -> Option<Searchable> {
    let title = ["title", "name"].iter().find_map(|member| value.get(member)?.as_str());
    let mut strings = Vec::new();
    collect_strings(value, &mut strings);
    let title = title.unwrap_or_default();
    strings.retain(|string| *string != title);
    let text = strings.join("\n");
    (!title.is_empty() || !text.is_empty()).then(|| Searchable { title: title.to_owned(), text })
}

/// The document has at most [`DEPTH_MAX`] levels.
fn collect_strings<'v>(value: &'v Value, strings: &mut Vec<&'v str>) {
    match value {
        Value::String(string) => strings.push(string),
        Value::Array(values) => values.iter().for_each(|value| collect_strings(value, strings)),
        Value::Object(members) => members.values().for_each(|value| collect_strings(value, strings)),
        _ => {}
    }
}

/// Levels of arrays and objects. The JSON reader's own limit keeps this recursion short.
fn depth(value: &Value) -> usize {
    let within = match value {
        Value::Array(values) => values.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    within.unwrap_or(0).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!({}), |value, _| json!({ "a": value }))
    }

    #[test]
    fn a_free_form_item_is_an_object_within_its_limits() {
        let free = Collection::free_form("tickets".parse().unwrap());
        let largest = "x".repeat(RECORD_BYTES_MAX - r#"{"a":""}"#.len());
        assert!(free.prepare(&nested(DEPTH_MAX)).is_ok());
        assert!(free.prepare(&json!({ "a": largest })).is_ok());
        assert_eq!(free.prepare(&nested(DEPTH_MAX + 1)).unwrap_err().code(), "invalid");
        assert_eq!(free.prepare(&json!([1])).unwrap_err().code(), "invalid");
        let too_large = free.prepare(&json!({ "a": largest + "x" })).unwrap_err();
        assert_eq!(too_large.to_string(), "the item has 389121 bytes, and at most 389120 are allowed");
    }
}
