//! A KMS key of one tenant alone, under which its data keys are wrapped: made, used, and ended.

use aws_sdk_kms::types::{KeySpec, KeyUsageType, Tag};
use serde_json::json;

use super::{Operator, Rewrapped, text};
use crate::{Problem, TenantId, aws::store_problem, canonical::Item, key::Family};

/// For how long the end of a key can be called off. Source: KMS takes 7 to 30.
const DAYS_LEFT: i32 = 30;
const MAKING: &str = "making a tenant's own KMS key";
const RETIRING: &str = "ending a tenant's own KMS key";

impl Operator {
    /// Makes a KMS key that works for this tenant alone, whatever any role says, and gives its ARN. Nothing is wrapped
    /// under it before the plan names it. It needs the keeper's role.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when KMS does not answer; a key may have been made then, which nothing uses.
    pub async fn make_own_key(&self, id: &TenantId) -> Result<String, Problem> {
        let tag = Tag::builder().tag_key("tenant").tag_value(id.as_str()).build();
        let tag = tag.map_err(|err| Problem::internal(MAKING, err))?;
        let reply = self
            .kms
            .create_key()
            .description("Wraps the data keys of one tenant")
            .key_spec(KeySpec::SymmetricDefault)
            .key_usage(KeyUsageType::EncryptDecrypt)
            .policy(self.own_key_policy(id)?)
            .tags(tag)
            .send()
            .await
            .map_err(|err| store_problem(MAKING, err))?;
        let arn = reply.key_metadata.and_then(|key| key.arn);
        let arn = arn.ok_or_else(|| Problem::internal(MAKING, "KMS made a key without a name"))?;
        let turning = self.kms.enable_key_rotation().key_id(&arn).send().await;
        turning.map_err(|err| store_problem(MAKING, err))?;
        Ok(arn)
    }

    /// Has KMS wrap this tenant's data keys under another KMS key: that of all if it names none. What is wrapped under it
    /// already stays, so a round that was interrupted is taken up by calling again. It needs the keeper's role, and the plan
    /// must have named the key for [`super::ROUTE_TTL_S`] seconds: until then an instance may wrap a new key under the one
    /// before.
    ///
    /// # Errors
    /// As [`Operator::rewrap_keys`].
    pub async fn rewrap_keys_under(&self, id: &TenantId, own: Option<&str>) -> Result<Rewrapped, Problem> {
        let kms_key = own.unwrap_or(&self.tenants_key);
        let mut done = Rewrapped::default();
        for row in self.keys_of(id).await?.iter().filter(|row| !is_under(row, kms_key)) {
            let count =
                if self.rewrap(row, Some(kms_key)).await? { &mut done.wrapped } else { &mut done.met };
            *count = count.saturating_add(1);
        }
        Ok(done)
    }

    /// Ends a key that nothing is wrapped under any more, in 30 days. It needs the keeper's role.
    ///
    /// # Errors
    /// [`Problem::Conflict`] while a data key of the tenant is wrapped under it.
    pub async fn retire_own_key(&self, id: &TenantId, arn: &str) -> Result<(), Problem> {
        if self.keys_of(id).await?.iter().any(|row| is_under(row, arn)) {
            return Err(Problem::Conflict { detail: "data keys are wrapped under this key".to_owned() });
        }
        self.end_key(arn, DAYS_LEFT).await
    }

    /// Has KMS remove a key after so many days.
    pub(super) async fn end_key(&self, arn: &str, days: i32) -> Result<(), Problem> {
        match self.kms.schedule_key_deletion().key_id(arn).pending_window_in_days(days).send().await {
            Ok(_) => Ok(()),
            // It was told so before, or is gone since.
            Err(err)
                if err.as_service_error().is_some_and(|err| {
                    err.is_kms_invalid_state_exception() || err.is_not_found_exception()
                }) =>
            {
                Ok(())
            }
            Err(err) => Err(store_problem(RETIRING, err)),
        }
    }

    /// The rows of a tenant's data keys.
    async fn keys_of(&self, id: &TenantId) -> Result<Vec<Item>, Problem> {
        let (mut rows, mut start) = (Vec::new(), None);
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.keys)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(&Family::Keys.of(id)))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|err| store_problem("listing a tenant's data keys", err))?;
            rows.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Roles say who may use the key, and the key says for whom: a role that forgets to bind the tenant opens nothing.
    fn own_key_policy(&self, id: &TenantId) -> Result<String, Problem> {
        let mut parts = self.tenants_key.split(':');
        let (partition, account) = match (parts.nth(1), parts.nth(2)) {
            (Some(partition), Some(account)) => (partition, account),
            _ => return Err(Problem::internal(MAKING, "the key of all has no ARN")),
        };
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "RolesDecide",
                    "Effect": "Allow",
                    "Principal": { "AWS": format!("arn:{partition}:iam::{account}:root") },
                    "Action": "kms:*",
                    "Resource": "*",
                },
                {
                    "Sid": "ThisTenantAlone",
                    "Effect": "Deny",
                    "Principal": { "AWS": "*" },
                    "Action": [
                        "kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:CreateGrant",
                    ],
                    "Resource": "*",
                    "Condition": { "StringNotEquals": { "kms:EncryptionContext:tenant": id.as_str() } },
                },
            ],
        });
        Ok(policy.to_string())
    }
}

fn is_under(row: &Item, kms_key: &str) -> bool {
    row.get("kms_key") == Some(&text(kms_key))
}
