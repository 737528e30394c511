//! What a browser's page of another origin may do: nothing, unless a tenant lists that exact origin.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use insula_tenancy::Problem;

use crate::{Reply, Request};

/// One list for all paths: a method that a path does not take is answered with 405, which a client in a browser must be
/// able to read.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
/// Listed by name, because a wildcard does not cover `Authorization` (Fetch standard, § 4.8).
const REQUEST_HEADERS: &str = "Authorization, Content-Type, MCP-Protocol-Version, Mcp-Method, Mcp-Name, \
                               Idempotency-Key, If-Match, Last-Event-ID";
/// The remapped name is how a REST API hands on the challenge of a function.
const REPLY_HEADERS: HeaderValue = HeaderValue::from_static(
    "WWW-Authenticate, x-amzn-remapped-www-authenticate, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Retry-After, \
     RateLimit, RateLimit-Policy, ETag, Location",
);
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("600");
/// Most headers `Mcp-Param-…` that one preflight allows: a tool has fewer arguments.
const PARAM_HEADERS_MAX: usize = 32;

/// The reply to `OPTIONS`, which needs no token: what the listed origins may send, and nothing for others.
#[must_use]
pub fn preflight(request: &Request, allowed: &[String]) -> Reply {
    let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    let reply = Reply::empty(StatusCode::NO_CONTENT).with(header::VARY, HeaderValue::from_static(vary));
    let Some(origin) = listed(request, allowed) else { return reply };
    let headers = HeaderValue::try_from(request_headers(&request.headers));
    reply
        .with(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)
        .with(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
        .with(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            headers.unwrap_or(HeaderValue::from_static(REQUEST_HEADERS)),
        )
        .with(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S)
}

/// The reply as a page of a listed origin may read it. Without `Access-Control-Allow-Credentials`: there are no cookies.
#[must_use]
pub fn expose(reply: Reply, request: &Request, allowed: &[String]) -> Reply {
    let reply = reply.with(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = listed(request, allowed) else { return reply };
    reply
        .with(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)
        .with(header::ACCESS_CONTROL_EXPOSE_HEADERS, REPLY_HEADERS)
}

/// Demands that the request comes from no browser's page, or from one of a listed origin. MCP (transports, § security)
/// wants 403 for others.
///
/// # Errors
/// [`Problem::Forbidden`] for another origin.
pub fn demand(request: &Request, allowed: &[String]) -> Result<(), Problem> {
    if request.origin.is_none() || listed(request, allowed).is_some() {
        return Ok(());
    }
    Err(Problem::Forbidden { detail: "this web origin is not one of the workspace's".to_owned() })
}

/// The origin, if it is in the list to the byte. `null` is what every sandboxed page says, so a list cannot mean it.
fn listed(request: &Request, allowed: &[String]) -> Option<HeaderValue> {
    let origin = request.origin.as_deref().filter(|origin| !matches!(*origin, "null" | "*" | ""))?;
    allowed.iter().find(|listed| *listed == origin).and_then(|listed| HeaderValue::try_from(listed).ok())
}

/// The fixed names, and those of tool arguments that this request asks for.
fn request_headers(headers: &HeaderMap) -> String {
    let asked = headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter();
    asked
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .filter(|name| name.as_str().strip_prefix("mcp-param-").is_some_and(|rest| !rest.is_empty()))
        .take(PARAM_HEADERS_MAX)
        .fold(REQUEST_HEADERS.to_owned(), |list, name| list + ", " + name.as_str())
}

#[cfg(test)]
mod tests;
