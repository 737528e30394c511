//! What came through the door, and what is to go wrong there.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// What goes wrong on purpose, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// For instance `dynamodb`.
    pub service: String,
    /// For instance `TransactWriteItems`.
    pub operation: String,
    /// How.
    pub kind: FaultKind,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// 500, and nothing was done.
    Before,
    /// It was done, and 500.
    After,
    /// It was done, and the connection is cut.
    CutAfter,
    /// Throttled.
    Throttle,
    /// Refused, as if a role lacked the right.
    Deny,
    /// Refused, since the credentials are over.
    Expired,
    /// No answer for a minute, and nothing was done.
    Hang,
    /// It was done, and there is no answer for a minute.
    Late,
    /// No answer for a minute, and it is done when [`super::Aws::release`] says so.
    Ghost,
}

/// Counters since the start, and the faults that wait for their call.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    connections: AtomicU64,
    calls: Mutex<BTreeMap<String, u64>>,
    calls_of_followers: Mutex<BTreeMap<String, u64>>,
    denials: Mutex<Vec<String>>,
    /// Each with what the body of its call has in it.
    faults: Mutex<Vec<(Fault, String)>>,
    faults_of_followers: Mutex<Vec<(Fault, String)>>,
}

impl Ledger {
    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn count_call(&self, service: &str, operation: &str, follows: bool) {
        let mut calls = open(if follows { &self.calls_of_followers } else { &self.calls });
        let count = calls.entry(format!("{service}:{operation}")).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn calls(&self) -> BTreeMap<String, u64> {
        open(&self.calls).clone()
    }

    pub(super) fn calls_of_followers(&self) -> BTreeMap<String, u64> {
        open(&self.calls_of_followers).clone()
    }

    pub(super) fn note_denial(&self, line: String) {
        open(&self.denials).push(line);
    }

    pub(super) fn denials(&self) -> Vec<String> {
        open(&self.denials).clone()
    }

    pub(super) fn add_fault(&self, fault: Fault, text: &str, follows: bool) {
        let faults = if follows { &self.faults_of_followers } else { &self.faults };
        open(faults).push((fault, text.to_owned()));
    }

    /// The oldest fault that waits for such a call.
    pub(super) fn take_fault(
        &self,
        (service, operation): (&str, &str),
        body: &[u8],
        follows: bool,
    ) -> Option<FaultKind> {
        let mut faults = open(if follows { &self.faults_of_followers } else { &self.faults });
        if faults.is_empty() {
            return None;
        }
        let body = String::from_utf8_lossy(body);
        let hits = |(fault, text): &(Fault, String)| {
            fault.service == service && fault.operation == operation && body.contains(text)
        };
        let at = faults.iter().position(hits)?;
        Some(faults.remove(at).0.kind)
    }
}

/// No holder leaves any of these half done, so one that panicked has left it whole.
fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
