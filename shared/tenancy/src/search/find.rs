//! From a query to the records that answer it best.

use std::collections::{BTreeMap, HashMap};

use super::{
    bytes::Malformed,
    entry::{Entry, Listed, News, RecordName},
    flush::Shown,
    key::{Key, Listing, Range},
    manifest::{Manifest, RowName},
    page::visit,
    posting::{Posting, read_postings},
    rank::{Corpus, Length},
    rows::{Rows, Stop, Wanted},
    words::{Asked, Word},
};

/// Pages of postings that one search reads. Words that are nearly everywhere say little, so they are left out first.
const PAGES_MAX: usize = 512;
/// Pages of one segment that are read for all the words that begin alike.
const PREFIX_PAGES_MAX: usize = 8;
/// Words that count for one beginning: those in the most records.
const EXPANSIONS_MAX: usize = 64;
/// What a word is worth of which only the beginning was asked for.
const EXPANSION_WEIGHT: f64 = 0.5;
/// Listings that are looked at before a search says that it has found no more.
const LOOKED_AT_MAX: usize = 1_000;
/// News have no number yet: theirs are behind all listings.
const NEWS: Listing = 1 << 63;

/// A record that answers, as far as the index knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) name: RecordName,
    pub(crate) version: u64,
    pub(crate) title: String,
}

/// At most so many records, the best first; of those that answer equally well, the newest.
pub(super) fn find(
    asked: &Asked,
    manifest: &Manifest,
    news: &News,
    rows: &Rows,
    count: usize,
) -> Result<Vec<Candidate>, Stop> {
    let mut wanted = Wanted::default();
    let mut dead = Vec::new();
    for segment in &manifest.segments {
        dead.extend(rows.dead(segment.id, segment.dead, &mut wanted)?);
    }
    let words = pages(asked, manifest, rows, &mut wanted)?;
    wanted.check()?;
    let listed: Vec<(&Entry, &Listed)> = news.listed().collect();
    let mut found = Vec::with_capacity(words.len());
    for (word, pages) in words {
        let mut texts = BTreeMap::new();
        for page in pages {
            if let Some(row) = rows.get(page, &mut wanted) {
                read_texts(row, word, &dead, &mut texts)?;
            }
        }
        add_news(word, &listed, &mut texts);
        found.push(repetitions(word, texts));
    }
    wanted.check()?;
    let mut corpus = Corpus::default();
    manifest.segments.iter().for_each(|segment| corpus.add(segment.living(), segment.length));
    listed.iter().for_each(|(_, listed)| corpus.add(1, listed.length.words()));
    resolve(&ranked(&corpus, &found), manifest, news, rows, count)
}

fn range(word: &Word) -> Range {
    if word.prefix { Range::prefix(&word.text) } else { Range::word(&word.text) }
}

/// The pages to read for each word that is to be looked up.
fn pages<'a>(
    asked: &'a Asked,
    manifest: &Manifest,
    rows: &Rows,
    wanted: &mut Wanted,
) -> Result<Vec<(&'a Word, Vec<RowName>)>, Malformed> {
    let mut words = Vec::with_capacity(asked.words.len());
    for word in &asked.words {
        let range = range(word);
        let mut pages = Vec::new();
        for segment in &manifest.segments {
            let mut of_segment = rows.pages(segment, &range, wanted)?;
            if word.prefix {
                of_segment.truncate(PREFIX_PAGES_MAX);
            }
            pages.extend(of_segment);
        }
        words.push((words.len(), word, pages));
    }
    words.sort_by_key(|(_, _, pages)| pages.len());
    let mut left = PAGES_MAX;
    words.retain_mut(|(_, _, pages)| {
        if pages.len() > left && left < PAGES_MAX {
            return false;
        }
        // The only word that there is: as much of it as can be read, of the newest records.
        let excess = pages.len().saturating_sub(left);
        pages.drain(..excess);
        left = left.saturating_sub(pages.len());
        true
    });
    words.sort_by_key(|(at, ..)| *at);
    Ok(words.into_iter().map(|(_, word, pages)| (word, pages)).collect())
}

/// Postings by the word that they are of.
type Texts = BTreeMap<String, Vec<Posting>>;

