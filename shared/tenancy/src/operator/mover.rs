//! Moving a tenant between the table of all and one of its own: in steps that are said by the plan row, so that a move
//! that was interrupted is taken up where it was.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, CancellationReason, Delete, Put, TransactWriteItem},
};

use super::{
    Operator, fault,
    partitions::{Pages, Sum, Summing, partitions, size},
    text,
};
use crate::{
    CollectionName, Moving, Placement, Plan, Problem, TenantId, Tier,
    aws::{read_item, store_problem},
    canonical::Item,
    clock::{Clock, Moment},
    key::Family,
    registry::Row,
};

/// Items of one transaction, and their bytes. Source: TransactWriteItems takes 100 actions and 4 MB.
const ITEMS_MAX: usize = 50;
const BYTES_MAX: usize = 3 * 1024 * 1024;
/// Turns of a transaction that meets another.
const WRITE_ATTEMPTS_MAX: u32 = 8;
pub(super) const MOVING: &str = "moving a tenant";

/// What a move came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What both sides had in common when the move was decided; nothing where the tenant was there already.
    pub sum: Option<Sum>,
    /// Items that were removed where the tenant was before.
    pub removed: u64,
}

/// One step of what is done to a tenant's rows: its writes hold only while the plan has this epoch.
pub(super) struct Step<'s> {
    pub(super) id: &'s TenantId,
    pub(super) epoch: u64,
    pub(super) doing: &'static str,
}

/// A move: from which table to which, and every partition there can be.
struct Way<'m> {
    id: &'m TenantId,
    from: String,
    to: String,
    partitions: Vec<String>,
    /// What the partitions begin with that calls write to even while they may only read, or just after.
    changing: Vec<String>,
}

impl Operator {
    /// Says of a tenant that its data is being copied there, and makes the table. Nothing is copied yet.
    ///
    /// The stream's function may be merging the tenant's index of searches by the plan before: wait [`super::MERGES_END_S`]
    /// seconds before [`Operator::move_tenant`], or rows of such a merge may come between, and the sides not agree, or
    /// where nothing leads to them.
    ///
    /// # Errors
    /// As [`Operator::move_tenant`].
    pub async fn begin_move(&self, id: &TenantId, to: Placement) -> Result<Plan, Problem> {
        let plan = self.standing_plan(id).await?;
        if to == Placement::Dedicated {
            if plan.tier != Tier::Business {
                let detail = "only a tenant of the tier business has a table of its own".to_owned();
                return Err(Problem::Invalid { detail });
            }
            self.make_table(&to.table(&self.data.as_str().into(), id)).await?;
        }
        if plan.placement == to || plan.moving.is_some() {
            return Ok(plan);
        }
        self.change_plan(id, |plan| Plan { moving: Some(Moving::Copying), ..plan }).await
    }

    /// Moves a tenant's data, from [`Operator::begin_move`] on. While it is copied the tenant's calls read and don't write; for
    /// the last changes none is served. The move is decided only if both sides have the same items and as many as the tenant's own count says.
    ///
    /// Every step is said by the plan and can be repeated: after an interruption the same call goes on, and one to
    /// where the tenant still is gives the move up. Every write of a move holds only for the epoch of its step, so two
    /// movers can't undo each other's work. It needs the mover's role.
    ///
    /// # Errors
    /// [`Problem::Conflict`] when the sides don't agree, a collection is not in the list, or the plan is changed
    /// meanwhile: the tenant is served where it was. [`Problem::Invalid`] for a table of its own below the tier business. [`Problem::Unavailable`] when the store does not answer: call again.
    pub async fn move_tenant(
        &self,
        id: &TenantId,
        to: Placement,
        collections: &[CollectionName],
    ) -> Result<Moved, Problem> {
        let mut plan = self.begin_move(id, to).await?;
        let way = self.way(id, to, collections).await?;
        let mut sum = None;
        if plan.placement != to {
            (plan, sum) = self.copy_and_decide(plan, to, &way).await?;
        } else if plan.moving.is_some() {
            plan = self.change_plan(id, |plan| Plan { moving: None, ..plan }).await?;
        }
        let (mut removed, step) = (0_u64, way.step(plan.epoch));
        if self.has_table(&way.from).await? {
            for partition in &way.partitions {
                removed = removed.saturating_add(self.empty(&step, &way.from, partition).await?);
            }
        }
        Ok(Moved { sum, removed })
    }

