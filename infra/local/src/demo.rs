//! The tenants of the laptop, and who can sign in.

use std::fmt;

use insula_tenancy::{Slug, Tier};
use serde::Deserialize;

use crate::idp::User;

/// A tenant to make when the stack starts.
#[derive(Debug, Clone)]
pub struct DemoTenant {
    /// Its host name and path.
    pub slug: Slug,
    /// What it pays for.
    pub tier: Tier,
    /// The value of the `tenant_id` claim that leads to it.
    pub claim: String,
    /// Web origins that may read replies.
    pub origins: Vec<String>,
    /// Who can sign in, of whom the first is the one for `insula token`.
    pub users: Vec<DemoUser>,
}

/// A test user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoUser {
    /// The `sub` claim.
    pub id: String,
    /// What the button of the sign-in page says.
    pub name: String,
    /// Every scope of the tools, if absent.
    pub scopes: Option<Vec<String>>,
}

/// A tenants file that can't be used: which line or tenant, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoError(String);

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DemoError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tenants: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    slug: String,
    tier: String,
    claim: Option<String>,
    #[serde(default)]
    origins: Vec<String>,
    users: Vec<DemoUser>,
}

/// Acme and Globex, on one issuer that both share.
pub const DEMO: &str = include_str!("demo.yaml");

/// Reads a tenants file: YAML in the form of the demo's.
///
/// # Errors
/// What is wrong, and where.
pub fn read_tenants(text: &str) -> Result<Vec<DemoTenant>, DemoError> {
    let file: File = serde_yaml_ng::from_str(text).map_err(|err| {
        // The parser quotes what it found, which may be a whole file.
        let place = err.location().map_or_else(String::new, |at| format!(" at line {}", at.line()));
        let what: String = err.to_string().chars().take(160).collect();
        DemoError(format!("not a tenants file{place}: {what}"))
    })?;
    file.tenants
        .into_iter()
        .map(|entry| {
            let wrong = |why: &dyn fmt::Display| DemoError(format!("tenant {}: {why}", entry.slug));
            if entry.users.is_empty() {
                return Err(wrong(&"at least one user"));
            }
            Ok(DemoTenant {
                slug: entry.slug.parse().map_err(|err| wrong(&err))?,
                tier: entry.tier.parse().map_err(|err| wrong(&format!("tier: {err}")))?,
                claim: entry.claim.clone().unwrap_or_else(|| format!("org-{}", entry.slug)),
                origins: entry.origins.clone(),
                users: entry.users.clone(),
            })
        })
        .collect()
}

impl DemoTenant {
    /// The users as the identity provider knows them.
    pub(crate) fn sign_ins(&self) -> impl Iterator<Item = User> {
        self.users.iter().map(|user| User {
            id: user.id.clone(),
            name: user.name.clone(),
            tenant: self.claim.clone(),
            roles: Vec::new(),
            scopes: user
                .scopes
                .clone()
                .unwrap_or_else(|| insula_tools::SCOPES.iter().map(|&scope| scope.to_owned()).collect()),
        })
    }
}
