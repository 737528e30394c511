//! What is set for the workspace and by it.

use std::collections::BTreeMap;

use insula_mcp::{Builder, Hints, NoArguments, ToolSpec};
use insula_tenancy::{Branding, Feature, Limits, Problem, StoredSettings, TenantScope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ToolError, integrations};

/// Declares the tools.
pub(crate) fn declare(builder: Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError> {
    let read = ToolSpec {
        name: "config_read",
        title: "Read the workspace's configuration",
        description: "Returns the workspace's tier, features and limits, which its operator decides, and its settings, which \
                      its admins change: branding, integrations and how its tools behave. For admins.",
        hints: Hints { read_only: true, destructive: false, idempotent: true, open_world: false },
        scopes: &["workspace:admin"],
        ..ToolSpec::default()
    };
    let patch = ToolSpec {
        name: "config_patch",
        title: "Change the workspace's settings",
        description: "Changes those settings of the workspace that are named: a member with a value is set, one with null is \
                      taken out, and all others stay (JSON Merge Patch). Everything that is wrong is said at once, with its \
                      path, and then nothing is changed. For admins.",
        hints: Hints { read_only: false, destructive: false, idempotent: true, open_world: false },
        scopes: &["workspace:admin"],
        ..ToolSpec::default()
    };
    builder
        .tool(read, async |scope, _: NoArguments| ConfigView::read(&scope).await.map_err(ToolError::from))
        .tool(patch, async |scope: TenantScope, Change { settings, version }| {
            // Or a text that the model reads could switch off the question before its next deed.
            if settings.contains_key("tools") {
                let detail = "what tools may do unasked is not changed in a conversation; change tools over the REST API \
                              (PATCH /v1/config)";
                return Err(Problem::Forbidden { detail: detail.to_owned() }.into());
            }
            let patch = Value::Object(settings);
            let stored = scope.patch_settings(version, &patch, &integrations()).await?;
            Ok(ConfigView::of(&scope, stored)?)
        })
}

/// A change of the settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    /// What to change, in the form of the settings that config_read returns.
    settings: Map<String, Value>,
    /// The version that was read; the change is for whatever is there without it.
    version: Option<u64>,
}

/// All that is set for a workspace and by it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigView {
    tier: String,
    /// Whether the workspace has it, by its word.
    features: BTreeMap<String, bool>,
    quotas: LimitsView,
    /// What the workspace's admins have set.
    settings: Map<String, Value>,
    /// What of its branding counts.
    branding: BrandingView,
    /// Counts the changes of the settings.
    version: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LimitsView {
    calls_month: u64,
    calls_minute: u64,
    storage_bytes: u64,
    items: u64,
    members: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct BrandingView {
    company_name: String,
    colors: BTreeMap<String, String>,
    logo: Option<String>,
    /// Whether the product's name is shown beside it.
    product_shown: bool,
}

impl ConfigView {
    /// As it is.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn read(scope: &TenantScope) -> Result<Self, Problem> {
        Self::of(scope, scope.stored_settings(&integrations()).await?)
    }

    /// With these settings.
    ///
    /// # Errors
    /// [`Problem::Internal`] for settings that have no JSON.
    pub fn of(scope: &TenantScope, stored: StoredSettings) -> Result<Self, Problem> {
        let StoredSettings { version, settings } = stored;
        let document = serde_json::to_value(&settings);
        let Ok(Value::Object(document)) = document else {
            return Err(Problem::internal("showing the settings", "they are no object"));
        };
        let features = Feature::ALL.map(|feature| (feature.word().to_owned(), scope.feature(feature)));
        Ok(Self {
            tier: scope.tier().word().to_owned(),
            features: features.into(),
            quotas: scope.limits().into(),
            settings: document,
            branding: scope.branding_of(settings).into(),
            version,
        })
    }

    /// The version of the settings.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }
}

impl From<Limits> for LimitsView {
    fn from(limits: Limits) -> Self {
        let Limits { calls_month, calls_minute, storage_bytes, items, members } = limits;
        Self { calls_month, calls_minute, storage_bytes, items, members }
    }
}

impl From<Branding> for BrandingView {
    fn from(branding: Branding) -> Self {
        let Branding { company_name, colors, logo, product, .. } = branding;
        let colors = colors.all().into_iter().map(|(name, color)| (name.to_owned(), color.to_string()));
        Self {
            company_name,
            colors: colors.collect(),
            logo: logo.map(|logo| logo.to_string()),
            product_shown: product.is_some(),
        }
    }
}
