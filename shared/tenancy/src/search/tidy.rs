//! Merging, by the calls of the tenant themselves: one that finds that it is time does a bounded piece of it, after its
//! own commit and before its reply. Whatever stops it leaves an index that is right, and the next call goes on.

use std::{
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::{
    entry::News,
    flush::flush,
    manifest::{SegmentId, Tag},
    merge::{Bounds, step},
    page::PAGE_BYTES_MAX,
    rows::{Change, Rows},
    store::{Amount, NewsRow, Reads, publish, read_manifest, read_news, remove_segment, with_rows},
};
use crate::{Problem, crypto::random_bits, scope::Room};

/// From so many news on they become a segment: reading them would be most of a search.
const DUE: Amount = Amount { rows: 64, bytes: 96 * 1024 };
/// News that become one segment. Source: a transaction has 100 actions, and a row has up to 350 KB.
const TAKEN_MAX: Amount = Amount { rows: 90, bytes: 512 * 1024 };
/// Records among them that may be listed already, each of which is looked for in all segments.
const OVERRIDING_MAX: usize = 128;
/// One in so many calls that write looks whether it is time. A large one always does.
const LOOKS_ONE_IN: u8 = 16;
const LOOKS_BYTES: usize = 16 * 1024;
/// Pages of each of the segments that a step reads: it reads and writes at most 64 pages, of 256 KB.
const STEP: Bounds = Bounds { page_bytes_max: PAGE_BYTES_MAX, pages: 8 };
/// Pieces of work of one call, and the time that they have.
const PIECES_MAX: usize = 4;
const TIDY_MAX: Duration = Duration::from_millis(1_500);
/// Rows of retired segments that one call removes.
const REMOVED_MAX: i32 = 128;

/// Whether a call is to look at the index before it replies.
#[derive(Debug, Default)]
pub(crate) struct Tidying(AtomicBool);

impl Tidying {
    /// After a commit that has written so many bytes of news.
    pub(crate) fn written(&self, bytes: usize) {
        let [chance, ..] = random_bits().unwrap_or_default();
        if bytes >= LOOKS_BYTES || (bytes > 0 && chance.is_multiple_of(LOOKS_ONE_IN)) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// After a search that has read so many news.
    pub(super) fn read(&self, news: Amount) {
        if is_due(news) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

const fn is_due(news: Amount) -> bool {
    news.rows >= DUE.rows || news.bytes >= DUE.bytes
}

/// Does what is to be done, if it is this call's turn. That it fails is nobody's problem but the log's.
pub(crate) async fn tidy(room: &Room) {
    if !room.tidying.0.swap(false, Ordering::Relaxed) || room.plan.moving.is_some() {
        return;
    }
    let problem = match tokio::time::timeout(TIDY_MAX, work(room)).await {
        Ok(Ok(())) => return,
        Ok(Err(problem)) => problem,
        Err(late) => Problem::unavailable("merging the search index", late),
    };
    let cause = problem.source().map(ToString::to_string);
    tracing::warn!(tenant.id = %room.tenant, code = problem.code(), cause, "a merge of the search index has stopped");
}

async fn work(room: &Room) -> Result<(), Problem> {
    // What was retired by an earlier call: searches that still read it are over by now, or begin again.
    let mut removed = Vec::new();
    for segment in read_manifest(room).await?.retired {
        if !remove_segment(room, segment, REMOVED_MAX).await? {
            break;
        }
        removed.push(segment);
    }
    for _ in 0..PIECES_MAX {
        if !piece(room, &mut removed).await? {
            break;
        }
    }
    Ok(())
}

/// Does one piece: news become a segment, or a merge goes on by a step. Whether there was anything to do.
async fn piece(room: &Room, removed: &mut Vec<SegmentId>) -> Result<bool, Problem> {
    // In this order: news that another merger takes meanwhile are not seen, and its manifest makes this one lose.
    let manifest = read_manifest(room).await?;
    let mut news = read_news(room, 1).await?;
    let tag = Tag(u64::try_from(u128::from_be_bytes(random_bits()?) >> 64).unwrap_or_default());
    let mut rows = Rows::default();
    let mut taken = Vec::new();
    let change = if is_due(Amount::of(&news)) {
        let latest = take(&mut news)?;
        taken = news;
        let work = |rows: &Rows| flush(&manifest, &latest, rows, tag, PAGE_BYTES_MAX);
        with_rows(room, &mut rows, Reads::Latest, work).await?
    } else if let Some((begun, at)) = manifest.next_merge() {
        let work = |rows: &Rows| step(&begun, at, rows, tag, STEP);
        with_rows(room, &mut rows, Reads::Latest, work).await?
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
    publish(room, manifest.generation, &change, &taken).await
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
