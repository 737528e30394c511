//! Reading the trail: newest first, a day after the other, within bounds.

use aws_sdk_dynamodb::{Client, types::AttributeValue};

use super::{AuditRecord, Decision};
use crate::{Problem, aws::store_problem, canonical::Item, clock::Moment, key::Family, tenant::TenantId};

/// Records of a page.
pub const AUDIT_PAGE_MAX: u32 = 1_000;
/// Days that one question may span.
const DAYS_MAX: i64 = 366;
/// Days that are looked through where nothing is said of a begin.
const DAYS: i64 = 30;
/// Queries of one page: what they did not reach is for the next one.
const QUERIES_MAX: u32 = 40;
const DAY_S: i64 = 24 * 3600;
const DOING: &str = "reading the audit trail";

/// Which records of the trail, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditQuery<'q> {
    /// Not before; 30 days before the end where it is not said, and at most 366.
    pub from: Option<Moment>,
    /// Before; now where it is not said.
    pub until: Option<Moment>,
    /// Who called: the token's `sub`.
    pub subject: Option<&'q str>,
    /// The tool, or the action of an endpoint.
    pub action: Option<&'q str>,
    /// What was decided.
    pub decision: Option<Decision>,
    /// Records of a page, 1 to [`AUDIT_PAGE_MAX`].
    pub limit: u32,
    /// The `next_cursor` of the page before.
    pub cursor: Option<&'q str>,
}

impl Default for AuditQuery<'_> {
    fn default() -> Self {
        Self {
            from: None,
            until: None,
            subject: None,
            action: None,
            decision: None,
            limit: 100,
            cursor: None,
        }
    }
}

/// A page of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// Newest first, at most as many as were asked for; fewer also where the page has looked through enough.
    pub records: Vec<AuditRecord>,
    /// Give it back to go on; absent at the end. It is good for this tenant and question alone.
    pub next_cursor: Option<String>,
}

/// Where a question goes on, and how far back it goes: what a cursor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    from: Moment,
    until: Moment,
    /// The sort key of the last record that was seen; none at the begin of a day.
    after: Option<String>,
}

impl Spot {
    /// Where a question begins.
    pub(crate) fn first(query: &AuditQuery<'_>, now: Moment) -> Result<Self, Problem> {
        let until = query.until.unwrap_or(now);
        let from = query.from.unwrap_or_else(|| until.plus_s(DAYS.saturating_mul(-DAY_S)));
        let wrong = |detail: String| Err(Problem::Invalid { detail });
        if !(1..=AUDIT_PAGE_MAX).contains(&query.limit) {
            return wrong(format!("limit: 1 to {AUDIT_PAGE_MAX}"));
        }
        if from > until {
            return wrong("from: not after until".to_owned());
        }
        if until.seconds().saturating_sub(from.seconds()) > DAYS_MAX.saturating_mul(DAY_S) {
            return wrong(format!("from: at most {DAYS_MAX} days before until"));
        }
        // Nothing is later than now, so days to come are not asked for.
        Ok(Self { from, until: until.min(now.plus_s(DAY_S)), after: None })
    }

    /// The text of a cursor.
    pub(crate) fn text(&self) -> String {
        let Self { from, until, after } = self;
        format!("{} {} {}", from.micros(), until.micros(), after.as_deref().unwrap_or_default())
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let mut moment = || Some(Moment::at_micros(parts.next()?.parse().ok()?));
        let (from, until) = (moment()?, moment()?);
        let after = Some(parts.next()?).filter(|key| !key.is_empty()).map(str::to_owned);
        Some(Self { from, until, after })
    }

    /// The last moment of the day before, if the question goes back so far.
    fn day_before(&self) -> Option<Self> {
        let midnight = self.until.seconds().div_euclid(DAY_S).saturating_mul(DAY_S);
        let until = Moment::at_micros(midnight.saturating_mul(1_000_000).saturating_sub(1));
        (self.from <= until).then_some(Self { from: self.from, until, after: None })
    }

    /// What the keys of its day are before: a key is the time of its record and more. The last moment of a day is a part of it.
    fn bound(&self) -> String {
        let is_last = self.until.micros().rem_euclid(DAY_S * 1_000_000) == DAY_S * 1_000_000 - 1;
        self.until.rfc3339() + if is_last { "~" } else { "" }
    }
}

/// The trail of one tenant in one table.
#[derive(Debug)]
pub(crate) struct Trail<'t> {
    pub(crate) client: &'t Client,
    pub(crate) table: &'t str,
    pub(crate) tenant: &'t TenantId,
}

