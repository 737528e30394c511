//! The operator's table: which tenant an address, an issuer or a claim leads to. Read item by item, routing fields only.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use moka::future::Cache;
use url::Url;

use crate::{
    Problem,
    aws::store_problem,
    clock::{Clock, Moment},
    domain::Domain,
    profile::Profile,
    slug::Slug,
    tenant::{Status, TenantId, Tier},
};

/// How long a routing row may be remembered. What must count at once (status, epoch, limits) is a condition of
/// every transaction, so this bounds only how long a moved host or a removed issuer still routes.
pub const ROUTE_TTL_S: u64 = 30;
/// Rows that an instance remembers.
const ROUTES_MAX: u64 = 20_000;

/// The routing fields, and no others: the functions' IAM policies list the same.
const FIELDS: [&str; 12] = [
    "tenant",
    "slug",
    "status",
    "tier",
    "epoch",
    "issuers",
    "origins",
    "jwks_uri",
    "profile",
    "claims",
    "sole_tenant",
    "role_claim",
];

/// The key of a row. Its text form is the partition key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Row {
    /// Leads a slug to its tenant, for ever: a slug that was used is never another tenant's.
    Slug(Slug),
    /// Leads a domain that is verified to its tenant. One that was given up leads nowhere, and is nobody else's.
    Host(Domain),
    /// A tenant.
    Tenant(TenantId),
    /// A pinned issuer.
    Issuer(String),
    /// Leads a tenant claim of one issuer to its tenant.
    Claim { issuer: String, value: String },
    /// Counts how often the cache of every instance was emptied.
    Cache,
}

impl Row {
    /// The partition key. An issuer has no space, so that a claim's two parts can't be shifted.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Slug(slug) => format!("slug/{slug}"),
            Self::Host(host) => format!("host/{host}"),
            Self::Tenant(id) => format!("tenant/{id}"),
            Self::Issuer(issuer) => format!("issuer/{issuer}"),
            Self::Claim { issuer, value } => format!("claim/{issuer} {value}"),
            Self::Cache => "cache".to_owned(),
        }
    }
}

/// The index that lists all tenants, for who stands above them.
pub(crate) struct AllTenants {
    pub(crate) index: &'static str,
    /// Every tenant's row has this attribute with this value, and no other row has it.
    pub(crate) attribute: &'static str,
    pub(crate) kind: &'static str,
}

pub(crate) const ALL_TENANTS: AllTenants = AllTenants { index: "by_kind", attribute: "kind", kind: "TENANT" };

/// A tenant's routing fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TenantRow {
    pub(crate) id: TenantId,
    pub(crate) slug: String,
    pub(crate) status: Status,
    pub(crate) tier: Tier,
    pub(crate) epoch: u64,
    /// The issuers that may speak for this tenant.
    pub(crate) issuers: Vec<String>,
    pub(crate) origins: Vec<String>,
}

/// A pinned issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IssuerRow {
    pub(crate) issuer: String,
    pub(crate) jwks_uri: Url,
    pub(crate) profile: Profile,
    pub(crate) carrier: Carrier,
    /// The one tenant of an issuer without tenant claims.
    pub(crate) sole_tenant: Option<TenantId>,
    /// The claim that says the caller's role; their scopes do where there is none.
    pub(crate) role_claim: Option<String>,
}

/// Where an issuer's tokens carry the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// In these claims: those that are present must agree, and one must be.
    Claims(Vec<String>),
    /// In exactly one scope `tenant:<value>`.
    Scope,
}

/// Whether a reader may remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Rows may be 30 s old.
    Remembered,
    /// Every row is read again: `vend` decides so.
    Read,
}

/// A reader of the registry.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    client: Client,
    table: String,
    clock: Clock,
    /// What is remembered, and when it was asked for.
    rows: Option<Cache<Row, (Moment, Arc<Item>)>>,
}

type Item = HashMap<String, AttributeValue>;

impl Registry {
    pub(crate) fn new(client: Client, table: String, (freshness, clock): (Freshness, Clock)) -> Self {
        // By its own clock as well, which nobody sets back.
        let cache = || {
            Cache::builder().max_capacity(ROUTES_MAX).time_to_live(Duration::from_secs(ROUTE_TTL_S)).build()
        };
        let rows = (freshness == Freshness::Remembered).then(cache);
        Self { client, table, clock, rows }
    }

    /// The tenant that an address leads to.
    pub(crate) async fn lead(&self, row: Row) -> Result<Option<TenantId>, Problem> {
        match self.row(&row).await? {
            Some(item) => {
                text(&item, "tenant").and_then(TenantId::read).map(Some).ok_or_else(|| broken(&row))
            }
            None => Ok(None),
        }
    }

    /// A tenant's own row; none of one whose erasure has begun.
    pub(crate) async fn tenant(&self, id: &TenantId) -> Result<Option<TenantRow>, Problem> {
        let row = Row::Tenant(id.clone());
        match self.row(&row).await? {
            // Whatever still leads to it leads nowhere.
            Some(item) if is_gone(&item) => Ok(None),
            Some(item) => read_tenant(id, &item).map(Some).ok_or_else(|| broken(&row)),
            None => Ok(None),
        }
    }

