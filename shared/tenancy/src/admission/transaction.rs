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
    Admission, DAY, ITEMS_OF, Outcome, TOOL, month_key,
    names::{Named, idempotency_key},
    quota::Growth,
    turn::{Meter, Turn, Window},
};
use crate::{
    Problem,
    audit::Link,
    aws::{is_passing, number, store_problem, text},
    clock::Moment,
    crypto::sha256,
    key::{Family, Shelf},
    plan::Plan,
    recount::{CHANGES, Stock},
    scope::{settings_version_key, stock_key},
    staged::{Change, Place, Write},
};

type Item = HashMap<String, AttributeValue>;

const DOING: &str = "committing a call";
/// Of an idempotency record: there is none, or it has expired.
const UNUSED: &str = "attribute_not_exists(pk) OR #ttl <= :now";

/// One attempt.
pub(super) struct Transaction<'a> {
    pub(super) admission: &'a Admission,
    pub(super) plan: &'a Plan,
    pub(super) outcome: Outcome<'a>,
    pub(super) writes: &'a BTreeMap<Place, Write>,
    /// What the writes are for searches.
    pub(super) news: &'a [Item],
    pub(super) growth: &'a Growth,
    pub(super) empties_cache: bool,
    pub(super) turn: Turn,
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
    /// A record's version is another than was read; the number of its write, if it was one of them.
    Write(Option<usize>),
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
        let name = self.admission.names.first().map_or("", |named| &*named.name);
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
        // An operation that failed keeps no record, so that its key stays free.
        if !matches!(self.outcome, Outcome::Failed { .. })
            && let Some((kept, others)) = self.admission.names.split_first()
        {
            actions.push((Part::Idempotency, self.idempotency(kept)?));
            for named in others {
                actions.push((Part::Idempotency, self.unused(named)?));
            }
        }
        if self.growth.is_felt {
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

    fn plan(&self) -> Result<TransactWriteItem, Problem> {
        let room = &self.admission.room;
        self.plan.still(room.plans.table(), &room.tenant, self.turn.counter).map_err(fault)
    }

    fn meter(&self) -> Result<TransactWriteItem, Problem> {
        let (room, turn) = (&self.admission.room, self.turn);
        let update = self
            .update(month_key(&room.tenant, &self.now.month(), turn.counter))
            .expression_attribute_names("#tool", [TOOL, &self.admission.operation.action].concat())
            .expression_attribute_names("#day", [DAY, &self.now.day_of_month()].concat())
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":month", number(turn.month_part(self.plan, self.now)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        // Nothing was ever counted below nothing.
        let never = if turn.is_shut(self.plan, self.now) { " AND calls < :zero" } else { "" };
        let update = match turn.window {
            Window::Opened => update
                .update_expression(
                    "SET calls = if_not_exists(calls, :zero) + :one, #tool = if_not_exists(#tool, :zero) + :one, \
                     #day = if_not_exists(#day, :zero) + :one, win = :win, win_calls = :one",
                )
                .condition_expression(format!(
                    "(attribute_not_exists(calls) OR calls < :month) AND (attribute_not_exists(win) OR win < :win){never}",
                ))
                .expression_attribute_values(":win", AttributeValue::N(self.now.minute().to_string())),
            Window::Running(minute) => update
                .update_expression(
                    "SET calls = calls + :one, #tool = if_not_exists(#tool, :zero) + :one, \
                     #day = if_not_exists(#day, :zero) + :one, win_calls = win_calls + :one",
                )
                .condition_expression(format!("calls < :month AND win = :win AND win_calls < :minute{never}"))
                .expression_attribute_values(":minute", number(turn.minute_part(self.plan, minute)))
                .expression_attribute_values(":win", AttributeValue::N(minute.to_string())),
        };
        Ok(TransactWriteItem::builder().update(update.build().map_err(fault)?).build())
    }

    fn update(&self, key: Item) -> UpdateBuilder {
        Update::builder().table_name(&*self.admission.room.table).set_key(Some(key))
    }

    fn audit(&self, audit: &Link) -> Result<TransactWriteItem, Problem> {
        self.put(audit.item.clone(), "attribute_not_exists(pk)", None)
    }

    fn idempotency(&self, named: &Named) -> Result<TransactWriteItem, Problem> {
        let admission = self.admission;
        let until_s = self.now.plus_s(admission.keeps_s).seconds();
        let mut item = idempotency_key(&admission.room.tenant, &named.name);
        item.insert("arguments".to_owned(), text(&named.arguments));
        item.insert("ttl".to_owned(), AttributeValue::N(until_s.to_string()));
        if let Outcome::Done { result } = self.outcome {
            item.insert("result".to_owned(), text(result));
        }
        let now_s = AttributeValue::N(self.now.seconds().to_string());
        self.put(item, UNUSED, Some(now_s))
    }

    /// That there is no record of another name that it may have.
    fn unused(&self, named: &Named) -> Result<TransactWriteItem, Problem> {
        let room = &self.admission.room;
        let check = ConditionCheck::builder()
            .table_name(&*room.table)
            .set_key(Some(idempotency_key(&room.tenant, &named.name)))
            .condition_expression(UNUSED)
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", AttributeValue::N(self.now.seconds().to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(TransactWriteItem::builder().condition_check(check.build().map_err(fault)?).build())
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
        let Growth { bytes, items, members, collections, .. } = self.growth;
        let (plan, mut stock) = (self.plan, StockUpdate::default());
        stock.count("byte_count", *bytes, Some(plan.limits.storage_bytes));
        stock.count("item_count", *items, Some(plan.limits.items));
        stock.count("member_count", *members, None);
        stock.count(CHANGES, 1, None);
        for (collection, more) in collections {
            let name = [ITEMS_OF, collection.as_str()].concat();
            stock.count(&name, *more, plan.collection_items.get(collection).copied());
        }
        let StockUpdate { names, values, adds, conditions } = stock;
        let conditions = (!conditions.is_empty()).then(|| conditions.join(" AND "));
        let update = self
            .update(stock_key(&self.admission.room.tenant))
            .update_expression(format!("ADD {}", adds.join(", ")))
            .set_condition_expression(conditions)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
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

/// An update of what is kept, counter by counter.
#[derive(Debug, Default)]
struct StockUpdate {
    names: HashMap<String, String>,
    values: Item,
    adds: Vec<String>,
    conditions: Vec<String>,
}

impl StockUpdate {
    /// Counts so much more, which has to fit into what a limit leaves.
    fn count(&mut self, name: &str, more: i64, limit: Option<u64>) {
        let at = self.adds.len();
        self.names.insert(format!("#n{at}"), name.to_owned());
        self.values.insert(format!(":n{at}"), AttributeValue::N(more.to_string()));
        self.adds.push(format!("#n{at} :n{at}"));
        if let (Some(limit), Ok(more @ 1..)) = (limit, u64::try_from(more)) {
            self.values.insert(format!(":room{at}"), number(limit.saturating_sub(more)));
            self.conditions.push(format!("(attribute_not_exists(#n{at}) OR #n{at} <= :room{at})"));
        }
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
    let fails = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
    let of_part = |part: Part| {
        let of_part = parts.iter().zip(&reasons).filter(move |(of, _)| **of == part);
        of_part.map(|(_, reason)| reason)
    };
    let failed = |part: Part| of_part(part).find(|reason| fails(reason));
    if failed(Part::Plan).is_some() {
        return Ok(Cancelled::Plan);
    }
    if let Some(reason) = failed(Part::Idempotency) {
        return reason.item().cloned().map(Cancelled::Done).ok_or_else(|| store_problem(DOING, err));
    }
    if let Some(reason) = failed(Part::Meter) {
        return Ok(Cancelled::Meter(reason.item().map(Meter::read).unwrap_or_default()));
    }
    if let Some(reason) = failed(Part::Storage) {
        return Ok(Cancelled::Storage(Stock::of_row(reason.item())));
    }
    let write = of_part(Part::Write).position(fails);
    if write.is_some() || failed(Part::Audit).is_some() {
        return Ok(Cancelled::Write(write));
    }
    if reasons.iter().any(is_passing) { Ok(Cancelled::Contended) } else { Err(store_problem(DOING, err)) }
}

fn fault(err: aws_sdk_dynamodb::error::BuildError) -> Problem {
    Problem::internal(DOING, err)
}
