//! What an instance decides by itself before it asks anybody: how many calls of a tenant it runs at once, a quota that is
//! known to be used up, and what a tenant keeps, where that has left no room time and again.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashlink::LruCache;

use crate::{
    Problem,
    clock::Clock,
    quota::{Quota, Reset},
    recount::Stock,
    tenant::TenantId,
};

/// Calls of one tenant that an instance runs at once. Lambda gives an instance one at a time; where it gives more, no
/// tenant has all of them.
const RUNNING_MAX: u32 = 16;
/// For so long an instance refuses without asking, after the store or the plan has said that nothing is left. It bounds how
/// late a raised limit is seen by an instance to which nobody says the new epoch.
const BELIEVED_S: i64 = 2;
/// So many refusals of the store make a flood. Whoever calls less is never refused by what an instance remembers, so that a
/// raised limit is seen by the very next call.
const FLOOD_MIN: u32 = 8;
/// Calls of one tenant in a minute that an instance lets look at what is used. They are not charged, and each has a record.
const LOOKS_MAX: u32 = 60;
/// Tenants whose quotas an instance remembers.
const TENANTS_MAX: usize = 10_000;
/// Names of calls that it has seen repeated, of all tenants.
const REPEATED_MAX: usize = 10_000;

/// A tenant's quota of calls that is used up.
#[derive(Debug, Clone)]
struct Spent {
    /// The epoch that the request brought whose refusal this was: any other one ends it.
    routed_epoch: u64,
    /// That of the plan that the store refused it under.
    plan_epoch: u64,
    quota: Quota,
    /// How often the store has refused for it.
    refusals: u32,
    resets_s: i64,
    /// When it was known last.
    known_s: i64,
}

/// What a tenant keeps, which has left a call no room.
#[derive(Debug)]
struct Full {
    /// That of the request, and that of the plan.
    epochs: (u64, u64),
    stock: Stock,
    refusals: u32,
    /// When the store said so, and when one was last sent to ask again.
    known_s: i64,
    asked_s: i64,
}

/// What is known of a tenant's quota.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: the store is asked.
    Nothing,
    /// It is used up.
    Spent(Quota),
    /// It was used up a while ago, under a plan of this epoch. Whoever is told so finds out whether it still is the plan.
    Doubtful(Quota, u64),
}

/// Of all tenants that an instance serves.
pub(crate) struct Turnstile {
    clock: Clock,
    running: Mutex<HashMap<TenantId, u32>>,
    spent: Mutex<LruCache<TenantId, Spent>>,
    full: Mutex<LruCache<TenantId, Full>>,
    /// The minute of a tenant's last look, and how many there were in it.
    looks: Mutex<LruCache<TenantId, (i64, u32)>>,
    /// Names of idempotency records that were found: each is one tenant's.
    repeated: Mutex<LruCache<String, ()>>,
}

/// A call that runs; it ends when this is dropped, in whatever way.
pub(crate) struct Running {
    turnstile: Arc<Turnstile>,
    tenant: TenantId,
}

