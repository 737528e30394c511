//! Who the tenant is: all evidence that is present must agree, all that this edge brings must be present, and
//! nothing else counts.

use std::sync::Arc;

use crate::{
    Attempt, Config, Crossing, Denial, EventKind, Evidence, Problem, Unauthenticated,
    alarm::Alarms,
    clock::Clock,
    config::{BaseDomain, Edge},
    denials::Denials,
    fetch::{Fetch, may_fetch},
    keys::Keys,
    registry::{Carrier, IssuerRow, Registry, Row, TenantRow},
    site::{Place, Site},
    tenant::{Caller, Proof, Status, Tenant, TenantId},
    token::{Claims, Draft},
};

/// Makes a [`Tenant`] from evidence, and is the only maker.
#[derive(Debug, Clone)]
pub struct Resolver {
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    keys: Keys,
    clock: Clock,
    alarms: Arc<Alarms>,
    pub(crate) denials: Arc<Denials>,
}

/// Where in the way of a request the resolver stands, which says what evidence there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// In the edge's authorizer, before anything was decided.
    Edge,
    /// Behind the edge, where what the edge decided is evidence too.
    Behind,
    /// In `vend`, which believes its caller nothing but the bearer's own words.
    Vend,
}

/// What the public may know of an address (RFC 9728 § 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceMetadata {
    /// The MCP endpoint, exactly as clients use it.
    pub resource: String,
    /// Where tokens for it come from.
    pub issuers: Vec<String>,
    /// The web origins that may read replies.
    pub origins: Vec<String>,
}

/// The end of a proof: a refusal that the caller is told nothing about, or a problem of ours.
enum End {
    Denied(Denial),
    Crossed(Denial, Crossing),
    Problem(Problem),
}

impl From<Denial> for End {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<Problem> for End {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Resolver {
    pub(crate) fn new(
        config: Config,
        registry: Registry,
        fetch: Fetch,
        (alarms, denials): (Arc<Alarms>, Arc<Denials>),
    ) -> Self {
        let clock = denials.clock.clone();
        Self { config, registry, keys: Keys::new(fetch, clock.clone()), clock, alarms, denials }
    }

    /// Tells the operator what there is to tell of a request that a problem ended: of an attempt to cross, and of a denial
    /// that no tenant's trail has. The lines of their metrics for standard output. `own` is the caller's tenant, where it is
    /// known.
    pub async fn report(
        &self,
        problem: &Problem,
        own: Option<&TenantId>,
        request_id: &str,
    ) -> Option<String> {
        self.denials.record(problem, request_id).await;
        let attempt = self.alarms.problem(problem, own).await;
        let lines: String = self.denials.line(problem, own).into_iter().chain(attempt).collect();
        Some(lines).filter(|lines| !lines.is_empty())
    }

    /// Counts a denial of a tenant's before there is a session: what is counted is written by one of its calls.
    pub fn count(&self, problem: &Problem, tenant: &TenantId) {
        self.denials.count(tenant, problem);
    }

    /// Writes what was denied in a window that has ended, where no tenant's trail has it.
    pub async fn write_denials(&self) {
        self.denials.write_ended().await;
    }

    /// The same for an attempt that is no problem of the kernel's.
    pub async fn report_attempt(&self, attempt: Attempt, own: &TenantId) -> Option<String> {
        self.alarms.raise(own, attempt, None).await
    }

    /// The tenant that this evidence proves.
    ///
    /// # Errors
    /// [`Problem::Unauthenticated`] for every doubt, with one and the same text; [`Problem::Suspended`] behind the
    /// edge, for a valid token of a suspended tenant; [`Problem::Unavailable`] when registry or issuer do not answer.
    pub async fn resolve(&self, position: Position, evidence: &Evidence) -> Result<Tenant, Problem> {
        let site = self.site(evidence);
        let metadata = site.as_ref().map(Site::metadata_url);
        let proof = match site {
            Some(site) => self.prove(position, &site, evidence).await,
            None => Err(End::Denied(Denial::UnknownHost)),
        };
        proof.map_err(|end| match end {
            End::Denied(denial) => Problem::unauthenticated(denial, metadata),
            End::Crossed(denial, crossing) => Problem::Unauthenticated(Box::new(Unauthenticated {
                denial,
                resource_metadata: metadata,
                crossing: Some(Box::new(crossing)),
            })),
            End::Problem(problem) => problem,
        })
    }

