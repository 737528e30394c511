use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    AuditRecord, Chains, Decision, Entry, Head, Resource, Stage, Verified, Wrong, hash, verify::check,
    who_hash,
};
use crate::{
    Door, Role,
    canonical::Item,
    clock::{Clock, Moment},
    denials::Counted,
    tenant::{Caller, TenantId},
};

type Alter = fn(&mut Vec<Item>);

fn tenant() -> TenantId {
    TenantId::spell([7; 16])
}

fn at(seconds: i64) -> Moment {
    Clock::fixed_at_s(1_795_500_000).now().plus_s(seconds)
}

fn caller() -> Caller {
    Caller {
        subject: "arthur".to_owned(),
        issuer: "https://id.example.com".to_owned(),
        client: "chatgpt".to_owned(),
        scopes: BTreeSet::new(),
        role: Role::Member,
    }
}

/// Writes one record, and says whether it is known to be durable.
fn write(chains: &Chains, now: Moment, durable: Option<bool>) -> Item {
    let caller = caller();
    let resources = [Resource::fill("collections/notes/items/{id}", |_| Some("n1")).unwrap()];
    let entry = Entry {
        caller: Some(&caller),
        action: "notes_get",
        door: Some(Door::Tool),
        decision: Decision::Allowed,
        stage: Stage::Whole,
        code: "ok",
        resources: &resources,
        epoch: 3,
        request_id: "r",
        duration_ms: 4,
        counted: None,
        ended: &[],
    };
    let chain = chains.take(&tenant(), now).unwrap();
    let link = chain.link(&tenant(), now, &entry).unwrap();
    let item = link.item.clone();
    match durable {
        Some(true) => chains.keep(&tenant(), chain.after(link)),
        Some(false) => chains.keep(&tenant(), chain),
        None => {}
    }
    item
}

fn four() -> Vec<Item> {
    let chains = Chains::new();
    (0..4).map(|second| write(&chains, at(second), Some(true))).collect()
}

fn heads(records: &[Item]) -> BTreeMap<String, Head> {
    let heads = records.iter().map(|record| {
        let text = |name: &str| record[name].as_s().unwrap().clone();
        (text("writer"), Head { seq: record["seq"].as_n().unwrap().parse().unwrap(), hash: text("hash") })
    });
    heads.collect()
}

fn set(record: &mut Item, name: &str, value: &str) {
    record.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
}

/// What somebody does who knows how hashes are made.
fn rehash(record: &mut Item) {
    let hash = hash(record);
    set(record, "hash", &hash);
}

fn swap_times(records: &mut [Item]) {
    let keys = [records[1]["sk"].clone(), records[2]["sk"].clone()];
    for (record, key) in [(1, 1), (2, 0)] {
        records[record].insert("sk".to_owned(), keys[key].clone());
    }
    records.swap(1, 2);
}

#[test]
fn a_chain_that_is_as_it_was_written_is_in_order() {
    let records = four();
    let verified = Verified { records: 4, chains: 1, beyond_heads: 0 };
    assert_eq!(check(&records, &heads(&records)), Ok(verified));
    // The stream is behind, or has not come at all.
    assert_eq!(check(&records, &heads(&records[..3])), Ok(Verified { beyond_heads: 1, ..verified }));
    assert_eq!(check(&records, &BTreeMap::new()), Ok(Verified { beyond_heads: 4, ..verified }));
}

