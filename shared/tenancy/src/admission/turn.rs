//! Which counter and minute a call is charged to: a turn a counter, until one has room.

use aws_sdk_dynamodb::Client;

use super::{Admission, month_key};
use crate::{
    Problem,
    aws::read_item,
    canonical::Item,
    clock::Moment,
    plan::Plan,
    quota::{QuotaKind, Reset},
    tenant::TenantId,
};

/// Which minute the charge goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// This call is the first of its minute, as far as is known.
    Opened,
    /// This minute runs already.
    Running(i64),
}

/// Where a charge is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) counter: u8,
    pub(super) window: Window,
    /// Counters that have counted all that is their part.
    full: u8,
    /// The minute of one that has only counted all of its minute's part: it has room again in the next.
    full_minute: Option<i64>,
}

/// A counter as its row had it. A row that is missing counts nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Meter {
    pub(crate) calls: u64,
    pub(crate) minute: i64,
    pub(crate) minute_calls: u64,
}

impl Window {
    /// Where a charge is tried first: a minute that was charged to before, if it may still run. Whoever guesses wrong tries
    /// once more.
    fn guess(charged: Option<i64>, now: Moment) -> Self {
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

impl Turn {
    /// Whether a limit leaves this counter nothing at all. It is asked all the same: the plan may be another by now.
    pub(super) fn is_shut(self, plan: &Plan, now: Moment) -> bool {
        self.month_part(plan, now) == 0 || self.minute_part(plan, self.window.minute(now)) == 0
    }

    pub(super) fn month_part(self, plan: &Plan, now: Moment) -> u64 {
        plan.spread.month_part(plan.limits.calls_month, self.counter, now)
    }

    pub(super) fn minute_part(self, plan: &Plan, minute: i64) -> u64 {
        plan.spread.minute_part(plan.limits.calls_minute, self.counter, minute)
    }
}

impl Meter {
    pub(crate) fn read(row: &Item) -> Self {
        let number = |name: &str| row.get(name)?.as_n().ok();
        let counted = |name| number(name).and_then(|n| n.parse().ok()).unwrap_or(0);
        let minute = number("win").and_then(|n| n.parse().ok()).unwrap_or(0);
        Self { calls: counted("calls"), minute, minute_calls: counted("win_calls") }
    }
}

/// The rows of a month's counters, in their order; one that is missing is empty.
pub(crate) async fn month_rows(
    (client, table): (&Client, &str),
    tenant: &TenantId,
    month: &str,
    counters: u8,
) -> Result<Vec<Item>, Problem> {
    let mut rows = Vec::with_capacity(counters.into());
    for counter in 0..counters {
        let key = month_key(tenant, month, counter);
        rows.push(read_item(client, table, key, "reading counters").await?.unwrap_or_default());
    }
    Ok(rows)
}

impl Admission {
    /// The first turn: of any counter, so that calls are spread evenly.
    pub(super) async fn first_turn(&self, plan: &Plan) -> Result<Turn, Problem> {
        Ok(self.turn_of(plan.spread.any()?).await)
    }

    async fn turn_of(&self, counter: u8) -> Turn {
        let charged = self.room.plans.minute(&self.room.tenant, counter).await;
        let window = Window::guess(charged, self.room.clock.now());
        Turn { counter, window, full: 0, full_minute: None }
    }

    /// The turn to try next, seeing the counter as it was when its condition failed; the same once more if there is room.
    pub(super) async fn next_turn(
        &self,
        plan: &Plan,
        turn: Turn,
        meter: &Meter,
        now: Moment,
    ) -> Result<Turn, Problem> {
        if meter.calls >= turn.month_part(plan, now) {
            return self.pass_on(plan, turn, meter, now).await;
        }
        let (minute, minute_calls, window) = if meter.minute < now.minute() {
            (now.minute(), 0, Window::Opened)
        } else {
            // Another instance opened this minute, or its clock is a little ahead: its minute counts.
            (meter.minute, meter.minute_calls, Window::Running(meter.minute))
        };
        if minute_calls < turn.minute_part(plan, minute) {
            return Ok(Turn { window, ..turn });
        }
        self.pass_on(plan, Turn { full_minute: Some(minute), ..turn }, meter, now).await
    }

    /// The turn of the next counter, since this one is full; after all of them, a quota is used up.
    async fn pass_on(&self, plan: &Plan, turn: Turn, seen: &Meter, now: Moment) -> Result<Turn, Problem> {
        let (counters, full_minute) = (plan.spread.counters(), turn.full_minute);
        let full = turn.full.saturating_add(1);
        if full < counters {
            let next = turn.counter.saturating_add(1);
            let next = self.turn_of(if next < counters { next } else { 0 }).await;
            return Ok(Turn { full, full_minute, ..next });
        }
        let (calls, minute_calls) = match plan.spread.counters_of(&now.month()) {
            1 if full_minute.is_none_or(|minute| minute == seen.minute) => (seen.calls, seen.minute_calls),
            1 => (seen.calls, 0),
            _ => self.counted(plan, full_minute, now).await?,
        };
        let limits = plan.limits;
        let (reached, ends_s) = match full_minute {
            None => ((QuotaKind::CallsMonth, limits.calls_month, calls), now.next_month_s()),
            Some(minute) => {
                let ends_s = minute.saturating_add(1).saturating_mul(60);
                ((QuotaKind::CallsMinute, limits.calls_minute, minute_calls), ends_s)
            }
        };
        self.refuse_quota(plan, reached, Some(Reset::at(ends_s, now)))
    }

    /// What all counters have counted in this month and minute.
    async fn counted(&self, plan: &Plan, minute: Option<i64>, now: Moment) -> Result<(u64, u64), Problem> {
        let (room, month) = (&self.room, now.month());
        let counters = plan.spread.counters_of(&month);
        let rows = month_rows((&room.store.client, &room.table), &room.tenant, &month, counters).await?;
        let (mut calls, mut minute_calls) = (0_u64, 0_u64);
        for meter in rows.iter().map(Meter::read) {
            calls = calls.saturating_add(meter.calls);
            if Some(meter.minute) == minute {
                minute_calls = minute_calls.saturating_add(meter.minute_calls);
            }
        }
        Ok((calls, minute_calls))
    }
}
