//! Every tool and every operation of the REST API, and how another tenant tries to have what is not its own by it.

use serde_json::{Value, json};

/// One action, with a request that succeeds for the tenant whose note or secret it names.
pub(crate) struct Row {
    /// The tool's name, or the action of the table of roles.
    pub(crate) action: &'static str,
    pub(super) door: Door,
    pub(super) names: Names,
    pub(super) shows: Shows,
}

/// Where it is asked for.
pub(super) enum Door {
    /// `tools/call` with these arguments.
    Tool(fn(&Words) -> Value),
    /// A method and a path under `/v1/`, in which `{id}` is what the row names.
    Rest { line: &'static str, headers: &'static [(&'static str, &'static str)], body: Body },
}

pub(super) type Body = fn(&Words) -> Value;

/// What a request is made of.
pub(super) struct Words<'a> {
    /// The id of a note, or the name of a secret.
    pub(super) id: &'a str,
    /// A word that no other tenant's data has.
    pub(super) mark: &'a str,
}

/// What its `{id}` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Note,
    Secret,
}

/// What the reply shows, so that it is known what it must not show.
pub(super) enum Shows {
    /// One item, by its id: another tenant's is as missing as one that never was.
    Item,
    /// What the caller has, marked by the caller's word.
    CallersOwn,
    /// The caller's tier.
    CallersTier,
    /// Nothing that is a tenant's: it succeeds for each, with what is its own.
    Nothing,
}

/// Routes that ask for no token, beside the preflights of all others. `{tenant}` is a path of the universal host.
pub(super) const OPEN: [(&str, &str); 8] = [
    ("GET", "/.well-known/oauth-protected-resource"),
    ("GET", "/.well-known/oauth-protected-resource/mcp"),
    ("GET", "/.well-known/oauth-protected-resource/{tenant}/mcp"),
    ("GET", "/.well-known/openai-apps-challenge"),
    ("OPTIONS", "/.well-known/oauth-protected-resource"),
    ("OPTIONS", "/.well-known/oauth-protected-resource/mcp"),
    ("OPTIONS", "/.well-known/oauth-protected-resource/{tenant}/mcp"),
    ("OPTIONS", "/.well-known/openai-apps-challenge"),
];

const FIRST_VERSION: &[(&str, &str)] = &[("if-match", "\"1\"")];

/// An action that is not here fails `tidy`.
pub(crate) const TABLE: &[Row] = &[
    tool("get_profile", Shows::CallersTier, |_| json!({})),
    tool("notes_create", Shows::CallersOwn, note),
    tool("notes_delete", Shows::Item, |words| json!({ "id": words.id })),
    tool("notes_get", Shows::Item, |words| json!({ "id": words.id })),
    tool("notes_list", Shows::CallersOwn, |_| json!({})),
    tool("notes_share", Shows::Item, |words| json!({ "id": words.id })),
    rest("collections_read", Shows::Nothing, "GET collections/notes", nothing),
    rest(
        "items_batch_get",
        Shows::Item,
        "POST collections/notes/batch-get",
        |words| json!({ "ids": [words.id] }),
    ),
    rest(
        "items_batch_write",
        Shows::Item,
        "POST collections/notes/batch-write",
        |words| json!({ "operations": [{ "op": "replace", "id": words.id, "version": 1, "value": note(words) }] }),
    ),
    rest("items_create", Shows::CallersOwn, "POST collections/notes/items", note),
    rest("items_delete", Shows::Item, "DELETE collections/notes/items/{id}", nothing),
    rest("items_get", Shows::Item, "GET collections/notes/items/{id}", nothing),
    rest("items_list", Shows::CallersOwn, "GET collections/notes/items", nothing),
    rest(
        "items_patch",
        Shows::Item,
        "PATCH collections/notes/items/{id}",
        |words| json!({ "title": words.mark }),
    ),
    Row {
        action: "items_replace",
        door: Door::Rest { line: "PUT collections/notes/items/{id}", headers: FIRST_VERSION, body: note },
        names: Names::Note,
        shows: Shows::Item,
    },
    rest(
        "items_transaction",
        Shows::Item,
        "POST collections/notes/transaction",
        |words| json!({ "operations": [{ "op": "delete", "id": words.id, "version": 1 }] }),
    ),
    secret("secrets_delete", Shows::Item, "DELETE secrets/{id}", nothing),
    secret("secrets_list", Shows::CallersOwn, "GET secrets", nothing),
    secret("secrets_put", Shows::Nothing, "PUT secrets/{id}", |words| json!({ "value": words.mark })),
    secret("secrets_reseal", Shows::Nothing, "POST secrets/re-seal", nothing),
    rest("usage_read", Shows::CallersTier, "GET usage", nothing),
];

const fn tool(action: &'static str, shows: Shows, arguments: fn(&Words) -> Value) -> Row {
    Row { action, door: Door::Tool(arguments), names: Names::Note, shows }
}

const fn rest(action: &'static str, shows: Shows, line: &'static str, body: Body) -> Row {
    Row { action, door: Door::Rest { line, headers: &[], body }, names: Names::Note, shows }
}

const fn secret(action: &'static str, shows: Shows, line: &'static str, body: Body) -> Row {
    Row { names: Names::Secret, ..rest(action, shows, line, body) }
}

fn note(words: &Words) -> Value {
    json!({ "title": "crossing", "text": words.mark })
}

fn nothing(_words: &Words) -> Value {
    Value::Null
}
