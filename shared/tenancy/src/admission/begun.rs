//! The idempotency record of an operation whose effect is outside, and so comes after its charge.

use std::sync::{Arc, atomic::Ordering};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Admission, Named, Outcome, RESULT_BYTES_MAX, idempotency_key};
use crate::{Problem, aws::store_problem, scope::Room};

/// The record that the transaction of [`Outcome::Begun`] makes. Where it is never ended, the operation may have acted,
/// and its key stays used.
pub(crate) struct Begun {
    room: Arc<Room>,
    named: Option<Named>,
    keeps_s: i64,
}

impl Admission {
    /// What is needed to end the record of this operation when it has been begun.
    pub(crate) fn begun(&self) -> Begun {
        Begun { room: Arc::clone(&self.room), named: self.names.first().cloned(), keeps_s: self.keeps_s }
    }
}

impl Begun {
    /// Keeps the result of what was done, or gives the key back where nothing went out. What can't be said for certain is
    /// left as it is. A failure is logged and no more: the effect is there, whatever becomes of its record.
    pub(crate) async fn end(self, outcome: Outcome<'_>) {
        let (until_s, result) = match outcome {
            Outcome::Done { result } if result.len() <= RESULT_BYTES_MAX => (self.keeps_s, Some(result)),
            Outcome::Failed { .. } if !self.room.went_out.load(Ordering::Relaxed) => (0, None),
            _ => return,
        };
        let Some(named) = &self.named else { return };
        if let Err(problem) = self.put(named, until_s, result).await {
            let cause = std::error::Error::source(&problem).map(ToString::to_string);
            tracing::error!(code = problem.code(), cause, "the end of a call could not be recorded");
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
