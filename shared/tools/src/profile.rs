//! Who is asking: ChatGPT shows it to the user and tells the connections of several accounts apart by it.

use insula_mcp::{Builder, Hints, NoArguments, ToolSpec};
use insula_tenancy::TenantScope;
use schemars::JsonSchema;
use serde::Serialize;

use crate::ToolError;

/// Declares the profile tool.
pub(crate) fn declare(builder: Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError> {
    let spec = ToolSpec {
        name: "get_profile",
        title: "Show who is signed in",
        description: "Returns a stable, opaque id of the signed-in user in this workspace, and the workspace's tier.",
        hints: Hints { read_only: true, destructive: false, idempotent: true, open_world: false },
        scopes: &["profile:read"],
        meta: Some(serde_json::json!({ "openai/profile": true })),
        ..ToolSpec::default()
    };
    builder.tool(spec, get)
}

/// A user in a workspace.
#[derive(Debug, Serialize, JsonSchema)]
struct Profile {
    /// The same for ever for this user in this workspace, another in every other workspace.
    id: String,
    /// The tier of the workspace.
    tier: String,
}

async fn get(scope: TenantScope, _: NoArguments) -> Result<Profile, ToolError> {
    Ok(Profile { id: scope.profile_id(), tier: scope.tier().word().to_owned() })
}