#[test]
fn the_first_broken_link_is_named() {
    let cases: [(&str, Alter, u64, Wrong); 12] = [
        ("another action", |all| set(&mut all[1], "action", "notes_list"), 1, Wrong::Altered),
        ("another caller", |all| set(&mut all[1], "subject", "mallory"), 1, Wrong::Altered),
        ("half a caller", |all| drop(all[1].remove("client")), 1, Wrong::Altered),
        ("something more", |all| set(&mut all[1], "note", "x"), 1, Wrong::Altered),
        ("no hash", |all| drop(all[1].remove("hash")), 1, Wrong::Altered),
        (
            "another action under a hash of its own",
            |all| {
                set(&mut all[1], "action", "notes_list");
                rehash(&mut all[1]);
            },
            1,
            Wrong::Altered,
        ),
        (
            "the last action under a hash of its own",
            |all| {
                set(&mut all[3], "action", "notes_list");
                rehash(&mut all[3]);
            },
            3,
            Wrong::Altered,
        ),
        ("no second record", |all| drop(all.remove(1)), 1, Wrong::Missing),
        ("no first record", |all| drop(all.remove(0)), 0, Wrong::Missing),
        (
            "two records in each other's place",
            |all| {
                swap_times(all);
                rehash(&mut all[1]);
                rehash(&mut all[2]);
            },
            1,
            Wrong::Reordered,
        ),
        (
            "a second record of one place",
            |all| {
                let mut second = all[1].clone();
                let key = format!("{}z", all[2]["sk"].as_s().unwrap());
                set(&mut second, "sk", &key);
                rehash(&mut second);
                all.insert(3, second);
            },
            1,
            Wrong::Forked,
        ),
        ("no end", |all| all.truncate(2), 2, Wrong::Truncated),
    ];
    for (what, alter, seq, wrong) in cases {
        let mut records = four();
        let heads = heads(&records);
        assert!(check(&records, &heads).is_ok(), "{what}: before");
        alter(&mut records);
        let found = check(&records, &heads).unwrap_err();
        assert_eq!((found.seq, found.wrong), (seq, wrong), "{what}");
    }
}

#[test]
fn what_was_swapped_without_new_hashes_is_altered() {
    let mut records = four();
    let heads = heads(&records);
    swap_times(&mut records);
    assert_eq!(check(&records, &heads).unwrap_err().wrong, Wrong::Altered);
}

#[test]
fn a_whole_chain_that_is_gone_is_known_by_its_head() {
    let (one, other) = (four(), four());
    let both: Vec<Item> = [one.clone(), other].concat();
    assert!(check(&both, &heads(&both)).is_ok());
    let found = check(&one, &heads(&both)).unwrap_err();
    assert_eq!((found.seq, found.wrong, found.record.as_str()), (0, Wrong::Truncated, ""));
}

#[test]
fn a_caller_can_be_erased_and_the_chain_still_holds() {
    let mut records = four();
    let heads = heads(&records);
    for name in ["issuer", "subject", "client", "who_salt"] {
        records[2].remove(name);
    }
    assert!(check(&records, &heads).is_ok());
    // But nobody can be put in an erased caller's place.
    for (name, value) in [("issuer", "i"), ("subject", "s"), ("client", "c"), ("who_salt", "x")] {
        set(&mut records[2], name, value);
    }
    assert_eq!(check(&records, &heads).unwrap_err().wrong, Wrong::Altered);
}

#[test]
fn a_commitment_tells_its_parts_apart() {
    assert_ne!(who_hash("ab", "c", "d", "s"), who_hash("a", "bc", "d", "s"));
    assert_ne!(who_hash("a", "b", "c", "s"), who_hash("a", "b", "c", "t"));
}

#[test]
fn a_record_that_was_not_made_leaves_its_place_to_the_next() {
    let chains = Chains::new();
    let first = write(&chains, at(0), Some(true));
    let refused = write(&chains, at(1), Some(false));
    let second = write(&chains, at(2), Some(true));
    assert_eq!((&refused["seq"], &refused["prev"]), (&second["seq"], &second["prev"]));
    assert_ne!(refused["sk"], second["sk"]);
    assert!(check(&[first, second], &BTreeMap::new()).is_ok());
}

