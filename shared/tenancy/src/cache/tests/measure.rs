//! What a hit costs. The optimised numbers are in the docs of [`Cache`]; here they only must not be of another order.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use super::*;

#[test]
fn a_hit_costs_a_small_part_of_a_read_of_the_store() {
    for (tenants, ids) in [(1, 20), (200, 100)] {
        let (cache, _pass) = cache();
        let keys: Vec<Key> =
            (0..tenants).flat_map(|n| (0..ids).map(move |id| key(n, &format!("rates-{id}")))).collect();
        let hit = |key: &Key, text: &str| {
            // As a call does it: the key is made anew for each question.
            let key = Key::of::<Text>(&key.tenant, key.era, &key.id);
            let mut asked = pin!(cache.get_or_fetch::<Text>(&key, Tier::Free, || true, found(text)));
            assert!(poll(asked.as_mut()).is_ready());
        };
        keys.iter().for_each(|key| hit(key, &"x".repeat(1_000)));
        let round = || {
            let start = Instant::now();
            keys.iter().cycle().step_by(7).take(20_000).for_each(|key| hit(key, ""));
            start.elapsed() / 20_000
        };
        let best = (0..10).map(|_| round()).min().unwrap_or(Duration::MAX);
        let book = cache.book();
        let stats = book.shares.values().map(|share| share.stats());
        let entries: u64 = stats.clone().map(|stats| stats.entries).sum();
        let bytes: u64 = stats.clone().map(|stats| stats.bytes).sum();
        writeln!(std::io::stderr(), "a hit: {best:?}, with {entries} entries of {bytes} bytes").unwrap();
        assert_eq!(entries, keys.len() as u64, "all are kept");
        assert_eq!(stats.map(|stats| stats.misses).sum::<u64>(), entries, "and were fetched once");
        assert!(best < Duration::from_micros(50), "{best:?}");
    }
}
