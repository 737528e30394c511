//! The settings, which a tenant's admins change, beside what its operator has decided.

use insula_gateway::rest::{Answer, Ask};
use insula_tenancy::{
    EmailTemplate, EmailTexts, Feature, Problem, Settings, StoredSettings, TenantScope, UnknownWord,
};
use insula_tools::{ConfigView, integrations};
use serde_json::json;

pub(crate) async fn read(scope: TenantScope, _ask: Ask) -> Result<Answer, Problem> {
    answer(&scope, scope.stored_settings(&integrations()).await?)
}

pub(crate) async fn replace(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let stored = scope.replace_settings(ask.version()?, ask.value()?, &integrations()).await?;
    answer(&scope, stored)
}

/// RFC 7396. Without `If-Match` the patch is for whatever is there.
pub(crate) async fn patch(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let stored = scope.patch_settings(ask.if_match, ask.value()?, &integrations()).await?;
    answer(&scope, stored)
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
    let view = ConfigView::of(scope, stored)?;
    Ok(Answer::ok(&view)?.version(view.version()))
}
