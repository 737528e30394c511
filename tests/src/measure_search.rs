//! What a write, its part of the merges and a search cost, in units and requests of the embedded store: the numbers of
//! docs/search.md.
//!
//! `cargo run -p insula-tests --bin measure-search`, once the other binaries are built.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    io::{self, Write},
    path::Path,
    time::Instant,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use insula_local::{DEMO, Edge, Local, Options, idp::Mint, read_tenants};
use insula_tenancy::{Limits, Plan, Slug, Tier};
use serde_json::{Value, json};

type Failure = Box<dyn Error + Send + Sync>;

/// Sizes at which searches are measured.
const SIZES: [u64; 3] = [100, 1_000, 10_000];
/// Writes that nobody can find, to compare with.
const HIDDEN: u64 = 200;
/// Notes of each size that are ended again.
const ENDED: u64 = 20;
/// Operations that only read.
const READS: [&str; 3] = ["GetItem", "BatchGetItem", "Query"];
/// Different words of the texts. The first of them is in nearly every text, as in a language.
const WORDS: f64 = 20_000.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let local = Local::start(options()?).await?;
    let tenant = Tenant::open(&local).await?;
    let mut out = io::stdout();
    let mut texts = Texts(7);
    let before = tenant.so_far();
    for _ in 0..HIDDEN {
        tenant.write(&texts.next(1), true).await?;
    }
    writeln!(out, "a write that is not to be found: {}", before.to(&tenant.so_far(), HIDDEN))?;
    writeln!(out, "  what follows it: {}", before.behind(&tenant.settled().await, HIDDEN))?;
    let mut written = 0;
    for size in SIZES {
        let (began, from) = (Instant::now(), written);
        let begun = tenant.settled().await;
        let (mut own, mut missed) = (Units::default(), 0);
        while written < size {
            written = written.saturating_add(1);
            let before = tenant.so_far();
            tenant.write(&texts.next(written), false).await?;
            own.add(before.units_to(&tenant.so_far(), Whose::Calls));
            // The next call after a reply is to find what was written.
            if written.is_multiple_of(50)
                && !tenant.search(&format!("unique{written}")).await?.contains(&format!("n{written}"))
            {
                missed = u64::saturating_add(missed, 1);
            }
        }
        let count = size.saturating_sub(from);
        let took_s = began.elapsed().as_secs();
        writeln!(out, "\n{size} notes, {took_s} s; a write by itself: {}", own.of_each(count))?;
        writeln!(out, "  what follows it: {}", begun.behind(&tenant.settled().await, count))?;
        writeln!(out, "  not found by the next call: {missed}")?;
        for (kind, query) in texts.queries(written) {
            let before = tenant.so_far();
            let found = tenant.search(&query).await?;
            writeln!(out, "  {kind}, {} found: {}", found.len(), before.to(&tenant.so_far(), 1))?;
        }
        tenant.end_some(&mut out, size).await?;
        let before = tenant.so_far();
        tenant.call("get_profile", json!({})).await?;
        writeln!(out, "  a call that reads nothing: {}", before.to(&tenant.so_far(), 1))?;
    }
    local.stop().await;
    Ok(())
}

fn options() -> Result<Options, Failure> {
    let bin_dir = env::current_exe()?.parent().ok_or("this command has no folder")?.to_owned();
    Ok(Options {
        root: Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or("the package has no workspace")?
            .to_owned(),
        overrides: BTreeMap::from([("McpFunction".to_owned(), bin_dir.join("pages-fixture"))]),
        bin_dir,
        port: 0,
        data: None,
        tenants: read_tenants(DEMO)?,
        edge: Edge::Rest,
        watch: None,
        isolation: false,
        domains: Vec::new(),
        dns: None,
        log: |function, line| {
            if line.contains("\"WARN\"") || line.contains("\"ERROR\"") {
                drop(writeln!(io::stderr(), "{function} {line}"));
            }
        },
    })
}

/// Whose units they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Calls,
    /// The index role's.
    Merges,
    /// The stream's function's own: heads, rollups, recounts.
    Following,
}

