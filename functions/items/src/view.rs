//! An item as clients see it.

use insula_tenancy::Stored;
use serde::Serialize;
use serde_json::Value;

/// An item with what the store knows of it.
#[derive(Debug, Serialize)]
pub(crate) struct ItemView {
    id: String,
    /// Counts its writes from 1; its ETag.
    version: u64,
    /// RFC 3339, UTC.
    created: String,
    /// RFC 3339, UTC.
    updated: String,
    value: Value,
}

impl From<Stored<Value>> for ItemView {
    fn from(stored: Stored<Value>) -> Self {
        let Stored { id, version, created, updated, value } = stored;
        Self { id: id.to_string(), version, created, updated, value }
    }
}

/// A page of items.
#[derive(Debug, Serialize)]
pub(crate) struct PageView {
    pub(crate) items: Vec<ItemView>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
}
