//! The counters over which a tenant's calls are spread, and the exact part of each limit that is a counter's own.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{Problem, clock::Moment, crypto::random_bits};

/// How a tenant's calls are spread. One counter is enough for all but the busiest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    counters: u8,
    settled: Option<Settled>,
}

/// The parts of limits in the month and the minute in which limits or counters were changed: what a counter had counted
/// by then, and its share of what was left. In every other period the shares are even.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) month: String,
    pub(crate) calls_month: Vec<u64>,
    pub(crate) minute: i64,
    pub(crate) calls_minute: Vec<u64>,
}

impl Default for Spread {
    fn default() -> Self {
        Self { counters: 1, settled: None }
    }
}

impl Spread {
    /// Most counters of a tenant.
    pub const COUNTERS_MAX: u8 = 16;

    /// So many counters, at least one and at most [`Spread::COUNTERS_MAX`].
    #[must_use]
    pub fn over(counters: u8) -> Self {
        Self { counters: counters.clamp(1, Self::COUNTERS_MAX), settled: None }
    }

    /// How many counters there are.
    #[must_use]
    pub const fn counters(&self) -> u8 {
        self.counters
    }

    /// Any of them, so that calls are spread evenly.
    pub(crate) fn any(&self) -> Result<u8, Problem> {
        match self.counters {
            1 => Ok(0),
            counters => Ok(random_bits()?.first().and_then(|bits| bits.checked_rem(counters)).unwrap_or(0)),
        }
    }

    /// How many counters may have counted something of a month, such as `2026-11`: also those that a change has taken away.
    pub(crate) fn counters_of(&self, month: &str) -> u8 {
        let is_changed = self.settled.as_ref().is_some_and(|settled| settled.month.as_str() >= month);
        if is_changed { Self::COUNTERS_MAX } else { self.counters }
    }

    pub(crate) fn settle(self, settled: Settled) -> Self {
        Self { settled: Some(settled), ..self }
    }

    /// What a counter may count of a limit a month.
    pub(crate) fn month_part(&self, limit: u64, counter: u8, now: Moment) -> u64 {
        let settled = self.settled.as_ref().filter(|settled| settled.month == now.month());
        let part = settled.and_then(|settled| settled.calls_month.get(usize::from(counter)));
        part.copied().unwrap_or_else(|| even(limit, self.counters, counter))
    }

    /// What a counter may count of a limit a minute.
    pub(crate) fn minute_part(&self, limit: u64, counter: u8, minute: i64) -> u64 {
        let settled = self.settled.as_ref().filter(|settled| settled.minute == minute);
        let part = settled.and_then(|settled| settled.calls_minute.get(usize::from(counter)));
        part.copied().unwrap_or_else(|| even(limit, self.counters, counter))
    }

    /// As attributes of the plan row; one counter with even parts is none.
    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        let mut attributes = HashMap::new();
        if self.counters > 1 {
            attributes.insert("counters".to_owned(), AttributeValue::N(self.counters.to_string()));
        }
        if let Some(Settled { month, calls_month, minute, calls_minute }) = &self.settled {
            let settled = HashMap::from([
                ("month".to_owned(), AttributeValue::S(month.clone())),
                ("calls_month".to_owned(), numbers(calls_month)),
                ("minute".to_owned(), AttributeValue::N(minute.to_string())),
                ("calls_minute".to_owned(), numbers(calls_minute)),
            ]);
            attributes.insert("settled".to_owned(), AttributeValue::M(settled));
        }
        attributes
    }

    pub(super) fn read(row: &HashMap<String, AttributeValue>) -> Option<Self> {
        let counters = match row.get("counters") {
            Some(counters) => counters.as_n().ok()?.parse().ok()?,
            None => 1,
        };
        let settled = match row.get("settled") {
            Some(settled) => Some(Settled::read(settled.as_m().ok()?)?),
            None => None,
        };
        (1..=Self::COUNTERS_MAX).contains(&counters).then_some(Self { counters, settled })
    }
}

