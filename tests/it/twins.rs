//! Two tenants of one deployment are two tenants with a deployment each: no reply tells the one from the other.
//!
//! Random operations of two tenants, one between the other, are asked of one deployment, and then those of each tenant
//! alone of a deployment of its own. Once generated ids, seals and times are called by their order, every reply must
//! be the same byte for byte.

mod names;
mod steps;

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::Response;
use insula_local::{Edge, Options, idp::Mint};
use insula_tenancy::Tier;
use proptest::{
    collection::vec,
    strategy::Strategy,
    test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner},
};

use self::{
    names::Names,
    steps::{Given, Seen, Step},
};
use crate::{
    ask::{Own, ask},
    harness::{Stack, json_of, options, stack, start},
};

/// Where sequences begin; `PROPTEST_RNG_SEED` sets another.
const SEED: u64 = 1_795_500_000;
const CASES: u32 = 2;
/// Steps of one sequence. A tenant's half of them writes too little for a merge of its index of searches, which comes
/// by chance, and weighs words by what it has removed.
const STEPS: usize = 160;

/// The deployment of both, and that of each.
fn shared() -> &'static Stack {
    stack()
}

fn alone(by: usize) -> &'static Stack {
    static STACKS: [OnceLock<Stack>; 2] = [OnceLock::new(), OnceLock::new()];
    STACKS[by].get_or_init(|| start(Options { tenants: Vec::new(), ..options(Edge::Rest) }))
}

/// A tenant in one deployment, with what it was told there.
struct Twin {
    stack: &'static Stack,
    own: Own,
    token: String,
    names: Names,
    seen: Seen,
}

impl Twin {
    fn new(stack: &'static Stack, own: Own) -> Self {
        let mint = Mint {
            tenant: Some(format!("org-{}", own.slug)),
            sub: Some("tester".to_owned()),
            scope: Some(insula_tools::SCOPES.join(" ")),
            resource: stack.host_url(&own.slug),
            ..Mint::default()
        };
        let token = stack.local.idp.mint(&mint).unwrap().access_token;
        let addresses = [stack.local.idp.issuer().to_owned(), format!("localhost:{}", stack.local.port)];
        let names = Names::new(addresses.into_iter().chain([own.slug.clone()]));
        Self { stack, own, token, names, seen: Seen::default() }
    }

    /// The reply to one step, with names in the place of what is generated.
    async fn take(&mut self, step: &Step, foreign: &Given) -> String {
        let asked = step.asked(&self.seen, foreign);
        let url = self.stack.host_url(&self.own.slug).replace("/mcp", &asked.path);
        let bearer = format!("Bearer {}", self.token);
        let headers = asked.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<_> = headers.chain([("authorization", bearer.as_str())]).collect();
        let reply = ask(self.stack, asked.method, &url, &headers, asked.body).await;
        self.seen.read(&json_of(&reply));
        self.names.plain(&whole(&reply))
    }
}

/// What is different in every reply to the same request, and the length of what has times in it.
const REQUESTS_OWN: [&str; 5] =
    ["content-length", "date", "x-amz-apigw-id", "x-amzn-requestid", "x-amzn-trace-id"];

/// Everything that a client gets.
fn whole(reply: &Response<Bytes>) -> String {
    let shown =
        |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.escape_ascii().to_string());
    let mut lines = vec![reply.status().to_string()];
    for (name, value) in reply.headers() {
        let value = if REQUESTS_OWN.contains(&name.as_str()) {
            "its own".to_owned()
        } else {
            shown(value.as_bytes())
        };
        lines.push(format!("{name}: {value}"));
    }
    lines[1..].sort();
    format!("{}\n\n{}", lines.join("\n"), shown(reply.body()))
}

/// What is between the tenants of the shared deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wall {
    Whole,
    /// The registry takes the second for the first.
    Missing,
    /// The first operation of the first tenant is the second's as well.
    Leaking,
}

/// What came of a sequence: one in which nothing comes to be would be the same anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Came {
    items: usize,
    /// Steps that were not refused.
    done: usize,
}

fn is_done(reply: &str) -> bool {
    reply.starts_with('2') && !reply.contains("\"isError\":true")
}

