//! What tenants keep, counted anew beside the stream: a tenant whose count moves, once a day.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use hashlink::LruCache;

use super::Change;
use crate::{
    CollectionName, Moment, Problem, TenantId,
    recount::{COUNTED_DAY, Recount, Recounted},
};

/// Tenants that are counted beside one batch, and the time for all of them.
const TENANTS_MAX: usize = 3;
const TIME_MAX: Duration = Duration::from_secs(8);
/// Pages of a tenant. One that keeps more is the operator's to count.
const PAGES_MAX: u32 = 32;
/// What an instance remembers to have tried.
const TRIED_MAX: usize = 10_000;

pub(super) struct Stocks {
    client: Client,
    table: String,
    collections: Vec<CollectionName>,
    /// The day on which a tenant was tried here.
    tried: Mutex<LruCache<TenantId, String>>,
}

impl Stocks {
    pub(super) fn new(client: Client, table: String, collections: Vec<CollectionName>) -> Self {
        Self { client, table, collections, tried: Mutex::new(LruCache::new(TRIED_MAX)) }
    }

    /// Counts those whose rows have changed and were not counted today. What can't be counted now is logged and no more:
    /// nothing depends on it, and the stream goes on.
    pub(super) async fn follow(&self, changes: &[Change], now: Moment) -> Vec<(TenantId, Recounted)> {
        let day = now.day();
        let counting = Recount {
            client: &self.client,
            data: &self.table,
            collections: &self.collections,
            pages_max: PAGES_MAX,
            day: &day,
        };
        let mut found = Vec::new();
        let all = async {
            for tenant in self.due(changes, &day) {
                match counting.run(&tenant).await {
                    Ok(counted) => found.push((tenant, counted)),
                    Err(problem) => not_counted(&tenant, &problem),
                }
            }
        };
        if tokio::time::timeout(TIME_MAX, all).await.is_err() {
            tracing::warn!("counting what tenants keep took too long");
        }
        found
    }

    fn due(&self, changes: &[Change], day: &str) -> Vec<TenantId> {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        for change in changes {
            let is_due = |change: &Change| {
                let counted =
                    change.after.as_ref().map(|row| row.get(COUNTED_DAY).and_then(|day| day.as_s().ok()));
                change.family == "METER"
                    && change.sort_key == "STORAGE"
                    && counted.is_some_and(|counted| counted.is_none_or(|counted| counted != day))
            };
            if due.len() < TENANTS_MAX
                && is_due(change)
                && tried.get(&change.tenant).is_none_or(|tried| tried != day)
            {
                tried.insert(change.tenant.clone(), day.to_owned());
                due.push(change.tenant.clone());
            }
        }
        due
    }
}

fn not_counted(tenant: &TenantId, problem: &Problem) {
    let cause = std::error::Error::source(problem).map(ToString::to_string);
    tracing::warn!(tenant.id = %tenant, code = problem.code(), cause, "what a tenant keeps was not counted");
}

impl std::fmt::Debug for Stocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stocks").field("table", &self.table).finish_non_exhaustive()
    }
}
