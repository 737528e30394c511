//! The one transaction: plan, meter, audit, idempotency, storage and the writes, in this order.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update, builders::UpdateBuilder,
    },
};

use super::{Admission, KEY_TTL_S, Meter, Outcome};
use crate::{
    Problem,
    aws::store_problem,
    clock::Moment,
    crypto::sha256,
    key::{Family, ItemId},
    staged::Write,
};

const DOING: &str = "committing a call";

/// Which minute the charge goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// This call is the first of its minute, as far as is known.
    Opened,
    /// This minute runs already.
    Running(i64),
}

/// One attempt.
pub(super) struct Transaction<'a> {
    pub(super) admission: &'a Admission,
    pub(super) outcome: Outcome<'a>,
    pub(super) writes: &'a BTreeMap<(&'static str, ItemId), Write>,
    pub(super) window: Window,
    pub(super) now: Moment,
    pub(super) audit_key: String,
}

/// Why a transaction did nothing.
#[derive(Debug)]
pub(super) enum Cancelled {
    /// The plan is another than was thought, or the tenant is suspended.
    Plan,
    /// The meter's condition failed; this is what it counted.
    Meter(Meter),
    /// The same operation was done before; this is its record.
    Done(HashMap<String, AttributeValue>),
    /// A record's version is another than was read.
    Write,
    /// Another transaction was at the same items.
    Contended,
}

