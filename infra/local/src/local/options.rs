//! How the stack starts, and what that makes of the template's parameters.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use super::Watch;
use crate::demo::DemoTenant;

/// The principal that the operator's role trusts on the laptop.
const OPERATOR: &str = "arn:aws:iam::000000000000:role/laptop-operator";

/// How to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of `template.yaml`.
    pub root: PathBuf,
    /// The folder of the function binaries.
    pub bin_dir: PathBuf,
    /// The gateway's port, or where there is none that of who answers in its place, and the identity provider's is the
    /// next; 0 lets the system choose both.
    pub port: u16,
    /// Where data, keys and secrets are kept; in memory without it.
    pub data: Option<PathBuf>,
    /// Who is there from the start.
    pub tenants: Vec<DemoTenant>,
    /// Which of the two edges, or none.
    pub edge: Edge,
    /// Calls the functions of a `cargo lambda watch`; without it they are started here.
    pub watch: Option<Watch>,
    /// Lambda's tenant isolation mode.
    pub isolation: bool,
    /// Names beside the base domain for which the gateway answers, as API Gateway does for its custom domain names; one that
    /// begins with `*.` stands for one label there.
    pub domains: Vec<String>,
    /// Where the proof of a domain is looked for; the system's own resolver without it.
    pub dns: Option<SocketAddr>,
    /// Another binary for a function, by its logical id in the template.
    pub overrides: BTreeMap<String, PathBuf>,
    /// Where the functions' log lines go: function, line.
    pub log: fn(&str, &str),
}

/// API Gateway's two products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// REST API.
    Rest,
    /// HTTP API.
    Http,
    /// None: the functions are made for the events of `cargo lambda watch`, which come without an authorizer.
    None,
}

impl Options {
    /// The template's parameters on the laptop: the deployment's, with `localhost` for a domain.
    pub(super) fn parameters(&self, port: u16, issuer: &str) -> BTreeMap<String, String> {
        let edge = match self.edge {
            // What is deployed always has an edge: that there is none is said to the functions alone.
            Edge::Rest | Edge::None => "rest",
            Edge::Http => "http",
        };
        let mut parameters = BTreeMap::from(
            [
                ("Environment", "laptop"),
                ("Contact", "operator@example.com"),
                ("Edge", edge),
                ("BaseDomain", "localhost"),
                ("TenantIsolation", if self.isolation { "on" } else { "off" }),
                ("Issuer", issuer),
                ("OperatorPrincipal", OPERATOR),
                ("Collections", "documents"),
                ("MetricsByTenant", "business"),
                ("CertificateArn", "arn:aws:acm:eu-central-1:000000000000:certificate/laptop"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        parameters.insert("PublicPort".to_owned(), port.to_string());
        if let Some(dns) = self.dns {
            parameters.insert("DnsResolver".to_owned(), dns.to_string());
        }
        if self.edge == Edge::Http {
            parameters.insert("Audiences".to_owned(), format!("http://localhost:{port}/mcp"));
        }
        parameters
    }
}
