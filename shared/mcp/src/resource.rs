//! URIs of resources, and the templates that match many.

use serde_json::{Map, Value};

const VARIABLE_BYTES_MAX: usize = 256;

/// `scheme:…{variable}…`, cut at its variables.
#[derive(Debug)]
pub(crate) struct Template {
    before: &'static str,
    /// Each variable, and the text up to the next one or to the end.
    variables: Vec<(&'static str, &'static str)>,
}

impl Template {
    /// None if it is not a template of RFC 6570, level 1, or has two variables with nothing between them.
    pub(crate) fn parse(text: &'static str) -> Option<Template> {
        let (before, mut rest) = text.split_once('{')?;
        let mut variables = Vec::new();
        loop {
            let (name, after) = rest.split_once('}')?;
            let (literal, next) = match after.split_once('{') {
                Some((literal, next)) => (literal, Some(next)),
                None => (after, None),
            };
            let duplicate = variables.iter().any(|(known, _)| *known == name);
            if !is_variable(name)
                || duplicate
                || literal.contains('}')
                || (literal.is_empty() && next.is_some())
            {
                return None;
            }
            variables.push((name, literal));
            match next {
                Some(next) => rest = next,
                None => return is_absolute(before).then_some(Template { before, variables }),
            }
        }
    }

    /// The values of the variables, if the URI is one of the template's: each is 1 to 256 unreserved characters
    /// (RFC 3986 § 2.3), which are those that need no escape, so one resource has one URI.
    pub(crate) fn matches(&self, uri: &str) -> Option<Map<String, Value>> {
        let mut rest = uri.strip_prefix(self.before)?;
        let mut values = Map::new();
        for (name, literal) in &self.variables {
            let end = rest.find(|c: char| !is_unreserved(c)).unwrap_or(rest.len());
            // The literal after a variable may itself begin with unreserved characters.
            let end = if literal.is_empty() { end } else { rest.find(literal).filter(|at| *at <= end)? };
            let (value, after) = rest.split_at_checked(end)?;
            if !(1..=VARIABLE_BYTES_MAX).contains(&value.len()) {
                return None;
            }
            values.insert((*name).to_owned(), Value::from(value));
            rest = after.strip_prefix(literal)?;
        }
        rest.is_empty().then_some(values)
    }
}

/// Whether the text begins with a scheme and goes on. Source: RFC 3986 § 3.1.
pub(crate) fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    !rest.is_empty()
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && uri.chars().all(|c| c.is_ascii_graphic())
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~".contains(c)
}
