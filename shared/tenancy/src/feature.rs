//! What a tenant may use besides its tools: a closed list, by tier, with the operator's exceptions.

use std::{collections::BTreeMap, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::tenant::{Tier, UnknownWord};

/// A feature. Each word is also a value of the plan row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// `advanced_analytics`: usage by tool and day; without it usage gives totals alone.
    AdvancedAnalytics,
    /// `custom_branding`: the tenant's own name, colours, logo and e-mail texts.
    CustomBranding,
    /// `api_access`: the REST API under `/v1`; without it only MCP answers, and what an admin needs to run the workspace:
    /// `/v1/config` and `/v1/secrets`.
    ApiAccess,
    /// `data_export`: an admin may take out everything that is the tenant's.
    DataExport,
    /// `white_label`: the name of this product appears nowhere.
    WhiteLabel,
}

impl Feature {
    /// Every feature, in the order in which they are listed.
    pub const ALL: [Self; 5] =
        [Self::AdvancedAnalytics, Self::CustomBranding, Self::ApiAccess, Self::DataExport, Self::WhiteLabel];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AdvancedAnalytics => "advanced_analytics",
            Self::CustomBranding => "custom_branding",
            Self::ApiAccess => "api_access",
            Self::DataExport => "data_export",
            Self::WhiteLabel => "white_label",
        }
    }

    /// What a message calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::AdvancedAnalytics => "advanced analytics",
            Self::CustomBranding => "custom branding",
            Self::ApiAccess => "API access",
            Self::DataExport => "data export",
            Self::WhiteLabel => "white label",
        }
    }

    /// Whether a tier has it unless the operator says otherwise.
    #[must_use]
    pub fn is_part_of(self, tier: Tier) -> bool {
        let least = match self {
            Self::ApiAccess => Tier::Starter,
            Self::AdvancedAnalytics | Self::CustomBranding | Self::DataExport => Tier::Professional,
            Self::WhiteLabel => Tier::Business,
        };
        tier >= least
    }
}

impl FromStr for Feature {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|feature| feature.word() == text).ok_or(UnknownWord)
    }
}

/// The operator's exceptions from what a tier has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(BTreeMap<Feature, bool>);

impl Overrides {
    /// The exception for a feature, if there is one.
    #[must_use]
    pub fn get(&self, feature: Feature) -> Option<bool> {
        self.0.get(&feature).copied()
    }

    /// The same with one exception more, or with one taken back.
    #[must_use]
    pub fn with(mut self, feature: Feature, exception: Option<bool>) -> Self {
        match exception {
            Some(on) => self.0.insert(feature, on),
            None => self.0.remove(&feature),
        };
        self
    }

    pub(crate) fn attribute(&self) -> AttributeValue {
        let members = self.0.iter();
        AttributeValue::M(members.map(|(f, on)| (f.word().to_owned(), AttributeValue::Bool(*on))).collect())
    }

    /// Reads the attribute. A word that is unknown here is of another version of this program and switches nothing.
    pub(crate) fn read(attribute: Option<&AttributeValue>) -> Option<Self> {
        let Some(attribute) = attribute else { return Some(Self::default()) };
        let mut overrides = Self::default();
        for (word, value) in attribute.as_m().ok()? {
            let on = *value.as_bool().ok()?;
            if let Ok(feature) = word.parse() {
                overrides = overrides.with(feature, Some(on));
            }
        }
        Some(overrides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_and_no_other() {
        for feature in Feature::ALL {
            assert_eq!(feature.word().parse(), Ok(feature));
        }
        assert_eq!("api-access".parse::<Feature>(), Err(UnknownWord));
    }

    #[test]
    fn an_exception_counts_more_than_the_tier_until_it_is_taken_back() {
        let some = Overrides::default().with(Feature::WhiteLabel, Some(true));
        let read = Overrides::read(Some(&some.attribute())).unwrap();
        assert_eq!((read.get(Feature::WhiteLabel), read.get(Feature::ApiAccess)), (Some(true), None));
        assert_eq!(read.with(Feature::WhiteLabel, None), Overrides::default());
    }

    #[test]
    fn a_word_of_another_version_switches_nothing() {
        let unknown = [("telepathy".to_owned(), AttributeValue::Bool(true))];
        let read = Overrides::read(Some(&AttributeValue::M(unknown.into()))).unwrap();
        assert_eq!(read, Overrides::default());
        let broken = [("api_access".to_owned(), AttributeValue::S("true".to_owned()))];
        assert_eq!(Overrides::read(Some(&AttributeValue::M(broken.into()))), None);
    }
}
