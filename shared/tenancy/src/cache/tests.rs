//! The cache asked one question after another, and several at once.

#![expect(clippy::arithmetic_side_effects, reason = "a test whose numbers overflow has failed")]

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use static_assertions::{assert_impl_all, assert_not_impl_any};
use tokio::sync::oneshot;

use super::*;

mod measure;
mod model;
mod pressure;

const START_S: i64 = 1_795_500_000;

assert_not_impl_any!(secrecy::SecretString: Serialize, Cacheable);
assert_impl_all!(Text: Serialize, Cacheable);

/// A value that weighs about as much as its text.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Text(pub(super) String);

impl Cacheable for Text {
    const TTL_S: u32 = 60;
    const ABSENT_TTL_S: u32 = 5;

    fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// Another kind of the same content.
#[derive(Debug, Serialize)]
struct Other(String);

impl Cacheable for Other {
    const TTL_S: u32 = 60;
    const ABSENT_TTL_S: u32 = 5;
}

pub(super) fn tenant(n: u8) -> TenantId {
    TenantId::spell([n; 16])
}

pub(super) const ERA: Era = Era { everyone: 1, plan: 1, settings: 1 };

pub(super) fn key(n: u8, id: &str) -> Key {
    Key::of::<Text>(&tenant(n), ERA, id)
}

pub(super) fn found(text: &str) -> impl Future<Output = Result<Option<Text>, Problem>> {
    std::future::ready(Ok(Some(Text(text.to_owned()))))
}

fn failed() -> Result<Option<Text>, Problem> {
    Err(Problem::Invalid { detail: "it fails".to_owned() })
}

/// A fetch that must not run.
async fn needless() -> Result<Option<Text>, Problem> {
    panic!("this is kept, and was fetched all the same")
}

/// A cache at a time of its own, and what moves that.
pub(super) fn cache() -> (Cache, impl Fn(i64)) {
    let micros = Arc::new(std::sync::atomic::AtomicI64::new(START_S * 1_000_000));
    let clock = Clock::Fixed(Arc::clone(&micros));
    let pass = move |seconds: i64| {
        micros.fetch_add(seconds * 1_000_000, std::sync::atomic::Ordering::Relaxed);
    };
    (Cache::new(clock), pass)
}

async fn ask(
    cache: &Cache,
    key: &Key,
    fetch: impl Future<Output = Result<Option<Text>, Problem>>,
) -> Result<Option<String>, Problem> {
    let value = cache.get_or_fetch::<Text>(key, Tier::Free, || true, fetch).await?;
    Ok(value.map(|text| text.0.clone()))
}

/// Polls once, as nobody who wakes anybody would.
pub(super) fn poll<F: Future + ?Sized>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn is_kept(cache: &Cache, key: &Key) -> bool {
    cache.book().shares.get(&key.tenant).is_some_and(|share| share.entries.contains_key(key))
}

#[tokio::test]
async fn a_key_that_differs_in_anything_is_another() {
    let (cache, _pass) = cache();
    let first = key(1, "a");
    assert_eq!(ask(&cache, &first, found("first")).await.unwrap().unwrap(), "first");
    assert_eq!(ask(&cache, &first.clone(), needless()).await.unwrap().unwrap(), "first");
    for other in [
        key(2, "a"),
        key(1, "b"),
        Key { kind: TypeId::of::<Other>(), ..first.clone() },
        Key { era: Era { settings: 2, ..ERA }, ..first.clone() },
        Key { era: Era { plan: 2, ..ERA }, ..first.clone() },
        Key { era: Era { everyone: 2, ..ERA }, ..first.clone() },
    ] {
        assert!(!is_kept(&cache, &other), "{other:?}");
    }
    // An id is text of its own: no other tenant, kind or id can be written into it.
    for id in ["", "a\0", "a#b", "TENANT#x", &"a".repeat(9_999)] {
        assert_eq!(ask(&cache, &key(1, id), found(id)).await.unwrap().unwrap(), id);
        assert_eq!(ask(&cache, &key(1, id), needless()).await.unwrap().unwrap(), id);
    }
}

#[tokio::test]
async fn a_value_is_served_for_its_time_counted_from_the_begin_of_its_fetch() {
    let (cache, pass) = cache();
    let (send, receive) = oneshot::channel();
    let key = key(1, "a");
    let mut asked = pin!(ask(&cache, &key, async { receive.await.unwrap() }));
    assert!(poll(asked.as_mut()).is_pending());
    pass(20);
    send.send(Ok(Some(Text("slow".to_owned())))).unwrap();
    assert_eq!(asked.await.unwrap().unwrap(), "slow");
    pass(39);
    assert_eq!(ask(&cache, &key, needless()).await.unwrap().unwrap(), "slow");
    pass(1);
    assert_eq!(ask(&cache, &key, found("anew")).await.unwrap().unwrap(), "anew");
    pass(-1);
    assert_eq!(ask(&cache, &key, found("back")).await.unwrap().unwrap(), "back", "a clock that goes back");
}

#[tokio::test]
async fn that_there_is_none_is_kept_for_less_long() {
    let (cache, pass) = cache();
    let key = key(1, "a");
    assert_eq!(ask(&cache, &key, async { Ok(None) }).await.unwrap(), None);
    pass(4);
    assert_eq!(ask(&cache, &key, needless()).await.unwrap(), None);
    pass(1);
    assert_eq!(ask(&cache, &key, found("now")).await.unwrap().unwrap(), "now");
}

#[tokio::test]
async fn one_fetch_serves_all_who_wait_and_its_failure_fails_them_all() {
    for fails in [false, true] {
        let (cache, _pass) = cache();
        let key = key(1, "a");
        let (send, receive) = oneshot::channel();
        let mut first = pin!(ask(&cache, &key, async { receive.await.unwrap() }));
        let mut others: Vec<_> = (0..4).map(|_| Box::pin(ask(&cache, &key, needless()))).collect();
        assert!(poll(first.as_mut()).is_pending());
        assert!(others.iter_mut().all(|other| poll(other.as_mut()).is_pending()));
        send.send(if fails { failed() } else { Ok(Some(Text("one".to_owned()))) }).unwrap();
        let mut answers = vec![first.await];
        for other in others {
            answers.push(other.await);
        }
        for answer in answers {
            match answer {
                Err(problem) => assert!(fails && problem.to_string() == "it fails", "{problem:?}"),
                Ok(value) => assert!(!fails && value.unwrap() == "one"),
            }
        }
        assert_eq!(is_kept(&cache, &key), !fails);
        assert!(cache.book().flights.is_empty());
    }
}

#[tokio::test]
async fn who_joins_late_does_not_wait_for_what_may_be_too_old() {
    let (cache, pass) = cache();
    let key = key(1, "a");
    let mut first = pin!(ask(&cache, &key, std::future::pending()));
    assert!(poll(first.as_mut()).is_pending());
    pass(4);
    let mut joins = pin!(ask(&cache, &key, needless()));
    assert!(poll(joins.as_mut()).is_pending());
    pass(1);
    assert_eq!(ask(&cache, &key, found("own")).await.unwrap().unwrap(), "own");
}

#[tokio::test]
async fn a_fetch_that_was_taken_over_is_as_old_as_its_taking_over() {
    for (after_s, joins) in [(-1, false), (4, true), (5, false)] {
        let (cache, pass) = cache();
        let key = key(1, "a");
        let mut first = Box::pin(ask(&cache, &key, std::future::pending()));
        let mut second = pin!(ask(&cache, &key, std::future::pending()));
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        pass(3);
        drop(first);
        assert!(poll(second.as_mut()).is_pending());
        pass(after_s);
        let mut third = pin!(ask(&cache, &key, found("own")));
        assert_eq!(poll(third.as_mut()).is_pending(), joins, "{after_s}");
    }
}

#[tokio::test]
async fn a_fetch_that_is_given_up_or_panics_wedges_nobody() {
    for panics in [false, true] {
        let (cache, _pass) = cache();
        let key = key(1, "a");
        let (send, receive) = oneshot::channel::<()>();
        let fetch = async {
            receive.await.unwrap();
            std::panic::resume_unwind(Box::new("a panic of a fetch"))
        };
        let mut first = Box::pin(ask(&cache, &key, fetch));
        let mut second = pin!(ask(&cache, &key, found("second")));
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        if panics {
            send.send(()).unwrap();
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(first.as_mut())));
            assert!(caught.is_err());
        }
        drop(first);
        assert_eq!(second.await.unwrap().unwrap(), "second");
        assert_eq!(ask(&cache, &key, needless()).await.unwrap().unwrap(), "second");
        // And where nobody waits any more, nothing is left of it.
        let other_key = super::tests::key(1, "b");
        let mut alone = Box::pin(ask(&cache, &other_key, std::future::pending()));
        assert!(poll(alone.as_mut()).is_pending() && !cache.book().flights.is_empty());
        drop(alone);
        assert!(cache.book().flights.is_empty());
    }
}

