//! The index as a whole, over rows in memory: whatever is written, merged and left half-done, a search finds what a
//! look at every record would find.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows has failed")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use self::index::{Index, SMALL, VOCABULARY};
use super::{
    Searchable,
    entry::News,
    key::{Key, Listing, Range},
    manifest::{Manifest, Merge},
    merge::step,
    page::visit,
    posting::{Posting, read_postings},
};

mod index;

#[derive(Debug, Clone)]
enum Act {
    Write(Vec<(u8, Option<Searchable>)>),
    Flush(usize),
    Step,
    /// Both ends of a merger that is stopped in the middle.
    LostFlush(usize),
    LostStep,
    RemoveRetired,
}

fn searchable() -> impl Strategy<Value = Searchable> {
    let text = |most| {
        proptest::collection::vec(proptest::sample::select(&VOCABULARY[..]), 0..most)
            .prop_map(|words| words.join(" "))
    };
    (text(3), text(12)).prop_map(|(title, text)| Searchable { title, text })
}

fn act() -> impl Strategy<Value = Act> {
    let change = (0_u8..24, proptest::option::weighted(0.8, searchable()));
    prop_oneof![
        6 => proptest::collection::vec(change, 1..5).prop_map(Act::Write),
        4 => (1_usize..4).prop_map(Act::Flush),
        4 => Just(Act::Step),
        1 => (1_usize..4).prop_map(Act::LostFlush),
        1 => Just(Act::LostStep),
        1 => Just(Act::RemoveRetired),
    ]
}

fn run(index: &mut Index, act: &Act) {
    match act {
        Act::Write(changes) => index.write(changes),
        Act::Flush(take) => index.flush(*take),
        Act::Step => drop(index.step()),
        Act::LostFlush(take) => {
            let change = index.flushed(*take);
            index.put(&change);
        }
        Act::LostStep => {
            let change = index.stepped();
            change.iter().for_each(|change| index.put(change));
        }
        Act::RemoveRetired => index.remove_retired(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_search_finds_what_a_look_at_every_record_finds(
        acts in proptest::collection::vec(act(), 1..120),
        query in proptest::collection::vec(proptest::sample::select(&VOCABULARY[..]), 1..4),
    ) {
        let mut index = Index::new();
        let query = query.join(" ");
        for act in &acts {
            run(&mut index, act);
            index.check(&query);
        }
        // Whatever was left half-done, it comes to an end, and the order is right then.
        index.flush(usize::MAX);
        while index.step() {
            index.check(&query);
        }
        index.remove_retired();
        for query in VOCABULARY.into_iter().chain(["al* beta", "be*"]).chain([query.as_str()]) {
            index.check(query);
        }
    }

    #[test]
    fn the_merge_of_any_parts_is_the_index_of_the_whole(
        texts in proptest::collection::vec(searchable(), 1..40),
        cuts in proptest::collection::vec(1_usize..12, 1..6),
    ) {
        let (mut whole, mut parts) = (Index::new(), Index::new());
        let mut rest = (0..).zip(texts.iter().cloned().map(Some)).collect::<Vec<_>>();
        whole.write(&rest);
        whole.flush(usize::MAX);
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let part: Vec<_> = rest.drain(..cut.min(rest.len())).collect();
            parts.write(&part);
            parts.flush(usize::MAX);
        }
        prop_assert_eq!(corpus(&whole), corpus(&parts));
        let inputs = parts.manifest.segments.iter().map(|segment| (segment.id, None)).collect();
        let (cursor, runs, output) = (Vec::new(), Vec::new(), 1_000);
        parts.manifest.merges.push(Merge { output, inputs, cursor, runs });
        while !parts.manifest.merges.is_empty() {
            let tag = parts.tag();
            let change = parts.done(|rows| step(&parts.manifest, 0, rows, tag, SMALL));
            parts.publish(change);
        }
        prop_assert_eq!(parts.manifest.segments.len(), 1);
        prop_assert_eq!(corpus(&whole), corpus(&parts));
        prop_assert_eq!(postings(&whole), postings(&parts));
    }

    #[test]
    fn an_altered_row_is_read_or_refused(at: prop::sample::Index, byte: u8, bytes: Vec<u8>) {
        let mut index = Index::new();
        index.write(&[(0, Some(Searchable { title: "alpha".to_owned(), text: "beta".to_owned() }))]);
        let mut rows = vec![index.news[0].clone(), index.manifest.write(), bytes];
        index.flush(1);
        rows.push(index.manifest.write());
        for mut row in rows {
            let _read = (Manifest::read(&row).is_ok(), News::default().add(&row).is_ok());
            if !row.is_empty() {
                let at = at.index(row.len());
                row[at] = byte;
            }
            let _read = (Manifest::read(&row).is_ok(), News::default().add(&row).is_ok());
        }
    }
}

/// How many records and words there are.
fn corpus(index: &Index) -> (u64, u64) {
    let segments = &index.manifest.segments;
    (
        segments.iter().map(|segment| segment.living()).sum(),
        segments.iter().map(|segment| segment.length).sum(),
    )
}

/// Every posting of every word, and how many records and listings there are.
fn postings(index: &Index) -> (BTreeMap<String, Vec<(Listing, u8)>>, usize) {
    let mut postings: BTreeMap<String, Vec<(Listing, u8)>> = BTreeMap::new();
    let mut others = 0;
    for page in index.rows.iter().filter(|(name, _)| index.manifest.segment(name.segment).is_some()) {
        let _outlines = visit(page.1, &Range::behind(&[]), |key, value| {
            match Key::read(key)? {
                Key::Word(word, first) => {
                    let own = read_postings(first, value)?.into_iter();
                    let own = own.map(|Posting { listing, count, .. }| (listing, count));
                    postings.entry(word.to_owned()).or_default().extend(own);
                }
                _ => others += 1,
            }
            Ok(())
        });
    }
    postings.values_mut().for_each(|own| own.sort_unstable());
    (postings, others)
}

#[test]
fn a_word_of_the_title_counts_more_and_a_whole_word_more_than_a_beginning() {
    let mut index = Index::new();
    let of = |title: &str, text: &str| Some(Searchable { title: title.to_owned(), text: text.to_owned() });
    index.write(&[
        (0, of("x y z", "plan b c")),
        (1, of("plan y z", "a b c")),
        (2, of("x y z", "planet b c")),
    ]);
    for flushes in [0, 1] {
        index.flush(flushes);
        let order: Vec<Option<u8>> = index
            .find("plan", 10)
            .iter()
            .map(|found| index.names.iter().find(|(_, name)| **name == found.name).map(|(slot, _)| *slot))
            .collect();
        assert_eq!(order, [Some(1), Some(0), Some(2)], "{flushes}");
    }
}

#[test]
fn all_of_a_tenants_records_may_end() {
    let mut index = Index::new();
    let listed = Some(Searchable { title: "alpha".to_owned(), text: String::new() });
    for slot in 0..40 {
        index.write(&[(slot, listed.clone())]);
        index.flush(1);
        index.step();
    }
    assert_eq!(index.find("alpha", 1_000).len(), 40);
    for slot in 0..40 {
        index.write(&[(slot, None)]);
    }
    assert_eq!(index.find("alpha", 1_000), []);
    index.flush(usize::MAX);
    while index.step() {}
    index.remove_retired();
    assert_eq!((index.find("alpha", 1_000), index.rows.len()), (Vec::new(), 0));
    assert_eq!(index.manifest.segments, []);
}
