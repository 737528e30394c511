//! One form of an item in bytes, in which no two items are alike: what sums and hashes are made over.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// An item as the store has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Writes an item: its attributes by name, whatever order they came in.
pub(crate) fn write_map(bytes: &mut Vec<u8>, members: &Item) {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    write_head(bytes, b'M', members.len());
    for (name, value) in members {
        write_bytes(bytes, b'K', name.as_bytes());
        write_value(bytes, value);
    }
}

/// One form for each value, in which no two are alike: a letter, a length, the content.
fn write_value(bytes: &mut Vec<u8>, value: &AttributeValue) {
    match value {
        AttributeValue::S(text) => write_bytes(bytes, b'S', text.as_bytes()),
        AttributeValue::N(number) => write_bytes(bytes, b'N', number.as_bytes()),
        AttributeValue::B(blob) => write_bytes(bytes, b'B', blob.as_ref()),
        AttributeValue::Bool(on) => write_bytes(bytes, b'T', &[u8::from(*on)]),
        AttributeValue::Null(_) => write_head(bytes, b'0', 0),
        AttributeValue::M(members) => write_map(bytes, members),
        AttributeValue::L(values) => {
            write_head(bytes, b'L', values.len());
            values.iter().for_each(|value| write_value(bytes, value));
        }
        // Sets have no order, and nothing here keeps one; a form of its own keeps the sum honest all the same.
        other => write_bytes(bytes, b'?', format!("{other:?}").as_bytes()),
    }
}

fn write_bytes(bytes: &mut Vec<u8>, kind: u8, content: &[u8]) {
    write_head(bytes, kind, content.len());
    bytes.extend_from_slice(content);
}

fn write_head(bytes: &mut Vec<u8>, kind: u8, length: usize) {
    bytes.push(kind);
    bytes.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
}
