//! Tagged sessions: how one is made, and for how long what it opens is kept.

use std::{sync::Arc, time::Duration};

use aws_credential_types::Credentials;
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};

use super::Grant;
use crate::{
    Denial, Problem,
    aws::store_problem,
    clock::Clock,
    tenant::TenantId,
    watch::{Watch, Watched},
};

/// What is done by asking STS.
const ASSUMING: &str = "assuming a tenant's role";
/// The shortest session that STS gives.
const SESSION_S: i32 = 900;
/// Kept credentials are renewed this long before they end.
const RENEW_BEFORE_S: i64 = 300;
/// Tenants whose credentials an instance keeps: also the most that a hostile handler in it could reach.
const TENANTS_MAX: u64 = 200;

/// The right to assume one role for any tenant.
#[derive(Debug)]
pub(crate) struct Tagger {
    sts: aws_sdk_sts::Client,
    role_arn: String,
}

impl Tagger {
    pub(crate) const fn new(sts: aws_sdk_sts::Client, role_arn: String) -> Self {
        Self { sts, role_arn }
    }

    /// Opens the connection. Who am I is a question that needs no right.
    pub(crate) async fn warm(&self) {
        drop(self.sts.get_caller_identity().send().await);
    }

    /// A session of the role, tagged with this tenant and nothing else.
    pub(crate) async fn session(&self, tenant: &TenantId) -> Result<Grant, Problem> {
        let tag = aws_sdk_sts::types::Tag::builder()
            .key("tenant")
            .value(tenant.as_str())
            .build()
            .map_err(|err| Problem::internal("tagging a session", err))?;
        let reply = self
            .sts
            .assume_role()
            .role_arn(&self.role_arn)
            .role_session_name(tenant.as_str())
            .duration_seconds(SESSION_S)
            .tags(tag)
            .send()
            .await
            .map_err(|err| store_problem(ASSUMING, err))?;
        let session =
            reply.credentials.ok_or_else(|| Problem::internal(ASSUMING, "no credentials came back"))?;
        Ok(Grant {
            tenant: tenant.to_string(),
            access_key_id: session.access_key_id,
            secret_access_key: session.secret_access_key,
            session_token: session.session_token,
            expires_s: session.expiration.secs(),
        })
    }
}

/// What sessions open, kept until five minutes before their end.
#[derive(Debug)]
pub(crate) struct Sessions {
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

impl Sessions {
    pub(crate) fn new(sdk: aws_sdk_dynamodb::Config, watch: Arc<Watch>, clock: Clock) -> Self {
        let kept = Cache::builder().max_capacity(TENANTS_MAX).time_to_live(Duration::from_secs(900)).build();
        Self { sdk, watch, clock, kept }
    }

    /// What is kept for this tenant and epoch, else what this asking gives. Single-flight.
    pub(crate) async fn of(
        &self,
        key: (TenantId, u64),
        ask: impl Future<Output = Result<Grant, Problem>>,
    ) -> Result<Arc<Kept>, Problem> {
        if let Some(kept) = self.kept.get(&key).await {
            if self.clock.now().seconds() < kept.renew_s {
                return Ok(kept);
            }
            self.kept.invalidate(&key).await;
        }
        let tenant = key.0.clone();
        let opened = async { Ok(Arc::new(self.open(tenant, ask.await?)?)) };
        self.kept.try_get_with(key, opened).await.map_err(Problem::again)
    }

    fn open(&self, tenant: TenantId, grant: Grant) -> Result<Kept, Problem> {
        if grant.tenant != tenant.as_str() {
            return Err(Problem::unauthenticated(Denial::CrossTenant, None));
        }
        let secret = SecretString::from(grant.secret_access_key);
        let token = SecretString::from(grant.session_token);
        let credentials = Credentials::new(
            grant.access_key_id,
            secret.expose_secret(),
            Some(token.expose_secret().to_owned()),
            None,
            "tagged session",
        );
        let watched = Watched { watch: Arc::clone(&self.watch), tenant };
        let config =
            self.sdk.to_builder().credentials_provider(credentials.clone()).interceptor(watched).build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        // A token that ends soon still serves until it ends; it is only never kept beyond that.
        let left_s = grant.expires_s.saturating_sub(self.clock.now().seconds());
        let early_s = RENEW_BEFORE_S.min(left_s.div_euclid(2)).max(0);
        Ok(Kept { client, credentials, renew_s: grant.expires_s.saturating_sub(early_s) })
    }
}
