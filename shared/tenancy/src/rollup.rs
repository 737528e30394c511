//! What the calls of one action and day came to, as the stream's function counts them: the rows of the rollups.

use std::{collections::BTreeMap, fmt, str::FromStr};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, builders::UpdateBuilder},
};

use crate::{
    Decision, Door, Moment, Outcome, Problem,
    audit::{Ended, Stage},
    aws::store_problem,
    canonical::Item,
    key::Family,
    tenant::TenantId,
};

/// The classes of latencies: each goes up to so many milliseconds, and the last one has no end.
const CLASSES: [(&str, u64); 12] = [
    ("ms_le_5", 5),
    ("ms_le_10", 10),
    ("ms_le_20", 20),
    ("ms_le_50", 50),
    ("ms_le_100", 100),
    ("ms_le_200", 200),
    ("ms_le_500", 500),
    ("ms_le_1000", 1_000),
    ("ms_le_2000", 2_000),
    ("ms_le_5000", 5_000),
    ("ms_le_10000", 10_000),
    ("ms_more", u64::MAX),
];
/// Longer than any function runs. Source: Lambda's limit of 15 minutes.
const DURATION_MS_MAX: u64 = 900_000;
/// Words of a record that is allowed and no failure.
const NO_FAILURE: [&str; 4] = ["ok", "uncharged", "begun", Outcome::ASKING.code()];
/// What an action is counted as that is none of ours.
pub(crate) const UNKNOWN_ACTION: &str = "unknown";
const COUNTERS: [&str; 4] = ["tool_calls", "api_requests", "denied_calls", "failed_calls"];

/// Names a row: the calls of one action on one day.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RowOf {
    pub(crate) tenant: TenantId,
    /// `2026-11-23`.
    pub(crate) day: String,
    pub(crate) action: String,
}

impl RowOf {
    pub(crate) fn key(&self) -> Item {
        // The month is a partition, so that one query has it.
        let (month, day) = self.day.rsplit_once('-').unwrap_or((&self.day, ""));
        Item::from([
            ("pk".to_owned(), AttributeValue::S(Family::Rollup(month).of(&self.tenant))),
            ("sk".to_owned(), AttributeValue::S(format!("{day}#{}", self.action))),
        ])
    }
}

/// What some calls came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls of tools that were let in.
    pub tool_calls: u64,
    /// Requests under `/v1` that were let in.
    pub api_requests: u64,
    /// Both kinds, refused before they ran.
    pub denied: u64,
    /// Those of the calls and requests that ended in a problem.
    pub errors: u64,
    /// How long those that were let in took until they were recorded, or had ended. Of some that ended well nobody has told.
    pub latency: Latency,
    /// The minute of the last of all these, in minutes since 1970 UTC.
    pub last_minute: Option<i64>,
}

/// How long calls took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latency {
    sum_ms: u64,
    max_ms: u64,
    classes: [u64; CLASSES.len()],
}

