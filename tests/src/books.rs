//! A collection with as many indexes as there can be, a tool that writes its records and lists them in one call, and one
//! that writes a record by what it reads of another.

use insula_mcp::{Builder, Hints, ToolSpec};
use insula_tenancy::{Direction, Indexed, ItemId, Order, Problem, Query, Record, Stored, TenantScope};
use insula_tools::ToolError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Found by who wrote it, by what it is called, and by its shelf, if it stands on one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Book {
    author: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    shelf: Option<String>,
}

impl Record for Book {
    const COLLECTION: &'static str = "books";
    const KIND: &'static str = "book";
    const INDEXES: &'static [&'static str] = &["author", "title", "shelf"];

    fn indexed(&self, index: &str) -> Option<Indexed> {
        let Self { author, title, shelf } = self.clone();
        match index {
            "author" => Some(Indexed { equals: author, order: title }),
            "title" => Some(Indexed { equals: title, order: author }),
            "shelf" => Some(Indexed { equals: shelf?, order: String::new() }),
            _ => None,
        }
    }
}

/// Declares the tools.
#[must_use]
pub fn declare(builder: Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError> {
    let spec = ToolSpec {
        name: "test_books",
        title: "Write and list books",
        description: "Makes, replaces and ends books, and then lists those that an index has at a value.",
        hints: Hints { read_only: false, destructive: true, idempotent: false, open_world: false },
        scopes: &["notes:write"],
        ..ToolSpec::default()
    };
    let append = ToolSpec {
        name: "test_books_append",
        title: "Append a title to another",
        description: "Adds to a book's title what another book is called.",
        hints: Hints { read_only: false, destructive: true, idempotent: false, open_world: false },
        scopes: &["notes:write"],
        ..ToolSpec::default()
    };
    builder.tool(spec, books).tool(append, append_title)
}

/// Two books, of which one is written and both decide what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Append {
    to: String,
    from: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    writes: Vec<Write>,
    list: Option<List>,
}

/// One without an id makes a book, one without a book ends it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Write {
    id: Option<String>,
    book: Option<Book>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    index: String,
    equals: String,
    #[serde(default)]
    descending: bool,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
struct Told {
    /// Of the books that were made.
    ids: Vec<String>,
    books: Vec<Listed>,
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Listed {
    id: String,
    author: String,
    title: String,
}

impl From<Stored<Book>> for Listed {
    fn from(Stored { id, value: Book { author, title, .. }, .. }: Stored<Book>) -> Self {
        Self { id: id.to_string(), author, title }
    }
}

async fn books(scope: TenantScope, Asked { writes, list }: Asked) -> Result<Told, ToolError> {
    let mut told = Told::default();
    for Write { id, book } in writes {
        let id: Option<ItemId> = id.map(|id| id.parse()).transpose().map_err(Problem::from)?;
        match (id, book) {
            (None, Some(book)) => told.ids.push(scope.create(book)?.id.to_string()),
            (Some(id), Some(book)) => {
                let read = scope.get::<Book>(&id).await?;
                scope.replace(&read, book).await?;
            }
            (Some(id), None) => drop(scope.delete::<Book>(&id, None).await?),
            (None, None) => {}
        }
    }
    if let Some(List { index, equals, descending, limit, cursor }) = list {
        let direction = if descending { Direction::Descending } else { Direction::Ascending };
        let order = Order::Indexed { index: &index, equals: &equals };
        let query = Query { order, direction, limit: limit.unwrap_or(20), cursor: cursor.as_deref() };
        let page = scope.list::<Book>(&query).await?;
        told.books = page.records.into_iter().map(Listed::from).collect();
        told.next_cursor = page.next_cursor;
    }
    Ok(told)
}

async fn append_title(scope: TenantScope, Append { to, from }: Append) -> Result<Listed, ToolError> {
    let (to, from): (ItemId, ItemId) =
        (to.parse().map_err(Problem::from)?, from.parse().map_err(Problem::from)?);
    let books = scope.transact();
    let (read, other) = (books.get::<Book>(&to).await?, books.get::<Book>(&from).await?);
    let title = [&*read.value.title, "+", &*other.value.title].concat();
    Ok(books.replace(&read, Book { title, ..read.value.clone() }).await?.into())
}
