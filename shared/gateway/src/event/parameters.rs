//! The parameters of a path and of a query, decoded exactly once, by API Gateway or here.

use std::{borrow::Cow, collections::BTreeMap};

use insula_tenancy::EventKind;
use percent_encoding::percent_decode_str;

use super::{Event, Refusal, TARGET_BYTES_MAX};

/// Names of a query, at most.
pub(crate) const QUERY_COUNT_MAX: usize = 32;

/// Decoded values by name.
pub(crate) type Parameters = BTreeMap<String, String>;

impl Event<'_> {
    /// What the variables of the route stand for, but for `tenant`, which is evidence and no handler's business.
    ///
    /// A REST API and `cargo lambda watch` hand them on as they were sent; an HTTP API decodes the path before it looks
    /// for a route.
    ///
    /// # Errors
    /// [`Refusal`] for a variable that the event lacks, and for one that is no percent-encoded plain text.
    pub(crate) fn parameters(&self, route: &str) -> Result<Parameters, Refusal> {
        let names = route.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let names = names.map(|name| name.strip_suffix('+').unwrap_or(name)).filter(|name| *name != "tenant");
        let sent = self.raw.path_parameters.as_ref();
        let mut parameters = Parameters::new();
        for name in names {
            let value = sent
                .and_then(|sent| sent.0.get(name))
                .ok_or(Refusal::Malformed("the event lacks the path parameter of its route"))?;
            if value.0.len() > TARGET_BYTES_MAX {
                return Err(Refusal::Target("path", value.0.len()));
            }
            let value = match self.kind {
                EventKind::V2 if !self.is_watched() => plain(value.owned()),
                EventKind::V1 | EventKind::V2 => decoded(&value.0),
            };
            let value = value.ok_or(Refusal::Malformed("the path is no percent-encoded plain text"))?;
            parameters.insert(name.to_owned(), value);
        }
        Ok(parameters)
    }

    /// The query, of which a REST API hands on the parts decoded, and an HTTP API the whole as it was sent.
    ///
    /// # Errors
    /// What is wrong with it: a name that comes twice, more than [`QUERY_COUNT_MAX`] names, or no percent-encoded
    /// plain text.
    pub(crate) fn query(&self) -> Result<Parameters, &'static str> {
        let mut query = Parameters::new();
        for pair in self.pairs() {
            let (name, value) = pair.ok_or("query: percent-encoded text without control characters")?;
            if query.len() == QUERY_COUNT_MAX {
                return Err("query: at most 32 parameters");
            }
            if query.insert(name, value).is_some() {
                return Err("query: a parameter comes twice");
            }
        }
        Ok(query)
    }

    fn pairs(&self) -> Box<dyn Iterator<Item = Option<(String, String)>> + '_> {
        let of_rest = |name: &Cow<'_, str>, value: &str| {
            Some((plain(name.clone().into_owned())?, plain(value.to_owned())?))
        };
        let raw = &self.raw;
        match (self.kind, &raw.multi_value_query_string_parameters, &raw.query_string_parameters) {
            (EventKind::V1, Some(many), _) => {
                let each = many.0.iter().flat_map(|(name, values)| values.iter().map(move |one| (name, one)));
                Box::new(each.map(move |(name, value)| of_rest(name, &value.0)))
            }
            (EventKind::V1, None, Some(one)) => {
                Box::new(one.0.iter().map(move |(name, value)| of_rest(name, &value.0)))
            }
            (EventKind::V1, None, None) => Box::new(std::iter::empty()),
            (EventKind::V2, ..) => {
                let text = raw.raw_query_string.as_ref().map_or("", |query| &*query.0);
                Box::new(text.split('&').filter(|part| !part.is_empty()).map(|part| {
                    let (name, value) = part.split_once('=').unwrap_or((part, ""));
                    // A form's space, as a REST API reads it too.
                    Some((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?))
                }))
            }
        }
    }
}

/// Decodes once and strictly: `%` and two digits are a byte, the bytes are UTF-8.
fn decoded(text: &str) -> Option<String> {
    let is_escape = |rest: &str| matches!(rest.as_bytes(), [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    plain(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

/// Text that is decoded, if no control character is in it.
fn plain(text: String) -> Option<String> {
    (!text.chars().any(char::is_control)).then_some(text)
}
