//! Tiers, limits, features and status: what the operator says a tenant may use.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};

use super::{Operator, fault, text};
use crate::{Plan, Problem, TenantId, registry::Row};

/// Turns of a change that meets others.
const ATTEMPTS_MAX: u32 = 8;
const CHANGED: &str = "the tenant has changed meanwhile";

impl Operator {
    /// A tenant's plan.
    ///
    /// # Errors
    /// [`Problem::Internal`] when it has none; [`Problem::Unavailable`] when the store does not answer.
    pub async fn plan(&self, id: &TenantId) -> Result<Plan, Problem> {
        Plan::fetch(&self.client, &self.data, id).await
    }

    /// The plan of a tenant that is there to stay.
    ///
    /// # Errors
    /// As [`Operator::plan`], and [`Problem::Conflict`] when the tenant's erasure has begun.
    pub async fn standing_plan(&self, id: &TenantId) -> Result<Plan, Problem> {
        let plan = self.plan(id).await?;
        if plan.status.is_gone() {
            return Err(Problem::Conflict {
                detail: "the tenant is erased, and nothing leads back".to_owned(),
            });
        }
        Ok(plan)
    }

    /// Changes a tenant's plan, which counts from the next call on, and gives it back as it is now. Its epoch is
    /// counted here.
    ///
    /// # Errors
    /// As [`Operator::standing_plan`], and [`Problem::Conflict`] when others change it all the time.
    pub async fn change_plan(&self, id: &TenantId, change: impl Fn(Plan) -> Plan) -> Result<Plan, Problem> {
        let mut attempts_left = ATTEMPTS_MAX;
        loop {
            let before = self.standing_plan(id).await?;
            let epoch = before.epoch.saturating_add(1);
            let after = Plan { epoch, ..change(before.clone()) };
            match self.replace_plan(id, &before, after).await {
                Err(Problem::Conflict { .. }) if attempts_left > 0 => {
                    attempts_left = attempts_left.saturating_sub(1);
                }
                done => return done,
            }
        }
    }

    /// Replaces a tenant's plan, in the registry and in the row that every transaction checks. The plan's epoch must
    /// be one more than the one that is there, so that no two changes meet unseen.
    ///
    /// # Errors
    /// As [`Operator::standing_plan`], and [`Problem::Conflict`] when the epoch is not the next, or the tenant's counters
    /// passed a part that was to be theirs.
    pub async fn set_plan(&self, id: &TenantId, plan: &Plan) -> Result<(), Problem> {
        let before = self.standing_plan(id).await?;
        self.replace_plan(id, &before, plan.clone()).await.map(drop)
    }

    pub(super) async fn replace_plan(
        &self,
        id: &TenantId,
        before: &Plan,
        after: Plan,
    ) -> Result<Plan, Problem> {
        let (plan, checks) = self.settle(id, (before, after)).await?;
        let update = Update::builder()
            .table_name(&self.registry)
            .key("pk", text(&Row::Tenant(id.clone()).key()))
            .update_expression("SET epoch = :epoch, #status = :status, tier = :tier")
            .condition_expression("epoch = :before")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":epoch", AttributeValue::N(plan.epoch.to_string()))
            .expression_attribute_values(":before", AttributeValue::N(before.epoch.to_string()))
            .expression_attribute_values(":status", text(plan.status.word()))
            .expression_attribute_values(":tier", text(plan.tier.word()))
            .build()
            .map_err(fault)?;
        let mut items = vec![TransactWriteItem::builder().update(update).build()];
        // A copy that is used no more must not stay what it was, or it would let in who still knows it.
        for counter in 0..before.spread.counters().max(plan.spread.counters()) {
            let put = Put::builder().table_name(&self.data).set_item(Some(plan.item(id, counter)));
            items.push(TransactWriteItem::builder().put(put.build().map_err(fault)?).build());
        }
        items.extend(checks);
        if plan.epoch != before.epoch.saturating_add(1) {
            return Err(Problem::Conflict { detail: CHANGED.to_owned() });
        }
        self.commit(items, CHANGED).await.map(|()| plan)
    }

    /// The plan of a tenant that is being made.
    pub(super) fn first_plan(&self, id: &TenantId, plan: &Plan) -> Result<TransactWriteItem, Problem> {
        let put = Put::builder()
            .table_name(&self.data)
            .set_item(Some(plan.item(id, 0)))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(fault)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}
