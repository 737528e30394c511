//! Search over what one tenant keeps: an index of the tenant's own, in partitions of the tenant's own.
//!
//! What a call does to records that can be found is *news*: a row in the call's own transaction, so that the index is
//! never behind. Now and then the news become a *segment*, in which each record has a *listing* and each word its
//! postings, sorted, in pages of one read unit; segments become larger ones, and each says which of its listings are
//! dead by now. A *manifest* leads to all of them, and changes by a condition on itself: rows are written before it and
//! removed after it, so whoever reads it finds an index that is whole, wherever a writer has stopped. Calls write news and
//! read; the stream's function merges.

mod ask;
mod bytes;
mod entry;
mod find;
mod flush;
mod key;
mod manifest;
mod merge;
mod page;
mod posting;
mod rank;
mod rows;
mod store;
#[cfg(test)]
mod tests;
mod tidy;
mod words;

pub(crate) use ask::search;
pub(crate) use entry::{Entry, Listed, RecordName, write_news};
pub(crate) use store::{Index, news_item};
pub(crate) use tidy::{NEWS, is_looked_at, tidy};

use crate::key::{CollectionName, ItemId, SEARCH_PARTITIONS, SearchPart};

/// What a record can be found by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Searchable {
    /// A word here counts as three in the text. Results show its first 256 bytes.
    pub title: String,
    /// Everything else.
    pub text: String,
}

/// A record that answers a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Where it is.
    pub collection: CollectionName,
    /// Its name there.
    pub id: ItemId,
    /// What it is called; empty if it has no title.
    pub title: String,
}

/// Every part of the index.
pub(crate) fn parts() -> impl Iterator<Item = SearchPart> {
    [SearchPart::News, SearchPart::Manifest].into_iter().chain((0..SEARCH_PARTITIONS).map(SearchPart::Rows))
}