    /// What the public may know of the address that this evidence is about, or `None` where there can be none.
    ///
    /// An address that no tenant has looks like that of a tenant without an issuer of its own.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the registry does not answer.
    pub async fn describe(&self, evidence: &Evidence) -> Result<Option<ResourceMetadata>, Problem> {
        let Some(site) = self.site(evidence) else { return Ok(None) };
        let hosted = match self.hosted(&site).await {
            Ok(row) => row,
            Err(End::Denied(_) | End::Crossed(..)) => None,
            Err(End::Problem(problem)) => return Err(problem),
        };
        let (issuers, origins) = hosted.map(|row| (row.issuers, row.origins)).unwrap_or_default();
        let issuers = if issuers.is_empty() { vec![self.config.issuer.clone()] } else { issuers };
        Ok(Some(ResourceMetadata { resource: site.resource(), issuers, origins }))
    }

    /// Opens the connections that the first event needs: to the registry, and to the default issuer.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the registry does not answer. An issuer that does not is asked again later.
    pub async fn warm(&self) -> Result<(), Problem> {
        self.registry.warm().await?;
        if let Some(issuer) = self.registry.issuer(&self.config.issuer).await?
            && let Err(err) = self.keys.find(&issuer.issuer, &issuer.jwks_uri, "").await
        {
            tracing::warn!(error = %err, "the default issuer's keys can't be had yet");
        }
        Ok(())
    }

    fn site(&self, evidence: &Evidence) -> Option<Site> {
        let Evidence { domain_name, api_id, path_tenant, .. } = evidence;
        Site::read(&self.config, domain_name.as_deref()?, api_id.as_deref(), path_tenant.as_deref())
    }

    async fn prove(&self, position: Position, site: &Site, evidence: &Evidence) -> Result<Tenant, End> {
        let bearer = evidence.bearer.as_ref().ok_or(Denial::NoToken)?;
        self.check_presence(position, site, evidence)?;
        let draft = Draft::parse(bearer)?;
        let issuer = self.pinned_issuer(&draft).await?;
        let hosted = self.hosted(site).await?;
        let is_ours = |audience: &str| self.is_ours(audience);
        let checked = draft.check(issuer.profile, &site.resource(), self.clock.now(), is_ours);
        // One that may not speak here is told from a stranger: it may be another tenant's own.
        let speaks = match (&hosted, &checked) {
            (Some(row), Ok(()) | Err(Denial::Audience)) => may_speak(&issuer, row),
            _ => Ok(()),
        };
        if let Err(denial) = speaks.and(checked) {
            return Err(self.refused(denial, draft, &issuer, hosted).await);
        }
        let key = self.keys.find(&issuer.issuer, &issuer.jwks_uri, draft.key_id()).await??;
        let claims = draft.verify(&key, issuer.profile)?;
        let claimed = self.claimed(&issuer, &claims).await?;
        let row = match hosted {
            Some(row) if row.id == claimed => row,
            Some(row) => {
                return Err(crossed(claimed, Some(row.id)));
            }
            None => {
                let row = self.registry.tenant(&claimed).await?.ok_or(Denial::TenantClaim)?;
                may_speak(&issuer, &row)?;
                row
            }
        };
        let mut row = self.compare(row, &issuer, &claims, evidence).await?;
        if position != Position::Edge && row.status == Status::Suspended {
            // What is remembered may be over, so nobody is refused for it before it is read again.
            self.registry.forget(&row.id).await;
            row = self.registry.tenant(&row.id).await?.ok_or(Denial::UnknownHost)?;
            if row.status == Status::Suspended {
                return Err(Problem::Suspended.into());
            }
        }
        let proof = Proof {
            bearer: bearer.clone(),
            expires_s: claims.expires_s,
            domain_name: evidence.domain_name.clone().unwrap_or_default(),
            api_id: evidence.api_id.clone(),
            path_tenant: evidence.path_tenant.clone(),
        };
        let item_url = self.item_url(site, &row);
        Ok(tenant(row, issuer, claims, proof, item_url))
    }

