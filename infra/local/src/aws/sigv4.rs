//! Signature Version 4, verified: nothing unsigned and nothing altered reaches a service.
//!
//! Source: AWS, "Create a signed AWS API request".

use std::sync::Arc;

use aws_lc_rs::{constant_time, digest, hmac};
use http::request::Parts;

use super::sessions::{Session, Sessions};

/// How far a request's date may be from now.
const WINDOW_S: i64 = 300;

/// Why a request is not believed. The words are those of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// No `Authorization`, or not of this form.
    MissingAuthentication,
    /// Signed headers, dates or scope are not complete.
    IncompleteSignature,
    /// The key id or the session token is not known.
    UnknownToken,
    /// The session has ended.
    ExpiredToken,
    /// The date is too far away, or the signature is another.
    InvalidSignature,
}

impl Unsigned {
    /// AWS's error code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingAuthentication => "MissingAuthenticationTokenException",
            Self::IncompleteSignature => "IncompleteSignatureException",
            Self::UnknownToken => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::InvalidSignature => "InvalidSignatureException",
        }
    }
}

/// A request that a session signed, for one service.
#[derive(Debug)]
pub struct Signed {
    /// Who.
    pub session: Arc<Session>,
    /// The service in the signature's scope, for instance `dynamodb`.
    pub service: String,
}

struct Authorization<'a> {
    key_id: &'a str,
    scope: Scope<'a>,
    headers: Vec<&'a str>,
    signature: &'a str,
}

#[derive(Clone, Copy)]
struct Scope<'a> {
    day: &'a str,
    region: &'a str,
    service: &'a str,
}

/// Verifies a request: its session, its date, its signed headers and every byte of its body.
///
/// # Errors
/// The first reason not to believe it.
pub fn verify(head: &Parts, body: &[u8], sessions: &Sessions, region: &str) -> Result<Signed, Unsigned> {
    let authorization = header(head, "authorization")?.ok_or(Unsigned::MissingAuthentication)?;
    let claimed = Authorization::read(authorization).ok_or(Unsigned::MissingAuthentication)?;
    check_headers(head, &claimed.headers)?;
    let session = sessions.find(claimed.key_id).ok_or(Unsigned::UnknownToken)?;
    let token = header(head, "x-amz-security-token")?.ok_or(Unsigned::UnknownToken)?;
    if !same(token.as_bytes(), session.credentials.session_token.as_bytes()) {
        return Err(Unsigned::UnknownToken);
    }
    let date = header(head, "x-amz-date")?.ok_or(Unsigned::IncompleteSignature)?;
    check_date(date, &claimed.scope, region, sessions.now_s())?;
    let canonical = canonical_request(head, &claimed.headers, body)?;
    let Scope { day, region, service } = claimed.scope;
    let text =
        format!("AWS4-HMAC-SHA256\n{date}\n{day}/{region}/{service}/aws4_request\n{}", sha256(&canonical));
    let secret = format!("AWS4{}", session.credentials.secret_access_key);
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, part| mac(&key, part.as_bytes()));
    if !same(hex(&mac(&key, text.as_bytes())).as_bytes(), claimed.signature.as_bytes()) {
        return Err(Unsigned::InvalidSignature);
    }
    if session.credentials.expires_s <= sessions.now_s() {
        return Err(Unsigned::ExpiredToken);
    }
    let service = service.to_owned();
    Ok(Signed { session, service })
}

impl<'a> Authorization<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let fields = text.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let mut fields = fields.split(',').map(str::trim);
        let credential = fields.next()?.strip_prefix("Credential=")?;
        let headers = fields.next()?.strip_prefix("SignedHeaders=")?;
        let signature = fields.next()?.strip_prefix("Signature=")?;
        let mut scope = credential.split('/');
        let key_id = scope.next()?;
        let (day, region, service) = (scope.next()?, scope.next()?, scope.next()?);
        let whole = scope.next() == Some("aws4_request") && scope.next().is_none() && fields.next().is_none();
        let scope = Scope { day, region, service };
        whole.then(|| Self { key_id, scope, headers: headers.split(';').collect(), signature })
    }
}

/// What decides must be signed: the host, the date, the token, and every `x-amz-` header that is there.
fn check_headers(head: &Parts, signed: &[&str]) -> Result<(), Unsigned> {
    let must = |name: &str| name == "host" || name == "content-type" || name.starts_with("x-amz-");
    let there = head.headers.keys().map(http::HeaderName::as_str).filter(|name| must(name));
    let all = there.chain(["host", "x-amz-date", "x-amz-security-token"]).all(|name| signed.contains(&name));
    (all && signed.is_sorted()).then_some(()).ok_or(Unsigned::IncompleteSignature)
}

fn check_date(date: &str, scope: &Scope<'_>, region: &str, now_s: i64) -> Result<(), Unsigned> {
    let form = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let at = time::PrimitiveDateTime::parse(date, form).map_err(|_err| Unsigned::IncompleteSignature)?;
    if date.get(..8) != Some(scope.day) || scope.region != region {
        return Err(Unsigned::IncompleteSignature);
    }
    let distance_s = at.assume_utc().unix_timestamp().abs_diff(now_s);
    if distance_s <= WINDOW_S.unsigned_abs() { Ok(()) } else { Err(Unsigned::InvalidSignature) }
}

fn canonical_request(head: &Parts, signed: &[&str], body: &[u8]) -> Result<Vec<u8>, Unsigned> {
    let mut text =
        format!("{}\n{}\n{}\n", head.method, canonical_path(head.uri.path()), canonical_query(head));
    for name in signed {
        let value = header(head, name)?.ok_or(Unsigned::IncompleteSignature)?;
        text.push_str(&format!("{name}:{}\n", value.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    let payload = sha256(body);
    if header(head, "x-amz-content-sha256")?.is_some_and(|said| said != payload) {
        return Err(Unsigned::InvalidSignature);
    }
    text.push_str(&format!("\n{}\n{payload}", signed.join(";")));
    Ok(text.into_bytes())
}

/// The path as it was sent, encoded once more, as every service but S3 has it.
fn canonical_path(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/');
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn canonical_query(head: &Parts) -> String {
    let mut pairs: Vec<String> = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
        .collect();
    pairs.sort();
    pairs.join("&")
}

/// A header's one value: a header that stands twice is not one to sign.
fn header<'h>(head: &'h Parts, name: &str) -> Result<Option<&'h str>, Unsigned> {
    let mut values = head.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_err| Unsigned::IncompleteSignature),
        _ => Err(Unsigned::IncompleteSignature),
    }
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn same(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests;