impl Whose {
    fn of(role_arn: &str) -> Self {
        match role_arn.rsplit('/').next() {
            Some("IndexRole") => Self::Merges,
            Some("MeterRole") => Self::Following,
            _ => Self::Calls,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Units {
    reads: f64,
    writes: f64,
}

impl Units {
    fn add(&mut self, more: Self) {
        self.reads += more.reads;
        self.writes += more.writes;
    }

    fn of_each(self, count: u64) -> String {
        let count = count_as_float(count);
        format!("{:.2} write units, {:.2} read units", self.writes / count, self.reads / count)
    }
}

/// Units and requests so far.
struct SoFar {
    units: BTreeMap<(String, String), f64>,
    calls: BTreeMap<String, u64>,
    calls_behind: BTreeMap<String, u64>,
}

impl SoFar {
    /// What calls have consumed since, for each of so many.
    fn to(&self, later: &Self, count: u64) -> String {
        let units = self.units_to(later, Whose::Calls).of_each(count);
        format!("{units} ({})", requests(&self.calls, &later.calls, count))
    }

    /// What was consumed behind them.
    fn behind(&self, later: &Self, count: u64) -> String {
        let [merges, following] =
            [Whose::Merges, Whose::Following].map(|whose| self.units_to(later, whose).of_each(count));
        let requests = requests(&self.calls_behind, &later.calls_behind, count);
        format!("merges {merges}; the rest {following} ({requests})")
    }

    fn units_to(&self, later: &Self, whose: Whose) -> Units {
        let mut sum = Units::default();
        for (by, units) in later.units.iter().filter(|((role, _), _)| Whose::of(role) == whose) {
            let more = units - self.units.get(by).unwrap_or(&0.0);
            *(if READS.contains(&by.1.as_str()) { &mut sum.reads } else { &mut sum.writes }) += more;
        }
        sum
    }
}

fn requests(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, count: u64) -> String {
    let more = after.iter().filter_map(|(call, calls)| {
        let more = calls.saturating_sub(*before.get(call).unwrap_or(&0));
        let each = count_as_float(more) / count_as_float(count);
        (more > 0).then(|| format!("{each:.2} {}", call.trim_start_matches("dynamodb:")))
    });
    more.collect::<Vec<_>>().join(", ")
}

#[expect(clippy::cast_precision_loss, reason = "what is counted here is small")]
const fn count_as_float(count: u64) -> f64 {
    count as f64
}

/// One tenant, called over HTTP.
struct Tenant<'l> {
    local: &'l Local,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl<'l> Tenant<'l> {
    async fn open(local: &'l Local) -> Result<Self, Failure> {
        let slug: Slug = "acme".parse()?;
        let id = local.operator.find_tenant(&slug).await?;
        let limits = Limits { calls_minute: 1_000_000, ..Limits::of(Tier::Business) };
        local.operator.change_plan(&id, |plan| Plan { limits, tier: Tier::Business, ..plan }).await?;
        Ok(Self { local, client: Client::builder(TokioExecutor::new()).build_http() })
    }

    fn so_far(&self) -> SoFar {
        let aws = &self.local.aws;
        SoFar { units: aws.units(), calls: aws.calls(), calls_behind: aws.calls_of_followers() }
    }

    /// Once everything was followed, and what that has changed as well.
    async fn settled(&self) -> SoFar {
        for _ in 0..3 {
            self.local.followed().await;
        }
        self.so_far()
    }

    /// Writes a page; its id.
    async fn write(&self, (title, text): &(String, String), hidden: bool) -> Result<Value, Failure> {
        let page = json!({ "title": title, "text": text, "hidden": hidden });
        let written = self.call("test_pages_write", json!({ "writes": [{ "page": page }] })).await?;
        Ok(written.pointer("/ids/0").ok_or("no id")?.clone())
    }

    /// Makes pages more, ends them, and looks for each at once.
    async fn end_some(&self, out: &mut impl Write, size: u64) -> Result<(), Failure> {
        let mut ids = Vec::new();
        for number in 0..ENDED {
            let word = format!("ended{size}n{number}");
            ids.push((self.write(&(word.clone(), word.clone()), false).await?, word));
        }
        let before = self.so_far();
        for (id, _) in &ids {
            self.call("test_pages_write", json!({ "writes": [{ "id": id }] })).await?;
        }
        writeln!(out, "  the end of a short one: {}", before.to(&self.so_far(), ENDED))?;
        let mut found = 0_usize;
        for (_, word) in &ids {
            found = found.saturating_add(self.search(word).await?.len());
        }
        Ok(writeln!(out, "  still found by the next call: {found}")?)
    }

    /// The titles that are found.
    async fn search(&self, query: &str) -> Result<Vec<String>, Failure> {
        let found = self.call("search", json!({ "query": query })).await?;
        let results = found.get("results").and_then(Value::as_array).ok_or("no results")?;
        let title = |result: &Value| result.get("title").and_then(Value::as_str).map(str::to_owned);
        Ok(results
            .iter()
            .filter_map(title)
            .filter_map(|title| title.split(' ').next().map(str::to_owned))
            .collect())
    }

    async fn call(&self, tool: &str, arguments: Value) -> Result<Value, Failure> {
        let port = self.local.port;
        let mint = Mint {
            user: Some("alice".to_owned()),
            resource: format!("http://acme.localhost:{port}/mcp"),
            ..Mint::default()
        };
        let token = self.local.idp.mint(&mint)?.access_token;
        let params = json!({ "name": tool, "arguments": arguments });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = Request::post(format!("http://127.0.0.1:{port}/mcp"))
            .header("host", format!("acme.localhost:{port}"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(body.to_string())))?;
        let reply = self.client.request(request).await?.into_body().collect().await?.to_bytes();
        let reply: Value = serde_json::from_slice(&reply)?;
        match reply.pointer("/result/structuredContent") {
            Some(content) => Ok(content.clone()),
            None => Err(format!("{tool}: {reply}").into()),
        }
    }
}

/// Texts of a thousand bytes whose words are as frequent as those of a language, the same in every run.
struct Texts(u64);

impl Texts {
    /// Knuth's generator: its high bits.
    fn chance(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        count_as_float(self.0 >> 32) / 4_294_967_296.0
    }

    /// The n-th word of the vocabulary is there one n-th as often as the first (Zipf).
    fn word(&mut self) -> String {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 1 and 20,000"
        )]
        let rank = WORDS.powf(self.chance()) as u64;
        spell(rank)
    }

