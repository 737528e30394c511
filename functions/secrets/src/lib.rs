//! `/v1/secrets`: the tenant's secrets, which are written and never read back.

use http::Method;
use insula_gateway::{
    Error,
    rest::{Answer, Ask, Body, Endpoint, Takes, run},
    serve_rest,
};
use insula_tenancy::{Effect, Problem, Resealed, SecretName, SecretPut, TenantScope};
use insula_tools::{SecretView, SecretsView};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

/// Starts the function and serves until Lambda ends it.
///
/// # Errors
/// A setting that is wrong, an endpoint without a role, or a registry that does not answer in init.
pub async fn serve() -> Result<(), Error> {
    serve_rest(|_config| Ok(endpoints()), insula_tools::role_of).await
}

/// Every endpoint of the function. A secret is rotated by putting its next value.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            method: Method::GET,
            path: "secrets",
            query: &[],
            takes: Takes::Nothing,
            scopes: &[],
            feature: None,
            action: "secrets_list",
            effect: Effect::Read,
            run: run(list),
        },
        Endpoint {
            method: Method::PUT,
            path: "secrets/{name}",
            query: &[],
            takes: Takes::Json,
            scopes: &[],
            feature: None,
            action: "secrets_put",
            effect: Effect::Write,
            run: run(put),
        },
        Endpoint {
            method: Method::DELETE,
            path: "secrets/{name}",
            query: &[],
            takes: Takes::Nothing,
            scopes: &[],
            feature: None,
            action: "secrets_delete",
            effect: Effect::Write,
            run: run(delete),
        },
        // No secret has a hyphen in its name.
        Endpoint {
            method: Method::POST,
            path: "secrets/re-seal",
            query: &[],
            takes: Takes::Nothing,
            scopes: &[],
            feature: None,
            action: "secrets_reseal",
            effect: Effect::Write,
            run: run(reseal),
        },
    ]
}

#[derive(Debug, Serialize)]
struct ResealedView {
    resealed: usize,
    left: usize,
}

async fn list(scope: TenantScope, _ask: Ask) -> Result<Answer, Problem> {
    Answer::ok(&SecretsView::list(&scope).await?)
}

async fn put(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let name = name(&ask)?;
    let SecretPut { entry, is_new } = scope.put_secret(&name, &value(&ask.body)?, ask.if_match).await?;
    let version = entry.version;
    let view = SecretView::from(entry);
    let answer = if is_new { Answer::created(format!("secrets/{name}"), &view)? } else { Answer::ok(&view)? };
    Ok(answer.version(version))
}

async fn delete(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    scope.delete_secret(&name(&ask)?, ask.if_match).await?;
    Ok(Answer::no_content())
}

async fn reseal(scope: TenantScope, _ask: Ask) -> Result<Answer, Problem> {
    let Resealed { resealed, left } = scope.reseal_secrets().await?;
    Answer::ok(&ResealedView { resealed, left })
}

fn name(ask: &Ask) -> Result<SecretName, Problem> {
    Ok(ask.parameter("name")?.parse::<SecretName>()?)
}

/// The value in a body. It is read by hand, since the errors of a parser quote what they did not expect.
fn value(body: &Body) -> Result<SecretString, Problem> {
    let Body::Json(Value::Object(members)) = body else { return Err(no_value()) };
    match (members.get("value").and_then(Value::as_str), members.len()) {
        (Some(value), 1) => Ok(value.into()),
        _ => Err(no_value()),
    }
}

fn no_value() -> Problem {
    let detail = "body: an object is expected with one member, `value`, that is a text";
    Problem::Invalid { detail: detail.to_owned() }
}