impl Turnstile {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            running: Mutex::default(),
            spent: Mutex::new(LruCache::new(TENANTS_MAX)),
            full: Mutex::new(LruCache::new(TENANTS_MAX)),
            looks: Mutex::new(LruCache::new(TENANTS_MAX)),
            repeated: Mutex::new(LruCache::new(REPEATED_MAX)),
        }
    }

    /// Lets one more call of the tenant run.
    ///
    /// # Errors
    /// [`Problem::Busy`] where as many run as may.
    pub(crate) fn enter(self: &Arc<Self>, tenant: &TenantId) -> Result<Arc<Running>, Problem> {
        let mut running = open(&self.running);
        let count = running.entry(tenant.clone()).or_default();
        if *count >= RUNNING_MAX {
            return Err(Problem::Busy);
        }
        *count = count.saturating_add(1);
        Ok(Arc::new(Running { turnstile: Arc::clone(self), tenant: tenant.clone() }))
    }

    /// Lets one more call of the tenant look at what is used.
    ///
    /// # Errors
    /// [`Problem::Busy`] where as many have looked in this minute as may.
    pub(crate) fn look(&self, tenant: &TenantId) -> Result<(), Problem> {
        let minute = self.clock.now().minute();
        let mut looks = open(&self.looks);
        let before = looks.get(tenant).filter(|(then, _)| *then == minute).map_or(0, |(_, count)| *count);
        if before >= LOOKS_MAX {
            return Err(Problem::Busy);
        }
        looks.insert(tenant.clone(), (minute, before.saturating_add(1)));
        Ok(())
    }

    /// Remembers that a call was repeated. A repetition is not charged, so the next ones are to cost a read, and no
    /// transaction that comes to nothing.
    pub(crate) fn repeated(&self, name: &str) {
        open(&self.repeated).insert(name.to_owned(), ());
    }

    /// Whether a call was repeated, as far as is known.
    pub(crate) fn is_repeated(&self, name: &str) -> bool {
        open(&self.repeated).get(name).is_some()
    }

    /// Remembers what the tenant keeps, which has left a call no room.
    pub(crate) fn remember_full(&self, tenant: &TenantId, epochs: (u64, u64), stock: &Stock) {
        let known_s = self.clock.now().seconds();
        let mut all = open(&self.full);
        let before =
            all.get(tenant).filter(|before| before.epochs == epochs).map_or(0, |before| before.refusals);
        let refusals = before.saturating_add(1);
        let full = Full { epochs, stock: stock.clone(), refusals, known_s, asked_s: known_s };
        all.insert(tenant.clone(), full);
    }

    /// What the tenant keeps, where that is beyond doubt: many calls were left no room, and it was so a moment ago. Any call may
    /// make room, so where it is in doubt one asks the store, and the others go on believing meanwhile, for as long again and no longer.
    pub(crate) fn kept(&self, tenant: &TenantId, epochs: (u64, u64)) -> Option<Stock> {
        let now_s = self.clock.now().seconds();
        let mut all = open(&self.full);
        let full = all.get_mut(tenant).filter(|full| full.epochs == epochs && full.refusals >= FLOOD_MIN)?;
        let is_believed = is_fresh(full.known_s, now_s)
            || is_fresh(full.asked_s, now_s) && is_fresh(full.known_s.saturating_add(BELIEVED_S), now_s);
        if !is_believed {
            full.asked_s = now_s;
            return None;
        }
        Some(full.stock.clone())
    }

    /// Forgets what it knows of what the tenant keeps, since that has changed.
    pub(crate) fn forget_full(&self, tenant: &TenantId) {
        open(&self.full).remove(tenant);
    }

    /// Remembers what the store has said of a quota of calls, for requests that bring the same epoch.
    pub(crate) fn remember(&self, tenant: &TenantId, (routed_epoch, plan_epoch): (u64, u64), quota: &Quota) {
        let Some(resets_s) = quota.resets.map(|reset| reset.at_s) else { return };
        let (quota, known_s) = (quota.clone(), self.clock.now().seconds());
        let mut all = open(&self.spent);
        let is_same = |before: &&Spent| {
            (before.routed_epoch, before.plan_epoch, before.resets_s) == (routed_epoch, plan_epoch, resets_s)
        };
        let before = all.get(tenant).filter(is_same).map_or(0, |before| before.refusals);
        let refusals = before.saturating_add(1);
        all.insert(tenant.clone(), Spent { routed_epoch, plan_epoch, quota, refusals, resets_s, known_s });
    }

    /// The quota that is known to be used up, if that is beyond doubt.
    pub(crate) fn believed(&self, tenant: &TenantId, routed_epoch: u64) -> Option<Quota> {
        let now_s = self.clock.now().seconds();
        let mut spent = open(&self.spent);
        let spent = spent.get(tenant)?;
        (spent.is_flood() && spent.holds(routed_epoch, now_s) && is_fresh(spent.known_s, now_s))
            .then(|| spent.quota_at(&self.clock))
    }

    /// What is known of the tenant's quota. A doubt is told to one, and the others go on believing meanwhile.
    pub(crate) fn known(&self, tenant: &TenantId, routed_epoch: u64) -> Known {
        let now_s = self.clock.now().seconds();
        let mut all = open(&self.spent);
        let Some(spent) = all.get_mut(tenant) else { return Known::Nothing };
        if !spent.holds(routed_epoch, now_s) {
            all.remove(tenant);
            return Known::Nothing;
        }
        if !spent.is_flood() {
            return Known::Nothing;
        }
        let quota = spent.quota_at(&self.clock);
        if is_fresh(spent.known_s, now_s) {
            return Known::Spent(quota);
        }
        spent.known_s = now_s;
        Known::Doubtful(quota, spent.plan_epoch)
    }

    /// Forgets what it knows of the tenant's quota, since something newer was seen.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        open(&self.spent).remove(tenant);
    }
}

