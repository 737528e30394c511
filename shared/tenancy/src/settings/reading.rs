//! A document that is read as a whole: what does not fit is noted with its place, and the reading goes on.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Serialize;
use serde_json::Value;

use crate::Problem;

/// Faults that are said of one document; those beyond are counted.
const FAULTS_MAX: usize = 100;
/// Characters of a text that a fault says again.
const SHOWN_MAX: usize = 40;

/// What is wrong at one place of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: the names of members, joined by dots; `.` for the document itself.
    pub path: String,
    /// Which rule, with its limit and what is there.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

/// Everything that is wrong with one document.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    first: Vec<Fault>,
    more: usize,
}

impl Faults {
    pub(crate) fn note(&mut self, path: &str, reason: impl Into<String>) {
        if self.first.len() < FAULTS_MAX {
            let path = if path.is_empty() { "." } else { path };
            self.first.push(Fault { path: path.to_owned(), reason: reason.into() });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Nothing, if nothing was noted.
    pub(crate) fn check(mut self, what: &'static str) -> Result<(), Problem> {
        if self.more > 0 {
            let reason = format!("and {} faults more", self.more);
            self.first.push(Fault { path: ".".to_owned(), reason });
        }
        if self.first.is_empty() { Ok(()) } else { Err(Problem::Faulty { what, faults: self.first }) }
    }
}

/// A value at its place.
#[derive(Debug)]
pub(super) struct Node<'v> {
    pub(super) path: String,
    value: &'v Value,
}

impl<'v> Node<'v> {
    pub(super) const fn root(value: &'v Value) -> Self {
        Self { path: String::new(), value }
    }

    pub(super) fn members(&self, faults: &mut Faults) -> Option<Members<'v>> {
        let Value::Object(members) = self.value else { return self.not("an object", faults) };
        let left = members.iter().map(|(name, value)| (name.as_str(), value)).collect();
        Some(Members { path: self.path.clone(), left, known: Vec::new() })
    }

    pub(super) fn text(&self, faults: &mut Faults) -> Option<&'v str> {
        let Value::String(text) = self.value else { return self.not("a text", faults) };
        Some(text)
    }

    /// A text of a type that has a grammar.
    pub(super) fn parsed<T>(&self, faults: &mut Faults) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match self.text(faults)?.parse() {
            Ok(value) => Some(value),
            Err(err) => {
                faults.note(&self.path, err.to_string());
                None
            }
        }
    }

    /// A line for people: of 1 to so many characters, of which none is white space at an end, controls anything, or can't
    /// be seen.
    pub(super) fn line(&self, chars_max: usize, faults: &mut Faults) -> Option<String> {
        let text = self.text(faults)?;
        let mut fits = self.is_long_enough(text, chars_max, faults);
        if text.trim() != text {
            faults.note(&self.path, "white space at an end");
            fits = false;
        }
        (self.is_plain(text, &[], faults) && fits).then(|| text.to_owned())
    }

    /// Lines for people, which end in `\n`, and may have tabs.
    pub(super) fn lines(&self, chars_max: usize, faults: &mut Faults) -> Option<String> {
        let text = self.text(faults)?.replace("\r\n", "\n");
        let fits = self.is_long_enough(&text, chars_max, faults);
        (self.is_plain(&text, &['\n', '\t'], faults) && fits).then_some(text)
    }

    fn is_long_enough(&self, text: &str, chars_max: usize, faults: &mut Faults) -> bool {
        let chars = text.chars().count();
        let fits = (1..=chars_max).contains(&chars);
        if !fits {
            faults.note(&self.path, format!("{chars} characters, of 1 to {chars_max}"));
        }
        fits
    }

    fn is_plain(&self, text: &str, allowed: &[char], faults: &mut Faults) -> bool {
        let wrong = text.chars().find(|c| is_unseen(*c) && !allowed.contains(c));
        if let Some(wrong) = wrong {
            let code = u32::from(wrong);
            let reason =
                format!("the character U+{code:04X}, which can't be seen, or changes how others are");
            faults.note(&self.path, reason);
        }
        wrong.is_none()
    }

    fn not<T>(&self, expected: &str, faults: &mut Faults) -> Option<T> {
        let kind = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        faults.note(&self.path, format!("{expected} is expected, not {kind}"));
        None
    }
}

/// The members of an object that were not read yet.
#[derive(Debug)]
pub(super) struct Members<'v> {
    pub(super) path: String,
    left: BTreeMap<&'v str, &'v Value>,
    known: Vec<&'static str>,
}

impl<'v> Members<'v> {
    pub(super) fn take(&mut self, name: &'static str) -> Option<Node<'v>> {
        self.known.push(name);
        let value = self.left.remove(name)?;
        Some(Node { path: join(&self.path, name), value })
    }

    /// All that is left, by name.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = (&'v str, Node<'v>)> {
        let (path, left) = (self.path.clone(), std::mem::take(&mut self.left));
        left.into_iter().map(move |(name, value)| (name, Node { path: join(&path, name), value }))
    }

    /// Notes everything that nobody asked for: as unknown, or for the reason that there is.
    pub(super) fn end(mut self, reason: impl Fn(&str) -> Option<String>, faults: &mut Faults) {
        let known = self.known.join(", ");
        for (name, node) in self.rest() {
            let unknown = || match known.as_str() {
                "" => "unknown; there is none here".to_owned(),
                known => format!("unknown; known here: {known}"),
            };
            faults.note(&node.path, reason(name).unwrap_or_else(unknown));
        }
    }
}

/// Whether a character is a control, is not seen, or changes the order of others. The joiners of U+200C and U+200D are
/// parts of names and are let through.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{AD}'
                | '\u{61C}'
                | '\u{180E}'
                | '\u{200B}'
                | '\u{200E}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

/// A text of a client in a message about it: quoted, escaped and cut.
pub(super) fn shown(text: &str) -> String {
    let mut start: String = text.chars().take(SHOWN_MAX).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}

fn join(path: &str, name: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let plain = (1..=SHOWN_MAX).contains(&name.len()) && name.bytes().all(is_plain);
    let name = if plain { name.to_owned() } else { shown(name) };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}
