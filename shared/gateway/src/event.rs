//! The check of a raw event, which stands before every conversion: what passes it cannot make `lambda_http` panic.

mod headers;
mod parameters;
mod raw;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Method, StatusCode};
use insula_tenancy::{Bearer, Denial, EventKind, Evidence};
use serde_json::{Value, value::RawValue};

use self::raw::{Entries, Raw, RawAuthorizer, Text};
use crate::reply::Reply;

/// Most bytes of a body, after base64.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of a path, and of a query. `http::Uri` ends at 64 KiB, and each byte may become three of them.
pub(crate) const TARGET_BYTES_MAX: usize = 8 * 1024;

/// A known kind of event, not yet checked.
pub(crate) struct Event<'a> {
    pub(crate) kind: EventKind,
    raw: Raw<'a>,
}

/// What an event says once all of it is in order.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) evidence: Evidence,
    pub(crate) bearer_denial: Option<Denial>,
    pub(crate) method: Method,
    pub(crate) route: String,
    pub(crate) path: String,
    pub(crate) request_id: Option<String>,
    pub(crate) origin: Option<String>,
}

/// The event is none of API Gateway's HTTP events, so there is no reply that its sender would understand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Foreign(pub(crate) &'static str);

/// An event that is refused before a handler sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It breaks a grammar.
    Malformed(&'static str),
    /// Its body has so many bytes, over [`BODY_BYTES_MAX`].
    Body(usize),
    /// Its path or its query has so many bytes, over [`TARGET_BYTES_MAX`].
    Target(&'static str, usize),
    /// Its headers are over [`headers::BYTES_MAX`] or [`headers::COUNT_MAX`].
    Headers {
        /// How many there are.
        count: usize,
        /// Bytes of all of them.
        bytes: usize,
    },
}

impl Refusal {
    pub(crate) fn reply(&self) -> Reply {
        match self {
            Self::Malformed(detail) => Reply::details(StatusCode::BAD_REQUEST, "invalid", detail),
            Self::Body(bytes) => {
                let detail = format!("the body has {bytes} bytes, and at most {BODY_BYTES_MAX} are allowed");
                Reply::details(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &detail)
            }
            Self::Target(what, bytes) => {
                let detail =
                    format!("the {what} has {bytes} bytes, and at most {TARGET_BYTES_MAX} are allowed");
                Reply::details(StatusCode::URI_TOO_LONG, "too_large", &detail)
            }
            Self::Headers { count, bytes } => {
                let detail = format!(
                    "{count} headers of {bytes} bytes, and at most {} of {} bytes are allowed",
                    headers::COUNT_MAX,
                    headers::BYTES_MAX
                );
                Reply::details(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too_large", &detail)
            }
        }
    }
}

impl<'a> Event<'a> {
    /// Reads an event and tells its kind. A REST API's events say no version; those of an HTTP API with payload 1.0 say 1.0.
    ///
    /// # Errors
    /// [`Foreign`] for what is not JSON, repeats a key, or is no event of a REST or HTTP API.
    pub(crate) fn read(text: &'a str) -> Result<Self, Foreign> {
        let Ok(raw) = serde_json::from_str::<Raw<'a>>(text) else {
            return Err(Foreign(
                "not an event of API Gateway: a field is missing, repeated or of another type",
            ));
        };
        let context = &raw.request_context;
        if context.elb.is_some() || context.connection_id.is_some() || context.event_type.is_some() {
            return Err(Foreign("an event of a load balancer or of a WebSocket API"));
        }
        let rest = raw.http_method.is_some() && raw.resource.is_some() && context.http.is_none();
        let http = raw.route_key.is_some() && raw.resource.is_none() && context.http.is_some();
        let kind = match raw.version.as_ref().map(|version| &*version.0) {
            None | Some("1.0") if rest => EventKind::V1,
            Some("2.0") if http => EventKind::V2,
            _ => return Err(Foreign("not an event of a REST API (1.0) or of an HTTP API (2.0)")),
        };
        Ok(Self { kind, raw })
    }

    /// Whether API Gateway asks an authorizer, and not the function of a route.
    pub(crate) fn asks_an_authorizer(&self) -> bool {
        self.raw.type_name.as_ref().is_some_and(|name| name.0 == "REQUEST")
    }

    /// `methodArn` of an authorizer's event 1.0.
    pub(crate) fn method_arn(&self) -> Option<&str> {
        self.raw.method_arn.as_ref().map(|arn| &*arn.0)
    }

    /// Checks all that the conversion, the kernel or a handler will read.
    ///
    /// # Errors
    /// [`Refusal`], for the first thing that is not in order.
    pub(crate) fn check(&self, lambda_tenant: Option<&str>) -> Result<Checked, Refusal> {
        let headers = headers::check(&self.raw)?;
        let path = self.path()?;
        self.check_query()?;
        self.check_body()?;
        let method = match self.kind {
            EventKind::V1 => self.raw.http_method.as_ref(),
            EventKind::V2 => self.raw.request_context.http.as_ref().map(|http| &http.method),
        };
        let method = method.and_then(|method| Method::from_bytes(method.0.as_bytes()).ok());
        let route = self.route(path)?;
        let (authorizer, jwt_claims) = self.authorizer()?;
        let (bearer, bearer_denial) = match headers.authorization {
            None => (None, None),
            Some(read) => match read.and_then(Bearer::from_authorization) {
                Ok(bearer) => (Some(bearer), None),
                Err(denial) => (None, Some(denial)),
            },
        };
        let context = &self.raw.request_context;
        let owned = |text: &Option<Text<'_>>| text.as_ref().map(Text::owned);
        let evidence = Evidence {
            event: self.kind,
            domain_name: owned(&context.domain_name),
            api_id: owned(&context.api_id),
            path_tenant: self.path_tenant(&route)?,
            authorizer,
            jwt_claims,
            lambda_tenant: lambda_tenant.map(str::to_owned),
            bearer,
        };
        Ok(Checked {
            evidence,
            bearer_denial,
            method: method.ok_or(Refusal::Malformed("the method is none of HTTP's grammar"))?,
            route: route.into_owned(),
            path: path.to_owned(),
            request_id: owned(&context.request_id),
            origin: headers.origin.map(str::to_owned),
        })
    }

    fn path(&self) -> Result<&str, Refusal> {
        let path = match self.kind {
            EventKind::V1 => &self.raw.path,
            EventKind::V2 => &self.raw.raw_path,
        };
        let path = path.as_ref().map_or("", |path| &*path.0);
        if path.len() > TARGET_BYTES_MAX {
            return Err(Refusal::Target("path", path.len()));
        }
        if !path.starts_with('/') || path.chars().any(char::is_control) {
            return Err(Refusal::Malformed("the path does not begin with / or has a control character"));
        }
        Ok(path)
    }

    /// An HTTP API hands on the query as it was sent; a REST API hands on its parts, decoded, which may hold anything.
    fn check_query(&self) -> Result<(), Refusal> {
        let raw = self.raw.raw_query_string.as_ref().map_or("", |query| &*query.0);
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'#' | b'<' | b'>');
        let one = self.raw.query_string_parameters.iter().flat_map(|query| &query.0);
        let many = self.raw.multi_value_query_string_parameters.iter().flat_map(|query| &query.0);
        // Two for the `=` and the `&` of each value, so that many empty ones count as well.
        let pair_bytes = |name: &str, value: &str| name.len().saturating_add(value.len()).saturating_add(2);
        let one_bytes =
            one.fold(0_usize, |sum, (name, value)| sum.saturating_add(pair_bytes(name, &value.0)));
        let many_bytes = many
            .flat_map(|(name, values)| values.iter().map(move |value| pair_bytes(name, &value.0)))
            .fold(0_usize, usize::saturating_add);
        let bytes = raw.len().max(one_bytes).max(many_bytes);
        if bytes > TARGET_BYTES_MAX {
            return Err(Refusal::Target("query", bytes));
        }
        if raw.bytes().all(plain) {
            Ok(())
        } else {
            Err(Refusal::Malformed("the query has a character that must be percent-encoded"))
        }
    }

    fn check_body(&self) -> Result<(), Refusal> {
        let body = self.raw.body.as_ref().map_or("", |body| &*body.0);
        let encoded = self.raw.is_base64_encoded == Some(true);
        let text_bytes_max =
            if encoded { BODY_BYTES_MAX.div_ceil(3).saturating_mul(4) } else { BODY_BYTES_MAX };
        if body.len() > text_bytes_max {
            // Four characters are three bytes; what fills up the last four is none.
            let characters = if encoded { body.trim_end_matches('=').len() } else { body.len() };
            let bytes = if encoded { characters.saturating_mul(3).div_euclid(4) } else { characters };
            return Err(Refusal::Body(bytes));
        }
        if !encoded {
            return Ok(());
        }
        match STANDARD.decode(body) {
            Ok(bytes) if bytes.len() > BODY_BYTES_MAX => Err(Refusal::Body(bytes.len())),
            Ok(_) => Ok(()),
            Err(_) => Err(Refusal::Malformed("the body is not the base64 that it is said to be")),
        }
    }

    /// The path template: API Gateway chose it by its own routes, where a path is what the client wrote.
    fn route(&self, path: &str) -> Result<Cow<'_, str>, Refusal> {
        let context = &self.raw.request_context;
        let (outer, inner) = match self.kind {
            EventKind::V1 => (&self.raw.resource, &context.resource_path),
            EventKind::V2 => (&self.raw.route_key, &context.route_key),
        };
        match (outer, inner) {
            (Some(outer), Some(inner)) if outer != inner => {
                Err(Refusal::Malformed("the event names two routes"))
            }
            (Some(_), _) if self.is_watched() => self.watched_route(path).map(Cow::Owned),
            (Some(route), _) if self.kind == EventKind::V2 => {
                Ok(route.0.split_once(' ').map_or(&*route.0, |(_, template)| template).into())
            }
            (Some(route), _) => Ok((*route.0).into()),
            (None, _) => Err(Refusal::Malformed("the event names no route")),
        }
    }

    fn path_tenant(&self, route: &str) -> Result<Option<String>, Refusal> {
        if !route.split('/').any(|part| part == "{tenant}") {
            return Ok(None);
        }
        let tenant = self.raw.path_parameters.as_ref().and_then(|parameters| parameters.0.get("tenant"));
        tenant
            .map(|tenant| Some(tenant.owned()))
            .ok_or(Refusal::Malformed("the event lacks the path parameter of its route"))
    }

    fn authorizer(&self) -> Result<(Option<Context>, Option<Context>), Refusal> {
        let Some(authorizer) = self.raw.request_context.authorizer else { return Ok((None, None)) };
        match self.kind {
            EventKind::V1 => Ok((context(parse(authorizer)?)?, None)),
            EventKind::V2 => {
                let authorizer: RawAuthorizer<'_> = parse(authorizer)?;
                let lambda = authorizer.lambda.map(context).transpose()?.flatten();
                let claims = authorizer.jwt.and_then(|jwt| jwt.claims);
                let claims = claims.map(|Entries(claims)| {
                    claims.iter().map(|(name, value)| (name.clone().into_owned(), value.owned())).collect()
                });
                Ok((lambda, claims))
            }
        }
    }
}

type Context = BTreeMap<String, String>;

fn parse<'a, T: serde::Deserialize<'a>>(authorizer: &'a RawValue) -> Result<T, Refusal> {
    serde_json::from_str(authorizer.get()).map_err(|_err| BAD_AUTHORIZER)
}

const BAD_AUTHORIZER: Refusal = Refusal::Malformed("the authorizer's context is not flat, or repeats a key");

/// What our authorizer said: without what API Gateway adds to it, and `None` if that is nothing.
fn context(Entries(entries): Entries<'_, Value>) -> Result<Option<Context>, Refusal> {
    const OF_API_GATEWAY: [&str; 3] = ["claims", "principalId", "integrationLatency"];
    let mut context = Context::new();
    for (name, value) in entries.into_iter().filter(|(name, _)| !OF_API_GATEWAY.contains(&&**name)) {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => return Err(BAD_AUTHORIZER),
        };
        context.insert(Cow::into_owned(name), text);
    }
    Ok((!context.is_empty()).then_some(context))
}
