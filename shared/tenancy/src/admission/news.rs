//! What a call's writes are for searches: rows of the same transaction.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    Problem,
    key::{ItemId, Shelf},
    scope::Room,
    search::{Entry, Listed, RecordName, news_item, write_news},
    staged::{Change, Place, Write},
};

/// The news of all writes; none where no record is concerned that can be found.
pub(super) fn of(
    room: &Room,
    writes: &BTreeMap<Place, Write>,
) -> Result<Vec<HashMap<String, AttributeValue>>, Problem> {
    let entries: Vec<Entry> = writes.iter().filter_map(|(place, write)| entry(place, write)).collect();
    let rows = write_news(&entries)?;
    let item = |row: Vec<u8>| {
        let id = ItemId::make(room.clock.now())?;
        Ok(news_item(&room.tenant, id.to_string(), &row))
    };
    rows.into_iter().map(item).collect()
}

fn entry((shelf, id): &Place, write: &Write) -> Option<Entry> {
    let Shelf::Items(collection) = shelf else { return None };
    let name = RecordName { collection: collection.clone(), id: id.clone() };
    let (version, listed) = match &write.change {
        Change::Put(raw) => (raw.version, raw.prepared.searchable.as_ref().map(Listed::of)),
        Change::Delete => (write.version_before?.saturating_add(1), None),
        Change::Keep(_) => return None,
    };
    (listed.is_some() || write.listed_before).then_some(Entry { name, version, listed })
}
