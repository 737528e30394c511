//! `insula tenant`, `quota`, `flag`, `key`, `cache` and `domain`: what the operator does to tenants, on the laptop or in a deployment.

use std::{env, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use insula_local::Hands;
use insula_tenancy::{
    Clock, CollectionName, Config, Domain, Feature, Limits, Moment, Placement, Plan, Problem, Slug, Status,
    TenantId, Tier,
    operator::{MERGES_END_S, NewTenant, Operator, OperatorAuthority, ROUTE_TTL_S},
};
use insula_tools::Collections;

use crate::{erase::Erase, say};

/// Where the tenants are.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The port of a running `dev`.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Works on a deployment instead: with the credentials and the settings of the environment (REGISTRY_TABLE,
    /// DATA_TABLE and the others that its functions have).
    #[arg(long)]
    deployed: bool,
}

/// What is done to a tenant.
#[derive(Debug, Subcommand)]
pub(crate) enum Tenant {
    /// Prints the tenant's plan.
    Show {
        /// The tenant's slug.
        slug: Slug,
        #[command(flatten)]
        at: At,
    },
    /// Makes a tenant for a pinned issuer, and the claim that leads to it.
    Create {
        /// The tenant's slug.
        slug: Slug,
        /// free, starter, professional or business.
        #[arg(long, default_value = "free")]
        tier: Tier,
        /// The issuer that speaks for it; the deployment's own without it.
        #[arg(long)]
        issuer: Option<String>,
        /// The value of the issuer's tenant claim.
        #[arg(long)]
        claim: String,
        #[command(flatten)]
        at: At,
    },
    /// Serves the tenant no more, from the next call on.
    Suspend {
        /// The tenant's slug.
        slug: Slug,
        #[command(flatten)]
        at: At,
    },
    /// Serves the tenant again.
    Resume {
        /// The tenant's slug.
        slug: Slug,
        #[command(flatten)]
        at: At,
    },
    /// Gives the tenant another tier, with that tier's limits.
    Tier {
        /// The tenant's slug.
        slug: Slug,
        /// free, starter, professional or business.
        tier: Tier,
        #[command(flatten)]
        at: At,
    },
    /// Moves the tenant's data; what was interrupted goes on, and back to where it is gives a move up.
    Move {
        /// The tenant's slug.
        slug: Slug,
        /// pooled or dedicated.
        to: Placement,
        #[command(flatten)]
        at: At,
    },
    /// Erases a suspended tenant, for ever; what was interrupted goes on.
    Erase(Erase),
}

/// One feature of a tenant.
#[derive(Debug, Args)]
pub(crate) struct Flag {
    /// The tenant's slug.
    slug: Slug,
    /// `advanced_analytics`, `custom_branding`, `api_access`, `data_export` or `white_label`.
    feature: Feature,
    /// Whether the tenant has it, whatever its tier says.
    state: State,
    #[command(flatten)]
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    On,
    Off,
    /// As the tier has it.
    Default,
}

/// Data keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Seals a tenant's secrets under a new data key from now on.
    Rotate {
        /// The tenant's slug.
        slug: Slug,
        #[command(flatten)]
        at: At,
    },
    /// Has KMS wrap every tenant's data key anew. After an interruption, the same `--before` goes on where it was.
    Rewrap {
        /// Only keys that were wrapped before this time, such as 2026-11-24T06:00:00.000000Z; now without it.
        #[arg(long)]
        before: Option<Moment>,
        #[command(flatten)]
        at: At,
    },
    /// Makes the platform's sealing key a new one. Nothing is deployed for it; the next one is to be two days later.
    Renew {
        #[command(flatten)]
        at: At,
    },
}

/// What instances remember for tools.
#[derive(Debug, Subcommand)]
pub(crate) enum Cache {
    /// Empties it for every tenant, as after a table was restored to an earlier time.
    Clear {
        #[command(flatten)]
        at: At,
    },
}

impl Cache {
    pub(crate) async fn run(self) -> Result<(), String> {
        let Self::Clear { at } = self;
        let times = at.operator("OperatorRole").await?.clear_caches().await.map_err(said)?;
        say(&format!("every cache is emptied within {ROUTE_TTL_S} s; done {times} times so far\n"))
    }
}

/// Domains of tenants.
#[derive(Debug, Subcommand)]
pub(crate) enum Domains {
    /// Forgets that a domain is or was a tenant's: it is served no more, and the next who proves it has it.
    Free {
        /// The domain.
        domain: Domain,
        /// The slug of the tenant whose it is or was.
        #[arg(long)]
        from: Slug,
        #[command(flatten)]
        at: At,
    },
}

impl Domains {
    pub(crate) async fn run(self) -> Result<(), String> {
        let Self::Free { domain, from, at } = self;
        let operator = at.operator("OperatorRole").await?;
        let owner = operator.find_tenant(&from).await.map_err(said)?;
        operator.free_domain(&domain, &owner).await.map_err(said)?;
        say(&format!("{domain}: nobody's, and its next owner's once it is proved\n"))
    }
}

