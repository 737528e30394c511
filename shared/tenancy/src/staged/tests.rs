use super::*;

fn raw(id: &str, version: u64, document: &str) -> Raw {
    let time = "2026-11-24T06:00:00.000000Z".to_owned();
    Raw {
        id: id.parse().unwrap(),
        version,
        created: time.clone(),
        updated: time,
        document: document.to_owned(),
    }
}

fn ids(page: &[Raw]) -> Vec<&str> {
    page.iter().map(|raw| raw.id.as_str()).collect()
}

#[test]
fn however_often_a_record_changes_it_is_one_write_and_one_version_up() {
    let mut staged = Staged::default();
    let old = raw("a", 4, "12345");
    let once = staged.replace("notes", &old, raw("a", 0, "1")).unwrap();
    let twice = staged.replace("notes", &once, raw("a", 0, "12")).unwrap();
    assert_eq!((once.version, twice.version), (5, 5));
    let writes: Vec<_> = staged.close().into_values().collect();
    assert_eq!((writes.len(), writes[0].version_before, writes[0].bytes_before), (1, Some(4), 5));
    assert_eq!(writes[0].after.as_ref().unwrap().document, "12");
}

#[test]
fn a_record_that_was_made_and_ended_in_one_call_was_never_there() {
    let mut staged = Staged::default();
    let new = raw("a", 1, "{}");
    staged.create("notes", new.clone()).unwrap();
    assert!(staged.find("notes", &new.id).unwrap().is_some());
    staged.delete("notes", &new).unwrap();
    assert!(staged.find("notes", &new.id).is_none() && staged.close().is_empty());

    let mut staged = Staged::default();
    staged.delete("notes", &new).unwrap();
    assert!(staged.find("notes", &new.id).unwrap().is_none());
    assert_eq!(staged.close().into_values().next().unwrap().version_before, Some(1));
}

#[test]
fn a_staged_record_is_seen_in_its_own_collection_alone() {
    let mut staged = Staged::default();
    let new = raw("a", 1, "{}");
    staged.create("notes", new.clone()).unwrap();
    assert!(staged.find("notes", &new.id).is_some());
    assert!(staged.find("tasks", &new.id).is_none());
    assert!(staged.overlay("tasks", Vec::new(), None, None).is_empty());
}

#[test]
fn a_page_shows_the_store_as_it_will_be() {
    let mut staged = Staged::default();
    for id in ["a", "c", "e", "g"] {
        staged.create("notes", raw(id, 1, "new")).unwrap();
    }
    staged.delete("notes", &raw("d", 1, "old")).unwrap();
    let page = || vec![raw("b", 1, "old"), raw("d", 1, "old"), raw("f", 1, "old")];
    let id = |text: &str| text.parse::<ItemId>().unwrap();
    assert_eq!(ids(&staged.overlay("notes", page(), None, None)), ["a", "b", "c", "e", "f", "g"]);
    assert_eq!(ids(&staged.overlay("notes", page(), Some(&id("a")), Some(&id("f")))), ["b", "c", "e", "f"]);
}

#[test]
fn a_call_writes_at_most_its_limit() {
    let mut staged = Staged::default();
    for n in 0..WRITES_MAX {
        staged.create("notes", raw(&n.to_string(), 1, "{}")).unwrap();
    }
    assert_eq!(staged.create("notes", raw("more", 1, "{}")).unwrap_err().code(), "invalid");
}

#[test]
fn what_is_staged_after_the_commit_is_refused() {
    let mut staged = Staged::default();
    staged.create("notes", raw("a", 1, "{}")).unwrap();
    assert_eq!(staged.close().len(), 1);
    assert_eq!(staged.create("notes", raw("b", 1, "{}")).unwrap_err().code(), "internal");
    assert_eq!(staged.delete("notes", &raw("b", 1, "{}")).unwrap_err().code(), "internal");
    assert!(staged.close().is_empty());
}
