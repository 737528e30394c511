//! What is cached of a tenant in two instances at once: one write empties it in both, and nobody sees another's.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use http::{Method, Response};
use insula_local::{
    Edge, Options,
    aws::{Fault, FaultKind},
};
use insula_tenancy::{Clock, Plan, Tier, operator::ROUTE_TTL_S};
use serde_json::{Value, json};
use tokio::sync::MutexGuard;

use crate::{
    ask::{Own, ask, credentials, data_table, operate, store, tenant_store, text},
    faults::{Ask, Guest, House, Said},
    harness::{Stack, bin_dir, json_of, options, start},
};

/// Two functions, each with one instance as long as it is asked one thing after another.
const INSTANCES: [&str; 2] = ["collections/cards", "config/cards"];

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn start_with_fixture() -> &'static Stack {
    let fixture = bin_dir().join("cached-fixture");
    let overrides = ["ItemsFunction", "ConfigFunction"].map(|name| (name.to_owned(), fixture.clone()));
    let log = |_function: &str, line: &str| {
        if line.contains("\"CacheEntries\"") {
            LOG.lock().unwrap().push(line.to_owned());
        }
    };
    Box::leak(Box::new(start(Options { overrides: BTreeMap::from(overrides), log, ..options(Edge::Rest) })))
}

/// The stack of these tests, for one of them at a time: who asks two things at once starts another instance.
async fn stack() -> (&'static Stack, MutexGuard<'static, ()>) {
    static STACK: OnceLock<&Stack> = OnceLock::new();
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let turn = TURN.lock().await;
    (STACK.get_or_init(start_with_fixture), turn)
}

/// A tenant in a stack.
struct Tenant {
    stack: &'static Stack,
    own: Own,
}

impl Tenant {
    async fn make(stack: &'static Stack, slug: &str) -> Self {
        Self { stack, own: Own::make(stack, slug, Tier::Starter).await }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Response<Bytes> {
        let url = self.stack.host_url(&self.own.slug);
        let url = format!("{}/v1/{path}", url.strip_suffix("/mcp").unwrap());
        let bearer = format!("Bearer {}", self.own.token(self.stack));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        ask(self.stack, method, &url, &[("authorization", &bearer)], body).await
    }

    async fn create(&self, text: &str) -> String {
        let reply = self.call(Method::POST, INSTANCES[0], json!({ "text": text })).await;
        json_of(&reply)["id"].as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned()
    }

    /// The text that each instance says, and whether it fetched it.
    async fn look(&self, id: &str) -> [(String, bool); 2] {
        let mut seen = Vec::new();
        for instance in INSTANCES {
            let reply = json_of(&self.call(Method::GET, &format!("{instance}/{id}"), Value::Null).await);
            let fetched = reply["fetched"].as_bool().unwrap_or_else(|| panic!("{reply:?}"));
            seen.push((reply["text"].as_str().unwrap_or("none").to_owned(), fetched));
        }
        seen.try_into().unwrap()
    }

    async fn change(&self, path: &str, text: &str) -> Response<Bytes> {
        self.call(Method::PUT, &format!("{}/{path}", INSTANCES[0]), json!({ "text": text })).await
    }
}

fn both(text: &str, fetched: bool) -> [(String, bool); 2] {
    [(text.to_owned(), fetched), (text.to_owned(), fetched)]
}

#[tokio::test]
async fn one_write_empties_the_cache_of_every_instance() {
    let (stack, _turn) = stack().await;
    let own = Tenant::make(stack, "cache-write").await;
    let id = own.create("one").await;
    assert_eq!(own.look(&id).await, both("one", true));
    assert_eq!(own.look(&id).await, both("one", false));
    // A change that does not say so is seen when the time is over, except by its own call.
    let quiet = json_of(&own.change(&format!("{id}/quietly"), "two").await);
    assert_eq!(quiet, json!({ "text": "two", "fetched": true }));
    assert_eq!(own.look(&id).await, both("one", false));
    let said = json_of(&own.change(&id, "three").await);
    assert_eq!(said, json!({ "text": "three", "fetched": true }));
    assert_eq!(own.look(&id).await, both("three", true));
    assert_eq!(own.look(&id).await, both("three", false));
}

#[tokio::test]
async fn what_is_staged_and_never_committed_is_kept_by_nobody() {
    let (stack, _turn) = stack().await;
    let own = Tenant::make(stack, "cache-vain").await;
    let id = own.create("one").await;
    let reply = json_of(&own.change(&format!("{id}/in-vain"), "never").await);
    assert_eq!(reply["detail"], "seen: never");
    assert_eq!(own.look(&id).await, both("one", true));
}

#[tokio::test]
async fn a_change_of_the_plan_empties_it_too() {
    let (stack, _turn) = stack().await;
    let own = Tenant::make(stack, "cache-plan").await;
    let id = own.create("one").await;
    assert_eq!(own.look(&id).await, both("one", true));
    assert_eq!(own.look(&id).await, both("one", false));
    let tenant = own.own.id.clone();
    let change = |plan: Plan| Plan { tier: Tier::Business, ..plan };
    operate(stack, |operator| async move { operator.change_plan(&tenant, change).await }).await.unwrap();
    assert_eq!(own.look(&id).await, both("one", true));
}

#[tokio::test]
async fn an_id_of_another_tenant_is_as_one_of_nobody() {
    let (stack, _turn) = stack().await;
    let (acme, globex) = (Tenant::make(stack, "cache-acme").await, Tenant::make(stack, "cache-globex").await);
    let id = acme.create("acme's").await;
    assert_eq!(acme.look(&id).await, both("acme's", true));
    for fetched in [true, false] {
        assert_eq!(globex.look(&id).await, both("none", fetched));
        assert_eq!(globex.look("nobody").await, both("none", fetched));
    }
    // What one clears, the other keeps.
    acme.change(&id, "new").await;
    assert_eq!(globex.look(&id).await, both("none", false));
    assert_eq!(acme.look(&id).await, both("new", true));
}

#[tokio::test]
async fn where_the_store_does_not_answer_the_call_fails_and_the_next_one_does_not() {
    let (stack, _turn) = stack().await;
    let own = Tenant::make(stack, "cache-fault").await;
    let id = own.create("one").await;
    assert_eq!(own.look(&id).await, both("one", true));
    let fault =
        || Fault { service: "dynamodb".to_owned(), operation: "GetItem".to_owned(), kind: FaultKind::Before };
    // The SDK tries three times. Nothing else of a warm call is a GetItem but the versions that the cache is asked under.
    (0..3).for_each(|_| stack.local.aws.fault(fault()));
    let reply = own.call(Method::GET, &format!("{}/{id}", INSTANCES[0]), Value::Null).await;
    assert_eq!(reply.status(), 503, "{reply:?}");
    assert_eq!(own.look(&id).await, both("one", false));
}

#[tokio::test]
async fn clears_at_once_all_count_and_none_waits_for_another() {
    let stack = start_with_fixture();
    let own = Tenant::make(stack, "cache-race").await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(own.create(&n.to_string()).await);
    }
    let changes = [&ids[0], &ids[1], &ids[2], &ids[3]].map(|id| own.change(id, "new"));
    let [a, b, c, d] = changes;
    let replies = tokio::join!(a, b, c, d);
    for reply in [replies.0, replies.1, replies.2, replies.3] {
        assert_eq!(reply.status(), 200, "{reply:?}");
    }
    let reply = tenant_store(stack, &own.own.id.to_string())
        .get_item()
        .table_name(data_table(stack))
        .key("pk", text(&format!("TENANT#{}#SETTINGS", own.own.id)))
        .key("sk", text("VERSION"))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.item.unwrap()["version"].as_n().unwrap(), "4");
    for id in &ids {
        assert_eq!(own.look(id).await.map(|(text, _)| text), ["new", "new"]);
    }
}

