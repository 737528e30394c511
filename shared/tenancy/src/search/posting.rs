//! Which listings a word is in, and how often.

use super::{
    bytes::{Malformed, Reader, put_number},
    key::Listing,
    rank::Length,
};

/// Bytes of the postings behind one key, so that some fit into a page.
pub(super) const POSTINGS_BYTES_MAX: usize = 1_024;

/// A word in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Posting {
    pub(super) listing: Listing,
    /// How often, at most 255 times.
    pub(super) count: u8,
    /// Of the whole text.
    pub(super) length: Length,
}

/// Postings behind one key, which has the first listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Postings {
    pub(super) first: Listing,
    last: Listing,
    pub(super) bytes: Vec<u8>,
}

impl Postings {
    pub(super) fn new(posting: Posting) -> Self {
        let Posting { listing, count, length } = posting;
        Self { first: listing, last: listing, bytes: vec![count, length.code()] }
    }

    /// Adds a posting, whose listing is behind all others; gives it back where there is no room.
    pub(super) fn push(&mut self, posting: Posting) -> Result<(), Posting> {
        let Posting { listing, count, length } = posting;
        if self.bytes.len() >= POSTINGS_BYTES_MAX {
            return Err(posting);
        }
        put_number(&mut self.bytes, listing.saturating_sub(self.last));
        self.bytes.extend([count, length.code()]);
        self.last = listing;
        Ok(())
    }
}

/// The postings behind a key.
pub(super) fn read_postings(first: Listing, bytes: &[u8]) -> Result<Vec<Posting>, Malformed> {
    let mut bytes = Reader::within(bytes);
    let mut listing = first;
    let mut postings = Vec::new();
    while !bytes.is_empty() {
        if !postings.is_empty() {
            let more = Some(bytes.number()?).filter(|more| *more > 0).ok_or(Malformed)?;
            listing = listing.checked_add(more).ok_or(Malformed)?;
        }
        postings.push(Posting { listing, count: bytes.byte()?, length: Length::read(bytes.byte()?) });
    }
    Ok(postings)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn postings_come_back(first in 1_u64.., rest in proptest::collection::vec((1_u64..1_000, 1_u8..), 0..400)) {
            let first = first >> 1;
            let mut written = vec![Posting { listing: first, count: 1, length: Length::of(7) }];
            let mut postings = Postings::new(written[0]);
            let mut listing = first;
            for (more, count) in rest {
                listing = listing.saturating_add(more);
                let posting = Posting { listing, count, length: Length::of(more) };
                match postings.push(posting) {
                    Ok(()) => written.push(posting),
                    Err(back) => {
                        prop_assert_eq!(back, posting);
                        break;
                    }
                }
            }
            prop_assert!(postings.bytes.len() < POSTINGS_BYTES_MAX + 12);
            prop_assert_eq!(read_postings(first, &postings.bytes), Ok(written));
        }

        #[test]
        fn any_bytes_are_postings_or_refused(first: u64, bytes: Vec<u8>) {
            let _read = read_postings(first, &bytes);
        }
    }
}
