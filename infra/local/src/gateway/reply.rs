//! What a function answered, read as API Gateway reads it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::gateway::refusal::Kind;
use crate::template::{Api, ApiKind};

/// Headers of a function that reach the client under another name. Source: the table in the important notes
/// on REST APIs. The HTTP API does the same to `WWW-Authenticate`.
const REMAPPED: [&str; 10] = [
    "authorization",
    "connection",
    "content-md5",
    "date",
    "max-forwards",
    "server",
    "user-agent",
    "warn",
    "www-authenticate",
    "x-amzn-requestid",
];

/// Headers of a function that never reach the client. Source: the same table; the length is the body's own.
const DROPPED: [&str; 10] = [
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// An answer for the client, without the headers that name the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Reply {
    /// The function's payload as an answer to a client that accepts this, or the refusal that API Gateway makes of it.
    pub(super) fn from_function(api: &Api, accept: Option<&str>, payload: &[u8]) -> Result<Self, Kind> {
        let reply = match api.kind {
            ApiKind::Rest => rest(payload, api.is_binary(accept)),
            ApiKind::Http => http(payload),
        };
        reply.filter(Self::is_sendable).ok_or(Kind::Integration)
    }

    fn is_sendable(&self) -> bool {
        let is_field = |(name, value): &(String, String)| {
            HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok()
        };
        (200..=599).contains(&self.status) && self.headers.iter().all(is_field)
    }

    /// The response of hyper. A header that can't be sent is left out: one of ours holds an authorizer's text.
    pub(super) fn into_response(self) -> http::Response<http_body_util::Full<Bytes>> {
        let mut response = http::Response::new(http_body_util::Full::new(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            if let Some((name, value)) = name.zip(HeaderValue::from_str(&value).ok()) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// Format 1.0, in which a REST API allows nothing else.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rest {
    status_code: Value,
    headers: Option<Map<String, Value>>,
    multi_value_headers: Option<Map<String, Value>>,
    body: Option<String>,
    /// Has an effect only where the client asks for a binary media type first; else the body is passed on as it is.
    is_base64_encoded: Option<bool>,
}

fn rest(payload: &[u8], is_binary: bool) -> Option<Reply> {
    let reply: Rest = serde_json::from_slice(payload).ok()?;
    let status = status(&reply.status_code)?;
    let mut pairs = Vec::new();
    for (name, values) in reply.multi_value_headers.unwrap_or_default() {
        for value in values.as_array()? {
            pairs.push((name.clone(), scalar(value)?));
        }
    }
    for (name, value) in reply.headers.unwrap_or_default() {
        let pair = (name, scalar(&value)?);
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    let mut headers = passed_on(pairs);
    default_type(&mut headers, "application/json");
    let text = reply.body.unwrap_or_default();
    let is_encoded = is_binary && reply.is_base64_encoded == Some(true);
    let body = if is_encoded { STANDARD.decode(text).ok()?.into() } else { text.into() };
    Some(Reply { status, headers, body })
}

fn http(payload: &[u8]) -> Option<Reply> {
    let reply: Value = serde_json::from_slice(payload).ok()?;
    let Some(code) = reply.get("statusCode") else {
        let body = reply.as_str().map_or_else(|| reply.to_string(), str::to_owned);
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        return Some(Reply { status: 200, headers, body: body.into() });
    };
    let status = status(code)?;
    let mut pairs = Vec::new();
    if let Some(headers) = reply.get("headers").filter(|headers| !headers.is_null()) {
        for (name, value) in headers.as_object()? {
            pairs.push((name.clone(), scalar(value)?));
        }
    }
    let mut headers = passed_on(pairs);
    default_type(&mut headers, "text/plain;charset=UTF-8");
    if let Some(cookies) = reply.get("cookies").filter(|cookies| !cookies.is_null()) {
        for cookie in cookies.as_array()? {
            headers.push(("set-cookie".to_owned(), cookie.as_str()?.to_owned()));
        }
    }
    let text = match reply.get("body") {
        None | Some(Value::Null) => "",
        Some(body) => body.as_str()?,
    };
    let body = match reply.get("isBase64Encoded") {
        Some(Value::Bool(true)) => Bytes::from(STANDARD.decode(text).ok()?),
        None | Some(Value::Bool(false) | Value::Null) => Bytes::from(text.to_owned()),
        Some(_) => return None,
    };
    Some(Reply { status, headers, body })
}

fn status(code: &Value) -> Option<u16> {
    match code {
        Value::Number(number) => number.as_u64().and_then(|code| u16::try_from(code).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn passed_on(pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    let renamed = pairs.into_iter().filter_map(|(name, value)| {
        let lower = name.to_ascii_lowercase();
        if DROPPED.contains(&lower.as_str()) {
            return None;
        }
        if REMAPPED.contains(&lower.as_str()) {
            return Some((format!("x-amzn-Remapped-{name}"), value));
        }
        Some((name, value))
    });
    renamed.collect()
}

fn default_type(headers: &mut Vec<(String, String)>, content_type: &str) {
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), content_type.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: ApiKind, reply: &Value) -> Result<Reply, Kind> {
        Reply::from_function(&api(kind), None, reply.to_string().as_bytes())
    }

    fn api(kind: ApiKind) -> Api {
        let stack = crate::lambda::tests::stack(Vec::new());
        Api { kind, binary_media_types: vec!["image/png".to_owned()], ..stack.api }
    }

    fn header(reply: &Reply, name: &str) -> Vec<String> {
        let found = reply.headers.iter().filter(|(each, _)| each.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).collect()
    }

    #[test]
    fn a_rest_api_refuses_every_reply_that_is_not_of_format_1() {
        assert!(read(ApiKind::Rest, &json!({ "statusCode": 200 })).is_ok());
        let numeric =
            json!({ "statusCode": "201", "headers": { "a": 1, "b": true }, "isBase64Encoded": false });
        assert_eq!(read(ApiKind::Rest, &numeric).unwrap().status, 201);
        for bad in [
            json!("text"),
            json!({}),
            json!({ "statusCode": 99 }),
            json!({ "statusCode": 600 }),
            json!({ "statusCode": 200.5 }),
            json!({ "statusCode": null }),
            json!({ "statusCode": 200, "body": { "a": 1 } }),
            json!({ "statusCode": 200, "headers": { "a": {} } }),
            json!({ "statusCode": 200, "headers": { "a b": "1" } }),
            json!({ "statusCode": 200, "headers": { "a": "1\n2" } }),
            json!({ "statusCode": 200, "multiValueHeaders": { "a": "1" } }),
            json!({ "statusCode": 200, "isBase64Encoded": "no" }),
            json!({ "statusCode": 200, "more": 1 }),
        ] {
            assert_eq!(read(ApiKind::Rest, &bad), Err(Kind::Integration), "{bad}");
        }
        assert_eq!(Reply::from_function(&api(ApiKind::Rest), None, b"{"), Err(Kind::Integration));
    }

    #[test]
    fn a_rest_api_decodes_what_a_client_wants_as_bytes_first() {
        let encoded = json!({ "statusCode": 200, "body": "/w==", "isBase64Encoded": true });
        for (accept, body) in [
            (Some("image/png"), Some(&b"\xff"[..])),
            (Some("IMAGE/PNG;q=1, */*"), Some(&b"\xff"[..])),
            (Some("*/*, image/png"), Some(&b"/w=="[..])),
            (None, Some(&b"/w=="[..])),
        ] {
            let payload = encoded.to_string();
            let reply = Reply::from_function(&api(ApiKind::Rest), accept, payload.as_bytes()).ok();
            assert_eq!(reply.as_ref().map(|reply| &*reply.body), body, "{accept:?}");
        }
        let broken = json!({ "statusCode": 200, "body": "?", "isBase64Encoded": true }).to_string();
        let reply = Reply::from_function(&api(ApiKind::Rest), Some("image/png"), broken.as_bytes());
        assert_eq!(reply, Err(Kind::Integration));
    }

    #[test]
    fn a_functions_challenge_is_renamed_and_hop_headers_are_dropped() {
        for kind in [ApiKind::Rest, ApiKind::Http] {
            let headers =
                json!({ "WWW-Authenticate": "Bearer", "Server": "x", "Transfer-Encoding": "chunked" });
            let reply = read(kind, &json!({ "statusCode": 401, "headers": headers })).unwrap();
            assert_eq!(header(&reply, "www-authenticate"), Vec::<String>::new());
            assert_eq!(header(&reply, "x-amzn-remapped-www-authenticate"), ["Bearer"]);
            assert_eq!(header(&reply, "x-amzn-remapped-server"), ["x"]);
            assert_eq!(header(&reply, "transfer-encoding"), Vec::<String>::new());
        }
    }

    #[test]
    fn a_rest_api_merges_both_header_maps_and_does_not_decode() {
        let reply = json!({
            "statusCode": 200,
            "headers": { "a": "1", "b": "2" },
            "multiValueHeaders": { "a": ["1", "3"] },
            "body": "aGk=",
            "isBase64Encoded": true,
        });
        let reply = read(ApiKind::Rest, &reply).unwrap();
        assert_eq!(header(&reply, "a"), ["1", "3"]);
        assert_eq!(header(&reply, "b"), ["2"]);
        assert_eq!(header(&reply, "content-type"), ["application/json"]);
        assert_eq!(reply.body, "aGk=");
    }

    #[test]
    fn an_http_api_reads_format_2() {
        let reply = json!({
            "statusCode": 200,
            "headers": { "a": "1" },
            "multiValueHeaders": {},
            "cookies": ["x=1", "y=2"],
            "body": "aGk=",
            "isBase64Encoded": true,
        });
        let reply = read(ApiKind::Http, &reply).unwrap();
        assert_eq!(header(&reply, "set-cookie"), ["x=1", "y=2"]);
        assert_eq!(reply.body, "hi");
        let inferred = read(ApiKind::Http, &json!({ "a": 1 })).unwrap();
        assert_eq!((inferred.status, &inferred.body[..]), (200, &br#"{"a":1}"#[..]));
        for bad in [
            json!({ "statusCode": 200, "body": 1 }),
            json!({ "statusCode": 200, "body": "%", "isBase64Encoded": true }),
            json!({ "statusCode": 200, "headers": [] }),
            json!({ "statusCode": "x" }),
        ] {
            assert_eq!(read(ApiKind::Http, &bad), Err(Kind::Integration), "{bad}");
        }
    }
}
