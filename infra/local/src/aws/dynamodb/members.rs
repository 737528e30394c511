//! The members of a request, of which all must be known: one that the store reads and this does not would be a way
//! around the policies.

use serde_json::{Map, Value};

use super::{Malformed, expression::Names};

pub(super) type Object = Map<String, Value>;

/// An object that has no other members than these, and none that is null: the store takes null for absent.
pub(super) fn known<'b>(value: &'b Value, lists: &[&[&str]]) -> Result<&'b Object, Malformed> {
    let members = object(value)?;
    for (name, value) in members {
        if value.is_null() || !lists.iter().any(|list| list.contains(&name.as_str())) {
            return Err(wrong(name));
        }
    }
    Ok(members)
}

pub(super) fn object(value: &Value) -> Result<&Object, Malformed> {
    value.as_object().ok_or_else(|| wrong("an object"))
}

pub(super) fn member<'b>(members: &'b Object, name: &str) -> Result<&'b Value, Malformed> {
    members.get(name).ok_or_else(|| wrong(name))
}

pub(super) fn array<'b>(members: &'b Object, name: &str) -> Result<&'b Vec<Value>, Malformed> {
    member(members, name)?.as_array().ok_or_else(|| wrong(name))
}

pub(super) fn text<'b>(members: &'b Object, name: &str) -> Result<&'b str, Malformed> {
    member(members, name)?.as_str().ok_or_else(|| wrong(name))
}

/// `None` without the member; a member of another type is a refusal.
pub(super) fn text_if_any<'b>(members: &'b Object, name: &str) -> Result<Option<&'b str>, Malformed> {
    members.get(name).map(|value| value.as_str().ok_or_else(|| wrong(name))).transpose()
}

/// The one member of a union, such as an action of a transaction.
pub(super) fn only(value: &Value) -> Result<(&str, &Value), Malformed> {
    let mut members = object(value)?.iter();
    match (members.next(), members.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        _ => Err(wrong("exactly one member")),
    }
}

/// A key attribute's value as `dynamodb:LeadingKeys` has it.
pub(super) fn scalar(value: &Value) -> Result<String, Malformed> {
    match only(value)? {
        ("S" | "N" | "B", Value::String(text)) => Ok(text.clone()),
        _ => Err(wrong("a key's value")),
    }
}

pub(super) fn names(members: &Object) -> Result<Names, Malformed> {
    let Some(names) = members.get("ExpressionAttributeNames") else { return Ok(Names::new()) };
    object(names)?
        .iter()
        .map(|(short, name)| match name.as_str() {
            Some(name) if short.starts_with('#') => Ok((short.clone(), name.to_owned())),
            _ => Err(wrong("ExpressionAttributeNames")),
        })
        .collect()
}

pub(super) fn wrong(what: &str) -> Malformed {
    Malformed(format!("{what} is missing or not understood"))
}
