//! The door between a resolved tenant and its data: by value, once a request.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use crate::{
    Config, Effect, Feature, Plan, Problem, Settings,
    admission::{Admission, Operation},
    alarm::Alarms,
    audit::Chains,
    aws::{Access, Aws, read_item},
    cache::Cache,
    clock::Clock,
    crypto::Sealer,
    denials::{Denials, Ledger},
    egress::Egress,
    events::Events,
    fetch::{self, Fetch},
    gauge::{Gauge, Gauges},
    invoke::{Errand, Invoker},
    key::Shelf,
    plan::Plans,
    record::Raw,
    registrant::{self, Desk, Registrant},
    registrar::Registrar,
    registry::{Freshness, Registry},
    resolve::Resolver,
    scope::{Room, TenantScope, settings_id},
    seats::Seats,
    tenant::{Status, Tenant},
    turnstile::{Running, Turnstile},
    vault::Vault,
    vend::{self, Kept, Sessions, Tagger, Vend, Vendor},
    watch::Watch,
};

/// Opens the room of a tenant. A function that serves tenants has one, made in init.
#[derive(Debug)]
pub struct Entrance {
    vendor: Vendor,
    sealer: Arc<Sealer>,
    vault: Option<Arc<Vault>>,
    egress: Arc<Egress>,
    chains: Arc<Chains>,
    denials: Arc<Denials>,
    turnstile: Arc<Turnstile>,
    cache: Arc<Cache>,
    registry: Registry,
    clock: Clock,
    plans: Plans,
    seats: Seats,
    metrics_namespace: Option<String>,
    contact: Option<Arc<str>>,
    gauges: Option<Gauges>,
    watch: Arc<Watch>,
    /// In a function that has to do with domains.
    desk: Option<Arc<Desk>>,
}

/// Starts the resolver of a function that only needs to know who the tenant is.
///
/// # Errors
/// [`Problem::Internal`] for a wrong setting; [`Problem::Unavailable`] when the registry does not answer.
pub async fn start_resolver(config: Config) -> Result<Resolver, Problem> {
    let aws = Aws::load(&config).await?;
    let resolver = resolver(config, &aws, (Freshness::Remembered, Clock::System))?;
    resolver.warm().await?;
    Ok(resolver)
}

/// Starts what a function needs that serves tenants: who they are, and the door to their data.
///
/// # Errors
/// As [`start_resolver`].
pub async fn start_entrance(config: Config) -> Result<(Resolver, Entrance), Problem> {
    let aws = Aws::load(&config).await?;
    open_entrance(config, &aws, Clock::System).await
}

/// Starts the same with these credentials, at this endpoint, by this way to it, and in this time.
///
/// # Errors
/// As [`start_resolver`].
pub async fn start_entrance_at(
    config: Config,
    access: Access,
    clock: Clock,
) -> Result<(Resolver, Entrance), Problem> {
    let aws = Aws::at(&config, access).await?;
    open_entrance(config, &aws, clock).await
}

async fn open_entrance(config: Config, aws: &Aws, clock: Clock) -> Result<(Resolver, Entrance), Problem> {
    let fetch = Fetch::new(&config);
    let desk = open_desk(&config, &fetch, aws)?;
    let errand = Errand {
        function: setting(&config, "VEND_FUNCTION")?,
        doing: vend::ASKING,
        wait_max: fetch::TIMEOUT,
    };
    let invoker = Invoker::new(fetch, &aws.sdk, &config.region, errand)?;
    let secret_id = setting(&config, "SEALING_SECRET")?.to_owned();
    let plans = Plans::new(setting(&config, "DATA_TABLE")?.into());
    let egress = Arc::new(Egress::new(&config));
    let vault = Vault::open(&config, &aws.sdk)?.map(Arc::new);
    let metrics_namespace = config.metrics_namespace().map(str::to_owned);
    let contact = config.contact().map(Arc::from);
    let watch = Arc::new(Watch::new(metrics_namespace.clone(), clock.clone()));
    let gauges = Gauges::read(&config, clock.clone());
    let gauges = gauges.map_err(|err| Problem::internal("reading the configuration", err))?;
    let secrets = aws_sdk_secretsmanager::Client::new(&aws.sdk);
    let resolver = resolver(config, aws, (Freshness::Remembered, clock.clone()))?;
    let (warmed, (), sealer) =
        tokio::join!(resolver.warm(), invoker.warm(), Sealer::open(secrets, secret_id, clock.clone()));
    warmed?;
    let store = aws_sdk_dynamodb::config::Builder::from(&aws.sdk).build();
    let vendor = Vendor { invoker, sessions: Sessions::new(store, Arc::clone(&watch), clock.clone()) };
    let entrance = Entrance {
        vendor,
        sealer: Arc::new(sealer?),
        vault,
        egress,
        chains: Arc::new(Chains::new()),
        denials: Arc::clone(&resolver.denials),
        turnstile: Arc::new(Turnstile::new(clock.clone())),
        cache: Arc::new(Cache::new(clock.clone())),
        registry: resolver.registry.clone(),
        clock,
        plans,
        seats: Seats::new(),
        metrics_namespace,
        contact,
        gauges,
        watch,
        desk,
    };
    Ok((resolver, entrance))
}

