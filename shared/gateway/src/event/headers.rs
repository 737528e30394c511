//! The headers of an event: their grammar, their size, and the few that the check must read itself.

use http::{HeaderName, HeaderValue, header};
use insula_tenancy::Denial;
use url::Url;

use super::{
    Refusal,
    raw::{Raw, Text},
};

/// Most bytes of names and values. API Gateway lets 10,240 in and adds its own forwarding headers, so nothing that it
/// lets in is refused; and a bearer token of its most 8 KiB fits.
pub(crate) const BYTES_MAX: usize = 16 * 1024;
/// Most values of headers. `http::HeaderMap` panics at 32,768 names.
pub(crate) const COUNT_MAX: usize = 128;
/// Most bytes of a Host header: a DNS name (RFC 1035 § 2.3.4) and a port.
const HOST_BYTES_MAX: usize = 261;
/// Most bytes of an Origin header: a scheme, a DNS name and a port.
const ORIGIN_BYTES_MAX: usize = 512;

/// The headers that are read before the conversion.
pub(super) struct Read<'a> {
    pub(super) authorization: Option<Result<&'a str, Denial>>,
    pub(super) origin: Option<&'a str>,
}

/// Checks every header, in both forms in which an event may carry it.
pub(super) fn check<'a>(raw: &'a Raw<'_>) -> Result<Read<'a>, Refusal> {
    let one = raw.headers.iter().flat_map(|headers| &headers.0).map(|(name, value)| (&**name, &*value.0));
    let many = raw
        .multi_value_headers
        .iter()
        .flat_map(|headers| &headers.0)
        .flat_map(|(name, values)| values.iter().map(move |value| (&**name, &*value.0)));
    let one: Vec<_> = one.take(COUNT_MAX.saturating_add(1)).collect();
    let many: Vec<_> = many.take(COUNT_MAX.saturating_add(1)).collect();
    check_size(&one, raw.cookies.as_deref().unwrap_or_default())?;
    check_size(&many, &[])?;
    for (name, value) in one.iter().chain(&many) {
        check_grammar(name, value)?;
    }
    if let Some(domain) = &raw.request_context.domain_name {
        check_host(&domain.0)?;
    }
    if let Some(host) = only(&one, &many, &header::HOST) {
        check_host(host.ok_or(Refusal::Malformed("the Host header comes twice"))?)?;
    }
    let origin = only(&one, &many, &header::ORIGIN)
        .map(|origin| {
            let fits = |origin: &&str| origin.len() <= ORIGIN_BYTES_MAX && origin.is_ascii();
            origin.filter(fits).ok_or(Refusal::Malformed("the Origin header comes twice or is too long"))
        })
        .transpose()?;
    let authorization =
        only(&one, &many, &header::AUTHORIZATION).map(|value| value.ok_or(Denial::MalformedToken));
    Ok(Read { authorization, origin })
}

fn check_size(headers: &[(&str, &str)], cookies: &[Text<'_>]) -> Result<(), Refusal> {
    let of_headers = headers.iter().map(|(name, value)| name.len().saturating_add(value.len()));
    // Two for the "; " that joins cookies, so that many empty ones count as well.
    let of_cookies = cookies.iter().map(|cookie| cookie.0.len().saturating_add(2));
    let bytes = of_headers.chain(of_cookies).fold(0, usize::saturating_add);
    let count = headers.len();
    if count > COUNT_MAX || bytes > BYTES_MAX { Err(Refusal::Headers { count, bytes }) } else { Ok(()) }
}

fn check_grammar(name: &str, value: &str) -> Result<(), Refusal> {
    if HeaderName::from_bytes(name.as_bytes()).is_err() || HeaderValue::from_str(value).is_err() {
        return Err(Refusal::Malformed("a header has a character that HTTP does not allow"));
    }
    if name.eq_ignore_ascii_case("x-forwarded-proto") && !matches!(value, "http" | "https") {
        return Err(Refusal::Malformed("the X-Forwarded-Proto header is neither http nor https"));
    }
    Ok(())
}

/// Nothing is decided by a Host header; it only must not break the URL that the conversion makes of it.
fn check_host(host: &str) -> Result<(), Refusal> {
    // The name may be one that URLs refuse: a bad port, punycode that decodes to nothing, 999.999.999.999.
    let is_a_host = Url::parse(&format!("https://{host}/")).is_ok();
    // And the URL may keep a character, such as `{`, that `http::Uri` refuses: these are all that a host ever needs.
    let plain = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'[' | b']'));
    if !host.is_empty() && host.len() <= HOST_BYTES_MAX && plain && is_a_host {
        Ok(())
    } else {
        Err(Refusal::Malformed("the host is not a name or address with or without a port"))
    }
}

/// The value of a header that may come once: `None` if it doesn't come, `Some(None)` if it comes more than once. REST
/// API events carry each header in both maps, the second of which tells a repeated one.
fn only<'a>(
    one: &[(&'a str, &'a str)],
    many: &[(&'a str, &'a str)],
    wanted: &HeaderName,
) -> Option<Option<&'a str>> {
    let values = |headers: &[(&'a str, &'a str)]| -> Vec<&'a str> {
        headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_str()))
            .map(|(_, v)| *v)
            .collect()
    };
    match (values(one).as_slice(), values(many).as_slice()) {
        ([], []) => None,
        ([value], []) | ([], [value]) => Some(Some(value)),
        ([first], [second]) if first == second => Some(Some(first)),
        _ => Some(None),
    }
}
