//! What a tenant can be connected to. One more is a type with a grammar, and a line in [`integrations`].

use std::{fmt, str::FromStr};

use insula_tenancy::{Integration, Integrations, SecretName, SecretNameError};

/// Every integration, in the order in which they are listed.
#[must_use]
pub fn integrations() -> Integrations {
    Integrations::default().with::<StripeCustomer>().with::<AnalyticsId>().with::<SlackWebhook>()
}

/// A customer of Stripe. Grammar: `cus_` and 8 to 64 letters and digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeCustomer(pub String);

/// A property of Google Analytics 4. Grammar: `G-` and 4 to 16 of `A-Z 0-9`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalyticsId(pub String);

/// The name of the secret that holds the URL of an incoming webhook of Slack: the URL itself lets its reader post, so it is no
/// setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlackWebhook(pub SecretName);

impl Integration for StripeCustomer {
    const NAME: &'static str = "stripe_customer";
}

impl Integration for AnalyticsId {
    const NAME: &'static str = "analytics_id";
}

impl Integration for SlackWebhook {
    const NAME: &'static str = "slack_webhook_secret";
}

impl FromStr for StripeCustomer {
    type Err = IntegrationError;

    fn from_str(text: &str) -> Result<Self, IntegrationError> {
        let id = text.strip_prefix("cus_").unwrap_or_default();
        let fits = (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        let rule = "a customer of Stripe is cus_ and 8 to 64 letters and digits";
        fits.then(|| Self(text.to_owned())).ok_or(IntegrationError { rule, bytes: text.len() })
    }
}

impl FromStr for AnalyticsId {
    type Err = IntegrationError;

    fn from_str(text: &str) -> Result<Self, IntegrationError> {
        let id = text.strip_prefix("G-").unwrap_or_default();
        let fits =
            (4..=16).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let rule = "a property of Google Analytics is G- and 4 to 16 of A-Z and 0-9";
        fits.then(|| Self(text.to_owned())).ok_or(IntegrationError { rule, bytes: text.len() })
    }
}

impl FromStr for SlackWebhook {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        text.parse().map(Self)
    }
}

/// A text that is not what an integration asks for. It is not said again: it may be a key that was put into the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegrationError {
    rule: &'static str,
    bytes: usize,
}

impl fmt::Display for IntegrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; this has {} bytes", self.rule, self.bytes)
    }
}

impl std::error::Error for IntegrationError {}

#[cfg(test)]
mod tests {
    use insula_tenancy::{Problem, Settings};
    use serde_json::{Value, json};

    use super::*;

    fn set(integrations: &Value) -> Result<Settings, String> {
        match Settings::read(&json!({ "integrations": integrations }), &super::integrations()) {
            Err(Problem::Faulty { faults, .. }) => {
                Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            }
            read => Ok(read.unwrap()),
        }
    }

    #[test]
    fn each_is_of_its_own_grammar() {
        let settings = set(&json!({
            "stripe_customer": "cus_Q1w2e3r4t5",
            "analytics_id": "G-ABC123DEF4",
            "slack_webhook_secret": "slack_webhook",
        }));
        let settings = settings.unwrap();
        assert_eq!(settings.integration::<StripeCustomer>().unwrap().0, "cus_Q1w2e3r4t5");
        assert_eq!(settings.integration::<AnalyticsId>().unwrap().0, "G-ABC123DEF4");
        assert_eq!(settings.integration::<SlackWebhook>().unwrap().0.as_str(), "slack_webhook");
    }

    #[test]
    fn what_was_put_into_the_wrong_place_is_refused_and_not_said_again() {
        let said = set(&json!({
            "stripe_customer": "sk_live_31415926",
            "analytics_id": "G-31415926-lower",
            "slack_webhook_secret": "https://hooks.slack.com/services/31415926",
            "telex": "31415926",
        }));
        let said = said.unwrap_err();
        assert!(!said.contains("31415926"), "{said}");
        let expected = [
            "integrations.stripe_customer: a customer of Stripe is cus_ and 8 to 64 letters and digits; this has 16 bytes",
            "integrations.analytics_id: a property of Google Analytics is G- and 4 to 16 of A-Z and 0-9; this has 16 bytes",
            "integrations.slack_webhook_secret: a secret's name has 1 to 64 of a-z, 0-9 and _, and begins with a letter; \
             this has 41 bytes",
            "integrations.telex: unknown; known here: stripe_customer, analytics_id, slack_webhook_secret",
        ];
        assert_eq!(said, expected.join("\n"));
    }
}
