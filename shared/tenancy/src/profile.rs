//! How the access tokens of an issuer look: a closed list, since a token that may look like anything may be anything.

use std::{collections::BTreeMap, str::FromStr};

use serde_json::Value;

use crate::{Denial, tenant::UnknownWord};

/// The form of an issuer's access tokens. The issuer's registry row names it; [`Profile::Rfc9068`] where it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// `typ: at+jwt`, `client_id`. Source: RFC 9068 § 2.
    #[default]
    Rfc9068,
    /// Amazon Cognito with a resource server bound, so that there is an `aud`: no `typ`, `token_use: access`.
    Cognito,
    /// Okta: no `typ`, `cid`.
    Okta,
    /// Microsoft Entra v2: `typ: JWT`, `azp`, `scp`.
    Entra,
    /// Auth0 with its own dialect: `typ: JWT`, `azp`.
    Auth0,
}

const ALL: [(&str, Profile); 5] = [
    ("rfc9068", Profile::Rfc9068),
    ("cognito", Profile::Cognito),
    ("okta", Profile::Okta),
    ("entra", Profile::Entra),
    ("auth0", Profile::Auth0),
];

impl Profile {
    /// The word in the registry.
    #[must_use]
    pub fn word(self) -> &'static str {
        ALL.iter().find(|(_, profile)| *profile == self).map_or("rfc9068", |(word, _)| word)
    }

    pub(crate) fn check_type(self, typ: Option<&str>) -> Result<(), Denial> {
        let lower = typ.map(str::to_ascii_lowercase);
        let good = matches!(
            (self, lower.as_deref()),
            (_, Some("at+jwt" | "application/at+jwt"))
                | (Self::Cognito | Self::Okta, None)
                | (Self::Entra | Self::Auth0 | Self::Okta | Self::Cognito, Some("jwt"))
        );
        good.then_some(()).ok_or(Denial::TokenHeader)
    }

    /// What only an access token of this issuer carries.
    pub(crate) fn check_marker(self, claims: &BTreeMap<String, Value>) -> Result<(), Denial> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let good = match self {
            Self::Rfc9068 => text("token_use").is_none_or(|use_| use_ == "access"),
            Self::Cognito => text("token_use") == Some("access"),
            Self::Okta => claims.contains_key("cid") && claims.contains_key("scp"),
            Self::Entra => text("ver") == Some("2.0") && claims.contains_key("scp"),
            Self::Auth0 => claims.contains_key("scope"),
        };
        good.then_some(()).ok_or(Denial::TokenClaims)
    }

    pub(crate) const fn client_claim(self) -> &'static str {
        match self {
            Self::Rfc9068 | Self::Cognito => "client_id",
            Self::Okta => "cid",
            Self::Entra | Self::Auth0 => "azp",
        }
    }
}

impl FromStr for Profile {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        ALL.iter().find(|(word, _)| *word == text).map(|(_, profile)| *profile).ok_or(UnknownWord)
    }
}

#[cfg(test)]
mod tests;
