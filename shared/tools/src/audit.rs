//! Searching the audit trail, for the workspace's admins.

use std::collections::BTreeMap;

use insula_mcp::{Builder, Hints, ToolSpec};
use insula_tenancy::{AuditPage, AuditQuery, AuditRecord, CountedDenials, Problem, TenantScope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ToolError;

/// Declares the tool.
pub(crate) fn declare(builder: Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError> {
    let spec = ToolSpec {
        name: "audit_search",
        title: "Search the audit trail",
        description: "Returns who did what in this workspace and what was refused, newest first, a page at a time. Pass \
                      next_cursor back as cursor, with all else as it was, to go on. For admins.",
        hints: Hints { read_only: true, destructive: false, idempotent: true, open_world: false },
        scopes: &["workspace:admin"],
        ..ToolSpec::default()
    };
    builder.tool(spec, search)
}

/// Which records.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Not before: RFC 3339, or a day in UTC; 30 days before until if absent.
    from: Option<String>,
    /// Before: RFC 3339, or a day in UTC; now if absent.
    until: Option<String>,
    /// Who called, as their token names them.
    subject: Option<String>,
    /// The tool, or the action of a REST endpoint.
    action: Option<String>,
    /// allowed or denied.
    decision: Option<String>,
    /// Records in a page, 1 to 1000; 100 if absent.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    /// The next_cursor of the page before; absent for the first.
    cursor: Option<String>,
}

/// A page of the trail, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrailView {
    records: Vec<RecordView>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// One decision.
#[derive(Debug, Serialize, JsonSchema)]
struct RecordView {
    /// RFC 3339, UTC.
    at: String,
    /// Absent once it was erased, and for several calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// Who vouches for the subject; absent once it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// The client that called; absent once it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// The tool, or the action of a REST endpoint.
    action: String,
    /// The addresses below /v1/ of what it was about.
    resources: Vec<String>,
    /// allowed or denied.
    decision: String,
    /// Why; ok where there is nothing to say.
    reason: String,
    request_id: String,
    /// begun: the call ran on when this was recorded; ended: how such a call ended, if it was in a problem, under the same
    /// request_id; absent: the whole call.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    duration_ms: u64,
    /// The version of the workspace's plan.
    epoch: u64,
    chain: ChainView,
    /// The calls that the record stands for, where they are several that were refused; absent for one call.
    #[serde(skip_serializing_if = "Option::is_none")]
    counted: Option<CountedView>,
}

/// Calls that were refused and have one record.
#[derive(Debug, Serialize, JsonSchema)]
struct CountedView {
    /// When the first was, RFC 3339, UTC.
    from: String,
    /// When the last was.
    until: String,
    /// How many, by reason.
    reasons: BTreeMap<String, u64>,
}

/// The record's place in a chain of its writer.
#[derive(Debug, Serialize, JsonSchema)]
struct ChainView {
    writer: String,
    /// From 0.
    seq: u64,
    hash: String,
}

impl From<AuditPage> for TrailView {
    fn from(AuditPage { records, next_cursor }: AuditPage) -> Self {
        Self { records: records.into_iter().map(RecordView::from).collect(), next_cursor }
    }
}

impl From<AuditRecord> for RecordView {
    fn from(record: AuditRecord) -> Self {
        let AuditRecord {
            at, who, action, resources, decision, reason, request_id, stage, duration_ms, ..
        } = record;
        let (issuer, subject, client) = match who {
            Some(who) => (Some(who.issuer), Some(who.subject), Some(who.client)),
            None => (None, None, None),
        };
        let (writer, seq, hash) = record.chain;
        let (epoch, chain) = (record.epoch, ChainView { writer, seq, hash });
        let counted = record.counted.map(|CountedDenials { from, until, reasons }| CountedView {
            from,
            until,
            reasons,
        });
        Self {
            at,
            subject,
            issuer,
            client,
            action,
            resources,
            decision,
            reason,
            request_id,
            stage,
            duration_ms,
            epoch,
            chain,
            counted,
        }
    }
}

async fn search(scope: TenantScope, asked: Asked) -> Result<TrailView, ToolError> {
    let query = AuditQuery {
        from: parsed("from", asked.from.as_deref())?,
        until: parsed("until", asked.until.as_deref())?,
        subject: asked.subject.as_deref(),
        action: asked.action.as_deref(),
        decision: parsed("decision", asked.decision.as_deref())?,
        limit: asked.limit.unwrap_or(100),
        cursor: asked.cursor.as_deref(),
    };
    Ok(scope.audit(&query).await?.into())
}

fn parsed<T>(name: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let wrong = |err: T::Err| Problem::Invalid { detail: format!("{name}: {err}") };
    text.map(|text| text.parse().map_err(wrong)).transpose()
}
