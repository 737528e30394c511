//! What calls wrote for searches is merged behind them: under a session of the tenant whose index it is, which reaches that
//! and nothing else, so that no mistake here reaches from one tenant to another.

use std::{
    collections::BTreeSet,
    error::Error,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::Change;
use crate::{
    Placement, Plan, Problem, Status,
    search::{Index, NEWS, is_looked_at, tidy},
    tenant::TenantId,
    vend::{Sessions, Tagger},
};

/// Time for one tenant's index, from before the look at its plan. It is there for a store that hardly answers: a look begins
/// nothing new long before, and what is cut off is done anew.
const TENANT_TIME_MAX: Duration = Duration::from_secs(10);
/// So many seconds after a change of the plan no merge goes on by the one before: its time is over, and so is the wait of the
/// store for what it has asked last.
pub const MERGES_END_S: u64 = 15;
/// No look begins later beside one batch: the shard's next changes wait for it.
const BEGINS_MAX: Duration = Duration::from_secs(6);
/// What is left of the function's time when the merges end.
const RESERVE: Duration = Duration::from_secs(1);

/// The merger of all tenants' indexes, one by one.
#[derive(Debug)]
pub(super) struct Merges {
    pub(super) tagger: Tagger,
    pub(super) sessions: Sessions,
    /// The table of all.
    pub(super) table: Arc<str>,
}

impl Merges {
    /// Looks at the indexes of these tenants, each in the table whose stream told of it. What fails or is late is logged and
    /// no more: the index is right all the same, and a later look goes on.
    pub(super) async fn follow(&self, due: Vec<(TenantId, Placement)>, deadline: Instant) {
        let began = Instant::now();
        let time = deadline.saturating_duration_since(began).saturating_sub(RESERVE);
        for (tenant, side) in due {
            let left = time.saturating_sub(began.elapsed()).min(TENANT_TIME_MAX);
            if left.is_zero() || began.elapsed() > BEGINS_MAX {
                tracing::warn!(tenant.id = %tenant, "there was no time to look at the search index");
                continue;
            }
            // Boxed, since a caller's future would be as large as all that this one waits for.
            let look = timeout(left, caught(Box::pin(self.look(&tenant, side)))).await;
            let problem = match look {
                Ok(Ok(())) => continue,
                Ok(Err(problem)) => problem,
                Err(late) => Problem::unavailable("merging the search index", late),
            };
            let (code, cause) = (problem.code(), problem.source().map(ToString::to_string));
            tracing::warn!(tenant.id = %tenant, code, cause, "a merge of the search index has stopped");
        }
    }

    async fn look(&self, tenant: &TenantId, side: Placement) -> Result<(), Problem> {
        // There is no epoch to ask by: the plan, with its epoch, is read anew each time.
        let key = (tenant.clone(), 0);
        let store = self.sessions.of(key, self.tagger.session(tenant)).await?;
        let plan = Plan::fetch(&store.client, &self.table, tenant).await?;
        // What is being moved is left as it is, and so is what the stream tells of a table that the tenant has left.
        if plan.status != Status::Active || plan.moving.is_some() || plan.placement != side {
            return Ok(());
        }
        tidy(&Index {
            client: store.client.clone(),
            tenant: tenant.clone(),
            table: plan.placement.table(&self.table, tenant),
            plans: Arc::clone(&self.table),
            epoch: plan.epoch,
        })
        .await
    }
}

/// What the work gives; a panic ends it alone, and not the batch, which would come again with its cause in it.
async fn caught(work: impl Future<Output = Result<(), Problem>>) -> Result<(), Problem> {
    let mut work = pin!(work);
    // The work's state is not looked at again after a panic, so it can't be seen half changed.
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))).unwrap_or_else(|_panic| {
            Poll::Ready(Err(Problem::internal("merging the search index", "a merge panicked")))
        })
    })
    .await
}

/// The tenants at whose index one of these changes leads to a look, each once, in the order of the stream.
pub(super) fn due(changes: &[Change]) -> Vec<(TenantId, Placement)> {
    let mut seen = BTreeSet::new();
    let leads = changes.iter().filter(|change| leads_to_a_look(change));
    let new = leads.filter(|change| seen.insert(&change.tenant));
    new.map(|change| (change.tenant.clone(), change.side)).collect()
}

fn leads_to_a_look(change: &Change) -> bool {
    let Some(row) = change.after.as_ref().filter(|_| change.family == NEWS && change.before.is_none()) else {
        return false;
    };
    let bytes = row.get("body").and_then(|body| body.as_b().ok()).map_or(0, |body| body.as_ref().len());
    is_looked_at(&change.sort_key, bytes)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

    use super::*;
    use crate::canonical::Item;

    #[tokio::test]
    async fn a_merge_that_panics_has_failed_and_no_more() {
        let merge = |panics: bool| async move {
            tokio::task::yield_now().await;
            assert!(!panics, "the row is not whole");
            Ok(())
        };
        caught(merge(false)).await.unwrap();
        assert_eq!(caught(merge(true)).await.unwrap_err().code(), "internal");
    }

    #[test]
    fn a_tenant_whose_news_lead_to_a_look_is_due_once_a_batch() {
        let [one, other] = [7, 8].map(|byte| TenantId::spell([byte; 16]));
        let row = |bytes: usize| -> Option<Item> {
            Some(Item::from([("body".to_owned(), AttributeValue::B(Blob::new(vec![0; bytes])))]))
        };
        let change = |tenant: &TenantId, family: &str, sort_key: &str, (before, after)| Change {
            sequence: "1".to_owned(),
            tenant: tenant.clone(),
            side: Placement::Dedicated,
            family: family.to_owned(),
            sort_key: sort_key.to_owned(),
            before,
            after,
            expired: false,
        };
        let new = || (None, row(9));
        for (family, sort_key, images, is_due) in [
            ("SEARCH#NEWS", "x0", new(), true),
            ("SEARCH#NEWS", "x1", new(), false),
            ("SEARCH#NEWS", "x1", (None, row(16 * 1024)), true),
            ("SEARCH#NEWS", "x0", (row(9), None), false),
            ("SEARCH#NEWS", "x0", (row(9), row(9)), false),
            ("SEARCH#MANIFEST", "x0", new(), false),
            ("ITEM#notes", "x0", new(), false),
        ] {
            let changes = [change(&one, family, sort_key, images)];
            assert_eq!(due(&changes).len(), usize::from(is_due), "{family} {sort_key}");
        }
        let news = |tenant| change(tenant, "SEARCH#NEWS", "x0", new());
        let batch = [news(&other), news(&one), news(&other), news(&one)];
        assert_eq!(due(&batch), [(other, Placement::Dedicated), (one, Placement::Dedicated)]);
    }
}
