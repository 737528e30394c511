//! Items of every collection by name, for a model that works on the SaaS's own data.

use std::sync::Arc;

use insula_mcp::{Answer, Builder, Exchange, Hints, Structured, ToolSpec};
use insula_tenancy::{Collection, ItemId, Problem, Query, Stored, TenantScope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Collections, ToolError,
    consent::{Deed, Loss, ask_first},
};

const READ: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };
const WRITE: Hints = Hints { read_only: false, destructive: false, idempotent: false, open_world: false };

/// Declares the tools of items.
pub(crate) fn declare(
    builder: Builder<TenantScope, ToolError>,
    collections: &Arc<Collections>,
) -> Builder<TenantScope, ToolError> {
    let shared = || Arc::clone(collections);
    let (create, get, list, replace, delete) = (shared(), shared(), shared(), shared(), shared());
    builder
        .tool(
            spec(("items_create", "Create an item"), "Keeps a new item in a collection.", WRITE),
            move |scope, args| create_item(create.clone(), scope, args),
        )
        .tool(
            spec(("items_get", "Read an item"), "Returns the item with this id from a collection.", READ),
            move |scope, args| get_item(get.clone(), scope, args),
        )
        .tool(
            spec(
                ("items_list", "List items"),
                "Returns the items of a collection, oldest first, a page at a time. Pass next_cursor back as cursor \
                 to go on.",
                READ,
            ),
            move |scope, args| list_items(list.clone(), scope, args),
        )
        .talking_tool(
            spec(
                ("items_replace", "Replace an item"),
                "Puts a new value in the place of an item's, after its user has confirmed it, if it still has the version \
                 that was read.",
                Hints { destructive: true, ..WRITE },
            ),
            move |scope, exchange, args| replace_item(replace.clone(), scope, exchange, args),
        )
        .talking_tool(
            spec(
                ("items_delete", "Delete an item"),
                "Removes an item for good, after its user has confirmed it, and returns what it was.",
                Hints { destructive: true, idempotent: true, ..WRITE },
            ),
            move |scope, exchange, args| delete_item(delete.clone(), scope, exchange, args),
        )
}

fn spec((name, title): (&'static str, &'static str), description: &'static str, hints: Hints) -> ToolSpec {
    let resource = Some(match name {
        "items_create" | "items_list" => "collections/{collection}/items",
        _ => "collections/{collection}/items/{id}",
    });
    let scopes: &[&str] = if hints.read_only { &["items:read"] } else { &["items:write"] };
    ToolSpec { name, title, description, hints, scopes, resource, ..ToolSpec::default() }
}

/// A new item.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewItem {
    /// The name of the collection.
    collection: String,
    /// The item, a JSON object of the collection's form, which collections_list says.
    value: Map<String, Value>,
}

/// Which item.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The name of the collection.
    collection: String,
    /// The id of the item.
    id: String,
}

/// Which page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PageOf {
    /// The name of the collection.
    collection: String,
    /// Items in a page, 1 to 100; 20 if absent.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
    /// The next_cursor of the page before; absent for the first.
    cursor: Option<String>,
}

/// A new value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Replacement {
    /// The name of the collection.
    collection: String,
    /// The id of the item.
    id: String,
    /// The version that was read.
    version: u64,
    /// The whole new value.
    value: Map<String, Value>,
}

/// An item with what the store knows of it.
#[derive(Debug, Serialize, JsonSchema)]
struct ItemView {
    collection: String,
    id: String,
    /// Counts its writes from 1.
    version: u64,
    /// RFC 3339, UTC.
    created: String,
    /// RFC 3339, UTC.
    updated: String,
    value: Map<String, Value>,
}

/// A page of items.
#[derive(Debug, Serialize, JsonSchema)]
struct ItemPage {
    items: Vec<ItemView>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

fn view(collection: &Collection, stored: Stored<Value>) -> ItemView {
    let Stored { id, version, created, updated, value } = stored;
    let value = match value {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let collection = collection.name().to_string();
    ItemView { collection, id: id.to_string(), version, created, updated, value }
}

async fn create_item(
    collections: Arc<Collections>,
    scope: TenantScope,
    NewItem { collection, value }: NewItem,
) -> Result<ItemView, ToolError> {
    let collection = collections.find(&collection)?;
    Ok(view(collection, scope.items(collection).create(&Value::Object(value))?))
}

async fn get_item(
    collections: Arc<Collections>,
    scope: TenantScope,
    Which { collection, id }: Which,
) -> Result<ItemView, ToolError> {
    let collection = collections.find(&collection)?;
    Ok(view(collection, scope.items(collection).get(&parse(&id)?).await?))
}

async fn list_items(
    collections: Arc<Collections>,
    scope: TenantScope,
    PageOf { collection, limit, cursor }: PageOf,
) -> Result<ItemPage, ToolError> {
    let collection = collections.find(&collection)?;
    let query = Query { limit: limit.unwrap_or(20), cursor: cursor.as_deref(), ..Query::default() };
    let page = scope.items(collection).list(&query).await?;
    let items = page.records.into_iter().map(|stored| view(collection, stored)).collect();
    Ok(ItemPage { items, next_cursor: page.next_cursor })
}

async fn replace_item(
    collections: Arc<Collections>,
    scope: TenantScope,
    exchange: Exchange,
    Replacement { collection, id, version, value }: Replacement,
) -> Result<Answer<Structured<ItemView>>, ToolError> {
    let collection = collections.find(&collection)?;
    let (items, id) = (scope.items(collection), parse(&id)?);
    let loss = Loss { deed: Deed::Replace, kind: collection.kind(), id: &id };
    // Nobody is asked about a version that is not there.
    let read = async || {
        items.check(&id, version).await?;
        Ok(version)
    };
    let act = async |_confirmed: Option<u64>| {
        Ok(view(collection, items.replace(&id, version, &Value::Object(value)).await?))
    };
    ask_first((&scope, &exchange), loss, read, act).await
}

async fn delete_item(
    collections: Arc<Collections>,
    scope: TenantScope,
    exchange: Exchange,
    Which { collection, id }: Which,
) -> Result<Answer<Structured<ItemView>>, ToolError> {
    let collection = collections.find(&collection)?;
    let (items, id) = (scope.items(collection), parse(&id)?);
    let loss = Loss { deed: Deed::Delete, kind: collection.kind(), id: &id };
    let read = async || Ok(items.get(&id).await?.version);
    let act = async |seen| Ok(view(collection, items.delete(&id, seen).await?));
    ask_first((&scope, &exchange), loss, read, act).await
}

fn parse(id: &str) -> Result<ItemId, ToolError> {
    Ok(id.parse::<ItemId>().map_err(Problem::from)?)
}
