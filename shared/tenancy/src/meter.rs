//! What follows a write and is no part of it: the streams of the table of all and of tenants' own, change by change.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    Access, CollectionName, Config, Plan, Problem, TenantId,
    aws::Aws,
    clock::Clock,
    entrance::setting,
    events::Events,
    fetch::Fetch,
    metric,
    recount::{Recounted, Stock},
    vend::{Sessions, Tagger},
    watch::Watch,
};

mod change;
mod denials;
mod erased;
mod heads;
mod lifecycle;
mod merges;
mod rollups;
mod stocks;

pub(crate) use change::Change;
use heads::Heads;
pub use merges::MERGES_END_S;
use merges::Merges;
use stocks::Stocks;

/// A batch of the stream, in the order of its changes. Source: Lambda's event of a DynamoDB stream.
#[derive(Deserialize)]
pub struct StreamEvent {
    #[serde(rename = "Records")]
    records: Vec<Value>,
}

/// From which change on Lambda has to give the batch once more. Source: Lambda, "Reporting batch item failures".
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamReply {
    #[serde(rename = "batchItemFailures")]
    failures: Vec<Failure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Failure {
    #[serde(rename = "itemIdentifier")]
    sequence: String,
}

/// Something that nobody may do to an audit trail, and somebody has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// Whose trail; `None` for the operator's records of denials.
    pub(crate) tenant: Option<TenantId>,
    /// What, in a stable word.
    pub(crate) class: &'static str,
    /// The day of the trail.
    pub(crate) day: String,
    /// The sort key of the record.
    pub(crate) record: String,
}

/// The function of the stream.
#[derive(Debug)]
pub struct Meter {
    heads: Heads,
    stocks: Stocks,
    merges: Merges,
    watch: Arc<Watch>,
    events: Events,
    clock: Clock,
    metrics_namespace: Option<String>,
}

impl std::fmt::Debug for StreamEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamEvent").field("records", &self.records.len()).finish()
    }
}

/// Starts the function of the stream, for these collections, which are all that there are.
///
/// # Errors
/// [`Problem::Internal`] for a wrong setting.
pub async fn start_meter(config: Config, collections: Vec<CollectionName>) -> Result<Meter, Problem> {
    let aws = Aws::load(&config).await?;
    open_meter(config, &aws, collections).await
}

/// Starts the same with these credentials, at this endpoint, by this way to it.
///
/// # Errors
/// As [`start_meter`].
pub async fn start_meter_at(
    config: Config,
    access: Access,
    collections: Vec<CollectionName>,
) -> Result<Meter, Problem> {
    let aws = Aws::at(&config, access).await?;
    open_meter(config, &aws, collections).await
}

async fn open_meter(config: Config, aws: &Aws, collections: Vec<CollectionName>) -> Result<Meter, Problem> {
    let table = setting(&config, "DATA_TABLE")?.to_owned();
    let tagger =
        Tagger::new(aws_sdk_sts::Client::new(&aws.sdk), setting(&config, "INDEX_ROLE_ARN")?.to_owned());
    let client = aws_sdk_dynamodb::Client::new(&aws.sdk);
    // The first batch is not to wait for a connection. That nobody has no plan is nothing to stop for.
    let nobody = TenantId::spell([0; 16]);
    let (_none, ()) = tokio::join!(Plan::fetch(&client, &table, &nobody), tagger.warm());
    let watch = Arc::new(Watch::new(config.metrics_namespace().map(str::to_owned), Clock::System));
    let store = aws_sdk_dynamodb::config::Builder::from(&aws.sdk).build();
    let sessions = Sessions::new(store, Arc::clone(&watch), Clock::System);
    Ok(Meter {
        merges: Merges { tagger, sessions, table: table.as_str().into() },
        watch,
        stocks: Stocks::new(client.clone(), table.clone(), collections),
        heads: Heads { client, table },
        events: Events::new(Fetch::new(&config), &aws.sdk, &config.region)?,
        clock: Clock::System,
        metrics_namespace: config.metrics_namespace().map(str::to_owned),
    })
}

