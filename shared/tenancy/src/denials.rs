//! Denials that are counted: an instance writes one record of a window, however many there are, so that nobody can buy
//! writes. Those of a tenant that is not known go to the operator's own partitions.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use hashlink::LruCache;

use crate::{
    Problem,
    aws::{number, store_problem},
    canonical::Item,
    clock::{Clock, Moment},
    crypto::random_bits,
    metric,
    tenant::TenantId,
};

/// Seconds of a window, from its first denial.
pub(crate) const WINDOW_S: i64 = 60;
/// Denials of one tenant and window that have records of their own, with who called and what for. The others are counted.
const RECORDS_MAX: u32 = 20;
/// Tenants whose windows an instance keeps open. What was counted in one that gives way is in the metric alone.
const TENANTS_MAX: usize = 200;
/// Records of the operator's partitions are kept for 400 days, since anybody can cause them.
const KEPT_S: i64 = 400 * 24 * 3600;

/// The denials of one window that have no records of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    /// When the first was.
    pub(crate) from: Moment,
    /// When the last was.
    pub(crate) until: Moment,
    /// How many, by code. Codes are a closed set, so nobody's text is in it.
    pub(crate) codes: BTreeMap<&'static str, u64>,
}

impl Counted {
    pub(crate) fn one(code: &'static str, now: Moment) -> Self {
        Self { from: now, until: now, codes: BTreeMap::from([(code, 1)]) }
    }

