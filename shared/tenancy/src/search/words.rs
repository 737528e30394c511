//! From a text to the words that it is found by, and from a query to the words that it asks for.

use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::Problem;

/// Bytes of a word that count: a longer one is found by its beginning.
const WORD_BYTES_MAX: usize = 48;
/// Characters of a query.
const QUERY_CHARS_MAX: usize = 1_000;
/// Different words of a query.
const QUERY_WORDS_MAX: usize = 32;
/// Characters from which a word of a query stands for all that begin so: one would stand for a large part of all.
const PREFIX_CHARS_MIN: usize = 2;

/// The form in which words are compared: compatible characters are one (NFKC), and neither case nor diacritics count.
///
/// Upper case first and then lower case makes one of `ß` and `ss`, and of the two forms of the lower sigma. Only the
/// marks that decorate Latin, Greek and Cyrillic letters are taken away: in other scripts marks are letters.
pub(super) fn fold(text: &str) -> String {
    text.nfkd()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfd()
        .filter(|c| !('\u{300}'..='\u{36f}').contains(c))
        .nfc()
        .collect()
}

/// The words of a folded text in their order. They end where Unicode says (UAX 29) and at all punctuation, so that
/// `acme's` and `acme.com` are found by `acme`.
pub(super) fn words(folded: &str) -> impl Iterator<Item = &str> {
    let joins = |c: char| c.is_ascii_punctuation() || c == '’' || c.is_whitespace() || c.is_control();
    folded
        .unicode_words()
        .flat_map(move |word| word.split(joins))
        .filter_map(|word| word.get(..word.floor_char_boundary(WORD_BYTES_MAX)))
        .filter(|word| !word.is_empty())
}

/// What a query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Different from each other.
    pub(super) words: Vec<Word>,
}

/// A word that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Folded.
    pub(super) text: String,
    /// Whether words that begin so count as well.
    pub(super) prefix: bool,
}

impl Asked {
    /// Reads a query. A word counts whole; the last one, and each with a `*` behind it, counts by its beginning too.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a query without a word, and over its limits.
    pub(super) fn read(query: &str) -> Result<Self, Problem> {
        let chars = query.chars().count();
        if chars > QUERY_CHARS_MAX {
            let detail = format!("query: {chars} characters, of at most {QUERY_CHARS_MAX}");
            return Err(Problem::Invalid { detail });
        }
        let mut asked: Vec<Word> = Vec::new();
        let folded = fold(query);
        for piece in folded.split_whitespace() {
            let starts = asked.len();
            asked.extend(words(piece).map(|word| Word { text: word.to_owned(), prefix: false }));
            if let Some(last) = asked.get_mut(starts..).and_then(<[Word]>::last_mut) {
                last.prefix = piece.ends_with('*');
            }
        }
        if let Some(last) = asked.last_mut() {
            last.prefix = true;
        }
        let mut words: Vec<Word> = Vec::new();
        for mut word in asked {
            word.prefix &= word.text.chars().count() >= PREFIX_CHARS_MIN;
            match words.iter_mut().find(|known| known.text == word.text) {
                Some(known) => known.prefix |= word.prefix,
                None => words.push(word),
            }
        }
        match words.len() {
            0 => Err(Problem::Invalid { detail: "query: at least one word is expected".to_owned() }),
            1..=QUERY_WORDS_MAX => Ok(Self { words }),
            many => {
                let detail = format!("query: {many} different words, of at most {QUERY_WORDS_MAX}");
                Err(Problem::Invalid { detail })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words_of(text: &str) -> Vec<String> {
        words(&fold(text)).map(str::to_owned).collect()
    }

    fn asked(query: &str) -> Vec<(String, bool)> {
        Asked::read(query).unwrap().words.into_iter().map(|word| (word.text, word.prefix)).collect()
    }

    #[test]
    fn neither_case_nor_diacritics_nor_width_count() {
        for (text, words) in [
            ("Crème BRÛLÉE", vec!["creme", "brulee"]),
            ("STRASSE straße", vec!["strasse", "strasse"]),
            ("ΟΔΟΣ οδός", vec!["οδοσ", "οδοσ"]),
            ("İstanbul istanbul", vec!["istanbul", "istanbul"]),
            ("ﬁle Ｆｉｌｅ", vec!["file", "file"]),
            (
                "acme's acme’s acme.com foo_bar 3.14",
                vec!["acme", "s", "acme", "s", "acme", "com", "foo", "bar", "3", "14"],
            ),
            ("東京 カタカナ 한국어", vec!["東", "京", "カタカナ", "한국어"]),
            ("が か", vec!["が", "か"]),
            // A mark sticks to the space before it, as to any other character.
            ("a \u{9c7}b", vec!["a", "\u{9c7}", "b"]),
            ("… — 🦀 \u{0} ", vec![]),
        ] {
            assert_eq!(words_of(text), words, "{text}");
        }
    }

    #[test]
    fn the_last_word_and_a_starred_one_count_by_their_beginning() {
        let of = |word: &str, prefix| (word.to_owned(), prefix);
        assert_eq!(asked("Plan note"), [of("plan", false), of("note", true)]);
        assert_eq!(asked("plan* note"), [of("plan", true), of("note", true)]);
        assert_eq!(asked("foo-bar* x"), [of("foo", false), of("bar", true), of("x", false)]);
        assert_eq!(asked("note plan note"), [of("note", true), of("plan", false)]);
        assert_eq!(asked("a*"), [of("a", false)]);
    }

    #[test]
    fn a_query_over_a_limit_is_refused_and_at_the_limit_is_not() {
        let many = |words: usize| (0..words).map(|n| format!("w{n} ")).collect::<String>();
        assert!(Asked::read(&many(32)).is_ok());
        assert_eq!(
            Asked::read(&many(33)).unwrap_err().to_string(),
            "query: 33 different words, of at most 32"
        );
        assert!(Asked::read(&"é".repeat(1_000)).is_ok());
        assert_eq!(
            Asked::read(&"é".repeat(1_001)).unwrap_err().to_string(),
            "query: 1001 characters, of at most 1000"
        );
        for empty in ["", " ", "***", "!?"] {
            assert_eq!(Asked::read(empty).unwrap_err().to_string(), "query: at least one word is expected");
        }
    }

    proptest! {
        #[test]
        fn a_word_is_short_and_sorts_behind_all_numbers_of_a_key(text: String) {
            for word in words_of(&text) {
                prop_assert!((1..=WORD_BYTES_MAX).contains(&word.len()));
                prop_assert!(word.bytes().all(|byte| byte > b' '), "{word:?}");
            }
        }

        #[test]
        fn folding_twice_is_folding_once(text: String) {
            let folded = fold(&text);
            prop_assert_eq!(fold(&folded), folded);
        }
    }
}
