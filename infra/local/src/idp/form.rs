//! Parameters of a query or of a form body.

use hyper::header::{CONTENT_TYPE, HeaderMap};
use url::form_urlencoded;

/// Names and values in the order in which they came.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

/// A parameter that came more than once, which RFC 6749 § 3.1 forbids: two readers could take two values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated;

impl Form {
    pub(super) fn parse(bytes: &[u8]) -> Form {
        Form(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The one value; an empty one counts as none (RFC 6749 § 3.1).
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Repeated),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Whether the body is of this media type, whatever its parameters.
pub(super) fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent = sent.split(';').next().unwrap_or_default().trim();
    sent.eq_ignore_ascii_case(media_type)
}

pub(super) const FORM: &str = "application/x-www-form-urlencoded";
