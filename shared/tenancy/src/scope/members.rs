//! The people of a tenant: everybody who was seen has a seat, which an admin may free.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::{OnShelf, Page, Query, TenantScope};
use crate::{
    Problem,
    aws::read_item,
    key::{Family, ItemId, Shelf},
    tenant::TenantId,
};

/// What a message calls one.
pub(crate) const KIND: &str = "member";

/// Somebody who was seen. `created` of the record is when first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The token's `sub`, unique within its issuer.
    pub subject: String,
    /// The issuer that vouches for the subject.
    pub issuer: String,
    /// The role that they had when they were last looked at.
    pub role: String,
}

impl TenantScope {
    /// A page of the members. Their order says nothing.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a limit out of 1 to 100, and a cursor that is not this listing's own.
    pub async fn list_members(&self, query: &Query<'_>) -> Result<Page<Member>, Problem> {
        Page::typed(self.members().page(query).await?)
    }

    /// How many seats are taken.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn count_members(&self) -> Result<u64, Problem> {
        let room = &self.room;
        let row =
            read_item(&room.store.client, &room.table, stock_key(&room.tenant), "counting members").await?;
        Ok(row.as_ref().and_then(member_count).unwrap_or(0))
    }

    /// A member.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when this tenant has none.
    pub async fn member(&self, id: &ItemId) -> Result<crate::Stored<Member>, Problem> {
        self.members().get(id).await?.typed()
    }

    /// Stages the end of a member, of the version that was seen if one was, which frees the seat. Who may come in, their identity provider decides: whoever still
    /// gets a token is seen again at their next call, a minute later at the most, if there is a seat.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when this tenant has none, [`Problem::Conflict`] when another version is there.
    pub async fn remove_member(&self, id: &ItemId, seen: Option<u64>) -> Result<(), Problem> {
        self.members().delete(id, seen).await.map(drop)
    }

    fn members(&self) -> OnShelf<'_> {
        OnShelf { room: &self.room, shelf: &Shelf::Members, kind: KIND, indexes: &[] }
    }
}

/// The row that counts what is kept.
pub(crate) fn stock_key(tenant: &TenantId) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(Family::Meter.of(tenant))),
        ("sk".to_owned(), AttributeValue::S("STORAGE".to_owned())),
    ])
}

/// The members that the row counts.
pub(crate) fn member_count(row: &HashMap<String, AttributeValue>) -> Option<u64> {
    row.get("member_count")?.as_n().ok()?.parse().ok()
}