fn read_texts(row: &[u8], word: &Word, dead: &[Listing], texts: &mut Texts) -> Result<(), Malformed> {
    visit(row, &range(word), |key, value| {
        let Key::Word(text, first) = Key::read(key)? else { return Err(Malformed) };
        let mut postings = read_postings(first, value)?;
        postings.retain(|posting| dead.binary_search(&posting.listing).is_err());
        match texts.get_mut(text) {
            Some(known) => known.extend(postings),
            None => drop(texts.insert(text.to_owned(), postings)),
        }
        Ok(())
    })
}

fn add_news(word: &Word, listed: &[(&Entry, &Listed)], texts: &mut Texts) {
    for (listing, (_, listed)) in (NEWS..).zip(listed) {
        let starts = listed.words.partition_point(|(text, _)| *text < word.text);
        let behind = listed.words.iter().skip(starts);
        let alike = |text: &str| if word.prefix { text.starts_with(&word.text) } else { *text == word.text };
        for (text, count) in behind.take_while(|(text, _)| alike(text)) {
            let posting = Posting { listing, count: *count, length: listed.length };
            texts.entry(text.clone()).or_default().push(posting);
        }
    }
}

/// How often a word is in each listing, and how long that is.
type Repetitions = HashMap<Listing, (f64, Length)>;

fn repetitions(word: &Word, texts: Texts) -> Repetitions {
    let mut texts: Vec<(String, Vec<Posting>)> = texts.into_iter().collect();
    // The word itself first, then the most frequent ones.
    texts.sort_by_key(|(text, postings)| (*text != word.text, std::cmp::Reverse(postings.len())));
    let mut found = Repetitions::new();
    for (text, postings) in texts.into_iter().take(EXPANSIONS_MAX) {
        let weight = if text == word.text { 1.0 } else { EXPANSION_WEIGHT };
        for Posting { listing, count, length } in postings {
            found.entry(listing).or_insert((0.0, length)).0 += weight * f64::from(count);
        }
    }
    found
}

/// All listings that have one of the words, the best first.
fn ranked(corpus: &Corpus, found: &[Repetitions]) -> Vec<Listing> {
    let mut scores: HashMap<Listing, f64> = HashMap::new();
    for word in found {
        let rarity = corpus.rarity(word.len());
        for (listing, (count, length)) in word {
            *scores.entry(*listing).or_default() += rarity * corpus.weight(*count, *length);
        }
    }
    let mut ranked: Vec<(Listing, f64)> = scores.into_iter().collect();
    ranked.sort_by(|(left, a), (right, b)| b.total_cmp(a).then(right.cmp(left)));
    ranked.into_iter().map(|(listing, _)| listing).collect()
}

/// The records of the best listings, without those that the news override.
fn resolve(
    ranked: &[Listing],
    manifest: &Manifest,
    news: &News,
    rows: &Rows,
    count: usize,
) -> Result<Vec<Candidate>, Stop> {
    let of_news: Vec<(&Entry, &Listed)> = news.listed().collect();
    let mut wanted = Wanted::default();
    let mut candidates = Vec::new();
    for listing in ranked.iter().take(LOOKED_AT_MAX) {
        if candidates.len().saturating_add(wanted.len()) >= count {
            break;
        }
        if let Some(at) = listing.checked_sub(NEWS) {
            let entry = usize::try_from(at).ok().and_then(|at| of_news.get(at));
            candidates.extend(entry.map(|(entry, listed)| Candidate {
                name: entry.name.clone(),
                version: entry.version,
                title: listed.title.clone(),
            }));
            continue;
        }
        let Some(shown) = shown(*listing, manifest, rows, &mut wanted)? else { continue };
        let name: RecordName = shown.name.parse()?;
        // Of the same version too: what was merged since the news were read is in both.
        if news.get(&name).is_none_or(|entry| entry.version < shown.version) {
            candidates.push(Candidate { name, version: shown.version, title: shown.title });
        }
    }
    wanted.check()?;
    Ok(candidates)
}

fn shown(
    listing: Listing,
    manifest: &Manifest,
    rows: &Rows,
    wanted: &mut Wanted,
) -> Result<Option<Shown>, Malformed> {
    let Some(segment) = manifest.segment_of(listing) else { return Ok(None) };
    let range = Range::listing(listing);
    let mut found = None;
    for page in rows.pages(segment, &range, wanted)? {
        if let Some(row) = rows.get(page, wanted) {
            visit(row, &range, |_, value| {
                found = Some(Shown::read(value)?);
                Ok(())
            })?;
        }
    }
    Ok(found)
}
