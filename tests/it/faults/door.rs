//! Faults at the door of the embedded AWS, where functions that run as processes call too. The time goes on as it does.

use std::time::Duration;

use insula_local::aws::{FaultKind, Trap, Trapped, Whose};

use super::{House, single::at_every_call};

/// How a call goes wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    kind: FaultKind,
    every_try: bool,
    /// Whether the instance that was asked ends while it waits for the call.
    ends: bool,
}

/// The call that goes wrong, and how; none that there is for a turn without a fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    way: Way,
    pub(super) call: usize,
}

/// Of so many turns one is taken: they last longer than those over the wire.
const THINNED: usize = 16;
/// Long enough for a call that has come to the door to be done.
const DONE: Duration = Duration::from_millis(30);

const fn way(kind: FaultKind) -> Way {
    Way { kind, every_try: false, ends: false }
}

/// Those that a process meets, which goes on whatever becomes of its calls.
pub(super) const OF_PROCESSES: [Way; 11] = [
    way(FaultKind::Before),
    way(FaultKind::After),
    way(FaultKind::CutAfter),
    way(FaultKind::Throttle),
    way(FaultKind::Expired),
    way(FaultKind::Hang),
    way(FaultKind::Late),
    way(FaultKind::Ghost),
    Way { every_try: true, ..way(FaultKind::Before) },
    Way { every_try: true, ..way(FaultKind::After) },
    Way { every_try: true, ..way(FaultKind::Ghost) },
];
/// The end of the instance that a test asks, before the call is done and after it.
const ENDS: [Way; 2] =
    [Way { ends: true, ..way(FaultKind::Hang) }, Way { ends: true, ..way(FaultKind::Late) }];

impl Turn {
    pub(super) const CLEAN: Self = Self { way: way(FaultKind::Before), call: usize::MAX };

    /// What comes of some work, nothing if its instance has ended, and the calls that there were.
    pub(super) async fn run<T>(
        self,
        house: &House,
        whose: Whose,
        work: impl Future<Output = T>,
    ) -> (Option<T>, Trapped) {
        let (aws, Way { kind, every_try, ends }) = (&house.stack.local.aws, self.way);
        drop(aws.trap(Some(Trap { whose, call: self.call, kind, every_try })));
        let ended = async {
            while !ends || aws.trap_hits() == 0 {
                tokio::time::sleep(DONE).await;
            }
            tokio::time::sleep(DONE).await;
        };
        let done = tokio::select! {
            biased;
            done = Box::pin(work) => Some(done),
            () = ended => None,
        };
        (done, aws.trap(None))
    }
}

/// A turn at each call, in every way in which it can go wrong. The first is one without a fault; each says how many calls
/// there were.
pub(super) async fn in_every_way(row: usize, take: impl AsyncFnMut(Turn) -> usize) {
    in_these_ways(row, &[&OF_PROCESSES[..], &ENDS].concat(), take).await;
}

/// The same in some of them.
pub(super) async fn in_these_ways(row: usize, ways: &[Way], mut take: impl AsyncFnMut(Turn) -> usize) {
    let mut calls = take(Turn::CLEAN).await;
    assert!(calls > 0, "nothing is called");
    for (column, way) in ways.iter().enumerate() {
        // The next way begins at another call.
        let take = async |call| take(Turn { way: *way, call }).await;
        calls = at_every_call((row + 5 * column, THINNED), calls, take).await;
    }
}
