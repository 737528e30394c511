//! Which actions and resources a statement speaks of.

use serde_json::Value;

use super::Context;
use super::pattern::{Pattern, Resolved, Wildcards, lower_case};
use super::truth::Truth;

/// `Action` or `NotAction`.
#[derive(Debug, Clone)]
pub(super) enum Actions {
    Only(Vec<Resolved>),
    AllBut(Vec<Resolved>),
}

/// `Resource`, `NotResource`, or neither, as in a trust policy.
#[derive(Debug, Clone)]
pub(super) enum Resources {
    Any,
    Only(Vec<Pattern>),
    AllBut(Vec<Pattern>),
}

impl Actions {
    /// Reads the two elements, of which exactly one must be there; the error says what is wrong.
    pub(super) fn parse(only: Option<&Value>, all_but: Option<&Value>) -> Result<Self, String> {
        match (only, all_but) {
            (Some(value), None) => Ok(Self::Only(actions("Action", value)?)),
            (None, Some(value)) => Ok(Self::AllBut(actions("NotAction", value)?)),
            _ => Err("there must be one of Action and NotAction".to_owned()),
        }
    }

    pub(super) fn hold(&self, action: &str) -> Truth {
        let action = lower_case(action);
        match self {
            Self::Only(patterns) => patterns.iter().any(|pattern| pattern.matches(&action)).into(),
            Self::AllBut(patterns) => (!patterns.iter().any(|pattern| pattern.matches(&action))).into(),
        }
    }
}

impl Resources {
    /// Reads the two elements, of which at most one may be there; the error says what is wrong.
    pub(super) fn parse(only: Option<&Value>, all_but: Option<&Value>) -> Result<Self, String> {
        match (only, all_but) {
            (None, None) => Ok(Self::Any),
            (Some(value), None) => Ok(Self::Only(resources("Resource", value)?)),
            (None, Some(value)) => Ok(Self::AllBut(resources("NotResource", value)?)),
            (Some(_), Some(_)) => Err("there must be one of Resource and NotResource".to_owned()),
        }
    }

    pub(super) fn hold(&self, resource: &str, context: &Context) -> Truth {
        let matches = |pattern: &Pattern| match pattern.resolve(context) {
            Some(resolved) => resolved.matches(resource).into(),
            None => Truth::Unknown,
        };
        match self {
            Self::Any => Truth::Yes,
            Self::Only(patterns) => Truth::any(patterns.iter().map(matches)),
            Self::AllBut(patterns) => Truth::any(patterns.iter().map(matches)).not(),
        }
    }

    /// The condition keys of its variables, lower case.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        let patterns = match self {
            Self::Any => &[],
            Self::Only(patterns) | Self::AllBut(patterns) => patterns.as_slice(),
        };
        patterns.iter().flat_map(Pattern::variables)
    }
}

/// A text, or a list of at least one.
pub(super) fn texts<'a>(element: &str, value: &'a Value) -> Result<Vec<&'a str>, String> {
    let wrong = || format!("{element} is neither a text nor a list of texts");
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(|item| item.as_str().ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

/// Actions have wildcards and no variables.
fn actions(element: &str, value: &Value) -> Result<Vec<Resolved>, String> {
    let is_name = |text: &str, more: &[char]| {
        !text.is_empty()
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(&letter))
    };
    let read = |text: &str| {
        let is_action = match text.split_once(':') {
            None => text == "*",
            Some((service, name)) => {
                (service == "*" || is_name(service, &['-'])) && is_name(name, &['*', '?', '-', '_'])
            }
        };
        if is_action {
            Ok(Resolved::without_case(text))
        } else {
            Err(format!("{element} {text:?} is not an action"))
        }
    };
    texts(element, value)?.into_iter().map(read).collect()
}

fn resources(element: &str, value: &Value) -> Result<Vec<Pattern>, String> {
    let read = |text: &str| {
        if text == "*" || text.starts_with("arn:") {
            Pattern::parse(text, Wildcards::Match)
        } else {
            Err(format!("{element} {text:?} is not an ARN"))
        }
    };
    texts(element, value)?.into_iter().map(read).collect()
}