impl Trail<'_> {
    /// The next records from a spot on, and where it goes on.
    pub(crate) async fn page(
        &self,
        query: &AuditQuery<'_>,
        spot: Spot,
    ) -> Result<(Vec<AuditRecord>, Option<Spot>), Problem> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let mut spot = Some(spot);
        for _ in 0..QUERIES_MAX {
            let Some(at) = spot else { break };
            let (items, after) = self.ask(query, &at).await?;
            for item in items {
                found.push(AuditRecord::read(&item));
                if found.len() == limit {
                    let after = item.get("sk").and_then(|key| key.as_s().ok()).cloned();
                    return Ok((found, Some(Spot { after, ..at })));
                }
            }
            spot = match after {
                Some(_) => Some(Spot { after, ..at }),
                None => at.day_before(),
            };
        }
        Ok((found, spot))
    }

    /// One query of one day, and the last key that it has seen if there is more of that day.
    async fn ask(&self, query: &AuditQuery<'_>, spot: &Spot) -> Result<(Vec<Item>, Option<String>), Problem> {
        let partition = Family::Audit(&spot.until.day()).of(self.tenant);
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let start = spot
            .after
            .as_deref()
            .map(|after| Item::from([("pk".to_owned(), text(&partition)), ("sk".to_owned(), text(after))]));
        let mut request = self
            .client
            .query()
            .table_name(self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :until")
            .expression_attribute_values(":pk", text(&partition))
            .expression_attribute_values(":from", text(&spot.from.rfc3339()))
            .expression_attribute_values(":until", text(&spot.bound()))
            .scan_index_forward(false)
            .set_exclusive_start_key(start)
            .consistent_read(true);
        let mut conditions = Vec::with_capacity(3);
        let decision = query.decision.map(Decision::word);
        for (name, value) in [("subject", query.subject), ("action", query.action), ("decision", decision)] {
            if let Some(value) = value {
                conditions.push(format!("#{name} = :{name}"));
                request = request
                    .expression_attribute_names(format!("#{name}"), name)
                    .expression_attribute_values(format!(":{name}"), text(value));
            }
        }
        if !conditions.is_empty() {
            request = request.filter_expression(conditions.join(" AND "));
        }
        let reply = request.send().await.map_err(|err| store_problem(DOING, err))?;
        let last = reply.last_evaluated_key.as_ref().and_then(|key| key.get("sk")?.as_s().ok().cloned());
        Ok((reply.items.unwrap_or_default(), last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn at(seconds: i64) -> Moment {
        Clock::fixed_at_s(seconds).now()
    }

    #[test]
    fn a_question_that_spans_too_much_is_refused() {
        let now = at(1_795_500_000);
        let first = |from, until, limit| {
            let query = AuditQuery { from, until, limit, ..AuditQuery::default() };
            Spot::first(&query, now).map_err(|problem| problem.to_string())
        };
        let year = now.plus_s(366 * DAY_S);
        assert!(first(Some(now), Some(now), 1).is_ok() && first(Some(now), Some(year), 1_000).is_ok());
        for (from, until, limit) in
            [(now, year.plus_s(1), 1_000), (now.plus_s(1), now, 1), (now, now, 0), (now, now, 1_001)]
        {
            assert!(first(Some(from), Some(until), limit).is_err(), "{from:?} {until:?} {limit}");
        }
        assert_eq!(
            first(None, None, 100),
            Ok(Spot { from: now.plus_s(-30 * DAY_S), until: now, after: None })
        );
    }

    #[test]
    fn a_spot_is_read_as_it_was_written_and_ends_where_its_question_does() {
        let noon = at(1_795_521_600);
        for after in [None, Some("2026-11-24T06:00:00.000000Z#0000000001#x".to_owned())] {
            let spot = Spot { from: noon.plus_s(-DAY_S), until: noon, after };
            assert_eq!(Spot::read(&spot.text()), Some(spot));
        }
        let spot = Spot { from: noon.plus_s(-DAY_S), until: noon, after: None };
        let before = spot.day_before().unwrap();
        assert_eq!(before.until.rfc3339(), "2026-11-23T23:59:59.999999Z");
        assert_eq!(before.day_before(), None);
        // What was recorded in it is found, and what was recorded at the moment before which is asked is not.
        let last = "2026-11-23T23:59:59.999999Z#0000000001#x";
        assert!(last <= &*before.bound() && "2026-11-24T12:00:00.000000Z#0000000001#x" > &*spot.bound());
    }
}