/// Asks for the steps in both ways; the first reply that is different, if one is.
async fn compare(steps: &[Step], wall: Wall) -> Result<Came, String> {
    static SEQUENCES: AtomicU64 = AtomicU64::new(0);
    let sequence = SEQUENCES.fetch_add(1, Ordering::Relaxed);
    let slugs = ["one", "two"].map(|word| format!("twin-{word}-{sequence}"));
    let mut both = Vec::new();
    for slug in &slugs {
        both.push(Own::make(shared(), slug, Tier::Business).await);
    }
    if wall == Wall::Missing {
        both[1] = Own { slug: both[0].slug.clone(), id: both[0].id.clone() };
    }
    let mut both: Vec<Twin> = both.into_iter().map(|own| Twin::new(shared(), own)).collect();
    let mut told = [Vec::new(), Vec::new()];
    for (at, step) in steps.iter().enumerate() {
        let foreign = step.given(&both[1 - step.by].seen);
        if step.asks_for_usage() {
            shared().local.followed().await;
        }
        let reply = both[step.by].take(step, &foreign).await;
        if wall == Wall::Leaking && at == 0 {
            both[1 - step.by].take(step, &foreign).await;
        }
        told[step.by].push((at, foreign, reply));
    }
    for (by, told) in told.iter().enumerate() {
        let mut twin = Twin::new(alone(by), Own::make(alone(by), &slugs[by], Tier::Business).await);
        for (at, foreign, reply) in told {
            let step = &steps[*at];
            if step.asks_for_usage() {
                alone(by).local.followed().await;
            }
            let own = twin.take(step, foreign).await;
            if own != *reply {
                return Err(format!("step {at}, {step:?}\nbeside the other: {reply}\nalone: {own}"));
            }
        }
    }
    let done = told.iter().flatten().filter(|(.., reply)| is_done(reply));
    Ok(Came { items: both.iter().map(|twin| twin.seen.count()).sum(), done: done.count() })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn two_tenants_of_one_deployment_are_two_tenants_with_a_deployment_each() {
    let seed = match Config::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => SEED,
    };
    let config = Config {
        cases: CASES,
        max_shrink_iters: 32,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    };
    let runtime = runtime();
    let sequences = vec(steps::step(), STEPS);
    let result = TestRunner::new(config).run(&sequences, |steps| {
        let came = runtime.block_on(compare(&steps, Wall::Whole)).map_err(TestCaseError::fail)?;
        let enough = came.items >= STEPS / 5 && came.done >= STEPS / 2;
        if enough || steps.len() < STEPS {
            Ok(())
        } else {
            Err(TestCaseError::fail(format!("only {came:?}")))
        }
    });
    if let Err(failure) = result {
        let TestError::Fail(reason, steps) = failure else { panic!("{failure}") };
        let steps: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
        panic!("PROPTEST_RNG_SEED={seed}\n{reason}\nin these steps:\n{}", steps.join("\n"));
    }
}

#[tokio::test]
async fn with_the_wall_taken_out_two_tenants_are_told_from_two_deployments() {
    let steps = [Step::of(0, "notes_create"), Step::of(1, "notes_list"), Step::of(1, "GET usage")];
    assert_eq!(compare(&steps, Wall::Whole).await, Ok(Came { items: 1, done: 3 }));
    for wall in [Wall::Missing, Wall::Leaking] {
        let difference = compare(&steps, wall).await.unwrap_err();
        assert!(difference.starts_with("step 1,"), "{wall:?}: {difference}");
        let (beside, own) = difference.split_once("\nalone: ").unwrap();
        assert!(beside.contains("crossing") && !own.contains("crossing"), "{wall:?}: {difference}");
    }
}

#[test]
fn random_steps_find_that_there_is_no_wall() {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(SEED), ..Config::default() });
    let steps =
        proptest::strategy::ValueTree::current(&vec(steps::step(), 40).new_tree(&mut runner).unwrap());
    let difference = runtime().block_on(compare(&steps, Wall::Missing)).unwrap_err();
    assert!(difference.starts_with("step "), "{difference}");
}