    /// The end of a token that is not for this address. Where it is a good one of another tenant, that is an attempt to
    /// cross: whose, only a verified token says.
    async fn refused(
        &self,
        denial: Denial,
        draft: Draft<'_>,
        issuer: &IssuerRow,
        hosted: Option<TenantRow>,
    ) -> End {
        let (Denial::Audience | Denial::Issuer, Some(row)) = (denial, hosted) else { return denial.into() };
        let Ok(Ok(key)) = self.keys.find(&issuer.issuer, &issuer.jwks_uri, draft.key_id()).await else {
            return denial.into();
        };
        let Ok(claims) = draft.verify(&key, issuer.profile) else { return denial.into() };
        match self.claimed(issuer, &claims).await {
            Ok(own) if own != row.id => End::Crossed(denial, Crossing { own, target: Some(row.id) }),
            _ => denial.into(),
        }
    }

    /// The table of what must be there and what must not. A row that is not in it is a refusal.
    fn check_presence(&self, position: Position, site: &Site, evidence: &Evidence) -> Result<(), Denial> {
        let ours = evidence.authorizer.is_some();
        let native = evidence.jwt_claims.is_some();
        let lambda = evidence.lambda_tenant.is_some();
        let universal = site.place == Place::Universal;
        let laptop = self.config.base_domain.as_ref().is_some_and(BaseDomain::is_laptop);
        let good = match (position, self.config.edge, evidence.event) {
            (Position::Edge, Edge::Rest, EventKind::V1) | (Position::Edge, Edge::Http, EventKind::V2) => {
                !ours && !native && !lambda
            }
            (Position::Behind, Edge::Rest, EventKind::V1) => {
                ours && !native && lambda == self.config.isolation
            }
            (Position::Behind, Edge::Http, EventKind::V2) => {
                native == universal && ours != universal && !lambda
            }
            (Position::Behind, Edge::Watch, EventKind::V2) => laptop && !ours && !native && !lambda,
            (Position::Vend, _, _) => !ours && !native && !lambda,
            _ => false,
        };
        good.then_some(()).ok_or(Denial::Evidence)
    }

    async fn pinned_issuer(&self, draft: &Draft<'_>) -> Result<IssuerRow, End> {
        draft.algorithm()?;
        let name = draft.issuer()?;
        let row = self.registry.issuer(name).await?.ok_or(Denial::Issuer)?;
        if !may_fetch(&row.jwks_uri, self.config.is_laptop()) {
            return Err(Denial::Issuer.into());
        }
        Ok(row)
    }

    /// The tenant whose address this is, where the address alone says so.
    async fn hosted(&self, site: &Site) -> Result<Option<TenantRow>, End> {
        let row = match &site.place {
            Place::Host(slug) | Place::Path(slug) => Row::Slug(slug.clone()),
            Place::Custom(host) => Row::Host(host.clone()),
            Place::Universal => return Ok(None),
        };
        let id = self.registry.lead(row).await?.ok_or(Denial::UnknownHost)?;
        Ok(Some(self.registry.tenant(&id).await?.ok_or(Denial::UnknownHost)?))
    }