/// The way to `domains`, where the function has the setting for it.
fn open_desk(config: &Config, fetch: &Fetch, aws: &Aws) -> Result<Option<Arc<Desk>>, Problem> {
    let Ok(function) = config.require("DOMAINS_FUNCTION") else { return Ok(None) };
    let wait_max = Duration::from_secs(registrant::WAIT_MAX_S.into());
    let errand = Errand { function, doing: registrant::ASKING, wait_max };
    let invoker = Invoker::new(fetch.clone(), &aws.sdk, &config.region, errand)?;
    Ok(Some(Arc::new(Desk { invoker, config: config.clone() })))
}

/// Starts the one function that may write hosts.
///
/// # Errors
/// As [`start_resolver`].
pub async fn start_registrar(config: Config) -> Result<Registrar, Problem> {
    let aws = Aws::load(&config).await?;
    let clock = Clock::System;
    let secret_id = setting(&config, "SEALING_SECRET")?.to_owned();
    let table = setting(&config, "REGISTRY_TABLE")?.to_owned();
    let secrets = aws_sdk_secretsmanager::Client::new(&aws.sdk);
    let client = aws_sdk_dynamodb::Client::new(&aws.sdk);
    let resolver = resolver(config, &aws, (Freshness::Read, Clock::System))?;
    let (warmed, sealer) = tokio::join!(resolver.warm(), Sealer::open(secrets, secret_id, clock.clone()));
    warmed?;
    Ok(Registrar { resolver, client, table, sealer: sealer?, clock })
}

/// Starts the one function that may tag sessions.
///
/// # Errors
/// As [`start_resolver`].
pub async fn start_vend(config: Config) -> Result<Vend, Problem> {
    let aws = Aws::load(&config).await?;
    let role_arn = setting(&config, "TENANT_ROLE_ARN")?.to_owned();
    let tagger = Tagger::new(aws_sdk_sts::Client::new(&aws.sdk), role_arn);
    let resolver = resolver(config, &aws, (Freshness::Read, Clock::System))?;
    let (warmed, ()) = tokio::join!(resolver.warm(), tagger.warm());
    warmed?;
    Ok(Vend { resolver, tagger })
}

fn resolver(config: Config, aws: &Aws, (freshness, clock): (Freshness, Clock)) -> Result<Resolver, Problem> {
    let table = setting(&config, "REGISTRY_TABLE")?.to_owned();
    let client = aws_sdk_dynamodb::Client::new(&aws.sdk);
    let registry = Registry::new(client.clone(), table, (freshness, clock.clone()));
    let fetch = Fetch::new(&config);
    let events = Events::new(fetch.clone(), &aws.sdk, &config.region)?;
    let namespace = config.metrics_namespace().map(str::to_owned);
    let ledger = config.require("DATA_TABLE").ok().map(|table| Ledger { client, table: table.to_owned() });
    let denials = Arc::new(Denials::new(clock.clone(), namespace.clone(), ledger));
    let alarms = Arc::new(Alarms::new(events, clock, namespace));
    Ok(Resolver::new(config, registry, fetch, (alarms, denials)))
}

pub(crate) fn setting<'c>(config: &'c Config, name: &'static str) -> Result<&'c str, Problem> {
    config.require(name).map_err(|err| Problem::internal("reading the configuration", err))
}

