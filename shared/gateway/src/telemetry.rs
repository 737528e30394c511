//! The log: one JSON object a line on stdout, where Lambda collects it.

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write},
    iter, panic, thread,
};

use insula_tenancy::{Entrance, Gauge, Problem, Resolver, TenantId};
use tracing::{Span, error, field::display, info, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Crates whose debug output holds requests, headers or events, so only their warnings are kept.
const QUIET: [&str; 6] = ["aws", "h2", "hyper", "lambda", "moka", "rustls"];

/// Starts the log at `error`, `warn`, `info` or `debug`; another word is `info`. There is no `trace`: at that level
/// `lambda_runtime` writes whole events with their tokens. A second start changes nothing.
pub fn start(level: &str) {
    let level = match level.to_ascii_lowercase().as_str() {
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "debug" => LevelFilter::DEBUG,
        _ => LevelFilter::INFO,
    };
    let quiet = QUIET.map(|target| (target, level.min(LevelFilter::WARN)));
    let filter = Targets::new().with_default(level).with_targets(quiet);
    let lines = fmt::layer().json().flatten_event(true).with_span_list(false).with_ansi(false);
    if tracing_subscriber::registry().with(lines.with_filter(filter)).try_init().is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
}

/// Writes the tenant of this request into its log lines.
pub fn record_tenant(id: &impl Display) {
    Span::current().record("tenant.id", display(id));
}

/// Writes down what the caller is not told, once, where a problem becomes a reply.
pub fn record_problem(problem: &Problem) {
    match problem {
        Problem::Unauthenticated(refusal) => {
            info!(problem.code = problem.code(), denial = refusal.denial.code(), "refused");
        }
        Problem::Unavailable { doing, .. }
        | Problem::Denied { doing, .. }
        | Problem::Internal { doing, .. } => {
            let causes = iter::successors(problem.source(), |&cause| cause.source());
            let causes: Vec<String> = causes.map(ToString::to_string).collect();
            error!(problem.code = problem.code(), doing, cause = causes.join(": "), "failed");
        }
        _ => info!(problem.code = problem.code(), "refused"),
    }
}

/// Tells the operator of an attempt to cross or a denial, where a problem is one. `own` is the caller's tenant, where it is
/// known.
pub async fn record_denial(resolver: &Resolver, problem: &Problem, own: Option<&TenantId>, request_id: &str) {
    if let Some(lines) = resolver.report(problem, own, request_id).await {
        record_metrics(&lines);
    }
}

/// Writes down what the store and the cache did, where there is something to say.
pub fn record_reports(entrance: &Entrance) {
    for lines in [entrance.store_report(), entrance.cache_report()].into_iter().flatten() {
        record_metrics(&lines);
    }
}

/// A call that is measured. It has a line of metrics however it ends: one that panics or is late is dropped.
#[derive(Debug)]
pub struct Measured(Option<Gauge>);

impl Measured {
    /// Of a call that begins; `None` where calls are not measured.
    #[must_use]
    pub const fn new(gauge: Option<Gauge>) -> Self {
        Self(gauge)
    }

    /// Writes down how it ended: `ok`, or the code of its problem.
    pub fn end(mut self, code: &str) {
        self.write(code);
    }

    fn write(&mut self, code: &str) {
        if let Some(gauge) = self.0.take() {
            record_metrics(&gauge.line(code));
        }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        // What its caller is told then.
        self.write(if thread::panicking() { "internal" } else { "unavailable" });
    }
}

/// Writes lines of metrics. They are no events of the log: CloudWatch reads metrics from their own form, which has no room
/// for another.
pub fn record_metrics(lines: &str) {
    if let Err(err) = io::stdout().lock().write_all(lines.as_bytes()) {
        error!(cause = %err, "metrics could not be written");
    }
}

/// Where it panicked. A formatted message is left out: it may quote a tenant's data, where a literal cannot.
fn log_panic(info: &panic::PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    let literal = info.payload().downcast_ref::<&'static str>();
    error!(panic.place = place, panic.literal = literal, "a panic was caught");
}
