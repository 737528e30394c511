//! Data keys: each tenant's own, made and unwrapped by KMS for that tenant's session alone, and kept in memory for a while.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use aws_sdk_kms::types::DataKeySpec;
use moka::future::Cache;

use crate::{Config, Problem, aws::store_problem, key::Family, scope::Room, tenant::TenantId};

mod data_key;
mod sealed;

pub(crate) use data_key::{DataKey, KeyId};
pub(crate) use sealed::{Place, Sealed};

/// Data keys that an instance keeps: a few for each tenant whose session it keeps.
const KEYS_MAX: u64 = 400;
/// How long it keeps one, as long as a session.
const KEPT: Duration = Duration::from_secs(900);
/// Every row of a wrapped key has it in this attribute, by which the operator finds all of them in the order of `wrapped_at`.
pub(crate) const ALL_KEYS: (&str, &str) = ("kind", "KEY");

const MAKING: &str = "making a data key";
const READING: &str = "reading a data key";

/// The data keys of the tenants that an instance serves.
#[derive(Debug)]
pub(crate) struct Vault {
    kms: aws_sdk_kms::Config,
    /// ARN of the KMS key under which new data keys are wrapped, of tenants without one of their own.
    wrapping_key: String,
    table: String,
    // INVARIANT: what is kept under a tenant was unwrapped by a session of that tenant; `read` and `make` keep it.
    kept: Cache<(TenantId, KeyId), Arc<DataKey>>,
}

/// A wrapped data key as its row has it.
pub(crate) struct Wrapped {
    pub(crate) bytes: Blob,
    /// ARN of the KMS key that has wrapped it.
    pub(crate) kms_key: String,
}

impl Vault {
    /// A vault with nothing in it, in a function whose settings name one.
    ///
    /// # Errors
    /// [`Problem::Internal`] when they name half of it.
    pub(crate) fn open(config: &Config, sdk: &aws_config::SdkConfig) -> Result<Option<Self>, Problem> {
        let (wrapping_key, table) = match (config.require("TENANTS_KEY"), config.require("KEYS_TABLE")) {
            (Ok(wrapping_key), Ok(table)) => (wrapping_key.to_owned(), table.to_owned()),
            (Err(_), Err(_)) => return Ok(None),
            (Err(missing), _) | (_, Err(missing)) => {
                return Err(Problem::internal("reading the configuration", missing));
            }
        };
        let kms = aws_sdk_kms::config::Builder::from(sdk).build();
        let kept = Cache::builder().max_capacity(KEYS_MAX).time_to_live(KEPT).build();
        Ok(Some(Self { kms, wrapping_key, table, kept }))
    }

    /// The key that the tenant's plan says new seals are made under. It is made when it is first asked for; of two that are
    /// made at once, one becomes the tenant's.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when KMS or the store does not answer.
    pub(crate) async fn current(&self, room: &Room) -> Result<Arc<DataKey>, Problem> {
        let id = KeyId::new(room.plan.data_key);
        let found = async {
            let key = match self.read(room, id).await? {
                Some(key) => key,
                None => self.make(room, id).await?,
            };
            Ok(Arc::new(key))
        };
        self.kept.try_get_with((room.tenant.clone(), id), found).await.map_err(Problem::again)
    }

    /// A key that is there.
    ///
    /// # Errors
    /// [`Problem::Internal`] when it is not; [`Problem::Unavailable`] when KMS or the store does not answer.
    pub(crate) async fn key(&self, room: &Room, id: KeyId) -> Result<Arc<DataKey>, Problem> {
        let found = async {
            let key = self.read(room, id).await?;
            key.map(Arc::new).ok_or_else(|| Problem::internal(READING, "the tenant has no such key"))
        };
        self.kept.try_get_with((room.tenant.clone(), id), found).await.map_err(Problem::again)
    }

    async fn read(&self, room: &Room, id: KeyId) -> Result<Option<DataKey>, Problem> {
        let reply = room
            .store
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(row(&room.tenant, id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|err| store_problem(READING, err))?;
        let Some(item) = reply.item else { return Ok(None) };
        let wrapped =
            Wrapped::read(&item).ok_or_else(|| Problem::internal(READING, "the row is not whole"))?;
        let reply = room
            .store
            .kms(&self.kms)
            .decrypt()
            .key_id(wrapped.kms_key)
            .ciphertext_blob(wrapped.bytes)
            .encryption_context("tenant", room.tenant.as_str())
            .send()
            .await
            .map_err(|err| store_problem(READING, err))?;
        let key = reply.plaintext.and_then(|plaintext| DataKey::take(id, plaintext.into_inner()));
        key.map(Some).ok_or_else(|| Problem::internal(READING, "KMS unwrapped no key of ours"))
    }

    async fn make(&self, room: &Room, id: KeyId) -> Result<DataKey, Problem> {
        let reply = room
            .store
            .kms(&self.kms)
            .generate_data_key()
            .key_id(room.plan.own_kms_key.as_ref().unwrap_or(&self.wrapping_key))
            .key_spec(DataKeySpec::Aes256)
            .encryption_context("tenant", room.tenant.as_str())
            .send()
            .await
            .map_err(|err| store_problem(MAKING, err))?;
        // Taken first, so that it is overwritten whatever happens to the rest.
        let key = reply.plaintext.and_then(|plaintext| DataKey::take(id, plaintext.into_inner()));
        let (Some(key), Some(bytes), Some(kms_key)) = (key, reply.ciphertext_blob, reply.key_id) else {
            return Err(Problem::internal(MAKING, "KMS made no key of ours"));
        };
        let now = room.clock.now().rfc3339();
        let mut item = row(&room.tenant, id);
        item.extend(Wrapped { bytes, kms_key }.attributes(&now));
        item.insert("created".to_owned(), AttributeValue::S(now));
        let put = room
            .store
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        match put {
            Ok(_) => Ok(key),
            Err(err)
                if err.as_service_error().is_some_and(|err| err.is_conditional_check_failed_exception()) =>
            {
                // Another writer was first, or this one's own first try was: the key of the row counts.
                let theirs = self.read(room, id).await?;
                theirs.ok_or_else(|| Problem::internal(MAKING, "the row came and went"))
            }
            Err(err) => Err(store_problem(MAKING, err)),
        }
    }
}

impl Wrapped {
    pub(crate) fn read(item: &HashMap<String, AttributeValue>) -> Option<Self> {
        let bytes = item.get("wrapped")?.as_b().ok()?.clone();
        Some(Self { bytes, kms_key: item.get("kms_key")?.as_s().ok()?.clone() })
    }

    fn attributes(self, wrapped_at: &str) -> HashMap<String, AttributeValue> {
        let text = |s: &str| AttributeValue::S(s.to_owned());
        HashMap::from([
            ("wrapped".to_owned(), AttributeValue::B(self.bytes)),
            ("kms_key".to_owned(), AttributeValue::S(self.kms_key)),
            ("wrapped_at".to_owned(), text(wrapped_at)),
            (ALL_KEYS.0.to_owned(), text(ALL_KEYS.1)),
        ])
    }
}

fn row(tenant: &TenantId, id: KeyId) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(Family::Keys.of(tenant))),
        ("sk".to_owned(), AttributeValue::S(id.to_string())),
    ])
}
