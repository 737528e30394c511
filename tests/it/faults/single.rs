//! One fault at a time: at every call of the store that an operation makes, in every way that a call can go wrong.

use insula_tenancy::Tier;
use serde_json::json;

use super::{Ask, Books, Guest, House, Kind, Plan, Said, Session, operations::Operation, unique};

/// The instances of a deployment: what one begins, another may be asked again.
struct Houses<'h>([&'h House; 2]);

/// One turn: what was tried, for whoever reads that it has failed.
#[derive(Debug, Clone, Copy)]
struct Turn {
    operation: Operation,
    kind: Kind,
    every_try: bool,
    call: usize,
}

impl Turn {
    /// How many calls the operation has made, with this fault and without.
    async fn take(self, houses: &Houses<'_>, guest: &Guest) -> usize {
        let Self { operation, kind, every_try, call } = self;
        let [house, other] = &houses.0;
        let (fresh, ask) = operation.prepare(house, guest, call % 1000).await;
        let guest = fresh.as_ref().unwrap_or(guest);
        let ask = ask.keyed(&unique());
        let before = self.books(house, guest, "before").await;
        let session = Session::new(Plan::At { call, kind, every_try });
        let first = session.run(guest.ask(house, &ask)).await;
        if session.was_hit() {
            tokio::time::resume();
        }
        let calls = session.calls();
        let middle = self.books(house, guest, &format!("after {first:?} of {calls:?}")).await;
        self.compare((&before, &middle), first.as_ref());

        let again = guest.ask(if call % 2 == 0 { house } else { other }, &ask).await;
        session.release(&house.wire).await;
        let after = self.books(house, guest, &format!("after {first:?} and {again:?} of {calls:?}")).await;
        self.compare((&before, &after), Some(&again));
        assert!(again.is_done(), "{self:?}: {again:?} after {first:?} of {calls:?}");
        let done = after.done() - before.done();
        assert!(operation.times(2).contains(&done), "{self:?}: {done} after {first:?} and {again:?}");
        if middle.done() - before.done() == operation.parts() {
            assert_eq!(middle.kept, after.kept, "{self:?}: a repetition writes again, {calls:?}");
        }
        if let Some(first) = first.filter(|said| said.is_done() && operation.answers_the_same()) {
            assert_eq!(first, again, "{self:?}: a repetition says something else");
        }
        calls.len()
    }

    async fn books(self, house: &House, guest: &Guest, when: &str) -> Books {
        match Books::read(house, &guest.own).await {
            Ok(books) => books,
            Err(wrong) => panic!("{self:?}: {wrong}, {when}"),
        }
    }

    /// As many effects as calls that were admitted and done, at most one for each part, and all of them before a success
    /// is said.
    fn compare(self, (before, after): (&Books, &Books), said: Option<&Said>) {
        let times = self.operation.times(2);
        let done = after.done() - before.done();
        assert!(done <= *times.end(), "{self:?}: {done} of {times:?} are done, {said:?}");
        if said.is_some_and(Said::is_done) && self.operation != Operation::Batch {
            assert!(times.contains(&done), "{self:?}: a success that is not durable, {said:?}");
        }
        let made = after.items() - before.items().min(after.items());
        match self.operation {
            Operation::Batch => {
                let (one, other) = (made == 1 || made == 90, made == 0 || made == 91);
                assert!(
                    if done == 1 { one } else { other && made as u64 == 91 * done / 2 },
                    "{self:?}: {made}"
                );
            }
            Operation::RemoveMember => {}
            _ => {
                let is_changed = before.kept != after.kept;
                assert_eq!(is_changed, done > 0 && self.operation.writes(), "{self:?}: {said:?}");
            }
        }
    }
}

/// Of so many turns one is taken, so that each operation meets each kind and each call meets some; all are taken where
/// `FAULTS_WHOLE` is set.
pub(super) const THINNED: usize = 4;

#[expect(clippy::disallowed_methods, reason = "whoever wants all turns says it to these tests alone")]
pub(crate) fn is_whole() -> bool {
    std::env::var_os("FAULTS_WHOLE").is_some()
}

/// A turn at each of so many calls, or at one of so many, which this row's number chooses. A turn says how many calls there were: a
/// fault may bring about some of its own.
pub(super) async fn at_every_call(
    (row, thinned): (usize, usize),
    mut calls: usize,
    mut take: impl AsyncFnMut(usize) -> usize,
) -> usize {
    let mut call = 0;
    while call < calls {
        if is_whole() || (row + call).is_multiple_of(thinned) {
            calls = calls.max(take(call).await);
        }
        call += 1;
    }
    calls
}

async fn in_every_way(kinds: &[Kind], every_try: bool) {
    let house = House::open().await;
    let other = House::before(house.stack).await;
    let houses = Houses([&house, &other]);
    for (row, operation) in Operation::ALL.into_iter().enumerate() {
        // A tenant of its own for a few kinds: what it has is read three times a turn, and it may look at its usage 60 times
        // a minute.
        let few = if is_whole() { 2 } else { 7 };
        for (part, kinds) in kinds.chunks(few).enumerate() {
            let guest = Guest::make(&house, &format!("faults-{}", unique()), Tier::Professional).await;
            // Who has called before has a seat, and the tenant has its session.
            for house in houses.0 {
                let seated = guest.ask(house, &Ask::tool("notes_list", json!({})).keyed(&unique())).await;
                assert!(seated.is_done(), "{seated:?}");
            }
            // Nothing makes so many calls, so this turn has no fault, and says how many there are.
            let clean = Turn { operation, kind: Kind::Cut, every_try, call: usize::MAX };
            let mut calls = clean.take(&houses, &guest).await;
            assert!(calls >= 1, "{operation:?} commits");
            for (column, kind) in (part * few..).zip(kinds) {
                calls = at_every_call((row + column, THINNED), calls, async |call| {
                    Turn { operation, kind: *kind, every_try, call }.take(&houses, &guest).await
                })
                .await;
            }
        }
    }
}

#[tokio::test]
async fn a_fault_at_any_call_leaves_nothing_half_done() {
    in_every_way(&Kind::ALL, false).await;
}

#[tokio::test]
async fn a_fault_that_meets_every_try_leaves_nothing_half_done() {
    in_every_way(&Kind::LASTING, true).await;
}
