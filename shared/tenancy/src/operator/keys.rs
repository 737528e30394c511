//! Data keys from above: when a tenant's next one begins, and all of them wrapped anew. Neither needs to see a key or a secret.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{Operator, text};
use crate::{
    Plan, Problem, TenantId,
    aws::store_problem,
    clock::{Clock, Moment},
    crypto::random_bits,
    key::Family,
    vault::{ALL_KEYS, Wrapped},
};

const REWRAPPING: &str = "wrapping data keys anew";

/// What a round of wrapping anew came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Keys that this round has wrapped.
    pub wrapped: u64,
    /// Keys that somebody else wrapped meanwhile.
    pub met: u64,
}

impl Operator {
    /// Marks that a tenant's secrets are sealed under a new data key from the next call on, and gives its number. The
    /// tenant's own session makes the key when it is first needed; secrets that are sealed already still open, until an
    /// admin of the tenant has them sealed anew.
    ///
    /// # Errors
    /// As [`Operator::change_plan`].
    pub async fn rotate_data_key(&self, id: &TenantId) -> Result<u32, Problem> {
        let next = |plan: Plan| Plan { data_key: plan.data_key.saturating_add(1), ..plan };
        Ok(self.change_plan(id, next).await?.data_key)
    }

    /// Makes the platform's sealing key a new one, which nobody reads here. Running instances meet it within 15 minutes, and
    /// what they sealed under the key before opens until the next renewal. A name of an idempotency record is looked for under
    /// both keys for as long as it can count, so two renewals are to be more than a day and 16 minutes apart.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when Secrets Manager does not answer.
    pub async fn renew_sealing_key(&self) -> Result<(), Problem> {
        let halves = [random_bits()?, random_bits()?].map(TenantId::spell);
        let document =
            SecretString::from(json!({ "key": halves.map(|half| half.to_string()).concat() }).to_string());
        self.secrets
            .put_secret_value()
            .secret_id(&self.sealing_secret)
            .secret_string(document.expose_secret())
            .send()
            .await
            .map_err(|err| store_problem("renewing the sealing key", err))?;
        Ok(())
    }

    /// Has KMS wrap every data key anew that was wrapped before this moment, under the material that the KMS key has now.
    /// No key is seen: KMS unwraps and wraps it. A round that was interrupted is taken up by calling again with the same
    /// moment; what was done before is not in it any more. It needs the keeper's role.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when KMS or the store does not answer; [`Problem::Internal`] for a row that KMS does not
    /// unwrap for its own tenant.
    pub async fn rewrap_keys(&self, before: Moment) -> Result<Rewrapped, Problem> {
        let mut done = Rewrapped::default();
        let mut start = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.keys)
                .index_name("by_wrapped_at")
                .key_condition_expression("#kind = :kind AND wrapped_at < :before")
                .expression_attribute_names("#kind", ALL_KEYS.0)
                .expression_attribute_values(":kind", text(ALL_KEYS.1))
                .expression_attribute_values(":before", text(&before.rfc3339()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|err| store_problem(REWRAPPING, err))?;
            for row in page.items() {
                let count = if self.rewrap(row, None).await? { &mut done.wrapped } else { &mut done.met };
                *count = count.saturating_add(1);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(done);
            }
        }
    }

    /// Wraps one key anew, under this KMS key or the one that it is wrapped under; `false` where it is not any more what was
    /// read.
    pub(super) async fn rewrap(
        &self,
        row: &HashMap<String, AttributeValue>,
        under: Option<&str>,
    ) -> Result<bool, Problem> {
        let broken = || Problem::internal(REWRAPPING, "a row is not whole");
        let key = |name: &str| row.get(name)?.as_s().ok().cloned();
        let (pk, sk) = (key("pk").ok_or_else(broken)?, key("sk").ok_or_else(broken)?);
        let tenant = Family::tenant_of_keys(&pk).ok_or_else(broken)?;
        let Wrapped { bytes, kms_key } = Wrapped::read(row).ok_or_else(broken)?;
        let reply = self
            .kms
            .re_encrypt()
            .ciphertext_blob(bytes.clone())
            .source_key_id(&kms_key)
            .source_encryption_context("tenant", tenant.as_str())
            .destination_key_id(under.unwrap_or(&kms_key))
            .destination_encryption_context("tenant", tenant.as_str())
            .send()
            .await
            .map_err(|err| store_problem(REWRAPPING, err))?;
        let anew = reply.ciphertext_blob.ok_or_else(broken)?;
        let update = self
            .client
            .update_item()
            .table_name(&self.keys)
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            .update_expression("SET #wrapped = :anew, wrapped_at = :now, kms_key = :key")
            .condition_expression("#wrapped = :before")
            .expression_attribute_names("#wrapped", "wrapped")
            .expression_attribute_values(":anew", AttributeValue::B(anew))
            .expression_attribute_values(":key", text(under.unwrap_or(&kms_key)))
            .expression_attribute_values(":now", text(&Clock::System.now().rfc3339()))
            .expression_attribute_values(":before", AttributeValue::B(bytes))
            .send()
            .await;
        match update {
            Ok(_) => Ok(true),
            Err(err)
                if err.as_service_error().is_some_and(|err| err.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(err) => Err(store_problem(REWRAPPING, err)),
        }
    }
}
