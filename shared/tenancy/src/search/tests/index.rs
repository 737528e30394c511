//! An index over rows in memory, and a look at every record to compare it with.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    Searchable,
    entry::{Entry, Listed, News, RecordName, write_news},
    find::{Candidate, find},
    flush::flush,
    manifest::{Manifest, RowName, Tag},
    merge::{Bounds, step},
    rank::Length,
    rows::{Change, Rows, Stop},
    words::{Asked, fold, words},
};

/// So small that little text has many pages, and a merge many steps.
pub(super) const SMALL: Bounds = Bounds { page_bytes_max: 128, pages: 2 };
pub(super) const VOCABULARY: [&str; 9] =
    ["alpha", "alphabet", "alp", "beta", "bet", "gamma", "delta", "Ä", "alphas"];

/// The store, and what a tenant has in it.
pub(super) struct Index {
    pub(super) manifest: Manifest,
    pub(super) rows: BTreeMap<RowName, Vec<u8>>,
    pub(super) news: Vec<Vec<u8>>,
    pub(super) tags: u64,
    pub(super) records: BTreeMap<RecordName, (u64, Searchable)>,
    pub(super) names: BTreeMap<u8, RecordName>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            manifest: Manifest::new(),
            rows: BTreeMap::new(),
            news: Vec::new(),
            tags: 0,
            records: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// Works with the rows that it wants, one turn after another.
    pub(super) fn done<T>(&self, work: impl Fn(&Rows) -> Result<T, Stop>) -> T {
        let mut rows = Rows::default();
        loop {
            match work(&rows) {
                Ok(done) => return done,
                Err(Stop::Wanted(names)) => {
                    assert!(!names.is_empty());
                    names.into_iter().for_each(|name| rows.insert(name, self.rows[&name].clone()));
                }
                Err(Stop::Malformed(err)) => panic!("{err}"),
            }
        }
    }

    pub(super) fn tag(&mut self) -> Tag {
        self.tags += 1;
        Tag(self.tags)
    }

    /// One call that writes or ends some records.
    pub(super) fn write(&mut self, changes: &[(u8, Option<Searchable>)]) {
        let mut entries = BTreeMap::new();
        for (slot, searchable) in changes {
            let name = self.names.get(slot).cloned();
            let version = name.as_ref().map_or(0, |name| self.records[name].0);
            let entry = match (searchable, name) {
                (Some(searchable), name) => {
                    let name = name.unwrap_or_else(|| {
                        let made = self.tag().0;
                        RecordName {
                            collection: "notes".parse().unwrap(),
                            id: format!("r{made:06}").parse().unwrap(),
                        }
                    });
                    self.names.insert(*slot, name.clone());
                    self.records.insert(name.clone(), (version + 1, searchable.clone()));
                    Entry { name, version: version + 1, listed: Some(Listed::of(searchable)) }
                }
                (None, Some(name)) => {
                    self.names.remove(slot);
                    self.records.remove(&name);
                    Entry { name, version: version + 1, listed: None }
                }
                (None, None) => continue,
            };
            entries.insert(entry.name.clone(), entry);
        }
        let entries: Vec<Entry> = entries.into_values().collect();
        self.news.extend(write_news(&entries).unwrap());
    }

    pub(super) fn news(&self, take: usize) -> News {
        let mut news = News::default();
        self.news.iter().take(take).for_each(|row| news.add(row).unwrap());
        news
    }

    /// What a merger does that stops before it changes the manifest.
    pub(super) fn put(&mut self, change: &Change) {
        for (name, row) in &change.puts {
            assert_eq!(self.rows.insert(*name, row.clone()), None, "a row is written once");
        }
    }

    pub(super) fn publish(&mut self, change: Change) {
        self.put(&change);
        assert_eq!(Manifest::read(&change.manifest.write()), Ok(change.manifest.clone()));
        self.manifest = change.manifest;
        change.drops.iter().for_each(|name| drop(self.rows.remove(name)));
    }

    pub(super) fn flushed(&mut self, take: usize) -> Change {
        let (tag, news) = (self.tag(), self.news(take));
        self.done(|rows| flush(&self.manifest, &news, rows, tag, SMALL.page_bytes_max))
    }

