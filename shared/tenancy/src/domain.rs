//! A tenant's own domain, and what is put into the DNS to prove it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    Config, Problem,
    config::BaseDomain,
    crypto::{Purpose, Shared},
    tenant::TenantId,
};

/// Grammar: at least two labels of `a-z`, `0-9` and `-`, joined by single dots; a label has 1 to 63 of them and no `-` at an
/// end; the last begins with a letter; 200 in all. Letters of other scripts have their form of IDNA, `xn--…`. Nothing that
/// is a machine's own, a private network's or AWS's. Source: RFC 1123 § 2.1, lower case only; RFC 5890 § 2.3.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(Box<str>);

/// What a domain must not end in: names that the DNS gives to nobody, and AWS's own.
const RESERVED: [&str; 4] = ["amazonaws.com", "internal", "local", "localhost"];

/// Where the proof of a domain is looked for: a label that no host has, before the domain.
const LABEL: &str = "_mcp-challenge";
/// What a proof begins with, so that whoever finds it in their DNS knows what it is for.
const WORD: &str = "mcp-challenge=";

/// Why a text is not a domain that a tenant may claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainError {
    /// So many bytes, which are more than 200.
    Length(usize),
    /// Another character than `a-z`, `0-9`, `-` and the dots between labels.
    Character,
    /// A label of so many bytes: none, or more than 63.
    Label(usize),
    /// A label with a `-` at an end.
    Hyphen,
    /// One label alone.
    Single,
    /// A last label that does not begin with a letter, as that of an IP address.
    Address,
    /// A name that is a machine's own, a private network's or AWS's.
    Reserved,
    /// The deployment's own base domain, or a name under it.
    Ours,
}

impl Domain {
    /// The text of the domain.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in the DNS at which the proof is looked for.
    #[must_use]
    pub fn challenge_name(&self) -> String {
        format!("{LABEL}.{self}")
    }

    /// What proves that this tenant has the domain: the texts that count, first the one to put. Nobody can make them without
    /// the platform's key, they are of no use to another tenant or for another domain, and they end with the claim, whose
    /// nonce they are made with.
    pub(crate) fn proofs(
        &self,
        keys: &[Shared<'_>],
        tenant: &TenantId,
        nonce: &str,
    ) -> Result<Vec<String>, Problem> {
        let proof = |key: &Shared<'_>| {
            let proof = key.name(Purpose::Domain, tenant, &[self.as_str(), nonce]);
            let proof =
                proof.ok_or_else(|| Problem::internal("deriving a proof", "there is no platform key"))?;
            Ok(format!("{WORD}{proof}"))
        };
        keys.iter().map(proof).collect()
    }

    /// Refuses a domain that is the deployment's own already.
    ///
    /// # Errors
    /// [`DomainError::Ours`] for the base domain and what is under it.
    pub fn check_foreign(&self, config: &Config) -> Result<(), DomainError> {
        let under = |base: &BaseDomain| is_under(&self.0, base.as_str());
        if config.base_domain.as_ref().is_some_and(under) { Err(DomainError::Ours) } else { Ok(()) }
    }
}

/// A TXT record that proves a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Its name.
    pub name: String,
    /// Its text.
    pub value: String,
}

/// Whether a name is this one or below it.
fn is_under(name: &str, above: &str) -> bool {
    name.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        if text.len() > 200 {
            return Err(DomainError::Length(text.len()));
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        if !text.bytes().all(plain) {
            return Err(DomainError::Character);
        }
        if let Some(label) = text.split('.').find(|label| !(1..=63).contains(&label.len())) {
            return Err(DomainError::Label(label.len()));
        }
        if text.split('.').any(|label| label.starts_with('-') || label.ends_with('-')) {
            return Err(DomainError::Hyphen);
        }
        let (_, last) = text.rsplit_once('.').ok_or(DomainError::Single)?;
        if !last.starts_with(|first: char| first.is_ascii_lowercase()) {
            return Err(DomainError::Address);
        }
        if RESERVED.iter().any(|reserved| is_under(text, reserved)) {
            return Err(DomainError::Reserved);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Domain {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0.into()
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DomainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length(bytes) => return write!(f, "at most 200 characters, and this has {bytes}"),
            Self::Label(bytes) => {
                return write!(
                    f,
                    "each label has 1 to 63 characters, so that no dot is before the first or after the last, and one has \
                     {bytes}"
                );
            }
            Self::Character => {
                "a-z, 0-9, hyphens, and dots between labels: lower case, other scripts in their xn-- form, without scheme, \
                 port or wildcard"
            }
            Self::Hyphen => "no label has a hyphen at an end",
            Self::Single => "at least two labels",
            Self::Address => "the last label begins with a letter; an IP address is no domain",
            Self::Reserved => "names of a machine, a private network or AWS are nobody's",
            Self::Ours => "this service's own domain, and names under it, are not claimed",
        })
    }
}

