//! The end of an operation that ran on when its record was made: one that only reads, and one whose effect is outside.

use std::sync::{Arc, atomic::Ordering};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Admission, Operation, Outcome, RESULT_BYTES_MAX,
    names::{Named, idempotency_key},
    trail::{Said, Scribe},
};
use crate::{
    Problem,
    audit::{Decision, Ended, Stage},
    aws::store_problem,
    scope::Room,
};

/// What is still to be written of it. Where the idempotency record that the transaction of [`Outcome::Begun`] makes is never
/// ended, the operation may have acted, and its key stays used.
pub(crate) struct Begun {
    room: Arc<Room>,
    operation: Operation,
    named: Option<Named>,
    keeps_s: i64,
}

impl Admission {
    /// What is needed to end this operation when it has been begun.
    pub(crate) fn begun(&self) -> Begun {
        Begun {
            room: Arc::clone(&self.room),
            operation: self.operation.clone(),
            named: self.names.first().cloned(),
            keeps_s: self.keeps_s,
        }
    }
}

impl Begun {
    /// Writes how it ended. A failure is logged and no more: what was done is done, whatever becomes of its records.
    pub(crate) async fn end(self, outcome: Outcome<'_>) {
        for written in [self.end_key(outcome).await, self.record(outcome).await] {
            let Err(problem) = written else { continue };
            let cause = std::error::Error::source(&problem).map(ToString::to_string);
            tracing::error!(code = problem.code(), cause, "the end of a call could not be recorded");
        }
    }

    /// A record of its own, where it ended in a problem.
    async fn record(&self, outcome: Outcome<'_>) -> Result<(), Problem> {
        let Self { room, operation, .. } = self;
        let duration_ms = room.took_ms(room.clock.now());
        match outcome {
            Outcome::Failed { code } if outcome != Outcome::ASKING => {
                let said = Said { decision: Decision::Allowed, stage: Stage::Ended, code };
                Scribe { room, operation }.add(said).await.map(drop)
            }
            _ => {
                room.chains.end(&room.tenant, Ended { action: operation.action.clone(), duration_ms });
                Ok(())
            }
        }
    }

    /// Keeps the result of what was done, or gives the key back where nothing went out. What can't be said for certain is
    /// left as it is.
    async fn end_key(&self, outcome: Outcome<'_>) -> Result<(), Problem> {
        let Some(named) = &self.named else { return Ok(()) };
        match outcome {
            Outcome::Done { result } if result.len() <= RESULT_BYTES_MAX => {
                self.put(named, self.keeps_s, Some(result)).await
            }
            Outcome::Failed { .. } if !self.room.went_out.load(Ordering::Relaxed) => {
                self.put(named, 0, None).await
            }
            _ => Ok(()),
        }
    }

    async fn put(&self, named: &Named, ttl_s: i64, result: Option<&str>) -> Result<(), Problem> {
        let until_s = self.room.clock.now().plus_s(ttl_s).seconds();
        let mut item = idempotency_key(&self.room.tenant, &named.name);
        item.insert("arguments".to_owned(), AttributeValue::S(named.arguments.clone()));
        item.insert("ttl".to_owned(), AttributeValue::N(until_s.to_string()));
        item.extend(result.map(|result| ("result".to_owned(), AttributeValue::S(result.to_owned()))));
        self.room
            .store
            .client
            .put_item()
            .table_name(&*self.room.table)
            .set_item(Some(item))
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(#result)")
            .expression_attribute_names("#result", "result")
            .send()
            .await
            .map_err(|err| store_problem("ending an idempotency record", err))?;
        Ok(())
    }
}