    pub(super) fn flush(&mut self, take: usize) {
        let change = self.flushed(take);
        let before = self.news(usize::MAX);
        self.publish(change);
        // A search that has read the news before and reads the manifest now.
        let names = |found: Vec<Candidate>| -> Vec<RecordName> {
            found.into_iter().map(|found| found.name).collect()
        };
        let mut torn = names(self.find_with(&before, "alp*", 1_000));
        self.news.drain(..take.min(self.news.len()));
        let mut whole = names(self.find("alp*", 1_000));
        torn.sort();
        whole.sort();
        assert_eq!(torn, whole);
    }

    pub(super) fn stepped(&mut self) -> Option<Change> {
        let tag = self.tag();
        let (manifest, at) = self.manifest.next_merge()?;
        Some(self.done(|rows| step(&manifest, at, rows, tag, SMALL)))
    }

    pub(super) fn step(&mut self) -> bool {
        let change = self.stepped();
        change.map(|change| self.publish(change)).is_some()
    }

    pub(super) fn remove_retired(&mut self) {
        let retired = std::mem::take(&mut self.manifest.retired);
        self.rows.retain(|name, _| !retired.contains(&name.segment));
    }

    pub(super) fn find(&self, query: &str, count: usize) -> Vec<Candidate> {
        self.find_with(&self.news(usize::MAX), query, count)
    }

    pub(super) fn find_with(&self, news: &News, query: &str, count: usize) -> Vec<Candidate> {
        let asked = Asked::read(query).unwrap();
        self.done(|rows| find(&asked, &self.manifest, news, rows, count))
    }

    /// The score of every record that answers, by a look at all of them.
    pub(super) fn look(&self, query: &str) -> BTreeMap<RecordName, f64> {
        let texts: BTreeMap<&RecordName, (Vec<String>, f64)> = self
            .records
            .iter()
            .map(|(name, (_, searchable))| {
                let Searchable { title, text } = searchable;
                let all = [title, title, title, text].map(|field| fold(field)).join(" ");
                let all: Vec<String> = words(&all).map(str::to_owned).collect();
                let length = Length::of(all.len() as u64).words();
                (name, (all, length as f64))
            })
            .collect();
        let records = texts.len() as f64;
        let mean = texts.values().map(|(_, length)| length).sum::<f64>().max(1.0) / records.max(1.0);
        let mut scores = BTreeMap::new();
        for word in Asked::read(query).unwrap().words {
            let worth = |text: &String| match text {
                text if *text == word.text => 1.0,
                text if word.prefix && text.starts_with(&word.text) => 0.5,
                _ => 0.0,
            };
            let counts =
                texts.iter().map(|(name, (all, length))| (name, all.iter().map(worth).sum(), length));
            let counts: Vec<(&&RecordName, f64, &f64)> =
                counts.filter(|(_, count, _)| *count > 0.0).collect();
            let with_it = counts.len() as f64;
            let rarity = (1.0 + (records - with_it + 0.5) / (with_it + 0.5)).ln();
            for (name, count, length) in counts {
                let weight = count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / mean));
                *scores.entry((**name).clone()).or_default() += rarity * weight;
            }
        }
        scores
    }

    /// A search finds exactly what is there; where no news override anything, also in the right order.
    pub(super) fn check(&self, query: &str) {
        let (found, looked) = (self.find(query, 1_000), self.look(query));
        for Candidate { name, version, title } in &found {
            let (now, searchable) = self.records.get(name).unwrap_or_else(|| panic!("{name} has ended"));
            assert_eq!((version, title), (now, &searchable.title));
        }
        let names: BTreeSet<&RecordName> = found.iter().map(|candidate| &candidate.name).collect();
        assert_eq!(names.len(), found.len(), "a record is found once");
        assert_eq!(names, looked.keys().collect(), "{query}");
        if self.news(usize::MAX).entries().any(Entry::overrides) {
            return;
        }
        let scores: Vec<f64> = found.iter().map(|candidate| looked[&candidate.name]).collect();
        assert!(scores.windows(2).all(|pair| pair[0] >= pair[1] - 1e-9), "{query}: {scores:?}");
    }
}