    /// An issuer's row.
    pub(crate) async fn issuer(&self, issuer: &str) -> Result<Option<IssuerRow>, Problem> {
        let row = Row::Issuer(issuer.to_owned());
        match self.row(&row).await? {
            Some(item) => read_issuer(issuer, &item).map(Some).ok_or_else(|| broken(&row)),
            None => Ok(None),
        }
    }

    /// How often the operator has emptied the cache of every instance.
    pub(crate) async fn cache_epoch(&self) -> Result<u64, Problem> {
        let Some(item) = self.row(&Row::Cache).await? else {
            // Most deployments have none, and their calls should not ask for it each time.
            if let Some(rows) = &self.rows {
                rows.insert(Row::Cache, (self.clock.now(), Arc::default())).await;
            }
            return Ok(0);
        };
        let Some(epoch) = item.get("epoch") else { return Ok(0) };
        epoch.as_n().ok().and_then(|text| text.parse().ok()).ok_or_else(|| broken(&Row::Cache))
    }

    /// Forgets what is remembered of a tenant, since something newer was seen.
    pub(crate) async fn forget(&self, id: &TenantId) {
        if let Some(rows) = &self.rows {
            rows.invalidate(&Row::Tenant(id.clone())).await;
        }
    }

    /// One read that finds nothing: it opens the connection and warms the way.
    pub(crate) async fn warm(&self) -> Result<(), Problem> {
        self.read(&Row::Issuer(String::new())).await.map(drop)
    }

    async fn row(&self, row: &Row) -> Result<Option<Arc<Item>>, Problem> {
        let Some(rows) = &self.rows else { return Ok(self.read(row).await?.map(Arc::new)) };
        let now = self.clock.now();
        if let Some((asked, item)) = rows.get(row).await
            && now < asked.plus_s(ROUTE_TTL_S.cast_signed())
        {
            return Ok(Some(item));
        }
        // A missing row is not remembered: a tenant is there for every instance as soon as it is made.
        let Some(item) = self.read(row).await?.map(Arc::new) else { return Ok(None) };
        rows.insert(row.clone(), (now, Arc::clone(&item))).await;
        Ok(Some(item))
    }

    async fn read(&self, row: &Row) -> Result<Option<Item>, Problem> {
        let mut request = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(row.key()))
            .projection_expression(projection());
        for field in FIELDS {
            request = request.expression_attribute_names(format!("#{field}"), field);
        }
        let reply = request.send().await.map_err(|err| store_problem("reading the registry", err))?;
        // A row without any routing field leads nowhere: that is what stays of a domain that was given up.
        Ok(reply.item.filter(|item| !item.is_empty()))
    }
}

fn projection() -> String {
    FIELDS.map(|field| format!("#{field}")).join(", ")
}

fn broken(row: &Row) -> Problem {
    Problem::internal("reading the registry", format!("the row {} is not whole", row.key()))
}

fn is_gone(item: &Item) -> bool {
    text(item, "status").and_then(|word| word.parse().ok()).is_some_and(Status::is_gone)
}

fn read_tenant(id: &TenantId, item: &Item) -> Option<TenantRow> {
    Some(TenantRow {
        id: id.clone(),
        slug: text(item, "slug")?.to_owned(),
        status: text(item, "status")?.parse().ok()?,
        tier: text(item, "tier")?.parse().ok()?,
        epoch: item.get("epoch")?.as_n().ok()?.parse().ok()?,
        issuers: texts(item, "issuers")?,
        origins: texts(item, "origins")?,
    })
}

fn read_issuer(issuer: &str, item: &Item) -> Option<IssuerRow> {
    let claims = texts(item, "claims")?;
    let carrier = match claims.as_slice() {
        [] => Carrier::Claims(vec!["tenant_id".to_owned(), "tenant_slug".to_owned()]),
        [one] if one == "scope" => Carrier::Scope,
        _ => Carrier::Claims(claims),
    };
    let sole_tenant = match item.get("sole_tenant") {
        Some(value) => Some(TenantId::read(value.as_s().ok()?)?),
        None => None,
    };
    let role_claim = match item.get("role_claim") {
        Some(value) => Some(value.as_s().ok()?.clone()),
        None => None,
    };
    Some(IssuerRow {
        issuer: issuer.to_owned(),
        jwks_uri: text(item, "jwks_uri")?.parse().ok()?,
        profile: text(item, "profile")?.parse().ok()?,
        carrier,
        sole_tenant,
        role_claim,
    })
}

fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// A list of texts; absent is empty.
fn texts(item: &Item, name: &str) -> Option<Vec<String>> {
    let Some(value) = item.get(name) else { return Some(Vec::new()) };
    value.as_l().ok()?.iter().map(|one| one.as_s().ok().cloned()).collect()
}
