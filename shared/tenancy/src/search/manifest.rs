//! What the index is made of: its segments, the merges that are under way, and what is to be removed.

use std::{fmt, ops::Range};

use super::{
    bytes::{Form, Malformed, Reader, Writer},
    key::Listing,
};
use crate::key::{Family, SEARCH_PARTITIONS, SearchPart};

/// So many segments of one level, side by side, become one of the next.
const FAN: usize = 8;
/// Living listings from which a segment is of level 1; each level has [`FAN`] times as many as the one before.
const LEVEL_LISTINGS: u64 = 64 * 8;
/// From this level on a segment is large enough: it is rewritten alone, once half of it is dead.
const LEVEL_MAX: u32 = 4;
/// A name that nobody has used: rows that are written together have it, so that two writers never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tag(pub(crate) u64);

/// A segment's number.
pub(crate) type SegmentId = u64;

/// A row of a segment. It is written once and never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RowName {
    pub(crate) segment: SegmentId,
    pub(crate) tag: Tag,
    pub(crate) part: Part,
}

/// Which of the rows that were written together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The listings that are dead.
    Dead,
    /// What each page begins with.
    Outline,
    /// A page, from 0.
    Page(usize),
}

/// Where the rows of a segment are, and what all of their sort keys begin with.
pub(super) fn rows_of(segment: SegmentId) -> (Family<'static>, String) {
    let partition = segment.checked_rem(SEARCH_PARTITIONS).unwrap_or(0);
    (Family::Search(SearchPart::Rows(partition)), format!("{segment:016x}#"))
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:016x}#", rows_of(self.segment).1, self.tag.0)?;
        match self.part {
            Part::Dead => f.write_str("dead"),
            Part::Outline => f.write_str("outline"),
            Part::Page(number) => write!(f, "{number:04}"),
        }
    }
}

/// The whole index but for the news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Counts its changes: the condition of the next one.
    pub(crate) generation: u64,
    pub(super) next_segment: SegmentId,
    pub(super) next_listing: Listing,
    /// The oldest first. The listings of each are behind those of the one before.
    pub(super) segments: Vec<Segment>,
    pub(super) merges: Vec<Merge>,
    /// Segments that nothing leads to any more and whose rows are to be removed.
    pub(crate) retired: Vec<SegmentId>,
}

/// Some records' listings, and which words they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) id: SegmentId,
    /// All of its listings, dead ones too.
    pub(super) listings: u64,
    /// All of them are below this one.
    pub(super) below: Listing,
    /// Words of the texts of the living ones.
    pub(super) length: u64,
    pub(super) dead: Option<Dead>,
    pub(super) runs: Vec<Run>,
}

/// Listings of a segment whose records have another version by now, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dead {
    pub(super) tag: Tag,
    pub(super) count: u64,
}

/// Pages that were written together, and their outline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: Vec<u8>,
    pub(super) tag: Tag,
}

/// Segments that are becoming one, in steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Merge {
    pub(super) output: SegmentId,
    /// Side by side, each with the dead that are left out: those of when the merge began.
    pub(super) inputs: Vec<(SegmentId, Option<Dead>)>,
    /// Everything up to this key is in `runs`.
    pub(super) cursor: Vec<u8>,
    pub(super) runs: Vec<Run>,
}

impl Segment {
    pub(super) fn living(&self) -> u64 {
        self.listings.saturating_sub(self.dead.map_or(0, |dead| dead.count))
    }

    fn level(&self) -> u32 {
        let fan = u64::try_from(FAN).unwrap_or(u64::MAX);
        (self.living() / LEVEL_LISTINGS).checked_ilog(fan).map_or(0, |level| level.saturating_add(1))
    }

    fn is_half_dead(&self) -> bool {
        self.living() <= self.listings / 2
    }
}

impl Manifest {
    /// Of an index that is empty.
    pub(crate) const fn new() -> Self {
        Self {
            generation: 0,
            next_segment: 1,
            next_listing: 1,
            segments: Vec::new(),
            merges: Vec::new(),
            retired: Vec::new(),
        }
    }

