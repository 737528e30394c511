//! What a call has done to the records that can be found, as it is kept until the next merge.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{
    Searchable,
    bytes::{Form, Malformed, Reader, Writer},
    rank::Length,
    words::{fold, words},
};
use crate::{
    Problem,
    key::{CollectionName, ItemId},
};

/// How many words of a text a word of the title counts as.
const TITLE_WEIGHT: u64 = 3;
/// Bytes of a title that are kept to be shown.
const TITLE_BYTES_MAX: usize = 256;
/// Bytes of the different words of one record. What comes behind is not found; some 3,000 words fit.
const WORDS_BYTES_MAX: usize = 24 * 1024;
/// Bytes of a row of news. DynamoDB's own limit for an item is 400 KB.
const NEWS_BYTES_MAX: usize = 350 * 1024;
/// Rows of news of one call: so many actions its transaction has left.
const NEWS_ROWS_MAX: usize = 4;

/// A record's name in the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordName {
    pub(crate) collection: CollectionName,
    pub(crate) id: ItemId,
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection, self.id)
    }
}

impl FromStr for RecordName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (collection, id) = text.split_once('/').ok_or(Malformed)?;
        let collection = collection.parse().map_err(|_err| Malformed)?;
        Ok(Self { collection, id: id.parse().map_err(|_err| Malformed)? })
    }
}

/// What one record can be found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(super) title: String,
    pub(super) length: Length,
    /// How often each word is there, at most 255 times, sorted by the word.
    pub(super) words: Vec<(String, u8)>,
}

impl Listed {
    pub(crate) fn of(searchable: &Searchable) -> Self {
        let Searchable { title, text } = searchable;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut bytes = 0_usize;
        let mut length = 0_u64;
        for (field, weight) in [(title, TITLE_WEIGHT), (text, 1)] {
            for word in words(&fold(field)) {
                length = length.saturating_add(weight);
                if let Some(count) = counts.get_mut(word) {
                    *count = count.saturating_add(weight);
                } else if bytes < WORDS_BYTES_MAX {
                    bytes = bytes.saturating_add(word.len()).saturating_add(3);
                    counts.insert(word.to_owned(), weight);
                }
            }
        }
        let shown = title.get(..title.floor_char_boundary(TITLE_BYTES_MAX)).unwrap_or_default();
        let words = counts.into_iter().map(|(word, count)| (word, count.try_into().unwrap_or(u8::MAX)));
        Self { title: shown.to_owned(), length: Length::of(length), words: words.collect() }
    }
}

/// One record's news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: RecordName,
    /// The record's version; that of one which has ended is one above its last.
    pub(crate) version: u64,
    /// What it can be found by now; `None` when it has ended or can no longer be found.
    pub(crate) listed: Option<Listed>,
}

impl Entry {
    /// Whether an earlier version may be listed.
    pub(super) const fn overrides(&self) -> bool {
        self.version > 1
    }

    fn write(&self, row: &mut Writer) {
        row.chunk(self.name.collection.as_str().as_bytes());
        row.chunk(self.name.id.as_str().as_bytes());
        row.number(self.version);
        let Some(Listed { title, length, words }) = &self.listed else {
            row.byte(0);
            return;
        };
        row.byte(1);
        row.chunk(title.as_bytes());
        row.byte(length.code());
        row.number(words.len().try_into().unwrap_or(u64::MAX));
        let mut before = "";
        for (word, count) in words {
            row.key(before.as_bytes(), word.as_bytes());
            row.byte(*count);
            before = word;
        }
    }

    fn read(row: &mut Reader<'_>) -> Result<Self, Malformed> {
        let collection = row.text()?.parse().map_err(|_err| Malformed)?;
        let id = row.text()?.parse().map_err(|_err| Malformed)?;
        let name = RecordName { collection, id };
        let version = row.number()?;
        let listed = match row.byte()? {
            0 => None,
            1 => {
                let title = row.text()?.to_owned();
                let length = Length::read(row.byte()?);
                let count = row.count()?;
                let mut words = Vec::with_capacity(count);
                let mut word = Vec::new();
                for _ in 0..count {
                    row.key(&mut word)?;
                    let text = String::from_utf8(word.clone()).map_err(|_err| Malformed)?;
                    words.push((text, row.byte()?));
                }
                Some(Listed { title, length, words })
            }
            _ => return Err(Malformed),
        };
        Ok(Self { name, version, listed })
    }
}

/// The rows that keep what one call has done.
///
/// # Errors
/// [`Problem::TooLarge`] when they are more than fit into its transaction.
pub(crate) fn write_news(entries: &[Entry]) -> Result<Vec<Vec<u8>>, Problem> {
    let mut rows = Vec::new();
    let mut row = Writer::new(Form::News);
    let empty = row.len();
    for entry in entries {
        let mut alone = Writer::new(Form::News);
        entry.write(&mut alone);
        let bytes = alone.end();
        let own = bytes.get(empty..).unwrap_or_default();
        if row.len() > empty && row.len().saturating_add(own.len()) > NEWS_BYTES_MAX {
            rows.push(std::mem::replace(&mut row, Writer::new(Form::News)).end());
        }
        row.bytes(own);
    }
    if row.len() > empty {
        rows.push(row.end());
    }
    if rows.len() > NEWS_ROWS_MAX {
        let bytes = rows.iter().map(Vec::len).sum();
        let bytes_max = NEWS_BYTES_MAX.saturating_mul(NEWS_ROWS_MAX);
        return Err(Problem::TooLarge { what: "searchable text of one call", bytes_max, bytes });
    }
    Ok(rows)
}

/// What a row of news keeps.
pub(super) fn read_news(row: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let mut row = Reader::open(row, Form::News)?;
    let mut entries = Vec::new();
    while !row.is_empty() {
        entries.push(Entry::read(&mut row)?);
    }
    Ok(entries)
}

/// What all rows of news come to: of each record the latest.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct News(BTreeMap<RecordName, Entry>);

impl News {
    /// Adds a row, of whatever age.
    pub(super) fn add(&mut self, row: &[u8]) -> Result<(), Malformed> {
        for entry in read_news(row)? {
            match self.0.get(&entry.name) {
                Some(known) if known.version >= entry.version => {}
                _ => drop(self.0.insert(entry.name.clone(), entry)),
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &RecordName) -> Option<&Entry> {
        self.0.get(name)
    }

    /// Records that may be listed in an earlier version.
    pub(super) fn overriding(&self) -> usize {
        self.entries().filter(|entry| entry.overrides()).count()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.values()
    }

    pub(super) fn listed(&self) -> impl Iterator<Item = (&Entry, &Listed)> {
        self.entries().filter_map(|entry| Some((entry, entry.listed.as_ref()?)))
    }
}

#[cfg(test)]
mod tests;
