//! Reading in order to write: nothing that was read may have changed when the call is committed.

use super::{TenantScope, shelf_of};
use crate::{
    Problem,
    key::ItemId,
    record::{Raw, Record, Stored},
};

/// A scope whose reads are conditions of the commit.
///
/// When another call has changed one of them meanwhile, nothing is written and the whole call is run again, at most
/// three times, before it ends in [`Problem::Conflict`]. So a call that uses it must do nothing outside of its scope
/// that can't be done twice. Each record that is read counts as one of the 90 writes of a call.
#[derive(Debug)]
pub struct Transact<'s> {
    scope: &'s TenantScope,
}

impl<'s> Transact<'s> {
    pub(super) const fn new(scope: &'s TenantScope) -> Self {
        Self { scope }
    }

    /// The record of this id, or that there is none.
    ///
    /// # Errors
    /// [`Problem::Invalid`] over 90 records; [`Problem::Unavailable`] when the store does not answer.
    pub async fn find<R: Record>(&self, id: &ItemId) -> Result<Option<Stored<R>>, Problem> {
        let found = self.scope.on::<R>(&shelf_of::<R>()).rely(id).await?;
        found.as_ref().map(Raw::typed).transpose()
    }

    /// The record of this id.
    ///
    /// # Errors
    /// As [`Transact::find`], and [`Problem::NotFound`] when this tenant has none.
    pub async fn get<R: Record>(&self, id: &ItemId) -> Result<Stored<R>, Problem> {
        self.find(id).await?.ok_or(Problem::NotFound { kind: R::KIND })
    }

    /// As [`TenantScope::create`].
    ///
    /// # Errors
    /// As [`TenantScope::create`].
    pub fn create<R: Record>(&self, value: R) -> Result<Stored<R>, Problem> {
        self.scope.create(value)
    }

    /// As [`TenantScope::replace`].
    ///
    /// # Errors
    /// As [`TenantScope::replace`].
    pub async fn replace<R: Record>(&self, read: &Stored<R>, value: R) -> Result<Stored<R>, Problem> {
        self.scope.replace(read, value).await
    }

    /// Stages the end of a record, and gives it back.
    ///
    /// # Errors
    /// As [`Transact::get`].
    pub async fn delete<R: Record>(&self, id: &ItemId) -> Result<Stored<R>, Problem> {
        let read = self.get(id).await?;
        self.scope.delete::<R>(id, None).await?;
        Ok(read)
    }
}
