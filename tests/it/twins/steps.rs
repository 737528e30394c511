//! Random operations: those of the table that every tool and endpoint is in, and more that go on from what was told.

use bytes::Bytes;
use http::Method;
use proptest::{bool, option, prop_oneof, sample::select, strategy::Strategy};
use serde_json::{Value, json};

use crate::{
    crossing::{NEVER, Names, TABLE, Words},
    harness::tool_call,
};

/// What items say. Both tenants say the same.
const MARKS: [&str; 6] =
    ["crossing", "alpha beta", "Ünïcode ☂ 用户", "a#b#TENANT#", "\"quoted\" \\ {{company_name}}", "x"];
/// What secrets and images are called.
const CALLED: [&str; 3] = ["slack_webhook", "logo", "third"];

/// One operation of one of the two tenants. Numbers choose among what there is at the time.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Which tenant.
    pub(super) by: usize,
    operation: usize,
    item: usize,
    seal: usize,
    mark: usize,
    called: usize,
    /// An item, a version and a seal of the other tenant's in the place of its own.
    foreign: [bool; 3],
    /// The version that was told last, or so many more.
    ahead: u64,
    limit: usize,
    idempotency_key: Option<usize>,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    // Without something to name, a step says little: one in four makes an item.
    let made = ["notes_create", "items_create", "POST collections/{collection}/items"].map(position);
    let operation = prop_oneof![3 => 0..TABLE.len() + MORE.len(), 1 => select(made.to_vec())];
    let choices = (operation, 0..5_usize, 0..3_usize, 0..MARKS.len(), 0..CALLED.len(), 1..4_usize);
    let foreign = [bool::weighted(0.2), bool::weighted(0.1), bool::weighted(0.2)];
    let ahead = prop_oneof![4 => 0..1_u64, 1 => 1..3_u64];
    (0..2_usize, choices, foreign, ahead, option::weighted(0.2, 0..3_usize)).prop_map(
        |(by, (operation, item, seal, mark, called, limit), foreign, ahead, idempotency_key)| Step {
            by,
            operation,
            item,
            seal,
            mark,
            called,
            foreign,
            ahead,
            limit,
            idempotency_key,
        },
    )
}

/// Where a row is in the table.
fn position(name: &str) -> usize {
    TABLE.iter().position(|row| row.name == name).unwrap()
}

/// What one tenant was told: what it may name.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Ids with their last versions.
    items: Vec<(String, u64)>,
    /// Cursors and states.
    seals: Vec<String>,
}

impl Seen {
    pub(super) fn count(&self) -> usize {
        self.items.len()
    }

    /// Keeps the ids and seals of a reply.
    pub(super) fn read(&mut self, reply: &Value) {
        match reply {
            Value::Array(values) => values.iter().for_each(|value| self.read(value)),
            Value::Object(members) => {
                for seal in
                    ["next_cursor", "requestState"].iter().filter_map(|name| members.get(*name)?.as_str())
                {
                    self.seals.push(seal.to_owned());
                }
                if let Some(id) =
                    members.get("id").and_then(Value::as_str).filter(|id| id.len() == NEVER.len())
                {
                    self.items.retain(|(known, _)| known != id);
                    self.items
                        .push((id.to_owned(), members.get("version").and_then(Value::as_u64).unwrap_or(1)));
                }
                members.values().for_each(|value| self.read(value));
            }
            _ => {}
        }
    }
}

/// What a step names.
#[derive(Debug, Clone)]
pub(super) struct Given {
    item: (String, u64),
    seal: Option<String>,
}

/// What is sent.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

/// What an operation beyond the table is made of.
struct Parts<'a> {
    id: &'a str,
    version: u64,
    seal: Option<&'a str>,
    mark: &'a str,
    called: &'a str,
    limit: usize,
}

impl Step {
    /// Whether it asks what calls came to, which is counted behind them.
    pub(super) fn asks_for_usage(&self) -> bool {
        TABLE.get(self.operation).is_some_and(|row| row.name.contains("usage"))
    }

    /// A row of the table, with the first of everything.
    pub(super) fn of(by: usize, name: &str) -> Self {
        Self {
            by,
            operation: position(name),
            item: 0,
            seal: 0,
            mark: 0,
            called: 0,
            foreign: [false; 3],
            ahead: 0,
            limit: 1,
            idempotency_key: None,
        }
    }

    /// What this step names of what a tenant has seen: the latest first.
    pub(super) fn given(&self, seen: &Seen) -> Given {
        let item = seen.items.iter().rev().cycle().nth(self.item);
        Given {
            item: item.cloned().unwrap_or_else(|| (NEVER.to_owned(), 1)),
            seal: seen.seals.iter().rev().cycle().nth(self.seal).cloned(),
        }
    }

