use proptest::prelude::*;

use super::*;

fn name(id: &str) -> RecordName {
    RecordName { collection: "notes".parse().unwrap(), id: id.parse().unwrap() }
}

fn entry(id: &str, version: u64, text: &str) -> Entry {
    let searchable = Searchable { title: "t".to_owned(), text: text.to_owned() };
    Entry { name: name(id), version, listed: Some(Listed::of(&searchable)) }
}

/// So many different words of six letters.
fn many_words(words: usize) -> String {
    (0..words).map(|n| format!("w{n:05} ")).collect()
}

proptest! {
    #[test]
    fn news_come_back(title: String, text: String, version: u64, ended: bool) {
        let listed = Listed::of(&Searchable { title, text });
        let written = Entry { name: name("one"), version, listed: (!ended).then_some(listed) };
        let rows = write_news(std::slice::from_ref(&written)).unwrap();
        prop_assert_eq!(rows.len(), 1);
        prop_assert_eq!(read_news(&rows[0]), Ok(vec![written]));
    }

    #[test]
    fn cut_news_are_refused(text in "[a-z ]{1,40}", cut in 1_usize..20) {
        let rows = write_news(&[entry("one", 1, &text)]).unwrap();
        let kept = rows[0].len().saturating_sub(cut).max(3);
        prop_assert_eq!(read_news(&rows[0][..kept]), Err(Malformed));
    }
}

#[test]
fn of_a_record_the_latest_news_count_in_whatever_order_they_come() {
    let rows: Vec<Vec<u8>> = [entry("one", 2, "second"), entry("one", 1, "first")]
        .iter()
        .flat_map(|entry| write_news(std::slice::from_ref(entry)).unwrap())
        .collect();
    for order in [[0, 1], [1, 0]] {
        let mut news = News::default();
        order.iter().for_each(|at| news.add(&rows[*at]).unwrap());
        assert_eq!(news.get(&name("one")).unwrap().version, 2, "{order:?}");
    }
}

#[test]
fn words_over_the_limit_of_one_record_are_left_out_and_its_title_never_is() {
    let listed = Listed::of(&Searchable { title: "zebra".to_owned(), text: many_words(10_000) });
    assert!(listed.words.iter().any(|(word, count)| word == "zebra" && *count == 3));
    let bytes: usize = listed.words.iter().map(|(word, _)| word.len() + 3).sum();
    assert!((24 * 1024 - 10..=24 * 1024 + 10).contains(&bytes), "{bytes}");
}

#[test]
fn the_news_of_a_call_are_some_rows_or_refused() {
    let entries = |count: usize, words: usize| -> Vec<Entry> {
        let text = many_words(words);
        (0..count).map(|n| entry(&format!("r{n}"), 1, &text)).collect()
    };
    let rows = write_news(&entries(90, 2_000)).unwrap();
    assert!((2..=NEWS_ROWS_MAX).contains(&rows.len()), "{}", rows.len());
    assert!(rows.iter().all(|row| row.len() <= NEWS_BYTES_MAX));
    assert_eq!(rows.iter().map(|row| read_news(row).unwrap().len()).sum::<usize>(), 90);
    // As many as a call has, each with as many words as count, and nothing that they share.
    let different =
        |n: usize| (0..2_600).map(|w| format!("{:06x} ", (w * 2_654_435_761_usize) ^ n)).collect::<String>();
    let most: Vec<Entry> = (0..90).map(|n| entry(&format!("r{n}"), 1, &different(n))).collect();
    match write_news(&most) {
        Ok(rows) => assert!(rows.len() <= NEWS_ROWS_MAX),
        Err(problem) => assert_eq!(problem.code(), "too_large"),
    }
    assert_eq!(write_news(&[]).unwrap(), Vec::<Vec<u8>>::new());
}
