//! Who follows the stream of a table: Lambda's event source mappings. Those of the table of all are the pattern for a
//! tenant's own, so there is no second list of them.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use crate::{Config, Problem, fetch::Fetch, signed::Signer};

const DOING: &str = "having a table followed";
const PATH: &str = "/2015-03-31/event-source-mappings/";
const REPLY_BYTES_MAX: usize = 1024 * 1024;
const WAIT_MAX: Duration = Duration::from_secs(10);
const HEADERS: [(&str, &str); 1] = [("content-type", "application/json")];
/// What a mapping is made of besides its function and its stream. Source: Lambda, CreateEventSourceMapping.
const SETTINGS: [&str; 11] = [
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "FilterCriteria",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "StartingPosition",
    "TumblingWindowInSeconds",
];

/// The way to Lambda's list of them.
#[derive(Debug)]
pub(super) struct Followers {
    fetch: Fetch,
    signer: Signer,
    url: Url,
}

impl Followers {
    pub(super) fn new(config: &Config, sdk: &aws_config::SdkConfig) -> Result<Self, Problem> {
        let signer = Signer::new(sdk, &config.region)?;
        let mut url = signer.url("lambda")?;
        url.set_path(PATH);
        Ok(Self { fetch: Fetch::new(config), signer, url })
    }

    /// Sees to it that every function that follows the one stream follows the other as well, by the same rules.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when Lambda does not do it: once more is safe.
    pub(super) async fn follow(&self, pattern: &str, stream: &str) -> Result<(), Problem> {
        let there = self.of(stream).await?;
        let follows = |mapping: &&Value| {
            there.iter().any(|known| known.get("FunctionArn") == mapping.get("FunctionArn"))
        };
        for mapping in self.of(pattern).await?.iter().filter(|mapping| !follows(mapping)) {
            let body = copied(mapping, stream).to_string();
            let reply = self.ask((Method::POST, &self.url), body.into()).await?;
            // Another run of this command made it.
            if !reply.status().is_success() && reply.status() != StatusCode::CONFLICT {
                return Err(refused(&reply));
            }
        }
        Ok(())
    }

    /// Has nobody follow a stream any more.
    ///
    /// # Errors
    /// As [`Followers::follow`].
    pub(super) async fn leave(&self, stream: &str) -> Result<(), Problem> {
        for mapping in self.of(stream).await? {
            let Some(id) = mapping.get("UUID").and_then(Value::as_str) else { continue };
            let url = self.url.join(id).map_err(|err| Problem::internal(DOING, err))?;
            let reply = self.ask((Method::DELETE, &url), Bytes::new()).await?;
            if !reply.status().is_success() && reply.status() != StatusCode::NOT_FOUND {
                return Err(refused(&reply));
            }
        }
        Ok(())
    }

    /// The mappings of a stream.
    async fn of(&self, stream: &str) -> Result<Vec<Value>, Problem> {
        let mut found = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let mut url = self.url.clone();
            url.query_pairs_mut().append_pair("EventSourceArn", stream);
            if let Some(marker) = &marker {
                url.query_pairs_mut().append_pair("Marker", marker);
            }
            let reply = self.ask((Method::GET, &url), Bytes::new()).await?;
            if !reply.status().is_success() {
                return Err(refused(&reply));
            }
            let mut page: Value =
                serde_json::from_slice(reply.body()).map_err(|err| Problem::internal(DOING, err))?;
            if let Some(Value::Array(mappings)) = page.get_mut("EventSourceMappings").map(Value::take) {
                found.extend(mappings);
            }
            marker = page.get("NextMarker").and_then(Value::as_str).map(str::to_owned);
            if marker.is_none() {
                return Ok(found);
            }
        }
    }

    async fn ask(&self, (method, url): (Method, &Url), body: Bytes) -> Result<Response<Bytes>, Problem> {
        let request = self.signer.request("lambda", (method, url), &HEADERS, body).await?;
        let reply = self.fetch.send_within(url, request, (REPLY_BYTES_MAX, WAIT_MAX)).await;
        reply.map_err(|err| Problem::unavailable(DOING, err))
    }
}

/// The request for a mapping of this stream that is otherwise as that one.
fn copied(mapping: &Value, stream: &str) -> Value {
    let mut copy = Map::from_iter([
        ("FunctionName".to_owned(), mapping.get("FunctionArn").cloned().unwrap_or_default()),
        ("EventSourceArn".to_owned(), json!(stream)),
    ]);
    for name in SETTINGS {
        if let Some(value) = mapping.get(name).filter(|value| !value.is_null()) {
            copy.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(copy)
}

fn refused(reply: &Response<Bytes>) -> Problem {
    Problem::unavailable(DOING, format!("Lambda answered {}", reply.status()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_rules_of_its_pattern_and_nothing_that_is_the_patterns_own() {
        let rules = json!({
            "StartingPosition": "TRIM_HORIZON", "BatchSize": 100, "BisectBatchOnFunctionError": true,
            "FilterCriteria": { "Filters": [{ "Pattern": "{}" }] },
            "DestinationConfig": { "OnFailure": { "Destination": "arn:aws:sqs:r:a:failed" } },
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        });
        let mut pattern = rules.clone();
        for (name, value) in [
            ("UUID", json!("u")),
            ("EventSourceArn", json!("arn:aws:dynamodb:r:a:table/data/stream/1")),
            ("FunctionArn", json!("arn:aws:lambda:r:a:function:meter")),
            ("State", json!("Enabled")),
            ("LastModified", json!(1.0)),
            ("TumblingWindowInSeconds", Value::Null),
        ] {
            pattern[name] = value;
        }
        let mut expected = rules;
        expected["FunctionName"] = json!("arn:aws:lambda:r:a:function:meter");
        expected["EventSourceArn"] = json!("arn:aws:dynamodb:r:a:table/data-1/stream/2");
        assert_eq!(copied(&pattern, "arn:aws:dynamodb:r:a:table/data-1/stream/2"), expected);
    }
}
