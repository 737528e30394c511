//! The room of one tenant: everything in it is the tenant's, and there is no door to another.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    Problem,
    aws::store_problem,
    clock::Clock,
    crypto::{Purpose, Sealer, sha256},
    key::{Family, ItemId, is_collection},
    record::{Raw, Record, Stored, document},
    staged::Staged,
    tenant::{Caller, TenantId, Tier},
    vend::Kept,
};

/// Items in one page of a listing.
pub const PAGE_MAX: u32 = 100;

/// All that a tool can reach: one tenant's data, by the tenant's own credentials.
///
/// It is made by [`crate::Entrance::enter`] alone, from a [`crate::Tenant`] taken by value. No method takes a tenant.
/// Reads are immediate and see what is staged; writes are staged, and become durable all together with the charge
/// and the audit record when the call is committed.
#[derive(Debug)]
pub struct TenantScope {
    pub(crate) room: Arc<Room>,
}

/// What a scope and the admission of its call share.
#[derive(Debug)]
pub(crate) struct Room {
    // INVARIANT: `store` holds credentials that are tagged with `tenant`; the entrance keeps it.
    pub(crate) tenant: TenantId,
    pub(crate) tier: Tier,
    pub(crate) caller: Caller,
    pub(crate) store: Arc<Kept>,
    pub(crate) table: Arc<str>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) clock: Clock,
    pub(crate) staged: Mutex<Staged>,
}

/// One page of a listing, in the order in which the records were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<R> {
    /// At most as many as were asked for.
    pub records: Vec<Stored<R>>,
    /// Give it back to go on; absent at the end. It is sealed: good for this tenant and collection alone.
    pub next_cursor: Option<String>,
}

impl Room {
    pub(crate) fn staged(&self) -> std::sync::MutexGuard<'_, Staged> {
        // A poisoned lock means that a tool panicked while staging; its call is not committed.
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TenantScope {
    /// Who is calling.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.room.caller
    }