impl Latency {
    fn add(&mut self, ms: u64) {
        self.sum_ms = self.sum_ms.saturating_add(ms);
        self.max_ms = self.max_ms.max(ms);
        let class = self.classes.iter_mut().zip(CLASSES).find(|(_, (_, most_ms))| ms <= *most_ms);
        if let Some((count, _)) = class {
            *count = count.saturating_add(1);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
        self.max_ms = self.max_ms.max(other.max_ms);
        for (count, more) in self.classes.iter_mut().zip(other.classes) {
            *count = count.saturating_add(more);
        }
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.classes.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// On the average, rounded down; 0 of none.
    #[must_use]
    pub fn mean_ms(&self) -> u64 {
        self.sum_ms.checked_div(self.count()).unwrap_or(0)
    }

    /// The longest.
    #[must_use]
    pub const fn max_ms(&self) -> u64 {
        self.max_ms
    }

    /// What so many of a hundred did not exceed: the end of the class in which they are, and at most the longest.
    #[must_use]
    pub fn percentile_ms(&self, percent: u64) -> u64 {
        let wanted = self.count().saturating_mul(percent).div_ceil(100);
        let mut seen = 0_u64;
        for (count, (_, most_ms)) in self.classes.iter().zip(CLASSES) {
            seen = seen.saturating_add(*count);
            if seen >= wanted {
                return most_ms.min(self.max_ms);
            }
        }
        self.max_ms
    }
}

/// The action, where it may be one of ours.
fn known(action: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    let is_name = (1..=128).contains(&action.len()) && action.bytes().all(plain);
    if is_name { action } else { UNKNOWN_ACTION }.to_owned()
}

impl Tally {
    /// What one record of the trail counts for: as its own action, and for the calls that it tells of, as theirs.
    pub(crate) fn of(record: &Item) -> Vec<(String, Self)> {
        let ended = Ended::read(record).into_iter().map(|Ended { action, duration_ms }| {
            let mut tally = Self::default();
            tally.latency.add(duration_ms.min(DURATION_MS_MAX));
            (known(&action), tally)
        });
        std::iter::once(Self::of_call(record)).chain(ended).collect()
    }

    fn of_call(record: &Item) -> (String, Self) {
        let text =
            |name: &str| record.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str);
        let number = |name: &str| record.get(name).and_then(|value| value.as_n().ok()?.parse::<u64>().ok());
        let mut tally =
            Self { last_minute: text("at").parse::<Moment>().ok().map(Moment::minute), ..Self::default() };
        if text("decision") == Decision::Denied.word() {
            // A record may stand for many, and for none in no case: an update of nothing is refused, and holds up the stream.
            tally.denied = number("count").unwrap_or(1).max(1);
        } else {
            let stage = Some(text("stage"));
            if stage != Stage::Ended.word() {
                let counter = if text("door") == Door::Api.word() {
                    &mut tally.api_requests
                } else {
                    &mut tally.tool_calls
                };
                *counter = 1;
            }
            // Of a call that has only begun nobody knows yet.
            if stage != Stage::Begun.word() {
                tally.errors = u64::from(!NO_FAILURE.contains(&text("code")));
                tally.latency.add(number("duration_ms").unwrap_or(0).min(DURATION_MS_MAX));
            }
        }
        (known(text("action")), tally)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.tool_calls = self.tool_calls.saturating_add(other.tool_calls);
        self.api_requests = self.api_requests.saturating_add(other.api_requests);
        self.denied = self.denied.saturating_add(other.denied);
        self.errors = self.errors.saturating_add(other.errors);
        self.latency.merge(&other.latency);
        self.last_minute = self.last_minute.max(other.last_minute);
    }

    /// Both kinds that were let in.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.tool_calls.saturating_add(self.api_requests)
    }

    /// A row as the store has it, with its day of the month and its action.
    pub(crate) fn read(row: &Item) -> Option<(String, String, Self)> {
        let (day, action) = row.get("sk")?.as_s().ok()?.split_once('#')?;
        let number = |name: &str| row.get(name).and_then(|value| value.as_n().ok()?.parse::<u64>().ok());
        let [tool_calls, api_requests, denied, errors] = COUNTERS.map(|name| number(name).unwrap_or(0));
        let latency = Latency {
            sum_ms: number("ms_sum").unwrap_or(0),
            max_ms: number("ms_max").unwrap_or(0),
            classes: CLASSES.map(|(name, _)| number(name).unwrap_or(0)),
        };
        let last_minute = number("last_minute").and_then(|minute| i64::try_from(minute).ok());
        let tally = Self { tool_calls, api_requests, denied, errors, latency, last_minute };
        Some((day.to_owned(), action.to_owned(), tally))
    }

    /// The change of a row that is this much more. What only grows by being replaced is a condition, so that of two that
    /// replace it the smaller one can't be last.
    pub(crate) fn more(&self, before: Option<&Self>, update: UpdateBuilder) -> UpdateBuilder {
        let counters =
            COUNTERS.into_iter().zip([self.tool_calls, self.api_requests, self.denied, self.errors]);
        let classes = CLASSES.iter().zip(self.latency.classes).map(|((name, _), count)| (*name, count));
        let sums = counters.chain(classes).chain([("ms_sum", self.latency.sum_ms)]);
        let (mut update, mut adds) = (update, Vec::new());
        for (name, more) in sums.filter(|(_, more)| *more > 0) {
            adds.push(format!("{name} :{name}"));
            update =
                update.expression_attribute_values(format!(":{name}"), AttributeValue::N(more.to_string()));
        }
        let last = self.last_minute.and_then(|minute| u64::try_from(minute).ok()).unwrap_or(0);
        let last_before = before.and_then(|before| u64::try_from(before.last_minute?).ok());
        let (mut sets, mut conditions) = (Vec::new(), Vec::new());
        for (name, most, most_before) in [
            ("ms_max", self.latency.max_ms, before.map_or(0, |before| before.latency.max_ms)),
            ("last_minute", last, last_before.unwrap_or(0)),
        ] {
            if most > most_before {
                sets.push(format!("{name} = :{name}"));
                conditions.push(format!("(attribute_not_exists({name}) OR {name} < :{name})"));
                let most = AttributeValue::N(most.to_string());
                update = update.expression_attribute_values(format!(":{name}"), most);
            }
        }
        let parts = [("ADD", adds), ("SET", sets)].into_iter().filter(|(_, parts)| !parts.is_empty());
        let parts: Vec<_> = parts.map(|(verb, parts)| format!("{verb} {}", parts.join(", "))).collect();
        let conditions = Some(conditions.join(" AND ")).filter(|conditions| !conditions.is_empty());
        update.update_expression(parts.join(" ")).set_condition_expression(conditions)
    }
}

