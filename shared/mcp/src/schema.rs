//! JSON Schema from Rust types, draft 2020-12, and the arguments that a client repeats in headers.

use http::HeaderName;
use schemars::{JsonSchema, generate::SchemaSettings, transform::RestrictFormats};
use serde_json::{Map, Value};

const ANNOTATION: &str = "x-mcp-header";

/// The schema of what is read into `T`, as clients see it.
#[must_use]
pub fn of_input<T: JsonSchema>() -> Value {
    render::<T>(SchemaSettings::draft2020_12())
}

/// The schema of what `T` is written as.
pub(crate) fn of_output<T: JsonSchema>() -> Value {
    render::<T>(SchemaSettings::draft2020_12().for_serialize())
}

/// Inlined, because some clients do not follow `$ref`; without formats that the draft does not have (`uint32`),
/// because some validators complain; without the name of the Rust type, which is nobody's business.
fn render<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    let mut schema =
        settings.with_transform(RestrictFormats::default()).into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema.to_value()
}

/// Whether the schema says that the value is an object.
pub(crate) fn is_object(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("object")
}

/// An argument that a client repeats as `Mcp-Param-<token>`.
#[derive(Debug)]
pub(crate) struct ParamHeader {
    /// In lower case, as `http` has it.
    pub(crate) header: String,
    /// The names that lead from the arguments to the value.
    path: Vec<String>,
}

impl ParamHeader {
    /// All of a schema. The annotation is allowed on strings, integers and booleans that are reached through
    /// `properties` alone. Source: MCP 2026-07-28, "Custom Headers".
    ///
    /// # Errors
    /// Says which annotation is wrong, and why.
    pub(crate) fn all(schema: &Value) -> Result<Vec<ParamHeader>, String> {
        let mut found = Vec::new();
        collect(schema, &mut Vec::new(), &mut found)?;
        if found.len() != occurrences(schema) {
            return Err(format!("{ANNOTATION} stands where `properties` alone do not lead"));
        }
        let mut names: Vec<&str> = found.iter().map(|param| param.header.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(format!("two arguments have the same {ANNOTATION}"));
        }
        Ok(found)
    }

    /// The value as a header says it; none for one that is absent, null or, against its schema, composite.
    pub(crate) fn rendered(&self, arguments: &Map<String, Value>) -> Option<String> {
        let (last, parents) = self.path.split_last()?;
        let parent = parents.iter().try_fold(arguments, |at, name| at.get(name)?.as_object())?;
        match parent.get(last)? {
            Value::String(text) => Some(text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<ParamHeader>) -> Result<(), String> {
    if let Some(token) = schema.get(ANNOTATION) {
        let at = path.join(".");
        let name = token.as_str().map(|token| format!("mcp-param-{}", token.to_ascii_lowercase()));
        let name = name.filter(|name| HeaderName::try_from(name.as_str()).is_ok() && name.len() > 10);
        let Some(header) = name else {
            return Err(format!("{ANNOTATION} of `{at}` is not a header token"));
        };
        if !matches!(schema.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean")) {
            return Err(format!("{ANNOTATION} of `{at}` is not on a string, an integer or a boolean"));
        }
        found.push(ParamHeader { header, path: path.clone() });
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        path.push(name.clone());
        collect(property, path, found)?;
        path.pop();
    }
    Ok(())
}

fn occurrences(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(occurrences).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| usize::from(name == ANNOTATION).saturating_add(occurrences(value)))
            .sum(),
        _ => 0,
    }
}
