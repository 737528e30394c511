//! One fault at a time: at every call of the store that an operation makes, in every way that a call can go wrong.

use insula_tenancy::Tier;

use super::{Ask, Books, Guest, House, Kind, Plan, Said, Session, operations::Operation, unique};

/// More calls than any operation makes.
const CALLS_MAX: usize = 60;

/// The instances of a deployment: what one begins, another may be asked again.
struct Houses([House; 2]);

/// One turn: what was tried, for whoever reads that it has failed.
#[derive(Debug, Clone, Copy)]
struct Turn {
    operation: Operation,
    kind: Kind,
    every_try: bool,
    call: usize,
}

impl Turn {
    /// Whether the fault has met a call, of which there are so many.
    async fn take(self, houses: &Houses, guest: &Guest) -> Option<usize> {
        let Self { operation, kind, every_try, call } = self;
        let [house, other] = &houses.0;
        let (fresh, ask) = operation.prepare(house, guest, call).await;
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
        if middle.done() - before.done() == operation.parts() {
            assert_eq!(middle.kept, after.kept, "{self:?}: a repetition writes again, {calls:?}");
        }
        if let Some(first) = first.filter(Said::is_done) {
            assert_eq!(first, again, "{self:?}: a repetition says something else");
        }
        session.was_hit().then_some(calls.len())
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
        let parts = self.operation.parts();
        let done = after.done() - before.done();
        assert!(done <= parts, "{self:?}: {done} of {parts} are done, {said:?}");
        if said.is_some_and(Said::is_done) && self.operation != Operation::Batch {
            assert_eq!(done, parts, "{self:?}: a success that is not durable, {said:?}");
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
                assert_eq!(is_changed, done == 1 && self.operation.writes(), "{self:?}: {said:?}");
            }
        }
    }
}

/// Tries one operation with one kind of fault at call after call, until it makes no more of them.
async fn at_every_call(houses: &Houses, operation: Operation, kind: Kind, every_try: bool) -> usize {
    let slug = format!("faults-{}", unique());
    let guest = Guest::make(&houses.0[0], &slug, Tier::Professional).await;
    // Who has called before has a seat, and the tenant has its session.
    let seated = guest.ask(&houses.0[0], &Ask::tool("notes_list", serde_json::json!({})).keyed("seat")).await;
    assert!(seated.is_done(), "{seated:?}");
    let mut turns = 0;
    for call in 0..CALLS_MAX {
        let turn = Turn { operation, kind, every_try, call };
        if turn.take(houses, &guest).await.is_none() {
            return turns;
        }
        turns += 1;
    }
    panic!("{operation:?} makes more than {CALLS_MAX} calls");
}

async fn in_every_way(operations: &[Operation], kinds: &[Kind], every_try: bool) {
    let house = House::open().await;
    let other = House::before(house.stack).await;
    let houses = Houses([house, other]);
    for operation in operations {
        let started = std::time::Instant::now();
        let mut turns = 0;
        for kind in kinds {
            turns += at_every_call(&houses, *operation, *kind, every_try).await;
        }
        println!("{operation:?}: {turns} turns {:?}", started.elapsed());
        assert!(turns >= 2 * kinds.len(), "{operation:?} reads and commits: {turns}");
    }
}

#[tokio::test]
async fn a_fault_at_any_call_leaves_nothing_half_done() {
    in_every_way(&Operation::ALL, &Kind::ALL, false).await;
}

#[tokio::test]
async fn a_fault_that_meets_every_try_leaves_nothing_half_done() {
    in_every_way(&Operation::ALL, &Kind::LASTING, true).await;
}
