//! Sorted entries in pages of bounded size, and one outline for the pages that are written together.

use super::{
    bytes::{Form, Malformed, Reader, Writer},
    key::Range,
};

/// Bytes of a page: with its key and the names of its attributes, one read unit.
pub(super) const PAGE_BYTES_MAX: usize = 4_096 - 128;

/// Pages that are written together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Pages {
    /// The key that the first page begins with.
    pub(super) first: Vec<u8>,
    /// The row that says what each page begins with.
    pub(super) outline: Vec<u8>,
    pub(super) pages: Vec<Vec<u8>>,
}

/// Makes pages of entries that come in their order.
#[derive(Debug)]
pub(super) struct Paginator {
    page_bytes_max: usize,
    done: Pages,
    page: Writer,
    outline: Writer,
    /// The key before, in the page and in the outline.
    last: Vec<u8>,
    last_outlined: Vec<u8>,
}

impl Paginator {
    pub(super) fn new(page_bytes_max: usize) -> Self {
        Self {
            page_bytes_max,
            done: Pages::default(),
            page: Writer::new(Form::Page),
            outline: Writer::new(Form::Outline),
            last: Vec::new(),
            last_outlined: Vec::new(),
        }
    }

    /// Adds an entry behind all others.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        let most = self.page.len().saturating_add(key.len()).saturating_add(value.len()).saturating_add(6);
        if !self.last.is_empty() && most > self.page_bytes_max {
            self.close();
        }
        if self.last.is_empty() {
            self.outline.key(&self.last_outlined, key);
            self.last_outlined = key.to_vec();
            if self.done.first.is_empty() {
                self.done.first = key.to_vec();
            }
        }
        self.page.key(&self.last, key);
        self.page.chunk(value);
        self.last = key.to_vec();
    }

    /// The pages, if there is anything in them.
    pub(super) fn end(mut self) -> Option<Pages> {
        if !self.last.is_empty() {
            self.close();
        }
        (!self.done.pages.is_empty()).then(|| Pages { outline: self.outline.end(), ..self.done })
    }

    fn close(&mut self) {
        self.done.pages.push(std::mem::replace(&mut self.page, Writer::new(Form::Page)).end());
        self.last.clear();
    }
}

/// What each page begins with, of the pages that were written together.
pub(super) fn read_outline(row: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut row = Reader::open(row, Form::Outline)?;
    let mut firsts: Vec<Vec<u8>> = Vec::new();
    while !row.is_empty() {
        let mut key = firsts.last().cloned().unwrap_or_default();
        row.key(&mut key)?;
        firsts.push(key);
    }
    Ok(firsts)
}

/// Of things that are sorted by what they begin with, those that may have keys of a range.
pub(super) fn overlapping<'t, T>(
    all: &'t [T],
    first: impl Fn(&T) -> &[u8],
    range: &Range,
) -> impl Iterator<Item = (usize, &'t T)> {
    let begin = all.partition_point(|one| first(one) <= &*range.low).saturating_sub(1);
    let end = all.partition_point(|one| first(one) < &*range.high);
    all.iter().enumerate().take(end).skip(begin)
}

/// Goes through the entries of a page that are in a range.
///
/// # Errors
/// [`Malformed`], also the visitor's own.
pub(super) fn visit(
    page: &[u8],
    range: &Range,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut page = Reader::open(page, Form::Page)?;
    let mut key = Vec::new();
    while !page.is_empty() {
        page.key(&mut key)?;
        let value = page.chunk()?;
        if *key >= *range.high {
            return Ok(());
        }
        if range.contains(&key) {
            each(&key, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

    fn paginate(entries: &Entries, page_bytes_max: usize) -> Pages {
        let mut paginator = Paginator::new(page_bytes_max);
        entries.iter().for_each(|(key, value)| paginator.push(key, value));
        paginator.end().unwrap_or_default()
    }

    fn within(page: &[u8], range: &Range) -> Result<Entries, Malformed> {
        let mut found = Entries::new();
        visit(page, range, |key, value| {
            found.insert(key.to_vec(), value.to_vec());
            Ok(())
        })?;
        Ok(found)
    }

    fn entries() -> impl Strategy<Value = Entries> {
        let key = proptest::collection::vec(0_u8..4, 1..6);
        proptest::collection::btree_map(key, proptest::collection::vec(any::<u8>(), 0..20), 1..60)
    }

    proptest! {
        #[test]
        fn every_entry_of_a_range_is_in_the_pages_that_overlap_it(
            entries in entries(),
            low in proptest::collection::vec(0_u8..4, 0..6),
            high in proptest::collection::vec(0_u8..4, 0..6),
        ) {
            let range = Range { low, high };
            let pages = paginate(&entries, 64);
            let firsts = read_outline(&pages.outline).unwrap();
            prop_assert_eq!(firsts.len(), pages.pages.len());
            let mut found = Entries::new();
            for (at, _) in overlapping(&firsts, |first| first, &range) {
                found.extend(within(&pages.pages[at], &range).unwrap());
            }
            let expected: Entries =
                entries.into_iter().filter(|(key, _)| range.contains(key)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn a_page_is_within_its_limit(entries in entries()) {
            let pages = paginate(&entries, 64);
            prop_assert!(pages.pages.iter().all(|page| page.len() <= 64));
        }

        #[test]
        fn a_page_that_is_altered_or_cut_never_panics(entries in entries(), at: prop::sample::Index, byte: u8, cut: bool) {
            let mut page = paginate(&entries, 4_096).pages.remove(0);
            let at = at.index(page.len());
            page[at] = byte;
            if cut {
                page.truncate(at);
            }
            let _read = within(&page, &Range::behind(&[]));
            let _read = read_outline(&page);
        }
    }

    #[test]
    fn a_page_that_is_not_sorted_is_refused() {
        let page = |keys: [&[u8]; 2]| {
            let mut page = Writer::new(Form::Page);
            for key in keys {
                page.key(&[], key);
                page.chunk(b"v");
            }
            within(&page.end(), &Range { low: vec![], high: vec![0xff] })
        };
        assert!(page([b"a", b"b"]).is_ok());
        assert_eq!(page([b"b", b"a"]), Err(Malformed));
        assert_eq!(page([b"a", b"a"]), Err(Malformed));
    }
}
