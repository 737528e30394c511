//! Erasing a tenant: in steps that are said by the plan row, so that an erasure that was interrupted is taken up where it
//! was. What is left are tombstones: names that were used, which are never another tenant's.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};

use super::{
    Operator, fault,
    mover::{Step, put, remove},
    partitions::{Pages, followed, partitions},
    text,
};
use crate::{
    AuditEnd, Erasure, Plan, Problem, Status, TenantId,
    audit::without_caller,
    canonical::Item,
    clock::{Clock, Moment},
    key::Family,
    registry::Row,
};

/// For how long the end of an erased tenant's own KMS key can be called off. Source: KMS takes 7 to 30.
const KEY_DAYS_LEFT: i32 = 7;
const ERASING: &str = "erasing a tenant";
const CHANGED: &str = "the tenant has changed meanwhile";

/// What an erasure came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Wrapped data keys that were removed.
    pub keys: u64,
    /// Rows that were removed from the table of all. A table of the tenant's own goes as a whole.
    pub rows: u64,
    /// Records of the audit trail that stay, without their callers.
    pub records: u64,
}

impl Operator {
    /// Says of a suspended tenant that it is erased, which nothing takes back, and how. From here on it is unknown to
    /// everybody. Nothing is removed yet. It needs the eraser's role.
    ///
    /// Instances may know the plan before for [`super::ROUTE_TTL_S`] seconds, and what they began, merges of the stream's
    /// function among it, ends with its function's timeout: wait that long before [`Operator::erase_tenant`], or rows of theirs may come after it.
    ///
    /// # Errors
    /// [`Problem::Invalid`] when `confirmed` is not the tenant's id. [`Problem::Conflict`] for a tenant that is served, is
    /// being moved, has items that are in none of these collections, or is being erased otherwise.
    pub async fn begin_erasure(
        &self,
        id: &TenantId,
        confirmed: &str,
        erasure: &Erasure,
    ) -> Result<Plan, Problem> {
        if confirmed != id.as_str() {
            return Err(Problem::Invalid { detail: "id: it is not this tenant's".to_owned() });
        }
        let before = self.plan(id).await?;
        match (before.status, &before.erasure) {
            (Status::Suspended, _) if before.moving.is_none() => {}
            (Status::Erasing | Status::Erased, Some(begun)) if begun.audit == erasure.audit => {
                return Ok(before);
            }
            (Status::Suspended, _) => {
                return conflict("the tenant is being moved; end the move, or give it up, before");
            }
            (Status::Active, _) => return conflict("only a suspended tenant can be erased"),
            (Status::Erasing | Status::Erased, _) => {
                return conflict("the erasure has begun, with the other end for the audit trail");
            }
        }
        let table = before.placement.table(&self.data.as_str().into(), id);
        let days = self.days(id).await?;
        let counted = self.counted_items(&table, id).await?;
        let found = self.count_items(&table, id, &partitions(id, &erasure.collections, days)).await?;
        if counted != found {
            return conflict(&format!(
                "nothing is erased: {found} items in the collections that were named, {counted} by the tenant's own count"
            ));
        }
        let epoch = before.epoch.saturating_add(1);
        let erasure = Some(erasure.clone());
        let after = Plan { epoch, status: Status::Erasing, erasure, ..before.clone() };
        self.replace_plan(id, &before, after).await
    }

