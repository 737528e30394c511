//! A collection for the tests of search, and one tool that writes and ends many of its records in one call.

use insula_mcp::{Builder, Hints, ToolSpec};
use insula_tenancy::{ItemId, Problem, Record, Searchable, TenantScope};
use insula_tools::ToolError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text with a title, among the laptop's free-form items. Without either, or hidden, it is not to be found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TestPage {
    title: String,
    text: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    hidden: bool,
}

impl Record for TestPage {
    const COLLECTION: &'static str = "documents";
    const KIND: &'static str = "document";

    fn searchable(&self) -> Option<Searchable> {
        let Self { title, text, hidden } = self.clone();
        (!hidden && (!title.is_empty() || !text.is_empty())).then_some(Searchable { title, text })
    }
}

/// Declares the tool.
#[must_use]
pub fn declare(builder: Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError> {
    let spec = ToolSpec {
        name: "test_pages_write",
        title: "Write pages",
        description: "Makes, replaces and ends pages, and returns the ids of those that are there.",
        hints: Hints { read_only: false, destructive: true, idempotent: false, open_world: false },
        scopes: &["notes:write"],
        ..ToolSpec::default()
    };
    builder.tool(spec, write)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Writes {
    writes: Vec<Write>,
}

/// One without an id makes a page, one without a page ends it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Write {
    id: Option<String>,
    page: Option<TestPage>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Written {
    ids: Vec<String>,
}

async fn write(scope: TenantScope, Writes { writes }: Writes) -> Result<Written, ToolError> {
    let mut ids = Vec::new();
    for Write { id, page } in writes {
        let id: Option<ItemId> = id.map(|id| id.parse()).transpose().map_err(Problem::from)?;
        match (id, page) {
            (None, Some(page)) => ids.push(scope.create(page)?.id.to_string()),
            (Some(id), Some(page)) => {
                let read = scope.get::<TestPage>(&id).await?;
                ids.push(scope.replace(&read, page).await?.id.to_string());
            }
            (Some(id), None) => drop(scope.delete::<TestPage>(&id, None).await?),
            (None, None) => {}
        }
    }
    Ok(Written { ids })
}