impl std::error::Error for DomainError {}

impl From<DomainError> for Problem {
    fn from(err: DomainError) -> Self {
        Self::Invalid { detail: format!("domain: {err}") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_domain_is_refused_by_the_one_rule_that_it_breaks() {
        let label = "a".repeat(63);
        for (taken, refused, why) in [
            ("mcp.acme.com", "Mcp.acme.com", DomainError::Character),
            ("mcp.acme.com", "mcp.acme.com:443", DomainError::Character),
            ("mcp.acme.com", "*.acme.com", DomainError::Character),
            ("mcp.acme.com", "_mcp.acme.com", DomainError::Character),
            ("mcp.acme.com", "mcp.acme.com/mcp", DomainError::Character),
            ("xn--bcher-kva.example", "b\u{fc}cher.example", DomainError::Character),
            ("mcp.acme.com", "mcp.acme.com.", DomainError::Label(0)),
            ("mcp.acme.com", ".mcp.acme.com", DomainError::Label(0)),
            ("mcp.acme.com", "mcp..acme.com", DomainError::Label(0)),
            ("m-p.acme.com", "-mp.acme.com", DomainError::Hyphen),
            ("m-p.acme.com", "mp-.acme.com", DomainError::Hyphen),
            (&format!("{label}.com"), &format!("a{label}.com"), DomainError::Label(64)),
            ("acme.com", "", DomainError::Label(0)),
            ("acme.com", "acme", DomainError::Single),
            ("a.localhos", "localhost", DomainError::Single),
            ("127.0.0.a1", "127.0.0.1", DomainError::Address),
            ("1.2.3.x4", "1.2.3.0x4", DomainError::Address),
            ("a.mylocalhost", "a.localhost", DomainError::Reserved),
            ("a.b-internal", "a.b.internal", DomainError::Reserved),
            ("notamazonaws.com", "a1b2.execute-api.eu-central-1.amazonaws.com", DomainError::Reserved),
        ] {
            assert_eq!(taken.parse::<Domain>().err(), None, "{taken}");
            assert_eq!(refused.parse::<Domain>(), Err(why), "{refused}");
        }
        let long = |last: &str| format!("{label}.{label}.{label}.{last}");
        assert!(long("abcdefgh").parse::<Domain>().is_ok());
        assert_eq!(long("abcdefghi").parse::<Domain>(), Err(DomainError::Length(201)));
        assert_eq!(DomainError::Length(201).to_string(), "at most 200 characters, and this has 201");
        assert!(DomainError::Label(64).to_string().ends_with("and one has 64"));
    }

    #[test]
    fn the_deployments_own_names_are_not_claimed() {
        let settings = [
            ("EDGE", "rest"),
            ("BASE_DOMAIN", "mcp.example.com"),
            ("AWS_REGION", "eu-central-1"),
            ("ISSUER", "https://login.example.com"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::read(settings.into()).unwrap();
        let check = |text: &str| text.parse::<Domain>().unwrap().check_foreign(&config);
        for ours in ["mcp.example.com", "acme.mcp.example.com", "a.b.mcp.example.com"] {
            assert_eq!(check(ours), Err(DomainError::Ours), "{ours}");
        }
        for foreign in ["example.com", "amcp.example.com", "mcp.example.com.acme.com"] {
            assert_eq!(check(foreign), Ok(()), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_as_it_was_and_leaves_room_for_its_proof(text in "[a-zA-Z0-9.*_-]{0,210}") {
            if let Ok(domain) = text.parse::<Domain>() {
                prop_assert_eq!(domain.to_string(), text);
                prop_assert!(domain.challenge_name().len() <= 253);
            }
        }
    }
}
