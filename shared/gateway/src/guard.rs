//! The end of a handler that is too slow or panics: the instance lives on, and the caller gets an answer.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use insula_tenancy::Problem;
use lambda_runtime::{Context, Diagnostic};
use tokio::time::{Instant, timeout_at};

/// What is kept of Lambda's time to send the reply in.
pub(crate) const RESERVE: Duration = Duration::from_millis(500);
/// Lambda's own longest timeout: a deadline beyond it is a mistake, and is brought back to where `Instant` can hold it.
const LONGEST: Duration = Duration::from_secs(900);

/// Why there is no result of the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Late,
    Panicked,
}

/// The moment by which a handler must be done: Lambda's deadline less [`RESERVE`].
pub(crate) fn deadline(context: &Context) -> Instant {
    // `elapsed` of a moment to come is an error that says how far off it is.
    let left = match context.deadline().elapsed() {
        // `cargo lambda watch` says how long where Lambda says until when: a deadline within minutes of 1970 is a time left.
        Ok(_) if u128::from(context.deadline) <= LONGEST.as_millis() => {
            Duration::from_millis(context.deadline)
        }
        Ok(_) => Duration::ZERO,
        Err(ahead) => ahead.duration().min(LONGEST),
    };
    let now = Instant::now();
    now.checked_add(left.saturating_sub(RESERVE)).unwrap_or(now)
}

/// Runs the work until it is done, panics, or the deadline has come.
pub(crate) async fn guarded<T>(deadline: Instant, work: impl Future<Output = T>) -> Result<T, Cut> {
    // The work's state is dropped with the panic and never seen again, so it cannot be seen half changed.
    match timeout_at(deadline, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(_panic)) => Err(Cut::Panicked),
        Err(_elapsed) => Err(Cut::Late),
    }
}

impl Cut {
    pub(crate) fn problem(self) -> Problem {
        match self {
            Self::Late => {
                Problem::Unavailable { doing: "waiting for the handler until the deadline", source: None }
            }
            Self::Panicked => {
                Problem::Internal { doing: "running the handler, which panicked", source: None }
            }
        }
    }

    /// The error of a function whose caller is no HTTP client.
    pub(crate) fn diagnostic(self) -> Diagnostic {
        match self {
            Self::Late => diagnostic("Unavailable", "not done before the deadline; try again"),
            Self::Panicked => diagnostic("Internal", "internal error"),
        }
    }
}

/// An error of the Lambda runtime with a fixed text, which reveals nothing of the event.
pub(crate) fn diagnostic(error_type: &str, error_message: &str) -> Diagnostic {
    Diagnostic { error_type: error_type.to_owned(), error_message: error_message.to_owned() }
}