#[test]
fn nothing_goes_on_from_a_record_of_which_nobody_knows_whether_it_was_made() {
    let chains = Chains::new();
    let first = write(&chains, at(0), Some(true));
    let lost = write(&chains, at(1), None);
    let next = write(&chains, at(2), Some(true));
    assert_eq!(lost["seq"], AttributeValue::N("1".to_owned()));
    assert_eq!(next["seq"], AttributeValue::N("0".to_owned()));
    assert_ne!(lost["writer"], next["writer"]);
    for there in [vec![first.clone(), lost, next.clone()], vec![first, next]] {
        assert_eq!(check(&there, &BTreeMap::new()).map(|verified| verified.chains), Ok(2));
    }
}

#[test]
fn two_records_at_once_are_in_two_chains() {
    let chains = Chains::new();
    drop(write(&chains, at(0), Some(true)));
    let one = chains.take(&tenant(), at(1)).unwrap();
    let other = chains.take(&tenant(), at(1)).unwrap();
    let caller = caller();
    let entry = Entry {
        caller: Some(&caller),
        action: "a",
        door: Some(Door::Tool),
        decision: Decision::Denied,
        stage: Stage::Whole,
        code: "forbidden",
        resources: &[],
        epoch: 1,
        request_id: "r",
        duration_ms: 0,
        counted: None,
        ended: &[],
    };
    let writer = |link: super::chain::Link| link.item["writer"].clone();
    let one = writer(one.link(&tenant(), at(1), &entry).unwrap());
    assert_ne!(one, writer(other.link(&tenant(), at(1), &entry).unwrap()));
}

#[test]
fn a_chain_ends_with_its_day_and_where_time_goes_back() {
    let chains = Chains::new();
    let begun = write(&chains, at(10), Some(true));
    let same = write(&chains, at(10), Some(true));
    assert_eq!(begun["writer"], same["writer"]);
    assert!(
        begun["sk"].as_s().unwrap() < same["sk"].as_s().unwrap(),
        "one moment, in the order of their places"
    );
    let earlier = write(&chains, at(9), Some(true));
    assert_ne!(same["writer"], earlier["writer"]);
    let tomorrow = write(&chains, at(24 * 3600), Some(true));
    assert_ne!(earlier["writer"], tomorrow["writer"]);
    assert_ne!(earlier["pk"], tomorrow["pk"]);
}

#[test]
fn a_record_of_counted_denials_has_its_place_in_a_chain_and_what_it_counts_is_covered() {
    let chains = Chains::new();
    let first = write(&chains, at(0), Some(true));
    let codes = BTreeMap::from([("busy", 2), ("quota_reached", 40)]);
    let counted = Counted { from: at(-60), until: at(-1), codes };
    let entry = Entry {
        caller: None,
        action: "calls",
        door: None,
        decision: Decision::Denied,
        stage: Stage::Whole,
        code: "several",
        resources: &[],
        epoch: 3,
        request_id: "",
        duration_ms: 0,
        counted: Some(&counted),
        ended: &[],
    };
    let chain = chains.take(&tenant(), at(1)).unwrap();
    let link = chain.link(&tenant(), at(1), &entry).unwrap();
    let several = link.item.clone();
    chains.keep(&tenant(), chain.after(link));
    let records = [first, several, write(&chains, at(2), Some(true))];
    assert_eq!(
        check(&records, &heads(&records)).map(|verified| (verified.records, verified.chains)),
        Ok((3, 1))
    );
    let read = AuditRecord::read(&records[1]);
    assert_eq!((read.who, read.decision.as_str()), (None, "denied"));
    let reasons = read.counted.unwrap().reasons;
    assert_eq!(reasons, BTreeMap::from([("busy".to_owned(), 2), ("quota_reached".to_owned(), 40)]));
    assert_eq!(AuditRecord::read(&records[0]).counted, None);
    let mut fewer = records.clone();
    let codes = HashMap::from([("busy".to_owned(), AttributeValue::N("1".to_owned()))]);
    fewer[1].insert("codes".to_owned(), AttributeValue::M(codes));
    let found = check(&fewer, &heads(&records)).unwrap_err();
    assert_eq!((found.wrong, found.seq), (Wrong::Altered, 1));
}