    async fn copy_and_decide(
        &self,
        mut plan: Plan,
        to: Placement,
        way: &Way<'_>,
    ) -> Result<(Plan, Option<Sum>), Problem> {
        if plan.moving == Some(Moving::Copying) {
            for partition in &way.partitions {
                self.copy(way, plan.epoch, partition).await?;
            }
            plan = self.change_plan(way.id, |plan| Plan { moving: Some(Moving::Closed), ..plan }).await?;
        }
        let changes = |key: &&String| way.changing.iter().any(|start| key.starts_with(start));
        for partition in way.partitions.iter().filter(changes) {
            self.copy(way, plan.epoch, partition).await?;
        }
        let agreed = self.agree(way).await;
        let placement = if agreed.is_ok() { to } else { plan.placement };
        let decided = Plan { epoch: plan.epoch.saturating_add(1), placement, moving: None, ..plan };
        self.set_plan(way.id, &decided).await?;
        Ok((decided, Some(agreed?)))
    }

    async fn way<'m>(
        &self,
        id: &'m TenantId,
        to: Placement,
        collections: &[CollectionName],
    ) -> Result<Way<'m>, Problem> {
        let pooled = self.data.as_str().into();
        let own = Placement::Dedicated.table(&pooled, id).to_string();
        let (from, to) = match to {
            Placement::Pooled => (own, self.data.clone()),
            Placement::Dedicated => (self.data.clone(), own),
        };
        let changing = ["METER", "IDEM", "AUDIT", "SEARCH"].map(|family| format!("TENANT#{id}#{family}"));
        let partitions = partitions(id, collections, self.days(id).await?);
        Ok(Way { id, from, to, partitions, changing: changing.into() })
    }

    /// When the tenant was made.
    pub(super) async fn made(&self, id: &TenantId) -> Result<Moment, Problem> {
        let row = self.row(&Row::Tenant(id.clone())).await?;
        let made = row.as_ref().and_then(|item| item.get("made_s")?.as_n().ok()?.parse().ok());
        let made_s = made.ok_or(Problem::NotFound { kind: "tenant" })?;
        Ok(Clock::fixed_at_s(made_s).now())
    }

    /// The first and last day of which there can be records: one of the last minute of today may be written tomorrow.
    pub(super) async fn days(&self, id: &TenantId) -> Result<(Moment, Moment), Problem> {
        Ok((self.made(id).await?, Clock::System.now().plus_s(24 * 3600)))
    }

    /// Makes a partition of the other side what it is on this side: what is there and not here is removed.
    async fn copy(&self, way: &Way<'_>, epoch: u64, partition: &str) -> Result<(), Problem> {
        let (mut here, step) = (BTreeSet::new(), way.step(epoch));
        let mut pages = Pages::new(&self.client, &way.from, partition);
        while let Some(items) = pages.next().await? {
            here.extend(items.iter().filter_map(sort_key));
            self.write(&step, &items, |item| put(&way.to, item)).await?;
        }
        let mut pages = Pages::new(&self.client, &way.to, partition);
        while let Some(mut items) = pages.next().await? {
            items.retain(|item| sort_key(item).is_none_or(|key| !here.contains(&key)));
            self.write(&step, &items, |item| remove(&way.to, item)).await?;
        }
        Ok(())
    }

    /// What both sides have, if it is the same and as much as the tenant's own count says.
    async fn agree(&self, way: &Way<'_>) -> Result<Sum, Problem> {
        let (from, to) = (self.sum(&way.from, way).await?, self.sum(&way.to, way).await?);
        let counted = self.counted_items(&way.from, way.id).await?;
        let found = self.count_items(&way.from, way.id, &way.partitions).await?;
        if from != to || counted != found {
            let detail = format!(
                "the tenant stays where it was: {} items here and {} there, {found} in the collections that were \
                 named, {counted} by the tenant's own count",
                from.items, to.items
            );
            return Err(Problem::Conflict { detail });
        }
        Ok(from)
    }

    async fn sum(&self, table: &str, way: &Way<'_>) -> Result<Sum, Problem> {
        let mut summing = Summing::new();
        for partition in &way.partitions {
            let mut pages = Pages::new(&self.client, table, partition);
            while let Some(items) = pages.next().await? {
                items.iter().for_each(|item| summing.add(item));
            }
        }
        Ok(summing.done())
    }

    /// Items of collections that are found in a table.
    pub(super) async fn count_items(
        &self,
        table: &str,
        id: &TenantId,
        partitions: &[String],
    ) -> Result<u64, Problem> {
        let start = format!("TENANT#{id}#ITEM#");
        let mut found = 0_u64;
        for partition in partitions.iter().filter(|key| key.starts_with(&start)) {
            let mut pages = Pages::of_keys(&self.client, table, partition);
            while let Some(items) = pages.next().await? {
                found = found.saturating_add(u64::try_from(items.len()).unwrap_or(u64::MAX));
            }
        }
        Ok(found)
    }

    /// Items as the transactions counted them.
    pub(super) async fn counted_items(&self, table: &str, id: &TenantId) -> Result<u64, Problem> {
        let key = HashMap::from([
            ("pk".to_owned(), text(&Family::Meter.of(id))),
            ("sk".to_owned(), text("STORAGE")),
        ]);
        let counter = read_item(&self.client, table, key, "counting a tenant's items").await?;
        let counted = counter.as_ref().and_then(|item| item.get("item_count")?.as_n().ok()?.parse().ok());
        Ok(counted.unwrap_or(0))
    }

    /// Removes a partition, and says how many items it had.
    pub(super) async fn empty(&self, step: &Step<'_>, table: &str, partition: &str) -> Result<u64, Problem> {
        let mut removed = 0_u64;
        let mut pages = Pages::of_keys(&self.client, table, partition);
        while let Some(items) = pages.next().await? {
            removed = removed.saturating_add(u64::try_from(items.len()).unwrap_or(u64::MAX));
            self.write(step, &items, |item| remove(table, item)).await?;
        }
        Ok(removed)
    }

    /// Writes in transactions, each of which holds only if the plan still has this epoch.
    pub(super) async fn write(
        &self,
        step: &Step<'_>,
        items: &[Item],
        action: impl Fn(&Item) -> Result<TransactWriteItem, Problem>,
    ) -> Result<(), Problem> {
        let mut rest = items;
        while !rest.is_empty() {
            let mut bytes = 0_usize;
            let fits = |item: &&Item| {
                bytes = bytes.saturating_add(size(item));
                bytes <= BYTES_MAX
            };
            let count = rest.iter().take(ITEMS_MAX).take_while(fits).count().max(1);
            let (chunk, later) = rest.split_at(count);
            let mut actions = vec![Plan::of_epoch(&self.data, step.id, step.epoch).map_err(fault)?];
            for item in chunk {
                actions.push(action(item)?);
            }
            self.transact(actions, step.doing).await?;
            rest = later;
        }
        Ok(())
    }

    async fn transact(&self, actions: Vec<TransactWriteItem>, doing: &'static str) -> Result<(), Problem> {
        for attempt in 0..WRITE_ATTEMPTS_MAX {
            let request = self.client.transact_write_items().set_transact_items(Some(actions.clone()));
            let err = match request.send().await {
                Ok(_) => return Ok(()),
                Err(err) => err,
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                err.as_service_error()
            else {
                return Err(store_problem(doing, err));
            };
            let failed = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
            if cancelled.cancellation_reasons().iter().any(failed) {
                let detail =
                    "the plan was changed meanwhile; look at it, and go on with the same command".to_owned();
                return Err(Problem::Conflict { detail });
            }
            let pause_ms = 20_u64.saturating_mul(1 << attempt);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        Err(Problem::Unavailable { doing, source: None })
    }
}

impl Way<'_> {
    const fn step(&self, epoch: u64) -> Step<'_> {
        Step { id: self.id, epoch, doing: MOVING }
    }
}

fn sort_key(item: &Item) -> Option<String> {
    item.get("sk")?.as_s().ok().cloned()
}

pub(super) fn put(table: &str, item: &Item) -> Result<TransactWriteItem, Problem> {
    let put = Put::builder().table_name(table).set_item(Some(item.clone())).build().map_err(fault)?;
    Ok(TransactWriteItem::builder().put(put).build())
}

pub(super) fn remove(table: &str, item: &Item) -> Result<TransactWriteItem, Problem> {
    let key = |name: &str| item.get(name).cloned().unwrap_or(AttributeValue::Null(true));
    let delete = Delete::builder().table_name(table).key("pk", key("pk")).key("sk", key("sk"));
    Ok(TransactWriteItem::builder().delete(delete.build().map_err(fault)?).build())
}
