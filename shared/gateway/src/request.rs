//! A request whose event has passed the check.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use insula_tenancy::{Denial, EventKind, Evidence, Problem};
use lambda_http::{Body, request::LambdaRequest};
use lambda_runtime::Context;
use tokio::time::Instant;

use crate::{
    event::{Checked, Event, Refusal},
    guard,
};

/// One HTTP request. Its `Debug` shows neither headers, body nor path.
pub struct Request {
    /// All that can name a tenant, with the bearer token.
    pub evidence: Evidence,
    /// Why there is no bearer token although there is an `Authorization` header; for the log and the challenge.
    pub bearer_denial: Option<Denial>,
    /// The method.
    pub method: Method,
    /// The path template of API Gateway's route, for instance `/{tenant}/mcp`; `$default` where it has only that.
    pub route: String,
    /// The path as the client sent it, which decides nothing.
    pub path: String,
    /// What the variables of the route stand for, decoded; without `tenant`, which is evidence.
    pub parameters: BTreeMap<String, String>,
    /// The query, decoded, each name once; or what is wrong with it, for a handler that reads it.
    pub query: Result<BTreeMap<String, String>, &'static str>,
    /// The headers without `Authorization` and `Cookie`: the token is in the evidence only, and cookies are never read.
    pub headers: HeaderMap,
    /// At most 1 MiB.
    pub body: Bytes,
    /// API Gateway's request id, else Lambda's.
    pub request_id: String,
    /// The X-Ray trace id.
    pub trace_id: Option<String>,
    /// When the handler is cut off: Lambda's deadline less 500 ms.
    pub deadline: Instant,
    /// The `Origin` header, which only browsers send.
    pub origin: Option<String>,
}

impl Request {
    /// Checks the event, and only then converts it.
    pub(crate) fn read(event: &Event<'_>, text: &str, context: &Context) -> Result<Self, Refusal> {
        let checked = event.check(context.tenant_id.as_deref())?;
        if event.asks_an_authorizer() {
            return Err(Refusal::Malformed("the event is for an authorizer"));
        }
        let parameters = event.parameters(&checked.route)?;
        let (parts, body) = convert(event.kind, text)?.into_parts();
        let Checked { evidence, bearer_denial, method, route, path, request_id, origin } = checked;
        let mut headers = parts.headers;
        headers.remove(header::AUTHORIZATION);
        headers.remove(header::COOKIE);
        Ok(Self {
            evidence,
            bearer_denial,
            method,
            route,
            path,
            parameters,
            query: event.query(),
            headers,
            body: match body {
                Body::Text(text) => text.into(),
                Body::Binary(bytes) => bytes.into(),
                other => Bytes::copy_from_slice(&other),
            },
            request_id: request_id.unwrap_or_else(|| context.request_id.clone()),
            trace_id: context.xray_trace_id.clone(),
            deadline: guard::deadline(context),
            origin,
        })
    }
}

impl Request {
    /// The client's own key for this operation, if it sent one (draft-ietf-httpapi-idempotency-key-header).
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a key of other than 1 to 128 visible characters, and for two keys.
    pub fn idempotency_key(&self) -> Result<Option<&str>, Problem> {
        let wrong = |has: &str| Problem::Invalid {
            detail: format!("Idempotency-Key: 1 to 128 visible characters, and this has {has}"),
        };
        let mut values = self.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Problem::Invalid { detail: "Idempotency-Key: it comes more than once".to_owned() });
        }
        if !(1..=128).contains(&value.len()) {
            return Err(wrong(&value.len().to_string()));
        }
        value.to_str().map(Some).map_err(|_invisible| wrong("others"))
    }
}

/// The conversion by `lambda_http`, told the kind of event: left alone it takes the first type that fits.
fn convert(kind: EventKind, text: &str) -> Result<lambda_http::Request, Refusal> {
    let event = match kind {
        EventKind::V1 => serde_json::from_str(text).map(LambdaRequest::ApiGatewayV1),
        EventKind::V2 => serde_json::from_str(text).map(LambdaRequest::ApiGatewayV2),
    };
    event
        .map(lambda_http::Request::from)
        .map_err(|_err| Refusal::Malformed("a field of the event is missing or of another type"))
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("route", &self.route)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}
