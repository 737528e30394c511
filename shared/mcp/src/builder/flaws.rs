//! What is wrong with a declaration.

use std::{
    collections::{HashMap, hash_map},
    fmt,
};

use serde_json::{Value, json};

use crate::{
    entry::Entry,
    schema::{self, ParamHeader},
    spec::{ResourceSpec, ToolSpec},
};

/// All that is wrong with a declaration, a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flaws(Vec<String>);

impl fmt::Display for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the declaration of the server is wrong: {}", self.0.join("; "))
    }
}

impl std::error::Error for Flaws {}

impl Flaws {
    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    pub(super) fn unless(&mut self, at: &str, fine: bool, flaw: &str) {
        if !fine {
            self.0.push(format!("{at}: {flaw}"));
        }
    }

    pub(super) fn insert<C, E>(&mut self, into: &mut HashMap<&'static str, Entry<C, E>>, entry: Entry<C, E>) {
        match into.entry(entry.name) {
            hash_map::Entry::Occupied(_) => self.0.push(format!("`{}`: it is there twice", entry.name)),
            hash_map::Entry::Vacant(place) => _ = place.insert(entry),
        }
    }

    pub(super) fn check_texts(&mut self, at: &str, texts: &[&str]) {
        let all_there = texts.iter().all(|text| !text.trim().is_empty());
        self.unless(at, all_there, "one of its names, titles or descriptions is empty");
    }

    pub(super) fn check_name(&mut self, at: &str, name: &str) {
        let fine = (1..=128).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        self.unless(at, fine, "its name is not 1 to 128 of A-Z, a-z, 0-9, `_`, `-`, `.`");
    }

    /// Grammar of a scope: RFC 6749 § 3.3.
    pub(super) fn check_scopes(&mut self, at: &str, scopes: &[&str]) {
        let is_token = |scope: &str| {
            !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
        };
        self.unless(at, !scopes.is_empty(), "it has no scopes");
        self.unless(at, scopes.iter().all(|scope| is_token(scope)), "one of its scopes is not a scope token");
    }

    pub(super) fn check_tool(
        &mut self,
        spec: &ToolSpec,
        input: &Value,
        output: Option<&Value>,
    ) -> Vec<ParamHeader> {
        let at = format!("tool `{}`", spec.name);
        self.check_name(&at, spec.name);
        self.check_texts(&at, &[spec.title, spec.description]);
        self.check_scopes(&at, spec.scopes);
        self.unless(&at, schema::is_object(input), "its arguments are not an object");
        self.unless(&at, output.is_none_or(schema::is_object), "its result is not an object");
        self.unless(
            &at,
            !(spec.hints.read_only && spec.hints.destructive),
            "it is read-only and destructive",
        );
        let meta_fine = spec.meta.as_ref().is_none_or(|meta| {
            meta.as_object().is_some_and(|members| !members.contains_key("securitySchemes"))
        });
        self.unless(
            &at,
            meta_fine,
            "its meta is not an object, or has securitySchemes, which its scopes say",
        );
        ParamHeader::all(input).unwrap_or_else(|flaw| {
            self.unless(&at, false, &flaw);
            Vec::new()
        })
    }

    pub(super) fn check_resource(&mut self, at: &str, spec: &ResourceSpec) {
        self.check_texts(at, &[spec.name, spec.title, spec.description, spec.mime_type]);
        self.check_scopes(at, spec.scopes);
    }

    pub(super) fn prompt_arguments(&mut self, at: &str, schema: &Value) -> Vec<Value> {
        self.unless(at, schema::is_object(schema), "its arguments are not an object");
        let required = schema.get("required").and_then(Value::as_array);
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut arguments = Vec::new();
        for (name, property) in properties.into_iter().flatten() {
            let kind = property.get("type");
            let is_text = kind == Some(&json!("string")) || kind == Some(&json!(["string", "null"]));
            self.unless(at, is_text, "one of its arguments is not a string");
            arguments.push(json!({
                "name": name,
                "description": property.get("description").and_then(Value::as_str).unwrap_or(name),
                "required": required.is_some_and(|required| required.contains(&json!(name))),
            }));
        }
        arguments
    }
}