impl Entrance {
    /// Opens the tenant's room for one operation. The scope goes to the tool, the admission stays with the caller,
    /// who commits it. Whoever was not seen before takes a seat.
    ///
    /// # Errors
    /// [`Problem::Suspended`]; [`Problem::QuotaReached`], which is recorded, when there is no seat left, and which is counted
    /// when no call is; [`Problem::Busy`] when as many calls of the tenant run as may;
    /// [`Problem::Unavailable`] when `vend` or the store does not answer.
    pub async fn enter(
        &self,
        tenant: Tenant,
        operation: Operation,
    ) -> Result<(TenantScope, Admission), Problem> {
        let began = self.clock.now();
        let running = self.pass(&tenant, &operation)?;
        let store = self.vendor.client(&tenant).await?;
        let plan = self.plans.of(&store.client, &tenant.id, tenant.epoch).await?;
        let table = plan.placement.table(self.plans.table(), &tenant.id);
        let proof = tenant.proof;
        let room = Arc::new(Room {
            tenant: tenant.id,
            plan,
            plans: self.plans.clone(),
            routed_epoch: tenant.epoch,
            caller: tenant.caller,
            store,
            table,
            item_url: tenant.item_url.into(),
            sealer: Arc::clone(&self.sealer),
            vault: self.vault.clone(),
            egress: Arc::clone(&self.egress),
            registrant: self.desk.clone().map(|desk| Registrant { desk, proof }),
            began,
            chains: Arc::clone(&self.chains),
            denials: Arc::clone(&self.denials),
            running,
            went_out: AtomicBool::new(false),
            cache: Arc::clone(&self.cache),
            registry: self.registry.clone(),
            era: tokio::sync::OnceCell::new(),
            clock: self.clock.clone(),
            contact: self.contact.clone(),
            staged: std::sync::Mutex::default(),
        });
        room.write_denials().await;
        let admission = Admission::new(Arc::clone(&room), operation).await?;
        match self.seats.take(&room).await {
            Ok(()) => Ok((TenantScope { room }, admission)),
            Err(problem) => {
                if matches!(problem, Problem::QuotaReached(_)) {
                    admission.refuse(&problem).await?;
                }
                Err(problem)
            }
        }
    }

    /// Lets a call run, or refuses it before anybody is asked. One that may be a repetition, or comes when there are counted
    /// denials to write, goes on to where that is found out.
    fn pass(&self, tenant: &Tenant, operation: &Operation) -> Result<Arc<Running>, Problem> {
        let running =
            self.turnstile.enter(&tenant.id).inspect_err(|busy| self.denials.count(&tenant.id, busy))?;
        if operation.effect == Effect::Uncharged {
            self.turnstile.look(&tenant.id).inspect_err(|busy| self.denials.count(&tenant.id, busy))?;
        }
        let is_plain = operation.effect != Effect::Uncharged && !operation.is_once();
        if is_plain
            && !self.denials.has_ended(&tenant.id)
            && let Some(quota) = self.turnstile.believed(&tenant.id, tenant.epoch)
        {
            let problem = Problem::QuotaReached(Box::new(quota));
            self.denials.count(&tenant.id, &problem);
            return Err(problem);
        }
        Ok(running)
    }

    /// Makes sure that the tenant is served right now, for a request that changes and charges nothing.
    ///
    /// # Errors
    /// [`Problem::Suspended`], or [`Problem::Unavailable`] when `vend` or the store does not answer.
    pub async fn check_served(&self, tenant: &Tenant) -> Result<(), Problem> {
        self.served(tenant).await.map(drop)
    }

    /// The same for a request that is answered with a name: the tenant's own where it has white label, else `None`.
    ///
    /// # Errors
    /// As [`Entrance::check_served`].
    pub async fn check_named(&self, tenant: &Tenant) -> Result<Option<String>, Problem> {
        let (store, plan) = self.served(tenant).await?;
        if !plan.has(Feature::WhiteLabel) {
            return Ok(None);
        }
        let table = plan.placement.table(self.plans.table(), &tenant.id);
        let key = Shelf::Settings.key(&tenant.id, &settings_id()?);
        let item = read_item(&store.client, &table, key, "reading the settings").await?;
        let settings = match item.as_ref().map(Raw::read).transpose()? {
            Some(raw) => Settings::of_stored(&raw.typed()?.value),
            None => Settings::default(),
        };
        Ok(Some(settings.branding.under(&plan).company_name))
    }

    async fn served(&self, tenant: &Tenant) -> Result<(Arc<Kept>, Plan), Problem> {
        let store = self.vendor.client(tenant).await?;
        let plan = self.plans.read(&store.client, &tenant.id, tenant.epoch).await?;
        match plan.status {
            Status::Active => Ok((store, plan)),
            Status::Suspended | Status::Erasing | Status::Erased => Err(Problem::Suspended),
        }
    }

    /// Measures a call until its reply. `None` where the deployment names no namespace for metrics.
    #[must_use]
    pub fn gauge(&self, admission: &Admission) -> Option<Gauge> {
        Some(self.gauges.as_ref()?.gauge(admission))
    }

    /// Which calls of the store were slow or cost much since the last report: lines of CloudWatch's embedded metric format.
    #[must_use]
    pub fn store_report(&self) -> Option<String> {
        self.watch.take()
    }

    /// What the cache did for each tenant since the last report, at most once a minute: lines of CloudWatch's embedded
    /// metric format, to be written to standard output after a call. What an instance counts after its last report ends
    /// with it. Nothing where the deployment names no namespace for metrics.
    #[must_use]
    pub fn cache_report(&self) -> Option<String> {
        self.cache.report(self.metrics_namespace.as_deref()?)
    }
}
