//! The names of the workspace's secrets, for its admins. No tool takes or gives a value: it would go through the model and the
//! conversation, so values are put over the REST API alone.

use insula_mcp::{Builder, Hints, NoArguments, ToolSpec};
use insula_tenancy::{Problem, SECRETS_MAX, SecretEntry, TenantScope};
use schemars::JsonSchema;
use serde::Serialize;

use crate::ToolError;

/// Declares the tool.
pub(crate) fn declare(builder: Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError> {
    let list = ToolSpec {
        name: "secrets_list",
        title: "List the workspace's secrets",
        description: "Returns the names, versions and dates of the secrets that this workspace has set for its tools, and never \
                      a value. A value is set over the REST API (PUT /v1/secrets/{name}) and never in a conversation. For \
                      admins.",
        hints: Hints { read_only: true, destructive: false, idempotent: true, open_world: false },
        scopes: &["workspace:admin"],
        ..ToolSpec::default()
    };
    builder.tool(list, async |scope: TenantScope, _: NoArguments| {
        SecretsView::list(&scope).await.map_err(ToolError::from)
    })
}

/// The secrets in the order of their names.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretsView {
    secrets: Vec<SecretView>,
    /// How many there may be.
    limit: usize,
}

/// A secret without its value.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretView {
    name: String,
    version: u64,
    /// RFC 3339, UTC.
    created: String,
    /// RFC 3339, UTC.
    updated: String,
}

impl SecretsView {
    /// All of them.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn list(scope: &TenantScope) -> Result<Self, Problem> {
        let secrets = scope.list_secrets().await?;
        Ok(Self { secrets: secrets.into_iter().map(SecretView::from).collect(), limit: SECRETS_MAX })
    }
}

impl From<SecretEntry> for SecretView {
    fn from(entry: SecretEntry) -> Self {
        let SecretEntry { name, version, created, updated } = entry;
        Self { name: name.to_string(), version, created, updated }
    }
}