impl Spent {
    fn holds(&self, routed_epoch: u64, now_s: i64) -> bool {
        self.routed_epoch == routed_epoch && now_s < self.resets_s
    }

    const fn is_flood(&self) -> bool {
        self.refusals >= FLOOD_MIN
    }

    fn quota_at(&self, clock: &Clock) -> Quota {
        Quota { resets: Some(Reset::at(self.resets_s, clock.now())), ..self.quota.clone() }
    }
}

/// Whether what was known then may be believed. A clock that went back says nothing of how long ago it was.
fn is_fresh(known_s: i64, now_s: i64) -> bool {
    (known_s..known_s.saturating_add(BELIEVED_S)).contains(&now_s)
}

impl Running {
    pub(crate) fn turnstile(&self) -> &Turnstile {
        &self.turnstile
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = open(&self.turnstile.running);
        match running.get_mut(&self.tenant) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _ => {
                running.remove(&self.tenant);
            }
        }
    }
}

/// Nothing can panic under either lock.
fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Turnstile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turnstile").finish_non_exhaustive()
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::QuotaKind;

    const NOW_S: i64 = 1_795_500_000;

    fn turnstile() -> (Arc<Turnstile>, Arc<AtomicI64>) {
        let micros = Arc::new(AtomicI64::new(NOW_S * 1_000_000));
        (Arc::new(Turnstile::new(Clock::Fixed(Arc::clone(&micros)))), micros)
    }

    fn tenant(n: u8) -> TenantId {
        TenantId::spell([n; 16])
    }

    fn minute(in_s: u64) -> Quota {
        let resets = Some(Reset { at_s: NOW_S + 30, in_s });
        Quota { kind: QuotaKind::CallsMinute, limit: 30, used: 30, resets, contact: None }
    }

    #[test]
    fn a_tenant_runs_so_many_calls_at_once_and_another_is_not_kept_out() {
        let (turnstile, _) = turnstile();
        let mut running: Vec<_> = (0..RUNNING_MAX).map(|_| turnstile.enter(&tenant(1)).unwrap()).collect();
        assert!(matches!(turnstile.enter(&tenant(1)), Err(Problem::Busy)));
        assert!(turnstile.enter(&tenant(2)).is_ok());
        running.pop();
        running.push(turnstile.enter(&tenant(1)).unwrap());
        assert!(
            matches!(turnstile.enter(&tenant(1)), Err(Problem::Busy)),
            "one has ended, and one is let in"
        );
        drop(running);
        assert!(open(&turnstile.running).is_empty(), "whoever has gone is forgotten");
    }

    #[test]
    fn a_tenant_looks_so_often_in_a_minute_and_in_the_next_one_again() {
        let (turnstile, micros) = turnstile();
        for _ in 0..2 {
            for _ in 0..LOOKS_MAX {
                assert!(turnstile.look(&tenant(1)).is_ok());
            }
            assert!(matches!(turnstile.look(&tenant(1)), Err(Problem::Busy)));
            assert!(turnstile.look(&tenant(2)).is_ok(), "another tenant is not kept out");
            micros.fetch_add(60_000_000, Ordering::Relaxed);
        }
    }

    /// The store refuses so often that it is a flood.
    fn flood(turnstile: &Turnstile, tenant: &TenantId, epochs: (u64, u64)) {
        (0..FLOOD_MIN).for_each(|_| turnstile.remember(tenant, epochs, &minute(30)));
    }

    #[test]
    fn who_is_refused_a_few_times_is_asked_for_anew() {
        let (turnstile, _) = turnstile();
        let own = tenant(1);
        for _ in 1..FLOOD_MIN {
            turnstile.remember(&own, (5, 6), &minute(30));
            assert_eq!((turnstile.believed(&own, 5), turnstile.known(&own, 5)), (None, Known::Nothing));
        }
        turnstile.remember(&own, (5, 7), &minute(30));
        assert_eq!(turnstile.believed(&own, 5), None, "of another plan it is the first");
        flood(&turnstile, &own, (5, 7));
        assert_eq!(turnstile.believed(&own, 5), Some(minute(30)));
    }

    #[test]
    fn a_quota_is_believed_for_a_moment_then_doubted_by_one() {
        let (turnstile, micros) = turnstile();
        let own = tenant(1);
        assert_eq!(turnstile.known(&own, 5), Known::Nothing);
        flood(&turnstile, &own, (5, 6));
        for _ in 0..2 {
            assert_eq!(turnstile.believed(&own, 5), Some(minute(30)));
            assert_eq!(turnstile.known(&own, 5), Known::Spent(minute(30)));
        }
        assert_eq!(turnstile.believed(&tenant(2), 5), None, "of another tenant nothing is known");
        micros.fetch_add(BELIEVED_S * 1_000_000, Ordering::Relaxed);
        assert_eq!(turnstile.believed(&own, 5), None);
        assert_eq!(turnstile.known(&own, 5), Known::Doubtful(minute(28), 6));
        assert_eq!(turnstile.known(&own, 5), Known::Spent(minute(28)), "one finds out, the others believe");
        turnstile.forget(&own);
        assert_eq!(turnstile.known(&own, 5), Known::Nothing);
    }

    #[test]
    fn another_epoch_or_the_end_of_the_period_ends_what_is_known() {
        let (turnstile, micros) = turnstile();
        let own = tenant(1);
        for other in [4, 6] {
            flood(&turnstile, &own, (5, 5));
            assert_eq!(turnstile.believed(&own, other), None, "{other}");
            assert_eq!(turnstile.believed(&own, 5), Some(minute(30)));
            assert_eq!(turnstile.known(&own, other), Known::Nothing);
            assert_eq!(turnstile.known(&own, 5), Known::Nothing, "it is forgotten");
        }
        micros.fetch_add(29_000_000, Ordering::Relaxed);
        flood(&turnstile, &own, (5, 5));
        assert_eq!(turnstile.known(&own, 5), Known::Spent(minute(1)));
        micros.fetch_add(1_000_000, Ordering::Relaxed);
        assert_eq!(turnstile.believed(&own, 5), None);
        assert_eq!(turnstile.known(&own, 5), Known::Nothing);
    }

    #[test]
    fn what_is_kept_has_no_period_and_is_not_remembered() {
        let (turnstile, _) = turnstile();
        let quota = Quota { kind: QuotaKind::Items, limit: 1, used: 1, resets: None, contact: None };
        (0..FLOOD_MIN).for_each(|_| turnstile.remember(&tenant(1), (5, 5), &quota));
        assert_eq!(turnstile.known(&tenant(1), 5), Known::Nothing);
    }
}
