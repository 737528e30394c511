//! Who gives way when there is no room: with numbers, and against a plain model.

use proptest::prelude::*;

use super::*;

/// Room for 4 tenants: 4 × (600 + 400) bytes. An entry of weight `n` has an id of one letter and a text of `n - 257`.
const BOUNDS: Bounds = Bounds {
    bytes_max: 4_000,
    tenant_bytes_max: 2_000,
    tenant_bytes_min: 600,
    entry_bytes_max: 400,
    tenants_max: 4,
};

const TIERS: [Tier; 5] = [Tier::Business, Tier::Free, Tier::Starter, Tier::Free, Tier::Professional];

/// Keeps an entry of this weight; the clock goes on by a microsecond, so that no two tenants were used at once.
fn put(cache: &Cache, n: u8, id: char, weight: usize) {
    let text = Text("x".repeat(weight - Bounds::ENTRY_OVERHEAD_BYTES - 1));
    let tier = TIERS[usize::from(n)];
    let key = key(n, &id.to_string());
    let Clock::Fixed(micros) = &cache.clock else { panic!("a fixed clock") };
    micros.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut asked = pin!(cache.get_or_fetch::<Text>(&key, tier, || true, async { Ok(Some(text)) }));
    assert!(matches!(poll(asked.as_mut()), Poll::Ready(Ok(Some(_)))));
}

/// The ids that are kept for a tenant, those that were used least recently first.
fn kept(cache: &Cache, n: u8) -> String {
    let book = cache.book();
    let share = book.shares.get(&tenant(n));
    share.map_or_else(String::new, |share| share.entries.keys().map(|key| &*key.id).collect())
}

fn small() -> Cache {
    Cache::bounded(Clock::fixed_at_s(START_S), BOUNDS)
}

#[test]
fn the_bounds_leave_everybody_their_least() {
    assert!(BOUNDS.can_be_kept() && Bounds::INSTANCE.can_be_kept());
    assert!(!Bounds { tenants_max: 5, ..BOUNDS }.can_be_kept());
}

#[test]
fn a_tenant_has_no_more_than_its_share_however_much_room_there_is() {
    let cache = small();
    "abcde".chars().for_each(|id| put(&cache, 0, id, 400));
    assert_eq!(kept(&cache, 0), "abcde", "2000 of 2000");
    put(&cache, 0, 'a', 400);
    put(&cache, 0, 'f', 300);
    assert_eq!(kept(&cache, 0), "cdeaf", "1900: the one that was used least recently went");
    assert_eq!(cache.book().shares[&tenant(0)].stats().evictions, 1);
}

#[test]
fn what_is_too_heavy_is_served_and_not_kept() {
    let cache = small();
    put(&cache, 0, 'a', 400);
    put(&cache, 0, 'b', 401);
    assert_eq!(kept(&cache, 0), "a");
}

#[test]
fn lower_tiers_give_way_first_and_keep_their_least() {
    let cache = small();
    "abcde".chars().for_each(|id| put(&cache, 1, id, 300)); // free: 1500
    "abcde".chars().for_each(|id| put(&cache, 2, id, 400)); // starter: 2000
    put(&cache, 0, 'a', 400); // business: 400, 3900 in all
    assert_eq!(
        (kept(&cache, 0), kept(&cache, 1), kept(&cache, 2)),
        ("a".into(), "abcde".into(), "abcde".into())
    );
    put(&cache, 0, 'b', 400); // 4300
    assert_eq!((kept(&cache, 1), kept(&cache, 2)), ("bcde".into(), "abcde".into()), "free first: 4000");
    put(&cache, 0, 'c', 400);
    put(&cache, 0, 'd', 400);
    // Free has 600, its least; so starter gives, though free is of the lower tier.
    assert_eq!((kept(&cache, 1), kept(&cache, 2)), ("de".into(), "bcde".into()));
    put(&cache, 0, 'e', 400); // business has 2000, starter 1600 less 400
    assert_eq!(
        (kept(&cache, 0), kept(&cache, 1), kept(&cache, 2)),
        ("abcde".into(), "de".into(), "cde".into())
    );
    // Who is of the lowest tier and asks for more than its least pays for that itself.
    put(&cache, 1, 'f', 300);
    assert_eq!((kept(&cache, 1), kept(&cache, 2)), ("ef".into(), "cde".into()));
}

#[test]
fn what_has_expired_makes_room_before_what_has_not() {
    let cache = small();
    let Clock::Fixed(micros) = &cache.clock else { panic!("a fixed clock") };
    "abcde".chars().for_each(|id| put(&cache, 0, id, 400));
    micros.fetch_add(30_000_000, std::sync::atomic::Ordering::Relaxed);
    "abcde".chars().for_each(|id| put(&cache, 1, id, 400));
    micros.fetch_add(30_000_000, std::sync::atomic::Ordering::Relaxed);
    put(&cache, 2, 'a', 400);
    let all = (kept(&cache, 0), kept(&cache, 1), kept(&cache, 2));
    assert_eq!(all, (String::new(), "abcde".into(), "a".into()), "a higher tier's, but over");
}

