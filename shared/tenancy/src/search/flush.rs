//! From news to a segment; and what it overrides in the others is dead from then on.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    bytes::{Malformed, Reader, Writer, put_number},
    entry::{Entry, Listed, News, RecordName},
    key::{Key, Listing, Range},
    manifest::{Dead, Manifest, Part, RowName, Run, Segment, SegmentId, Tag},
    page::{Pages, Paginator, visit},
    posting::{Posting, Postings},
    rank::Length,
    rows::{Change, Rows, Stop, Wanted, write_dead},
};

/// Where a record is listed in a segment, and alive.
struct Place {
    segment: SegmentId,
    listing: Listing,
    version: u64,
    length: Length,
}

/// Makes a segment of all of the news.
pub(super) fn flush(
    manifest: &Manifest,
    news: &News,
    rows: &Rows,
    tag: Tag,
    page_bytes_max: usize,
) -> Result<Change, Stop> {
    let places = places(manifest, news, rows)?;
    let mut next = manifest.clone();
    let (mut puts, drops) = bury(&mut next, &places, news, rows, tag)?;
    // News of a record that is listed in a later version came late, and are no news.
    let late = |entry: &Entry| {
        places
            .get(&entry.name)
            .is_some_and(|places| places.iter().any(|place| place.version >= entry.version))
    };
    let listed: Vec<(&Entry, &Listed)> = news.listed().filter(|(entry, _)| !late(entry)).collect();
    let first = manifest.next_listing;
    if let Some(pages) = paginate(&listed, first, page_bytes_max) {
        let count = u64::try_from(listed.len()).unwrap_or(u64::MAX);
        let below = first.saturating_add(count);
        let id = manifest.next_segment;
        next.segments.push(Segment {
            id,
            listings: count,
            below,
            length: listed.iter().map(|(_, listed)| listed.length.words()).fold(0, u64::saturating_add),
            dead: None,
            runs: vec![Run { first: pages.first.clone(), tag }],
        });
        next.next_segment = id.saturating_add(1);
        next.next_listing = below;
        puts.extend(put_pages(id, tag, pages));
    }
    Ok(Change { manifest: next, puts, drops })
}

/// The rows of pages that are written together.
pub(super) fn put_pages(
    segment: SegmentId,
    tag: Tag,
    pages: Pages,
) -> impl Iterator<Item = (RowName, Vec<u8>)> {
    let name = move |part| RowName { segment, tag, part };
    let outline = (name(Part::Outline), pages.outline);
    let pages = pages.pages.into_iter().enumerate();
    std::iter::once(outline).chain(pages.map(move |(at, page)| (name(Part::Page(at)), page)))
}

/// Where the records are listed that the news may override.
fn places<'n>(
    manifest: &Manifest,
    news: &'n News,
    rows: &Rows,
) -> Result<BTreeMap<&'n RecordName, Vec<Place>>, Stop> {
    let mut wanted = Wanted::default();
    let mut pages = Vec::new();
    for name in news.entries().filter(|entry| entry.overrides()).map(|entry| &entry.name) {
        let range = Range::record(name);
        for segment in &manifest.segments {
            let of_segment = rows.pages(segment, &range, &mut wanted)?;
            pages.extend(of_segment.into_iter().map(|page| (name, segment, range.clone(), page)));
        }
    }
    wanted.check()?;
    let mut places: BTreeMap<&RecordName, Vec<Place>> = BTreeMap::new();
    for (name, segment, range, page) in pages {
        let Some(row) = rows.get(page, &mut wanted) else { continue };
        let mut found = Vec::new();
        visit(row, &range, |key, value| {
            let Key::Record(_, listing) = Key::read(key)? else { return Err(Malformed) };
            let (version, length) = read_place(value)?;
            found.push(Place { segment: segment.id, listing, version, length });
            Ok(())
        })?;
        if found.is_empty() {
            continue;
        }
        let dead = rows.dead(segment.id, segment.dead, &mut wanted)?;
        found.retain(|place| dead.binary_search(&place.listing).is_err());
        places.entry(name).or_default().extend(found);
    }
    wanted.check()?;
    Ok(places)
}

/// Rows to write, and rows that they take the place of.
type Buried = (Vec<(RowName, Vec<u8>)>, Vec<RowName>);

