//! Searching what a tenant keeps.

use std::sync::Arc;

use super::{Room, TenantScope};
use crate::{
    CollectionName, ItemId, Problem,
    search::{Hit, Index, search},
};

/// Records that one search finds.
pub const HITS_MAX: u32 = 50;

impl Room {
    /// The index of the tenant's searches.
    pub(crate) fn index(&self) -> Index {
        Index {
            client: self.store.client.clone(),
            tenant: self.tenant.clone(),
            table: Arc::clone(&self.table),
            plans: Arc::clone(self.plans.table()),
            epoch: self.plan.epoch,
        }
    }
}

impl TenantScope {
    /// Where people see an item: in the SaaS, if the deployment says where, else where the REST API has it.
    #[must_use]
    pub fn item_url(&self, collection: &CollectionName, id: &ItemId) -> String {
        self.room.item_url.replace("{collection}", collection.as_str()).replace("{id}", id.as_str())
    }

    /// The records that answer a query best, the best first.
    ///
    /// A record answers if it has one of the words; rare words, repetitions, short texts and titles count more (BM25).
    /// Neither case nor diacritics count. The last word, and each with a `*` behind it, counts by its beginning too.
    /// What is committed is found, what has ended is not, and what this call has staged is not found yet.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a query without a word or over its limits (1,000 characters, 32 words), and for a limit out of
    /// 1 to 50; [`Problem::Unavailable`] when the store does not answer.
    pub async fn search(&self, query: &str, limit: u32) -> Result<Vec<Hit>, Problem> {
        if !(1..=HITS_MAX).contains(&limit) {
            return Err(Problem::Invalid { detail: format!("limit: {limit} of 1 to {HITS_MAX}") });
        }
        search(&self.room, query, usize::try_from(limit).unwrap_or(usize::MAX)).await
    }
}
