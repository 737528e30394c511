//! What a deployment sets: the only reader of the environment.

use std::{collections::BTreeMap, env, fmt};

use crate::CollectionName;

/// The settings of a deployment. Each function has only those that the template gives it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which API Gateway product is in front.
    pub edge: Edge,
    /// The host under which tenants have theirs; `None` where the API's own host is the only one.
    pub base_domain: Option<BaseDomain>,
    /// The port in URLs that clients use.
    pub public_port: u16,
    /// AWS region.
    pub region: String,
    /// Whether Lambda's tenant isolation mode is on, so that its tenant id must agree too.
    pub isolation: bool,
    /// The issuer of tenants that have none of their own: what an unknown host's metadata names, and whose
    /// keys are fetched in init.
    pub issuer: String,
    /// Where people see an item in the SaaS itself: a URL with `{collection}` and `{id}` in it, and `{tenant}` if the slug
    /// belongs there.
    pub item_url: Option<String>,
    settings: BTreeMap<String, String>,
}

/// API Gateway's two products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// REST API: v1 events, our authorizer.
    Rest,
    /// HTTP API: v2 events, native JWT authorizer on the universal URL.
    Http,
    /// No edge at all, as `cargo lambda watch` has it: v2 events without an authorizer, on the laptop only.
    Watch,
}

/// A DNS name in lower case, or `localhost`, the only switch that makes anything lenient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseDomain(Box<str>);

impl BaseDomain {
    /// Reads a base domain: labels of `a-z`, `0-9` and `-`, joined by dots; at least two, but for `localhost`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let name = text.len() <= 200 && text.contains('.') && text.split('.').all(label);
        let local = text == "localhost";
        ((name && !text.ends_with(".localhost")) || local).then(|| Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the laptop, where http is good enough for loopback.
    #[must_use]
    pub fn is_laptop(&self) -> bool {
        &*self.0 == "localhost"
    }
}

/// A setting that is missing or wrong: the function must not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The environment variable.
    pub name: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment variable {} is missing or not valid", self.name)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// The first variable that is missing or not valid.
    #[expect(clippy::disallowed_methods, reason = "this is the reader of the environment")]
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(env::vars().collect())
    }

    /// Reads settings as an environment would have them.
    ///
    /// # Errors
    /// The first variable that is missing or not valid.
    pub fn read(settings: BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let get = |name: &'static str| settings.get(name).map(String::as_str).unwrap_or_default();
        let bad = |name| ConfigError { name };
        let edge = match get("EDGE") {
            "rest" => Edge::Rest,
            "http" => Edge::Http,
            "watch" if get("BASE_DOMAIN") == "localhost" => Edge::Watch,
            _ => return Err(bad("EDGE")),
        };
        let base_domain = match (get("BASE_DOMAIN"), edge) {
            ("", Edge::Http) => None,
            (text, _) => Some(BaseDomain::read(text).ok_or(bad("BASE_DOMAIN"))?),
        };
        let isolation = match (get("ISOLATION"), edge) {
            ("on", Edge::Rest) => true,
            ("off" | "", _) => false,
            _ => return Err(bad("ISOLATION")),
        };
        let public_port = match get("PUBLIC_PORT") {
            "" => 443,
            text => text.parse().map_err(|_err| bad("PUBLIC_PORT"))?,
        };
        let region = get("AWS_REGION").to_owned();
        let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(named) {
            return Err(bad("AWS_REGION"));
        }
        let issuer = get("ISSUER").to_owned();
        if issuer.is_empty() {
            return Err(bad("ISSUER"));
        }
        let laptop = base_domain.as_ref().is_some_and(BaseDomain::is_laptop);
        let item_url = Some(get("ITEM_URL")).filter(|url| !url.is_empty()).map(str::to_owned);
        if item_url.as_ref().is_some_and(|url| !is_item_url(url, laptop)) {
            return Err(bad("ITEM_URL"));
        }
        Ok(Self { edge, base_domain, public_port, region, isolation, issuer, item_url, settings })
    }

    /// A setting that only some functions have.
    ///
    /// # Errors
    /// The variable, when it is missing or empty.
    pub fn require(&self, name: &'static str) -> Result<&str, ConfigError> {
        self.settings
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .ok_or(ConfigError { name })
    }

    /// The free-form collections of this deployment: names, separated by commas.
    ///
    /// # Errors
    /// The variable, when one of the names is none of a collection, or is there twice.
    pub fn collections(&self) -> Result<Vec<CollectionName>, ConfigError> {
        const NAME: &str = "COLLECTIONS";
        let text = self.settings.get(NAME).map(String::as_str).unwrap_or_default();
        let names = text.split(',').filter(|name| !name.is_empty()).map(str::parse);
        let names =
            names.collect::<Result<Vec<CollectionName>, _>>().map_err(|_err| ConfigError { name: NAME })?;
        let twice =
            names.iter().enumerate().any(|(at, name)| names.iter().take(at).any(|other| other == name));
        if twice { Err(ConfigError { name: NAME }) } else { Ok(names) }
    }

    /// How much is logged; `info` where it is not set.
    #[must_use]
    pub fn log_level(&self) -> &str {
        self.settings.get("LOG_LEVEL").map_or("info", String::as_str)
    }

    /// The namespace of metrics in CloudWatch, where there is one.
    #[must_use]
    pub fn metrics_namespace(&self) -> Option<&str> {
        self.require("METRICS_NAMESPACE").ok()
    }

    /// Whom a tenant asks for more than its plan has, in words for people: an address, a name, a URL.
    #[must_use]
    pub fn contact(&self) -> Option<&str> {
        self.require("CONTACT").ok()
    }

    /// Whether this is the laptop.
    #[must_use]
    pub fn is_laptop(&self) -> bool {
        self.base_domain.as_ref().is_some_and(BaseDomain::is_laptop)
    }
}