impl Settled {
    fn read(map: &HashMap<String, AttributeValue>) -> Option<Self> {
        let numbers = |name: &str| -> Option<Vec<u64>> {
            map.get(name)?.as_l().ok()?.iter().map(|number| number.as_n().ok()?.parse().ok()).collect()
        };
        Some(Self {
            month: map.get("month")?.as_s().ok()?.clone(),
            calls_month: numbers("calls_month")?,
            minute: map.get("minute")?.as_n().ok()?.parse().ok()?,
            calls_minute: numbers("calls_minute")?,
        })
    }
}

/// The parts after a change: what each of the counters that stay had counted, and an even share of what the limit leaves
/// over all that was counted. Nothing for anybody where it leaves nothing.
pub(crate) fn parts(limit: u64, counters: u8, counted: &[u64]) -> Vec<u64> {
    let all = counted.iter().fold(0_u64, |all, more| all.saturating_add(*more));
    let left = limit.saturating_sub(all);
    let part = |counter: u8| match left {
        0 => 0,
        _ => {
            let had = counted.get(usize::from(counter)).copied().unwrap_or(0);
            had.saturating_add(even(left, counters, counter))
        }
    };
    (0..counters).map(part).collect()
}

/// An even share, of which the first ones are greater by one where it doesn't come out even.
fn even(limit: u64, counters: u8, counter: u8) -> u64 {
    let counters = u64::from(counters.max(1));
    let more = u64::from(counter) < limit.checked_rem(counters).unwrap_or(0);
    limit.checked_div(counters).unwrap_or(0).saturating_add(more.into())
}

fn numbers(numbers: &[u64]) -> AttributeValue {
    AttributeValue::L(numbers.iter().map(|number| AttributeValue::N(number.to_string())).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn parts_are_even_but_in_the_periods_of_a_change() {
        let now = Clock::fixed_at_s(1_795_500_000).now();
        let spread = Spread::over(4);
        let month = |spread: &Spread| (0..4).map(|at| spread.month_part(10, at, now)).collect::<Vec<_>>();
        assert_eq!(month(&spread), [3, 3, 2, 2]);
        let settled = Settled {
            month: now.month(),
            calls_month: parts(10, 4, &[5, 0, 1, 0]),
            minute: now.minute(),
            calls_minute: parts(3, 4, &[5, 0, 1, 0]),
        };
        let spread = spread.settle(settled);
        assert_eq!(month(&spread), [6, 1, 2, 1]);
        assert_eq!(spread.minute_part(3, 0, now.minute()), 0);
        assert_eq!(spread.minute_part(3, 0, now.minute() + 1), 1);
        assert_eq!(["2026-10", "2026-11", "2026-12"].map(|month| spread.counters_of(month)), [16, 16, 4]);
        assert_eq!(Spread::read(&spread.attributes()), Some(spread));
        assert_eq!(Spread::read(&HashMap::new()), Some(Spread::default()));
        for wrong in ["0", "17", "-1", "x"] {
            let row = HashMap::from([("counters".to_owned(), AttributeValue::N(wrong.to_owned()))]);
            assert_eq!(Spread::read(&row), None, "{wrong}");
        }
    }

    proptest! {
        /// Whatever was counted where: as long as no counter passes its part, all of them end at the limit.
        #[test]
        fn parts_sum_up_to_the_limit(limit in 0..10_000_u64, counters in 1..=16_u8, counted in proptest::collection::vec(0..1_000_u64, 0..16)) {
            let all: u64 = counted.iter().sum();
            let parts = parts(limit, counters, &counted);
            prop_assert_eq!(parts.len(), usize::from(counters));
            let gone: u64 = counted.iter().skip(usize::from(counters)).sum();
            let most = parts.iter().fold(gone, |sum, part| sum.saturating_add(*part));
            if limit > all {
                prop_assert_eq!(most, limit);
                prop_assert!(parts.iter().zip(&counted).all(|(part, had)| part >= had));
            } else {
                prop_assert!(parts.iter().all(|part| *part == 0));
            }
        }
    }
}
