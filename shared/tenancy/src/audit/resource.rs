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
    /// 1 to 128 of `A-Z a-z 0-9 . _ -`; of a `{name}`, which tenants choose, without capitals and dots and at most 64.
    #[must_use]
    pub fn fill<'v>(template: &str, value: impl Fn(&str) -> Option<&'v str>) -> Option<Self> {
        let mut segments = Vec::new();
        let mut names = 0_u32;
        for segment in template.split('/') {
            let variable = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            segments.push(match variable {
                Some(variable) => {
                    names = names.saturating_add(1);
                    value(variable)
                        .filter(|text| if variable == "name" { is_name(text) } else { is_id(text) })?
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
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

fn is_id(text: &str) -> bool {
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
    fn what_can_be_no_name_of_a_secret_is_in_no_address() {
        let of = |name: &'static str| Resource::fill("secrets/{name}", |_| Some(name)).is_some();
        assert!(of("slack_webhook") && of("logo-2"));
        for wrong in ["xoxB-1", "sk.live", "a/b", &"a".repeat(65)] {
            assert!(!of(Box::leak(wrong.to_owned().into_boxed_str())), "{wrong}");
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
