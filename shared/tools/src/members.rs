//! The people of the workspace, for its admins.

use insula_mcp::{Answer, Builder, Exchange, Hints, Structured, ToolSpec};
use insula_tenancy::{ItemId, Member, Problem, Query, Stored, TenantScope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ToolError,
    consent::{Deed, Loss, ask_first},
};

/// Members of a page where the client does not say.
const PAGE: u32 = 100;

/// Declares the tool.
pub(crate) fn declare(builder: Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError> {
    let list = ToolSpec {
        name: "members_list",
        title: "List the workspace's members",
        description: "Returns the people who have a seat in this workspace and how many seats there are. Pass next_cursor back \
                      as cursor to go on. For admins.",
        hints: Hints { read_only: true, destructive: false, idempotent: true, open_world: false },
        scopes: &["workspace:admin"],
        ..ToolSpec::default()
    };
    let remove = ToolSpec {
        name: "members_remove",
        title: "Remove a member",
        description: "Frees the seat of the member with this id, after it was confirmed, and returns who it was. Whoever their \
                      identity provider still lets in takes a seat again with their next call. For admins.",
        hints: Hints { read_only: false, destructive: true, idempotent: true, open_world: false },
        scopes: &["workspace:admin"],
        ..ToolSpec::default()
    };
    builder
        .tool(list, async |scope: TenantScope, Asked { limit, cursor }| {
            MembersView::page(&scope, limit, cursor.as_deref()).await.map_err(ToolError::from)
        })
        .talking_tool(remove, remove_member)
}

async fn remove_member(
    scope: TenantScope,
    exchange: Exchange,
    MemberId { id }: MemberId,
) -> Result<Answer<Structured<MemberView>>, ToolError> {
    let id: ItemId = id.parse().map_err(|err| Problem::Invalid { detail: format!("id: {err}") })?;
    let member = scope.member(&id).await?;
    let loss = Loss { deed: Deed::Delete, kind: "member", id: &id };
    let version = async || Ok(member.version);
    let act = async |seen| {
        scope.remove_member(&id, seen).await?;
        Ok(MemberView::from(member.clone()))
    };
    ask_first((&scope, &exchange), loss, version, act).await
}

/// Which member.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemberId {
    /// As members_list returns it.
    id: String,
}

/// Which page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Members in a page; 100 if absent.
    limit: Option<u32>,
    /// The next_cursor of the page before; absent for the first.
    cursor: Option<String>,
}

/// A page of the people of a workspace.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MembersView {
    members: Vec<MemberView>,
    /// Seats that are taken.
    count: u64,
    /// How many there are.
    limit: u64,
    next_cursor: Option<String>,
}

/// One of them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MemberView {
    id: String,
    subject: String,
    issuer: String,
    role: String,
    /// RFC 3339, UTC.
    first_seen: String,
}

impl MembersView {
    /// A page.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a limit or a cursor that is none; [`Problem::Unavailable`] when the store does not answer.
    pub async fn page(
        scope: &TenantScope,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Self, Problem> {
        let query = Query { limit: limit.unwrap_or(PAGE), cursor, ..Query::default() };
        let page = scope.list_members(&query).await?;
        Ok(Self {
            members: page.records.into_iter().map(MemberView::from).collect(),
            count: scope.count_members().await?,
            limit: scope.limits().members,
            next_cursor: page.next_cursor,
        })
    }
}

impl From<Stored<Member>> for MemberView {
    fn from(stored: Stored<Member>) -> Self {
        let Stored { id, created, value: Member { subject, issuer, role }, .. } = stored;
        Self { id: id.to_string(), subject, issuer, role, first_seen: created }
    }
}
