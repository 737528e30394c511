//! The names at which the gateway answers.

/// Names of hosts. One that begins with `*.` stands for one label there, as in API Gateway.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<String>);

impl Names {
    /// Takes the names in any case.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// The base domain, and a host a tenant under it.
    #[must_use]
    pub fn under(base_domain: &str) -> Self {
        Self::new([base_domain.to_owned(), format!("*.{base_domain}")])
    }

    /// These names and those.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.0.extend_from_slice(&other.0);
        self
    }

    /// Whether a host in lower case is one of them.
    #[must_use]
    pub fn have(&self, host: &str) -> bool {
        let above = host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, above)| above);
        self.0.iter().any(|name| match name.strip_prefix("*.") {
            Some(star) => above == Some(star),
            None => host == name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        let names = Names::under("localhost").and(&Names::new(["MCP.acme.test".to_owned()]));
        for (host, had) in [
            ("localhost", true),
            ("acme.localhost", true),
            ("a.b.localhost", false),
            (".localhost", false),
            ("notlocalhost", false),
            ("mcp.acme.test", true),
            ("acme.test", false),
            ("a.mcp.acme.test", false),
            ("*.localhost.x", false),
        ] {
            assert_eq!(names.have(host), had, "{host}");
        }
    }
}
