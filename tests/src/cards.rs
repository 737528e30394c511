//! A function under `/v1` with one collection and every kind of endpoint, for the tests of the runner.

use http::Method;
use insula_gateway::rest::{Answer, Ask, Body, Endpoint, Run, Takes, run};
use insula_tenancy::{Effect, Feature, Problem, Record, Role, Stored, TenantScope};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Who may do what with cards.
#[must_use]
pub fn role_of(action: &str) -> Option<Role> {
    match action {
        "cards_get" => Some(Role::ReadOnly),
        "cards_create" | "cards_replace" | "cards_picture" => Some(Role::Member),
        "cards_delete" => Some(Role::Admin),
        _ => None,
    }
}

const CARDS: &str = "collections/cards/items";
const CARD: &str = "collections/cards/items/{id}";
const PICTURE: &str = "collections/cards/pictures";
const PNG: Takes = Takes::Bytes(&["image/png"]);

/// Every endpoint of the function.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    let endpoint = |method, path, takes, action, effect, run: Run| Endpoint {
        method,
        path,
        query: &[],
        takes,
        scopes: &[],
        feature: Some(Feature::ApiAccess),
        action,
        effect,
        run,
    };
    vec![
        endpoint(Method::POST, CARDS, Takes::Json, "cards_create", Effect::Write, run(create)),
        endpoint(Method::GET, CARD, Takes::Nothing, "cards_get", Effect::Read, run(get)),
        endpoint(Method::PUT, CARD, Takes::Json, "cards_replace", Effect::Write, run(replace)),
        endpoint(Method::PUT, PICTURE, PNG, "cards_picture", Effect::Write, run(picture)),
        endpoint(Method::DELETE, CARD, Takes::Nothing, "cards_delete", Effect::Write, run(delete)),
    ]
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    text: String,
}

impl Record for Card {
    const COLLECTION: &'static str = "cards";
    const KIND: &'static str = "card";
}

async fn create(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let card = scope.create(ask.json::<Card>()?)?;
    Ok(Answer::created(format!("{CARDS}/{}", card.id), &view(&card))?.version(card.version))
}

async fn get(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let card = find(&scope, &ask).await?;
    Ok(Answer::ok(&view(&card))?.version(card.version))
}

async fn replace(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let seen = Stored { version: ask.version()?, ..find(&scope, &ask).await? };
    let card = scope.replace(&seen, ask.json::<Card>()?).await?;
    Ok(Answer::ok(&view(&card))?.version(card.version))
}

async fn delete(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let card = find(&scope, &ask).await?;
    scope.delete::<Card>(&card.id, None).await?;
    Ok(Answer::no_content())
}

/// Says what came, and keeps nothing.
async fn picture(_scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    match ask.body {
        Body::Bytes { media_type, bytes } => {
            Answer::ok(&json!({ "type": media_type, "bytes": bytes.to_vec() }))
        }
        Body::Nothing | Body::Json(_) => Err(Problem::internal("reading a picture", "the body is no bytes")),
    }
}

/// The card of the path. What is no id is nobody's card.
async fn find(scope: &TenantScope, ask: &Ask) -> Result<Stored<Card>, Problem> {
    let id = ask.parameter("id")?.parse().map_err(|_err| Problem::NotFound { kind: Card::KIND })?;
    scope.get(&id).await
}

fn view(card: &Stored<Card>) -> serde_json::Value {
    json!({ "id": card.id.to_string(), "text": card.value.text })
}
