//! The services that `winterbaume` emulates in process: how they are asked, and how their state is kept.

use std::{fs, io::Write, path::Path};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use winterbaume_core::{MockRequest, MockService};

use super::{need::Malformed, reply::Reply};

/// What may be said to a service. A member that is not here might say more than is checked.
pub(super) struct Grammar {
    pub(super) service: &'static str,
    pub(super) operations: &'static [&'static str],
    pub(super) members: &'static [&'static str],
}

impl Grammar {
    /// Whether a call says nothing else.
    pub(super) fn check(&self, operation: &str, body: &Value) -> Result<(), Malformed> {
        if !self.operations.contains(&operation) {
            return Err(Malformed(format!("{operation} is not an operation of this {}", self.service)));
        }
        let members = body.as_object().ok_or_else(|| Malformed("an object is expected".to_owned()))?;
        let strange =
            |(name, value): &(&String, &Value)| value.is_null() || !self.members.contains(&name.as_str());
        match members.iter().find(strange) {
            Some((name, _)) => Err(Malformed(format!("the member {name} is not understood"))),
            None => Ok(()),
        }
    }
}

/// Asks a service of the JSON protocol.
pub(super) async fn ask(service: &impl MockService, region: &str, target: &str, body: &Value) -> Reply {
    let name = service.service_name();
    let Ok(target) = HeaderValue::from_str(target) else {
        return Reply::refused("UnknownOperationException", "there is no such operation here");
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-target", target);
    headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
    let request = MockRequest {
        method: "POST".to_owned(),
        uri: format!("https://{name}.{region}.amazonaws.com/"),
        headers,
        body: Bytes::from(body.to_string()),
    };
    let reply = service.handle(request).await;
    Reply { status: reply.status, body: serde_json::from_slice(&reply.body).unwrap_or_else(|_err| json!({})) }
}

/// What was kept, if anything was.
pub(super) fn read_kept<V: DeserializeOwned>(data: Option<&Path>, name: &str) -> Result<Option<V>, String> {
    let Some(file) = data.map(|folder| folder.join(name)) else { return Ok(None) };
    match fs::read(&file) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|err| format!("{}: {err}", file.display()))
        }
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(format!("{}: {err}", file.display())),
    }
}

/// Keeps a state, for its owner alone, whole or not at all.
pub(super) fn keep<V: Serialize>(data: Option<&Path>, name: &str, view: &V) -> Result<(), String> {
    let Some(folder) = data else { return Ok(()) };
    let (file, part) = (folder.join(name), folder.join(format!("{name}.part")));
    let wrong = |err: std::io::Error| format!("{}: {err}", file.display());
    let bytes = serde_json::to_vec(view).map_err(|err| err.to_string())?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = options.open(&part).map_err(wrong)?;
    open.write_all(&bytes).and_then(|()| open.sync_all()).map_err(wrong)?;
    fs::rename(&part, &file).map_err(wrong)
}

/// The refusal of an operation that this AWS does not have.
pub(super) fn unknown() -> Reply {
    Reply::refused("UnknownOperationException", "there is no such operation here")
}
