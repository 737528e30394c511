//! One JSON-RPC message: what its grammar allows, and nothing else.

use serde::Serialize;
use serde_json::{Map, Number, Value};

use crate::reply::Fault;

const ID_BYTES_MAX: usize = 256;
const METHOD_BYTES_MAX: usize = 128;
/// Arrays and objects inside one another, at most.
const DEPTH_MAX: usize = 64;

/// The id of a request: a string of at most 256 bytes or an integer. Null, which JSON-RPC discourages, and
/// fractions, which do not compare equal after a round trip, are refused. Source: MCP, "Requests".
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Id {
    Text(String),
    Number(Number),
}

/// A request, or without an id a notification.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: Option<Id>,
    pub(crate) method: String,
    pub(crate) params: Map<String, Value>,
}

/// Why a body is no message, with the id if it could be read, since every error carries it.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) id: Option<Id>,
    pub(crate) fault: Fault,
}

impl Message {
    pub(crate) fn read(body: &[u8]) -> Result<Message, Unreadable> {
        let value = insula_json::parse(body, DEPTH_MAX)
            .map_err(|err| Unreadable { id: None, fault: Fault::parse(format!("the body is {err}")) })?;
        let mut members = match value {
            Value::Object(members) => members,
            Value::Array(_) => {
                return Err(unreadable(None, "a batch is not served: send one message a request"));
            }
            _ => return Err(unreadable(None, "the body is not a JSON-RPC message")),
        };
        let id = match members.remove("id") {
            None => None,
            Some(value) => Some(Id::read(value).map_err(|why| unreadable(None, why))?),
        };
        if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(unreadable(id, "jsonrpc is not \"2.0\""));
        }
        let method = match members.remove("method") {
            Some(Value::String(method)) if is_method(&method) => method,
            Some(_) => return Err(unreadable(id, "method is not the name of a method")),
            // Nothing is asked of the client, so a response of it answers nothing.
            None => return Err(unreadable(id, "the message has no method")),
        };
        let params = match members.remove("params") {
            None => Map::new(),
            Some(Value::Object(params)) => params,
            Some(_) => return Err(Unreadable { id, fault: Fault::params("params is not an object") }),
        };
        Ok(Message { id, method, params })
    }

    /// `params._meta`, if it is an object.
    pub(crate) fn meta(&self) -> Option<&Map<String, Value>> {
        self.params.get("_meta").and_then(Value::as_object)
    }
}

impl Id {
    fn read(value: Value) -> Result<Id, &'static str> {
        match value {
            Value::String(text) if text.len() <= ID_BYTES_MAX => Ok(Id::Text(text)),
            Value::String(_) => Err("id is longer than 256 bytes"),
            Value::Number(number) if number.is_i64() || number.is_u64() => Ok(Id::Number(number)),
            _ => Err("id is neither a string nor an integer"),
        }
    }
}

fn unreadable(id: Option<Id>, why: &'static str) -> Unreadable {
    Unreadable { id, fault: Fault::request(why) }
}

fn is_method(text: &str) -> bool {
    (1..=METHOD_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./$-".contains(&b))
}