    pub(super) fn segment(&self, id: SegmentId) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.id == id)
    }

    /// Where the listing is, if it is anywhere.
    pub(super) fn segment_of(&self, listing: Listing) -> Option<&Segment> {
        self.segments.get(self.segments.partition_point(|segment| segment.below <= listing))
    }

    /// The merge to go on with: one that begins now in the manifest that is given back, or the smallest under way.
    pub(super) fn next_merge(&self) -> Option<(Self, usize)> {
        let mut next = self.clone();
        if let Some(inputs) = self.due() {
            let inputs =
                self.segments.get(inputs)?.iter().map(|segment| (segment.id, segment.dead)).collect();
            next.next_segment = self.next_segment.saturating_add(1);
            let (cursor, runs) = (Vec::new(), Vec::new());
            next.merges.push(Merge { output: self.next_segment, inputs, cursor, runs });
            return Some((next, self.merges.len()));
        }
        let size =
            |merge: &Merge| merge.inputs.iter().filter_map(|(id, _)| Some(self.segment(*id)?.listings)).sum();
        let smallest = self.merges.iter().enumerate().min_by_key(|(_, merge)| -> u64 { size(merge) });
        smallest.map(|(at, _)| (next, at))
    }

    /// Segments to merge that are in no merge yet.
    fn due(&self) -> Option<Range<usize>> {
        let busy = |segment: &Segment| {
            self.merges.iter().any(|merge| merge.inputs.iter().any(|(id, _)| *id == segment.id))
        };
        let half_dead = self.segments.iter().position(|segment| segment.is_half_dead() && !busy(segment));
        if let Some(at) = half_dead {
            return Some(at..at.saturating_add(1));
        }
        (0..LEVEL_MAX).find_map(|level| {
            let fits = |segment: &Segment| segment.level() <= level && !busy(segment);
            let at = self.segments.windows(FAN).position(|side_by_side| side_by_side.iter().all(fits))?;
            Some(at..at.saturating_add(FAN))
        })
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut row = Writer::new(Form::Manifest);
        let count = |row: &mut Writer, length: usize| row.number(length.try_into().unwrap_or(u64::MAX));
        for number in [self.generation, self.next_segment, self.next_listing] {
            row.number(number);
        }
        count(&mut row, self.segments.len());
        for segment in &self.segments {
            for number in [segment.id, segment.listings, segment.below, segment.length] {
                row.number(number);
            }
            write_dead(&mut row, segment.dead);
            write_runs(&mut row, &segment.runs);
        }
        count(&mut row, self.merges.len());
        for merge in &self.merges {
            row.number(merge.output);
            count(&mut row, merge.inputs.len());
            for (id, dead) in &merge.inputs {
                row.number(*id);
                write_dead(&mut row, *dead);
            }
            row.chunk(&merge.cursor);
            write_runs(&mut row, &merge.runs);
        }
        count(&mut row, self.retired.len());
        self.retired.iter().for_each(|id| row.number(*id));
        row.end()
    }

    pub(crate) fn read(row: &[u8]) -> Result<Self, Malformed> {
        let mut row = Reader::open(row, Form::Manifest)?;
        let [generation, next_segment, next_listing] = read_numbers(&mut row)?;
        let mut segments = Vec::new();
        for _ in 0..row.count()? {
            let [id, listings, below, length] = read_numbers(&mut row)?;
            let (dead, runs) = (read_dead(&mut row)?, read_runs(&mut row)?);
            segments.push(Segment { id, listings, below, length, dead, runs });
        }
        let mut merges = Vec::new();
        for _ in 0..row.count()? {
            let output = row.number()?;
            let mut inputs = Vec::new();
            for _ in 0..row.count()? {
                inputs.push((row.number()?, read_dead(&mut row)?));
            }
            let cursor = row.chunk()?.to_vec();
            merges.push(Merge { output, inputs, cursor, runs: read_runs(&mut row)? });
        }
        let mut retired = Vec::new();
        for _ in 0..row.count()? {
            retired.push(row.number()?);
        }
        row.end()?;
        Ok(Self { generation, next_segment, next_listing, segments, merges, retired })
    }
}

fn write_dead(row: &mut Writer, dead: Option<Dead>) {
    // A list of none is not written, so that a count of none says that there is no list.
    row.number(dead.map_or(0, |dead| dead.count));
    if let Some(dead) = dead {
        row.bytes(&dead.tag.0.to_be_bytes());
    }
}

fn read_dead(row: &mut Reader<'_>) -> Result<Option<Dead>, Malformed> {
    match row.number()? {
        0 => Ok(None),
        count => Ok(Some(Dead { tag: read_tag(row)?, count })),
    }
}

fn write_runs(row: &mut Writer, runs: &[Run]) {
    row.number(runs.len().try_into().unwrap_or(u64::MAX));
    let mut before: &[u8] = &[];
    for run in runs {
        row.key(before, &run.first);
        row.bytes(&run.tag.0.to_be_bytes());
        before = &run.first;
    }
}

fn read_runs(row: &mut Reader<'_>) -> Result<Vec<Run>, Malformed> {
    let mut first = Vec::new();
    let mut runs = Vec::new();
    for _ in 0..row.count()? {
        row.key(&mut first)?;
        runs.push(Run { first: first.clone(), tag: read_tag(row)? });
    }
    Ok(runs)
}

fn read_tag(row: &mut Reader<'_>) -> Result<Tag, Malformed> {
    let bytes = row.bytes(8)?.try_into().map_err(|_err| Malformed)?;
    Ok(Tag(u64::from_be_bytes(bytes)))
}

fn read_numbers<const N: usize>(row: &mut Reader<'_>) -> Result<[u64; N], Malformed> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = row.number()?;
    }
    Ok(numbers)
}
