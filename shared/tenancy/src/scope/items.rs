//! A collection of a tenant whose items are plain JSON here: what the REST API works on.

use serde_json::Value;

use super::{Page, Query, TenantScope, shelf::OnShelf};
use crate::{
    Collection, Problem,
    key::{ItemId, Shelf},
    record::{Raw, Stored},
};

/// The items of one collection of one tenant.
#[derive(Debug)]
pub struct Items<'s> {
    scope: &'s TenantScope,
    collection: &'s Collection,
    shelf: Shelf,
}

impl<'s> Items<'s> {
    pub(super) fn new(scope: &'s TenantScope, collection: &'s Collection) -> Self {
        Self { scope, collection, shelf: Shelf::Items(collection.name().clone()) }
    }

    fn on(&self) -> OnShelf<'_> {
        OnShelf {
            room: &self.scope.room,
            shelf: &self.shelf,
            kind: self.collection.kind,
            indexes: self.collection.indexes,
        }
    }

    /// As [`TenantScope::get`].
    ///
    /// # Errors
    /// As [`TenantScope::get`].
    pub async fn get(&self, id: &ItemId) -> Result<Stored<Value>, Problem> {
        self.on().get(id).await?.typed()
    }

    /// The item of this id, whose state becomes a condition of the commit as in a [`super::Transact`].
    ///
    /// # Errors
    /// As [`TenantScope::get`].
    pub async fn rely(&self, id: &ItemId) -> Result<Stored<Value>, Problem> {
        let found = self.on().rely(id).await?;
        found.ok_or(Problem::NotFound { kind: self.collection.kind })?.typed()
    }

    /// Makes a condition of the commit that this version of the item is there.
    ///
    /// # Errors
    /// [`Problem::NotFound`], or [`Problem::Conflict`] when another version is there.
    pub async fn check(&self, id: &ItemId, seen: u64) -> Result<(), Problem> {
        self.on().check(id, seen).await
    }

    /// As [`TenantScope::get_many`], of as many of the first ids as have at most so many bytes of JSON together; of one at
    /// least.
    ///
    /// # Errors
    /// As [`TenantScope::get_many`].
    pub async fn get_first(
        &self,
        ids: &[ItemId],
        bytes_max: usize,
    ) -> Result<Vec<Option<Stored<Value>>>, Problem> {
        let found = self.on().find_first(ids, bytes_max).await?;
        found.iter().map(|raw| raw.as_ref().map(Raw::typed).transpose()).collect()
    }

    /// As [`TenantScope::list`].
    ///
    /// # Errors
    /// As [`TenantScope::list`].
    pub async fn list(&self, query: &Query<'_>) -> Result<Page<Value>, Problem> {
        Page::typed(self.on().page(query).await?)
    }

    /// As [`TenantScope::create`].
    ///
    /// # Errors
    /// As [`TenantScope::create`].
    pub fn create(&self, value: &Value) -> Result<Stored<Value>, Problem> {
        let id = ItemId::make(self.scope.room.clock.now())?;
        self.on().create(id, self.collection.prepare(value)?)?.typed()
    }

    /// Stages a new value for the item of this id, of which this version was seen.
    ///
    /// # Errors
    /// As [`TenantScope::replace`].
    pub async fn replace(&self, id: &ItemId, seen: u64, value: &Value) -> Result<Stored<Value>, Problem> {
        self.on().replace(id, seen, self.collection.prepare(value)?).await?.typed()
    }

    /// Stages the end of an item, of the version that was seen if one was, and gives it back.
    ///
    /// # Errors
    /// [`Problem::NotFound`], or [`Problem::Conflict`] when another version is there.
    pub async fn delete(&self, id: &ItemId, seen: Option<u64>) -> Result<Stored<Value>, Problem> {
        self.on().delete(id, seen).await?.typed()
    }
}
