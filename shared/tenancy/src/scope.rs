//! The room of one tenant: everything in it is the tenant's, and there is no door to another.

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicBool};

use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use crate::{
    Collection, Feature, Problem,
    audit::Chains,
    cache::{Cache, Era},
    clock::{Clock, Moment},
    crypto::{Sealer, sha256},
    denials::Denials,
    egress::Egress,
    key::{CollectionName, ItemId, Shelf},
    plan::{Limits, Plan, Plans},
    quota::Quota,
    record::{Raw, Record, Stored, prepare},
    registrant::Registrant,
    registry::Registry,
    staged::Staged,
    tenant::{Caller, Status, TenantId, Tier},
    turnstile::{Known, Running},
    vault::Vault,
    vend::Kept,
};

mod assets;
mod audit;
mod batch;
mod cached;
mod domains;
mod items;
mod members;
mod outside;
mod query;
mod search;
mod secrets;
mod settings;
mod shelf;
mod transact;
mod usage;

pub use assets::{
    ASSET_BYTES_MAX, ASSETS_MAX, Asset, AssetEntry, AssetName, AssetNameError, AssetPut, ImageType,
};
pub(crate) use cached::settings_version_key;
pub use domains::{Checked, DOMAINS_MAX, DomainEntry, DomainState};
pub use items::Items;
pub use members::Member;
pub(crate) use members::{member_count, stock_key};
pub use query::{Direction, Order, Query};
pub use search::HITS_MAX;
pub use secrets::{
    Resealed, SECRET_BYTES_MAX, SECRETS_MAX, SecretEntry, SecretName, SecretNameError, SecretPut,
};
pub use settings::StoredSettings;
pub(crate) use settings::current_id as settings_id;
pub(crate) use shelf::OnShelf;
pub use shelf::{BATCH_MAX, PAGE_MAX};
pub use transact::Transact;
pub use usage::{Activity, Usage};

/// All that a tool can reach: one tenant's data, by the tenant's own credentials.
///
/// It is made by [`crate::Entrance::enter`] alone, from a [`crate::Tenant`] taken by value. No method takes a tenant.
/// Reads are immediate and see what is staged; writes are staged, and become durable all together with the charge
/// and the audit record when the call is committed.
#[derive(Debug)]
pub struct TenantScope {
    pub(crate) room: Arc<Room>,
}

/// What a scope and the admission of its call share.
#[derive(Debug)]
pub(crate) struct Room {
    // INVARIANT: `store` holds credentials that are tagged with `tenant`; the entrance keeps it.
    pub(crate) tenant: TenantId,
    /// What the call began under. The commit makes sure that it ends under no less and no more.
    pub(crate) plan: Plan,
    pub(crate) plans: Plans,
    /// The epoch that the registry said, by which the plan is remembered.
    pub(crate) routed_epoch: u64,
    pub(crate) caller: Caller,
    pub(crate) store: Arc<Kept>,
    // INVARIANT: the table of `plan`'s placement.
    pub(crate) table: Arc<str>,
    /// Where an item is seen, with `{collection}` and `{id}` for its own.
    pub(crate) item_url: Arc<str>,
    pub(crate) sealer: Arc<Sealer>,
    /// In a function that has to do with secrets.
    pub(crate) vault: Option<Arc<Vault>>,
    pub(crate) egress: Arc<Egress>,
    /// In a function that has to do with domains.
    pub(crate) registrant: Option<Registrant>,
    /// When the call came in.
    pub(crate) began: Moment,
    pub(crate) chains: Arc<Chains>,
    pub(crate) denials: Arc<Denials>,
    /// The place among the tenant's calls that run.
    pub(crate) running: Arc<Running>,
    /// Whether the call has done something outside, as far as is known.
    pub(crate) went_out: AtomicBool,
    pub(crate) cache: Arc<Cache>,
    pub(crate) registry: Registry,
    /// The versions that this call asks the cache under, read when it asks first.
    pub(crate) era: OnceCell<Era>,
    pub(crate) clock: Clock,
    /// Whom to ask for more than a limit leaves.
    pub(crate) contact: Option<Arc<str>>,
    pub(crate) staged: Mutex<Staged>,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<R> {
    /// At most as many as were asked for.
    pub records: Vec<Stored<R>>,
    /// Give it back to go on; absent at the end. It is sealed: good for this tenant and listing alone.
    pub next_cursor: Option<String>,
}

impl<R: DeserializeOwned> Page<R> {
    fn typed(page: shelf::RawPage) -> Result<Self, Problem> {
        let records = page.raws.iter().map(Raw::typed).collect::<Result<_, _>>()?;
        Ok(Self { records, next_cursor: page.next_cursor })
    }
}

impl Room {
    pub(crate) fn staged(&self) -> std::sync::MutexGuard<'_, Staged> {
        // A poisoned lock means that a tool panicked while staging; its call is not committed.
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stable opaque id of the caller in this tenant, which also names their seat.
    pub(crate) fn profile_id(&self) -> String {
        let Caller { issuer, subject, .. } = &self.caller;
        sha256(["profile", self.tenant.as_str(), issuer, subject].join("\0").as_bytes())
    }