impl Transaction<'_> {
    /// Sends it. The outer error ends the call; the inner one says what to do about it.
    pub(super) async fn send(self) -> Result<Result<(), Cancelled>, Problem> {
        let items = self.items()?;
        let name = self.admission.name.as_deref().unwrap_or_default();
        // Derived, so that the SDK's own retries are one transaction; another attempt is another transaction.
        let token: String =
            sha256([name, "\0", &self.audit_key].concat().as_bytes()).chars().take(36).collect();
        let reply = self
            .admission
            .room
            .store
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(token)
            .send()
            .await;
        match reply {
            Ok(_) => Ok(Ok(())),
            Err(err) => self.read_cancellation(err).map(Err),
        }
    }

    fn items(&self) -> Result<Vec<TransactWriteItem>, Problem> {
        let mut items = vec![self.plan()?, self.meter()?, self.audit()?];
        if let Some(name) = self.kept_name() {
            items.push(self.idempotency(name)?);
        }
        if !self.writes.is_empty() {
            items.push(self.storage()?);
        }
        for ((collection, id), write) in self.writes {
            items.push(self.write(collection, id, write)?);
        }
        Ok(items)
    }

    /// The name of the record to keep: an operation that failed keeps none, so that its key stays free.
    fn kept_name(&self) -> Option<&str> {
        match self.outcome {
            Outcome::Failed { .. } => None,
            _ => self.admission.name.as_deref(),
        }
    }

    fn plan(&self) -> Result<TransactWriteItem, Problem> {
        let check = ConditionCheck::builder()
            .table_name(&*self.admission.room.table)
            .key("pk", text(&Family::Plan.of(&self.admission.room.tenant)))
            .key("sk", text("PLAN"))
            .condition_expression("epoch = :epoch AND #status = :active")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":epoch", number(self.admission.plan.epoch))
            .expression_attribute_values(":active", text("active"))
            .build()
            .map_err(fault)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    fn meter(&self) -> Result<TransactWriteItem, Problem> {
        let limits = self.admission.plan.limits;
        let update = self
            .counters(&self.now.month())
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":month", number(limits.calls_month))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = match self.window {
            Window::Opened => update
                .update_expression(
                    "SET calls = if_not_exists(calls, :zero) + :one, win = :win, win_calls = :one",
                )
                .condition_expression(
                    "(attribute_not_exists(calls) OR calls < :month) AND (attribute_not_exists(win) OR win < :win)",
                )
                .expression_attribute_values(":zero", number(0))
                .expression_attribute_values(":win", AttributeValue::N(self.now.minute().to_string())),
            Window::Running(minute) => update
                .update_expression("SET calls = calls + :one, win_calls = win_calls + :one")
                .condition_expression("calls < :month AND win = :win AND win_calls < :minute")
                .expression_attribute_values(":minute", number(limits.calls_minute))
                .expression_attribute_values(":win", AttributeValue::N(minute.to_string())),
        };
        Ok(TransactWriteItem::builder().update(update.build().map_err(fault)?).build())
    }

    fn counters(&self, sort_key: &str) -> UpdateBuilder {
        Update::builder()
            .table_name(&*self.admission.room.table)
            .key("pk", text(&Family::Meter.of(&self.admission.room.tenant)))
            .key("sk", text(sort_key))
    }

    fn audit(&self) -> Result<TransactWriteItem, Problem> {
        let item =
            self.admission.audit_item(self.now, self.audit_key.clone(), self.outcome.code(), "allowed");
        self.put(item, "attribute_not_exists(pk)", None)
    }

    fn idempotency(&self, name: &str) -> Result<TransactWriteItem, Problem> {
        let admission = self.admission;
        let until_s = self.now.plus_s(KEY_TTL_S).seconds();
        let mut item = HashMap::from([
            ("pk".to_owned(), text(&Family::Idempotency(name).of(&admission.room.tenant))),
            ("sk".to_owned(), text("IDEM")),
            ("arguments".to_owned(), text(&admission.arguments_hash)),
            ("ttl".to_owned(), AttributeValue::N(until_s.to_string())),
        ]);
        if let Outcome::Done { result } = self.outcome {
            item.insert("result".to_owned(), text(result));
        }
        let now_s = AttributeValue::N(self.now.seconds().to_string());
        self.put(item, "attribute_not_exists(pk) OR #ttl <= :now", Some(now_s))
    }

    fn put(
        &self,
        item: HashMap<String, AttributeValue>,
        condition: &str,
        now_s: Option<AttributeValue>,
    ) -> Result<TransactWriteItem, Problem> {
        let mut put = Put::builder()
            .table_name(&*self.admission.room.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if let Some(now_s) = now_s {
            put = put.expression_attribute_names("#ttl", "ttl").expression_attribute_values(":now", now_s);
        }
        Ok(TransactWriteItem::builder().put(put.build().map_err(fault)?).build())
    }

    /// What the writes add to the tenant's storage: bytes of documents, and records.
    fn storage(&self) -> Result<TransactWriteItem, Problem> {
        let (mut bytes, mut records) = (0_i64, 0_i64);
        for write in self.writes.values() {
            let after = write.after.as_ref().map_or(0, |raw| raw.bytes());
            bytes = bytes.saturating_add(after).saturating_sub(write.bytes_before);
            records = records
                .saturating_add(i64::from(write.after.is_some()))
                .saturating_sub(i64::from(write.version_before.is_some()));
        }
        let update = self
            .counters("STORAGE")
            .update_expression("ADD bytes :bytes, records :records")
            .expression_attribute_values(":bytes", AttributeValue::N(bytes.to_string()))
            .expression_attribute_values(":records", AttributeValue::N(records.to_string()))
            .build()
            .map_err(fault)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn write(&self, collection: &str, id: &ItemId, write: &Write) -> Result<TransactWriteItem, Problem> {
        let room = &self.admission.room;
        let (condition, before) = match write.version_before {
            Some(version) => ("version = :before", Some(number(version))),
            None => ("attribute_not_exists(pk)", None),
        };
        let values = before.map(|before| HashMap::from([(":before".to_owned(), before)]));
        let item = TransactWriteItem::builder();
        Ok(match &write.after {
            Some(raw) => item.put(
                Put::builder()
                    .table_name(&*room.table)
                    .set_item(Some(raw.item(&room.tenant, collection)))
                    .condition_expression(condition)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(fault)?,
            ),
            None => item.delete(
                Delete::builder()
                    .table_name(&*room.table)
                    .key("pk", text(&Family::Item(collection).of(&room.tenant)))
                    .key("sk", text(id.as_str()))
                    .condition_expression(condition)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(fault)?,
            ),
        }
        .build())
    }

    /// The first reason that says more than another's: plan, then replay, then meter, then the writes.
    fn read_cancellation(&self, err: SdkError<TransactWriteItemsError>) -> Result<Cancelled, Problem> {
        let reasons = match err.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                cancelled.cancellation_reasons().to_vec()
            }
            _ => return Err(store_problem(DOING, err)),
        };
        let failed =
            |at: usize| reasons.get(at).filter(|reason| reason.code() == Some("ConditionalCheckFailed"));
        if failed(0).is_some() {
            return Ok(Cancelled::Plan);
        }
        if let Some(item) = self.kept_name().and_then(|_| failed(3)) {
            return item.item().cloned().map(Cancelled::Done).ok_or_else(|| store_problem(DOING, err));
        }
        if let Some(reason) = failed(1) {
            return Ok(Cancelled::Meter(read_meter(reason)));
        }
        if (2..reasons.len()).any(|at| failed(at).is_some()) {
            return Ok(Cancelled::Write);
        }
        let passes = |reason: &CancellationReason| {
            matches!(
                reason.code(),
                Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
            )
        };
        if reasons.iter().any(passes) { Ok(Cancelled::Contended) } else { Err(store_problem(DOING, err)) }
    }
}

fn read_meter(reason: &CancellationReason) -> Meter {
    let Some(item) = reason.item() else { return Meter::default() };
    let field = |name: &str| item.get(name).and_then(|value| value.as_n().ok());
    Meter {
        calls: field("calls").and_then(|n| n.parse().ok()).unwrap_or(0),
        minute: field("win").and_then(|n| n.parse().ok()).unwrap_or(0),
        minute_calls: field("win_calls").and_then(|n| n.parse().ok()).unwrap_or(0),
    }
}

fn text(s: &str) -> AttributeValue {
    AttributeValue::S(s.to_owned())
}

fn number(n: u64) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

fn fault(err: aws_sdk_dynamodb::error::BuildError) -> Problem {
    Problem::internal(DOING, err)
}
