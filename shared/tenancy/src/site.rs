//! Which address a request came to, and that address's one resource URL.

use crate::{
    config::{Config, Edge},
    domain::Domain,
    slug::Slug,
};

/// The address of a request. Its URLs are made of configuration and parsed names, never of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Whose address it is.
    pub place: Place,
    origin: String,
}

/// Whose address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `<slug>.<base domain>`.
    Host(Slug),
    /// A tenant's own domain, which the registry may know.
    Custom(Domain),
    /// `/{slug}/…` on the universal host.
    Path(Slug),
    /// The universal host: the token alone names the tenant.
    Universal,
}

impl Site {
    /// The site of an event's domain name and path parameter, or `None` where this deployment has no such address.
    #[must_use]
    pub fn read(
        config: &Config,
        domain_name: &str,
        api_id: Option<&str>,
        path_tenant: Option<&str>,
    ) -> Option<Self> {
        let place = if is_universal(config, domain_name, api_id) {
            match path_tenant {
                Some(text) => Place::Path(text.parse().ok()?),
                None => Place::Universal,
            }
        } else {
            // A tenant's host has no path form: its slug would be a second, unasked opinion.
            path_tenant.is_none().then_some(())?;
            host_place(config, domain_name)?
        };
        Some(Self::of(config, domain_name, place))
    }

    /// The site of a place, by its name.
    pub(crate) fn of(config: &Config, domain_name: &str, place: Place) -> Self {
        Self { place, origin: origin(config, domain_name) }
    }

    /// The MCP endpoint: RFC 8707 `resource`, the only audience that is good here.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}/mcp", self.home())
    }

    /// What everything of the tenant at this address begins with.
    #[must_use]
    pub fn home(&self) -> String {
        match &self.place {
            Place::Path(slug) => format!("{}/{slug}", self.origin),
            _ => self.origin.clone(),
        }
    }

    /// The protected-resource metadata of [`Site::resource`], with its path inserted (RFC 9728 § 3.1).
    #[must_use]
    pub fn metadata_url(&self) -> String {
        match &self.place {
            Place::Path(slug) => format!("{}/.well-known/oauth-protected-resource/{slug}/mcp", self.origin),
            _ => format!("{}/.well-known/oauth-protected-resource/mcp", self.origin),
        }
    }
}

fn is_universal(config: &Config, domain_name: &str, api_id: Option<&str>) -> bool {
    if config.base_domain.as_ref().is_some_and(|base| base.as_str() == domain_name) {
        return true;
    }
    // The API's own host is in use on the HTTP edge only; the REST edge switches it off.
    let Some(api) = api_id.filter(|api| {
        config.edge == Edge::Http && !api.is_empty() && api.bytes().all(|b| b.is_ascii_alphanumeric())
    }) else {
        return false;
    };
    domain_name == format!("{api}.execute-api.{}.amazonaws.com", config.region)
}

fn host_place(config: &Config, domain_name: &str) -> Option<Place> {
    let base = config.base_domain.as_ref()?.as_str();
    if let Some(label) = domain_name.strip_suffix(base).and_then(|rest| rest.strip_suffix('.')) {
        return label.parse().ok().map(Place::Host);
    }
    domain_name.parse().ok().map(Place::Custom)
}

fn origin(config: &Config, domain_name: &str) -> String {
    match (config.is_laptop(), config.public_port) {
        (true, port) => format!("http://{domain_name}:{port}"),
        (false, 443) => format!("https://{domain_name}"),
        (false, port) => format!("https://{domain_name}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn config(edge: &str, base: &str) -> Config {
        let settings = [
            ("EDGE", edge),
            ("BASE_DOMAIN", base),
            ("AWS_REGION", "eu-central-1"),
            ("ISSUER", "https://login.example.com"),
        ];
        Config::read(BTreeMap::from(settings.map(|(k, v)| (k.to_owned(), v.to_owned())))).unwrap()
    }

    fn resource(config: &Config, domain: &str, api: Option<&str>, path: Option<&str>) -> Option<String> {
        Site::read(config, domain, api, path).map(|site| site.resource())
    }

    #[test]
    fn every_address_has_one_resource() {
        let rest = config("rest", "mcp.example.com");
        let of = |domain, path| resource(&rest, domain, Some("a1b2"), path);
        assert_eq!(of("acme.mcp.example.com", None).as_deref(), Some("https://acme.mcp.example.com/mcp"));
        assert_eq!(of("mcp.example.com", None).as_deref(), Some("https://mcp.example.com/mcp"));
        assert_eq!(of("mcp.example.com", Some("acme")).as_deref(), Some("https://mcp.example.com/acme/mcp"));
        assert_eq!(of("mcp.acme.com", None).as_deref(), Some("https://mcp.acme.com/mcp"));
    }

    #[test]
    fn an_address_that_is_not_ours_is_none() {
        let rest = config("rest", "mcp.example.com");
        for (domain, path) in [
            ("acme.globex.mcp.example.com", None),
            ("acme.mcp.example.com", Some("globex")),
            ("acme.mcp.example.com", Some("acme")),
            ("mcp.example.com", Some("www")),
            ("www.mcp.example.com", None),
            ("Acme.mcp.example.com", None),
            ("acme.mcp.example.com.", None),
            ("acme.mcp.example.com:443", None),
            (".mcp.example.com", None),
            ("a1b2.execute-api.eu-central-1.amazonaws.com", None),
            ("", None),
        ] {
            assert_eq!(Site::read(&rest, domain, Some("a1b2"), path), None, "{domain}");
        }
    }

    #[test]
    fn the_http_edge_knows_its_own_host_by_its_api_id() {
        let http = config("http", "");
        let own = "a1b2.execute-api.eu-central-1.amazonaws.com";
        assert_eq!(
            resource(&http, own, Some("a1b2"), None).as_deref(),
            Some("https://a1b2.execute-api.eu-central-1.amazonaws.com/mcp")
        );
        assert_eq!(resource(&http, own, Some("c3d4"), None), None);
        assert_eq!(resource(&http, own, None, None), None);
        assert_eq!(resource(&http, "a1b2.execute-api.us-east-1.amazonaws.com", Some("a1b2"), None), None);
    }

    #[test]
    fn the_laptop_speaks_http_on_its_port() {
        let laptop = config("rest", "localhost");
        assert_eq!(
            resource(&laptop, "acme.localhost", None, None).as_deref(),
            Some("http://acme.localhost:443/mcp")
        );
    }
}
