//! Rows that are read, and those that must be read first: the index's own code asks for rows and touches no store.

use std::collections::{BTreeSet, HashMap};

use super::{
    bytes::{Form, Malformed, Reader, Writer},
    key::{Listing, Range},
    manifest::{Dead, Manifest, Part, RowName, Segment, SegmentId},
    page::{overlapping, read_outline},
};

/// What has been read of the index.
#[derive(Debug, Default)]
pub(crate) struct Rows(HashMap<RowName, Vec<u8>>);

/// Why a piece of work ended before its result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is to be done again with these rows.
    Wanted(BTreeSet<RowName>),
    Malformed(Malformed),
}

impl From<Malformed> for Stop {
    fn from(err: Malformed) -> Self {
        Self::Malformed(err)
    }
}

/// What is to be written, before the manifest that leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) manifest: Manifest,
    pub(crate) puts: Vec<(RowName, Vec<u8>)>,
    /// Rows that the manifest leads to no more, although their segments live on.
    pub(crate) drops: Vec<RowName>,
}

/// Rows that are missing so far.
#[derive(Debug, Default)]
pub(super) struct Wanted(BTreeSet<RowName>);

impl Wanted {
    /// Ends the work here if anything is missing.
    pub(super) fn check(&mut self) -> Result<(), Stop> {
        if self.0.is_empty() { Ok(()) } else { Err(Stop::Wanted(std::mem::take(&mut self.0))) }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Rows {
    pub(crate) fn insert(&mut self, name: RowName, row: Vec<u8>) {
        self.0.insert(name, row);
    }

    pub(super) fn get(&self, name: RowName, wanted: &mut Wanted) -> Option<&[u8]> {
        let found = self.0.get(&name);
        if found.is_none() {
            wanted.0.insert(name);
        }
        found.map(Vec::as_slice)
    }

    /// The pages of a segment that may have keys of a range, in their order, as far as the outlines are there.
    pub(super) fn pages(
        &self,
        segment: &Segment,
        range: &Range,
        wanted: &mut Wanted,
    ) -> Result<Vec<RowName>, Malformed> {
        let mut pages = Vec::new();
        for (_, run) in overlapping(&segment.runs, |run| &run.first, range) {
            let name = |part| RowName { segment: segment.id, tag: run.tag, part };
            let Some(outline) = self.get(name(Part::Outline), wanted) else { continue };
            let firsts = read_outline(outline)?;
            pages.extend(overlapping(&firsts, |first| first, range).map(|(at, _)| name(Part::Page(at))));
        }
        Ok(pages)
    }

    /// At most so many pages that may have keys behind this one, and whether there are more.
    pub(super) fn pages_behind(
        &self,
        segment: &Segment,
        cursor: &[u8],
        count: usize,
        wanted: &mut Wanted,
    ) -> Result<(Vec<RowName>, bool), Malformed> {
        let range = Range::behind(cursor);
        let mut pages = Vec::new();
        for (_, run) in overlapping(&segment.runs, |run| &run.first, &range) {
            if pages.len() > count {
                break;
            }
            let name = |part| RowName { segment: segment.id, tag: run.tag, part };
            let Some(outline) = self.get(name(Part::Outline), wanted) else { break };
            let firsts = read_outline(outline)?;
            pages.extend(overlapping(&firsts, |first| first, &range).map(|(at, _)| name(Part::Page(at))));
        }
        let more = pages.len() > count;
        pages.truncate(count);
        Ok((pages, more))
    }

    /// The dead of a segment, sorted.
    pub(super) fn dead(
        &self,
        segment: SegmentId,
        dead: Option<Dead>,
        wanted: &mut Wanted,
    ) -> Result<Vec<Listing>, Malformed> {
        let Some(Dead { tag, .. }) = dead else { return Ok(Vec::new()) };
        match self.get(RowName { segment, tag, part: Part::Dead }, wanted) {
            Some(row) => read_dead(row),
            None => Ok(Vec::new()),
        }
    }
}

/// The row of a list of the dead, which is sorted.
pub(super) fn write_dead(dead: &[Listing]) -> Vec<u8> {
    let mut row = Writer::new(Form::Dead);
    let mut before = 0;
    for listing in dead {
        row.number(listing.saturating_sub(before));
        before = *listing;
    }
    row.end()
}

fn read_dead(row: &[u8]) -> Result<Vec<Listing>, Malformed> {
    let mut row = Reader::open(row, Form::Dead)?;
    let mut dead = Vec::new();
    let mut listing: Listing = 0;
    while !row.is_empty() {
        let more = Some(row.number()?).filter(|more| *more > 0).ok_or(Malformed)?;
        listing = listing.checked_add(more).ok_or(Malformed)?;
        dead.push(listing);
    }
    Ok(dead)
}
