//! What a call was about, as its record says it.

use std::fmt;

/// The address below `/v1/` of what an operation is about, such as `collections/notes/items/06fz…`: words and names,
/// never any other argument.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource(Box<str>);

impl Resource {
    /// The address that a template has with these values in its `{variables}`.
    ///
    /// `None` for a template without variables, which says no more than the action does, and for a value that is no name:
    /// 1 to 128 of `A-Z a-z 0-9 . _ -`.
    #[must_use]
    pub fn fill<'v>(template: &str, value: impl Fn(&str) -> Option<&'v str>) -> Option<Self> {
        let mut segments = Vec::new();
        let mut names = 0_u32;
        for segment in template.split('/') {
            let variable = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            segments.push(match variable {
                Some(variable) => {
                    names = names.saturating_add(1);
                    value(variable).filter(|name| is_name(name))?
                }
                None => segment,
            });
        }
        (names > 0).then(|| Self(segments.join("/").into()))
    }

    /// The text of the address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=128).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_name_gives_no_address() {
        let of = |id: &'static str| {
            let address = Resource::fill("collections/notes/items/{id}", |name| (name == "id").then_some(id));
            address.map(|address| address.to_string())
        };
        assert_eq!(of("a-Z_9.b").as_deref(), Some("collections/notes/items/a-Z_9.b"));
        for wrong in ["", "a/b", "a b", "é", "{id}", "a\n", "a@example.com"] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_template_that_names_nothing_gives_no_address() {
        let one = |_: &str| Some("one");
        assert!(Resource::fill("secrets/{name}", one).is_some());
        assert_eq!(Resource::fill("secrets", one), None);
        assert_eq!(Resource::fill("secrets/{name}", |_| None), None);
    }
}
