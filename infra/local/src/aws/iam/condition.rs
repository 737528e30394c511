//! The conditions of a statement.

mod compare;

use serde_json::{Map, Value};

use super::pattern::Pattern;
use super::truth::Truth;
use super::{Context, keys};
use compare::Comparison;

/// One operator with one key: all of a statement's must hold.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// Lower case.
    key: String,
    quantifier: Quantifier,
    /// The suffix `IfExists`: it holds where the key is absent.
    if_exists: bool,
    comparison: Comparison,
}

/// How a key with several values is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    /// No prefix.
    Plain,
    /// `ForAllValues:`
    All,
    /// `ForAnyValue:`
    Any,
}

/// What a `Condition` element says.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) conditions: Vec<Condition>,
    /// The first operator or key that is unknown.
    pub(super) unknown: Option<String>,
}

impl Condition {
    /// Whether it holds for a call.
    pub(super) fn holds(&self, context: &Context) -> Truth {
        let values = context.get(&self.key);
        if let Comparison::Null(wanted) = &self.comparison {
            return match values {
                None => wanted.contains(&true).into(),
                // AWS does not say whether a key without values exists, so it is not taken for either.
                Some([]) => Truth::Unknown,
                Some(_) => wanted.contains(&false).into(),
            };
        }
        // Values come first: a variable that is missing is not forgiven because the key is, too.
        let Some(operands) = self.comparison.resolve(context) else { return Truth::Unknown };
        let negated = self.comparison.is_negated();
        let Some(values) = values else {
            return match self.quantifier {
                _ if self.if_exists => Truth::Yes,
                Quantifier::All => Truth::Yes,
                Quantifier::Any => Truth::No,
                Quantifier::Plain => negated.into(),
            };
        };
        let each = values.iter().map(|value| {
            let equals = operands.any_equals(value);
            if negated { equals.not() } else { equals }
        });
        match (self.quantifier, negated) {
            (Quantifier::All, _) | (Quantifier::Plain, true) => Truth::all(each),
            (Quantifier::Any, _) | (Quantifier::Plain, false) => Truth::any(each),
        }
    }

    /// The condition keys of the variables in its values, lower case.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.comparison.patterns().iter().flat_map(Pattern::variables)
    }

    /// Reads the value of `Condition`; the error says what is wrong with its structure.
    pub(super) fn parse_all(value: &Value) -> Result<Reading, String> {
        let mut reading = Reading::default();
        for (operator, wanted) in object("Condition", value)? {
            let wanted = object(operator, wanted)?;
            let (quantifier, name) = split_quantifier(operator);
            let (if_exists, name) = name.strip_suffix("IfExists").map_or((false, name), |name| (true, name));
            // `Null` asks for existence itself: AWS has it without prefix and suffix only.
            let is_known = name != "Null" || (!if_exists && quantifier == Quantifier::Plain);
            for (key, values) in wanted {
                let values = scalars(operator, values)?;
                let comparison = Comparison::parse(name, &values)?.filter(|_| is_known);
                let Some(comparison) = comparison else {
                    reading.unknown.get_or_insert_with(|| format!("condition operator {operator}"));
                    continue;
                };
                let key = key.to_lowercase();
                if !keys::is_known(&key) {
                    reading.unknown.get_or_insert_with(|| format!("condition key {key}"));
                }
                reading.conditions.push(Self { key, quantifier, if_exists, comparison });
            }
        }
        Ok(reading)
    }
}

fn split_quantifier(operator: &str) -> (Quantifier, &str) {
    if let Some(name) = operator.strip_prefix("ForAllValues:") {
        (Quantifier::All, name)
    } else if let Some(name) = operator.strip_prefix("ForAnyValue:") {
        (Quantifier::Any, name)
    } else {
        (Quantifier::Plain, operator)
    }
}

fn object<'a>(element: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    let object = value.as_object().filter(|object| !object.is_empty());
    object.ok_or_else(|| format!("{element} is not an object with something in it"))
}

/// The operands of a key as texts: JSON's numbers and booleans are as good as their text.
fn scalars(operator: &str, value: &Value) -> Result<Vec<String>, String> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(format!("an operand of {operator} is not a text, a number or a boolean"))
        }
    };
    match value {
        Value::Array(items) if items.is_empty() => Err(format!("{operator} has a key without an operand")),
        Value::Array(items) => items.iter().map(scalar).collect(),
        _ => Ok(vec![scalar(value)?]),
    }
}
