//! Standing above tenants: onboarding, suspension, issuers. Whoever does it shows an [`OperatorAuthority`].

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, Put, ReturnValue, TransactWriteItem, Update},
};
use url::Url;

use crate::{
    Access, Clock, Config, Plan, Problem, Profile, Slug, Status, TenantId, Tier,
    aws::{Aws, read_item, store_problem, text},
    crypto::random_bits,
    registry::{ALL_TENANTS, Row},
};

mod audit;
mod denials;
mod domains;
mod eraser;
mod followers;
mod keys;
mod mover;
mod own_key;
mod own_table;
mod partitions;
mod plan;
mod spread;
mod usage;

use followers::Followers;

pub use crate::{meter::MERGES_END_S, registry::ROUTE_TTL_S};
pub use denials::DenialRecord;
pub use eraser::Erased;
pub use keys::Rewrapped;
pub use mover::Moved;
pub use partitions::Sum;
pub use usage::Used;

/// The right to stand above tenants. A search for this name finds every place that does.
#[derive(Debug)]
pub struct OperatorAuthority(());

impl OperatorAuthority {
    /// Takes the authority that the process's own credentials give it. IAM says whether they do.
    #[must_use]
    pub const fn ambient() -> Self {
        Self(())
    }
}

/// The operator's hands.
#[derive(Debug)]
pub struct Operator {
    client: Client,
    kms: aws_sdk_kms::Client,
    secrets: aws_sdk_secretsmanager::Client,
    registry: String,
    data: String,
    keys: String,
    sealing_secret: String,
    /// ARN of the KMS key of all.
    tenants_key: String,
    followers: Followers,
}

/// A tenant to be.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// Its host name and path; it is never given to another tenant.
    pub slug: Slug,
    /// What it pays for.
    pub tier: Tier,
    /// The issuers that may speak for it.
    pub issuers: Vec<String>,
    /// The tenant claims that lead to it: (issuer, value).
    pub claims: Vec<(String, String)>,
    /// Web origins that may read replies.
    pub origins: Vec<String>,
}

/// An issuer to pin.
#[derive(Debug, Clone)]
pub struct NewIssuer {
    /// `iss`, exactly as tokens have it.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: Url,
    /// How its access tokens look.
    pub profile: Profile,
    /// The names of the tenant claims, in order; empty for `tenant_id`, `tenant_slug`; `scope` alone for a scope
    /// `tenant:<value>`.
    pub claims: Vec<String>,
    /// The claim that says what a caller may do in their tenant: `admin`, `member` or `read_only`; anything else in it, or
    /// nothing, is `read_only`. Without such a claim the scopes say it.
    pub role_claim: Option<String>,
}

impl Operator {
    /// Opens the operator's tables with the process's own credentials.
    ///
    /// # Errors
    /// [`Problem::Internal`] for a setting that is missing.
    pub async fn open(authority: &OperatorAuthority, config: &Config) -> Result<Self, Problem> {
        let aws = Aws::load(config).await?;
        Self::with_sdk(authority, config, &aws.sdk)
    }

    /// Opens the operator's tables with these credentials at this endpoint.
    ///
    /// # Errors
    /// As [`Operator::open`].
    pub async fn open_at(
        authority: &OperatorAuthority,
        config: &Config,
        access: Access,
    ) -> Result<Self, Problem> {
        let aws = Aws::at(config, access).await?;
        Self::with_sdk(authority, config, &aws.sdk)
    }

    fn with_sdk(_authority: &OperatorAuthority, config: &Config, sdk: &SdkConfig) -> Result<Self, Problem> {
        let setting = |name| {
            config
                .require(name)
                .map(str::to_owned)
                .map_err(|err| Problem::internal("reading the configuration", err))
        };
        Ok(Self {
            client: Client::new(sdk),
            kms: aws_sdk_kms::Client::new(sdk),
            secrets: aws_sdk_secretsmanager::Client::new(sdk),
            registry: setting("REGISTRY_TABLE")?,
            data: setting("DATA_TABLE")?,
            keys: setting("KEYS_TABLE")?,
            sealing_secret: setting("SEALING_SECRET")?,
            tenants_key: setting("TENANTS_KEY")?,
            followers: Followers::new(config, sdk)?,
        })
    }

