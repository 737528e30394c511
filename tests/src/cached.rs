//! A function under `/v1` that caches the text of a card, for the tests of the cache. It stands in for two functions, so
//! that a test can ask two instances by name.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::Method;
use insula_gateway::rest::{Answer, Ask, Endpoint, Run, Takes, run};
use insula_tenancy::{Cacheable, Effect, Feature, Problem, Record, Role, Stored, TenantScope};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Everybody may do everything here.
#[must_use]
pub fn role_of(_action: &str) -> Option<Role> {
    Some(Role::ReadOnly)
}

/// Every endpoint, below the paths of the functions `items` and `config`.
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
    let of = |cards, card, quietly, in_vain| {
        [
            endpoint(Method::POST, cards, Takes::Json, "create", Effect::Write, run(create)),
            endpoint(Method::GET, card, Takes::Nothing, "look", Effect::Read, run(look)),
            endpoint(Method::PUT, card, Takes::Json, "change", Effect::Write, run(change)),
            endpoint(Method::PUT, quietly, Takes::Json, "change_quietly", Effect::Write, run(change_quietly)),
            endpoint(Method::PUT, in_vain, Takes::Json, "change_in_vain", Effect::Write, run(change_in_vain)),
        ]
    };
    let items = of(
        "collections/cards",
        "collections/cards/{id}",
        "collections/cards/{id}/quietly",
        "collections/cards/{id}/in-vain",
    );
    let config =
        of("config/cards", "config/cards/{id}", "config/cards/{id}/quietly", "config/cards/{id}/in-vain");
    items.into_iter().chain(config).collect()
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

/// The text of a card, as it was when it was fetched.
#[derive(Debug, Serialize)]
struct Text(String);

impl Cacheable for Text {
    const TTL_S: u32 = 600;
    const ABSENT_TTL_S: u32 = 600;
}

async fn create(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let card = scope.create(ask.json::<Card>()?)?;
    Answer::ok(&json!({ "id": card.id.to_string() }))
}

/// The text of a card, and whether it was fetched for this call.
async fn look(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let id = ask.parameter("id")?;
    let fetched = AtomicBool::new(false);
    let text = scope.cached(id, async {
        fetched.store(true, Relaxed);
        match find(&scope, &ask).await {
            Ok(card) => Ok(Some(Text(card.value.text))),
            Err(Problem::NotFound { .. }) => Ok(None),
            Err(problem) => Err(problem),
        }
    });
    let text = text.await?;
    Answer::ok(&json!({ "text": text, "fetched": fetched.load(Relaxed) }))
}

/// Changes a card, and says to all that it has changed.
async fn change(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    scope.clear_cache()?;
    change_quietly(scope, ask).await
}

async fn change_quietly(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    scope.replace(&find(&scope, &ask).await?, ask.json::<Card>()?).await?;
    look(scope, ask).await
}

/// Changes a card, looks at it, and fails with what it saw.
async fn change_in_vain(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let id = ask.parameter("id")?.to_owned();
    // Begun before anything is staged, and ended after: what it finds was never committed.
    let text = scope.cached(&id, async {
        scope.replace(&find(&scope, &ask).await?, ask.json::<Card>()?).await?;
        Ok(Some(Text(find(&scope, &ask).await?.value.text)))
    });
    let seen = text.await?.map_or_else(String::new, |text| text.0.clone());
    Err(Problem::Conflict { detail: format!("seen: {seen}") })
}

async fn find(scope: &TenantScope, ask: &Ask) -> Result<Stored<Card>, Problem> {
    let id = ask.parameter("id")?.parse().map_err(|_err| Problem::NotFound { kind: Card::KIND })?;
    scope.get(&id).await
}
