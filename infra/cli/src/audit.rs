//! `insula audit`: a tenant's audit trail, read and verified, and what was denied to nobody in particular; on the laptop or in a
//! deployment.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use insula_tenancy::{
    AuditQuery, AuditRecord, Clock, CountedDenials, Decision, Moment, Slug, Verified, operator::DenialRecord,
};

use crate::{
    operator::{At, said},
    say,
};

/// Which records.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// The day in UTC, such as 2026-11-23; the last 30 without it.
    #[arg(long, conflicts_with_all = ["from", "until"])]
    day: Option<Moment>,
    /// Not before: RFC 3339, or a day in UTC.
    #[arg(long)]
    from: Option<Moment>,
    /// Before: RFC 3339, or a day in UTC; now without it.
    #[arg(long)]
    until: Option<Moment>,
    /// Who called, as their token names them.
    #[arg(long)]
    subject: Option<String>,
    /// The tool, or the action of a REST endpoint.
    #[arg(long)]
    action: Option<String>,
    /// allowed or denied.
    #[arg(long)]
    decision: Option<Decision>,
    /// Records, 1 to 1,000.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

impl Filter {
    fn query(&self) -> AuditQuery<'_> {
        let Self { day, from, until, subject, action, decision, limit } = self;
        AuditQuery {
            from: day.or(*from),
            until: day.map(|day| day.plus_s(24 * 3600)).or(*until),
            subject: subject.as_deref(),
            action: action.as_deref(),
            decision: *decision,
            limit: *limit,
            cursor: None,
        }
    }
}

/// What is done with an audit trail. It needs the auditor's role.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Says whether the records of a day are those that were written, or which link of which chain is broken first.
    Verify {
        /// The tenant's slug.
        slug: Slug,
        /// The day in UTC, such as 2026-11-23; today without it.
        #[arg(long)]
        day: Option<Moment>,
        #[command(flatten)]
        at: At,
    },
    /// Prints the newest records, one a line.
    List {
        /// The tenant's slug.
        slug: Slug,
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        at: At,
    },
    /// Prints what was denied before it was known whose request it was, and how often, one window of an instance a line.
    Denials {
        /// The day in UTC, such as 2026-11-23; today without it.
        #[arg(long)]
        day: Option<Moment>,
        #[command(flatten)]
        at: At,
    },
}

impl Audit {
    pub(crate) async fn run(self) -> Result<(), String> {
        match self {
            Self::Verify { slug, day, at } => {
                let day = day.unwrap_or_else(|| Clock::System.now());
                let auditor = at.operator("AuditorRole").await?;
                let id = auditor.find_tenant(&slug).await.map_err(said)?;
                let checked = auditor.verify_audit(&id, day).await.map_err(said)?;
                let Verified { records, chains, beyond_heads } =
                    checked.map_err(|broken| format!("{slug}, {}: {broken}", day.day()))?;
                say(&format!(
                    "{slug}, {}: {records} records in {chains} chains are in order, {beyond_heads} of them beyond the \
                     heads\n",
                    day.day()
                ))
            }
            Self::List { slug, filter, at } => {
                let auditor = at.operator("AuditorRole").await?;
                let id = auditor.find_tenant(&slug).await.map_err(said)?;
                let records = auditor.audit(&id, &filter.query()).await.map_err(said)?;
                say(&records.iter().map(line).collect::<String>())
            }
            Self::Denials { day, at } => {
                let auditor = at.operator("AuditorRole").await?;
                let day = day.unwrap_or_else(|| Clock::System.now());
                let denials = auditor.denials(day).await.map_err(said)?;
                say(&denials.iter().map(denial_line).collect::<String>())
            }
        }
    }
}

/// What a terminal must not be told is left out: a subject is what a token says.
fn line(record: &AuditRecord) -> String {
    let AuditRecord { at, who, action, decision, reason, request_id, stage, duration_ms, counted, .. } =
        record;
    let line = match counted {
        Some(CountedDenials { from, until, reasons }) => {
            format!("{at} {decision} {action} from {from} to {until}: {}", counts(reasons))
        }
        None => {
            let who = who.as_ref().map_or("(erased)", |who| &who.subject);
            let resources = record.resources.join(",");
            let stage = stage.as_ref().map(|stage| format!("{stage}, ")).unwrap_or_default();
            format!(
                "{at} {decision} {reason} {action} {resources} by {who}, {stage}{duration_ms} ms, request {request_id}"
            )
        }
    };
    line.chars().filter(|c| !c.is_control()).chain(['\n']).collect()
}

fn denial_line(record: &DenialRecord) -> String {
    let DenialRecord { counted: CountedDenials { from, until, reasons }, request_id } = record;
    let request = request_id.as_ref().map(|id| format!(", request {id}")).unwrap_or_default();
    let line = format!("{from} to {until}: {}{request}", counts(reasons));
    line.chars().filter(|c| !c.is_control()).chain(['\n']).collect()
}

fn counts(reasons: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = reasons.iter().map(|(code, count)| format!("{code} {count}")).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    #[test]
    fn every_question_of_a_trail_can_be_asked_of_the_command() {
        let read = |args: &[&str]| Line::try_parse_from([&["list"], args].concat());
        let asked = read(&[
            "--from",
            "2026-11-23",
            "--until",
            "2026-11-24T06:00:00Z",
            "--subject",
            "alice",
            "--action",
            "search",
            "--decision",
            "denied",
            "--limit",
            "7",
        ]);
        let Line { filter } = asked.unwrap();
        let query = filter.query();
        let times = [query.from, query.until].map(|time| time.unwrap().rfc3339());
        assert_eq!(times, ["2026-11-23T00:00:00.000000Z", "2026-11-24T06:00:00.000000Z"]);
        assert_eq!((query.subject, query.action, query.limit), (Some("alice"), Some("search"), 7));
        assert_eq!(query.decision, Some(Decision::Denied));

        let Line { filter } = read(&["--day", "2026-11-23"]).unwrap();
        let query = filter.query();
        let times = [query.from, query.until].map(|time| time.unwrap().rfc3339());
        assert_eq!(times, ["2026-11-23T00:00:00.000000Z", "2026-11-24T00:00:00.000000Z"]);
        assert_eq!((query.limit, query.decision), (100, None));
        assert!(read(&["--day", "2026-11-23", "--from", "2026-11-22"]).is_err());
        assert!(read(&["--decision", "perhaps"]).is_err());
    }
}