#[tokio::test]
async fn what_was_begun_before_a_clear_is_neither_kept_nor_joined_after_it() {
    for clears in [None, Some(2), Some(1)] {
        let (cache, _pass) = cache();
        let key = key(1, "a");
        let (send, receive) = oneshot::channel();
        let mut before = pin!(ask(&cache, &key, async { receive.await.unwrap() }));
        assert!(poll(before.as_mut()).is_pending());
        if let Some(n) = clears {
            cache.clear(&tenant(n));
        }
        let mut after = pin!(ask(&cache, &key, found("new")));
        let joins = poll(after.as_mut()).is_pending();
        assert_eq!(joins, clears != Some(1), "{clears:?}");
        send.send(Ok(Some(Text("old".to_owned())))).unwrap();
        assert_eq!(before.await.unwrap().unwrap(), "old", "it was asked for before");
        let kept = ask(&cache, &key, needless()).await.unwrap().unwrap();
        assert_eq!(kept, if joins { "old" } else { "new" });
    }
}

#[tokio::test]
async fn what_a_call_may_not_share_is_its_own_alone() {
    let (cache, _pass) = cache();
    let key = key(1, "a");
    let (send, receive) = oneshot::channel();
    let fetch = async { receive.await.unwrap() };
    let mut own = pin!(cache.get_or_fetch::<Text>(&key, Tier::Free, || false, fetch));
    assert!(poll(own.as_mut()).is_pending());
    let mut other = pin!(ask(&cache, &key, found("shared")));
    assert!(poll(other.as_mut()).is_pending());
    send.send(Ok(Some(Text("own".to_owned())))).unwrap();
    assert_eq!(own.await.unwrap().unwrap().0, "own");
    assert_eq!(other.await.unwrap().unwrap(), "shared");
    assert_eq!(ask(&cache, &key, needless()).await.unwrap().unwrap(), "shared");
}

