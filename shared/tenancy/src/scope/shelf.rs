//! One shelf of a tenant: documents read, listed and staged, before anybody looks at their types.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use super::{
    Room,
    query::{Direction, Edge, Listing, Query},
};
use crate::{
    Problem,
    aws::{read_item, store_problem},
    crypto::Purpose,
    key::{ItemId, Shelf},
    record::{Prepared, Raw},
};

/// Documents in one page of a listing.
pub const PAGE_MAX: u32 = 100;
/// Bytes of the documents in one page, with those of a first one that has more. Whoever writes a page as JSON in JSON in
/// JSON, as a tool does, makes at most six of each.
const PAGE_BYTES_MAX: usize = 960 * 1024;
/// Documents in one batch. Source: BatchGetItem's own limit.
pub const BATCH_MAX: usize = 100;
/// Documents that are read together where not all of them may fit.
const READ_TOGETHER: usize = 50;
type Item = HashMap<String, AttributeValue>;

/// A shelf of one tenant, and what one of its documents is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnShelf<'s> {
    pub(crate) room: &'s Room,
    pub(crate) shelf: &'s Shelf,
    pub(crate) kind: &'static str,
    pub(crate) indexes: &'s [&'static str],
}

/// A page before its types are looked at.
pub(crate) struct RawPage {
    pub(crate) raws: Vec<Raw>,
    pub(crate) next_cursor: Option<String>,
}

impl OnShelf<'_> {
    /// The document of this id, as it will be.
    pub(crate) async fn find(&self, id: &ItemId) -> Result<Option<Raw>, Problem> {
        if let Some(staged) = self.room.staged().find(self.shelf, id) {
            return Ok(staged);
        }
        let client = &self.room.store.client;
        let item = read_item(client, &self.room.table, self.key(id), "reading a record").await?;
        item.as_ref().map(Raw::read).transpose()
    }

    pub(crate) async fn get(&self, id: &ItemId) -> Result<Raw, Problem> {
        self.find(id).await?.ok_or(Problem::NotFound { kind: self.kind })
    }

    /// The documents of these ids in their order, as they will be; `None` for one that is not there.
    pub(crate) async fn find_many(&self, ids: &[ItemId]) -> Result<Vec<Option<Raw>>, Problem> {
        if ids.len() > BATCH_MAX {
            let detail = format!("ids: {} of at most {BATCH_MAX}", ids.len());
            return Err(Problem::Invalid { detail });
        }
        let mut found: HashMap<ItemId, Option<Raw>> = HashMap::new();
        {
            let staged = self.room.staged();
            found.extend(ids.iter().filter_map(|id| Some((id.clone(), staged.find(self.shelf, id)?))));
        }
        let mut asked: Vec<ItemId> = ids.iter().filter(|id| !found.contains_key(*id)).cloned().collect();
        asked.sort();
        asked.dedup();
        let keys = asked.iter().map(|id| self.key(id)).collect();
        for item in self.room.read_batch(KeysAndAttributes::builder().consistent_read(true), keys).await? {
            let raw = Raw::read(&item)?;
            found.insert(raw.id.clone(), Some(raw));
        }
        Ok(ids.iter().map(|id| found.get(id).cloned().flatten()).collect())
    }

    /// As [`OnShelf::find_many`], of as many of the first ids as have at most so many bytes; of one at least.
    pub(crate) async fn find_first(
        &self,
        ids: &[ItemId],
        bytes_max: usize,
    ) -> Result<Vec<Option<Raw>>, Problem> {
        let (mut first, mut bytes) = (Vec::with_capacity(ids.len()), 0_usize);
        for together in ids.chunks(READ_TOGETHER) {
            for found in self.find_many(together).await? {
                bytes = bytes.saturating_add(found.as_ref().map_or(0, Raw::len));
                if bytes > bytes_max && !first.is_empty() {
                    return Ok(first);
                }
                first.push(found);
            }
        }
        Ok(first)
    }

    /// A page of the shelf, in the order that is asked for.
    pub(crate) async fn page(&self, query: &Query<'_>) -> Result<RawPage, Problem> {
        if !(1..=PAGE_MAX).contains(&query.limit) {
            return Err(Problem::Invalid { detail: format!("limit: {} of 1 to {PAGE_MAX}", query.limit) });
        }
        let Self { room, shelf, .. } = *self;
        let listing = Listing::read(room, shelf, self.indexes, query.order)?;
        let context = listing.context(query.direction);
        let after = match query.cursor {
            Some(sealed) => Some(self.open_cursor(&context, sealed).await?),
            None => None,
        };
        let mut request = listing
            .request(room)
            .limit(i32::try_from(query.limit).unwrap_or(1))
            .scan_index_forward(query.direction == Direction::Ascending);
        if let Some(after) = &after {
            request = request.set_exclusive_start_key(Some(listing.start(room, shelf, after)));
        }
        let reply = request.send().await.map_err(|err| store_problem("listing records", err))?;
        let mut page = Vec::with_capacity(reply.count().try_into().unwrap_or_default());
        for item in reply.items() {
            let raw = Raw::read(item)?;
            page.push((listing.place_of(item, &raw)?, raw));
        }
        let fitting = fitting(page.iter().map(|(_, raw)| raw.len()));
        let goes_on = reply.last_evaluated_key.is_some() || fitting < page.len();
        page.truncate(fitting);
        let last = page.last().filter(|_| goes_on).map(|(edge, _)| edge.clone());
        let within = |edge: &Edge| query.direction.between(after.as_ref(), edge, last.as_ref());
        let mut raws = room.staged().overlay(shelf, page, |raw| listing.place(raw), within);
        if query.direction == Direction::Descending {
            raws.reverse();
        }
        let next_cursor = match last {
            Some(edge) => {
                let text = edge.text();
                Some(room.sealer.seal(Purpose::Cursor, &room.tenant, &context, &text).await?)
            }
            None => None,
        };
        Ok(RawPage { raws, next_cursor })
    }

    async fn open_cursor(&self, context: &str, sealed: &str) -> Result<Edge, Problem> {
        let room = self.room;
        let opened = room.sealer.open_seal(Purpose::Cursor, &room.tenant, context, sealed).await?;
        opened
            .ok()
            .and_then(|text| Edge::read(&text))
            .ok_or_else(|| Problem::Forged { what: "cursor: not one of this listing" })
    }

    /// Stages a new document.
    pub(crate) fn create(&self, id: ItemId, prepared: Prepared) -> Result<Raw, Problem> {
        let now = self.room.clock.now().rfc3339();
        let raw = Raw { id, version: 1, created: now.clone(), updated: now, listed: false, prepared };
        self.room.staged().create(self.shelf, raw.clone())?;
        Ok(raw)
    }

    /// Stages a new state of a document whose version was seen.
    pub(crate) async fn replace(&self, id: &ItemId, seen: u64, prepared: Prepared) -> Result<Raw, Problem> {
        let old = self.get_seen(id, seen).await?;
        self.put(id.clone(), Some(&old), prepared)
    }

    /// Stages the end of a document, of the version that was seen if one was, and gives it back.
    pub(crate) async fn delete(&self, id: &ItemId, seen: Option<u64>) -> Result<Raw, Problem> {
        let old = match seen {
            Some(seen) => self.get_seen(id, seen).await?,
            None => self.get(id).await?,
        };
        self.room.staged().delete(self.shelf, &old)?;
        Ok(old)
    }

    /// Stages a state of a document that was found, or was found missing.
    pub(crate) fn put(&self, id: ItemId, found: Option<&Raw>, prepared: Prepared) -> Result<Raw, Problem> {
        let Some(old) = found else { return self.create(id, prepared) };
        let updated = self.room.clock.now().rfc3339();
        self.room.staged().replace(self.shelf, old, Raw { updated, prepared, ..old.clone() })
    }

    /// Reads a document and makes its state a condition of the commit.
    pub(crate) async fn rely(&self, id: &ItemId) -> Result<Option<Raw>, Problem> {
        let found = self.find(id).await?;
        self.room.staged().rely(self.shelf, id, found.as_ref())?;
        Ok(found)
    }

    /// Makes a condition of the commit that the version that was seen is there. Where it is not, nobody has to run again.
    pub(crate) async fn check(&self, id: &ItemId, seen: u64) -> Result<(), Problem> {
        let old = self.get_seen(id, seen).await?;
        self.room.staged().keep(self.shelf, &old)
    }

    async fn get_seen(&self, id: &ItemId, seen: u64) -> Result<Raw, Problem> {
        let old = self.get(id).await?;
        if old.version == seen {
            return Ok(old);
        }
        Err(other_version(self.kind, old.version, seen))
    }

    fn key(&self, id: &ItemId) -> Item {
        self.shelf.key(&self.room.tenant, id)
    }
}

