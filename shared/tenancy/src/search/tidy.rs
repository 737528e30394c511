//! Merging, by the stream's function: a row of news that says that it is time for a look leads to a bounded piece of work.
//! Whatever stops it leaves an index that is right, and the next look goes on.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    entry::News,
    flush::flush,
    manifest::{SegmentId, Tag},
    merge::{Bounds, step},
    page::PAGE_BYTES_MAX,
    rows::{Change, Rows},
    store::{Amount, Index, NewsRow, Reads, publish, read_manifest, read_news, remove_segment, with_rows},
};
use crate::{Problem, crypto::random_bits};

/// The family of the rows of news, as the stream has it.
pub(crate) const NEWS: &str = "SEARCH#NEWS";
/// From so many news on they become a segment: reading them would be most of a search.
const DUE: Amount = Amount { rows: 64, bytes: 96 * 1024 };
/// News that become one segment. Source: a transaction has 100 actions, and a row has up to 350 KB.
const TAKEN_MAX: Amount = Amount { rows: 90, bytes: 512 * 1024 };
/// Records among them that may be listed already, each of which is looked for in all segments.
const OVERRIDING_MAX: usize = 128;
/// Ends of ids that lead to a look: two of the thirty-two that there are, so one row of news in sixteen.
const LOOKED_AT: [char; 2] = ['0', 'g'];
/// A row of so many bytes leads to a look whatever it is called.
const LOOKS_BYTES: usize = 16 * 1024;
/// Pages of each of the segments that a step reads: it reads and writes at most 64 pages, of 256 KB.
const STEP: Bounds = Bounds { page_bytes_max: PAGE_BYTES_MAX, pages: 8 };
/// Pieces of work of one look, which begins none so long after its own beginning.
const PIECES_MAX: usize = 4;
const BEGINS_MAX: Duration = Duration::from_secs(2);
/// Rows of retired segments that one look removes.
const REMOVED_MAX: i32 = 128;

/// Whether a row of news leads to a look at the index: by what it is alone, so that whoever is given it again decides alike.
pub(crate) fn is_looked_at(sort_key: &str, bytes: usize) -> bool {
    bytes >= LOOKS_BYTES || sort_key.ends_with(LOOKED_AT)
}

const fn is_due(news: Amount) -> bool {
    news.rows >= DUE.rows || news.bytes >= DUE.bytes
}

/// Looks whether it is time, and does what there is to be done.
pub(crate) async fn tidy(index: &Index) -> Result<(), Problem> {
    let began = Instant::now();
    // What was retired by an earlier look: searches that still read it are over by now, or begin again.
    let mut removed = Vec::new();
    for segment in read_manifest(index).await?.retired {
        if !remove_segment(index, segment, REMOVED_MAX).await? {
            break;
        }
        removed.push(segment);
    }
    for _ in 0..PIECES_MAX {
        if !piece(index, &mut removed).await? || began.elapsed() > BEGINS_MAX {
            break;
        }
    }
    Ok(())
}

/// Does one piece: news become a segment, or a merge goes on by a step. Whether there was anything to do.
async fn piece(index: &Index, removed: &mut Vec<SegmentId>) -> Result<bool, Problem> {
    // In this order: news that another merger takes meanwhile are not seen, and its manifest makes this one lose.
    let manifest = read_manifest(index).await?;
    let mut news = read_news(index, 1).await?;
    let tag = Tag(u64::try_from(u128::from_be_bytes(random_bits()?) >> 64).unwrap_or_default());
    let mut rows = Rows::default();
    let mut taken = Vec::new();
    let change = if is_due(Amount::of(&news)) {
        let latest = take(&mut news)?;
        taken = news;
        let work = |rows: &Rows| flush(&manifest, &latest, rows, tag, PAGE_BYTES_MAX);
        with_rows(index, &mut rows, Reads::Latest, work).await?
    } else if let Some((begun, at)) = manifest.next_merge() {
        let work = |rows: &Rows| step(&begun, at, rows, tag, STEP);
        with_rows(index, &mut rows, Reads::Latest, work).await?
    } else if removed.is_empty() {
        return Ok(false);
    } else {
        Some(Change { manifest: manifest.clone(), puts: Vec::new(), drops: Vec::new() })
    };
    // Another merger was faster, and does what there is to do.
    let Some(mut change) = change else { return Ok(false) };
    change.manifest.retired.retain(|segment| !removed.contains(segment));
    removed.clear();
    change.manifest.generation = manifest.generation.saturating_add(1);
    publish(index, manifest.generation, &change, &taken).await
}

/// Leaves the oldest news, as many as become one segment, and says what they come to.
fn take(news: &mut Vec<NewsRow>) -> Result<News, Problem> {
    let mut latest = News::default();
    let mut bytes = 0_usize;
    let mut count = 0_usize;
    for row in news.iter().take(TAKEN_MAX.rows) {
        bytes = bytes.saturating_add(row.body.len());
        if count > 0 && (bytes > TAKEN_MAX.bytes || latest.overriding() >= OVERRIDING_MAX) {
            break;
        }
        latest.add(&row.body)?;
        count = count.saturating_add(1);
    }
    news.truncate(count);
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        key::{Family, ItemId, SearchPart},
        tenant::TenantId,
    };

    #[test]
    fn one_row_of_news_in_sixteen_and_each_large_one_leads_to_a_look() {
        let now = Clock::fixed_at_s(1_795_500_000).now();
        let looks = |bytes| {
            let ids = (0..4_096).map(|_| ItemId::make(now).unwrap());
            ids.filter(|id| is_looked_at(id.as_str(), bytes)).count()
        };
        let small = looks(LOOKS_BYTES - 1);
        assert!((150..370).contains(&small), "{small} of 4096, and 256 are expected");
        assert_eq!(looks(LOOKS_BYTES), 4_096);
    }

    #[test]
    fn the_news_have_the_family_that_the_stream_is_searched_for() {
        let tenant = TenantId::spell([7; 16]);
        assert_eq!(Family::Search(SearchPart::News).of(&tenant), format!("TENANT#{tenant}#{NEWS}"));
    }
}
