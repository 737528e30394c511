//! The end of an operation that ran on when its record was made: one that only reads, and one whose effect is outside.

use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Admission, Outcome, RESULT_BYTES_MAX,
    names::{Named, idempotency_key},
    trail::Said,
};
use crate::{
    Problem,
    audit::{Decision, Ended, Stage},
    aws::store_problem,
};

impl Admission {
    /// Writes how it ended. A failure is logged and no more: what was done is done, whatever becomes of its records.
    /// Where the idempotency record that the transaction of [`Outcome::Begun`] makes is never ended, the operation may have acted,
    /// and its key stays used.
    pub(crate) async fn end(&self, outcome: Outcome<'_>) {
        for written in [self.end_key(outcome).await, self.record_end(outcome).await] {
            let Err(problem) = written else { continue };
            let cause = std::error::Error::source(&problem).map(ToString::to_string);
            tracing::error!(code = problem.code(), cause, "the end of a call could not be recorded");
        }
    }

    /// A record of its own, where it ended in a problem.
    async fn record_end(&self, outcome: Outcome<'_>) -> Result<(), Problem> {
        let Self { room, operation, .. } = self;
        let duration_ms = room.took_ms(room.clock.now());
        match outcome {
            Outcome::Failed { code } if outcome != Outcome::ASKING => {
                let said = Said { decision: Decision::Allowed, stage: Stage::Ended, code };
                self.scribe().add(said).await.map(drop)
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
        let Some(named) = self.names.first() else { return Ok(()) };
        match outcome {
            Outcome::Done { result } if result.len() <= RESULT_BYTES_MAX => {
                self.put_end(named, self.keeps_s, Some(result)).await
            }
            Outcome::Failed { .. } if !self.room.went_out.load(Ordering::Relaxed) => {
                self.put_end(named, 0, None).await
            }
            _ => Ok(()),
        }
    }

    async fn put_end(&self, named: &Named, ttl_s: i64, result: Option<&str>) -> Result<(), Problem> {
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
