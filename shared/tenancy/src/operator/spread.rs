//! What a change of limits leaves to each of several counters, so that all of them together never pass the limit.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};

use super::{Operator, fault};
use crate::{
    Plan, Problem, TenantId,
    admission::{Meter, month_key, month_rows},
    canonical::Item,
    clock::{Clock, Moment},
    plan::{Settled, parts},
};

impl Operator {
    /// The plan with its parts for the month and minute that run, and the conditions under which they are right: that no
    /// counter has passed its part meanwhile. Parts that were even, and are even under the new plan, stay so.
    pub(super) async fn settle(
        &self,
        id: &TenantId,
        (before, after): (&Plan, Plan),
    ) -> Result<(Plan, Vec<TransactWriteItem>), Problem> {
        let now = Clock::System.now();
        // Those that were taken away this month have counted as well.
        let most = before.spread.counters_of(&now.month()).max(after.spread.counters());
        let is_same = before.limits == after.limits && before.spread == after.spread;
        if is_same || most == 1 {
            return Ok((after, Vec::new()));
        }
        if after.moving.is_some() {
            let detail = "the tenant is being moved; its counters can be changed after that".to_owned();
            return Err(Problem::Conflict { detail });
        }
        let table = after.placement.table(&self.data.as_str().into(), id);
        let rows = month_rows((&self.client, &table), id, &now.month(), most).await?;
        let counted: Vec<Meter> = rows.iter().map(Meter::read).collect();
        let (settled, checks) = settled(&after, &counted, now);
        let check = |(counter, check): (u8, Check)| check.of(&table, month_key(id, &now.month(), counter));
        let checks = checks.into_iter().map(check).collect::<Result<_, _>>()?;
        let spread = after.spread.clone().settle(settled);
        Ok((Plan { spread, ..after }, checks))
    }
}

/// What a counter may have counted at most for its part to be right.
#[derive(Debug, PartialEq, Eq)]
struct Check {
    calls: u64,
    minute: i64,
    minute_calls: u64,
}

impl Check {
    fn of(&self, table: &str, key: Item) -> Result<TransactWriteItem, Problem> {
        let check = ConditionCheck::builder()
            .table_name(table)
            .set_key(Some(key))
            .condition_expression(
                "attribute_not_exists(calls) OR \
                 (calls <= :calls AND (win < :win OR (win = :win AND win_calls <= :win_calls)))",
            )
            .expression_attribute_values(":calls", AttributeValue::N(self.calls.to_string()))
            .expression_attribute_values(":win", AttributeValue::N(self.minute.to_string()))
            .expression_attribute_values(":win_calls", AttributeValue::N(self.minute_calls.to_string()))
            .build()
            .map_err(fault)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

/// The parts of each counter that stays, and what each of them and of those that go may have counted by the time of the
/// change. A limit that is passed already leaves nothing to anybody, whatever they count until then.
fn settled(after: &Plan, counted: &[Meter], now: Moment) -> (Settled, Vec<(u8, Check)>) {
    let counters = after.spread.counters();
    let minute = counted.iter().map(|counter| counter.minute).fold(now.minute(), i64::max);
    let of_minute = |counter: &Meter| if counter.minute == minute { counter.minute_calls } else { 0 };
    let calls: Vec<u64> = counted.iter().map(|counter| counter.calls).collect();
    let minute_calls: Vec<u64> = counted.iter().map(of_minute).collect();
    let calls_month = parts(after.limits.calls_month, counters, &calls);
    let calls_minute = parts(after.limits.calls_minute, counters, &minute_calls);
    let most = |parts: &[u64], counted: &[u64], at: usize| {
        let leaves_some = parts.iter().any(|part| *part > 0);
        if leaves_some { parts.get(at).or(counted.get(at)).copied().unwrap_or(0) } else { u64::MAX >> 1 }
    };
    let check = |(counter, at): (u8, usize)| {
        let (calls, minute_calls) = (most(&calls_month, &calls, at), most(&calls_minute, &minute_calls, at));
        (counter, Check { calls, minute, minute_calls })
    };
    let checks = (0_u8..).zip(0..counted.len()).map(check).collect();
    (Settled { month: now.month(), calls_month, minute, calls_minute }, checks)
}