    /// The request. `foreign` is what the step names of the other tenant's.
    pub(super) fn asked(&self, seen: &Seen, foreign: &Given) -> Asked {
        let own = self.given(seen);
        let [item, version, seal] = self.foreign.map(|is_foreign| if is_foreign { foreign } else { &own });
        let parts = Parts {
            id: &item.item.0,
            version: version.item.1 + self.ahead,
            seal: seal.seal.as_deref(),
            mark: MARKS[self.mark],
            called: CALLED[self.called],
            limit: self.limit,
        };
        let mut asked = match TABLE.get(self.operation) {
            Some(row) => {
                let id =
                    if matches!(row.names, Names::Note | Names::Member) { parts.id } else { parts.called };
                let (method, path) = row.line(id);
                let headers = row.headers().into_iter().map(|(name, value)| (name, value.to_owned()));
                let body = row.body(&Words { id, mark: parts.mark });
                Asked { method, path, headers: headers.collect(), body }
            }
            None => MORE[self.operation - TABLE.len()](&parts),
        };
        let key = self.idempotency_key.map(|key| ("idempotency-key", format!("key-{key}")));
        asked.headers.extend(key);
        asked
    }
}

/// Operations on the version that was told last, and those that go on where a seal leads.
const MORE: [fn(&Parts) -> Asked; 15] = [
    |parts| tool("notes_list", json!({ "limit": parts.limit, "cursor": parts.seal })),
    |parts| tool("items_list", json!({ "collection": "notes", "limit": parts.limit, "cursor": parts.seal })),
    |parts| {
        let value = json!({ "title": "replaced", "text": parts.mark });
        let which =
            json!({ "collection": "notes", "id": parts.id, "version": parts.version, "value": value });
        tool("items_replace", which)
    },
    |parts| tool("items_create", json!({ "collection": "documents", "value": { "name": parts.mark } })),
    |parts| tool("notes_list", json!({ "limit": parts.limit })),
    |parts| tool("search", json!({ "query": format!("{} repl*", parts.mark) })),
    |parts| confirm(parts, parts.seal),
    |parts| rest(Method::GET, &format!("collections/notes/items?{}", page(parts)), None, Value::Null),
    |parts| {
        let path = format!("collections/notes/items?order=updated&direction=descending&{}", page(parts));
        rest(Method::GET, &path, None, Value::Null)
    },
    |parts| {
        let value = json!({ "title": "put", "text": parts.mark });
        rest(Method::PUT, &format!("collections/notes/items/{}", parts.id), Some(parts.version), value)
    },
    |parts| {
        rest(
            Method::DELETE,
            &format!("collections/notes/items/{}", parts.id),
            Some(parts.version),
            Value::Null,
        )
    },
    |parts| {
        let create = json!({ "op": "create", "value": { "title": "in one", "text": parts.mark } });
        let check = json!({ "op": "check", "id": parts.id, "version": parts.version });
        let operations = json!({ "operations": [create, check] });
        rest(Method::POST, "collections/notes/transaction", None, operations)
    },
    |parts| {
        let settings =
            json!({ "tools": { "confirm_deletes": "allow" }, "branding": { "company_name": parts.mark } });
        rest(Method::PATCH, "config", Some(parts.version), settings)
    },
    |parts| {
        let value = json!({ "value": parts.mark });
        rest(Method::PUT, &format!("secrets/{}", parts.called), Some(parts.version), value)
    },
    |parts| {
        let cursor = parts.seal.map(|seal| format!("?cursor={seal}")).unwrap_or_default();
        rest(Method::GET, &format!("config/export{cursor}"), None, Value::Null)
    },
];

fn page(parts: &Parts) -> String {
    let cursor = parts.seal.map(|seal| format!("&cursor={seal}")).unwrap_or_default();
    format!("limit={}{cursor}", parts.limit)
}

fn tool(name: &str, arguments: Value) -> Asked {
    let body = tool_call(name, arguments).to_string().into();
    Asked { method: Method::POST, path: "/mcp".to_owned(), headers: Vec::new(), body }
}

/// The user's yes to a question, whichever it was.
fn confirm(parts: &Parts, state: Option<&str>) -> Asked {
    let mut call = tool_call("items_delete", json!({ "collection": "notes", "id": parts.id }));
    call["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} },
    });
    call["params"]["inputResponses"] =
        json!({ "confirm": { "action": "accept", "content": { "confirm": true } } });
    call["params"]["requestState"] = json!(state.unwrap_or("none"));
    let names =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "items_delete")];
    let headers = names.map(|(name, value)| (name, value.to_owned())).into();
    Asked { method: Method::POST, path: "/mcp".to_owned(), headers, body: call.to_string().into() }
}

fn rest(method: Method, path: &str, version: Option<u64>, body: Value) -> Asked {
    let headers = version.map(|version| ("if-match", format!("\"{version}\""))).into_iter().collect();
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    Asked { method, path: format!("/v1/{path}"), headers, body }
}
