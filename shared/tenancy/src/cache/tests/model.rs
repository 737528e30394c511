//! Any sequence of questions, fetches, failures, clears, newer versions and passing time, against the rule of what may
//! be served. Every fetch brings its own number, so an answer says which fetch it is from.

use std::{
    cell::{Cell as Slot, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    rc::Rc,
    sync::atomic::{AtomicI64, Ordering},
};

use proptest::prelude::*;

use super::*;

/// A value of one of two kinds: the number of the fetch that brought it.
#[derive(Debug, Serialize)]
struct Said<const KIND: u32>(usize);

impl<const KIND: u32> Cacheable for Said<KIND> {
    const TTL_S: u32 = 8 + KIND;
    const ABSENT_TTL_S: u32 = 3 + KIND;
}

/// What is asked for: tenant, kind, id.
type What = (u8, u32, u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Found,
    Absent,
    Fails,
    Panics,
    /// It finds something that its call may not share.
    Alone,
}

#[derive(Debug, Clone)]
enum Step {
    /// Somebody asks.
    Ask(What),
    /// One of the fetches that run comes to an end.
    End(usize, How),
    /// One of those who wait gives up.
    GiveUp(usize),
    /// Tenths of a second; time may go back.
    Pass(i64),
    /// The tenant's cache is cleared.
    Clear(u8),
    /// The settings of a tenant change.
    Settings(u8),
    /// Its plan changes.
    Plan(u8),
    /// Everybody's cache is cleared.
    Everyone,
}

/// Where something was in the sequence, and what held for its tenant then.
#[derive(Debug, Clone, Copy)]
struct At {
    step: u64,
    time: Moment,
    era: Era,
    clears: u64,
}

#[derive(Debug)]
struct Fetch {
    what: What,
    begun: At,
    /// Whether its asker waited for another's first.
    takes_over: bool,
    ended: Option<(How, u64, Moment)>,
}

struct Asker {
    what: What,
    asked: At,
    /// The fetch that it runs itself, and how that is to end.
    own: Rc<Slot<Option<usize>>>,
    end: Rc<Slot<Option<How>>>,
    answer: Pin<Box<dyn Future<Output = Result<Option<usize>, Problem>>>>,
}

struct World {
    cache: Rc<Cache>,
    micros: Arc<AtomicI64>,
    step: u64,
    eras: [Era; 3],
    clears: [u64; 3],
    /// Whether there is room for everything.
    is_ample: bool,
    went_back: bool,
    fetches: Rc<RefCell<Vec<Fetch>>>,
    now: Rc<Slot<[At; 3]>>,
    askers: Vec<Asker>,
}

impl World {
    fn new(bounds: Bounds) -> Self {
        let micros = Arc::new(AtomicI64::new(START_S * 1_000_000));
        let clock = Clock::Fixed(Arc::clone(&micros));
        let at = At { step: 0, time: clock.now(), era: ERA, clears: 0 };
        Self {
            cache: Rc::new(Cache::bounded(clock, bounds)),
            micros,
            step: 0,
            eras: [ERA; 3],
            clears: [0; 3],
            is_ample: bounds.bytes_max == Bounds::INSTANCE.bytes_max,
            went_back: false,
            fetches: Rc::default(),
            now: Rc::new(Slot::new([at; 3])),
            askers: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Pass(tenths) => {
                self.went_back |= tenths < 0;
                self.micros.fetch_add(tenths * 100_000, Ordering::Relaxed);
            }
            Step::Clear(n) => {
                self.clears[usize::from(n)] += 1;
                self.cache.clear(&tenant(n));
            }
            Step::Settings(n) => self.eras[usize::from(n)].settings += 1,
            Step::Plan(n) => self.eras[usize::from(n)].plan += 1,
            Step::Everyone => self.eras.iter_mut().for_each(|era| era.everyone += 1),
            Step::Ask(_) | Step::End(..) | Step::GiveUp(_) => {}
        }
        self.step += 1;
        let time = self.cache.clock.now();
        let at = |n: usize| At { step: self.step, time, era: self.eras[n], clears: self.clears[n] };
        self.now.set([at(0), at(1), at(2)]);
        match *step {
            Step::Ask(what @ (_, 0, _)) => self.ask::<0>(what),
            Step::Ask(what) => self.ask::<1>(what),
            Step::End(which, how) => {
                let running: Vec<&Asker> =
                    self.askers.iter().filter(|asker| asker.own.get().is_some()).collect();
                if !running.is_empty() {
                    running[which % running.len()].end.set(Some(how));
                }
            }
            Step::GiveUp(which) if !self.askers.is_empty() => {
                let which = which % self.askers.len();
                self.askers.remove(which);
            }
            _ => {}
        }
        self.settle();
    }

    fn ask<const KIND: u32>(&mut self, what: What) {
        let (n, _, id) = what;
        let now = Rc::clone(&self.now);
        let at = move || now.get()[usize::from(n)];
        let asked = at();
        let key = Key::of::<Said<KIND>>(&tenant(n), asked.era, &id.to_string());
        let (own, end, alone) =
            (Rc::new(Slot::new(None)), Rc::new(Slot::new(None)), Rc::new(Slot::new(false)));
        let fetch = {
            let (fetches, own, end, alone) =
                (Rc::clone(&self.fetches), Rc::clone(&own), Rc::clone(&end), Rc::clone(&alone));
            async move {
                let number = fetches.borrow().len();
                // It reads what holds when it begins, under the era that its call began in.
                let begun = At { era: asked.era, ..at() };
                let takes_over = begun.step != asked.step;
                fetches.borrow_mut().push(Fetch { what, begun, takes_over, ended: None });
                own.set(Some(number));
                let how = std::future::poll_fn(|_| end.take().map_or(Poll::Pending, Poll::Ready)).await;
                fetches.borrow_mut()[number].ended = Some((how, at().step, at().time));
                alone.set(how == How::Alone);
                match how {
                    How::Found | How::Alone => Ok(Some(Said::<KIND>(number))),
                    How::Absent => Ok(None),
                    How::Fails => Err(Problem::Invalid { detail: number.to_string() }),
                    How::Panics => resume_unwind(Box::new("a panic of a fetch")),
                }
            }
        };
        let cache = Rc::clone(&self.cache);
        let answer = Box::pin(async move {
            let tier = [Tier::Free, Tier::Starter, Tier::Business][usize::from(n)];
            let value = cache.get_or_fetch::<Said<KIND>>(&key, tier, || !alone.get(), fetch).await?;
            Ok(value.map(|said| said.0))
        });
        self.askers.push(Asker { what, asked, own, end, answer });
    }

    /// Lets everybody go on until nobody can, and holds each answer to the rule.
    fn settle(&mut self) {
        loop {
            let (begun, waiting) = (self.fetches.borrow().len(), self.askers.len());
            for mut asker in std::mem::take(&mut self.askers) {
                let expects_hit = asker.asked.step == self.step && self.must_be_kept(&asker);
                match catch_unwind(AssertUnwindSafe(|| poll(asker.answer.as_mut()))) {
                    Ok(Poll::Pending) => {
                        assert!(!expects_hit, "it is kept, and was not served: {:?}", asker.what);
                        self.askers.push(asker);
                    }
                    Ok(Poll::Ready(answer)) => self.check(&asker, answer),
                    Err(_) => assert_eq!(self.ended(asker.own.get().unwrap()), How::Panics),
                }
            }
            if (begun, waiting) == (self.fetches.borrow().len(), self.askers.len()) {
                break;
            }
        }
        let book = self.cache.book();
        let waits = |key: &Key| self.askers.iter().any(|asker| tenant(asker.what.0) == key.tenant);
        assert!(book.flights.keys().all(waits), "a fetch that nobody waits for");
        for share in book.shares.values() {
            assert_eq!(share.bytes, share.entries.values().map(|entry| entry.bytes).sum::<usize>());
        }
    }

    fn ended(&self, number: usize) -> How {
        self.fetches.borrow()[number].ended.unwrap().0
    }

    /// The rule: an answer is from a fetch of one's own, or from one that was begun under the same key, not before the
    /// last clear, and less than its time to live before the question.
    fn check(&self, asker: &Asker, answer: Result<Option<usize>, Problem>) {
        let fetches = self.fetches.borrow();
        let is_own = |number: usize| asker.own.get() == Some(number);
        match answer {
            Ok(Some(number)) => {
                let how = fetches[number].ended.unwrap().0;
                assert!(how == How::Found || (how == How::Alone && is_own(number)), "{how:?}");
                assert!(
                    is_own(number) || may_serve(&fetches[number], asker),
                    "{:?} was served to {:?} {:?}",
                    fetches[number],
                    asker.what,
                    asker.asked
                );
            }
            Ok(None) => {
                let of = |(number, fetch): (usize, &Fetch)| {
                    fetch.ended.is_some_and(|(how, ..)| how == How::Absent)
                        && (is_own(number) || may_serve(fetch, asker))
                };
                assert!(fetches.iter().enumerate().any(of), "nobody found nothing for {:?}", asker.what);
            }
            Err(problem) => {
                let number: usize = problem.to_string().parse().unwrap();
                let (how, ended, _) = fetches[number].ended.unwrap();
                assert_eq!(how, How::Fails);
                assert!(is_own(number) || may_serve(&fetches[number], asker));
                assert!(ended >= asker.asked.step, "a failure was kept");
            }
        }
    }

    /// Whether somebody brought an answer for this question so soon that it must have been kept. Not asked where time
    /// went back, nor under pressure, nor of one who took a fetch over, which may have been taken out before.
    fn must_be_kept(&self, asker: &Asker) -> bool {
        let brought = |fetch: &Fetch| match fetch.ended {
            Some((How::Found | How::Absent, ended, time)) if !fetch.takes_over => {
                let join_s = i64::from(3 + fetch.what.1);
                ended < asker.asked.step && time < fetch.begun.time.plus_s(join_s) && may_serve(fetch, asker)
            }
            _ => false,
        };
        self.is_ample && !self.went_back && self.fetches.borrow().iter().any(brought)
    }
}

fn may_serve(fetch: &Fetch, asker: &Asker) -> bool {
    let (begun, asked) = (fetch.begun, asker.asked);
    let is_absent = fetch.ended.is_some_and(|(how, ..)| matches!(how, How::Absent));
    let ttl_s = i64::from(if is_absent { 3 } else { 8 } + fetch.what.1);
    let is_young = begun.time <= asked.time && asked.time < begun.time.plus_s(ttl_s);
    fetch.what == asker.what
        && begun.era == asked.era
        && begun.clears >= asked.clears
        && (begun.step > asked.step || is_young)
}

fn step() -> impl Strategy<Value = Step> {
    let what = (0_u8..3, 0_u32..2, 0_u8..2);
    let how = prop_oneof![
        6 => Just(How::Found),
        3 => Just(How::Absent),
        1 => Just(How::Fails),
        1 => Just(How::Panics),
        1 => Just(How::Alone),
    ];
    prop_oneof![
        10 => what.prop_map(Step::Ask),
        8 => (0_usize..8, how).prop_map(|(which, how)| Step::End(which, how)),
        2 => (0_usize..8).prop_map(Step::GiveUp),
        5 => (0_i64..50).prop_map(Step::Pass),
        1 => (0_u8..3).prop_map(Step::Clear),
        1 => (0_u8..3).prop_map(Step::Settings),
        1 => (0_u8..3).prop_map(Step::Plan),
        1 => Just(Step::Everyone),
    ]
}

fn run(bounds: Bounds, steps: &[Step]) {
    let mut world = World::new(bounds);
    steps.iter().for_each(|step| world.take(step));
    world.askers.clear();
    assert!(world.cache.book().flights.is_empty(), "a fetch that nobody waits for");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_sequence_serves_a_stale_value_or_a_foreign_one(
        steps in prop::collection::vec(step(), 1..80)
    ) {
        run(Bounds::INSTANCE, &steps);
    }

    #[test]
    fn nor_does_one_where_time_goes_back_and_there_is_little_room(
        steps in prop::collection::vec(prop_oneof![20 => step(), 1 => (-60_i64..0).prop_map(Step::Pass)], 1..80)
    ) {
        // Room for three entries, and for two tenants of three.
        let bounds = Bounds {
            bytes_max: 900,
            tenant_bytes_max: 600,
            tenant_bytes_min: 100,
            entry_bytes_max: 300,
            tenants_max: 2,
        };
        run(bounds, &steps);
    }
}
