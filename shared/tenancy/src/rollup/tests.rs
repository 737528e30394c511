use proptest::prelude::*;

use super::*;

fn record(pairs: &[(&str, &str)]) -> Item {
    let value = |name: &str, text: &str| match name {
        "duration_ms" | "count" => AttributeValue::N(text.to_owned()),
        _ => AttributeValue::S(text.to_owned()),
    };
    let good = [
        ("action", "notes_get"),
        ("decision", "allowed"),
        ("code", "ok"),
        ("door", "tool"),
        ("at", "2026-11-23T14:00:59.000000Z"),
        ("duration_ms", "7"),
    ];
    good.iter().chain(pairs).map(|(name, text)| ((*name).to_owned(), value(name, text))).collect()
}

/// Calls of tools, requests, refusals, failures.
fn counts(pairs: &[(&str, &str)]) -> [u64; 4] {
    let (_, tally) = Tally::of_call(&record(pairs));
    [tally.tool_calls, tally.api_requests, tally.denied, tally.errors]
}

#[test]
fn a_record_counts_as_what_it_says() {
    assert_eq!(counts(&[]), [1, 0, 0, 0]);
    assert_eq!(counts(&[("door", "api")]), [0, 1, 0, 0]);
    assert_eq!(counts(&[("code", "not_found")]), [1, 0, 0, 1]);
    assert_eq!(counts(&[("decision", "denied"), ("code", "quota_reached")]), [0, 0, 1, 0]);
    for code in ["uncharged", "begun", "asking"] {
        assert_eq!(counts(&[("code", code)]), [1, 0, 0, 0], "{code}");
    }
    let (action, tally) = Tally::of_call(&record(&[]));
    let minute = "2026-11-23T14:00:00Z".parse::<Moment>().unwrap().minute();
    assert_eq!((action.as_str(), tally.last_minute, tally.latency.max_ms()), ("notes_get", Some(minute), 7));
}

#[test]
fn a_call_that_ran_on_counts_when_it_begins_and_its_problem_when_it_ends() {
    let of = |pairs: &[(&str, &str)]| {
        let (_, tally) = Tally::of_call(&record(pairs));
        ([tally.tool_calls, tally.errors, tally.latency.count()], tally.latency.max_ms())
    };
    assert_eq!(of(&[]), ([1, 0, 1], 7));
    assert_eq!(of(&[("stage", "begun")]), ([1, 0, 0], 0));
    assert_eq!(of(&[("stage", "ended"), ("code", "not_found")]), ([0, 1, 1], 7));
}

#[test]
fn a_record_tells_of_some_calls_that_ended_since() {
    let ended = |action: &str, duration_ms| Ended { action: action.to_owned(), duration_ms }.attribute();
    let mut telling = record(&[("stage", "begun")]);
    let mut told =
        vec![ended("search", 9), ended("a#b", 3), AttributeValue::Null(true), ended("search", u64::MAX)];
    told.extend((0..20).map(|_| ended("too_many", 1)));
    telling.insert("ended".to_owned(), AttributeValue::L(told));
    let counted = Tally::of(&telling);
    let of = |name: &str| -> Vec<u64> {
        counted.iter().filter(|(action, _)| action == name).map(|(_, tally)| tally.latency.max_ms()).collect()
    };
    assert_eq!((of("notes_get"), of("search")), (vec![0], vec![9, DURATION_MS_MAX]));
    assert_eq!((of(UNKNOWN_ACTION), of("too_many").len()), (vec![3], 4), "eight are looked at");
    assert_eq!(
        counted.iter().map(|(_, tally)| tally.calls()).sum::<u64>(),
        1,
        "none of them is a call once more"
    );
}

#[test]
fn no_record_counts_for_nothing() {
    // A row that is to be nothing more can't be updated, and its batch would come again and again.
    let (_, tally) = Tally::of_call(&record(&[("decision", "denied"), ("count", "0"), ("at", "")]));
    assert_eq!((tally.denied, tally.last_minute), (1, None));
}

#[test]
fn what_a_forged_record_says_fits_into_a_row() {
    let long = "a".repeat(2_000);
    for action in ["", "a b", "a#b", &long] {
        assert_eq!(Tally::of_call(&record(&[("action", action)])).0, UNKNOWN_ACTION);
    }
    let (_, tally) = Tally::of_call(&record(&[("duration_ms", "18446744073709551615")]));
    assert_eq!(tally.latency.max_ms(), DURATION_MS_MAX);
    let (_, tally) = Tally::of_call(&Item::new());
    assert_eq!((tally.calls(), tally.errors, tally.last_minute), (1, 1, None));
}

#[test]
fn a_percentile_is_the_end_of_its_class_and_at_most_the_longest() {
    let mut latency = Latency::default();
    assert_eq!((latency.percentile_ms(50), latency.mean_ms()), (0, 0));
    for ms in [1, 4, 5, 6, 30, 40, 45, 50, 150, 20_000] {
        latency.add(ms);
    }
    assert_eq!(latency.classes, [3, 1, 0, 4, 0, 1, 0, 0, 0, 0, 0, 1]);
    let [p50, p90, p95] = [50, 90, 95].map(|percent| latency.percentile_ms(percent));
    assert_eq!((p50, p90, p95, latency.mean_ms()), (50, 200, 20_000, 2_033));
}

#[test]
fn a_row_is_of_a_day_and_a_month_is_a_partition() {
    let row = RowOf {
        tenant: TenantId::spell([7; 16]),
        day: "2026-11-23".to_owned(),
        action: "notes_get".to_owned(),
    };
    let key = row.key();
    assert!(key["pk"].as_s().unwrap().ends_with("#ROLLUP#2026-11"));
    assert_eq!(key["sk"].as_s().unwrap(), "23#notes_get");
}

#[test]
fn what_is_no_more_than_before_is_not_replaced() {
    let tally = |ms: &str, at: &str| Tally::of_call(&record(&[("duration_ms", ms), ("at", at)])).1;
    let update = |tally: &Tally, before: Option<&Tally>| {
        let update = tally
            .more(before, UpdateBuilder::default().table_name("t").key("pk", AttributeValue::Null(true)));
        let update = update.build().unwrap();
        (update.update_expression, update.condition_expression)
    };
    let before = tally("50", "2026-11-23T14:05:00Z");
    let (expression, condition) = update(&tally("50", "2026-11-23T14:05:59Z"), Some(&before));
    assert_eq!(
        (expression.as_str(), condition),
        ("ADD tool_calls :tool_calls, ms_le_50 :ms_le_50, ms_sum :ms_sum", None)
    );
    let (expression, condition) = update(&tally("51", "2026-11-23T14:06:00Z"), Some(&before));
    assert!(expression.ends_with(" SET ms_max = :ms_max, last_minute = :last_minute"), "{expression}");
    let condition = condition.unwrap();
    assert!(condition.contains("ms_max < :ms_max") && condition.contains("last_minute < :last_minute"));
}

proptest! {
    /// However records are divided into batches, their sum is the same.
    #[test]
    fn a_sum_is_the_same_in_whatever_parts(durations in prop::collection::vec(0_u64..20_000, 0..40), at in 0_usize..40) {
        let tallies: Vec<_> =
            durations.iter().map(|ms| Tally::of_call(&record(&[("duration_ms", &ms.to_string())])).1).collect();
        let (early, late) = tallies.split_at(at.min(tallies.len()));
        let mut parts = sum(early.iter());
        parts.merge(&sum(late.iter()));
        prop_assert_eq!(parts.latency.count(), u64::try_from(durations.len()).unwrap());
        prop_assert_eq!(parts, sum(tallies.iter()));
    }
}
