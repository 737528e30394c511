//! Segments that become one, step by step: each step reads and writes a bounded number of pages.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    bytes::Malformed,
    flush::{push_postings, put_pages},
    key::{Key, Listing, Range},
    manifest::{Dead, Manifest, Merge, Part, RowName, Run, Segment, Tag},
    page::{Paginator, visit},
    posting::{Postings, read_postings},
    rows::{Change, Rows, Stop, Wanted, write_dead},
};

/// How much a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) page_bytes_max: usize,
    /// Pages of each input that a step reads: at least 2, since the first may have nothing new.
    pub(crate) pages: usize,
}

/// Sorted entries of all inputs.
type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Goes one step on with a merge.
pub(super) fn step(
    manifest: &Manifest,
    at: usize,
    rows: &Rows,
    tag: Tag,
    bounds: Bounds,
) -> Result<Change, Stop> {
    let merge = manifest.merges.get(at).ok_or(Malformed)?;
    let inputs = merge.inputs.iter().map(|(id, _)| manifest.segment(*id).ok_or(Malformed));
    let inputs: Vec<&Segment> = inputs.collect::<Result<_, _>>()?;
    let mut wanted = Wanted::default();
    let mut dead = BTreeSet::new();
    for (id, list) in &merge.inputs {
        dead.extend(rows.dead(*id, *list, &mut wanted)?);
    }
    let (entries, cursor) = read(merge, &inputs, rows, bounds.pages, wanted)?;
    let mut next = manifest.clone();
    let going = next.merges.get_mut(at).ok_or(Malformed)?;
    let mut puts = Vec::new();
    if let Some(pages) = join(&entries, &dead, bounds.page_bytes_max)? {
        going.runs.push(Run { first: pages.first.clone(), tag });
        puts.extend(put_pages(merge.output, tag, pages));
    }
    match cursor {
        Some(cursor) => going.cursor = cursor,
        None => puts.extend(finish(&mut next, at, &dead, rows, tag)?),
    }
    Ok(Change { manifest: next, puts, drops: Vec::new() })
}

/// The entries behind the cursor that are known of all inputs, and up to where they are; `None` at the end.
fn read(
    merge: &Merge,
    inputs: &[&Segment],
    rows: &Rows,
    pages: usize,
    mut wanted: Wanted,
) -> Result<(Entries, Option<Vec<u8>>), Stop> {
    let mut parts = Vec::with_capacity(inputs.len());
    for segment in inputs {
        parts.push(rows.pages_behind(segment, &merge.cursor, pages, &mut wanted)?);
    }
    wanted.check()?;
    let range = Range::behind(&merge.cursor);
    let mut entries = Entries::new();
    let mut end: Option<Vec<u8>> = None;
    for (pages, more) in parts {
        let mut last = merge.cursor.clone();
        for page in pages {
            let Some(row) = rows.get(page, &mut wanted) else { continue };
            visit(row, &range, |key, value| {
                last = key.to_vec();
                entries.insert(key.to_vec(), value.to_vec());
                Ok(())
            })?;
        }
        if more {
            end = end.into_iter().chain([last]).min();
        }
    }
    wanted.check()?;
    if let Some(end) = &end {
        entries.retain(|key, _| key <= end);
    }
    Ok((entries, end))
}

/// The pages of these entries without the dead; postings of a word that come to lie side by side are joined.
fn join(
    entries: &Entries,
    dead: &BTreeSet<Listing>,
    page_bytes_max: usize,
) -> Result<Option<super::page::Pages>, Malformed> {
    let mut paginator = Paginator::new(page_bytes_max);
    let mut open: Option<(&str, Postings)> = None;
    for (key, value) in entries {
        let (word, first) = match Key::read(key)? {
            Key::Record(_, listing) | Key::Listing(listing) => {
                if !dead.contains(&listing) {
                    paginator.push(key, value);
                }
                continue;
            }
            Key::Word(word, first) => (word, first),
        };
        for posting in read_postings(first, value)? {
            if dead.contains(&posting.listing) {
                continue;
            }
            let full = match &mut open {
                Some((of, postings)) if *of == word => match postings.push(posting) {
                    Ok(()) => continue,
                    Err(posting) => open.replace((word, Postings::new(posting))),
                },
                _ => open.replace((word, Postings::new(posting))),
            };
            full.iter().for_each(|(of, postings)| push_postings(&mut paginator, of, postings));
        }
    }
    open.iter().for_each(|(of, postings)| push_postings(&mut paginator, of, postings));
    Ok(paginator.end())
}

/// Puts the output in the place of its inputs. What died since the merge began is in it, and dead in it too.
fn finish(
    next: &mut Manifest,
    at: usize,
    left_out: &BTreeSet<Listing>,
    rows: &Rows,
    tag: Tag,
) -> Result<Option<(RowName, Vec<u8>)>, Stop> {
    let Merge { output, inputs, runs, .. } = next.merges.remove(at);
    let is_input = |segment: &Segment| inputs.iter().any(|(id, _)| *id == segment.id);
    let position = next.segments.iter().position(is_input).ok_or(Malformed)?;
    let (taken, kept): (Vec<Segment>, Vec<Segment>) = next.segments.drain(..).partition(is_input);
    next.segments = kept;
    next.retired.extend(taken.iter().map(|segment| segment.id));
    let mut wanted = Wanted::default();
    let mut dead = Vec::new();
    for segment in &taken {
        dead.extend(rows.dead(segment.id, segment.dead, &mut wanted)?);
    }
    wanted.check()?;
    dead.retain(|listing| !left_out.contains(listing));
    if runs.is_empty() {
        return Ok(None);
    }
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let sum = |of: fn(&Segment) -> u64| taken.iter().map(of).fold(0, u64::saturating_add);
    next.segments.insert(
        position,
        Segment {
            id: output,
            listings: sum(|segment| segment.listings).saturating_sub(count(left_out.len())),
            below: taken.iter().map(|segment| segment.below).max().unwrap_or(0),
            length: sum(|segment| segment.length),
            dead: (!dead.is_empty()).then(|| Dead { tag, count: count(dead.len()) }),
            runs,
        },
    );
    let name = RowName { segment: output, tag, part: Part::Dead };
    Ok((!dead.is_empty()).then(|| (name, write_dead(&dead))))
}
