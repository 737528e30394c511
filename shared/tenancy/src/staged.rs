//! Writes that wait for the commit of their call.

use std::collections::BTreeMap;

use crate::{Problem, key::ItemId, record::Raw};

/// Writes in one call. DynamoDB takes 100 actions a transaction, of which the call itself needs five.
pub(crate) const WRITES_MAX: usize = 90;

/// The staged writes of one call: for each record its state before the call and the one to come.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    writes: BTreeMap<(&'static str, ItemId), Write>,
    closed: bool,
}

/// One record's change.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    /// The version in the store, of which the commit makes sure; `None` for a record that is new.
    pub(crate) version_before: Option<u64>,
    pub(crate) bytes_before: i64,
    /// What it will be; `None` for a record that ends.
    pub(crate) after: Option<Raw>,
}

impl Staged {
    pub(crate) fn create(&mut self, collection: &'static str, raw: Raw) -> Result<(), Problem> {
        let write = Write { version_before: None, bytes_before: 0, after: Some(raw.clone()) };
        self.put(collection, raw.id, write)
    }

    /// Stages a new state, and gives it back with the version that it will have: however often a record changes in
    /// one call, it is one write and one version up.
    pub(crate) fn replace(
        &mut self,
        collection: &'static str,
        old: &Raw,
        mut new: Raw,
    ) -> Result<Raw, Problem> {
        let mut write = self.changed(collection, old, None);
        new.version = write.version_before.unwrap_or(0).saturating_add(1);
        write.after = Some(new.clone());
        self.put(collection, old.id.clone(), write)?;
        Ok(new)
    }

    pub(crate) fn delete(&mut self, collection: &'static str, old: &Raw) -> Result<(), Problem> {
        let write = self.changed(collection, old, None);
        self.put(collection, old.id.clone(), write)
    }

    /// What a read sees of a staged record: `None` when it is not staged, `Some(None)` when it will end.
    pub(crate) fn find(&self, collection: &'static str, id: &ItemId) -> Option<Option<Raw>> {
        self.writes.get(&(collection, id.clone())).map(|write| write.after.clone())
    }

    /// A page of the store as it will be: staged records between `after` and `last` in their places.
    pub(crate) fn overlay(
        &self,
        collection: &'static str,
        page: Vec<Raw>,
        after: Option<&ItemId>,
        last: Option<&ItemId>,
    ) -> Vec<Raw> {
        let mut seen: BTreeMap<ItemId, Raw> = page.into_iter().map(|raw| (raw.id.clone(), raw)).collect();
        let here = |id: &ItemId| after.is_none_or(|after| id > after) && last.is_none_or(|last| id <= last);
        for ((of, id), write) in &self.writes {
            if *of != collection || !here(id) {
                continue;
            }
            match &write.after {
                Some(raw) => seen.insert(id.clone(), raw.clone()),
                None => seen.remove(id),
            };
        }
        seen.into_values().collect()
    }

    /// Takes everything that is staged; what a tool stages later, it is told that its call is over.
    pub(crate) fn close(&mut self) -> BTreeMap<(&'static str, ItemId), Write> {
        self.closed = true;
        std::mem::take(&mut self.writes)
    }

    fn changed(&self, collection: &'static str, old: &Raw, after: Option<Raw>) -> Write {
        match self.writes.get(&(collection, old.id.clone())) {
            Some(earlier) => Write { after, ..earlier.clone() },
            None => Write { version_before: Some(old.version), bytes_before: old.bytes(), after },
        }
    }

    fn put(&mut self, collection: &'static str, id: ItemId, write: Write) -> Result<(), Problem> {
        if self.closed {
            return Err(Problem::internal("staging a write", "the call is over"));
        }
        // A record that was made and ended in one call was never there.
        if write.version_before.is_none() && write.after.is_none() {
            self.writes.remove(&(collection, id));
            return Ok(());
        }
        self.writes.insert((collection, id), write);
        if self.writes.len() > WRITES_MAX {
            return Err(Problem::Invalid { detail: format!("a call writes at most {WRITES_MAX} records") });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
