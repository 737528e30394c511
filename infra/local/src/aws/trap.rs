//! One call among many, counted as they come through the door, and what goes wrong with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::request::Parts;

use super::FaultKind;

/// Whose calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of everybody but functions that follow a stream.
    Callers,
    /// Those of functions that follow a stream.
    Followers,
}

/// The call that goes wrong, of those that come from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trap {
    /// Whose calls are counted.
    pub whose: Whose,
    /// Its number, from 0; an SDK's further tries are a part of it.
    pub call: usize,
    /// How it goes wrong.
    pub kind: FaultKind,
    /// Whether its further tries go wrong too.
    pub every_try: bool,
}

/// What has come while a trap was set.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Trapped {
    /// `service:Operation` of each call.
    pub calls: Vec<String>,
    /// How many tries went wrong.
    pub hits: usize,
}

/// A trap, what it has seen, and what it holds.
#[derive(Debug, Default)]
pub(super) struct Set(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    trap: Option<Trap>,
    /// The SDK's ids of the calls; empty for one that has none.
    ids: Vec<String>,
    seen: Trapped,
    held: Vec<(Parts, Bytes)>,
}

impl Set {
    /// Sets a trap in the place of any before it, or none.
    pub(super) fn set(&self, trap: Option<Trap>) -> Trapped {
        let mut inner = self.open();
        inner.trap = trap;
        inner.ids.clear();
        std::mem::take(&mut inner.seen)
    }

    pub(super) fn hits(&self) -> usize {
        self.open().seen.hits
    }

    /// What goes wrong with this try, if anything does.
    pub(super) fn meet(&self, head: &Parts, whose: Whose, name: String) -> Option<FaultKind> {
        let mut inner = self.open();
        let trap = inner.trap.filter(|trap| trap.whose == whose)?;
        let id = head.headers.get("amz-sdk-invocation-id").and_then(|id| id.to_str().ok()).unwrap_or("");
        let known = inner.ids.iter().position(|known| !id.is_empty() && known == id);
        let at = known.unwrap_or(inner.ids.len());
        if known.is_none() {
            inner.ids.push(id.to_owned());
            inner.seen.calls.push(name);
        }
        let is_met = trap.call == at && (known.is_none() || trap.every_try);
        inner.seen.hits = inner.seen.hits.saturating_add(is_met.into());
        is_met.then_some(trap.kind)
    }

    pub(super) fn hold(&self, head: &Parts, body: Bytes) {
        self.open().held.push((head.clone(), body));
    }

    pub(super) fn take_held(&self) -> Vec<(Parts, Bytes)> {
        std::mem::take(&mut self.open().held)
    }

    /// No holder leaves it half done.
    fn open(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
