//! Results in which the server says who it is: by its own name, or by that of whom it serves.

use std::borrow::Cow;

use serde_json::{Value, json, value::RawValue};

use crate::{
    message::Id,
    reply::{Accepted, Fault, Reply},
};

/// A result with the server's name in it.
#[derive(Debug, Clone)]
pub(crate) struct Introduced {
    pub(crate) value: Value,
    /// The same as it is sent.
    text: Box<RawValue>,
    /// Where in it the server says who it is, as a JSON pointer.
    place: &'static str,
}

impl Introduced {
    pub(crate) fn new(value: Value, place: &'static str) -> Result<Self, serde_json::Error> {
        let text = serde_json::value::to_raw_value(&value)?;
        Ok(Self { value, text, place })
    }

    fn named(&self, name: &str) -> Result<Box<RawValue>, serde_json::Error> {
        let mut value = self.value.clone();
        if let Some(Value::Object(server)) = value.pointer_mut(self.place) {
            server.insert("name".to_owned(), json!(name));
            server.insert("title".to_owned(), json!(name));
        }
        serde_json::value::to_raw_value(&value)
    }
}

/// A reply that only waits for the name of the server.
#[derive(Debug)]
pub struct Introduction<'s> {
    pub(crate) id: Id,
    pub(crate) accepted: Accepted,
    pub(crate) result: Cow<'s, Introduced>,
}

impl Introduction<'_> {
    /// The reply under this name, and under the declared one without it.
    #[must_use]
    pub fn reply(&self, name: Option<&str>) -> Reply {
        let Some(name) = name else { return self.accepted.success(&self.id, &self.result.text, &[]) };
        match self.result.named(name) {
            Ok(text) => self.accepted.success(&self.id, &text, &[]),
            // The declared name is not shown instead: whoever gave another one wants it nowhere.
            Err(err) => Fault::from(err).reply(crate::era::Era::Modern, Some(&self.id)),
        }
    }
}
