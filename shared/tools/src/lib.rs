//! The tools of the SaaS: the crate that its developers own. `functions/mcp` only registers what is declared here.

use std::sync::Arc;

mod access;
mod audit;
mod collections;
mod config;
mod consent;
mod integrations;
mod items;
mod members;
mod notes;
mod profile;
mod search;
mod secrets;
mod share;
mod usage;

pub use access::{is_uncharged, role_of};
pub use audit::TrailView;
pub use collections::{CollectionView, Collections, CollectionsView};
pub use config::ConfigView;
use insula_mcp::{Builder, Refusal};
use insula_tenancy::{Config, ConfigError, Problem, TenantScope};
pub use integrations::{AnalyticsId, IntegrationError, SlackWebhook, StripeCustomer, integrations};

pub use members::{MemberView, MembersView};
pub use secrets::{SecretView, SecretsView};
pub use usage::UsageView;

/// Declares every tool, in the order in which clients list them.
///
/// # Errors
/// A setting that is wrong.
pub fn declare(
    config: &Config,
    builder: Builder<TenantScope, ToolError>,
) -> Result<Builder<TenantScope, ToolError>, ConfigError> {
    let collections = Arc::new(Collections::read(config)?);
    let builder = share::declare(notes::declare(builder));
    let builder = items::declare(collections::declare(builder, &collections), &collections);
    let builder = search::declare(profile::declare(builder), &collections);
    let builder = secrets::declare(members::declare(config::declare(builder)));
    Ok(usage::declare(audit::declare(builder)))
}

/// Every scope that a tool needs or that gives a role, for the public metadata of a host.
pub const SCOPES: [&str; 8] = [
    "items:read",
    "items:write",
    "notes:read",
    "notes:write",
    "profile:read",
    "search:read",
    "usage:read",
    "workspace:admin",
];

/// What ends a tool. Made from the kernel's [`Problem`], said to the model in its words.
#[derive(Debug)]
pub struct ToolError(Problem);

impl ToolError {
    /// The problem.
    #[must_use]
    pub const fn problem(&self) -> &Problem {
        &self.0
    }
}

impl AsRef<Problem> for ToolError {
    fn as_ref(&self) -> &Problem {
        &self.0
    }
}

impl From<Problem> for ToolError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<ToolError> for Refusal {
    fn from(ToolError(problem): ToolError) -> Self {
        let data = match &problem {
            Problem::QuotaReached(quota) => Some(serde_json::json!({
                "kind": quota.kind.word(),
                "limit": quota.limit,
                "used": quota.used,
                "resets_at": quota.resets.map(|reset| reset.rfc3339()),
                "contact": quota.contact.as_deref(),
            })),
            _ => None,
        };
        Self {
            code: problem.code(),
            message: problem.to_string(),
            data,
            www_authenticate: problem.challenge(),
        }
    }
}
