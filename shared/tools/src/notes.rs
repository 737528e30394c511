//! Notes: the first collection, and the pattern for the next.

use insula_mcp::{Answer, Builder, Exchange, Hints, Structured, ToolSpec, schema_of};
use insula_tenancy::{ItemId, Query, Record, Searchable, Stored, TenantScope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ToolError,
    consent::{Deed, Loss, ask_first},
};

/// Characters of a title.
const TITLE_MAX: usize = 200;
/// Characters of a text.
const TEXT_MAX: usize = 20_000;

/// Declares the tools of notes.
pub(crate) fn declare(builder: Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError> {
    builder
        .tool(
            ToolSpec {
                name: "notes_create",
                title: "Create a note",
                description: "Keeps a new note with a title and a text, and returns it with its id.",
                hints: Hints { read_only: false, destructive: false, idempotent: false, open_world: false },
                scopes: &["notes:write"],
                ..ToolSpec::default()
            },
            create,
        )
        .tool(
            ToolSpec {
                name: "notes_get",
                title: "Read a note",
                description: "Returns the note with this id.",
                hints: READ,
                scopes: &["notes:read"],
                resource: Some(ITEM),
                ..ToolSpec::default()
            },
            get,
        )
        .tool(
            ToolSpec {
                name: "notes_list",
                title: "List notes",
                description: "Returns notes, oldest first, a page at a time. Pass next_cursor back as cursor to go on.",
                hints: READ,
                scopes: &["notes:read"],
                ..ToolSpec::default()
            },
            list,
        )
        .talking_tool(
            ToolSpec {
                name: "notes_delete",
                title: "Delete a note",
                description: "Removes the note with this id for good, after its user has confirmed it, and returns what it was.",
                hints: Hints { read_only: false, destructive: true, idempotent: true, open_world: false },
                scopes: &["notes:write"],
                resource: Some(ITEM),
                ..ToolSpec::default()
            },
            delete,
        )
}

/// The address of one note.
pub(crate) const ITEM: &str = "collections/notes/items/{id}";
const READ: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };

/// A note, as it is stored and as it is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    /// 1 to 200 characters.
    #[schemars(length(min = 1, max = 200))]
    pub(crate) title: String,
    /// At most 20,000 characters.
    #[schemars(length(max = 20000))]
    pub(crate) text: String,
}

impl Record for Note {
    const COLLECTION: &'static str = "notes";
    const KIND: &'static str = "note";
    /// All of its characters as escapes of six bytes, with the names.
    const BYTES_MAX: usize = 128 * 1024;

    fn schema() -> Option<Value> {
        Some(schema_of::<Self>())
    }

    fn searchable(&self) -> Option<Searchable> {
        Some(Searchable { title: self.title.clone(), text: self.text.clone() })
    }

    fn validate(&self) -> Result<(), String> {
        match (self.title.chars().count(), self.text.chars().count()) {
            (0, _) => Err("title: at least 1 character".to_owned()),
            (title, _) if title > TITLE_MAX => {
                Err(format!("title: {title} characters, of at most {TITLE_MAX}"))
            }
            (_, text) if text > TEXT_MAX => Err(format!("text: {text} characters, of at most {TEXT_MAX}")),
            _ => Ok(()),
        }
    }
}

/// A note with what the store knows of it.
#[derive(Debug, Serialize, JsonSchema)]
struct NoteView {
    /// Names the note.
    id: String,
    title: String,
    text: String,
    /// Counts its writes from 1.
    version: u64,
    /// RFC 3339, UTC.
    created: String,
    /// RFC 3339, UTC.
    updated: String,
}

impl From<Stored<Note>> for NoteView {
    fn from(stored: Stored<Note>) -> Self {
        let Stored { id, version, created, updated, value: Note { title, text } } = stored;
        Self { id: id.to_string(), title, text, version, created, updated }
    }
}

/// Which note.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoteId {
    /// The id that notes_create or notes_list returned.
    id: String,
}

/// Which page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PageOf {
    /// Notes in a page, 1 to 100; 20 if absent.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
    /// The next_cursor of the page before; absent for the first.
    cursor: Option<String>,
}

/// A page of notes.
#[derive(Debug, Serialize, JsonSchema)]
struct NotePage {
    notes: Vec<NoteView>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

async fn create(scope: TenantScope, note: Note) -> Result<NoteView, ToolError> {
    Ok(scope.create(note)?.into())
}

async fn get(scope: TenantScope, NoteId { id }: NoteId) -> Result<NoteView, ToolError> {
    Ok(scope.get::<Note>(&parse(&id)?).await?.into())
}

async fn list(scope: TenantScope, PageOf { limit, cursor }: PageOf) -> Result<NotePage, ToolError> {
    let query = Query { limit: limit.unwrap_or(20), cursor: cursor.as_deref(), ..Query::default() };
    let page = scope.list::<Note>(&query).await?;
    Ok(NotePage {
        notes: page.records.into_iter().map(NoteView::from).collect(),
        next_cursor: page.next_cursor,
    })
}

async fn delete(
    scope: TenantScope,
    exchange: Exchange,
    NoteId { id }: NoteId,
) -> Result<Answer<Structured<NoteView>>, ToolError> {
    let id = parse(&id)?;
    let loss = Loss { deed: Deed::Delete, kind: Note::KIND, id: &id };
    let read = async || Ok(scope.get::<Note>(&id).await?.version);
    let act = async |seen| Ok(scope.delete::<Note>(&id, seen).await?.into());
    ask_first((&scope, &exchange), loss, read, act).await
}

fn parse(id: &str) -> Result<ItemId, ToolError> {
    Ok(id.parse::<ItemId>().map_err(insula_tenancy::Problem::from)?)
}
