//! Integers of a text that no machine integer holds, where they are.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::value::RawValue;

/// Characters of a path that are said.
const PATH_CHARS_MAX: usize = 200;

/// What is wrong with an integer of a JSON text that has more than 64 bits, if there is one. Its recursion is as deep as
/// the text is.
pub(crate) fn too_large(text: &str) -> Option<String> {
    let (path, digits) = find(serde_json::from_str(text).ok()?, "")?;
    let path: String = match path.as_str() {
        "" => "the number".to_owned(),
        path => format!("`{}`", path.chars().take(PATH_CHARS_MAX).collect::<String>()),
    };
    Some(format!(
        "{path} is an integer of {digits} digits, and only those of at most 64 bits are kept as they are: send it as a string"
    ))
}

/// The path of such an integer, and its digits.
fn find(raw: &RawValue, path: &str) -> Option<(String, usize)> {
    let text = raw.get();
    match text.bytes().next()? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            let dot = if path.is_empty() { "" } else { "." };
            members.into_iter().find_map(|(name, value)| find(value, &[path, dot, &name].concat()))
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            items.into_iter().enumerate().find_map(|(at, item)| {
                let mut path = path.to_owned();
                write!(path, "[{at}]").ok()?;
                find(item, &path)
            })
        }
        b'-' | b'0'..=b'9' => {
            let is_integer = !text.contains(['.', 'e', 'E']);
            let fits = text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
            let digits = text.trim_start_matches('-').len();
            (is_integer && !fits).then(|| (path.to_owned(), digits))
        }
        _ => None,
    }
}
