//! `insula usage`: what tenants used, for whoever bills them, and what they keep counted anew; on the laptop or in a
//! deployment.

use clap::{Subcommand, ValueEnum};
use insula_tenancy::{Clock, Moment, Period, Slug, operator::Used};
use insula_tools::Collections;
use serde_json::json;

use crate::{
    operator::{At, said},
    say,
};

/// What is done with usage. It needs the accountant's role.
#[derive(Debug, Subcommand)]
pub(crate) enum Usage {
    /// Prints what each tenant used in a month and keeps now, a row a tenant.
    Export {
        /// The slug of the only tenant to print; all without it.
        slug: Option<Slug>,
        /// The month in UTC, such as 2026-11; this one without it.
        #[arg(long)]
        month: Option<Period>,
        /// csv (RFC 4180) or json.
        #[arg(long, default_value = "csv")]
        format: Format,
        #[command(flatten)]
        at: At,
    },
    /// Counts what a tenant keeps, and corrects what its calls have added up.
    Recount {
        /// The tenant's slug.
        slug: Slug,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Csv,
    Json,
}

/// A cell: its column, and what it says.
enum Cell {
    Text(String),
    Number(u64),
}

impl Usage {
    pub(crate) async fn run(self) -> Result<(), String> {
        match self {
            Self::Export { slug, month, format, at } => {
                let month = month.unwrap_or_else(|| Period::month_of(Clock::System.now()));
                if !month.is_month() {
                    return Err(format!("{month}: a month such as {}", month.month()));
                }
                let accountant = at.operator("AccountantRole").await?;
                let tenants = match slug {
                    Some(slug) => {
                        vec![(accountant.find_tenant(&slug).await.map_err(said)?, slug.to_string())]
                    }
                    None => accountant.tenants().await.map_err(said)?,
                };
                let mut rows = Vec::with_capacity(tenants.len());
                for (id, slug) in tenants {
                    rows.push(cells(&month, accountant.used(&id, &slug, &month).await.map_err(said)?));
                }
                say(&match format {
                    Format::Csv => csv(&rows),
                    Format::Json => json(&rows),
                })
            }
            Self::Recount { slug, at } => {
                let collections = Collections::read(&at.config()?).map_err(|err| err.to_string())?;
                let names: Vec<_> = collections.all().iter().map(|one| one.name().clone()).collect();
                let accountant = at.operator("AccountantRole").await?;
                let id = accountant.find_tenant(&slug).await.map_err(said)?;
                let counted = accountant.recount(&id, &names).await.map_err(said)?;
                say(&if counted.is_drift() {
                    format!("{slug}: {}, corrected from {}\n", counted.after, counted.before)
                } else {
                    format!("{slug}: {}, as it was\n", counted.after)
                })
            }
        }
    }
}

/// The columns, whose names and order stay: new ones come after these.
fn cells(month: &Period, used: Used) -> Vec<(&'static str, Cell)> {
    let Used { tenant, slug, tier, status, charged, calls, stock } = used;
    let last = calls.last_minute.map(Moment::rfc3339_of_minute).unwrap_or_default();
    vec![
        ("month", Cell::Text(month.to_string())),
        ("tenant", Cell::Text(tenant.to_string())),
        ("slug", Cell::Text(slug)),
        ("tier", Cell::Text(tier.word().to_owned())),
        ("status", Cell::Text(status.word().to_owned())),
        ("charged_calls", Cell::Number(charged)),
        ("tool_calls", Cell::Number(calls.tool_calls)),
        ("api_requests", Cell::Number(calls.api_requests)),
        ("denied", Cell::Number(calls.denied)),
        ("errors", Cell::Number(calls.errors)),
        ("storage_bytes", Cell::Number(stock.bytes)),
        ("items", Cell::Number(stock.items)),
        ("members", Cell::Number(stock.members)),
        ("last_active", Cell::Text(last)),
    ]
}

/// A line of names, and a line a row. Nothing of no rows: there are no names without one.
fn csv(rows: &[Vec<(&'static str, Cell)>]) -> String {
    let names = rows.iter().take(1).map(|row| line(row.iter().map(|(name, _)| (*name).to_owned())));
    let lines = rows.iter().map(|row| {
        line(row.iter().map(|(_, cell)| match cell {
            Cell::Text(text) => quoted(text),
            Cell::Number(number) => number.to_string(),
        }))
    });
    names.chain(lines).collect()
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

/// A text as RFC 4180 has it. What a spreadsheet would take for a formula begins with an apostrophe instead.
fn quoted(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn json(rows: &[Vec<(&'static str, Cell)>]) -> String {
    let row = |row: &Vec<(&'static str, Cell)>| {
        let cells = row.iter().map(|(name, cell)| {
            let value = match cell {
                Cell::Text(text) => json!(text),
                Cell::Number(number) => json!(number),
            };
            ((*name).to_owned(), value)
        });
        serde_json::Value::Object(cells.collect())
    };
    format!("{}\n", serde_json::Value::from(rows.iter().map(row).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_where_it_must_be_and_is_never_a_formula() {
        for (text, cell) in [
            ("acme", "acme"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"a\"", "\"say \"\"a\"\"\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("=1+1", "'=1+1"),
            ("@a", "'@a"),
            ("-1,2", "\"'-1,2\""),
            ("\t=1", "'\t=1"),
        ] {
            assert_eq!(quoted(text), cell, "{text:?}");
        }
    }

    #[test]
    fn a_row_has_its_names_above_it_once() {
        let row = || vec![("slug", Cell::Text("acme".to_owned())), ("items", Cell::Number(3))];
        assert_eq!(csv(&[row(), row()]), "slug,items\r\nacme,3\r\nacme,3\r\n");
        assert_eq!(csv(&[]), "");
        assert_eq!(json(&[row()]), "[{\"items\":3,\"slug\":\"acme\"}]\n");
    }
}