impl Tenant {
    pub(crate) async fn run(self) -> Result<(), String> {
        match self {
            Self::Show { slug, at } => at.change(&slug, None::<fn(Plan) -> Plan>).await,
            Self::Create { slug, tier, issuer, claim, at } => at.create(slug, tier, issuer, claim).await,
            Self::Suspend { slug, at } => {
                at.change(&slug, Some(|plan| Plan { status: Status::Suspended, ..plan })).await
            }
            Self::Resume { slug, at } => {
                at.change(&slug, Some(|plan| Plan { status: Status::Active, ..plan })).await
            }
            Self::Tier { slug, tier, at } => {
                at.change(&slug, Some(|plan| Plan { tier, limits: Limits::of(tier), ..plan })).await
            }
            Self::Move { slug, to, at } => at.move_tenant(&slug, to).await,
            Self::Erase(erase) => erase.run().await,
        }
    }
}

impl Flag {
    pub(crate) async fn run(self) -> Result<(), String> {
        let Self { slug, feature, state, at } = self;
        let exception = match state {
            State::On => Some(true),
            State::Off => Some(false),
            State::Default => None,
        };
        let change = |plan: Plan| Plan { overrides: plan.overrides.clone().with(feature, exception), ..plan };
        at.change(&slug, Some(change)).await
    }
}

impl Key {
    pub(crate) async fn run(self) -> Result<(), String> {
        match self {
            Self::Rotate { slug, at } => {
                let operator = at.operator("OperatorRole").await?;
                let id = operator.find_tenant(&slug).await.map_err(said)?;
                let number = operator.rotate_data_key(&id).await.map_err(said)?;
                say(&format!("{slug}: data key {number} from the next secret on\n"))
            }
            Self::Rewrap { before, at } => {
                let keeper = at.operator("KeeperRole").await?;
                let before = before.unwrap_or_else(|| Clock::System.now());
                let done = keeper.rewrap_keys(before).await.map_err(|problem| {
                    format!("{}; `--before {}` goes on", said(problem), before.rfc3339())
                })?;
                say(&format!("{} keys wrapped anew\n", done.wrapped))
            }
            Self::Renew { at } => {
                at.operator("OperatorRole").await?.renew_sealing_key().await.map_err(said)?;
                say("a new sealing key, which every instance meets within 15 minutes\n")
            }
        }
    }
}

impl At {
    pub(crate) async fn operator(&self, role: &str) -> Result<Operator, String> {
        let authority = OperatorAuthority::ambient();
        if self.deployed {
            return Operator::open(&authority, &self.config()?).await.map_err(said);
        }
        let hands = self.hands()?;
        let access = hands.access(role).ok_or("the running `dev` is of another version")?;
        Operator::open_at(&authority, &self.config()?, access).await.map_err(said)
    }

    pub(crate) fn config(&self) -> Result<Config, String> {
        let config = if self.deployed { Config::from_env() } else { Config::read(self.hands()?.settings) };
        config.map_err(|err| err.to_string())
    }

    fn hands(&self) -> Result<Hands, String> {
        let exe = env::current_exe().map_err(|err| format!("where this command is: {err}"))?;
        let folder = exe.parent().ok_or("this command has no folder")?;
        Hands::find(folder, self.port)
            .map_err(|_err| format!("no `cargo run -- dev` of this build runs on port {}", self.port))
    }

    pub(crate) async fn change(
        &self,
        slug: &Slug,
        change: Option<impl Fn(Plan) -> Plan>,
    ) -> Result<(), String> {
        let operator = self.operator("OperatorRole").await?;
        let id = operator.find_tenant(slug).await.map_err(said)?;
        let plan = match change {
            Some(change) => operator.change_plan(&id, change).await,
            None => operator.plan(&id).await,
        };
        say(&shown(slug, &id, &plan.map_err(said)?))
    }

    async fn create(
        &self,
        slug: Slug,
        tier: Tier,
        issuer: Option<String>,
        claim: String,
    ) -> Result<(), String> {
        let operator = self.operator("OperatorRole").await?;
        let issuer = match issuer {
            Some(issuer) => issuer,
            None => self.config()?.issuer,
        };
        let claims = vec![(issuer.clone(), claim)];
        let new = NewTenant { slug: slug.clone(), tier, issuers: vec![issuer], claims, origins: Vec::new() };
        let id = operator.create_tenant(&new).await.map_err(said)?;
        let plan = operator.plan(&id).await.map_err(said)?;
        say(&shown(&slug, &id, &plan))
    }