    /// The title and text of a note; both have its number.
    fn next(&mut self, number: u64) -> (String, String) {
        let mut text = format!("unique{number}");
        while text.len() < 960 {
            text.push(' ');
            text.push_str(&self.word());
        }
        (format!("n{number} {} {} {}", self.word(), self.word(), self.word()), text)
    }

    fn queries(&mut self, written: u64) -> [(&'static str, String); 5] {
        let (rare, frequent) = (format!("unique{}", written.div_ceil(2)), spell(1));
        let three = format!("{} {} {}", spell(900), spell(150), spell(4_000));
        let prefix = spell(300).chars().take(3).collect::<String>() + "*";
        let long: Vec<String> = (0..12).map(|_| self.word()).collect();
        [
            ("one rare word", rare),
            ("the most frequent word", frequent + " "),
            ("three words", three),
            ("the beginning of words", prefix),
            ("twelve words", long.join(" ")),
        ]
    }
}

/// A word of some letters for each number; the frequent ones are short.
fn spell(mut rank: u64) -> String {
    const SYLLABLES: [&str; 16] =
        ["ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va"];
    let mut word = String::new();
    while rank > 0 {
        let syllable = usize::try_from(rank & 15).ok().and_then(|at| SYLLABLES.get(at));
        word.push_str(syllable.unwrap_or(&"x"));
        rank >>= 4;
    }
    word
}