    /// How many in all.
    pub(crate) fn count(&self) -> u64 {
        self.codes.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn add(&mut self, other: &Self) {
        self.from = self.from.min(other.from);
        self.until = self.until.max(other.until);
        for (code, more) in &other.codes {
            let count = self.codes.entry(code).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// What every record of counted denials says.
    pub(crate) fn attributes(&self) -> Item {
        let codes = self.codes.iter().map(|(code, count)| ((*code).to_owned(), number(*count)));
        Item::from([
            ("from".to_owned(), AttributeValue::S(self.from.rfc3339())),
            ("until".to_owned(), AttributeValue::S(self.until.rfc3339())),
            ("count".to_owned(), number(self.count())),
            ("codes".to_owned(), AttributeValue::M(codes.collect())),
        ])
    }
}

/// A window that runs, or has ended and was not written yet.
#[derive(Debug)]
struct Window {
    opened: Moment,
    /// Denials that have records of their own.
    recorded: u32,
    counted: Option<Counted>,
}

/// What an instance has counted, and its way to the operator's partitions.
pub(crate) struct Denials {
    windows: Mutex<LruCache<Option<TenantId>, Window>>,
    pub(crate) clock: Clock,
    metrics_namespace: Option<String>,
    /// In a function that denies on its own.
    ledger: Option<Ledger>,
}

/// The operator's partitions of the data table, which the functions' roles can only add to.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) client: Client,
    pub(crate) table: String,
}

/// The partition of a day's denials.
pub(crate) fn partition(day: &str) -> String {
    format!("{PARTITIONS}{day}")
}

/// What the names of the operator's partitions begin with.
pub(crate) const PARTITIONS: &str = "OPERATOR#DENIALS#";

impl Denials {
    pub(crate) fn new(clock: Clock, metrics_namespace: Option<String>, ledger: Option<Ledger>) -> Self {
        // One more than the tenants: the window of nobody's is used all the time, so it never gives way.
        let windows = Mutex::new(LruCache::new(TENANTS_MAX.saturating_add(1)));
        Self { windows, clock, metrics_namespace, ledger }
    }

    /// Whether one more of a tenant's denials may have a record of its own in its trail. It is counted where it may not.
    pub(crate) fn may_record(&self, tenant: &TenantId, code: &'static str) -> bool {
        let now = self.clock.now();
        let may = self.takes(Some(tenant), RECORDS_MAX, now);
        if !may {
            self.put(Some(tenant), &Counted::one(code, now), now);
        }
        may
    }

    /// Counts one of a tenant's that an instance makes by itself.
    pub(crate) fn count(&self, tenant: &TenantId, problem: &Problem) {
        self.count_code(tenant, problem.code());
    }

    /// The same of one whose code is known.
    pub(crate) fn count_code(&self, tenant: &TenantId, code: &'static str) {
        let now = self.clock.now();
        self.put(Some(tenant), &Counted::one(code, now), now);
    }

    /// Whether there is something to write of a window of this tenant's that has ended.
    pub(crate) fn has_ended(&self, tenant: &TenantId) -> bool {
        let now = self.clock.now();
        let mut windows = self.windows();
        let window = windows.get(&Some(tenant.clone()));
        window.is_some_and(|window| !is_running(window, now) && window.counted.is_some())
    }

    /// What was counted of a tenant's in a window that has ended. Whoever takes it writes it, or puts it back.
    pub(crate) fn take_ended(&self, tenant: &TenantId) -> Option<Counted> {
        self.ended(Some(tenant), self.clock.now())
    }

    pub(crate) fn put_back(&self, tenant: &TenantId, counted: &Counted) {
        self.put(Some(tenant), counted, self.clock.now());
    }

    /// The line of the metric of one denial; nothing for a problem that is none.
    pub(crate) fn line(&self, problem: &Problem, tenant: Option<&TenantId>) -> Option<String> {
        let about = (self.metrics_namespace.as_deref()?, "a request was denied");
        let count = [("Denials", "Count", 1)];
        Some(metric::line(about, tenant, Some(code(problem)?), self.clock.now(), &count) + "\n")
    }

    /// Records a denial of which no tenant's trail can tell: the first one of a window at once, and the others with the
    /// first request after its end.
    pub(crate) async fn record(&self, problem: &Problem, request_id: &str) {
        let Some(code) = trailless(problem) else { return };
        self.write_ended().await;
        let now = self.clock.now();
        let counted = Counted::one(code, now);
        if self.takes(None, 1, now) {
            self.write(counted, Some(request_id)).await;
        } else {
            self.put(None, &counted, now);
        }
    }

    /// Writes what was counted in a window that has ended.
    pub(crate) async fn write_ended(&self) {
        if let Some(counted) = self.ended(None, self.clock.now()) {
            self.write(counted, None).await;
        }
    }

    /// Whether the window that runs, or is opened now, takes one more record beside that of what is counted.
    fn takes(&self, whose: Option<&TenantId>, records_max: u32, now: Moment) -> bool {
        let mut windows = self.windows();
        let counted = match windows.get_mut(&whose.cloned()) {
            Some(window) if is_running(window, now) => {
                let may = window.recorded < records_max;
                window.recorded = window.recorded.saturating_add(1);
                return may;
            }
            Some(window) => window.counted.take(),
            None => None,
        };
        windows.insert(whose.cloned(), Window { opened: now, recorded: 1, counted });
        true
    }

    fn ended(&self, whose: Option<&TenantId>, now: Moment) -> Option<Counted> {
        let mut windows = self.windows();
        let window = windows.get_mut(&whose.cloned()).filter(|window| !is_running(window, now))?;
        window.counted.take()
    }

    fn put(&self, whose: Option<&TenantId>, counted: &Counted, now: Moment) {
        let mut windows = self.windows();
        match windows.get_mut(&whose.cloned()) {
            Some(Window { counted: Some(before), .. }) => before.add(counted),
            Some(window) if is_running(window, now) => window.counted = Some(counted.clone()),
            _ => {
                let window = Window { opened: now, recorded: 0, counted: Some(counted.clone()) };
                windows.insert(whose.cloned(), window);
            }
        }
    }

    /// What can't be written now is written with the next window. The denial stands all the same: without the answer that
    /// says where to sign in, a store that fails would keep everybody out.
    async fn write(&self, counted: Counted, request_id: Option<&str>) {
        let Some(ledger) = &self.ledger else { return };
        let Err(problem) = ledger.put(&counted, request_id, self.clock.now()).await else { return };
        let cause = std::error::Error::source(&problem).map(ToString::to_string);
        tracing::error!(cause, "denials could not be recorded yet");
        self.put(None, &counted, self.clock.now());
    }

    /// Nothing can panic under the lock.
    fn windows(&self) -> MutexGuard<'_, LruCache<Option<TenantId>, Window>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    /// Adds a record under a name that nobody can guess: whoever may add and not read can't overwrite.
    async fn put(&self, counted: &Counted, request_id: Option<&str>, now: Moment) -> Result<(), Problem> {
        const DOING: &str = "recording denials";
        let name = TenantId::spell(random_bits()?);
        let mut item = counted.attributes();
        item.insert("pk".to_owned(), AttributeValue::S(partition(&counted.from.day())));
        item.insert("sk".to_owned(), AttributeValue::S(format!("{}#{name}", counted.from.rfc3339())));
        item.insert("ttl".to_owned(), AttributeValue::N(now.plus_s(KEPT_S).seconds().to_string()));
        item.extend(request_id.map(|id| ("request_id".to_owned(), AttributeValue::S(id.to_owned()))));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        match put.condition_expression("attribute_not_exists(pk)").send().await {
            Ok(_) => Ok(()),
            // It is there, and the reply that said so was lost.
            Err(err)
                if err.as_service_error().is_some_and(|err| err.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(err) => Err(store_problem(DOING, err)),
        }
    }
}

/// A clock that went back ends a window.
fn is_running(window: &Window, now: Moment) -> bool {
    window.opened <= now && now < window.opened.plus_s(WINDOW_S)
}

/// The word of a denial; none for a fault of ours, or of the request's form.
fn code(problem: &Problem) -> Option<&'static str> {
    match problem {
        Problem::InsufficientScope { .. }
        | Problem::Forbidden { .. }
        | Problem::FeatureOff { .. }
        | Problem::QuotaReached(_)
        | Problem::Busy => Some(problem.code()),
        _ => trailless(problem),
    }
}

/// The word of a denial that comes before there is a session, so that no tenant's trail can be written.
fn trailless(problem: &Problem) -> Option<&'static str> {
    match problem {
        Problem::Unauthenticated(refusal) => Some(refusal.denial.code()),
        Problem::Suspended => Some(problem.code()),
        _ => None,
    }
}

impl fmt::Debug for Denials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denials").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    };