    /// The tenant that the verified claims name, by (issuer, value) and never by slug.
    async fn claimed(&self, issuer: &IssuerRow, claims: &Claims) -> Result<TenantId, End> {
        let mut claimed = issuer.sole_tenant.clone();
        for value in claims.tenants(&issuer.carrier)? {
            let row = Row::Claim { issuer: issuer.issuer.clone(), value };
            let id = self.registry.lead(row).await?.ok_or(Denial::TenantClaim)?;
            match claimed {
                Some(other) if other != id => return Err(crossed(other, Some(id))),
                _ => claimed = Some(id),
            }
        }
        claimed.ok_or_else(|| Denial::TenantClaim.into())
    }

    /// What the edge says it decided must be what the token proves, and a newer row wins over a remembered one.
    async fn compare(
        &self,
        row: TenantRow,
        issuer: &IssuerRow,
        claims: &Claims,
        evidence: &Evidence,
    ) -> Result<TenantRow, End> {
        let agrees = |said: &String| said == row.id.as_str();
        if let Some(seen) = &evidence.jwt_claims {
            let names = match &issuer.carrier {
                Carrier::Claims(names) => names.clone(),
                Carrier::Scope => vec!["scope".to_owned()],
            };
            if !claims.agree_with(seen, &names) {
                return Err(crossed(row.id, None));
            }
        }
        if let Some(other) = evidence.lambda_tenant.iter().find(|said| !agrees(said)) {
            return Err(crossed(row.id, TenantId::read(other)));
        }
        let Some(context) = &evidence.authorizer else { return Ok(row) };
        let decided = context.get("tenantId");
        if !decided.is_some_and(agrees) {
            let other = decided.and_then(|said| TenantId::read(said));
            return Err(crossed(row.id, other));
        }
        let epoch: u64 = context.get("epoch").and_then(|text| text.parse().ok()).ok_or(Denial::Evidence)?;
        if epoch <= row.epoch {
            return Ok(row);
        }
        self.registry.forget(&row.id).await;
        Ok(self.registry.tenant(&row.id).await?.ok_or(Denial::UnknownHost)?)
    }

    /// Where an item is seen: in the SaaS, or where the REST API has it at this address.
    fn item_url(&self, site: &Site, row: &TenantRow) -> String {
        match &self.config.item_url {
            Some(url) => url.replace("{tenant}", &row.slug),
            None => format!("{}/v1/collections/{{collection}}/items/{{id}}", site.home()),
        }
    }

    /// Whether a URL is an address of this deployment, so that no token is good at two of them.
    fn is_ours(&self, audience: &str) -> bool {
        let Ok(url) = url::Url::parse(audience) else { return false };
        let Some(host) = url.host_str() else { return false };
        let base = self.config.base_domain.as_ref().map(BaseDomain::as_str);
        base.is_some_and(|base| {
            host == base || host.strip_suffix(base).is_some_and(|rest| rest.ends_with('.'))
        }) || host.contains(".execute-api.")
    }
}

/// Evidence that is a tenant's own, beside other evidence that is not.
fn crossed(own: TenantId, target: Option<TenantId>) -> End {
    End::Crossed(Denial::CrossTenant, Crossing { own, target })
}

fn may_speak(issuer: &IssuerRow, row: &TenantRow) -> Result<(), Denial> {
    let sole = issuer.sole_tenant.as_ref().is_none_or(|sole| *sole == row.id);
    (sole && row.issuers.contains(&issuer.issuer)).then_some(()).ok_or(Denial::Issuer)
}

fn tenant(row: TenantRow, issuer: IssuerRow, claims: Claims, proof: Proof, item_url: String) -> Tenant {
    Tenant {
        id: row.id,
        tier: row.tier,
        epoch: row.epoch,
        origins: row.origins,
        caller: Caller {
            role: claims.role(issuer.role_claim.as_deref()),
            subject: claims.subject,
            issuer: issuer.issuer,
            client: claims.client,
            scopes: claims.scopes,
        },
        item_url,
        proof,
    }
}

#[cfg(test)]
mod tests;