    /// Pins an issuer.
    ///
    /// # Errors
    /// [`Problem::Conflict`] when it is pinned already; [`Problem::Invalid`] when its name has a space.
    pub async fn pin_issuer(&self, issuer: &NewIssuer) -> Result<(), Problem> {
        if issuer.issuer.is_empty() || issuer.issuer.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Problem::Invalid { detail: "issuer: a URL without spaces".to_owned() });
        }
        let mut item = HashMap::from([
            ("pk".to_owned(), text(&Row::Issuer(issuer.issuer.clone()).key())),
            ("jwks_uri".to_owned(), text(issuer.jwks_uri.as_str())),
            ("profile".to_owned(), text(issuer.profile.word())),
            ("claims".to_owned(), list(&issuer.claims)),
        ]);
        if let Some(claim) = &issuer.role_claim {
            item.insert("role_claim".to_owned(), text(claim));
        }
        self.commit(vec![self.new_row(item)?], "this issuer is pinned already").await
    }

    /// Lets an issuer without tenant claims speak for this tenant, and for no other ever.
    ///
    /// # Errors
    /// [`Problem::Conflict`] when the issuer is not pinned, or speaks for another tenant.
    pub async fn dedicate_issuer(&self, issuer: &str, tenant: &TenantId) -> Result<(), Problem> {
        let update = Update::builder()
            .table_name(&self.registry)
            .key("pk", text(&Row::Issuer(issuer.to_owned()).key()))
            .update_expression("SET sole_tenant = :tenant")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(sole_tenant) OR sole_tenant = :tenant)",
            )
            .expression_attribute_values(":tenant", text(tenant.as_str()))
            .build()
            .map_err(fault)?;
        let item = TransactWriteItem::builder().update(update).build();
        self.commit(vec![item], "this issuer is not pinned, or speaks for another tenant").await
    }

    /// Makes a tenant: its row, what leads to it, and its plan, all or nothing.
    ///
    /// # Errors
    /// [`Problem::Conflict`] when the slug or a claim is or was another tenant's.
    pub async fn create_tenant(&self, new: &NewTenant) -> Result<TenantId, Problem> {
        let id = TenantId::spell(random_bits()?);
        let lead = |row: Row| {
            let item = HashMap::from([
                ("pk".to_owned(), text(&row.key())),
                ("tenant".to_owned(), text(id.as_str())),
            ]);
            self.new_row(item)
        };
        let tenant = HashMap::from([
            ("pk".to_owned(), text(&Row::Tenant(id.clone()).key())),
            (ALL_TENANTS.attribute.to_owned(), text(ALL_TENANTS.kind)),
            ("slug".to_owned(), text(&new.slug.to_string())),
            ("status".to_owned(), text(Status::Active.word())),
            ("tier".to_owned(), text(new.tier.word())),
            ("epoch".to_owned(), AttributeValue::N("1".to_owned())),
            ("made_s".to_owned(), AttributeValue::N(Clock::System.now().seconds().to_string())),
            ("issuers".to_owned(), list(&new.issuers)),
            ("origins".to_owned(), list(&new.origins)),
        ]);
        let mut items = vec![lead(Row::Slug(new.slug.clone()))?, self.new_row(tenant)?];
        for (issuer, value) in &new.claims {
            items.push(lead(Row::Claim { issuer: issuer.clone(), value: value.clone() })?);
        }
        items.push(self.first_plan(&id, &Plan::of(new.tier, 1))?);
        self.commit(items, "the slug or a claim belongs to another tenant").await?;
        Ok(id)
    }

    /// The tenant that a slug leads to.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when there is none.
    pub async fn find_tenant(&self, slug: &Slug) -> Result<TenantId, Problem> {
        let row = self.row(&Row::Slug(slug.clone())).await?;
        let id = row.as_ref().and_then(|item| TenantId::read(item.get("tenant")?.as_s().ok()?));
        id.ok_or(Problem::NotFound { kind: "tenant" })
    }

    async fn row(&self, row: &Row) -> Result<Option<HashMap<String, AttributeValue>>, Problem> {
        let key = HashMap::from([("pk".to_owned(), text(&row.key()))]);
        read_item(&self.client, &self.registry, key, "reading the registry").await
    }

    /// Empties what every instance has cached of every tenant, and says how often that was done now. An instance sees it
    /// within 30 s, when it reads its routing rows again.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn clear_caches(&self) -> Result<u64, Problem> {
        const DOING: &str = "emptying the caches";
        let reply = self
            .client
            .update_item()
            .table_name(&self.registry)
            .key("pk", text(&Row::Cache.key()))
            .update_expression("ADD epoch :one")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|err| store_problem(DOING, err))?;
        let epoch = reply.attributes.as_ref().and_then(|row| row.get("epoch")?.as_n().ok()?.parse().ok());
        epoch.ok_or_else(|| Problem::internal(DOING, "the row is not whole"))
    }

    fn new_row(&self, item: HashMap<String, AttributeValue>) -> Result<TransactWriteItem, Problem> {
        let put = Put::builder()
            .table_name(&self.registry)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(fault)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    async fn commit(&self, items: Vec<TransactWriteItem>, conflict: &str) -> Result<(), Problem> {
        let reply = self.client.transact_write_items().set_transact_items(Some(items)).send().await;
        match reply {
            Ok(_) => Ok(()),
            Err(err) if err.as_service_error().is_some_and(|err| err.is_transaction_canceled_exception()) => {
                Err(Problem::Conflict { detail: conflict.to_owned() })
            }
            Err(err) => Err(store_problem("writing the registry", err)),
        }
    }
}

fn list(texts: &[String]) -> AttributeValue {
    AttributeValue::L(texts.iter().map(|one| text(one)).collect())
}

fn fault(err: aws_sdk_dynamodb::error::BuildError) -> Problem {
    Problem::internal("writing the registry", err)
}
