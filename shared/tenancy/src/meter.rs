//! What follows a write and is no part of it: the stream of the data table, change by change.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Config, Problem, TenantId, aws::Aws, clock::Clock, entrance::setting, events::Events, fetch::Fetch,
    metric,
};

mod change;
mod heads;
mod rollups;

pub(crate) use change::Change;
use heads::Heads;

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

/// Something that nobody may do to a tenant's data, and somebody has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) tenant: TenantId,
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
    events: Events,
    clock: Clock,
    metrics_namespace: Option<String>,
}

impl std::fmt::Debug for StreamEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamEvent").field("records", &self.records.len()).finish()
    }
}

/// Starts the function of the stream.
///
/// # Errors
/// [`Problem::Internal`] for a wrong setting.
pub async fn start_meter(config: Config) -> Result<Meter, Problem> {
    let aws = Aws::load(&config).await?;
    let table = setting(&config, "DATA_TABLE")?.to_owned();
    Ok(Meter {
        heads: Heads { client: aws_sdk_dynamodb::Client::new(&aws.sdk), table },
        events: Events::new(Fetch::new(&config), &aws.sdk, &config.region)?,
        clock: Clock::System,
        metrics_namespace: config.metrics_namespace().map(str::to_owned),
    })
}

impl Meter {
    /// Takes a batch, and gives the lines of its metrics for standard output. What can't be read, or can't be followed just
    /// now, Lambda gives once more.
    pub async fn take(&self, event: StreamEvent) -> (StreamReply, String) {
        let mut changes = Vec::with_capacity(event.records.len());
        let mut unread = None;
        for record in &event.records {
            match Change::read(record) {
                Ok(change) => changes.extend(change),
                Err(sequence) => {
                    tracing::error!(sequence, "a change can't be read");
                    unread = Some(sequence);
                    break;
                }
            }
        }
        // Boxed, since a caller's future would be as large as all that this one waits for.
        match Box::pin(self.follow(&changes)).await {
            Ok(lines) => (StreamReply::from(unread), lines),
            Err(problem) => {
                let cause = std::error::Error::source(&problem).map(ToString::to_string);
                tracing::error!(code = problem.code(), cause, "the stream could not be followed");
                let first = changes.first().map(|change| change.sequence.clone());
                (StreamReply::from(first.or(unread)), String::new())
            }
        }
    }

    /// Everything that follows changes gets all of them. The operator is told before the heads go on, so that nothing is
    /// passed over in silence.
    async fn follow(&self, changes: &[Change]) -> Result<String, Problem> {
        let (alarms, heads) = self.heads.follow(changes, self.clock.now()).await?;
        let mut lines = String::new();
        for alarm in alarms {
            let Alarm { tenant, class, day, record } = &alarm;
            tracing::error!(tenant.id = %tenant, class, "an audit trail was tampered with");
            if let Some(namespace) = &self.metrics_namespace {
                let about = (namespace.as_str(), "an audit trail was tampered with");
                let count = [("AuditBroken", "Count", 1)];
                lines += &metric::line(about, Some(tenant), Some(class), self.clock.now(), &count);
                lines.push('\n');
            }
            let detail = json!({ "tenant": tenant.as_str(), "class": class, "day": day, "record": record });
            self.events.put("Audit Trail Broken", &detail).await?;
        }
        rollups::write(&self.heads.client, &self.heads.table, heads).await?;
        Ok(lines)
    }
}

impl From<Option<String>> for StreamReply {
    fn from(sequence: Option<String>) -> Self {
        Self { failures: sequence.into_iter().map(|sequence| Failure { sequence }).collect() }
    }
}
