//! The door between a resolved tenant and its data: by value, once a request.

use std::sync::{Arc, atomic::AtomicBool};

use crate::{
    Config, Problem,
    admission::{Admission, Operation},
    aws::Aws,
    clock::Clock,
    crypto::Sealer,
    egress::Egress,
    fetch::Fetch,
    invoke::Invoker,
    plan::Plans,
    registry::{Freshness, Registry},
    resolve::Resolver,
    scope::{Room, TenantScope},
    tenant::{Status, Tenant},
    vault::Vault,
    vend::{Vend, Vendor},
};

/// Opens the room of a tenant. A function that serves tenants has one, made in init.
#[derive(Debug)]
pub struct Entrance {
    vendor: Vendor,
    sealer: Arc<Sealer>,
    vault: Option<Arc<Vault>>,
    egress: Arc<Egress>,
    clock: Clock,
    plans: Plans,
}

/// Starts the resolver of a function that only needs to know who the tenant is.
///
/// # Errors
/// [`Problem::Internal`] for a wrong setting; [`Problem::Unavailable`] when the registry does not answer.
pub async fn start_resolver(config: Config) -> Result<Resolver, Problem> {
    let aws = Aws::load(&config).await?;
    let resolver = resolver(config, &aws, Freshness::Remembered)?;
    resolver.warm().await?;
    Ok(resolver)
}

/// Starts what a function needs that serves tenants: who they are, and the door to their data.
///
/// # Errors
/// As [`start_resolver`].
pub async fn start_entrance(config: Config) -> Result<(Resolver, Entrance), Problem> {
    let aws = Aws::load(&config).await?;
    let clock = Clock::System;
    let fetch = Fetch::new(&config);
    let invoker = Invoker::new(fetch, &aws.sdk, &config.region, setting(&config, "VEND_FUNCTION")?)?;
    let secret_id = setting(&config, "SEALING_SECRET")?.to_owned();
    let plans = Plans::new(setting(&config, "DATA_TABLE")?.into());
    let egress = Arc::new(Egress::new(&config));
    let vault = Vault::open(&config, &aws.sdk)?.map(Arc::new);
    let secrets = aws_sdk_secretsmanager::Client::new(&aws.sdk);
    let resolver = resolver(config, &aws, Freshness::Remembered)?;
    let (warmed, (), sealer) =
        tokio::join!(resolver.warm(), invoker.warm(), Sealer::open(secrets, secret_id, clock.clone()));
    warmed?;
    let vendor =
        Vendor::new(invoker, aws_sdk_dynamodb::config::Builder::from(&aws.sdk).build(), clock.clone());
    Ok((resolver, Entrance { vendor, sealer: Arc::new(sealer?), vault, egress, clock, plans }))
}

/// Starts the one function that may tag sessions.
///
/// # Errors
/// As [`start_resolver`].
pub async fn start_vend(config: Config) -> Result<Vend, Problem> {
    let aws = Aws::load(&config).await?;
    let role_arn = setting(&config, "TENANT_ROLE_ARN")?.to_owned();
    let sts = aws_sdk_sts::Client::new(&aws.sdk);
    let resolver = resolver(config, &aws, Freshness::Read)?;
    // Who am I is a question that needs no right: it only opens the connection.
    let (warmed, _who) = tokio::join!(resolver.warm(), sts.get_caller_identity().send());
    warmed?;
    Ok(Vend { resolver, sts, role_arn })
}

fn resolver(config: Config, aws: &Aws, freshness: Freshness) -> Result<Resolver, Problem> {
    let table = setting(&config, "REGISTRY_TABLE")?.to_owned();
    let registry = Registry::new(aws_sdk_dynamodb::Client::new(&aws.sdk), table, freshness);
    let fetch = Fetch::new(&config);
    Ok(Resolver::new(config, registry, fetch, Clock::System))
}

fn setting<'c>(config: &'c Config, name: &'static str) -> Result<&'c str, Problem> {
    config.require(name).map_err(|err| Problem::internal("reading the configuration", err))
}

impl Entrance {
    /// Opens the tenant's room for one operation. The scope goes to the tool, the admission stays with the caller,
    /// who commits it.
    ///
    /// # Errors
    /// [`Problem::Suspended`], or [`Problem::Unavailable`] when `vend` or the store does not answer.
    pub async fn enter(
        &self,
        tenant: Tenant,
        operation: Operation,
    ) -> Result<(TenantScope, Admission), Problem> {
        let store = self.vendor.client(&tenant).await?;
        let plan = self.plans.of(&store.client, &tenant.id, tenant.epoch).await?;
        let table = plan.placement.table(self.plans.table(), &tenant.id);
        let room = Arc::new(Room {
            tenant: tenant.id,
            plan,
            plans: self.plans.clone(),
            routed_epoch: tenant.epoch,
            caller: tenant.caller,
            store,
            table,
            sealer: Arc::clone(&self.sealer),
            vault: self.vault.clone(),
            egress: Arc::clone(&self.egress),
            went_out: AtomicBool::new(false),
            clock: self.clock.clone(),
            staged: std::sync::Mutex::default(),
        });
        let admission = Admission::new(Arc::clone(&room), operation).await?;
        Ok((TenantScope { room }, admission))
    }

    /// Makes sure that the tenant is served right now, for a request that changes and charges nothing.
    ///
    /// # Errors
    /// [`Problem::Suspended`], or [`Problem::Unavailable`] when `vend` or the store does not answer.
    pub async fn check_served(&self, tenant: &Tenant) -> Result<(), Problem> {
        let store = self.vendor.client(tenant).await?;
        let plan = self.plans.read(&store.client, &tenant.id, tenant.epoch).await?;
        match plan.status {
            Status::Active => Ok(()),
            Status::Suspended => Err(Problem::Suspended),
        }
    }
}