/// Adds the listings that the news override to the dead of their segments.
fn bury(
    next: &mut Manifest,
    places: &BTreeMap<&RecordName, Vec<Place>>,
    news: &News,
    rows: &Rows,
    tag: Tag,
) -> Result<Buried, Stop> {
    let mut wanted = Wanted::default();
    let (mut puts, mut drops) = (Vec::new(), Vec::new());
    let overridden = |(name, places): (&&RecordName, &Vec<Place>)| -> Vec<(SegmentId, Listing, u64)> {
        let version = news.get(name).map_or(0, |entry| entry.version);
        let older = places.iter().filter(|place| place.version < version);
        older.map(|place| (place.segment, place.listing, place.length.words())).collect()
    };
    let dying: BTreeSet<(SegmentId, Listing, u64)> = places.iter().flat_map(overridden).collect();
    for segment in &mut next.segments {
        let own: Vec<_> = dying.iter().filter(|(id, ..)| *id == segment.id).collect();
        if own.is_empty() {
            continue;
        }
        let mut dead: BTreeSet<Listing> =
            rows.dead(segment.id, segment.dead, &mut wanted)?.into_iter().collect();
        for (_, listing, length) in own {
            if dead.insert(*listing) {
                segment.length = segment.length.saturating_sub(*length);
            }
        }
        let dead: Vec<Listing> = dead.into_iter().collect();
        let name = |tag| RowName { segment: segment.id, tag, part: Part::Dead };
        puts.push((name(tag), write_dead(&dead)));
        // A merge goes on with the list that it began with.
        let is_kept =
            |old: &Dead| next.merges.iter().any(|merge| merge.inputs.contains(&(segment.id, Some(*old))));
        drops.extend(segment.dead.filter(|old| !is_kept(old)).map(|old| name(old.tag)));
        segment.dead = Some(Dead { tag, count: dead.len().try_into().unwrap_or(u64::MAX) });
    }
    wanted.check()?;
    Ok((puts, drops))
}

/// The pages of listings that are numbered from the first.
fn paginate(listed: &[(&Entry, &Listed)], first: Listing, page_bytes_max: usize) -> Option<Pages> {
    let mut entries: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut words: BTreeMap<&str, Vec<Posting>> = BTreeMap::new();
    for (listing, (entry, listed)) in (first..).zip(listed) {
        let name = entry.name.to_string();
        entries.insert(Key::Record(&name, listing).bytes(), write_place(entry.version, listed.length));
        let shown = Shown { name, version: entry.version, title: listed.title.clone() };
        entries.insert(Key::Listing(listing).bytes(), shown.write());
        for (word, count) in &listed.words {
            words.entry(word).or_default().push(Posting { listing, count: *count, length: listed.length });
        }
    }
    let mut paginator = Paginator::new(page_bytes_max);
    entries.iter().for_each(|(key, value)| paginator.push(key, value));
    for (word, postings) in words {
        let mut run: Option<Postings> = None;
        for posting in postings {
            match run.as_mut().map_or(Err(posting), |run| run.push(posting)) {
                Ok(()) => {}
                Err(posting) => {
                    let full = run.replace(Postings::new(posting));
                    full.iter().for_each(|full| push_postings(&mut paginator, word, full));
                }
            }
        }
        run.iter().for_each(|run| push_postings(&mut paginator, word, run));
    }
    paginator.end()
}

pub(super) fn push_postings(paginator: &mut Paginator, word: &str, postings: &Postings) {
    paginator.push(&Key::Word(word, postings.first).bytes(), &postings.bytes);
}

/// What is behind a record's key.
fn write_place(version: u64, length: Length) -> Vec<u8> {
    let mut value = Vec::with_capacity(3);
    put_number(&mut value, version);
    value.push(length.code());
    value
}

fn read_place(value: &[u8]) -> Result<(u64, Length), Malformed> {
    let mut value = Reader::within(value);
    let place = (value.number()?, Length::read(value.byte()?));
    value.end()?;
    Ok(place)
}

/// What is behind a listing's key: enough to show it, and to see whether it still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) version: u64,
    pub(super) title: String,
}

impl Shown {
    fn write(&self) -> Vec<u8> {
        let mut value = Writer::within();
        value.chunk(self.name.as_bytes());
        value.number(self.version);
        value.chunk(self.title.as_bytes());
        value.end()
    }

    pub(super) fn read(value: &[u8]) -> Result<Self, Malformed> {
        let mut value = Reader::within(value);
        let (name, version) = (value.text()?.to_owned(), value.number()?);
        let title = value.text()?.to_owned();
        value.end()?;
        Ok(Self { name, version, title })
    }
}