/// Plain characters alone, so that what is filled in can't become another part of the URL.
fn is_item_url(url: &str, laptop: bool) -> bool {
    let scheme = url.starts_with("https://") || (laptop && url.starts_with("http://"));
    let plain = url.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#&=%{}".contains(&b));
    scheme && plain && url.contains("{collection}") && url.contains("{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut settings = BTreeMap::from(
            [
                ("EDGE", "rest"),
                ("BASE_DOMAIN", "mcp.example.com"),
                ("AWS_REGION", "eu-central-1"),
                ("ISSUER", "https://login.example.com"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        settings.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Config::read(settings)
    }

    #[test]
    fn a_setting_that_is_wrong_is_named() {
        assert!(with(&[]).is_ok());
        for (name, value) in [
            ("EDGE", "alb"),
            ("BASE_DOMAIN", ""),
            ("BASE_DOMAIN", "MCP.example.com"),
            ("BASE_DOMAIN", "acme.localhost"),
            ("BASE_DOMAIN", "example..com"),
            ("BASE_DOMAIN", "example"),
            ("PUBLIC_PORT", "70000"),
            ("ISOLATION", "yes"),
            ("AWS_REGION", "eu.evil.example/"),
            ("ISSUER", ""),
            ("ITEM_URL", "http://app.example.com/{collection}/{id}"),
            ("ITEM_URL", "https://app.example.com/{collection}"),
            ("ITEM_URL", "https://app.example.com/{collection}/{id}\n"),
        ] {
            assert_eq!(with(&[(name, value)]).err().map(|err| err.name), Some(name), "{value}");
        }
        assert!(with(&[("EDGE", "http"), ("BASE_DOMAIN", "")]).is_ok());
        assert!(with(&[("ITEM_URL", "https://app.example.com/{tenant}?c={collection}#{id}")]).is_ok());
    }

    #[test]
    fn a_free_form_collection_is_named_once_and_well() {
        let names = |list| with(&[("COLLECTIONS", list)]).unwrap().collections();
        assert_eq!(names("").unwrap(), []);
        assert_eq!(names("tickets,contacts").unwrap().len(), 2);
        for wrong in ["tickets,tickets", "Tickets", "a#b", "tickets, contacts"] {
            assert_eq!(names(wrong), Err(ConfigError { name: "COLLECTIONS" }), "{wrong}");
        }
    }

    #[test]
    fn isolation_needs_the_rest_edge() {
        assert!(with(&[("ISOLATION", "on")]).is_ok());
        assert!(with(&[("ISOLATION", "on"), ("EDGE", "http")]).is_err());
    }

    #[test]
    fn only_the_name_localhost_is_the_laptop() {
        assert!(with(&[("BASE_DOMAIN", "localhost")]).unwrap().is_laptop());
        assert!(!with(&[("BASE_DOMAIN", "localhost.example.com")]).unwrap().is_laptop());
        assert!(!with(&[]).unwrap().is_laptop());
    }
}
