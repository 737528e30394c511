//! What goes back: the HTTP status, the headers and the JSON-RPC envelope.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use crate::{era::Era, message::Id};

/// A reply, ready for any HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// `Content-Type` when there is a body, `Allow` with 405. Caching is the edge's matter.
    pub headers: HeaderMap,
    /// The body: JSON, server-sent events, or empty.
    pub body: Vec<u8>,
}

/// A JSON-RPC error. Codes: JSON-RPC 2.0 § 5.1 and the table of MCP 2026-07-28.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Set where HTTP has a word for it; else the code decides.
    status: Option<StatusCode>,
    code: i64,
    message: Cow<'static, str>,
    data: Option<Value>,
}

impl Fault {
    pub(crate) fn new(code: i64, message: impl Into<Cow<'static, str>>, data: Option<Value>) -> Fault {
        Fault { status: None, code, message: message.into(), data }
    }

    pub(crate) fn parse(message: String) -> Fault {
        Fault::new(-32700, message, None)
    }

    pub(crate) fn request(message: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(-32600, message, None)
    }

    pub(crate) fn method(method: &str) -> Fault {
        Fault::new(-32601, format!("method not found: {method}"), None)
    }

    pub(crate) fn params(message: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(-32602, message, None)
    }

    pub(crate) fn internal() -> Fault {
        Fault::new(-32603, "internal error", None)
    }

    pub(crate) fn mismatch(message: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(-32020, message, None)
    }

    pub(crate) fn capability(name: &'static str) -> Fault {
        let data = json!({ "requiredCapabilities": { name: {} } });
        Fault::new(-32021, format!("the client did not declare the capability {name}"), Some(data))
    }

    pub(crate) fn version(supported: &[&str], requested: &str) -> Fault {
        let data = json!({ "supported": supported, "requested": requested });
        Fault::new(-32022, "unsupported protocol version", Some(data))
    }

    /// A resource that is not there, or not this caller's: one answer. The code changed with the era.
    pub(crate) fn absent(era: Era, uri: &str) -> Fault {
        let code = if era == Era::Modern { -32602 } else { -32002 };
        Fault::new(code, "resource not found", Some(json!({ "uri": uri })))
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Fault {
        self.status = Some(status);
        self
    }

    /// In the initialize era an error about the content of a request travels with 200: its clients read 404
    /// as "your session is gone".
    fn status(&self, era: Era) -> StatusCode {
        if let Some(status) = self.status {
            return status;
        }
        match (self.code, era) {
            (-32700 | -32600 | -32020 | -32021 | -32022, _) | (-32602, Era::Modern) => {
                StatusCode::BAD_REQUEST
            }
            (-32601, Era::Modern) => StatusCode::NOT_FOUND,
            (-32603, _) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::OK,
        }
    }

    pub(crate) fn reply(&self, era: Era, id: Option<&Id>) -> Reply {
        let error = ErrorBody { code: self.code, message: &self.message, data: self.data.as_ref() };
        json_reply(self.status(era), &Failure { jsonrpc: "2.0", id, error })
    }
}

/// A value of ours that can't be written.
impl From<serde_json::Error> for Fault {
    fn from(_: serde_json::Error) -> Fault {
        Fault::internal()
    }
}

/// The media types that the client takes. Source: MCP, "Streamable HTTP", which asks for both; a client that
/// names one, or none, is served all the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    json: bool,
    events: bool,
}

impl Accepted {
    /// # Errors
    /// 406 when the client takes neither, 415 when it says that the body is something else than JSON.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Accepted, Fault> {
        if let Some(kind) = headers.get(header::CONTENT_TYPE)
            && !kind.to_str().is_ok_and(|kind| media_type(kind).eq_ignore_ascii_case("application/json"))
        {
            return Err(Fault::request("the body must be application/json")
                .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        if !headers.contains_key(header::ACCEPT) {
            return Ok(Accepted { json: true, events: false });
        }
        let named = |wanted: &[&str]| {
            let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
            lines
                .flat_map(|line| line.split(','))
                .any(|one| wanted.iter().any(|wanted| media_type(one).eq_ignore_ascii_case(wanted)))
        };
        let accepted = Accepted {
            json: named(&["application/json", "application/*", "*/*"]),
            events: named(&["text/event-stream", "text/*", "*/*"]),
        };
        if !accepted.json && !accepted.events {
            return Err(Fault::request("the client takes neither application/json nor text/event-stream")
                .with_status(StatusCode::NOT_ACCEPTABLE));
        }
        Ok(accepted)
    }

    /// The result, after `notes` if the client takes a stream: the whole stream in one buffered body.
    pub(crate) fn success(self, id: &Id, result: &RawValue, notes: &[Value]) -> Reply {
        let success = Success { jsonrpc: "2.0", id, result };
        if !self.events || (self.json && notes.is_empty()) {
            return json_reply(StatusCode::OK, &success);
        }
        let events: Option<Vec<String>> = notes
            .iter()
            .map(serde_json::to_string)
            .chain([serde_json::to_string(&success)])
            .map(|event| event.ok().map(|event| format!("event: message\ndata: {event}\n\n")))
            .collect();
        match events {
            Some(events) => with_body(StatusCode::OK, "text/event-stream", events.concat().into_bytes()),
            None => broken(),
        }
    }
}

/// 202, without a body: what a notification is answered with.
pub(crate) fn accepted() -> Reply {
    Reply { status: StatusCode::ACCEPTED, headers: HeaderMap::new(), body: Vec::new() }
}

/// 405 with `Allow: POST`.
pub(crate) fn method_not_allowed() -> Reply {
    let headers = HeaderMap::from_iter([(header::ALLOW, HeaderValue::from_static("POST"))]);
    Reply { status: StatusCode::METHOD_NOT_ALLOWED, headers, body: Vec::new() }
}

#[derive(Serialize)]
struct Success<'a> {
    jsonrpc: &'static str,
    id: &'a Id,
    result: &'a RawValue,
}

#[derive(Serialize)]
struct Failure<'a> {
    jsonrpc: &'static str,
    id: Option<&'a Id>,
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
}

fn media_type(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim()
}

fn json_reply(status: StatusCode, message: &impl Serialize) -> Reply {
    match serde_json::to_vec(message) {
        Ok(body) => with_body(status, "application/json", body),
        Err(_) => broken(),
    }
}

fn with_body(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Reply {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
    Reply { status, headers, body }
}

/// The envelope is made of strings, numbers and checked JSON, so this is not seen; it is here instead of a panic.
fn broken() -> Reply {
    let body = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}"#;
    with_body(StatusCode::INTERNAL_SERVER_ERROR, "application/json", body.to_vec())
}
