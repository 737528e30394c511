//! Which era a request belongs to, and what it says about its client.

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::{exchange::LogLevel, header, message::Message, reply::Fault};

/// The revision where every request carries its version and capabilities.
pub(crate) const MODERN: &str = "2026-07-28";
/// The revisions that begin with `initialize`, the newest first.
pub(crate) const LEGACY: [&str; 3] = [LEGACY_NEWEST, "2025-06-18", "2025-03-26"];
pub(crate) const LEGACY_NEWEST: &str = "2025-11-25";

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
const VERSION_BYTES_MAX: usize = 64;
const CLIENT_NAME_CHARS_MAX: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    Modern,
    Legacy,
}

/// What a request says about its client. None of it is ever a reason to authorise.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) era: Era,
    pub(crate) name: Option<String>,
    pub(crate) capabilities: Map<String, Value>,
    /// The least level of the log notifications that the client takes.
    pub(crate) log_level: Option<LogLevel>,
}

impl Client {
    /// The version in the body makes a request modern; without one the header decides, and an absent header
    /// means 2025-03-26. Source: MCP 2025-06-18, "Protocol Version Header".
    pub(crate) fn of_request(headers: &HeaderMap, message: &Message) -> Result<Client, Fault> {
        let in_body = message.meta().is_some_and(|meta| meta.contains_key(VERSION));
        let in_header = header::one(headers, header::VERSION)?;
        let known_legacy = in_header.is_none_or(|version| LEGACY.contains(&version));
        if in_body || message.method == "server/discover" || in_header == Some(MODERN) {
            return modern(headers, message);
        }
        if !known_legacy {
            return Err(unsupported(in_header.unwrap_or_default()));
        }
        // Nothing is remembered between requests, so a level that was set is not known: the default holds.
        Ok(Client { era: Era::Legacy, name: None, capabilities: Map::new(), log_level: Some(LogLevel::Info) })
    }
}

/// A notification has nobody to answer to; only a version that is not served is said.
pub(crate) fn check_notification(headers: &HeaderMap) -> Result<(), Fault> {
    match header::one(headers, header::VERSION)? {
        Some(version) if version != MODERN && !LEGACY.contains(&version) => Err(unsupported(version)),
        _ => Ok(()),
    }
}

/// In this order, because each step rests on the one before: the envelope is there, the headers say the same,
/// the version is served.
fn modern(headers: &HeaderMap, message: &Message) -> Result<Client, Fault> {
    let Some(meta) = message.meta() else {
        return Err(Fault::params("params._meta is missing, or not an object"));
    };
    let version = match meta.get(VERSION) {
        Some(Value::String(version)) if is_version(version) => version,
        Some(_) => return Err(Fault::params(format!("_meta[\"{VERSION}\"] is not a protocol version"))),
        None => return Err(Fault::params(format!("_meta[\"{VERSION}\"] is missing"))),
    };
    let Some(Value::Object(capabilities)) = meta.get(CAPABILITIES) else {
        return Err(Fault::params(format!("_meta[\"{CAPABILITIES}\"] is missing, or not an object")));
    };
    header::check_standard(headers, message, version)?;
    if version != MODERN {
        return Err(unsupported(version));
    }
    let log_level = match meta.get(LOG_LEVEL) {
        None => None,
        Some(level) => {
            Some(LogLevel::read(level).ok_or_else(|| Fault::params("the log level is not known"))?)
        }
    };
    let name = meta.get(CLIENT_INFO).and_then(|info| info.get("name")).and_then(Value::as_str).map(printable);
    Ok(Client { era: Era::Modern, name, capabilities: capabilities.clone(), log_level })
}

fn unsupported(requested: &str) -> Fault {
    if is_version(requested) {
        Fault::version(&[MODERN], requested)
    } else {
        Fault::mismatch("the MCP-Protocol-Version header is not a protocol version")
    }
}

/// Grammar: 1 to 64 visible ASCII characters. A version is otherwise opaque.
fn is_version(text: &str) -> bool {
    (1..=VERSION_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The name is for logs and people, so it is cut to a line that cannot forge another.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(CLIENT_NAME_CHARS_MAX).collect()
}
