//! What the operator is told at once: events on the account's default bus of EventBridge, by one signed request.

use serde_json::{Value, json};
use url::Url;

use crate::{
    Problem,
    fetch::{Fetch, TIMEOUT},
    signed::Signer,
};

const DOING: &str = "sending an event";
/// Bytes of a reply.
const REPLY_BYTES_MAX: usize = 16 * 1024;
const HEADERS: [(&str, &str); 2] =
    [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AWSEvents.PutEvents")];

/// The way to the bus.
#[derive(Debug)]
pub(crate) struct Events {
    fetch: Fetch,
    signer: Signer,
    url: Url,
}

impl Events {
    pub(crate) fn new(fetch: Fetch, sdk: &aws_config::SdkConfig, region: &str) -> Result<Self, Problem> {
        let signer = Signer::new(sdk, region)?;
        let url = signer.url("events")?;
        Ok(Self { fetch, signer, url })
    }

    /// Sends one event of this kind.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when EventBridge has not taken it.
    pub(crate) async fn put(&self, kind: &str, detail: &Value) -> Result<(), Problem> {
        let entry = json!({ "Source": "insula", "DetailType": kind, "Detail": detail.to_string() });
        let body = json!({ "Entries": [entry] }).to_string();
        let request = self.signer.post("events", &self.url, &HEADERS, body.into()).await?;
        let reply = self.fetch.send_within(&self.url, request, (REPLY_BYTES_MAX, TIMEOUT)).await;
        let reply = reply.map_err(|err| Problem::unavailable(DOING, err))?;
        let said: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
        // A request that was taken may still have entries that were not.
        if reply.status() == 200 && said.get("FailedEntryCount").and_then(Value::as_u64) == Some(0) {
            return Ok(());
        }
        Err(Problem::unavailable(DOING, format!("EventBridge answered {}", reply.status())))
    }
}