#[tokio::test]
async fn a_newer_era_frees_what_the_older_ones_kept() {
    let newer = |n: u8, era| Key { era, ..key(n, "a") };
    for (era, left_of_another) in [
        (Era { settings: 2, ..ERA }, true),
        (Era { plan: 2, ..ERA }, true),
        (Era { everyone: 2, ..ERA }, false),
    ] {
        let (cache, _pass) = cache();
        ask(&cache, &key(1, "a"), found("old")).await.unwrap();
        ask(&cache, &key(2, "a"), found("old")).await.unwrap();
        assert_eq!(ask(&cache, &newer(1, era), found("new")).await.unwrap().unwrap(), "new");
        assert!(!is_kept(&cache, &key(1, "a")) && is_kept(&cache, &newer(1, era)));
        assert_eq!(is_kept(&cache, &key(2, "a")), left_of_another, "{era:?}");
        // A call that began under the older era is served, and keeps nothing.
        assert_eq!(ask(&cache, &key(1, "a"), found("late")).await.unwrap().unwrap(), "late");
        assert!(!is_kept(&cache, &key(1, "a")) && is_kept(&cache, &newer(1, era)));
    }
}

#[test]
fn a_value_weighs_as_its_json_unless_it_says_otherwise() {
    assert_eq!(Other("x".repeat(100)).bytes(), mem::size_of::<Other>() + 102);
    assert_eq!(Text("x".repeat(100)).bytes(), 100);
}

#[tokio::test]
async fn statistics_are_reported_once_a_minute_and_only_where_they_changed() {
    let (cache, pass) = cache();
    assert_eq!(cache.report("Insula/test"), None);
    pass(60);
    ask(&cache, &key(1, "a"), found("x")).await.unwrap();
    ask(&cache, &key(1, "a"), needless()).await.unwrap();
    ask(&cache, &key(1, "a"), needless()).await.unwrap();
    let line = cache.report("Insula/test").unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    let metrics = &said["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(metrics["Namespace"], "Insula/test");
    assert_eq!(metrics["Dimensions"], serde_json::json!([[]]), "the tenant is a property alone");
    assert_eq!(said["_aws"]["Timestamp"], (START_S + 60) * 1_000);
    assert_eq!(said["tenant"]["id"], tenant(1).as_str());
    let counted = |said: &serde_json::Value| {
        let names =
            metrics["Metrics"].as_array().unwrap().iter().map(|metric| metric["Name"].as_str().unwrap());
        names.map(|name| said[name].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(counted(&said), [1, 258, 2, 1, 0]);
    ask(&cache, &key(1, "a"), needless()).await.unwrap();
    pass(59);
    assert_eq!(cache.report("Insula/test"), None);
    pass(1);
    let later = serde_json::from_str(&cache.report("Insula/test").unwrap()).unwrap();
    assert_eq!(
        counted(&later),
        [1, 258, 1, 0, 0],
        "what is kept is said as it is, what is counted since the last"
    );
    pass(60);
    assert_eq!(cache.report("Insula/test"), None);
}
