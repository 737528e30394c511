//! A table of one tenant's own: made like that of all, guarded as it is, and removed.

use std::time::Duration;

use aws_sdk_dynamodb::{
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, PointInTimeRecoverySpecification,
        TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
    },
};

use super::{Operator, fault, mover::MOVING};
use crate::{Placement, Problem, TenantId, aws::store_problem};

/// Turns of waiting for a table.
const TABLE_ATTEMPTS_MAX: u32 = 60;

impl Operator {
    /// Removes the empty table that a move back left, or an erased tenant's with all that is in it. Instances may ask it for as
    /// long as they remember a route, so this is not part of the move: wait [`crate::operator::ROUTE_TTL_S`] seconds before.
    ///
    /// # Errors
    /// [`Problem::Conflict`] for a tenant whose data is there, or on its way.
    pub async fn drop_own_table(&self, id: &TenantId) -> Result<(), Problem> {
        let plan = self.plan(id).await?;
        let is_needed = plan.placement == Placement::Dedicated || plan.moving.is_some();
        if is_needed && !plan.status.is_gone() {
            return Err(Problem::Conflict { detail: "the tenant's data is in this table".to_owned() });
        }
        let name = Placement::Dedicated.table(&self.data.as_str().into(), id);
        let table = self.described(&name).await?;
        // One that is on its way out needs no second order.
        if let Some(table) = table.filter(|table| table.table_status != Some(TableStatus::Deleting)) {
            if let Some(stream) = table.latest_stream_arn() {
                self.followers.leave(stream).await?;
            }
            let open = self.client.update_table().table_name(&*name).deletion_protection_enabled(false);
            open.send().await.map_err(|err| store_problem(MOVING, err))?;
            let reply = self.client.delete_table().table_name(&*name).send().await;
            reply.map_err(|err| store_problem(MOVING, err))?;
        }
        Ok(())
    }

    /// Makes a table like that of all, and waits until it is there, guarded and followed as that of all is.
    pub(super) async fn make_table(&self, name: &str) -> Result<(), Problem> {
        let pooled = self.described(&self.data).await?;
        let pooled = pooled.ok_or_else(|| Problem::internal(MOVING, "there is no table of all"))?;
        if !self.has_table(name).await? {
            self.create_like(name, &pooled).await?;
        }
        for _ in 0..TABLE_ATTEMPTS_MAX {
            let described = self.described(name).await?;
            let active = described.filter(|table| table.table_status == Some(TableStatus::Active));
            match active.as_ref().map(TableDescription::latest_stream_arn) {
                Some(Some(stream)) => {
                    self.guard_table(name).await?;
                    let pattern = pooled.latest_stream_arn();
                    let pattern = pattern.ok_or_else(|| Problem::internal(MOVING, "it has no stream"))?;
                    return self.followers.follow(pattern, stream).await;
                }
                // It was made before tables of tenants had streams.
                Some(None) => self.open_stream(name, &pooled).await?,
                None => {}
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(Problem::Unavailable { doing: MOVING, source: None })
    }

    async fn open_stream(&self, name: &str, pooled: &TableDescription) -> Result<(), Problem> {
        let update = self.client.update_table().table_name(name);
        let update = update.set_stream_specification(pooled.stream_specification.clone());
        update.send().await.map_err(|err| store_problem(MOVING, err))?;
        Ok(())
    }

    /// Sees to it that the table is backed up and forgets what has expired, as that of all does.
    async fn guard_table(&self, name: &str) -> Result<(), Problem> {
        self.back_up(name).await?;
        let described = self.client.describe_time_to_live().table_name(name).send().await;
        let status = described.map_err(|err| store_problem(MOVING, err))?.time_to_live_description;
        let status = status.and_then(|described| described.time_to_live_status);
        if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            return Ok(());
        }
        let ttl = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build();
        self.client
            .update_time_to_live()
            .table_name(name)
            .time_to_live_specification(ttl.map_err(fault)?)
            .send()
            .await
            .map_err(|err| store_problem(MOVING, err))?;
        Ok(())
    }

    async fn back_up(&self, name: &str) -> Result<(), Problem> {
        let recovery = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
        let recovery = recovery.build().map_err(fault)?;
        for _ in 0..TABLE_ATTEMPTS_MAX {
            let update = self.client.update_continuous_backups().table_name(name);
            let reply = update.point_in_time_recovery_specification(recovery.clone()).send().await;
            match reply {
                Ok(_) => return Ok(()),
                // A table is there a moment before its backups are.
                Err(err)
                    if err
                        .as_service_error()
                        .is_some_and(|err| err.is_continuous_backups_unavailable_exception()) =>
                {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(err) => return Err(store_problem(MOVING, err)),
            }
        }
        Err(Problem::Unavailable { doing: MOVING, source: None })
    }

    async fn create_like(&self, name: &str, pooled: &TableDescription) -> Result<(), Problem> {
        let mut attributes: Vec<AttributeDefinition> = pooled.attribute_definitions().to_vec();
        attributes.sort_by(|a, b| a.attribute_name.cmp(&b.attribute_name));
        let index = |index: &aws_sdk_dynamodb::types::GlobalSecondaryIndexDescription| {
            GlobalSecondaryIndex::builder()
                .set_index_name(index.index_name.clone())
                .set_key_schema(index.key_schema.clone())
                .set_projection(index.projection.clone())
                .build()
                .map_err(fault)
        };
        let indexes: Vec<_> =
            pooled.global_secondary_indexes().iter().map(index).collect::<Result<_, _>>()?;
        let reply = self
            .client
            .create_table()
            .table_name(name)
            .set_attribute_definitions(Some(attributes))
            .set_key_schema(pooled.key_schema.clone())
            .billing_mode(BillingMode::PayPerRequest)
            .deletion_protection_enabled(true)
            .set_stream_specification(pooled.stream_specification.clone())
            .set_global_secondary_indexes(Some(indexes).filter(|indexes| !indexes.is_empty()))
            .send()
            .await;
        match reply {
            Ok(_) => Ok(()),
            // Another run of this command made it.
            Err(err)
                if err.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) =>
            {
                Ok(())
            }
            Err(err) => Err(store_problem(MOVING, err)),
        }
    }

    pub(super) async fn has_table(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.described(name).await?.is_some())
    }

    async fn described(&self, name: &str) -> Result<Option<TableDescription>, Problem> {
        match self.client.describe_table().table_name(name).send().await {
            Ok(reply) => Ok(reply.table),
            Err(err) if err.as_service_error().is_some_and(|err| err.is_resource_not_found_exception()) => {
                Ok(None)
            }
            Err(err) => Err(store_problem(MOVING, err)),
        }
    }
}