    async fn move_tenant(&self, slug: &Slug, to: Placement) -> Result<(), String> {
        let mover = self.operator("MoverRole").await?;
        let names = self.collections()?;
        let id = self.operator("OperatorRole").await?.find_tenant(slug).await.map_err(said)?;
        if to == Placement::Dedicated {
            self.wrap_under_own_key(slug).await?;
        }
        let begun = mover.begin_move(&id, to).await.map_err(said)?;
        if begun.moving.is_some() {
            say("waiting until no merge of its search index goes on\n")?;
            tokio::time::sleep(Duration::from_secs(MERGES_END_S)).await;
        }
        let moved = mover.move_tenant(&id, to, &names).await.map_err(said)?;
        say(&match moved.sum {
            Some(sum) => format!(
                "{slug}: {} with {} items, SHA-256 {}; {} removed where it was\n",
                to.word(),
                sum.items,
                sum.digest,
                moved.removed
            ),
            None => format!("{slug}: is {} already\n", to.word()),
        })?;
        if to == Placement::Pooled {
            say("waiting until no instance asks for its own table any more\n")?;
            tokio::time::sleep(Duration::from_secs(ROUTE_TTL_S)).await;
            mover.drop_own_table(&id).await.map_err(said)?;
            self.wrap_under_key_of_all(slug).await?;
        }
        Ok(())
    }

    /// Every collection that a tenant of this deployment can have.
    pub(crate) fn collections(&self) -> Result<Vec<CollectionName>, String> {
        let collections = Collections::read(&self.config()?).map_err(|err| err.to_string())?;
        Ok(collections.all().iter().map(|one| one.name().clone()).collect())
    }

    /// Gives the tenant a KMS key of its own, if it has none, and has its data keys wrapped under it.
    async fn wrap_under_own_key(&self, slug: &Slug) -> Result<(), String> {
        let (operator, keeper) = (self.operator("OperatorRole").await?, self.operator("KeeperRole").await?);
        let id = operator.find_tenant(slug).await.map_err(said)?;
        let plan = operator.standing_plan(&id).await.map_err(said)?;
        let arn = match plan.own_kms_key {
            Some(arn) => arn,
            None => keeper.make_own_key(&id).await.map_err(said)?,
        };
        let change = |plan: Plan| Plan { own_kms_key: Some(arn.clone()), ..plan };
        operator.change_plan(&id, change).await.map_err(said)?;
        say("waiting until every instance knows the tenant's own KMS key\n")?;
        tokio::time::sleep(Duration::from_secs(ROUTE_TTL_S)).await;
        let done = keeper.rewrap_keys_under(&id, Some(&arn)).await.map_err(said)?;
        say(&format!("{slug}: {} data keys wrapped under {arn}\n", done.wrapped))
    }

    async fn wrap_under_key_of_all(&self, slug: &Slug) -> Result<(), String> {
        let (operator, keeper) = (self.operator("OperatorRole").await?, self.operator("KeeperRole").await?);
        let id = operator.find_tenant(slug).await.map_err(said)?;
        let Some(arn) = operator.plan(&id).await.map_err(said)?.own_kms_key else { return Ok(()) };
        operator.change_plan(&id, |plan| Plan { own_kms_key: None, ..plan }).await.map_err(said)?;
        say("waiting until no instance wraps under the tenant's own KMS key any more\n")?;
        tokio::time::sleep(Duration::from_secs(ROUTE_TTL_S)).await;
        let done = keeper.rewrap_keys_under(&id, None).await.map_err(said)?;
        keeper.retire_own_key(&id, &arn).await.map_err(said)?;
        say(&format!(
            "{slug}: {} data keys wrapped under the key of all; {arn} ends in 30 days\n",
            done.wrapped
        ))
    }
}

fn shown(slug: &Slug, id: &TenantId, plan: &Plan) -> String {
    let features: Vec<_> =
        Feature::ALL.iter().filter(|&&feature| plan.has(feature)).map(|feature| feature.word()).collect();
    let Limits { calls_month, calls_minute, storage_bytes, items, members } = plan.limits;
    let of_collections: String =
        plan.collection_items.iter().map(|(name, limit)| format!(", items:{name} {limit}")).collect();
    let counters = match plan.spread.counters() {
        1 => String::new(),
        counters => format!(", {counters} counters"),
    };
    format!(
        "{slug}  {} {} {}, epoch {}\n  id {id}\n  calls_month {calls_month}, calls_minute {calls_minute}, storage_bytes \
         {storage_bytes}, items {items}, members {members}{of_collections}{counters}\n  features: {}\n",
        plan.tier.word(),
        plan.status.word(),
        plan.placement.word(),
        plan.epoch,
        if features.is_empty() { "none".to_owned() } else { features.join(", ") }
    )
}

/// The operator sees the cause as well, which a tenant never does.
pub(crate) fn said(problem: Problem) -> String {
    match std::error::Error::source(&problem) {
        Some(cause) => format!("{problem}: {cause}"),
        None => problem.to_string(),
    }
}
