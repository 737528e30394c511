//! A resolved mapping, read by name: what is not asked for by name is an error.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{TemplateError, place::Place, scope::text_of};

/// The properties of a resource, or a mapping in them.
#[derive(Debug)]
pub(super) struct Fields {
    entries: Map<String, Value>,
    /// The mapping itself.
    pub(super) place: Place,
}

impl Fields {
    /// Takes a resolved value of which nothing may be there but `known`.
    ///
    /// # Errors
    /// The value is no mapping, or has another key: what is not understood could be a right.
    pub(super) fn new(value: Value, place: Place, known: &[&str]) -> Result<Self, TemplateError> {
        let Value::Object(entries) = value else {
            return Err(place.error("this is a mapping"));
        };
        if let Some(key) = entries.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(place.at(key).error("this is not understood"));
        }
        Ok(Self { entries, place })
    }

    /// Any value, null where there is none.
    pub(super) fn value(&self, key: &str) -> &Value {
        self.entries.get(key).unwrap_or(&Value::Null)
    }

    /// A mapping in the mapping; an empty one where there is none.
    ///
    /// # Errors
    /// As [`Fields::new`].
    pub(super) fn inner(&self, key: &str, known: &[&str]) -> Result<Self, TemplateError> {
        let value = self.entries.get(key).cloned().unwrap_or_else(|| Value::Object(Map::new()));
        Self::new(value, self.place.at(key), known)
    }

    /// A scalar, as text.
    ///
    /// # Errors
    /// It is not there, or no scalar.
    pub(super) fn text(&self, key: &str) -> Result<String, TemplateError> {
        text_of(self.value(key)).ok_or_else(|| self.place.at(key).error("a text must be here"))
    }

    /// A scalar of which the laptop knows one value only.
    ///
    /// # Errors
    /// It is there with another value.
    pub(super) fn only(&self, key: &str, known: &str) -> Result<(), TemplateError> {
        match text_of(self.value(key)) {
            Some(text) if text != known => {
                Err(self.place.at(key).error(format!("only {known} is understood")))
            }
            _ => Ok(()),
        }
    }

    /// Whether a scalar is `true`; not where it is not there.
    pub(super) fn is_true(&self, key: &str) -> bool {
        text_of(self.value(key)).as_deref() == Some("true")
    }

    /// A whole number, or what it is by default.
    ///
    /// # Errors
    /// It is there and no whole number.
    pub(super) fn number(&self, key: &str, default: u32) -> Result<u32, TemplateError> {
        match self.value(key) {
            Value::Null => Ok(default),
            value => text_of(value)
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| self.place.at(key).error("a whole number must be here")),
        }
    }

    /// A list of scalars; a scalar alone is a list of one, and nothing is an empty list.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, TemplateError> {
        let value = self.value(key);
        let texts = match value {
            Value::Null => Some(Vec::new()),
            Value::Array(items) => items.iter().map(text_of).collect(),
            scalar => text_of(scalar).map(|text| vec![text]),
        };
        texts.ok_or_else(|| self.place.at(key).error("a list of texts must be here"))
    }

    /// A mapping of scalars; nothing is an empty one.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn text_map(&self, key: &str) -> Result<BTreeMap<String, String>, TemplateError> {
        let wrong = || self.place.at(key).error("a mapping of texts must be here");
        match self.value(key) {
            Value::Null => Ok(BTreeMap::new()),
            Value::Object(entries) => entries
                .iter()
                .map(|(key, value)| Some((key.clone(), text_of(value)?)))
                .collect::<Option<_>>()
                .ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    /// A policy document.
    ///
    /// # Errors
    /// It is not there, or has no statements.
    pub(super) fn policy(&self, key: &str) -> Result<Value, TemplateError> {
        let document = self.value(key);
        if document.get("Statement").is_some_and(Value::is_array) {
            return Ok(document.clone());
        }
        Err(self.place.at(key).error("a policy document with a list of statements must be here"))
    }
}
