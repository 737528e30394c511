//! The code of docs/first-tool.md, which is everything below its imports.

use insula_mcp::{Builder, Hints, ToolSpec};
use insula_tenancy::{Problem, Record, TenantScope};
use insula_tools::ToolError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema)]
struct Order {
    text: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Kept {
    id: String,
}

impl Record for Order {
    const COLLECTION: &'static str = "orders";
    const KIND: &'static str = "order";
}

async fn keep(scope: TenantScope, order: Order) -> Result<Kept, ToolError> {
    Ok(Kept { id: scope.create(order)?.id.to_string() })
}

async fn send(scope: TenantScope, kept: Kept) -> Result<Kept, ToolError> {
    let order = scope.get::<Order>(&kept.id.parse().map_err(Problem::from)?).await?.value;
    scope.call_webhook("orders_webhook", &order).await?;
    Ok(kept)
}

/// Declares both tools.
pub fn declare(builder: Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError> {
    let hints = Hints { read_only: false, destructive: false, idempotent: false, open_world: false };
    let (title, description, scopes) = ("Keep an order", "Keeps an order.", &["items:write"]);
    let kept = ToolSpec { name: "orders_keep", title, description, hints, scopes, ..ToolSpec::default() };
    let (title, description) = ("Send an order", "Posts an order to the workspace's webhook.");
    let hints = Hints { open_world: true, ..hints };
    let sent = ToolSpec { name: "orders_send", title, description, hints, ..kept.clone() };
    builder.tool(kept, keep).tool(sent, send)
}