#[tokio::test]
async fn the_operator_reads_of_each_tenant_what_its_cache_does() {
    let (stack, _turn) = stack().await;
    let own = Tenant::make(stack, "cache-log").await;
    // The first report of an instance is due at once; its line comes a moment after its reply.
    let mut lines: Vec<Value> = Vec::new();
    for _ in 0..100 {
        own.look("nobody").await;
        lines = LOG.lock().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        if !lines.is_empty() {
            break;
        }
    }
    let line = lines.first().expect("a report");
    let metrics = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(metrics["Namespace"], format!("Insula/{}", environment(stack)));
    assert_eq!(metrics["Dimensions"], json!([[]]));
    assert_eq!(line["tenant"]["id"].as_str().unwrap().len(), own.own.id.to_string().len());
    assert!(line["CacheMisses"].as_u64().unwrap() > 0, "{line}");
}

#[tokio::test]
async fn the_operator_empties_every_cache_by_one_row() {
    let (stack, _turn) = stack().await;
    let clear = || operate(stack, |operator| async move { operator.clear_caches().await });
    let first = clear().await.unwrap();
    assert_eq!(clear().await.unwrap(), first + 1);
    // What an instance reads of it, it may read with its own rights, as of any routing row.
    let reader = store(stack, credentials(stack, "ItemsRole", &[]));
    let registry =
        &stack.local.stack.tables.iter().find(|table| table.name.ends_with("-registry")).unwrap().name;
    let get = reader.get_item().table_name(registry).key("pk", text("cache")).projection_expression("epoch");
    assert_eq!(get.send().await.unwrap().item.unwrap()["epoch"].as_n().unwrap(), &(first + 1).to_string());
}

#[tokio::test]
async fn an_instance_hears_of_it_when_it_reads_its_routing_rows_again() {
    let (stack, _turn) = stack().await;
    let micros = Arc::new(AtomicI64::new(Clock::System.now().micros()));
    let house = House::with_cards(stack, Clock::Fixed(Arc::clone(&micros))).await;
    let guest = Guest::make(&house, "cache-epoch", Tier::Starter).await;
    // Its token must not be of a time to come.
    micros.fetch_max(Clock::System.now().micros(), Relaxed);
    let json_of = |said: &Said| serde_json::from_str::<Value>(&said.body).unwrap();
    let made =
        guest.ask(&house, &Ask::rest(Method::POST, "/v1/collections/cards", &json!({ "text": "one" }))).await;
    let look = Ask::rest(
        Method::GET,
        format!("/v1/collections/cards/{}", json_of(&made)["id"].as_str().unwrap()),
        &Value::Null,
    );
    let fetched = async || json_of(&guest.ask(&house, &look).await)["fetched"].as_bool().unwrap();
    let route_is_over =
        || micros.fetch_add(i64::try_from(ROUTE_TTL_S).unwrap() * 1_000_000 + 1_000_000, Relaxed);
    assert!(fetched().await && !fetched().await);
    route_is_over();
    assert!(!fetched().await, "nobody has emptied it");
    operate(stack, |operator| async move { operator.clear_caches().await }).await.unwrap();
    assert!(!fetched().await, "the rows are those that were read before");
    route_is_over();
    assert!(fetched().await, "emptied");
    assert!(!fetched().await, "and filled again");
}

/// What the data table's name says of the environment.
fn environment(stack: &Stack) -> &str {
    data_table(stack).split('-').nth(1).unwrap()
}
