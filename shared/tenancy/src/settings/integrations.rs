//! What a tenant is connected to: named values, each of a type that the SaaS declares in one line.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::reading::{Faults, Node};

/// A value that connects a tenant to another service: an id there, or the name of the secret that opens it. Its grammar
/// is that of the type.
pub trait Integration: FromStr {
    /// Its name in the settings: 1 to 32 of `a-z 0-9 _`.
    const NAME: &'static str;
}

/// The integrations that a SaaS has.
#[derive(Debug, Clone, Default)]
pub struct Integrations(Vec<Known>);

#[derive(Debug, Clone)]
struct Known {
    name: &'static str,
    check: fn(&Node<'_>, &mut Faults) -> bool,
}

impl Integrations {
    /// With one more.
    #[must_use]
    pub fn with<I>(mut self) -> Self
    where
        I: Integration,
        I::Err: fmt::Display,
    {
        let check = |node: &Node<'_>, faults: &mut Faults| node.parsed::<I>(faults).is_some();
        self.0.push(Known { name: I::NAME, check });
        self
    }

    /// Reads those that are known, by name.
    pub(super) fn read(&self, node: &Node<'_>, faults: &mut Faults) -> Option<BTreeMap<String, String>> {
        let mut members = node.members(faults)?;
        let mut set = BTreeMap::new();
        for known in &self.0 {
            let Some(node) = members.take(known.name) else { continue };
            if (known.check)(&node, faults)
                && let Some(text) = node.text(faults)
            {
                set.insert(known.name.to_owned(), text.to_owned());
            }
        }
        members.end(|_| None, faults);
        Some(set)
    }
}

/// Reads whatever is a text: what a tool asks for has its type by then.
pub(super) fn read_any(node: &Node<'_>) -> Option<BTreeMap<String, String>> {
    let mut passed_over = Faults::default();
    let mut members = node.members(&mut passed_over)?;
    let texts = members
        .rest()
        .filter_map(|(name, node)| Some((name.to_owned(), node.text(&mut Faults::default())?.to_owned())));
    Some(texts.collect())
}
