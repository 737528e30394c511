//! A client's request, read within API Gateway's limits.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::time::timeout;
use uuid::Uuid;

use crate::gateway::head::Headers;
use crate::gateway::refusal::Kind;
use crate::lambda;
use crate::template::{ApiKind, Stack};

/// Request line and headers together. Source: the quotas of REST and HTTP APIs.
const HEAD_BYTES_MAX: usize = 10_240;

/// The payload. Source: the quotas of REST and HTTP APIs.
const BODY_BYTES_MAX: u64 = 10_485_760;

/// How long a client may take for its body.
const BODY_TIMEOUT: Duration = Duration::from_millis(if cfg!(test) { 400 } else { 30_000 });

/// Headers that API Gateway does not pass to a Lambda integration. Source: the table in the important notes
/// on REST APIs.
const DROPPED: [&str; 14] = [
    "connection",
    "content-md5",
    "expect",
    "keep-alive",
    "max-forwards",
    "proxy-authenticate",
    "proxy-connection",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
    "x-amzn-trace-id",
];

/// What names a request in its reply and in its event.
#[derive(Debug)]
pub(super) struct Ids {
    pub(super) request: String,
    /// The form of `extendedRequestId`, and of an HTTP API's request id.
    pub(super) extended: String,
    pub(super) trace: String,
}

impl Ids {
    pub(super) fn new(headers: Option<&Headers>) -> Self {
        let sent = headers.and_then(|headers| {
            let mut found = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-amzn-trace-id"));
            let value = std::str::from_utf8(&found.next()?.1).ok()?;
            (value.starts_with("Root=1-") && value.is_ascii()).then(|| value.to_owned())
        });
        let extended = STANDARD.encode(Uuid::new_v4().as_bytes().first_chunk::<11>().unwrap_or(&[0; 11]));
        Self { request: Uuid::new_v4().to_string(), extended, trace: sent.unwrap_or_else(lambda::trace_id) }
    }
}

/// Where the request came from and where it arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
}

/// A request that is within all limits.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// As sent to a REST API; decoded by an HTTP API, see [`Request::seen_by`].
    pub(super) path: String,
    /// As sent, without the question mark.
    pub(super) query: String,
    /// The host's name in lower case, without the port.
    pub(super) domain: String,
    /// In the client's letters and order, then those that API Gateway adds.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) protocol: String,
    pub(super) source_ip: String,
    pub(super) time: OffsetDateTime,
    pub(super) ids: Ids,
}

impl Request {
    /// Reads a request whole. The host is checked before the body is read.
    pub(super) async fn read(
        request: http::Request<Incoming>,
        headers: Option<Headers>,
        ids: Ids,
        ends: Ends,
        is_served: impl Fn(&str) -> bool,
    ) -> Result<Self, (Kind, Ids)> {
        let headers = match check(&request, headers) {
            Ok(headers) => headers,
            Err(kind) => return Err((kind, ids)),
        };
        let Some(domain) = domain(&headers) else { return Err((Kind::BadRequest, ids)) };
        if !is_served(&domain) {
            return Err((Kind::UnknownHost, ids));
        }
        let method = request.method().to_string();
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let protocol = format!("{:?}", request.version());
        let body = match timeout(BODY_TIMEOUT, read_body(request.into_body())).await {
            Ok(Ok(body)) => body,
            Ok(Err(kind)) => return Err((kind, ids)),
            Err(_) => return Err((Kind::SlowBody, ids)),
        };
        let headers = passed_on(headers, &ids, ends);
        let source_ip = ends.client.ip().to_string();
        let time = OffsetDateTime::now_utc();
        Ok(Self { method, path, query, domain, headers, body, protocol, source_ip, time, ids })
    }

    /// The request as this kind of API sees it. A REST API finds its route by the path as it was sent, and hands that on
    /// with its parameters. An HTTP API decodes the path first, and what then follows a question mark is lost.
    /// Source: "Create routes for HTTP APIs", and the events in aws/aws-sam-cli#771, fastify/aws-lambda-fastify#169
    /// and middleapi/standard-server#93.
    pub(super) fn seen_by(mut self, kind: ApiKind) -> Self {
        if kind == ApiKind::Http {
            let decoded = percent_decode_str(&self.path).decode_utf8_lossy();
            self.path = decoded.split('?').next().unwrap_or_default().to_owned();
        }
        self
    }

