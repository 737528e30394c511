//! A tenant's changeable name, and the names that no tenant may have.

use std::{fmt, str::FromStr};

/// Grammar: 3 to 40 of `a-z`, `0-9`, `-`; ends are not `-`; no `--`, which IDNA gives a meaning. Not a reserved
/// word. Source: RFC 1123 § 2.1, lower case only; RFC 5891 § 4.2.3.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(Box<str>);

/// Names that a person could take for the service itself, or that it needs for its own hosts and routes. Sorted.
const RESERVED: &[&str] = &[
    "about",
    "account",
    "accounts",
    "admin",
    "administrator",
    "api",
    "app",
    "apps",
    "assets",
    "auth",
    "authorize",
    "autoconfig",
    "autodiscover",
    "billing",
    "blog",
    "callback",
    "cdn",
    "console",
    "dashboard",
    "default",
    "demo-idp",
    "dev",
    "discover",
    "docs",
    "email",
    "ftp",
    "health",
    "help",
    "host",
    "idp",
    "imap",
    "info",
    "insula",
    "internal",
    "isatap",
    "local",
    "localhost",
    "login",
    "logout",
    "mail",
    "mcp",
    "metrics",
    "null",
    "oauth",
    "operator",
    "pop",
    "portal",
    "postmaster",
    "prod",
    "production",
    "public",
    "register",
    "root",
    "security",
    "server",
    "shared",
    "signin",
    "signup",
    "smtp",
    "sso",
    "staging",
    "static",
    "status",
    "support",
    "system",
    "tenant",
    "tenants",
    "test",
    "token",
    "undefined",
    "universal",
    "vend",
    "webmail",
    "webmaster",
    "well-known",
    "wpad",
    "www",
];

/// Why a text is not a slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlugError {
    /// Fewer than 3 or more than 40 bytes.
    Length,
    /// Another character than `a-z`, `0-9` and `-`, or a `-` at an end or beside another.
    Grammar,
    /// One of the reserved words.
    Reserved,
}

impl fmt::Display for SlugError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a slug has 3 to 40 characters",
            Self::Grammar => "a slug has a-z, 0-9 and single hyphens between them",
            Self::Reserved => "this slug is reserved",
        })
    }
}

impl std::error::Error for SlugError {}

impl FromStr for Slug {
    type Err = SlugError;

    fn from_str(text: &str) -> Result<Self, SlugError> {
        if !(3..=40).contains(&text.len()) {
            return Err(SlugError::Length);
        }
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !plain || text.starts_with('-') || text.ends_with('-') || text.contains("--") {
            return Err(SlugError::Grammar);
        }
        if RESERVED.binary_search(&text).is_ok() {
            return Err(SlugError::Reserved);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_reserved_words_are_sorted_so_that_each_is_found() {
        assert!(RESERVED.is_sorted());
        for word in RESERVED {
            assert_eq!(word.parse::<Slug>(), Err(SlugError::Reserved), "{word}");
            assert!(format!("{word}-1").parse::<Slug>().is_ok(), "{word}");
        }
    }

    #[test]
    fn a_slug_is_refused_for_one_wrong_byte() {
        for (text, verdict) in [
            ("acme", None),
            ("a-1", None),
            ("ac", Some(SlugError::Length)),
            ("Acme", Some(SlugError::Grammar)),
            ("acme-", Some(SlugError::Grammar)),
            ("-acme", Some(SlugError::Grammar)),
            ("xn--acme", Some(SlugError::Grammar)),
            ("ac.me", Some(SlugError::Grammar)),
            ("acm\u{e9}", Some(SlugError::Grammar)),
            ("acme#", Some(SlugError::Grammar)),
        ] {
            assert_eq!(text.parse::<Slug>().err(), verdict, "{text}");
        }
        assert!("a".repeat(40).parse::<Slug>().is_ok());
        assert_eq!("a".repeat(41).parse::<Slug>(), Err(SlugError::Length));
    }

    proptest! {
        #[test]
        fn whatever_parses_is_a_dns_label_and_prints_as_it_was(text in "\\PC{0,44}") {
            if let Ok(slug) = text.parse::<Slug>() {
                prop_assert_eq!(slug.to_string(), text.clone());
                prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
            }
        }
    }
}
