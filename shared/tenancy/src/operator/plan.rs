//! Tiers, limits, features and status: what the operator says a tenant may use.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};

use super::{Operator, fault, text};
use crate::{Plan, Problem, TenantId, registry::Row};

/// Turns of a change that meets others.
const ATTEMPTS_MAX: u32 = 4;

impl Operator {
    /// A tenant's plan.
    ///
    /// # Errors
    /// [`Problem::Internal`] when it has none; [`Problem::Unavailable`] when the store does not answer.
    pub async fn plan(&self, id: &TenantId) -> Result<Plan, Problem> {
        Plan::fetch(&self.client, &self.data, id).await
    }

    /// Changes a tenant's plan, which counts from the next call on, and gives it back as it is now. Its epoch is
    /// counted here.
    ///
    /// # Errors
    /// As [`Operator::plan`], and [`Problem::Conflict`] when others change it all the time.
    pub async fn change_plan(&self, id: &TenantId, change: impl Fn(Plan) -> Plan) -> Result<Plan, Problem> {
        let mut attempts_left = ATTEMPTS_MAX;
        loop {
            let plan = self.plan(id).await?;
            let epoch = plan.epoch.saturating_add(1);
            let changed = Plan { epoch, ..change(plan) };
            match self.set_plan(id, &changed).await {
                Err(Problem::Conflict { .. }) if attempts_left > 0 => {
                    attempts_left = attempts_left.saturating_sub(1);
                }
                done => return done.map(|()| changed),
            }
        }
    }

    /// Replaces a tenant's plan, in the registry and in the row that every transaction checks. The plan's epoch must
    /// be one more than the one that is there, so that no two changes meet unseen.
    ///
    /// # Errors
    /// [`Problem::Conflict`] when the epoch is not the next.
    pub async fn set_plan(&self, id: &TenantId, plan: &Plan) -> Result<(), Problem> {
        let before = plan.epoch.saturating_sub(1).to_string();
        let update = Update::builder()
            .table_name(&self.registry)
            .key("pk", text(&Row::Tenant(id.clone()).key()))
            .update_expression("SET epoch = :epoch, #status = :status, tier = :tier")
            .condition_expression("epoch = :before")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":epoch", AttributeValue::N(plan.epoch.to_string()))
            .expression_attribute_values(":before", AttributeValue::N(before))
            .expression_attribute_values(":status", text(plan.status.word()))
            .expression_attribute_values(":tier", text(plan.tier.word()))
            .build()
            .map_err(fault)?;
        let put =
            Put::builder().table_name(&self.data).set_item(Some(plan.item(id))).build().map_err(fault)?;
        let items = vec![
            TransactWriteItem::builder().update(update).build(),
            TransactWriteItem::builder().put(put).build(),
        ];
        self.commit(items, "the tenant has changed meanwhile").await
    }

    /// The plan of a tenant that is being made.
    pub(super) fn first_plan(&self, id: &TenantId, plan: &Plan) -> Result<TransactWriteItem, Problem> {
        let put = Put::builder()
            .table_name(&self.data)
            .set_item(Some(plan.item(id)))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(fault)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}
