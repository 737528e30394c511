//! How well a record answers: BM25, over what the tenant itself has.

/// How fast a word's repetitions stop to count.
const K1: f64 = 1.2;
/// How much a long text counts less.
const B: f64 = 0.75;

/// The length of a text in words, to one part in eight: one byte in every posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Length(u8);

impl Length {
    pub(super) fn of(words: u64) -> Self {
        // The first bit and the three behind it, and how far they are shifted.
        let bits = u64::BITS.saturating_sub(words.leading_zeros());
        let shift = bits.saturating_sub(4);
        let mantissa = words.wrapping_shr(shift);
        let code = u64::from(shift).saturating_mul(8).saturating_add(mantissa);
        Self(code.try_into().unwrap_or(u8::MAX))
    }

    pub(super) const fn read(code: u8) -> Self {
        Self(code)
    }

    pub(super) const fn code(self) -> u8 {
        self.0
    }

    pub(super) fn words(self) -> u64 {
        let shift = u32::from(self.0 >> 3).saturating_sub(1);
        let mantissa = u64::from(self.0).saturating_sub(u64::from(shift).saturating_mul(8));
        mantissa.wrapping_shl(shift)
    }
}

/// All that can be found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Corpus {
    pub(super) records: u64,
    /// Words of all of them.
    pub(super) length: u64,
}

impl Corpus {
    pub(super) const fn add(&mut self, records: u64, length: u64) {
        self.records = self.records.saturating_add(records);
        self.length = self.length.saturating_add(length);
    }

    /// What a word is worth that is in so many records.
    pub(super) fn rarity(&self, records_with_it: usize) -> f64 {
        let all = as_float(self.records);
        let with_it = as_float(u64::try_from(records_with_it).unwrap_or(u64::MAX)).min(all);
        (1.0 + (all - with_it + 0.5) / (with_it + 0.5)).ln()
    }

    /// What so many repetitions in a text of this length make of it.
    pub(super) fn weight(&self, count: f64, length: Length) -> f64 {
        let mean = as_float(self.length.max(1)) / as_float(self.records.max(1));
        let relative = 1.0 - B + B * as_float(length.words()) / mean;
        count * (K1 + 1.0) / (count + K1 * relative)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a score needs no more than 52 bits")]
const fn as_float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_length_is_kept_to_one_part_in_eight(words: u32) {
            let words = u64::from(words);
            let kept = Length::of(words).words();
            prop_assert!(kept <= words && words.saturating_sub(kept) <= words / 8, "{words} {kept}");
        }

        #[test]
        fn lengths_sort_as_they_are_coded(a: u32, b: u32) {
            let (left, right) = (Length::of(a.into()), Length::of(b.into()));
            prop_assert!(a > b || left <= right);
            prop_assert!(a > b || left.words() <= right.words());
        }
    }

    #[test]
    fn every_code_is_of_the_length_that_it_reads_as() {
        for code in 0..=200 {
            assert_eq!(Length::of(Length::read(code).words()), Length::read(code), "{code}");
        }
        for words in 0..16 {
            assert_eq!(Length::of(words).words(), words);
        }
    }

    #[test]
    fn a_rarer_word_and_a_shorter_text_are_worth_more() {
        let corpus = Corpus { records: 100, length: 10_000 };
        assert!(corpus.rarity(1) > corpus.rarity(50));
        assert!(corpus.rarity(100) > 0.0);
        assert_eq!(corpus.rarity(200), corpus.rarity(100));
        let [short, long] = [10, 1_000].map(Length::of);
        assert!(corpus.weight(1.0, short) > corpus.weight(1.0, long));
        assert!(corpus.weight(2.0, short) > corpus.weight(1.0, short));
    }
}
