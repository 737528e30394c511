//! The one transaction: plan, meter, audit, idempotency, storage, cache, the writes and their news, in this order.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update, builders::UpdateBuilder,
    },
};

use super::{
    Admission, DAY, KEY_TTL_S, Outcome, TOOL, idempotency_key,
    quota::{Growth, Meter, Stock},
};
use crate::{
    Problem,
    audit::Link,
    aws::store_problem,
    clock::Moment,
    crypto::sha256,
    key::{Family, Shelf},
    plan::Plan,
    scope::settings_version_key,
    staged::{Change, Place, Write},
};

type Item = HashMap<String, AttributeValue>;

const DOING: &str = "committing a call";

/// Which minute the charge goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// This call is the first of its minute, as far as is known.
    Opened,
    /// This minute runs already.
    Running(i64),
}

impl Window {
    /// Where a charge is tried first: a minute that was charged to before, if it may still run. Whoever guesses wrong tries
    /// once more.
    pub(super) fn guess(charged: Option<i64>, now: Moment) -> Self {
        charged.filter(|minute| *minute >= now.minute()).map_or(Self::Opened, Self::Running)
    }

    /// The minute of a charge at this moment.
    pub(super) fn minute(self, now: Moment) -> i64 {
        match self {
            Self::Opened => now.minute(),
            Self::Running(minute) => minute,
        }
    }
}

/// One attempt.
pub(super) struct Transaction<'a> {
    pub(super) admission: &'a Admission,
    pub(super) plan: &'a Plan,
    pub(super) outcome: Outcome<'a>,
    pub(super) writes: &'a BTreeMap<Place, Write>,
    /// What the writes are for searches.
    pub(super) news: &'a [Item],
    pub(super) growth: Growth,
    pub(super) empties_cache: bool,
    pub(super) window: Window,
    pub(super) now: Moment,
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
    /// There is no room for what is to be kept; this is what there was.
    Storage(Stock),
    /// A record's version is another than was read.
    Write,
    /// Another transaction was at the same items.
    Contended,
}

/// What an action of the transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Plan,
    Meter,
    Audit,
    Idempotency,
    Storage,
    Cache,
    Write,
    News,
}