    /// Reads the plan again, since the operator has changed it; a tenant that is suspended meanwhile ends here.
    pub(crate) async fn newer_plan(&self) -> Result<Plan, Problem> {
        let plan = self.plans.read(&self.store.client, &self.tenant, self.routed_epoch).await?;
        match plan.status {
            Status::Active => Ok(plan),
            Status::Suspended | Status::Erasing | Status::Erased => Err(Problem::Suspended),
        }
    }

    /// The quota of calls that is known to be used up. What was known a while ago is true as long as the plan is the same.
    pub(crate) async fn spent(&self) -> Result<Option<Quota>, Problem> {
        let turnstile = self.running.turnstile();
        match turnstile.known(&self.tenant, self.routed_epoch) {
            Known::Nothing => Ok(None),
            Known::Spent(quota) => Ok(Some(quota)),
            Known::Doubtful(quota, epoch) => {
                if self.newer_plan().await?.epoch == epoch {
                    return Ok(Some(quota));
                }
                turnstile.forget(&self.tenant);
                Ok(None)
            }
        }
    }

    /// How long the call has taken until now.
    pub(crate) fn took_ms(&self, now: Moment) -> u64 {
        let took_ms = now.micros().saturating_sub(self.began.micros()).div_euclid(1_000);
        u64::try_from(took_ms).unwrap_or(0)
    }

    /// The same room for another attempt or another part of a call, with nothing staged.
    pub(crate) fn emptied(&self, plan: Plan) -> Self {
        Self {
            table: plan.placement.table(self.plans.table(), &self.tenant),
            tenant: self.tenant.clone(),
            plan,
            plans: self.plans.clone(),
            routed_epoch: self.routed_epoch,
            caller: self.caller.clone(),
            item_url: Arc::clone(&self.item_url),
            store: Arc::clone(&self.store),
            sealer: Arc::clone(&self.sealer),
            vault: self.vault.clone(),
            egress: Arc::clone(&self.egress),
            registrant: self.registrant.clone(),
            began: self.began,
            chains: Arc::clone(&self.chains),
            denials: Arc::clone(&self.denials),
            running: Arc::clone(&self.running),
            went_out: AtomicBool::new(false),
            cache: Arc::clone(&self.cache),
            registry: self.registry.clone(),
            era: OnceCell::new(),
            clock: self.clock.clone(),
            contact: self.contact.clone(),
            staged: Mutex::default(),
        }
    }
}

impl TenantScope {
    /// Who is calling.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.room.caller
    }

