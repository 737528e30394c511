//! What a call is based on, and its writes, which wait for the commit.

use std::collections::BTreeMap;

use crate::{
    Problem,
    key::{ItemId, Shelf},
    record::Raw,
};

/// Writes and conditions in one call. DynamoDB takes 100 actions a transaction; the call itself needs the rest.
pub const WRITES_MAX: usize = 90;
/// Bytes of the documents that one call writes. DynamoDB takes 4 MB a transaction, of which at most 1,400 KiB are what its
/// documents are for searches, 399 KiB its result, and 4 KiB for each of 90 documents names, keys and places in indexes.
pub const WRITTEN_BYTES_MAX: usize = 1_920 * 1024;

/// Which document.
pub(crate) type Place = (Shelf, ItemId);

/// The staged writes of one call: for each document its state before the call and the one to come.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    writes: BTreeMap<Place, Write>,
    /// Whether the call reads in order to write, and so is run again when what it read has changed.
    repeatable: bool,
    clears_cache: bool,
    closed: bool,
}

/// One document's part in the transaction.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    /// The version in the store, of which the commit makes sure; `None` for a document that is not there.
    pub(crate) version_before: Option<u64>,
    pub(crate) bytes_before: i64,
    /// Whether the index of searches lists the state before.
    pub(crate) listed_before: bool,
    pub(crate) change: Change,
}

/// What happens to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// It becomes this.
    Put(Raw),
    /// It ends.
    Delete,
    /// It stays as it was when it was read, or is still not there.
    Keep(Option<Raw>),
}

impl Default for Change {
    fn default() -> Self {
        Self::Keep(None)
    }
}

impl Write {
    /// A document stays as it is.
    fn keep(old: &Raw) -> Self {
        Self {
            version_before: Some(old.version),
            bytes_before: old.bytes(),
            listed_before: old.listed,
            change: Change::Keep(Some(old.clone())),
        }
    }

    /// What a read sees of it: what was read once in a call is not another the next time.
    fn seen(&self) -> Option<&Raw> {
        match &self.change {
            Change::Put(raw) => Some(raw),
            Change::Delete => None,
            Change::Keep(read) => read.as_ref(),
        }
    }

    /// Bytes of the document that it writes.
    fn bytes(&self) -> usize {
        if let Change::Put(raw) = &self.change { raw.len() } else { 0 }
    }

    const fn is_kept(&self) -> bool {
        matches!(self.change, Change::Keep(_))
    }
}

impl Staged {
    pub(crate) fn create(&mut self, shelf: &Shelf, raw: Raw) -> Result<(), Problem> {
        let place = (shelf.clone(), raw.id.clone());
        self.put(place, Write { change: Change::Put(raw), ..Write::default() })
    }

    /// Stages a new state, and gives it back with the version that it will have: however often a document changes in
    /// one call, it is one write and one version up.
    pub(crate) fn replace(&mut self, shelf: &Shelf, old: &Raw, mut new: Raw) -> Result<Raw, Problem> {
        let place = (shelf.clone(), old.id.clone());
        let mut write = self.before(&place, old);
        new.version = write.version_before.unwrap_or(0).saturating_add(1);
        write.change = Change::Put(new.clone());
        self.put(place, write)?;
        Ok(new)
    }

    pub(crate) fn delete(&mut self, shelf: &Shelf, old: &Raw) -> Result<(), Problem> {
        let place = (shelf.clone(), old.id.clone());
        let write = Write { change: Change::Delete, ..self.before(&place, old) };
        self.put(place, write)
    }

    /// Makes the state that was read a condition of the commit; the call is run again where it does not hold.
    pub(crate) fn rely(&mut self, shelf: &Shelf, id: &ItemId, read: Option<&Raw>) -> Result<(), Problem> {
        self.repeatable = true;
        self.keep_as((shelf.clone(), id.clone()), read.map_or_else(Write::default, Write::keep))
    }

    /// Makes a state that was seen earlier a condition of the commit.
    pub(crate) fn keep(&mut self, shelf: &Shelf, seen: &Raw) -> Result<(), Problem> {
        self.keep_as((shelf.clone(), seen.id.clone()), Write::keep(seen))
    }

