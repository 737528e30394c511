//! Event source mappings: the records of streams given to functions, in their order, each at least once.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{aws::Mappings, lambda::Lambda, template::Mapping};

/// How often a batch is tried before its first record is given up.
const ATTEMPTS_MAX: u32 = 8;

/// The one shard of all streams, being delivered.
pub(crate) struct Stream {
    /// Records that were delivered, or given up.
    done: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Stream {
    pub(crate) fn start(
        mut records: mpsc::UnboundedReceiver<Value>,
        mappings: Arc<Mappings>,
        lambda: Arc<Lambda>,
    ) -> Self {
        let (said, done) = watch::channel(0_u64);
        #[expect(clippy::disallowed_methods, reason = "the laptop is never frozen, and `stop` ends this")]
        let task = tokio::spawn(async move {
            let mut batch = Vec::new();
            loop {
                let most = mappings.all().iter().map(|mapping| mapping.batch_records_max).min().unwrap_or(1);
                let most = usize::try_from(most).unwrap_or(1).max(1);
                if records.recv_many(&mut batch, most).await == 0 {
                    break;
                }
                let count = u64::try_from(batch.len()).unwrap_or_default();
                // Those that there are by now: one is made right after its stream.
                for mapping in &mappings.all() {
                    let theirs = batch.iter().filter(|record| mapping.takes(record)).cloned().collect();
                    deliver(&lambda, mapping, theirs).await;
                }
                batch.clear();
                said.send_modify(|done| *done = done.saturating_add(count));
            }
        });
        Self { done, task }
    }

    /// Waits until so many records were delivered.
    pub(crate) async fn delivered(&self, count: u64) {
        let mut done = self.done.clone();
        // The sender is gone only where the task has ended, and then nothing more comes.
        drop(done.wait_for(|done| *done >= count).await);
    }

    pub(crate) fn stop(&self) {
        self.task.abort();
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

async fn deliver(lambda: &Lambda, mapping: &Mapping, mut batch: Vec<Value>) {
    let mut attempt = 0_u32;
    while !batch.is_empty() {
        let payload = Bytes::from(json!({ "Records": batch }).to_string());
        let reply = lambda.invoke(&mapping.function, None, payload).await;
        let failed = match &reply {
            Ok(invoked) if invoked.function_error.is_none() => failed_from(&invoked.payload, &batch),
            _ => Some(0),
        };
        let Some(from) = failed else { return };
        batch.drain(..from.min(batch.len()));
        attempt = if from > 0 { 0 } else { attempt.saturating_add(1) };
        if attempt == ATTEMPTS_MAX {
            let record = batch.first().and_then(|record| record.get("eventID"));
            tracing::error!(function = mapping.function, ?record, "a change was given up");
            batch.drain(..1);
            attempt = 0;
        }
        tokio::time::sleep(Duration::from_millis(20_u64.saturating_mul(1 << attempt))).await;
    }
}

/// Which record of a batch the function wants once more, with all behind it.
fn failed_from(reply: &[u8], batch: &[Value]) -> Option<usize> {
    let reply: Value = serde_json::from_slice(reply).unwrap_or_default();
    let Some(failures) = reply.get("batchItemFailures").and_then(Value::as_array) else { return Some(0) };
    let at = |failure: &Value| {
        let sequence = failure.get("itemIdentifier");
        let is = |record: &Value| record.pointer("/dynamodb/SequenceNumber") == sequence;
        // Source: Lambda takes an identifier that it does not know for a failure of the whole batch.
        batch.iter().position(is).unwrap_or(0)
    };
    failures.iter().map(at).min()
}

impl Mapping {
    fn takes(&self, record: &Value) -> bool {
        let is_own = record.get("eventSourceARN").and_then(Value::as_str) == Some(&self.stream_arn);
        is_own && (self.patterns.is_empty() || self.patterns.iter().any(|pattern| matches(pattern, record)))
    }
}

/// Lambda's patterns, as far as the template uses them: what is not understood matches nothing.
fn matches(pattern: &Value, value: &Value) -> bool {
    match pattern {
        Value::Object(members) => {
            members.iter().all(|(name, pattern)| value.get(name).is_some_and(|value| matches(pattern, value)))
        }
        Value::Array(rules) => rules.iter().any(|rule| match rule {
            Value::Object(rule) => {
                let prefix = rule.get("prefix").and_then(Value::as_str).filter(|_| rule.len() == 1);
                prefix.zip(value.as_str()).is_some_and(|(prefix, text)| text.starts_with(prefix))
            }
            plain => plain == value,
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_what_it_describes_alone() {
        let pattern = json!({ "dynamodb": { "Keys": { "pk": { "S": [{ "prefix": "TENANT#" }] } } } });
        let record = |pk: &str| json!({ "dynamodb": { "Keys": { "pk": { "S": pk } } } });
        assert!(matches(&pattern, &record("TENANT#a")));
        assert!(!matches(&pattern, &record("OPERATOR#a")) && !matches(&pattern, &json!({})));
        assert!(matches(&json!({ "eventName": ["INSERT"] }), &json!({ "eventName": "INSERT" })));
        assert!(!matches(&json!({ "eventName": [{ "suffix": "T" }] }), &json!({ "eventName": "INSERT" })));
    }

    #[test]
    fn a_batch_goes_on_from_the_first_record_that_failed() {
        let record = |n: &str| json!({ "dynamodb": { "SequenceNumber": n } });
        let batch = ["1", "2", "3"].map(record);
        let reply = |ids: &[&str]| {
            let failures: Vec<_> = ids.iter().map(|id| json!({ "itemIdentifier": id })).collect();
            failed_from(json!({ "batchItemFailures": failures }).to_string().as_bytes(), &batch)
        };
        assert_eq!(
            (reply(&[]), reply(&["2"]), reply(&["3", "2"]), reply(&["x"])),
            (None, Some(1), Some(1), Some(0))
        );
        assert_eq!(failed_from(b"null", &batch), Some(0), "no reply of a stream's function");
    }
}
