//! What a client asks of an endpoint, read strictly: what is not known is refused, never passed over.

use std::{collections::BTreeMap, fmt, str::FromStr};

use bytes::Bytes;
use http::{HeaderMap, header};
use insula_tenancy::Problem;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Endpoint;
use crate::Request;

/// Arrays and objects of a body inside one another, at most.
const DEPTH_MAX: usize = 32;

/// What an endpoint takes as a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// None.
    Nothing,
    /// One JSON text of type `application/json`, or `application/merge-patch+json` for PATCH.
    Json,
    /// Bytes of one of these media types, without parameters.
    Bytes(&'static [&'static str]),
}

/// A request that an endpoint takes. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Ask {
    /// What the variables of the path stand for: never empty, not yet of any grammar.
    pub parameters: BTreeMap<&'static str, String>,
    /// The query, with names that the endpoint knows alone.
    pub query: BTreeMap<String, String>,
    /// The version of `If-Match`, if the client sent one.
    pub if_match: Option<u64>,
    /// The body, of the kind that the endpoint takes.
    pub body: Body,
}

/// A body.
#[derive(Clone)]
pub enum Body {
    /// None.
    Nothing,
    /// No object of it has a name twice, and nothing is deeper inside one another than 32.
    Json(Value),
    /// Bytes of a media type that the endpoint takes.
    Bytes {
        /// One of those that the endpoint takes.
        media_type: &'static str,
        /// At most 1 MiB.
        bytes: Bytes,
    },
}

impl Ask {
    pub(super) fn read(
        endpoint: &Endpoint,
        parameters: BTreeMap<&'static str, String>,
        request: &Request,
    ) -> Result<Self, Problem> {
        let query = request.query.clone().map_err(invalid)?;
        if let Some(unknown) = query.keys().find(|name| !endpoint.query.contains(&name.as_str())) {
            return Err(invalid(match endpoint.query {
                [] => format!("query: no parameters are known here, and {unknown:?} is one"),
                known => format!("query: {unknown:?} is none of {}", known.join(", ")),
            }));
        }
        let if_match = if_match(&request.headers)?;
        let body = body(endpoint.takes, request)?;
        Ok(Self { parameters, query, if_match, body })
    }

    /// What a variable of the path stands for.
    ///
    /// # Errors
    /// [`Problem::Internal`] for a variable that the endpoint's path has not.
    pub fn parameter(&self, name: &str) -> Result<&str, Problem> {
        let value = self.parameters.get(name).map(String::as_str);
        value.ok_or_else(|| Problem::internal("reading a path", format!("it has no variable {name}")))
    }

    /// A parameter of the query, in its own type.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a text that is none of this type.
    pub fn query_as<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let wrong = |err: T::Err| invalid(format!("query: {name}: {err}"));
        self.query.get(name).map(|text| text.parse().map_err(wrong)).transpose()
    }

    /// The version that the client has seen, for what must not be changed unseen.
    ///
    /// # Errors
    /// [`Problem::VersionRequired`] when the client sent none.
    pub fn version(&self) -> Result<u64, Problem> {
        self.if_match.ok_or(Problem::VersionRequired)
    }

    /// The body as it is.
    ///
    /// # Errors
    /// [`Problem::Internal`] for an endpoint that takes no JSON.
    pub fn value(&self) -> Result<&Value, Problem> {
        match &self.body {
            Body::Json(value) => Ok(value),
            _ => Err(Problem::internal("reading a body", "the endpoint takes no JSON")),
        }
    }

    /// The body in its own type, which refuses what it does not know.
    ///
    /// # Errors
    /// [`Problem::Invalid`] with the place of what does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_path_to_error::deserialize(self.value()?).map_err(|err| {
            invalid(match err.path().to_string().as_str() {
                "." => format!("body: {}", err.inner()),
                path => format!("body: `{path}`: {}", err.inner()),
            })
        })
    }

    /// One form of everything that was asked for, which tells whether two requests are the same.
    pub(super) fn canonical(&self) -> Result<Vec<u8>, Problem> {
        let (body, bytes) = match &self.body {
            Body::Nothing => (Value::Null, &[][..]),
            Body::Json(value) => (json!({ "json": value }), &[][..]),
            Body::Bytes { media_type, bytes } => (json!({ "type": media_type }), &bytes[..]),
        };
        let asked = json!({
            "parameters": self.parameters, "query": self.query, "if_match": self.if_match, "body": body,
        });
        let mut form =
            insula_json::canonical(&asked).map_err(|err| Problem::internal("reading a body", err))?;
        form.extend_from_slice(bytes);
        Ok(form)
    }
}

fn body(takes: Takes, request: &Request) -> Result<Body, Problem> {
    let (sent, headers) = (&request.body, &request.headers);
    match takes {
        Takes::Nothing if sent.is_empty() => Ok(Body::Nothing),
        Takes::Nothing => Err(invalid("body: none is taken here")),
        Takes::Json => {
            let types: &[&str] = match request.method {
                http::Method::PATCH => &["application/merge-patch+json", "application/json"],
                _ => &["application/json"],
            };
            media_type(headers, types)?;
            let value = insula_json::parse(sent, DEPTH_MAX);
            value.map(Body::Json).map_err(|err| invalid(format!("body: {err}")))
        }
        Takes::Bytes(types) => {
            let media_type = media_type(headers, types)?;
            if sent.is_empty() {
                return Err(invalid("body: at least one byte"));
            }
            Ok(Body::Bytes { media_type, bytes: sent.clone() })
        }
    }
}

/// The one of these types that the client says its body is of. JSON may be said to be in UTF-8, which it is.
fn media_type(headers: &HeaderMap, types: &[&'static str]) -> Result<&'static str, Problem> {
    let wrong = || invalid(format!("Content-Type: {} is expected here", types.join(" or ")));
    let said = one(headers, &header::CONTENT_TYPE).ok_or_else(wrong)?.ok_or_else(wrong)?;
    let said = said.to_ascii_lowercase();
    let (essence, parameter) = said.split_once(';').unwrap_or((&said, ""));
    let known = types.iter().find(|known| **known == essence.trim()).ok_or_else(wrong)?;
    let fits = match parameter.trim() {
        "" => true,
        "charset=utf-8" | "charset=\"utf-8\"" => known.ends_with("json"),
        _ => false,
    };
    fits.then_some(*known).ok_or_else(wrong)
}

/// One strong entity tag whose text is a version (RFC 9110 § 13.1.1). `*`, a list and a weak tag do not say which version
/// was seen.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let wrong = || invalid("If-Match: one ETag as it was given, such as \"7\"");
    let Some(said) = one(headers, &header::IF_MATCH) else { return Ok(None) };
    let tag = said.and_then(|text| text.strip_prefix('"')?.strip_suffix('"')).ok_or_else(wrong)?;
    let version: u64 = tag.parse().map_err(|_err| wrong())?;
    // One version has one spelling: `+7` and `07` are none.
    if version.to_string() == tag { Ok(Some(version)) } else { Err(wrong()) }
}

/// The text of a header that may come once: `Some(None)` if it comes twice or is no text.
fn one<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(first.to_str().ok().filter(|_| values.next().is_none()))
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::Invalid { detail: detail.into() }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask(…)")
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body(…)")
    }
}
