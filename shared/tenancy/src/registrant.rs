//! A tenant who asks for domains: the function `domains` decides, and believes this one nothing but the bearer's own words.

use std::{fmt, sync::Arc};

use crate::{
    Config, Domain, Edge, Problem, Verdict,
    invoke::Invoker,
    registrar::{Deed, DomainReply, DomainRequest},
    site::{Place, Site},
    tenant::Proof,
    vend::VendRequest,
};

/// What is done by asking `domains`.
pub(crate) const ASKING: &str = "asking about a domain";

/// Longest wait for `domains`: it asks the registry, an issuer and the DNS, each bounded.
pub(crate) const WAIT_MAX_S: u32 = 5;

/// The way to `domains`, in a function that has to do with them.
pub(crate) struct Desk {
    pub(crate) invoker: Invoker,
    pub(crate) config: Config,
}

/// One request's right to ask.
#[derive(Debug, Clone)]
pub(crate) struct Registrant {
    pub(crate) desk: Arc<Desk>,
    pub(crate) proof: Proof,
}

/// A scope holds it, and the configuration has the whole environment.
impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Registrant {
    /// Refuses a domain at which this deployment could never serve anybody.
    pub(crate) fn check(&self, domain: &Domain) -> Result<(), Problem> {
        if self.desk.config.edge == Edge::Http {
            let detail =
                "domain: this deployment has one address for all, and serves no other domains".to_owned();
            return Err(Problem::Invalid { detail });
        }
        Ok(domain.check_foreign(&self.desk.config)?)
    }

    /// The MCP endpoint at a domain.
    pub(crate) fn resource(&self, domain: &Domain) -> String {
        Site::of(&self.desk.config, domain.as_str(), Place::Custom(domain.clone())).resource()
    }

    pub(crate) async fn ask(&self, domain: &Domain, deed: Deed) -> Result<Verdict, Problem> {
        let who = VendRequest::of(self.proof.clone());
        let request = DomainRequest { who, domain: domain.clone(), deed };
        self.desk.invoker.invoke::<_, DomainReply>(&request).await?.granted(ASKING)
    }
}
