//! The headers that repeat the body, so that a router may read them: they must say what the body says.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;
use serde_json::{Map, Value};

use crate::{message::Message, reply::Fault, schema::ParamHeader};

pub(crate) const VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";

/// The one value of a header, without the white space around it. Two lines are refused: who reads the first
/// and who reads the last would disagree.
pub(crate) fn one<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Fault> {
    let mut lines = headers.get_all(name).iter();
    let Some(first) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Fault::mismatch(format!("the header {name} is there twice")));
    }
    match first.to_str() {
        Ok(value) => Ok(Some(value.trim())),
        Err(_) => Err(Fault::mismatch(format!("the header {name} is not visible ASCII"))),
    }
}

/// `MCP-Protocol-Version` and `Mcp-Method` on every request, `Mcp-Name` on those that name something.
/// Source: MCP 2026-07-28, "Streamable HTTP", SEP-2243.
///
/// `server/discover` alone is served without them: it is a client's first word, sent to learn what is spoken
/// here, it names nothing and runs nothing, and a refusal of it ends the making of a ChatGPT connector. Headers
/// that are there must agree for it too.
pub(crate) fn check_standard(headers: &HeaderMap, message: &Message, version: &str) -> Result<(), Fault> {
    for (name, expected) in [(VERSION, version), (METHOD, message.method.as_str())] {
        if message.method != "server/discover" || headers.contains_key(name) {
            must_equal(headers, name, expected)?;
        }
    }
    let member = match message.method.as_str() {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return Ok(()),
    };
    match message.params.get(member).and_then(Value::as_str) {
        Some(name) => must_equal(headers, NAME, name),
        // That the name is missing is said by the method itself.
        None => Ok(()),
    }
}

/// `Mcp-Param-*` of the arguments whose schema asks for it: there together and equal, or absent together.
pub(crate) fn check_params(
    headers: &HeaderMap,
    declared: &[ParamHeader],
    arguments: &Map<String, Value>,
) -> Result<(), Fault> {
    for param in declared {
        match param.rendered(arguments) {
            Some(value) => must_equal(headers, &param.header, &value)?,
            None if headers.contains_key(&param.header) => {
                return Err(Fault::mismatch(format!("{} is there, but its argument is not", param.header)));
            }
            None => {}
        }
    }
    Ok(())
}

fn must_equal(headers: &HeaderMap, name: &str, expected: &str) -> Result<(), Fault> {
    let Some(value) = one(headers, name)? else {
        return Err(Fault::mismatch(format!("the header {name} is missing")));
    };
    match decode(value) {
        Some(value) if value == expected => Ok(()),
        Some(_) => Err(Fault::mismatch(format!("the header {name} differs from the body"))),
        None => Err(Fault::mismatch(format!("the header {name} is not base64 of UTF-8"))),
    }
}

/// A value that HTTP can't carry comes as `=?base64?…?=`. Only the canonical base64 of a text is that text's.
fn decode(value: &str) -> Option<Cow<'_, str>> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        None => Some(Cow::Borrowed(value)),
        Some(coded) => String::from_utf8(STANDARD.decode(coded).ok()?).ok().map(Cow::Owned),
    }
}
