//! Attempts to cross from one tenant to another: counted by the attacker's own tenant, and told to the operator.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use hashlink::LruCache;
use serde_json::json;

use crate::{
    Problem,
    clock::{Clock, Moment},
    events::Events,
    metric,
    tenant::TenantId,
};

/// Each class of a tenant's is told at most so often by one instance, so that nobody can buy events.
const TOLD_EVERY_S: i64 = 60;
/// What an instance remembers to have told.
const TOLD_MAX: usize = 1_000;

/// A token of one tenant at another's address, or beside other evidence that names another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// Whose token it is.
    pub(crate) own: TenantId,
    /// Whose address it is, or who else is named, where that is known.
    pub(crate) target: Option<TenantId>,
}

/// What an attempt was, in a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// AWS refused what our own code asked for on a tenant's path: a wall has held. The highest class.
    AccessDenied,
    /// A token of one tenant at another's address.
    HostAgainstToken,
    /// A cursor that was altered, or is of another listing or tenant.
    AlteredCursor,
    /// A state between two rounds that was altered, or is of another call or tenant.
    ForgedState,
}

impl Attempt {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::HostAgainstToken => "host_against_token",
            Self::AlteredCursor => "altered_cursor",
            Self::ForgedState => "forged_state",
        }
    }
}

/// The way to the operator.
pub(crate) struct Alarms {
    pub(crate) events: Events,
    pub(crate) clock: Clock,
    pub(crate) metrics_namespace: Option<String>,
    told: Mutex<LruCache<(TenantId, Attempt), Moment>>,
}

impl Alarms {
    pub(crate) fn new(events: Events, clock: Clock, metrics_namespace: Option<String>) -> Self {
        Self { events, clock, metrics_namespace, told: Mutex::new(LruCache::new(TOLD_MAX)) }
    }

    /// Raises what a problem says of an attempt, if it does; the line of its metric. `own` is the caller's tenant, where it
    /// is known.
    pub(crate) async fn problem(&self, problem: &Problem, own: Option<&TenantId>) -> Option<String> {
        match problem {
            Problem::Unauthenticated(refusal) => {
                let Crossing { own, target } = refusal.crossing.as_deref()?;
                self.raise(own, Attempt::HostAgainstToken, target.as_ref()).await
            }
            Problem::Denied { .. } => self.raise(own?, Attempt::AccessDenied, None).await,
            Problem::Forged { .. } => self.raise(own?, Attempt::AlteredCursor, None).await,
            _ => None,
        }
    }

    /// The event is the operator's, and says whose address it was as well. The log and the metric are the attacker's own,
    /// and never do.
    pub(crate) async fn raise(
        &self,
        own: &TenantId,
        attempt: Attempt,
        target: Option<&TenantId>,
    ) -> Option<String> {
        let now = self.clock.now();
        tracing::warn!(tenant.id = %own, class = attempt.word(), "an attempt to cross");
        if self.is_news(own, attempt, now) {
            let target = target.map(TenantId::as_str);
            let detail = json!({ "tenant": own.as_str(), "class": attempt.word(), "target": target });
            // What was refused stays refused, whether the operator hears of it now or by the metric.
            if let Err(problem) = self.events.put("Cross-Tenant Attempt", &detail).await {
                let cause = std::error::Error::source(&problem).map(ToString::to_string);
                tracing::error!(cause, "the operator could not be told of an attempt");
            }
        }
        let about = (self.metrics_namespace.as_deref()?, "an attempt to cross");
        let count = [("CrossTenantAttempts", "Count", 1)];
        Some(metric::line(about, Some(own), Some(attempt.word()), now, &count) + "\n")
    }

    fn is_news(&self, own: &TenantId, attempt: Attempt, now: Moment) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (own.clone(), attempt);
        if told.get(&key).is_some_and(|before| now < before.plus_s(TOLD_EVERY_S)) {
            return false;
        }
        told.insert(key, now);
        true
    }
}

impl fmt::Debug for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarms").finish_non_exhaustive()
    }
}
