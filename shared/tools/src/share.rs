//! Sharing a note outside: a tool with a secret, and the pattern for the next.

use insula_mcp::{Builder, Hints, ToolSpec};
use insula_tenancy::{ItemId, Problem, TenantScope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    SlackWebhook, ToolError,
    notes::{self, Note},
};

/// The secret with the webhook's URL, where the settings name no other.
const WEBHOOK: &str = "slack_webhook";

/// Declares the tool. It is `open_world`, so each call is charged before it runs, and acts once under one idempotency key.
pub(crate) fn declare(builder: Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError> {
    let spec = ToolSpec {
        name: "notes_share",
        title: "Post a note to Slack",
        description: "Posts the note with this id to the Slack channel that the workspace's admins have set.",
        hints: Hints { read_only: false, destructive: false, idempotent: false, open_world: true },
        scopes: &["notes:read", "notes:write"],
        resource: Some(notes::ITEM),
        retry_safe: true,
        ..ToolSpec::default()
    };
    builder.tool(spec, share)
}

/// Which note.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Share {
    /// The id that notes_create or notes_list returned.
    id: String,
}

/// What was posted.
#[derive(Debug, Serialize, JsonSchema)]
struct Shared {
    /// The note.
    id: String,
    title: String,
}

async fn share(scope: TenantScope, Share { id }: Share) -> Result<Shared, ToolError> {
    let id: ItemId = id.parse().map_err(Problem::from)?;
    let Note { title, text } = scope.get::<Note>(&id).await?.value;
    let message = json!({ "text": format!("*{}*\n{}", escaped(&title), escaped(&text)) });
    let set = scope.settings().await?.integration::<SlackWebhook>();
    let secret = set.as_ref().map_or(WEBHOOK, |SlackWebhook(name)| name.as_str());
    scope.call_webhook(secret, &message).await?;
    Ok(Shared { id: id.to_string(), title })
}

/// Slack's three characters of control, so that a note can't call a whole channel. Source: Slack, "Formatting text".
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
