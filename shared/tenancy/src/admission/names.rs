//! Which operations are one: what their idempotency records are called, and what one says that is there.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Admission, Committed, Idempotency, Operation};
use crate::{
    Problem,
    aws::read_item,
    crypto::{NAMES_COUNT_S, Purpose, Shared, sha256},
    key::{Family, IDEMPOTENCY_SHARDS},
    scope::Room,
    tenant::TenantId,
};

/// How long a client may repeat a call under its key.
const KEY_TTL_S: i64 = NAMES_COUNT_S;
/// How long the same arguments are the same call, where they may be.
const ARGUMENTS_TTL_S: i64 = 60;

/// A name of an idempotency record, and what it says of the arguments of its call, by one key of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) arguments: String,
}

impl Idempotency {
    /// For how long its record counts.
    pub(super) const fn keeps_s(&self) -> i64 {
        match self {
            Self::None => 0,
            Self::Key(_) => KEY_TTL_S,
            Self::Arguments => ARGUMENTS_TTL_S,
        }
    }
}

impl Named {
    /// `None` for an operation without such a record, or where a key can't be derived.
    pub(super) fn by(key: Shared<'_>, room: &Room, operation: &Operation) -> Option<Self> {
        // With a key: a plain hash of a short secret among the arguments would let its reader guess it.
        let arguments = key.name(Purpose::Arguments, &room.tenant, &[&sha256(&operation.arguments)])?;
        let (purpose, last) = match &operation.idempotency {
            Idempotency::None => return None,
            Idempotency::Key(client) => (Purpose::Idempotency, client),
            Idempotency::Arguments => (Purpose::Repetition, &arguments),
        };
        let caller = &room.caller;
        let parts = [&*caller.issuer, &caller.subject, &caller.client, &operation.action, last];
        let name = key.name(purpose, &room.tenant, &parts)?;
        Some(Self { name, arguments })
    }

    /// That of a part of the operation. Nobody who can't make the one can make the other.
    pub(super) fn of_part(&self, number: usize) -> Self {
        let name = sha256([&*self.name, "\0", &number.to_string()].concat().as_bytes());
        Self { name, arguments: self.arguments.clone() }
    }
}

impl Admission {
    /// Whether this operation was done before, as its key or its arguments say: then the result that it had.
    ///
    /// # Errors
    /// [`Problem::IdempotencyMismatch`] when the key was used with other arguments.
    pub(crate) async fn replay(&self) -> Result<Option<Committed>, Problem> {
        let before = self.before().await;
        Box::pin(self.refused(before)).await
    }

    pub(super) async fn before(&self) -> Result<Option<Committed>, Problem> {
        for named in &self.names {
            let key = idempotency_key(&self.room.tenant, &named.name);
            let client = &self.room.store.client;
            let item = read_item(client, &self.room.table, key, "reading an idempotency record").await?;
            let now_s = self.room.clock.now().seconds();
            if let Some(item) = item.filter(|item| !expired(item, now_s)) {
                return self.same(&item).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether this instance has seen it repeated: then its record is looked for before it runs.
    pub(crate) fn is_repeated(&self) -> bool {
        let turnstile = self.room.running.turnstile();
        self.names.iter().any(|named| turnstile.is_repeated(&named.name))
    }

    /// What a record of the same name means: a replay, if the arguments are the same.
    pub(super) fn same(&self, item: &HashMap<String, AttributeValue>) -> Result<Committed, Problem> {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
        let named = self.names.iter().find(|named| text("sk") == Some(&named.name));
        let named = named.ok_or(Problem::IdempotencyMismatch)?;
        // Be it with other arguments: what is refused is not charged either.
        self.room.running.turnstile().repeated(&named.name);
        if text("arguments") != Some(&named.arguments) {
            return Err(Problem::IdempotencyMismatch);
        }
        Ok(Committed::Before(text("result").cloned()))
    }
}

/// The key of an idempotency record.
pub(super) fn idempotency_key(tenant: &TenantId, name: &str) -> HashMap<String, AttributeValue> {
    // A name is an HMAC, so any part of it spreads.
    let shard = name.bytes().next().unwrap_or_default().rem_euclid(IDEMPOTENCY_SHARDS);
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(Family::Idempotency(shard).of(tenant))),
        ("sk".to_owned(), AttributeValue::S(name.to_owned())),
    ])
}

fn expired(item: &HashMap<String, AttributeValue>, now_s: i64) -> bool {
    let ttl = item.get("ttl").and_then(|value| value.as_n().ok()).and_then(|text| text.parse::<i64>().ok());
    ttl.is_none_or(|until_s| until_s <= now_s)
}