    /// Every value of a header, in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.headers.iter().filter(move |(each, _)| each.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a header joined by commas, as API Gateway reads an identity source.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self.all(name).collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    /// `12/Mar/2020:19:03:58 +0000`.
    pub(super) fn clf_time(&self) -> String {
        let form = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
        self.time.format(form).unwrap_or_default()
    }

    /// Milliseconds since 1970.
    pub(super) fn epoch_ms(&self) -> i64 {
        i64::try_from(self.time.unix_timestamp_nanos().saturating_div(1_000_000)).unwrap_or_default()
    }

    /// The `requestContext` of an event: what one payload format has of its own, with what both have.
    pub(super) fn context(&self, stack: &Stack, mut own: Value) -> Value {
        if let Some(context) = own.as_object_mut() {
            let mut put = |name: &str, value: &str| context.insert(name.to_owned(), value.into());
            put("accountId", &stack.account);
            put("apiId", &stack.api.id);
            put("domainName", &self.domain);
            put("domainPrefix", self.domain.split('.').next().unwrap_or_default());
            put("stage", &stack.api.stage);
        }
        own
    }
}

fn check(request: &http::Request<Incoming>, headers: Option<Headers>) -> Result<Headers, Kind> {
    let headers = headers.filter(|headers| headers.len() == request.headers().len());
    let headers = headers.ok_or(Kind::BadRequest)?;
    let uri = request.uri();
    // Only the origin form: an absolute one would name a second host.
    if uri.authority().is_some() || !uri.path().starts_with('/') {
        return Err(Kind::BadRequest);
    }
    let line = uri.path().len().saturating_add(uri.query().map_or(0, str::len));
    let fields = headers.iter().map(|(name, value)| name.len().saturating_add(value.len()));
    if fields.fold(line, usize::saturating_add) > HEAD_BYTES_MAX {
        return Err(Kind::HeadTooLarge);
    }
    if request.body().size_hint().lower() > BODY_BYTES_MAX {
        return Err(Kind::BodyTooLarge);
    }
    Ok(headers)
}

/// None unless there is exactly one Host, a name or a name and a port.
fn domain(headers: &Headers) -> Option<String> {
    let mut hosts = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let (Some((_, host)), None) = (hosts.next(), hosts.next()) else { return None };
    let host = std::str::from_utf8(host).ok()?;
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let is_port = |port: &str| port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_none_or(is_port) {
        return None;
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' || byte == b'_';
    (!name.is_empty() && name.bytes().all(known)).then(|| name.to_ascii_lowercase())
}

async fn read_body(body: Incoming) -> Result<Bytes, Kind> {
    let limit = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(err) if err.is::<http_body_util::LengthLimitError>() => Err(Kind::BodyTooLarge),
        Err(_) => Err(Kind::BadRequest),
    }
}

fn passed_on(headers: Headers, ids: &Ids, ends: Ends) -> Vec<(String, String)> {
    let forwarded = ["x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"];
    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    let mut addresses = Vec::new();
    let mut passed = Vec::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        if lower == "x-forwarded-for" {
            addresses.push(text(value));
        } else if !DROPPED.contains(&lower.as_str()) && !forwarded.contains(&lower.as_str()) {
            passed.push((name, text(value)));
        }
    }
    addresses.push(ends.client.ip().to_string());
    passed.push(("X-Amzn-Trace-Id".to_owned(), ids.trace.clone()));
    passed.push(("X-Forwarded-For".to_owned(), addresses.join(", ")));
    passed.push(("X-Forwarded-Port".to_owned(), ends.server.port().to_string()));
    passed.push(("X-Forwarded-Proto".to_owned(), "http".to_owned()));
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(value: &str) -> Option<String> {
        domain(&vec![("hOST".to_owned(), value.as_bytes().to_vec())])
    }

    #[test]
    fn the_domain_name_has_no_port_and_no_capitals() {
        assert_eq!(host("Acme.LOCALHOST:9000").as_deref(), Some("acme.localhost"));
        assert_eq!(host("localhost").as_deref(), Some("localhost"));
        for bad in ["", ":80", "a:", "a:+1", "a:99999", "a b", "a/b", "u@a", "[::1]:80", "a:1:2", "\u{e4}"] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_hosts_are_no_host() {
        let one = vec![("Host".to_owned(), b"a".to_vec())];
        assert!(domain(&one).is_some());
        let two = [one.clone(), vec![("host".to_owned(), b"a".to_vec())]].concat();
        assert_eq!(domain(&two), None);
    }
}
