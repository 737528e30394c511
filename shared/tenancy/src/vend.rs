//! Credentials of one tenant: how `vend` makes them, and how the functions ask for them and keep them.

use std::{fmt, sync::Arc, time::Duration};

use aws_credential_types::Credentials;
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{
    Answered, Bearer, Denial, EventKind, Evidence, Problem,
    aws::store_problem,
    clock::Clock,
    invoke::Invoker,
    resolve::{Position, Resolver},
    tenant::{Proof, Tenant, TenantId},
    watch::{Watch, Watched},
};

/// What is done by asking `vend`.
pub(crate) const ASKING: &str = "asking for credentials";
/// The shortest session that STS gives.
const SESSION_S: i32 = 900;
/// Kept credentials are renewed this long before they end.
const RENEW_BEFORE_S: i64 = 300;
/// Tenants whose credentials an instance keeps: also the most that a hostile handler in it could reach.
const TENANTS_MAX: u64 = 200;

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
    pub(crate) sts: aws_sdk_sts::Client,
    pub(crate) role_arn: String,
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
        let tag = aws_sdk_sts::types::Tag::builder()
            .key("tenant")
            .value(tenant.id.as_str())
            .build()
            .map_err(|err| Problem::internal("tagging a session", err))?;
        let reply = self
            .sts
            .assume_role()
            .role_arn(&self.role_arn)
            .role_session_name(tenant.id.as_str())
            .duration_seconds(SESSION_S)
            .tags(tag)
            .send()
            .await
            .map_err(|err| store_problem("assuming the tenant role", err))?;
        let session = reply
            .credentials
            .ok_or_else(|| Problem::internal("assuming the tenant role", "no credentials came back"))?;
        Ok(Grant {
            tenant: tenant.id.to_string(),
            access_key_id: session.access_key_id,
            secret_access_key: session.secret_access_key,
            session_token: session.session_token,
            expires_s: session.expiration.secs().min(tenant.proof.expires_s),
        })
    }
}

/// Asks `vend`, and keeps what it gets until five minutes before its end.
#[derive(Debug)]
pub(crate) struct Vendor {
    invoker: Invoker,
    sdk: aws_sdk_dynamodb::Config,
    watch: Arc<Watch>,
    clock: Clock,
    kept: Cache<(TenantId, u64), Arc<Kept>>,
}

/// A tenant's own store client, and until when it works.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) client: aws_sdk_dynamodb::Client,
    credentials: Credentials,
    renew_s: i64,
}

impl Kept {
    /// KMS as this tenant may use it. Made when it is needed, which is once for a data key: most calls need none.
    pub(crate) fn kms(&self, sdk: &aws_sdk_kms::Config) -> aws_sdk_kms::Client {
        let credentials = self.credentials.clone();
        aws_sdk_kms::Client::from_conf(sdk.to_builder().credentials_provider(credentials).build())
    }
}

impl Vendor {
    pub(crate) fn new(
        invoker: Invoker,
        (sdk, watch): (aws_sdk_dynamodb::Config, Arc<Watch>),
        clock: Clock,
    ) -> Self {
        let kept = Cache::builder().max_capacity(TENANTS_MAX).time_to_live(Duration::from_secs(900)).build();
        Self { invoker, sdk, watch, clock, kept }
    }

    /// The store as this tenant may see it. Single-flight for each (tenant, epoch): a change by the operator makes
    /// the next request ask again.
    pub(crate) async fn client(&self, tenant: &Tenant) -> Result<Arc<Kept>, Problem> {
        let key = (tenant.id.clone(), tenant.epoch);
        if let Some(kept) = self.kept.get(&key).await {
            if self.clock.now().seconds() < kept.renew_s {
                return Ok(kept);
            }
            self.kept.invalidate(&key).await;
        }
        self.kept.try_get_with(key, self.ask(tenant)).await.map_err(Problem::again)
    }

    async fn ask(&self, tenant: &Tenant) -> Result<Arc<Kept>, Problem> {
        let request = VendRequest::of(tenant.proof.clone());
        let grant = self.invoker.invoke::<_, VendReply>(&request).await?.granted(ASKING)?;
        if grant.tenant != tenant.id.as_str() {
            return Err(Problem::unauthenticated(Denial::CrossTenant, None));
        }
        let secret = SecretString::from(grant.secret_access_key);
        let token = SecretString::from(grant.session_token);
        let credentials = Credentials::new(
            grant.access_key_id,
            secret.expose_secret(),
            Some(token.expose_secret().to_owned()),
            None,
            "vend",
        );
        let watched = Watched { watch: Arc::clone(&self.watch), tenant: tenant.id.clone() };
        let config =
            self.sdk.to_builder().credentials_provider(credentials.clone()).interceptor(watched).build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        // A token that ends soon still serves until it ends; it is only never kept beyond that.
        let left_s = grant.expires_s.saturating_sub(self.clock.now().seconds());
        let early_s = RENEW_BEFORE_S.min(left_s.div_euclid(2)).max(0);
        Ok(Arc::new(Kept { client, credentials, renew_s: grant.expires_s.saturating_sub(early_s) }))
    }
}

#[cfg(test)]
mod tests;
