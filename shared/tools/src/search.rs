//! Search and fetch, as ChatGPT's company knowledge and deep research ask for them: over all collections at once.

use std::{collections::BTreeMap, sync::Arc};

use insula_mcp::{Builder, Hints, ToolSpec};
use insula_tenancy::{CollectionName, ItemId, Problem, Searchable, TenantScope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Collections, ToolError};

/// Results of one search.
const RESULTS_MAX: u32 = 20;

/// Declares the two tools. Their scope opens every collection that can be searched, whatever scopes that has of its own.
pub(crate) fn declare(
    builder: Builder<TenantScope, ToolError>,
    collections: &Arc<Collections>,
) -> Builder<TenantScope, ToolError> {
    let collections = Arc::clone(collections);
    builder
        .tool(
            ToolSpec {
                name: "search",
                title: "Search the workspace",
                description: "Returns what answers the query best, the best first. Any of the words may match; neither case \
                              nor accents matter. The last word, and each with a * behind it, matches every word that \
                              begins so. Pass an id to fetch for the whole text.",
                hints: READ,
                scopes: &["search:read"],
                ..ToolSpec::default()
            },
            search,
        )
        .tool(
            ToolSpec {
                name: "fetch",
                title: "Read a search result",
                description: "Returns the whole text of a result of search.",
                hints: READ,
                scopes: &["search:read"],
                resource: Some("search/{id}"),
                ..ToolSpec::default()
            },
            move |scope, args| fetch(collections.clone(), scope, args),
        )
}

const READ: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };

/// What to look for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// At most 1,000 characters and 32 different words.
    #[schemars(length(min = 1, max = 1000))]
    query: String,
}

/// What was found, the best first.
#[derive(Debug, Serialize, JsonSchema)]
struct Results {
    results: Vec<Found>,
}

/// A result.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    /// What fetch takes.
    id: String,
    title: String,
    url: String,
}

/// Which result.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ResultId {
    /// The id that search returned.
    id: String,
}

/// A result as a whole.
#[derive(Debug, Serialize, JsonSchema)]
struct Fetched {
    id: String,
    title: String,
    text: String,
    url: String,
    /// Its collection, its version, and when it was made and last written.
    metadata: BTreeMap<&'static str, String>,
}

async fn search(scope: TenantScope, Asked { query }: Asked) -> Result<Results, ToolError> {
    let hits = scope.search(&query, RESULTS_MAX).await?.into_iter();
    let found = hits.map(|hit| Found {
        id: spell(&hit.collection, &hit.id),
        title: titled(hit.title, &hit.id),
        url: scope.item_url(&hit.collection, &hit.id),
    });
    Ok(Results { results: found.collect() })
}

async fn fetch(
    collections: Arc<Collections>,
    scope: TenantScope,
    ResultId { id }: ResultId,
) -> Result<Fetched, ToolError> {
    // What is no id names nothing, as an id that is another tenant's does.
    let missing = || Problem::NotFound { kind: "item" };
    let (name, item) = read(&id).ok_or_else(missing)?;
    let collection = collections.find(name.as_str()).map_err(|_unknown| missing())?;
    let stored = match scope.items(collection).get(&item).await {
        Err(Problem::NotFound { .. }) => Err(missing()),
        other => other,
    }?;
    let value: &Value = &stored.value;
    let Searchable { title, text } = collection.searchable(value).ok_or_else(missing)?;
    let metadata = BTreeMap::from([
        ("collection", name.to_string()),
        ("version", stored.version.to_string()),
        ("created", stored.created),
        ("updated", stored.updated),
    ]);
    Ok(Fetched { id, title: titled(title, &item), text, url: scope.item_url(&name, &item), metadata })
}

/// An id across all collections. Neither name can have a dot.
fn spell(collection: &CollectionName, id: &ItemId) -> String {
    format!("{collection}.{id}")
}

fn read(id: &str) -> Option<(CollectionName, ItemId)> {
    let (collection, id) = id.split_once('.')?;
    Some((collection.parse().ok()?, id.parse().ok()?))
}

fn titled(title: String, id: &ItemId) -> String {
    if title.is_empty() { id.to_string() } else { title }
}