    use super::*;

    fn denials() -> (Denials, Arc<AtomicI64>) {
        let micros = Arc::new(AtomicI64::new(1_795_500_000_000_000));
        (Denials::new(Clock::Fixed(Arc::clone(&micros)), None, None), micros)
    }

    fn pass_s(micros: &AtomicI64, seconds: i64) {
        micros.fetch_add(seconds.saturating_mul(1_000_000), Ordering::Relaxed);
    }

    #[test]
    fn what_is_counted_is_taken_once_after_the_end_of_its_window_and_not_before() {
        let (denials, micros) = denials();
        let tenant = TenantId::spell([7; 16]);
        let from = denials.clock.now();
        let forbidden = Problem::Forbidden { detail: String::new() };
        for problem in [&forbidden, &Problem::Busy, &forbidden] {
            denials.count(&tenant, problem);
            assert_eq!((denials.has_ended(&tenant), denials.take_ended(&tenant)), (false, None), "it runs");
            pass_s(&micros, 19);
        }
        pass_s(&micros, 3);
        assert!(denials.has_ended(&tenant));
        let codes = BTreeMap::from([("busy", 1), ("forbidden", 2)]);
        let counted = Counted { from, until: from.plus_s(38), codes };
        assert_eq!((counted.count(), denials.take_ended(&tenant)), (3, Some(counted)));
        assert_eq!(denials.take_ended(&tenant), None, "once");
        denials.count(&tenant, &Problem::Busy);
        assert_eq!(denials.take_ended(&tenant), None, "the next window runs from its own first denial");
        pass_s(&micros, 60);
        assert_eq!(denials.take_ended(&tenant).map(|counted| counted.count()), Some(1));
    }

    #[test]
    fn what_could_not_be_written_is_not_lost_and_no_tenant_has_anothers() {
        let (denials, micros) = denials();
        let (own, other) = (TenantId::spell([7; 16]), TenantId::spell([8; 16]));
        denials.count(&own, &Problem::Busy);
        pass_s(&micros, 60);
        let counted = denials.take_ended(&own).unwrap();
        denials.put_back(&own, &counted);
        denials.count(&own, &Problem::Busy);
        pass_s(&micros, 60);
        assert_eq!(denials.take_ended(&other), None);
        assert_eq!(denials.take_ended(&own).map(|counted| counted.count()), Some(2));
    }

    #[test]
    fn an_instance_counts_for_so_many_tenants_and_no_more() {
        let (denials, micros) = denials();
        for n in 0..=u8::MAX {
            denials.count(&TenantId::spell([n; 16]), &Problem::Busy);
        }
        assert_eq!(denials.windows().len(), TENANTS_MAX + 1);
        pass_s(&micros, 60);
        assert_eq!(denials.take_ended(&TenantId::spell([0; 16])), None, "the least used gave way");
        assert!(denials.take_ended(&TenantId::spell([255; 16])).is_some());
    }

    #[test]
    fn so_many_denials_of_a_window_have_records_of_their_own_and_the_others_are_counted() {
        let (denials, micros) = denials();
        let (own, other) = (TenantId::spell([7; 16]), TenantId::spell([8; 16]));
        let told = (0..RECORDS_MAX + 5).filter(|_| denials.may_record(&own, "forbidden")).count();
        assert_eq!(told, usize::try_from(RECORDS_MAX).unwrap());
        assert!(denials.may_record(&other, "forbidden"), "of another tenant as many");
        pass_s(&micros, 60);
        assert!(denials.may_record(&own, "forbidden"), "and of the next window");
        pass_s(&micros, 60);
        assert_eq!(denials.take_ended(&own).map(|counted| counted.count()), Some(5), "none is lost");
        assert_eq!(denials.take_ended(&other), None);
    }

    #[tokio::test]
    async fn nobody_else_than_a_closed_set_names_what_is_counted() {
        let (denials, micros) = denials();
        let forbidden = Problem::Forbidden { detail: "x".to_owned() };
        let unknown = Problem::unauthenticated(crate::Denial::UnknownHost, Some("https://x".to_owned()));
        assert_eq!((trailless(&forbidden), code(&forbidden)), (None, Some("forbidden")));
        assert_eq!((trailless(&unknown), code(&unknown)), (Some("unknown_host"), Some("unknown_host")));
        assert_eq!(code(&Problem::NotFound { kind: "note" }), None);
        for _ in 0..3 {
            denials.record(&unknown, "r").await;
        }
        let (from, codes) = (denials.clock.now(), BTreeMap::from([("unknown_host", 2)]));
        assert_eq!(denials.ended(None, from), None, "the window runs");
        micros.fetch_add(60_000_000, Ordering::Relaxed);
        let counted = Counted { from, until: from, codes };
        assert_eq!(denials.ended(None, denials.clock.now()), Some(counted), "all but the first");
        assert_eq!(denials.ended(None, denials.clock.now()), None, "once");
    }
}