impl Meter {
    /// Takes a batch, and gives the lines of its metrics for standard output. What can't be read, or can't be followed just
    /// now, Lambda gives once more. What is left of the time until this deadline is for merges.
    pub async fn take(&self, event: StreamEvent, deadline: Instant) -> (StreamReply, String) {
        let mut changes = Vec::with_capacity(event.records.len());
        let mut unread = None;
        for record in &event.records {
            match Change::read(record, &self.heads.table) {
                Ok(change) => changes.extend(change),
                Err(sequence) => {
                    tracing::error!(sequence, "a change can't be read");
                    unread = Some(sequence);
                    break;
                }
            }
        }
        // Boxed, since a caller's future would be as large as all that this one waits for.
        let first = changes.first().map(|change| change.sequence.clone());
        let due = merges::due(&changes);
        match Box::pin(self.follow(changes, denials::broken(&event.records))).await {
            Ok(lines) => {
                // Last, since nothing depends on it: whatever comes of it, the batch is taken.
                self.merges.follow(due, deadline).await;
                (StreamReply::from(unread), lines + &self.watch.take().unwrap_or_default())
            }
            Err(problem) => {
                let cause = std::error::Error::source(&problem).map(ToString::to_string);
                tracing::error!(code = problem.code(), cause, "the stream could not be followed");
                (StreamReply::from(first.or(unread)), String::new())
            }
        }
    }

    /// Everything that follows changes gets all of them. The operator is told before the heads go on, so that nothing is
    /// passed over in silence.
    async fn follow(&self, changes: Vec<Change>, mut alarms: Vec<Alarm>) -> Result<String, Problem> {
        let now = self.clock.now();
        let changes = erased::left(&self.heads.client, &self.heads.table, changes).await?;
        let (of_tenants, heads) = self.heads.follow(&changes, now).await?;
        alarms.extend(of_tenants);
        let mut lines = String::new();
        for alarm in alarms {
            let Alarm { tenant, class, day, record } = &alarm;
            let id = tenant.as_ref().map(TenantId::as_str);
            tracing::error!(tenant.id = id, class, "an audit trail was tampered with");
            let count = [("AuditBroken", "Count", 1)];
            lines += &self.line("an audit trail was tampered with", (tenant.as_ref(), Some(class)), &count);
            let detail = json!({ "tenant": id, "class": class, "day": day, "record": record });
            self.events.put("Audit Trail Broken", &detail).await?;
        }
        for (kind, detail) in lifecycle::events(&changes) {
            self.events.put(kind, &detail).await?;
        }
        rollups::write(&self.heads.client, &self.heads.table, heads).await?;
        for (tenant, counted) in self.stocks.follow(&changes, now).await {
            lines += &self.recounted(&tenant, &counted).await;
        }
        Ok(lines)
    }

    /// Tells of a count that was wrong. It is right again, so an event that nobody took is no reason to stop the stream.
    async fn recounted(&self, tenant: &TenantId, counted: &Recounted) -> String {
        let Recounted { before, after } = counted;
        if !counted.is_drift() {
            return String::new();
        }
        tracing::warn!(tenant.id = %tenant, %before, %after, "what a tenant keeps was counted wrong");
        let event = json!({ "tenant": tenant.as_str(), "before": stock(before), "after": stock(after) });
        if let Err(problem) = self.events.put("Storage Drift", &event).await {
            let cause = std::error::Error::source(&problem).map(ToString::to_string);
            tracing::error!(tenant.id = %tenant, cause, "the operator could not be told of a drift");
        }
        let drift = [
            ("StorageDriftBytes", "Bytes", before.bytes.abs_diff(after.bytes)),
            ("StorageDriftItems", "Count", before.items.abs_diff(after.items)),
            ("StorageDriftMembers", "Count", before.members.abs_diff(after.members)),
        ];
        self.line("what a tenant keeps was counted wrong", (Some(tenant), None), &drift)
    }

    fn line(
        &self,
        message: &str,
        (tenant, class): (Option<&TenantId>, Option<&str>),
        metrics: &[metric::Metric],
    ) -> String {
        let Some(namespace) = &self.metrics_namespace else { return String::new() };
        let about = (namespace.as_str(), message);
        metric::line(about, tenant, class, self.clock.now(), metrics) + "\n"
    }
}

fn stock(stock: &Stock) -> Value {
    json!({ "bytes": stock.bytes, "items": stock.items, "members": stock.members })
}

impl From<Option<String>> for StreamReply {
    fn from(sequence: Option<String>) -> Self {
        Self { failures: sequence.into_iter().map(|sequence| Failure { sequence }).collect() }
    }
}