/// How many of these documents, by their bytes, fit into a page: one at least.
fn fitting(documents: impl Iterator<Item = usize>) -> usize {
    let sums = documents.scan(0_usize, |sum, bytes| {
        *sum = sum.saturating_add(bytes);
        Some(*sum)
    });
    sums.enumerate().take_while(|(at, sum)| *at == 0 || *sum <= PAGE_BYTES_MAX).count()
}

/// Whether the version that a client has seen is the one that is there.
pub(super) fn check_seen(kind: &'static str, seen: Option<u64>, there: Option<u64>) -> Result<(), Problem> {
    match (seen, there) {
        (None, _) => Ok(()),
        (Some(seen), Some(there)) if seen == there => Ok(()),
        (Some(seen), Some(there)) => Err(other_version(kind, there, seen)),
        (Some(_), None) => Err(Problem::NotFound { kind }),
    }
}

/// The problem of a version that was seen and is not there.
pub(super) fn other_version(kind: &str, there: u64, seen: u64) -> Problem {
    Problem::Conflict { detail: format!("the {kind} has version {there}, not {seen}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_as_many_documents_as_fit_and_the_first_in_any_case() {
        let third = PAGE_BYTES_MAX / 3;
        for (documents, count) in [
            (&[][..], 0),
            (&[1, 1], 2),
            (&[third, third, third], 3),
            (&[third, third, third + 1], 2),
            (&[PAGE_BYTES_MAX + 1], 1),
            (&[PAGE_BYTES_MAX + 1, 0], 1),
        ] {
            assert_eq!(fitting(documents.iter().copied()), count, "{documents:?}");
        }
    }

    #[test]
    fn a_version_that_was_seen_must_be_there() {
        for (seen, there, code) in [
            (None, None, None),
            (None, Some(2), None),
            (Some(2), Some(2), None),
            (Some(1), Some(2), Some("conflict")),
            (Some(3), Some(2), Some("conflict")),
            (Some(1), None, Some("not_found")),
        ] {
            assert_eq!(
                check_seen("secret", seen, there).err().map(|problem| problem.code()),
                code,
                "{seen:?} {there:?}"
            );
        }
    }
}