    /// What the tenant pays for.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.room.plan.tier
    }

    /// The version of the plan that this call runs under: every change of the operator raises it.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.room.plan.epoch
    }

    /// What the tenant may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.room.plan.limits
    }

    /// Whether the tenant has a feature. Where the operator changes the answer before the call is committed, the call
    /// is run again.
    #[must_use]
    pub fn feature(&self, feature: Feature) -> bool {
        self.room.plan.has(feature)
    }

    /// Demands a feature.
    ///
    /// # Errors
    /// [`Problem::FeatureOff`], which says what it is and who can switch it on.
    pub fn demand(&self, feature: Feature) -> Result<(), Problem> {
        if self.feature(feature) { Ok(()) } else { Err(Problem::FeatureOff { feature, tier: self.tier() }) }
    }

    /// A stable opaque id of this caller in this tenant. It is another one in every other tenant.
    #[must_use]
    pub fn profile_id(&self) -> String {
        self.room.profile_id()
    }

    /// The record of this id.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when this tenant has none; [`Problem::Unavailable`] when the store does not answer.
    pub async fn get<R: Record>(&self, id: &ItemId) -> Result<Stored<R>, Problem> {
        self.on::<R>(&shelf_of::<R>()).get(id).await?.typed()
    }

    /// The records of at most 100 ids in their order, `None` for one that this tenant does not have.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for more ids; [`Problem::Unavailable`] when the store does not answer for all of them.
    pub async fn get_many<R: Record>(&self, ids: &[ItemId]) -> Result<Vec<Option<Stored<R>>>, Problem> {
        let found = self.on::<R>(&shelf_of::<R>()).find_many(ids).await?;
        found.iter().map(|raw| raw.as_ref().map(Raw::typed).transpose()).collect()
    }

    /// A page of a collection.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a limit out of 1 to 100, an index that the collection does not have, and a cursor that
    /// is not this listing's own.
    pub async fn list<R: Record>(&self, query: &Query<'_>) -> Result<Page<R>, Problem> {
        Page::typed(self.on::<R>(&shelf_of::<R>()).page(query).await?)
    }

    /// Stages a new record, and says what it will be.
    ///
    /// # Errors
    /// [`Problem::Invalid`] or [`Problem::TooLarge`] for the value, [`Problem::Invalid`] over 90 staged writes.
    pub fn create<R: Record>(&self, value: R) -> Result<Stored<R>, Problem> {
        let id = ItemId::make(self.room.clock.now())?;
        let raw = self.on::<R>(&shelf_of::<R>()).create(id, prepare(&value)?)?;
        Ok(stored(raw, value))
    }

    /// Stages a new value for a record that was read; the commit fails if somebody writes it meanwhile.
    ///
    /// # Errors
    /// As [`TenantScope::create`], and [`Problem::Conflict`] when `read` is not the version that is there now.
    pub async fn replace<R: Record>(&self, read: &Stored<R>, value: R) -> Result<Stored<R>, Problem> {
        let raw = self.on::<R>(&shelf_of::<R>()).replace(&read.id, read.version, prepare(&value)?).await?;
        Ok(stored(raw, value))
    }

    /// Stages the end of a record, of the version that was seen if one was, and gives it back.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when this tenant has none, or [`Problem::Conflict`] when another version is there.
    pub async fn delete<R: Record>(&self, id: &ItemId, seen: Option<u64>) -> Result<Stored<R>, Problem> {
        self.on::<R>(&shelf_of::<R>()).delete(id, seen).await?.typed()
    }

    /// A view of this scope in which what is read becomes a condition of the commit.
    #[must_use]
    pub const fn transact(&self) -> Transact<'_> {
        Transact::new(self)
    }

    /// The items of a collection whose type is not known here.
    #[must_use]
    pub fn items<'s>(&'s self, collection: &'s Collection) -> Items<'s> {
        Items::new(self, collection)
    }

    fn on<'s, R: Record>(&'s self, shelf: &'s Shelf) -> OnShelf<'s> {
        OnShelf { room: &self.room, shelf, kind: R::KIND, indexes: R::INDEXES }
    }
}

fn shelf_of<R: Record>() -> Shelf {
    Shelf::Items(CollectionName::of::<R>())
}

fn stored<R>(raw: Raw, value: R) -> Stored<R> {
    let Raw { id, version, created, updated, .. } = raw;
    Stored { id, version, created, updated, value }
}