#[test]
fn where_there_are_too_many_tenants_one_below_leaves_and_none_above() {
    let cache = small();
    for n in [0, 4, 2, 1] {
        put(&cache, n, 'a', 300);
    }
    put(&cache, 3, 'a', 300);
    assert_eq!((kept(&cache, 1), kept(&cache, 3)), (String::new(), "a".into()), "free for free");
    let another = |n: u8, tier| {
        let key = key(n, "a");
        let mut asked = pin!(cache.get_or_fetch::<Text>(&key, tier, || true, found("x")));
        assert!(poll(asked.as_mut()).is_ready(), "it is served");
        kept(&cache, n)
    };
    assert_eq!(another(10, Tier::Starter), "a");
    assert_eq!((kept(&cache, 3), kept(&cache, 2)), (String::new(), "a".into()));
    assert_eq!(another(11, Tier::Free), "", "the others are of higher tiers");
    // One who keeps nothing has no place to lose.
    cache.clear(&tenant(0));
    assert_eq!(another(12, Tier::Free), "a");
}

/// One entry of the model, which has all of them in one list in the order of use.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    n: u8,
    id: char,
    weight: usize,
}

/// The rules, as plain as they can be written.
#[derive(Debug, Default)]
struct Model {
    list: Vec<Kept>,
    /// The tenants in the order of use.
    used: Vec<u8>,
}

impl Model {
    fn bytes(&self, n: u8) -> usize {
        self.list.iter().filter(|kept| kept.n == n).map(|kept| kept.weight).sum()
    }

    fn first(&self, n: u8) -> Option<&Kept> {
        self.list.iter().find(|kept| kept.n == n)
    }

    fn evict(&mut self, n: u8) {
        let first = self.first(n).unwrap().clone();
        self.list.retain(|kept| *kept != first);
    }

    fn can_give(&self, n: u8) -> bool {
        self.first(n).is_some_and(|first| self.bytes(n) - first.weight >= BOUNDS.tenant_bytes_min)
    }

    fn put(&mut self, n: u8, id: char, weight: usize) {
        self.used.retain(|one| *one != n);
        self.used.push(n);
        if let Some(at) = self.list.iter().position(|kept| (kept.n, kept.id) == (n, id)) {
            let hit = self.list.remove(at);
            self.list.push(hit);
            return;
        }
        if weight > BOUNDS.entry_bytes_max {
            return;
        }
        self.list.push(Kept { n, id, weight });
        while self.bytes(n) > BOUNDS.tenant_bytes_max {
            self.evict(n);
        }
        while self.list.iter().map(|kept| kept.weight).sum::<usize>() > BOUNDS.bytes_max {
            let givers = self.used.iter().copied().filter(|n| self.can_give(*n));
            let order = |n: &u8| (TIERS[usize::from(*n)], std::cmp::Reverse(self.bytes(*n)));
            let gives = givers.min_by_key(order).expect("somebody can always give");
            self.evict(gives);
        }
    }
}

proptest! {
    #[test]
    fn under_pressure_the_cache_does_as_its_plain_model(
        puts in prop::collection::vec((0_u8..4, prop::char::range('a', 'h'), 258_usize..=410), 0..120)
    ) {
        let (cache, mut model) = (small(), Model::default());
        for (n, id, weight) in puts {
            let before: Vec<usize> = (0..4).map(|n| model.bytes(n)).collect();
            put(&cache, n, id, weight);
            model.put(n, id, weight);
            for other in 0..4 {
                let of_model: String = model.list.iter().filter(|kept| kept.n == other).map(|kept| kept.id).collect();
                prop_assert_eq!(kept(&cache, other), of_model);
                let bytes = cache.book().shares.get(&tenant(other)).map_or(0, |share| share.bytes);
                prop_assert_eq!(bytes, model.bytes(other));
                // The three promises, whatever the model does.
                prop_assert!(bytes <= BOUNDS.tenant_bytes_max);
                if other != n && bytes < before[usize::from(other)] {
                    prop_assert!(bytes >= BOUNDS.tenant_bytes_min, "{} is below its least", other);
                    let below = (0..4).filter(|n| TIERS[usize::from(*n)] < TIERS[usize::from(other)]);
                    prop_assert!(below.into_iter().all(|n| !model.can_give(n)), "a lower tier could give");
                }
            }
            prop_assert!((0..4).map(|n| model.bytes(n)).sum::<usize>() <= BOUNDS.bytes_max);
        }
    }
}
