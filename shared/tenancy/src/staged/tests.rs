use super::*;
use crate::record::Prepared;

fn raw(id: &str, version: u64, document: &str) -> Raw {
    let time = "2026-11-24T06:00:00.000000Z".to_owned();
    Raw {
        id: id.parse().unwrap(),
        version,
        created: time.clone(),
        updated: time,
        listed: false,
        prepared: Prepared { document: document.to_owned(), ..Prepared::default() },
    }
}

fn shelf(name: &str) -> Shelf {
    Shelf::Items(name.parse().unwrap())
}

fn notes() -> Shelf {
    shelf("notes")
}

fn id(text: &str) -> ItemId {
    text.parse().unwrap()
}

/// A listing by id.
fn page(
    staged: &Staged,
    of: &Shelf,
    stored: &[&str],
    after: Option<&str>,
    last: Option<&str>,
) -> Vec<String> {
    let stored = stored.iter().map(|name| (id(name), raw(name, 1, "old"))).collect();
    let (after, last) = (after.map(id), last.map(id));
    let within = |at: &ItemId| after.as_ref().is_none_or(|a| at > a) && last.as_ref().is_none_or(|l| at <= l);
    let seen = staged.overlay(of, stored, |raw| Some(raw.id.clone()), within);
    seen.iter().map(|raw| raw.id.to_string()).collect()
}

#[test]
fn what_a_call_writes_has_a_limit_of_bytes_and_what_it_ends_has_none() {
    let largest = "x".repeat(WRITTEN_BYTES_MAX / 4);
    let mut staged = Staged::default();
    for name in ["a", "b", "c", "d"] {
        staged.create(&notes(), raw(name, 1, &largest)).unwrap();
    }
    staged.delete(&notes(), &raw("e", 1, &largest)).unwrap();
    staged.keep(&notes(), &raw("f", 1, &largest)).unwrap();
    // A document that takes another's place in the call is the only one.
    staged.replace(&notes(), &raw("a", 1, &largest), raw("a", 0, &largest)).unwrap();
    let refused = staged.create(&notes(), raw("g", 1, "x")).unwrap_err();
    assert_eq!(refused.code(), "too_large");
    let said = "the transaction has 1966081 bytes, and at most 1966080 are allowed";
    assert_eq!(refused.to_string(), said);
}

#[test]
fn however_often_a_record_changes_it_is_one_write_and_one_version_up() {
    let mut staged = Staged::default();
    let old = raw("a", 4, "12345");
    let once = staged.replace(&notes(), &old, raw("a", 0, "1")).unwrap();
    let twice = staged.replace(&notes(), &once, raw("a", 0, "12")).unwrap();
    assert_eq!((once.version, twice.version), (5, 5));
    let writes: Vec<_> = staged.close().into_values().collect();
    assert_eq!(
        writes,
        [Write {
            version_before: Some(4),
            bytes_before: 5,
            listed_before: false,
            change: Change::Put(raw("a", 5, "12"))
        }]
    );
}

#[test]
fn a_record_that_was_made_and_ended_in_one_call_was_never_there() {
    let mut staged = Staged::default();
    let new = raw("a", 1, "{}");
    staged.create(&notes(), new.clone()).unwrap();
    assert!(staged.find(&notes(), &new.id).unwrap().is_some());
    staged.delete(&notes(), &new).unwrap();
    assert_eq!(staged.find(&notes(), &new.id), Some(None));
    let kept =
        Write { version_before: None, bytes_before: 0, listed_before: false, change: Change::Keep(None) };
    assert_eq!(staged.close().into_values().collect::<Vec<_>>(), [kept]);

    let mut staged = Staged::default();
    staged.delete(&notes(), &new).unwrap();
    assert_eq!(staged.find(&notes(), &new.id), Some(None));
    let ended =
        Write { version_before: Some(1), bytes_before: 2, listed_before: false, change: Change::Delete };
    assert_eq!(staged.close().into_values().collect::<Vec<_>>(), [ended]);
}

#[test]
fn a_staged_record_is_seen_in_its_own_collection_alone() {
    let mut staged = Staged::default();
    let new = raw("a", 1, "{}");
    staged.create(&notes(), new.clone()).unwrap();
    assert!(staged.find(&notes(), &new.id).is_some());
    assert!(staged.find(&shelf("tasks"), &new.id).is_none());
    assert_eq!(page(&staged, &notes(), &[], None, None), ["a"]);
    assert!(page(&staged, &shelf("tasks"), &[], None, None).is_empty());
}

