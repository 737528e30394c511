//! How an admitted operation runs and is committed, whatever protocol asked for it.

use crate::{
    Problem, TenantScope,
    admission::{Admission, Committed, Outcome},
};

/// What an operation may do to its tenant's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It only reads, and a repetition reads again.
    Read,
    /// It looks at what the tenant may use and has used, which is recorded and not charged.
    Uncharged,
    /// It may write, and a repetition under the same idempotency key gets the result that was kept.
    Write,
    /// It may do something outside, and writes nothing here. It is charged and recorded first, so that what can't be taken
    /// back is never done for nothing, nor twice under one idempotency key.
    Outside,
}

/// How the results of an operation are kept for its repetitions.
#[derive(Debug, Clone, Copy)]
pub struct Keep<T> {
    /// How a result counts, with the text to keep of it.
    pub outcome: fn(&T) -> Outcome<'_>,
    /// The result that a kept text stands for.
    pub restore: fn(String) -> Option<T>,
}

impl Admission {
    /// Runs the work of this operation and commits it. What only reads runs beside its own charge, and its result is held
    /// back until it is charged. What looks at what was used runs before its record. What may write runs first; then everything
    /// that it staged becomes durable with its charge, or nothing does. What was done before under the client's key changes nothing
    /// once more, and what was based on something that has changed is run again. What acts outside is charged first and then
    /// runs, once.
    ///
    /// # Errors
    /// The work's own, and those of [`Admission::commit`].
    pub async fn settle<T, E>(
        mut self,
        mut scope: TenantScope,
        effect: Effect,
        mut work: impl AsyncFnMut(TenantScope) -> Result<T, E>,
        keep: Keep<T>,
    ) -> Result<T, E>
    where
        E: From<Problem> + AsRef<Problem>,
    {
        if let Some(refused) = self.refusal_known().await? {
            return Err(refused.into());
        }
        match effect {
            Effect::Write => return self.settle_write(scope, work, keep).await,
            Effect::Outside => return self.settle_outside(scope, work, keep).await,
            // Who looks is told of today's limits.
            Effect::Uncharged => (scope, self) = self.under_plan_of_now().await?,
            Effect::Read => {}
        }
        loop {
            let (committed, ended) = if effect == Effect::Uncharged {
                // One after the other: whether it found its own record among what it counts would be luck.
                let ended = work(scope).await;
                (self.commit(Outcome::Uncharged).await, ended)
            } else {
                tokio::join!(self.commit(Outcome::Read), work(scope))
            };
            if matches!(committed, Ok(Committed::Now)) {
                self.end(counted(&ended, keep.outcome)).await;
            }
            if tells_of_crossing(&ended) {
                return ended;
            }
            match committed? {
                Committed::Now => return ended,
                Committed::Again(again, admission) => (scope, self) = (again, *admission),
                before @ Committed::Before(_) => return Ok(replayed(before, keep)?),
            }
        }
    }

    /// Runs, then commits. Its key is a condition of the commit, so that its record is not read by a call that is new and goes well.
    async fn settle_write<T, E>(
        mut self,
        mut scope: TenantScope,
        mut work: impl AsyncFnMut(TenantScope) -> Result<T, E>,
        keep: Keep<T>,
    ) -> Result<T, E>
    where
        E: From<Problem> + AsRef<Problem>,
    {
        if self.is_repeated() {
            match self.past().await? {
                Past::None => {}
                Past::Same(before) => return Ok(replayed(before, keep)?),
                Past::Changed(again, admission) => (scope, self) = (again, *admission),
            }
        }
        loop {
            // One that can't be kept has failed, and is charged and recorded as that.
            let ended = work(scope).await.and_then(|done| {
                self.check_result((keep.outcome)(&done))?;
                Ok(done)
            });
            if may_be_repetition(&ended, keep.outcome) {
                match self.past().await? {
                    Past::None => {}
                    Past::Same(before) => return Ok(replayed(before, keep)?),
                    Past::Changed(again, admission) => {
                        (scope, self) = (again, *admission);
                        continue;
                    }
                }
            }
            let committed = self.commit(counted(&ended, keep.outcome)).await;
            if tells_of_crossing(&ended) {
                return ended;
            }
            match committed? {
                Committed::Now => return ended,
                Committed::Again(again, admission) => (scope, self) = (again, *admission),
                before @ Committed::Before(_) => return Ok(replayed(before, keep)?),
            }
        }
    }
}

/// What was done before under the same name.
enum Past {
    /// Nothing.
    None,
    /// This, under a plan that promises the same.
    Same(Committed),
    /// Something, under another plan. It may not be allowed any more, which its work finds out when it is run under this one.
    Changed(TenantScope, Box<Admission>),
}

impl Admission {
    async fn past(&self) -> Result<Past, Problem> {
        let Some(before) = self.replay().await? else { return Ok(Past::None) };
        Ok(match self.newer().await? {
            None => Past::Same(before),
            Some((scope, admission)) => Past::Changed(scope, Box::new(admission)),
        })
    }

    /// Charges, then runs. A call of which it is not known whether it acted is not run again under its key.
    async fn settle_outside<T, E>(
        mut self,
        mut scope: TenantScope,
        mut work: impl AsyncFnMut(TenantScope) -> Result<T, E>,
        keep: Keep<T>,
    ) -> Result<T, E>
    where
        E: From<Problem> + AsRef<Problem>,
    {
        loop {
            match self.commit(Outcome::Begun).await? {
                Committed::Now => {
                    let ended = work(scope).await;
                    self.end(counted(&ended, keep.outcome)).await;
                    return ended;
                }
                Committed::Again(again, admission) => (scope, self) = (again, *admission),
                Committed::Before(None) => return Err(may_have_acted().into()),
                before @ Committed::Before(_) => return Ok(replayed(before, keep)?),
            }
        }
    }
}

/// Whether AWS has refused it, which is told whatever else is wrong.
fn tells_of_crossing<T, E: AsRef<Problem>>(ended: &Result<T, E>) -> bool {
    matches!(ended.as_ref().map_err(AsRef::as_ref), Err(Problem::Denied { .. }))
}

/// Whether it may have failed for having been done before: what is gone can't be deleted again.
fn may_be_repetition<T, E: AsRef<Problem>>(ended: &Result<T, E>, outcome: fn(&T) -> Outcome<'_>) -> bool {
    match ended {
        Ok(done) => matches!(outcome(done), Outcome::Failed { .. }),
        Err(err) => err.as_ref().is_of_state(),
    }
}

fn counted<'e, T, E: AsRef<Problem>>(ended: &'e Result<T, E>, outcome: fn(&T) -> Outcome<'_>) -> Outcome<'e> {
    match ended {
        Ok(done) => outcome(done),
        Err(err) => Outcome::Failed { code: err.as_ref().code() },
    }
}

fn may_have_acted() -> Problem {
    let detail = "this call was begun before, and may have acted outside; look there, and use another idempotency key to do \
                  it again";
    Problem::Conflict { detail: detail.to_owned() }
}

fn replayed<T>(before: Committed, keep: Keep<T>) -> Result<T, Problem> {
    match before {
        Committed::Before(Some(kept)) => (keep.restore)(kept),
        _ => None,
    }
    .ok_or_else(|| Problem::internal("replaying an operation", "its record holds no result"))
}