    /// Removes what there is of a tenant whose erasure has begun: what opens its secrets first, then its rows and its own
    /// table, and in the end what the registry says of it. It can be repeated at any time, and goes on where it was. It
    /// needs the eraser's role.
    ///
    /// # Errors
    /// [`Problem::Conflict`] when no erasure has begun, or another run of this one has ended meanwhile;
    /// [`Problem::Unavailable`] when the store or KMS does not answer: call again.
    pub async fn erase_tenant(&self, id: &TenantId) -> Result<Erased, Problem> {
        let plan = self.plan(id).await?;
        let Some(erasure) = &plan.erasure else {
            return conflict("the erasure of this tenant has not begun");
        };
        let step = Step { id, epoch: plan.epoch, doing: ERASING };
        let mut erased =
            Erased { keys: self.empty(&step, &self.keys, &Family::Keys.of(id)).await?, ..Erased::default() };
        if let Some(arn) = &plan.own_kms_key {
            self.end_key(arn, KEY_DAYS_LEFT).await?;
        }
        let days = self.days(id).await?;
        let mut doomed = partitions(id, &erasure.collections, days);
        match erasure.audit {
            AuditEnd::Removed => doomed.extend(followed(id, days)),
            AuditEnd::Kept => {
                let start = Family::Audit("").of(id);
                let (trail, others): (Vec<_>, Vec<_>) =
                    doomed.into_iter().partition(|key| key.starts_with(&start));
                erased.records = self.forget_callers(&step, &plan, &trail).await?;
                doomed = others;
            }
        }
        for partition in &doomed {
            erased.rows = erased.rows.saturating_add(self.empty(&step, &self.data, partition).await?);
        }
        self.remove_copies(&step).await?;
        self.drop_own_table(id).await?;
        if plan.status == Status::Erasing {
            self.end_erasure(id, &plan, days.0).await?;
        }
        Ok(erased)
    }

    /// Leaves every record of the trail without its caller in the table of all, wherever it was, and says how many there are.
    async fn forget_callers(&self, step: &Step<'_>, plan: &Plan, trail: &[String]) -> Result<u64, Problem> {
        let table = plan.placement.table(&self.data.as_str().into(), step.id);
        // Its own table goes after this was done, so where there is none it is done.
        if *table != *self.data && !self.has_table(&table).await? {
            return Ok(0);
        }
        let mut records = 0_u64;
        for partition in trail {
            let mut pages = Pages::new(&self.client, &table, partition);
            while let Some(items) = pages.next().await? {
                records = records.saturating_add(u64::try_from(items.len()).unwrap_or(u64::MAX));
                let left: Vec<Item> = items.iter().map(without_caller).collect();
                self.write(step, &left, |item| put(&self.data, item)).await?;
            }
        }
        Ok(records)
    }

    /// Removes the counters' copies of the plan.
    async fn remove_copies(&self, step: &Step<'_>) -> Result<(), Problem> {
        let partition = Family::Plan.of(step.id);
        let mut pages = Pages::of_keys(&self.client, &self.data, &partition);
        while let Some(mut items) = pages.next().await? {
            items.retain(|item| item.get("sk") != Some(&text("PLAN")));
            self.write(step, &items, |item| remove(&self.data, item)).await?;
        }
        Ok(())
    }

    /// Leaves the tombstones: a plan without anything of its own, and a row of the registry without its name.
    async fn end_erasure(&self, id: &TenantId, before: &Plan, made: Moment) -> Result<(), Problem> {
        let epoch = before.epoch.saturating_add(1);
        let erasure = before.erasure.clone();
        let plan = Plan { status: Status::Erased, erasure, ..Plan::of(before.tier, epoch) };
        let number = |count: i64| AttributeValue::N(count.to_string());
        let tenant = Item::from([
            ("pk".to_owned(), text(&Row::Tenant(id.clone()).key())),
            ("status".to_owned(), text(plan.status.word())),
            ("epoch".to_owned(), AttributeValue::N(epoch.to_string())),
            ("made_s".to_owned(), number(made.seconds())),
            ("erased_s".to_owned(), number(Clock::System.now().seconds())),
        ]);
        let replace = |table: &str, item: Item| {
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(item))
                .condition_expression("epoch = :before")
                .expression_attribute_values(":before", AttributeValue::N(before.epoch.to_string()))
                .build()
                .map_err(fault)?;
            Ok::<_, Problem>(TransactWriteItem::builder().put(put).build())
        };
        let items = vec![replace(&self.registry, tenant)?, replace(&self.data, plan.item(id, 0))?];
        self.commit(items, CHANGED).await
    }
}

fn conflict<T>(detail: &str) -> Result<T, Problem> {
    Err(Problem::Conflict { detail: detail.to_owned() })
}
