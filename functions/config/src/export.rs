//! Everything that is a tenant's own, for its admin to take out: a page at a time, each read as it is then.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use insula_gateway::rest::{Answer, Ask};
use insula_tenancy::{AssetEntry, Collection, Feature, PAGE_MAX, Problem, Query, TenantScope};
use insula_tools::{Collections, MemberView, integrations};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{assets::AssetView, domains::DomainView};

/// Entries of a part that have no value of their own size.
const ENTRIES_MAX: u32 = PAGE_MAX;
/// Assets of a page: each has up to a third of a mebibyte in base64, and a reply of Lambda has 6 MB.
const ASSETS_MAX: usize = 4;

/// A page. `next_cursor` leads to the next, and is null at the end.
#[derive(Debug, Serialize)]
struct PageView {
    entries: Vec<Value>,
    next_cursor: Option<String>,
}

/// A part of the export, in the order in which they come.
#[derive(Debug, Clone, Copy)]
enum Part<'c> {
    Settings,
    Members,
    Assets,
    Domains,
    /// Names, versions and dates: a value is in no reply.
    Secrets,
    Items(&'c Collection),
}

/// Entries of one part, and where it goes on, if it does.
struct Piece {
    entries: Vec<Value>,
    next: Option<String>,
}

impl Part<'_> {
    /// What a cursor calls it. A collection's name has no hyphen.
    fn word(self) -> String {
        match self {
            Self::Settings => "-settings".to_owned(),
            Self::Members => "-members".to_owned(),
            Self::Assets => "-assets".to_owned(),
            Self::Domains => "-domains".to_owned(),
            Self::Secrets => "-secrets".to_owned(),
            Self::Items(collection) => collection.name().to_string(),
        }
    }

    async fn piece(self, scope: &TenantScope, cursor: Option<&str>) -> Result<Piece, Problem> {
        match self {
            Self::Settings => settings(scope).await,
            Self::Members => members(scope, cursor).await,
            Self::Assets => assets(scope, cursor).await,
            Self::Domains => domains(scope).await,
            Self::Secrets => secrets(scope).await,
            Self::Items(collection) => items(scope, collection, cursor).await,
        }
    }
}

/// The first page that has entries. A cursor names a part and where in it to go on; the latter is sealed where it leads into
/// a listing.
pub(crate) async fn page(
    collections: Arc<Collections>,
    scope: TenantScope,
    ask: Ask,
) -> Result<Answer, Problem> {
    scope.demand(Feature::DataExport)?;
    let mut parts = vec![Part::Settings, Part::Members, Part::Assets, Part::Domains, Part::Secrets];
    parts.extend(collections.all().iter().map(Part::Items));
    let (first, mut within) = match ask.query.get("cursor") {
        None => (0, None),
        Some(cursor) => {
            let (word, within) = cursor.split_once('.').unwrap_or((cursor, ""));
            let found = parts.iter().position(|part| part.word() == word);
            (found.ok_or_else(no_cursor)?, Some(within).filter(|within| !within.is_empty()))
        }
    };
    let mut left = parts.into_iter().skip(first).peekable();
    while let Some(part) = left.next() {
        let Piece { entries, next } = part.piece(&scope, within.take()).await?;
        let next_cursor = match next {
            Some(next) => Some(format!("{}.{next}", part.word())),
            None => left.peek().map(|part| part.word()),
        };
        if !entries.is_empty() || next_cursor.is_none() {
            return Answer::ok(&PageView { entries, next_cursor });
        }
    }
    Answer::ok(&PageView { entries: Vec::new(), next_cursor: None })
}

async fn settings(scope: &TenantScope) -> Result<Piece, Problem> {
    let stored = scope.stored_settings(&integrations()).await?;
    let entry = json!({ "kind": "settings", "version": stored.version, "value": stored.settings });
    Ok(Piece { entries: vec![entry], next: None })
}

async fn members(scope: &TenantScope, cursor: Option<&str>) -> Result<Piece, Problem> {
    let page = scope.list_members(&Query { limit: ENTRIES_MAX, cursor, ..Query::default() }).await?;
    let entry = |member| json!({ "kind": "member", "value": MemberView::from(member) });
    Ok(Piece { entries: page.records.into_iter().map(entry).collect(), next: page.next_cursor })
}

/// A cursor within assets is the name of the last that was read.
async fn assets(scope: &TenantScope, cursor: Option<&str>) -> Result<Piece, Problem> {
    let mut left: Vec<AssetEntry> = scope.list_assets().await?;
    left.retain(|entry| cursor.is_none_or(|last| entry.name.as_str() > last));
    let more = left.len() > ASSETS_MAX;
    left.truncate(ASSETS_MAX);
    let next = left.last().filter(|_| more).map(|last| last.name.to_string());
    let mut entries = Vec::with_capacity(left.len());
    for entry in left {
        let asset = match scope.asset(&entry.name).await {
            // It has ended since it was listed.
            Err(Problem::NotFound { .. }) => continue,
            found => found?,
        };
        let value = AssetView::from(entry);
        entries.push(json!({ "kind": "asset", "value": value, "base64": STANDARD.encode(&asset.bytes) }));
    }
    Ok(Piece { entries, next })
}

async fn domains(scope: &TenantScope) -> Result<Piece, Problem> {
    let entry = |domain| json!({ "kind": "domain", "value": DomainView::from(domain) });
    Ok(Piece { entries: scope.list_domains().await?.into_iter().map(entry).collect(), next: None })
}

async fn secrets(scope: &TenantScope) -> Result<Piece, Problem> {
    let entries = scope.list_secrets().await?.into_iter().map(|entry| {
        let value = json!({
            "name": entry.name,
            "version": entry.version,
            "created": entry.created,
            "updated": entry.updated,
        });
        json!({ "kind": "secret", "value": value })
    });
    Ok(Piece { entries: entries.collect(), next: None })
}

async fn items(scope: &TenantScope, collection: &Collection, cursor: Option<&str>) -> Result<Piece, Problem> {
    let query = Query { limit: ENTRIES_MAX, cursor, ..Query::default() };
    let page = scope.items(collection).list(&query).await?;
    let entries = page.records.into_iter().map(|stored| {
        json!({
            "kind": "item",
            "collection": collection.name().as_str(),
            "id": stored.id.as_str(),
            "version": stored.version,
            "created": stored.created,
            "updated": stored.updated,
            "value": stored.value,
        })
    });
    Ok(Piece { entries: entries.collect(), next: page.next_cursor })
}

fn no_cursor() -> Problem {
    Problem::Invalid { detail: "cursor: not one of this export".to_owned() }
}
