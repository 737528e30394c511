//! What the index sorts by. A segment has three parts, in this order: where each record is listed, what each listing
//! is, and which listings each word is in.

use super::{bytes::Malformed, entry::RecordName};

/// A record as it was at one version, numbered from 1 within its tenant and never again.
pub(super) type Listing = u64;

const RECORD: u8 = 0;
const LISTING: u8 = 1;
const WORD: u8 = 2;

/// Behind every number that ends a key, and before every character of a word or a name.
const BEHIND_NUMBERS: u8 = b' ';
/// No text in UTF-8 has this byte.
const BEHIND_TEXT: u8 = 0xff;

/// What a key is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key<'k> {
    /// A record's name, and where it is listed.
    Record(&'k str, Listing),
    /// A listing.
    Listing(Listing),
    /// A word, and the first listing of those that follow.
    Word(&'k str, Listing),
}

impl<'k> Key<'k> {
    pub(super) fn bytes(self) -> Vec<u8> {
        let (part, text, listing) = match self {
            Self::Record(name, listing) => (RECORD, name, listing),
            Self::Listing(listing) => (LISTING, "", listing),
            Self::Word(word, listing) => (WORD, word, listing),
        };
        let mut key = begin(part, text);
        // Its length before a number without its leading zeros: so numbers sort as they count.
        let number = listing.to_be_bytes();
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let digits = number.get(zeros..).unwrap_or_default();
        key.push(digits.len().try_into().unwrap_or(u8::MAX));
        key.extend_from_slice(digits);
        key
    }

    pub(super) fn read(key: &'k [u8]) -> Result<Self, Malformed> {
        let (part, rest) = key.split_first().ok_or(Malformed)?;
        let at = rest.iter().position(|byte| *byte < BEHIND_NUMBERS).ok_or(Malformed)?;
        let (text, number) = rest.split_at_checked(at).ok_or(Malformed)?;
        let text = std::str::from_utf8(text).map_err(|_err| Malformed)?;
        let (length, digits) = number.split_first().ok_or(Malformed)?;
        if usize::from(*length) != digits.len() || digits.len() > 8 || digits.first() == Some(&0) {
            return Err(Malformed);
        }
        let listing = digits.iter().fold(0_u64, |number, digit| (number << 8) | u64::from(*digit));
        match (*part, text) {
            (RECORD, name) => Ok(Self::Record(name, listing)),
            (LISTING, "") => Ok(Self::Listing(listing)),
            (WORD, word) => Ok(Self::Word(word, listing)),
            _ => Err(Malformed),
        }
    }
}

/// The keys from `low` to before `high`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: Vec<u8>,
    pub(super) high: Vec<u8>,
}

impl Range {
    pub(super) fn record(name: &RecordName) -> Self {
        Self::between(RECORD, &name.to_string(), BEHIND_NUMBERS)
    }

    pub(super) fn listing(listing: Listing) -> Self {
        let low = Key::Listing(listing).bytes();
        let high = Key::Listing(listing.saturating_add(1)).bytes();
        Self { low, high }
    }

    pub(super) fn word(word: &str) -> Self {
        Self::between(WORD, word, BEHIND_NUMBERS)
    }

    /// The words that begin so.
    pub(super) fn prefix(prefix: &str) -> Self {
        Self::between(WORD, prefix, BEHIND_TEXT)
    }

    /// All that is behind a key.
    pub(super) fn behind(key: &[u8]) -> Self {
        let mut low = key.to_vec();
        low.push(0);
        Self { low, high: vec![BEHIND_TEXT] }
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        *self.low <= *key && *key < *self.high
    }

    fn between(part: u8, text: &str, high: u8) -> Self {
        let low = begin(part, text);
        let high = low.iter().copied().chain([high]).collect();
        Self { low, high }
    }
}

fn begin(part: u8, text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(text.len().saturating_add(10));
    key.push(part);
    key.extend_from_slice(text.as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_sort_by_word_and_then_by_listing(a in "[a-zé]{1,4}", b in "[a-zé]{1,4}", m in 1_u64.., n in 1_u64..) {
            let keys = (Key::Word(&a, m), Key::Word(&b, n));
            let sorts = keys.0.bytes().cmp(&keys.1.bytes());
            prop_assert_eq!(sorts, (a.as_str(), m).cmp(&(b.as_str(), n)));
            let bytes = keys.0.bytes();
            prop_assert_eq!(Key::read(&bytes), Ok(keys.0));
        }

        #[test]
        fn a_range_has_the_keys_of_its_word_or_prefix_alone(a in "[a-c]{1,3}", b in "[a-c]{1,3}", n in 1_u64..) {
            let key = Key::Word(&b, n).bytes();
            prop_assert_eq!(Range::word(&a).contains(&key), a == b);
            prop_assert_eq!(Range::prefix(&a).contains(&key), b.starts_with(&a));
        }

        #[test]
        fn a_listing_is_the_only_one_of_its_range(m in 1_u64..100_000, n in 1_u64..100_000) {
            prop_assert_eq!(Range::listing(m).contains(&Key::Listing(n).bytes()), m == n);
        }

        #[test]
        fn any_bytes_are_a_key_or_refused(bytes: Vec<u8>) {
            if let Ok(key) = Key::read(&bytes) {
                prop_assert_eq!(key.bytes(), bytes);
            }
        }
    }
}