    /// What the tenant pays for.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.room.tier
    }

    /// A stable opaque id of this caller in this tenant. It is another one in every other tenant.
    #[must_use]
    pub fn profile_id(&self) -> String {
        let Caller { issuer, subject, .. } = &self.room.caller;
        sha256(["profile", self.room.tenant.as_str(), issuer, subject].join("\0").as_bytes())
    }

    /// The record of this id.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when this tenant has none; [`Problem::Unavailable`] when the store does not answer.
    pub async fn get<R: Record>(&self, id: &ItemId) -> Result<Stored<R>, Problem> {
        self.raw::<R>(id).await?.ok_or(Problem::NotFound { kind: R::KIND })?.typed()
    }

    /// Stages a new record, and says what it will be.
    ///
    /// # Errors
    /// [`Problem::Invalid`] or [`Problem::TooLarge`] for the value, [`Problem::Invalid`] over 90 staged writes.
    pub fn create<R: Record>(&self, value: R) -> Result<Stored<R>, Problem> {
        let now = self.room.clock.now();
        let raw = Raw {
            id: ItemId::make(now)?,
            version: 1,
            created: now.rfc3339(),
            updated: now.rfc3339(),
            document: document(&value)?,
        };
        self.room.staged().create(R::COLLECTION, raw.clone())?;
        let Raw { id, version, created, updated, .. } = raw;
        Ok(Stored { id, version, created, updated, value })
    }

    /// Stages a new value for a record that was read; the commit fails if somebody writes it meanwhile.
    ///
    /// # Errors
    /// As [`TenantScope::create`], and [`Problem::Conflict`] when `read` is not the version that is there now.
    pub async fn replace<R: Record>(&self, read: &Stored<R>, value: R) -> Result<Stored<R>, Problem> {
        let document = document(&value)?;
        let old = self.raw::<R>(&read.id).await?.ok_or(Problem::NotFound { kind: R::KIND })?;
        if old.version != read.version {
            return Err(Problem::Conflict { detail: format!("the {} has changed meanwhile", R::KIND) });
        }
        let updated = self.room.clock.now().rfc3339();
        let raw = Raw { updated, document, ..old.clone() };
        let Raw { id, version, created, updated, .. } =
            self.room.staged().replace(R::COLLECTION, &old, raw)?;
        Ok(Stored { id, version, created, updated, value })
    }

    /// Stages the end of a record, and gives it back.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when this tenant has none.
    pub async fn delete<R: Record>(&self, id: &ItemId) -> Result<Stored<R>, Problem> {
        let old = self.raw::<R>(id).await?.ok_or(Problem::NotFound { kind: R::KIND })?;
        self.room.staged().delete(R::COLLECTION, &old)?;
        old.typed()
    }

    /// A page of at most `limit` records (1 to 100) of a collection, from the beginning or from a cursor.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a limit out of range and for a cursor that is not this listing's own.
    pub async fn list<R: Record>(&self, limit: u32, cursor: Option<&str>) -> Result<Page<R>, Problem> {
        const { assert!(is_collection(R::COLLECTION), "not the name of a collection") };
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Problem::Invalid { detail: format!("limit: 1 to {PAGE_MAX}") });
        }
        let room = &*self.room;
        let after = match cursor {
            Some(sealed) => Some(self.open_cursor(R::COLLECTION, sealed).await?),
            None => None,
        };
        let partition = Family::Item(R::COLLECTION).of(&room.tenant);
        let mut query = room
            .store
            .client
            .query()
            .table_name(&*room.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(partition.clone()))
            .limit(i32::try_from(limit).unwrap_or(1))
            .consistent_read(true);
        if let Some(after) = &after {
            query = query
                .exclusive_start_key("pk", AttributeValue::S(partition))
                .exclusive_start_key("sk", AttributeValue::S(after.to_string()));
        }
        let reply = query.send().await.map_err(|err| store_problem("listing records", err))?;
        let raws = reply.items.unwrap_or_default().iter().map(Raw::read).collect::<Result<Vec<_>, _>>()?;
        let last = match &reply.last_evaluated_key {
            Some(_) => raws.last().map(|raw| raw.id.clone()),
            None => None,
        };
        let seen = room.staged().overlay(R::COLLECTION, raws, after.as_ref(), last.as_ref());
        let next_cursor = match last {
            Some(id) => Some(self.seal_cursor(R::COLLECTION, &id).await?),
            None => None,
        };
        let records = seen.iter().map(Raw::typed).collect::<Result<_, _>>()?;
        Ok(Page { records, next_cursor })
    }

    async fn raw<R: Record>(&self, id: &ItemId) -> Result<Option<Raw>, Problem> {
        const { assert!(is_collection(R::COLLECTION), "not the name of a collection") };
        let room = &*self.room;
        if let Some(staged) = room.staged().find(R::COLLECTION, id) {
            return Ok(staged);
        }
        let reply = room
            .store
            .client
            .get_item()
            .table_name(&*room.table)
            .key("pk", AttributeValue::S(Family::Item(R::COLLECTION).of(&room.tenant)))
            .key("sk", AttributeValue::S(id.to_string()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|err| store_problem("reading a record", err))?;
        reply.item.as_ref().map(Raw::read).transpose()
    }

    async fn seal_cursor(&self, collection: &str, id: &ItemId) -> Result<String, Problem> {
        self.room.sealer.seal(Purpose::Cursor, &self.room.tenant, collection, id.as_str()).await
    }

    async fn open_cursor(&self, collection: &str, sealed: &str) -> Result<ItemId, Problem> {
        let room = &*self.room;
        let opened = room.sealer.open_seal(Purpose::Cursor, &room.tenant, collection, sealed).await?;
        opened
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Problem::Invalid { detail: "cursor: not one of this listing".to_owned() })
    }
}
