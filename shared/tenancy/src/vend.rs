//! Credentials of one tenant: how `vend` makes them, and how the functions ask for them and keep them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    Answered, Bearer, EventKind, Evidence, Problem,
    invoke::Invoker,
    resolve::{Position, Resolver},
    tenant::{Proof, Tenant},
};

mod session;

pub(crate) use session::{Kept, Sessions, Tagger};

/// What is done by asking `vend`.
pub(crate) const ASKING: &str = "asking for credentials";

/// What a function asks `vend`, and begins with what it asks `domains`: the evidence that needs no trust in the asker.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendRequest {
    bearer: String,
    domain_name: String,
    api_id: Option<String>,
    path_tenant: Option<String>,
}

impl VendRequest {
    /// What this request's own proof lets another function convince itself by.
    pub(crate) fn of(proof: Proof) -> Self {
        let Proof { bearer, domain_name, api_id, path_tenant, .. } = proof;
        Self { bearer: bearer.expose().to_owned(), domain_name, api_id, path_tenant }
    }

    /// The tenant that it proves to a resolver which remembers nothing.
    pub(crate) async fn resolve(self, resolver: &Resolver) -> Result<Tenant, Problem> {
        let refused = |denial| Problem::unauthenticated(denial, None);
        let evidence = Evidence {
            event: EventKind::V1,
            domain_name: Some(self.domain_name),
            api_id: self.api_id,
            path_tenant: self.path_tenant,
            authorizer: None,
            jwt_claims: None,
            lambda_tenant: None,
            bearer: Some(Bearer::from_token(&self.bearer).map_err(refused)?),
        };
        resolver.resolve(Position::Vend, &evidence).await
    }
}

/// What `vend` answers: a session of the tenant role, tagged with the tenant that the bearer proves.
pub type VendReply = Answered<Grant>;

/// A tagged session.
#[derive(Serialize, Deserialize)]
pub struct Grant {
    tenant: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expires_s: i64,
}

impl fmt::Debug for VendRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VendRequest").field("domain_name", &self.domain_name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// The one holder of `sts:AssumeRole` on the tenant role.
#[derive(Debug)]
pub struct Vend {
    pub(crate) resolver: Resolver,
    pub(crate) tagger: Tagger,
}

impl Vend {
    /// Resolves the bearer again, with nothing remembered, and tags a session with what it proves. With it come the lines of its
    /// metrics for standard output.
    pub async fn answer(&self, request: VendRequest) -> (VendReply, String) {
        let (own, granted) = match request.resolve(&self.resolver).await {
            Ok(tenant) => (Some(tenant.id.clone()), self.grant(tenant).await),
            Err(problem) => (None, Err(problem)),
        };
        let lines = match &granted {
            // A session that is refused is a wall that holds; whatever else was refused is told by who asked.
            Err(problem @ Problem::Denied { .. }) => self.resolver.report(problem, own.as_ref(), "").await,
            _ => None,
        };
        (VendReply::of(granted), lines.unwrap_or_default())
    }

    async fn grant(&self, tenant: Tenant) -> Result<Grant, Problem> {
        let session = self.tagger.session(&tenant.id).await?;
        Ok(Grant { expires_s: session.expires_s.min(tenant.proof.expires_s), ..session })
    }
}

/// Asks `vend`, and keeps what it gets.
#[derive(Debug)]
pub(crate) struct Vendor {
    pub(crate) invoker: Invoker,
    pub(crate) sessions: Sessions,
}

impl Vendor {
    /// The store as this tenant may see it. Single-flight for each (tenant, epoch): a change by the operator makes
    /// the next request ask again.
    pub(crate) async fn client(&self, tenant: &Tenant) -> Result<Arc<Kept>, Problem> {
        self.sessions.of((tenant.id.clone(), tenant.epoch), self.ask(tenant)).await
    }

    async fn ask(&self, tenant: &Tenant) -> Result<Grant, Problem> {
        let request = VendRequest::of(tenant.proof.clone());
        self.invoker.invoke::<_, VendReply>(&request).await?.granted(ASKING)
    }
}

#[cfg(test)]
mod tests;