impl Transaction<'_> {
    /// Sends it. The outer error ends the call; the inner one says what to do about it.
    pub(super) async fn send(&self, audit: &Link) -> Result<Result<(), Cancelled>, Problem> {
        let (parts, items): (Vec<Part>, Vec<TransactWriteItem>) = self.actions(audit)?.into_iter().unzip();
        let name = self.admission.name.as_deref().unwrap_or_default();
        // Derived, so that the SDK's own retries are one transaction; another attempt is another transaction.
        let token: String =
            sha256([name, "\0", &audit.sort_key].concat().as_bytes()).chars().take(36).collect();
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
            Err(err) => read_cancellation(&parts, err).map(Err),
        }
    }

    fn actions(&self, audit: &Link) -> Result<Vec<(Part, TransactWriteItem)>, Problem> {
        let mut actions = vec![(Part::Plan, self.plan()?), (Part::Audit, self.audit(audit)?)];
        if self.outcome != Outcome::Uncharged {
            actions.push((Part::Meter, self.meter()?));
        }
        if let Some(name) = self.kept_name() {
            actions.push((Part::Idempotency, self.idempotency(name)?));
        }
        if self.growth != Growth::default() {
            actions.push((Part::Storage, self.storage()?));
        }
        if self.empties_cache {
            actions.push((Part::Cache, self.cache()?));
        }
        for ((shelf, id), write) in self.writes {
            actions.push((Part::Write, self.write((shelf, id.as_str()), write)?));
        }
        for item in self.news {
            let put = Put::builder().table_name(&*self.admission.room.table).set_item(Some(item.clone()));
            let put = put.build().map_err(fault)?;
            actions.push((Part::News, TransactWriteItem::builder().put(put).build()));
        }
        Ok(actions)
    }

    /// The name of the record to keep: an operation that failed keeps none, so that its key stays free.
    fn kept_name(&self) -> Option<&str> {
        match self.outcome {
            Outcome::Failed { .. } => None,
            _ => self.admission.name.as_deref(),
        }
    }

    fn plan(&self) -> Result<TransactWriteItem, Problem> {
        let room = &self.admission.room;
        self.plan.still(room.plans.table(), &room.tenant).map_err(fault)
    }

    fn meter(&self) -> Result<TransactWriteItem, Problem> {
        let limits = self.plan.limits;
        let update = self
            .counters(&self.now.month())
            .expression_attribute_names("#tool", [TOOL, &self.admission.operation.action].concat())
            .expression_attribute_names("#day", [DAY, &self.now.day_of_month()].concat())
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":month", number(limits.calls_month))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = match self.window {
            Window::Opened => update
                .update_expression(
                    "SET calls = if_not_exists(calls, :zero) + :one, #tool = if_not_exists(#tool, :zero) + :one, \
                     #day = if_not_exists(#day, :zero) + :one, win = :win, win_calls = :one",
                )
                .condition_expression(
                    "(attribute_not_exists(calls) OR calls < :month) AND (attribute_not_exists(win) OR win < :win)",
                )
                .expression_attribute_values(":win", AttributeValue::N(self.now.minute().to_string())),
            Window::Running(minute) => update
                .update_expression(
                    "SET calls = calls + :one, #tool = if_not_exists(#tool, :zero) + :one, \
                     #day = if_not_exists(#day, :zero) + :one, win_calls = win_calls + :one",
                )
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

    fn audit(&self, audit: &Link) -> Result<TransactWriteItem, Problem> {
        self.put(audit.item.clone(), "attribute_not_exists(pk)", None)
    }

    fn idempotency(&self, name: &str) -> Result<TransactWriteItem, Problem> {
        let admission = self.admission;
        let until_s = self.now.plus_s(KEY_TTL_S).seconds();
        let mut item = idempotency_key(&admission.room.tenant, name);
        item.insert("arguments".to_owned(), text(&admission.arguments_hash));
        item.insert("ttl".to_owned(), AttributeValue::N(until_s.to_string()));
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

    /// What is kept, which grows within its limits only; it may shrink above them.
    fn storage(&self) -> Result<TransactWriteItem, Problem> {
        let Growth { bytes, items, members } = self.growth;
        let limits = self.plan.limits;
        let mut update = self
            .counters("STORAGE")
            .update_expression("ADD byte_count :bytes, item_count :items, member_count :members")
            .expression_attribute_values(":bytes", AttributeValue::N(bytes.to_string()))
            .expression_attribute_values(":items", AttributeValue::N(items.to_string()))
            .expression_attribute_values(":members", AttributeValue::N(members.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut conditions = Vec::with_capacity(2);
        if let Ok(more @ 1..) = u64::try_from(bytes) {
            conditions.push("(attribute_not_exists(byte_count) OR byte_count <= :bytes_room)");
            let room = number(limits.storage_bytes.saturating_sub(more));
            update = update.expression_attribute_values(":bytes_room", room);
        }
        if let Ok(more @ 1..) = u64::try_from(items) {
            conditions.push("(attribute_not_exists(item_count) OR item_count <= :items_room)");
            let room = number(limits.items.saturating_sub(more));
            update = update.expression_attribute_values(":items_room", room);
        }
        if !conditions.is_empty() {
            update = update.condition_expression(conditions.join(" AND "));
        }
        Ok(TransactWriteItem::builder().update(update.build().map_err(fault)?).build())
    }

    /// The version of the settings, which is a part of the key of whatever is cached of the tenant. It has no condition:
    /// calls that raise it at once both succeed.
    fn cache(&self) -> Result<TransactWriteItem, Problem> {
        let room = &self.admission.room;
        let update = Update::builder()
            .table_name(&*room.table)
            .set_key(Some(settings_version_key(&room.tenant)))
            .update_expression("ADD version :one")
            .expression_attribute_values(":one", number(1));
        Ok(TransactWriteItem::builder().update(update.build().map_err(fault)?).build())
    }

    fn write(&self, (shelf, id): (&Shelf, &str), write: &Write) -> Result<TransactWriteItem, Problem> {
        let room = &self.admission.room;
        let (condition, before) = match write.version_before {
            Some(version) => ("version = :before", Some(number(version))),
            None => ("attribute_not_exists(pk)", None),
        };
        let values = before.map(|before| HashMap::from([(":before".to_owned(), before)]));
        let key = HashMap::from([
            ("pk".to_owned(), text(&Family::Shelf(shelf).of(&room.tenant))),
            ("sk".to_owned(), text(id)),
        ]);
        let item = TransactWriteItem::builder();
        Ok(match &write.change {
            Change::Put(raw) => item.put(
                Put::builder()
                    .table_name(&*room.table)
                    .set_item(Some(raw.item(&room.tenant, shelf)))
                    .condition_expression(condition)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(fault)?,
            ),
            Change::Delete => item.delete(
                Delete::builder()
                    .table_name(&*room.table)
                    .set_key(Some(key))
                    .condition_expression(condition)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(fault)?,
            ),
            Change::Keep(_) => item.condition_check(
                ConditionCheck::builder()
                    .table_name(&*room.table)
                    .set_key(Some(key))
                    .condition_expression(condition)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(fault)?,
            ),
        }
        .build())
    }
}

/// The first reason that says more than another's: plan, then replay, then the counters, then the writes.
fn read_cancellation(parts: &[Part], err: SdkError<TransactWriteItemsError>) -> Result<Cancelled, Problem> {
    let reasons = match err.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().to_vec()
        }
        _ => return Err(store_problem(DOING, err)),
    };
    let failed = |part: Part| {
        let fails = |reason: &&CancellationReason| reason.code() == Some("ConditionalCheckFailed");
        let of_part = parts.iter().zip(&reasons).filter(|(of, _)| **of == part);
        of_part.map(|(_, reason)| reason).find(fails)
    };
    if failed(Part::Plan).is_some() {
        return Ok(Cancelled::Plan);
    }
    if let Some(reason) = failed(Part::Idempotency) {
        return reason.item().cloned().map(Cancelled::Done).ok_or_else(|| store_problem(DOING, err));
    }
    if let Some(reason) = failed(Part::Meter) {
        return Ok(Cancelled::Meter(read_meter(reason)));
    }
    if let Some(reason) = failed(Part::Storage) {
        let [bytes, items] = ["byte_count", "item_count"].map(|name| counted(reason, name));
        return Ok(Cancelled::Storage(Stock { bytes, items }));
    }
    if failed(Part::Write).or(failed(Part::Audit)).is_some() {
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

fn read_meter(reason: &CancellationReason) -> Meter {
    let minute = reason.item().and_then(|item| item.get("win")?.as_n().ok()?.parse().ok()).unwrap_or(0);
    Meter { calls: counted(reason, "calls"), minute, minute_calls: counted(reason, "win_calls") }
}

/// A counter of the row whose condition failed; one that is missing counts nothing.
fn counted(reason: &CancellationReason, name: &str) -> u64 {
    let value = reason.item().and_then(|item| item.get(name));
    value.and_then(|value| value.as_n().ok()?.parse().ok()).unwrap_or(0)
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
