//! The settings, which a tenant's admins change, beside what its operator has decided.

use std::collections::BTreeMap;

use insula_gateway::rest::{Answer, Ask};
use insula_tenancy::{
    Branding, Color, EmailTemplate, EmailTexts, Feature, Limits, Problem, Settings, StoredSettings,
    TenantScope, UnknownWord,
};
use insula_tools::integrations;
use serde::Serialize;
use serde_json::json;

/// All that is set for a tenant and by it.
#[derive(Debug, Serialize)]
struct ConfigView {
    tier: &'static str,
    /// Whether the tenant has it, by its word.
    features: BTreeMap<&'static str, bool>,
    quotas: Limits,
    /// What the tenant's admins have set.
    settings: Settings,
    /// What of its branding counts.
    branding: BrandingView,
    /// Counts the changes of the settings.
    version: u64,
}

#[derive(Debug, Serialize)]
struct BrandingView {
    company_name: String,
    colors: BTreeMap<&'static str, Color>,
    logo: Option<String>,
    /// Whether the product's name is shown beside it.
    product_shown: bool,
}

pub(crate) async fn read(scope: TenantScope, _ask: Ask) -> Result<Answer, Problem> {
    answer(&scope, scope.stored_settings(&integrations()).await?)
}

pub(crate) async fn replace(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let stored = scope.replace_settings(ask.version()?, ask.value()?, &integrations()).await?;
    answer(&scope, stored)
}

/// RFC 7396. Without `If-Match` the patch is for whatever is there: where that changes meanwhile, it is done again.
pub(crate) async fn patch(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let known = integrations();
    let before = match ask.if_match {
        Some(_) => scope.stored_settings(&known).await?,
        None => scope.rely_on_stored_settings(&known).await?,
    };
    let document = serde_json::to_value(&before.settings);
    let document = document.map_err(|err| Problem::internal("patching the settings", err))?;
    let merged = insula_json::merged(document, ask.value()?);
    answer(&scope, scope.replace_settings(ask.if_match.unwrap_or(before.version), &merged, &known).await?)
}

/// An e-mail with the values of an example, in the texts that are kept or in those of the body.
pub(crate) async fn preview(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let template = ask.parameter("template")?.parse::<EmailTemplate>();
    let template = template.map_err(|UnknownWord| Problem::NotFound { kind: "e-mail" })?;
    let texts = ask.value()?;
    let mut settings = scope.settings().await?;
    if *texts != json!({}) {
        scope.demand(Feature::CustomBranding)?;
        let document = json!({ "branding": { "emails": { template.word(): texts } } });
        let mut draft = Settings::read(&document, &integrations())?.branding.emails;
        let EmailTexts { subject, text } = draft.remove(&template).unwrap_or_default();
        let kept = settings.branding.emails.entry(template).or_default();
        kept.subject = subject.or(kept.subject.take());
        kept.text = text.or(kept.text.take());
    }
    Answer::ok(&scope.branding_of(settings).email(template, |variable| variable.sample().to_owned()))
}

fn answer(scope: &TenantScope, stored: StoredSettings) -> Result<Answer, Problem> {
    let StoredSettings { version, settings } = stored;
    let features = Feature::ALL.map(|feature| (feature.word(), scope.feature(feature)));
    let view = ConfigView {
        tier: scope.tier().word(),
        features: features.into(),
        quotas: scope.limits(),
        branding: shown(scope.branding_of(settings.clone())),
        settings,
        version,
    };
    Ok(Answer::ok(&view)?.version(version))
}

fn shown(branding: Branding) -> BrandingView {
    let Branding { company_name, colors, logo, product, .. } = branding;
    BrandingView {
        company_name,
        colors: colors.all(),
        logo: logo.map(|logo| logo.to_string()),
        product_shown: product.is_some(),
    }
}
