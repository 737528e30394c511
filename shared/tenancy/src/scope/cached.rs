//! What a tool may keep in memory between calls, and how one write empties it everywhere.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Room, TenantScope};
use crate::{
    Problem,
    aws::read_item,
    cache::{Cacheable, Era, Key},
    key::{Family, Shelf},
    tenant::TenantId,
};

impl TenantScope {
    /// A value that is kept in this instance's memory, or what the fetch brings, which is then kept. `Ok(None)` of a fetch
    /// is kept as well, for less long; an error is not.
    ///
    /// What is kept belongs to the tenant, for all of its callers and functions: a value that depends on who asks has
    /// them in its id. It may be as old as [`Cacheable::TTL_S`], unless something empties the cache: a change of the
    /// tenant's settings, secrets or plan, and [`TenantScope::clear_cache`], do it for the next call of every instance. The fetch
    /// should read consistently, as [`TenantScope::get`] does: what an index is behind would be kept.
    ///
    /// The first time in a call costs one consistent read of a small row, so what is cached should cost more than that.
    /// A call that has staged a change fetches for itself, and what it finds is not kept: it may never come true.
    ///
    /// # Errors
    /// The fetch's own, for all who waited for it; [`Problem::Unavailable`] when the store does not answer.
    pub async fn cached<T: Cacheable>(
        &self,
        id: &str,
        fetch: impl Future<Output = Result<Option<T>, Problem>>,
    ) -> Result<Option<Arc<T>>, Problem> {
        let may_share = || !self.room.staged().has_changes();
        if !may_share() {
            return Ok(fetch.await?.map(Arc::new));
        }
        let key = Key::of::<T>(&self.room.tenant, self.room.era().await?, id);
        self.room.cache.get_or_fetch(&key, self.tier(), may_share, fetch).await
    }

    /// Stages that everything cached of this tenant is forgotten, in every instance, with the commit of this call.
    ///
    /// # Errors
    /// [`Problem::Internal`] when the call is over.
    pub fn clear_cache(&self) -> Result<(), Problem> {
        self.room.staged().clear_cache()
    }
}

impl Room {
    /// The versions that whatever is cached is kept under, the same for the whole call.
    async fn era(&self) -> Result<Era, Problem> {
        let read = async || {
            let (everyone, settings) =
                tokio::try_join!(self.registry.cache_epoch(), self.settings_version())?;
            // The plan's own epoch, not the one that led here: a call that meets a newer plan is run again under it.
            Ok(Era { everyone, plan: self.plan.epoch, settings })
        };
        self.era.get_or_try_init(read).await.copied()
    }

    /// How often the settings have changed, or the cache was emptied.
    async fn settings_version(&self) -> Result<u64, Problem> {
        const DOING: &str = "reading the version of the settings";
        let key = settings_version_key(&self.tenant);
        let Some(row) = read_item(&self.store.client, &self.table, key, DOING).await? else { return Ok(0) };
        let version = row.get("version").and_then(|value| value.as_n().ok()?.parse().ok());
        version.ok_or_else(|| Problem::internal(DOING, "the row is not whole"))
    }
}

/// The row of the version of a tenant's settings: it has no document, and is written by the commit alone.
pub(crate) fn settings_version_key(tenant: &TenantId) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(Family::Shelf(&Shelf::Settings).of(tenant))),
        ("sk".to_owned(), AttributeValue::S("VERSION".to_owned())),
    ])
}
