//! The collections that there are: those of the record types here, and those that the deployment's configuration names.

use std::sync::Arc;

use insula_mcp::{Builder, Hints, NoArguments, ToolSpec};
use insula_tenancy::{Collection, Config, ConfigError, Problem, TenantScope};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{ToolError, notes::Note};

/// Declares the tool.
pub(crate) fn declare(
    builder: Builder<TenantScope, ToolError>,
    collections: &Arc<Collections>,
) -> Builder<TenantScope, ToolError> {
    let collections = Arc::clone(collections);
    let spec = ToolSpec {
        name: "collections_list",
        title: "List collections",
        description: "Returns the collections that items can be kept in, with the form that an item of each must have.",
        hints: Hints { read_only: true, destructive: false, idempotent: true, open_world: false },
        scopes: &["items:read"],
        ..ToolSpec::default()
    };
    builder.tool(spec, move |_scope, _: NoArguments| {
        let collections = Arc::clone(&collections);
        async move { Ok(collections.view()) }
    })
}

/// Every collection, by name.
#[derive(Debug, Clone)]
pub struct Collections(Vec<Collection>);

impl Collections {
    /// The typed collections, and the free-form ones that the deployment names.
    ///
    /// # Errors
    /// The setting, when it names no collection, or one that is typed.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        let typed = vec![Collection::of::<Note>()];
        let named = config.collections()?;
        if named.iter().any(|name| typed.iter().any(|known| known.name() == name)) {
            return Err(ConfigError { name: "COLLECTIONS" });
        }
        Ok(Self(typed.into_iter().chain(named.into_iter().map(Collection::free_form)).collect()))
    }

    /// The collection of this name.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when there is none.
    pub fn find(&self, name: &str) -> Result<&Collection, Problem> {
        let found = self.0.iter().find(|collection| collection.name().as_str() == name);
        found.ok_or(Problem::NotFound { kind: "collection" })
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Collection] {
        &self.0
    }

    /// All of them as clients see them.
    #[must_use]
    pub fn view(&self) -> CollectionsView {
        CollectionsView { collections: self.0.iter().map(CollectionView::from).collect() }
    }
}

/// Every collection as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CollectionsView {
    collections: Vec<CollectionView>,
}

/// A collection as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CollectionView {
    name: String,
    /// What one of its items is called.
    kind: &'static str,
    /// What its items can be asked for by, over the REST API.
    indexes: &'static [&'static str],
    /// Bytes of one item's JSON.
    item_bytes_max: usize,
    /// The JSON Schema of an item. Absent where it is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
}

impl From<&Collection> for CollectionView {
    fn from(collection: &Collection) -> Self {
        Self {
            name: collection.name().to_string(),
            kind: collection.kind(),
            indexes: collection.indexes(),
            item_bytes_max: collection.item_bytes_max(),
            schema: collection.schema().cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(named: &str) -> Result<Collections, ConfigError> {
        let settings = [
            ("EDGE", "http"),
            ("AWS_REGION", "eu-central-1"),
            ("ISSUER", "https://login.example.com"),
            ("COLLECTIONS", named),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Collections::read(&Config::read(BTreeMap::from(settings)).unwrap())
    }

    #[test]
    fn a_free_form_collection_takes_no_typed_ones_name() {
        let collections = read("tickets").unwrap();
        assert!(collections.find("tickets").is_ok() && collections.find("notes").is_ok());
        assert_eq!(collections.find("contacts").unwrap_err().code(), "not_found");
        assert_eq!(read("tickets,notes").unwrap_err(), ConfigError { name: "COLLECTIONS" });
    }
}