#[test]
fn a_page_shows_the_store_as_it_will_be() {
    let mut staged = Staged::default();
    for name in ["a", "c", "e", "g"] {
        staged.create(&notes(), raw(name, 1, "new")).unwrap();
    }
    staged.delete(&notes(), &raw("d", 1, "old")).unwrap();
    let seen = |after, last| page(&staged, &notes(), &["b", "d", "f"], after, last).concat();
    assert_eq!(seen(None, None), "abcefg");
    assert_eq!(seen(Some("a"), Some("f")), "bcef");
}

#[test]
fn a_staged_state_takes_the_place_of_the_stores_wherever_it_stands_now() {
    let mut staged = Staged::default();
    staged.replace(&notes(), &raw("b", 1, "2"), raw("b", 0, "9")).unwrap();
    let stored =
        [("a", "1"), ("b", "2"), ("c", "3")].map(|(name, text)| (text.to_owned(), raw(name, 1, text)));
    let by_text = |raw: &Raw| Some(raw.prepared.document.clone());
    let listed = |within: fn(&String) -> bool| {
        let seen = staged.overlay(&notes(), stored.to_vec(), by_text, within);
        seen.iter().map(|raw| raw.id.to_string()).collect::<String>()
    };
    assert_eq!(listed(|_| true), "acb");
    assert_eq!(listed(|at| at.as_str() <= "3"), "ac", "it has moved to a later page");
}

#[test]
fn what_a_transaction_read_stays_a_condition_until_it_is_written() {
    let mut staged = Staged::default();
    staged.rely(&notes(), &id("a"), Some(&raw("a", 7, "1234"))).unwrap();
    staged.rely(&notes(), &id("gone"), None).unwrap();
    assert!(staged.repeatable());
    assert_eq!(staged.find(&notes(), &id("a")), Some(Some(raw("a", 7, "1234"))), "read once, it stays so");
    assert_eq!((staged.find(&notes(), &id("gone")), staged.find(&notes(), &id("b"))), (Some(None), None));
    staged.replace(&notes(), &raw("a", 7, "1234"), raw("a", 0, "12")).unwrap();
    staged.rely(&notes(), &id("a"), Some(&raw("a", 8, "12"))).unwrap();
    let writes: Vec<_> = staged.close().into_values().collect();
    let put = Write {
        version_before: Some(7),
        bytes_before: 4,
        listed_before: false,
        change: Change::Put(raw("a", 8, "12")),
    };
    let kept =
        Write { version_before: None, bytes_before: 0, listed_before: false, change: Change::Keep(None) };
    assert_eq!(writes, [put, kept]);
}

#[test]
fn a_call_touches_at_most_its_limit() {
    let mut staged = Staged::default();
    for n in 0..WRITES_MAX {
        staged.create(&notes(), raw(&n.to_string(), 1, "{}")).unwrap();
    }
    assert_eq!(staged.create(&notes(), raw("more", 1, "{}")).unwrap_err().code(), "invalid");
}

#[test]
fn what_is_staged_after_the_commit_is_refused() {
    let mut staged = Staged::default();
    staged.create(&notes(), raw("a", 1, "{}")).unwrap();
    assert_eq!(staged.close().len(), 1);
    assert_eq!(staged.create(&notes(), raw("b", 1, "{}")).unwrap_err().code(), "internal");
    assert_eq!(staged.delete(&notes(), &raw("b", 1, "{}")).unwrap_err().code(), "internal");
    assert_eq!(staged.rely(&notes(), &id("b"), None).unwrap_err().code(), "internal");
    assert!(staged.close().is_empty());
}

#[test]
fn a_change_of_settings_or_secrets_empties_the_cache_and_one_of_an_item_does_not() {
    let old = raw("a", 4, "12345");
    type Stage = fn(&mut Staged, &Raw) -> Result<(), Problem>;
    let staging: [Stage; 4] = [
        |staged, old| staged.replace(&Shelf::Settings, old, old.clone()).map(drop),
        |staged, old| staged.delete(&Shelf::Settings, old),
        |staged, old| staged.create(&Shelf::Secrets, old.clone()),
        |staged, _old| staged.clear_cache(),
    ];
    for stage in staging {
        let mut staged = Staged::default();
        stage(&mut staged, &old).unwrap();
        assert!(staged.empties_cache() && staged.has_changes());
    }
    let mut staged = Staged::default();
    staged.rely(&Shelf::Settings, &old.id, Some(&old)).unwrap();
    assert!(!staged.empties_cache() && !staged.has_changes(), "to read is no change");
    staged.delete(&notes(), &old).unwrap();
    assert!(!staged.empties_cache() && staged.has_changes());
    staged.close();
    assert!(staged.clear_cache().is_err(), "the call is over");
}
