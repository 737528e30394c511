//! One item, and the listing of a collection.

use std::sync::Arc;

use insula_gateway::rest::{Answer, Ask};
use insula_tenancy::{Direction, ItemId, Order, Problem, Query, Stored, TenantScope};
use insula_tools::{CollectionView, Collections};
use serde_json::Value;

use crate::{
    id,
    view::{ItemView, PageView},
};

/// Items of a page where the client does not say.
const PAGE: u32 = 20;

pub(crate) async fn describe(collections: Arc<Collections>, ask: Ask) -> Result<Answer, Problem> {
    Answer::ok(&CollectionView::from(collections.find(ask.parameter("collection")?)?))
}

pub(crate) async fn describe_all(collections: Arc<Collections>) -> Result<Answer, Problem> {
    Answer::ok(&collections.view())
}

pub(crate) async fn list(
    collections: Arc<Collections>,
    scope: TenantScope,
    ask: Ask,
) -> Result<Answer, Problem> {
    let collection = collections.find(ask.parameter("collection")?)?;
    let text = |name: &str| ask.query.get(name).map(String::as_str);
    let order = match (text("order"), text("equals")) {
        (None | Some("created"), None) => Order::Created,
        (Some("updated"), None) => Order::Updated,
        (Some(index), Some(equals)) => Order::Indexed { index, equals },
        _ => return Err(invalid("query: order: created, updated, or an index together with equals")),
    };
    let direction = match text("direction") {
        None | Some("ascending") => Direction::Ascending,
        Some("descending") => Direction::Descending,
        Some(_) => return Err(invalid("query: direction: ascending or descending")),
    };
    let limit = ask.query_as("limit")?.unwrap_or(PAGE);
    let query = Query { order, direction, limit, cursor: text("cursor") };
    let page = scope.items(collection).list(&query).await?;
    let items = page.records.into_iter().map(ItemView::from).collect();
    Answer::ok(&PageView { items, next_cursor: page.next_cursor })
}

pub(crate) async fn get(
    collections: Arc<Collections>,
    scope: TenantScope,
    ask: Ask,
) -> Result<Answer, Problem> {
    let collection = collections.find(ask.parameter("collection")?)?;
    answer(scope.items(collection).get(&id(&ask)?).await?)
}

pub(crate) async fn create(
    collections: Arc<Collections>,
    scope: TenantScope,
    ask: Ask,
) -> Result<Answer, Problem> {
    let collection = collections.find(ask.parameter("collection")?)?;
    let made = scope.items(collection).create(ask.value()?)?;
    let (path, version) = (format!("collections/{}/items/{}", collection.name(), made.id), made.version);
    Ok(Answer::created(path, &ItemView::from(made))?.version(version))
}

pub(crate) async fn replace(
    collections: Arc<Collections>,
    scope: TenantScope,
    ask: Ask,
) -> Result<Answer, Problem> {
    let collection = collections.find(ask.parameter("collection")?)?;
    answer(scope.items(collection).replace(&id(&ask)?, ask.version()?, ask.value()?).await?)
}

/// RFC 7396. Without `If-Match` the patch is for whatever is there: where that changes meanwhile, it is done again.
pub(crate) async fn patch(
    collections: Arc<Collections>,
    scope: TenantScope,
    ask: Ask,
) -> Result<Answer, Problem> {
    let collection = collections.find(ask.parameter("collection")?)?;
    let (items, id) = (scope.items(collection), id(&ask)?);
    let before = match ask.if_match {
        Some(_) => items.get(&id).await?,
        None => items.rely(&id).await?,
    };
    let seen = ask.if_match.unwrap_or(before.version);
    answer(items.replace(&id, seen, &insula_json::merged(before.value, ask.value()?)).await?)
}

pub(crate) async fn delete(
    collections: Arc<Collections>,
    scope: TenantScope,
    ask: Ask,
) -> Result<Answer, Problem> {
    let collection = collections.find(ask.parameter("collection")?)?;
    scope.items(collection).delete(&id(&ask)?, ask.if_match).await?;
    Ok(Answer::no_content())
}

fn answer(stored: Stored<Value>) -> Result<Answer, Problem> {
    let version = stored.version;
    Ok(Answer::ok(&ItemView::from(stored))?.version(version))
}

pub(crate) fn parse(text: &str) -> Result<ItemId, Problem> {
    Ok(text.parse::<ItemId>()?)
}

fn invalid(detail: &str) -> Problem {
    Problem::Invalid { detail: detail.to_owned() }
}
