//! What goes back to the client, and the two forms in which API Gateway wants it.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use insula_tenancy::{EventKind, Fault, Problem, Quota, Reset};
use lambda_http::{
    Body,
    aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayV2httpResponse},
};
use serde::Serialize;

use crate::telemetry;

/// When a client may try again what was unavailable, or one call too many at once.
const RETRY_AFTER_S: u64 = 2;
/// When a client may try again what a move does not let it do.
const MOVED_AFTER_S: u64 = 60;

/// Bytes of a body as it is sent. Source: Lambda's limit of 6,291,556 for a reply, of which headers and envelopes get 64 KiB.
const REPLY_BYTES_MAX: usize = 6_291_556 - 64 * 1024;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// An HTTP reply. Its `Debug` shows neither headers nor body.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers. `Cache-Control: no-store` and `X-Content-Type-Options: nosniff` are added when it is sent.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Refuses a body that Lambda would not take. It is sent as a text in JSON, where quotes and backslashes are two bytes each.
///
/// # Errors
/// [`Problem::TooLarge`] with what it has when it is sent.
pub fn check_reply(body: &str) -> Result<(), Problem> {
    let escaped = body.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n')).count();
    let bytes = body.len().saturating_add(escaped);
    if bytes > REPLY_BYTES_MAX {
        return Err(Problem::TooLarge { what: "reply", bytes_max: REPLY_BYTES_MAX, bytes });
    }
    Ok(())
}

/// RFC 9457 problem details. The type is `about:blank`, so the title is the status's own phrase (§ 4.2.1).
#[derive(Serialize)]
struct Details<'a> {
    #[serde(rename = "type")]
    type_uri: &'static str,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    /// Every fault of a document.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<QuotaDetails<'a>>,
}

/// The quota that is used up.
#[derive(Serialize)]
struct QuotaDetails<'a> {
    kind: Cow<'static, str>,
    limit: u64,
    used: u64,
    /// RFC 3339, UTC; a quota of what is kept has none.
    resets_at: Option<String>,
    /// Whom to ask for more.
    contact: Option<&'a str>,
}

impl Reply {
    /// A reply without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A reply of JSON text.
    #[must_use]
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::of_type(status, "application/json", body.into())
    }

    /// A reply of plain text in UTF-8.
    #[must_use]
    pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::of_type(status, "text/plain; charset=utf-8", body.into())
    }

    /// A reply of bytes, which are of this media type.
    #[must_use]
    pub fn bytes(status: StatusCode, media_type: &'static str, body: Bytes) -> Self {
        Self::of_type(status, media_type, body)
    }

    /// The reply to a request that a problem ended: RFC 9457, with its challenge and time to retry. It also writes the
    /// problem's cause to the log, so it is called once.
    #[must_use]
    pub fn problem(problem: &Problem) -> Self {
        telemetry::record_problem(problem);
        let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let reply = Self::detailed(status, (problem.code(), &problem.to_string()), Some(problem));
        let reply = match problem.challenge() {
            None => reply,
            // A challenge that is no header value is an error in configuration: a plain one still says what to do.
            Some(challenge) => reply.with(
                header::WWW_AUTHENTICATE,
                HeaderValue::try_from(challenge).unwrap_or(HeaderValue::from_static("Bearer")),
            ),
        };
        match problem {
            Problem::QuotaReached(quota) => reply.limited(quota),
            Problem::Unavailable { .. } | Problem::Busy => {
                reply.with(header::RETRY_AFTER, RETRY_AFTER_S.into())
            }
            Problem::Moving => reply.with(header::RETRY_AFTER, MOVED_AFTER_S.into()),
            _ => reply,
        }
    }

    /// What is left of a quota that is used up, and when there is more. Source: draft-ietf-httpapi-ratelimit-headers.
    fn limited(self, quota: &Quota) -> Self {
        let (Quota { kind, limit, resets, .. }, left) = (quota, quota.remaining());
        let value = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        let reply = self.with(RATE_LIMIT_POLICY, value(format!("\"{kind}\";q={limit}")));
        match resets {
            Some(Reset { in_s, .. }) => reply
                .with(RATE_LIMIT, value(format!("\"{kind}\";r={left};t={in_s}")))
                .with(header::RETRY_AFTER, (*in_s).into()),
            None => reply.with(RATE_LIMIT, value(format!("\"{kind}\";r={left}"))),
        }
    }

    /// Lets any cache keep the reply: for documents that are the same for everybody.
    #[must_use]
    pub fn public(self, max_age_s: u32) -> Self {
        let value = HeaderValue::try_from(format!("public, max-age={max_age_s}"));
        self.with(header::CACHE_CONTROL, value.unwrap_or(NO_STORE))
    }

    /// The reply with one header set.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn details(status: StatusCode, code: &str, detail: &str) -> Self {
        Self::detailed(status, (code, detail), None)
    }

    fn detailed(status: StatusCode, (code, detail): (&str, &str), problem: Option<&Problem>) -> Self {
        let errors = match problem {
            Some(Problem::Faulty { faults, .. }) => faults.as_slice(),
            _ => &[],
        };
        let quota = match problem {
            Some(Problem::QuotaReached(quota)) => {
                let Quota { kind, limit, used, resets, contact } = &**quota;
                let (resets_at, contact) = (resets.as_ref().map(Reset::rfc3339), contact.as_deref());
                Some(QuotaDetails { kind: kind.word(), limit: *limit, used: *used, resets_at, contact })
            }
            _ => None,
        };
        let details = Details {
            type_uri: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            detail,
            errors,
            quota,
        };
        Self::of_type(
            status,
            "application/problem+json",
            serde_json::to_vec(&details).unwrap_or_default().into(),
        )
    }

    fn of_type(status: StatusCode, media_type: &'static str, body: Bytes) -> Self {
        Self { body, ..Self::empty(status) }.with(header::CONTENT_TYPE, HeaderValue::from_static(media_type))
    }

    /// The form that API Gateway wants, by the kind of event that it sent.
    pub(crate) fn encode(self, kind: EventKind) -> Encoded {
        let Self { status, mut headers, body } = self;
        headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let (body, is_base64_encoded) = match String::from_utf8(body.into()) {
            Ok(text) if text.is_empty() => (None, false),
            Ok(text) => (Some(Body::Text(text)), false),
            Err(binary) => (Some(Body::Binary(binary.into_bytes())), true),
        };
        match kind {
            EventKind::V1 => {
                let mut reply = ApiGatewayProxyResponse::default();
                reply.status_code = status.as_u16().into();
                reply.multi_value_headers = headers;
                reply.body = body;
                reply.is_base64_encoded = is_base64_encoded;
                Encoded::V1(reply)
            }
            EventKind::V2 => {
                let mut reply = ApiGatewayV2httpResponse::default();
                reply.status_code = status.as_u16().into();
                reply.headers = headers;
                reply.body = body;
                reply.is_base64_encoded = is_base64_encoded;
                Encoded::V2(reply)
            }
        }
    }
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A reply in API Gateway's form.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Encoded {
    V1(ApiGatewayProxyResponse),
    V2(ApiGatewayV2httpResponse),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}
