//! JSON as a hostile client may send it, read once and strictly; and the one form that is hashed.

use std::{cell::Cell, collections::BTreeMap, fmt};

use serde::{
    Serialize, Serializer,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

mod integers;

/// Why a text is not read. Its `Display` says where, and quotes no value of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError(String);

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for JsonError {}

/// Reads one JSON text.
///
/// # Errors
/// [`JsonError`], beside for what is no JSON: for arrays and objects deeper inside one another than `depth_max`; for an
/// object that has a name twice, since two readers of it may disagree about what it says; and for an integer that has more
/// than 64 bits, since it would be read back as another.
pub fn parse(text: &[u8], depth_max: usize) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(text).map_err(|err| JsonError(format!("not UTF-8: {err}")))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let (deep, large) = (Cell::new(false), Cell::new(false));
    let read = Strict { depth_left: depth_max, deep: &deep, large: &large }.deserialize(&mut reader);
    let value = read.map_err(|err| {
        JsonError(if deep.get() {
            format!("not JSON that is served: {} levels, of at most {depth_max}", levels(text))
        } else {
            format!("not JSON that is served: {err}")
        })
    })?;
    reader.end().map_err(|err| JsonError(format!("not one JSON text: {err}")))?;
    let too_large = if large.get() { integers::too_large(text) } else { None };
    too_large.map_or(Ok(value), |why| Err(JsonError(format!("not JSON that is served: {why}"))))
}

/// The value without white space and with the names of every object sorted, whatever order they came in.
///
/// # Errors
/// None that a [`Value`] can cause.
pub fn canonical(value: &Value) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Sorted(value))
}

/// The value after a JSON merge patch (RFC 7396 § 2). Its recursion is as deep as the patch is.
#[must_use]
pub fn merged(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            let before = members.remove(name).unwrap_or(Value::Null);
            members.insert(name.clone(), merged(before, value));
        }
    }
    Value::Object(members)
}

/// 2^63: a number below is never an integer that has become something else.
const INTEGER_MAX: f64 = 9_223_372_036_854_775_808.0;

#[derive(Clone, Copy)]
struct Strict<'c> {
    depth_left: usize,
    /// Whether it ends for its depth.
    deep: &'c Cell<bool>,
    /// Whether a number was met that may have been an integer, and is none any more.
    large: &'c Cell<bool>,
}

impl Strict<'_> {
    /// The bound is checked on the way down, before the recursion costs anything.
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| {
            self.deep.set(true);
            E::custom("nested too deep")
        })?;
        Ok(Self { depth_left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // What an integer of 64 bits can't be is read as this.
        if value.abs() >= INTEGER_MAX {
            self.large.set(true);
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut out = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if out.contains_key(&name) {
                return Err(A::Error::custom("an object has the same name twice"));
            }
            out.insert(name, value);
        }
        Ok(Value::Object(out))
    }
}

/// Levels of arrays and objects of a text, whether it ends well or not.
fn levels(text: &str) -> usize {
    let (mut open, mut most, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                open = open.saturating_add(1);
                most = most.max(open);
            }
            b']' | b'}' if !in_string => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => out.collect_seq(items.iter().map(Sorted)),
            // A map of serde_json keeps insertion order when any crate of the build asks it to.
            Value::Object(members) => out.collect_map(
                members.iter().map(|(name, value)| (name, Sorted(value))).collect::<BTreeMap<_, _>>(),
            ),
            other => other.serialize(out),
        }
    }
}

#[cfg(test)]
mod tests;