    /// What is staged already is a condition as it is.
    fn keep_as(&mut self, place: Place, write: Write) -> Result<(), Problem> {
        if !self.closed && self.writes.contains_key(&place) {
            return Ok(());
        }
        self.put(place, write)
    }

    /// Whether the call is charged, and stages nothing more.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Empties what is cached of the tenant in every instance, when the call is committed.
    pub(crate) fn clear_cache(&mut self) -> Result<(), Problem> {
        self.check_open()?;
        self.clears_cache = true;
        Ok(())
    }

    /// Whether the commit empties what is cached of the tenant.
    pub(crate) fn empties_cache(&self) -> bool {
        let changes = self.writes.iter().filter(|(_, write)| !write.is_kept());
        self.clears_cache || changes.into_iter().any(|((shelf, _), _)| shelf.empties_cache())
    }

    /// Whether the call will see something else than others do, until it is committed.
    pub(crate) fn has_changes(&self) -> bool {
        self.clears_cache || self.writes.values().any(|write| !write.is_kept())
    }

    /// Whether a conflict makes the call run again.
    pub(crate) const fn repeatable(&self) -> bool {
        self.repeatable
    }

    /// What a read sees of a document that the call writes or relies on: `None` when the store's own state counts,
    /// `Some(None)` for one that is not there or will end.
    pub(crate) fn find(&self, shelf: &Shelf, id: &ItemId) -> Option<Option<Raw>> {
        Some(self.writes.get(&(shelf.clone(), id.clone()))?.seen().cloned())
    }

    /// A page of the store as it will be, in ascending order. `place` says where a document stands in the listing, if
    /// it belongs to it, and `within` whether that is on this page; staged states take the place of the store's.
    pub(crate) fn overlay<K: Ord>(
        &self,
        shelf: &Shelf,
        page: Vec<(K, Raw)>,
        place: impl Fn(&Raw) -> Option<K>,
        within: impl Fn(&K) -> bool,
    ) -> Vec<Raw> {
        let mut seen: BTreeMap<K, Raw> = page.into_iter().collect();
        for ((_, id), write) in self.writes.iter().filter(|((of, _), _)| of == shelf) {
            seen.retain(|_, raw| raw.id != *id);
            if let Some(raw) = write.seen()
                && let Some(at) = place(raw).filter(&within)
            {
                seen.insert(at, raw.clone());
            }
        }
        seen.into_values().collect()
    }

    /// Takes everything that is staged; what a tool stages later, it is told that its call is over.
    pub(crate) fn close(&mut self) -> BTreeMap<Place, Write> {
        self.closed = true;
        std::mem::take(&mut self.writes)
    }

    fn before(&self, place: &Place, old: &Raw) -> Write {
        self.writes.get(place).cloned().unwrap_or_else(|| Write::keep(old))
    }

    fn check_open(&self) -> Result<(), Problem> {
        if self.closed { Err(Problem::internal("staging a write", "the call is over")) } else { Ok(()) }
    }

    fn put(&mut self, place: Place, mut write: Write) -> Result<(), Problem> {
        self.check_open()?;
        if let Some(earlier) = self.writes.get(&place) {
            write.version_before = earlier.version_before;
            write.bytes_before = earlier.bytes_before;
            write.listed_before = earlier.listed_before;
        }
        // A document that was made and ended in one call was never there.
        if write.version_before.is_none() && write.change == Change::Delete {
            write.change = Change::Keep(None);
        }
        self.writes.insert(place, write);
        let bytes = self.writes.values().map(Write::bytes).sum();
        if bytes > WRITTEN_BYTES_MAX {
            return Err(Problem::TooLarge { what: "transaction", bytes_max: WRITTEN_BYTES_MAX, bytes });
        }
        if self.writes.len() > WRITES_MAX {
            let count = self.writes.len();
            return Err(Problem::Invalid {
                detail: format!(
                    "records: {count}, and a call touches at most {WRITES_MAX} in one transaction"
                ),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
