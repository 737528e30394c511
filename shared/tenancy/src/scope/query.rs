//! What a listing is asked for, and which index answers it.

use std::collections::HashMap;

use aws_sdk_dynamodb::{operation::query::builders::QueryFluentBuilder, types::AttributeValue};

use super::Room;
use crate::{
    Problem,
    key::{Family, ItemId, Shelf},
    record::{Raw, check_indexed, index_key, index_sort},
};

/// Which records, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'q> {
    /// What sorts them.
    pub order: Order<'q>,
    /// Which way.
    pub direction: Direction,
    /// Records in a page, 1 to 100.
    pub limit: u32,
    /// The `next_cursor` of the page before.
    pub cursor: Option<&'q str>,
}

/// What sorts a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order<'q> {
    /// When records were made. Reads are consistent.
    #[default]
    Created,
    /// When records were last written. An index answers, which is behind by some milliseconds.
    Updated,
    /// The records that stand at this value of a declared index, in its order. Behind as [`Order::Updated`] is.
    Indexed {
        /// One of the collection's indexes.
        index: &'q str,
        /// The value.
        equals: &'q str,
    },
}

/// Which way a listing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Oldest or least first.
    #[default]
    Ascending,
    /// Newest or greatest first.
    Descending,
}

impl Default for Query<'_> {
    fn default() -> Self {
        Self { order: Order::Created, direction: Direction::Ascending, limit: 20, cursor: None }
    }
}

impl Direction {
    /// Whether a place is behind `after` and not beyond `last`.
    pub(super) fn between(self, after: Option<&Edge>, edge: &Edge, last: Option<&Edge>) -> bool {
        match self {
            Self::Ascending => after.is_none_or(|after| edge > after) && last.is_none_or(|last| edge <= last),
            Self::Descending => {
                after.is_none_or(|after| edge < after) && last.is_none_or(|last| edge >= last)
            }
        }
    }
}

/// Where a record stands in a listing: what sorts it, then its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    sort: String,
    id: ItemId,
}

impl Edge {
    /// An id has no space, so the text is read from its end.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.sort, self.id)
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let (sort, id) = text.rsplit_once(' ')?;
        Some(Self { sort: sort.to_owned(), id: id.parse().ok()? })
    }
}

/// A listing that can be asked for: the table, or the index that answers, and the partition in it.
#[derive(Debug)]
pub(super) struct Listing {
    partition: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Created,
    Updated,
    Indexed { slot: usize, index: &'static str, equals: String },
}

impl Listing {
    pub(super) fn read(
        room: &Room,
        shelf: &Shelf,
        indexes: &[&'static str],
        order: Order<'_>,
    ) -> Result<Self, Problem> {
        let own = || Family::Shelf(shelf).of(&room.tenant);
        Ok(match order {
            Order::Created => Self { partition: own(), source: Source::Created },
            Order::Updated => Self { partition: own(), source: Source::Updated },
            Order::Indexed { index, equals } => {
                let found = (1..).zip(indexes).find(|(_, known)| **known == index);
                let unknown = || Problem::Invalid { detail: format!("index: one of {indexes:?}") };
                let (slot, index) = found.map(|(slot, index)| (slot, *index)).ok_or_else(unknown)?;
                check_indexed(index, equals, 1)?;
                let source = Source::Indexed { slot, index, equals: equals.to_owned() };
                Self { partition: index_key(&room.tenant, shelf, index, equals), source }
            }
        })
    }

    /// What a cursor of this listing is bound to, besides its tenant.
    pub(super) fn context(&self, direction: Direction) -> String {
        let source = match &self.source {
            Source::Created => "created",
            Source::Updated => "updated",
            Source::Indexed { .. } => "indexed",
        };
        format!("{source} {direction:?} {}", self.partition)
    }

    pub(super) fn request(&self, room: &Room) -> QueryFluentBuilder {
        let request = room
            .store
            .client
            .query()
            .table_name(&*room.table)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", self.names().0)
            .expression_attribute_values(":pk", AttributeValue::S(self.partition.clone()));
        match &self.source {
            Source::Created => request.consistent_read(true),
            Source::Updated => request.index_name("by_updated"),
            Source::Indexed { slot, .. } => request.index_name(format!("index{slot}")),
        }
    }

    /// DynamoDB's form of a place: the keys of the table and those of the index.
    pub(super) fn start(&self, room: &Room, shelf: &Shelf, at: &Edge) -> HashMap<String, AttributeValue> {
        let (partition, sort) = self.names();
        let mut start = HashMap::from([
            ("pk".to_owned(), AttributeValue::S(Family::Shelf(shelf).of(&room.tenant))),
            ("sk".to_owned(), AttributeValue::S(at.id.to_string())),
        ]);
        if !matches!(self.source, Source::Created) {
            start.insert(partition, AttributeValue::S(self.partition.clone()));
            start.insert(sort, AttributeValue::S(at.sort.clone()));
        }
        start
    }

    /// Where a document of the store stands.
    pub(super) fn place_of(
        &self,
        item: &HashMap<String, AttributeValue>,
        raw: &Raw,
    ) -> Result<Edge, Problem> {
        let sort = match &self.source {
            Source::Created => Some(String::new()),
            Source::Updated => Some(raw.updated.clone()),
            Source::Indexed { .. } => item.get(&self.names().1).and_then(|value| value.as_s().ok().cloned()),
        };
        let sort = sort.ok_or_else(|| Problem::internal("listing records", "the index is not whole"))?;
        Ok(Edge { sort, id: raw.id.clone() })
    }

    /// Where a staged document will stand, if it belongs to this listing.
    pub(super) fn place(&self, raw: &Raw) -> Option<Edge> {
        let sort = match &self.source {
            Source::Created => String::new(),
            Source::Updated => raw.updated.clone(),
            Source::Indexed { index, equals, .. } => {
                let (_, indexed) = raw.prepared.indexed.iter().find(|(name, _)| name == index)?;
                index_sort(&indexed.as_ref().filter(|indexed| indexed.equals == *equals)?.order)
            }
        };
        Some(Edge { sort, id: raw.id.clone() })
    }

    /// The attributes that are the keys here.
    fn names(&self) -> (String, String) {
        match &self.source {
            Source::Created => ("pk".to_owned(), "sk".to_owned()),
            Source::Updated => ("pk".to_owned(), "updated".to_owned()),
            Source::Indexed { slot, .. } => (format!("i{slot}pk"), format!("i{slot}sk")),
        }
    }
}