/// A month or a day of it, in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// `2026-11`.
    month: String,
    /// `23`.
    day: Option<String>,
}

/// A text that is no period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodError;

impl fmt::Display for PeriodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a month such as 2026-11, or a day such as 2026-11-23")
    }
}

impl std::error::Error for PeriodError {}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let day = if text.len() == 7 { format!("{text}-01") } else { text.to_owned() };
        if day.len() != 10 || day.parse::<Moment>().is_err() {
            return Err(PeriodError);
        }
        let (month, day) = day.rsplit_once('-').ok_or(PeriodError)?;
        let day = (text.len() == 10).then(|| day.to_owned());
        Ok(Self { month: month.to_owned(), day })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.month)?;
        self.day.iter().try_for_each(|day| write!(f, "-{day}"))
    }
}

impl Period {
    /// The month that it is, or is in: `2026-11`.
    #[must_use]
    pub fn month(&self) -> &str {
        &self.month
    }

    /// Whether it is a whole month.
    #[must_use]
    pub const fn is_month(&self) -> bool {
        self.day.is_none()
    }

    /// The month of a moment.
    #[must_use]
    pub fn month_of(moment: Moment) -> Self {
        Self { month: moment.month(), day: None }
    }
}

/// What a tenant's calls of a period came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollup {
    /// By day, such as `2026-11-23`, and by action.
    pub days: BTreeMap<String, BTreeMap<String, Tally>>,
}

impl Rollup {
    /// Reads what was counted so far, which is some seconds behind.
    ///
    /// # Errors
    /// [`store_problem`]'s.
    pub(crate) async fn fetch(
        client: &Client,
        table: &str,
        tenant: &TenantId,
        period: &Period,
    ) -> Result<Self, Problem> {
        let mut days: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        let mut start = None;
        loop {
            let partition = Family::Rollup(&period.month).of(tenant);
            let query = client
                .query()
                .table_name(table)
                .expression_attribute_values(":pk", AttributeValue::S(partition))
                .set_exclusive_start_key(start);
            let query = match &period.day {
                Some(day) => query
                    .key_condition_expression("pk = :pk AND begins_with(sk, :day)")
                    .expression_attribute_values(":day", AttributeValue::S(format!("{day}#"))),
                None => query.key_condition_expression("pk = :pk"),
            };
            let reply = query.send().await.map_err(|err| store_problem("reading what was counted", err))?;
            for (day, action, tally) in reply.items().iter().filter_map(Tally::read) {
                days.entry(format!("{}-{day}", period.month)).or_default().insert(action, tally);
            }
            start = reply.last_evaluated_key;
            if start.is_none() {
                return Ok(Self { days });
            }
        }
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> Tally {
        sum(self.days.values().flat_map(BTreeMap::values))
    }

    /// By day.
    #[must_use]
    pub fn by_day(&self) -> BTreeMap<String, Tally> {
        self.days.iter().map(|(day, actions)| (day.clone(), sum(actions.values()))).collect()
    }

    /// By action.
    #[must_use]
    pub fn by_action(&self) -> BTreeMap<String, Tally> {
        let mut all: BTreeMap<String, Tally> = BTreeMap::new();
        for (action, tally) in self.days.values().flatten() {
            all.entry(action.clone()).or_default().merge(tally);
        }
        all
    }
}

fn sum<'t>(tallies: impl Iterator<Item = &'t Tally>) -> Tally {
    tallies.fold(Tally::default(), |mut sum, tally| {
        sum.merge(tally);
        sum
    })
}

#[cfg(test)]
mod tests;
