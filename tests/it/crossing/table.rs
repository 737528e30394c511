//! Every tool and every operation of the REST API, and how another tenant tries to have what is not its own by it.

use serde_json::{Value, json};

/// A tool or an operation, with a request that succeeds for the tenant whose note or secret it names.
pub(crate) struct Row {
    /// A tool's name; for an operation the method and the path of its endpoint, as it is declared.
    pub(crate) name: &'static str,
    pub(super) door: Door,
    pub(crate) names: Names,
    pub(super) shows: Shows,
}

/// Where it is asked for.
pub(super) enum Door {
    /// `tools/call` with these arguments.
    Tool(Body),
    /// The same, by a client that can ask its user.
    Talking(Body),
    /// A request under `/v1/` with these headers, and with a body that is not null.
    Rest { headers: &'static [(&'static str, &'static str)], body: Body },
    /// The same with an image, which has the caller's mark in it.
    Image,
}

pub(super) type Body = fn(&Words) -> Value;

/// What a request is made of.
pub(crate) struct Words<'a> {
    /// The id of a note or member, the name of a secret or image, or a domain: `{id}`, `{name}` or `{domain}` in a path.
    pub(crate) id: &'a str,
    /// A word that no other tenant's data has.
    pub(crate) mark: &'a str,
}

/// What its words name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Note,
    Secret,
    Image,
    Member,
    Domain,
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

/// A tool or an operation that is not here fails `tidy`.
pub(crate) const TABLE: &[Row] = &[
    tool("audit_search", Shows::Nothing, |_| json!({})),
    tool("collections_list", Shows::Nothing, |_| json!({})),
    tool("fetch", Shows::Item, |words| json!({ "id": format!("notes.{}", words.id) })),
    tool("get_profile", Shows::CallersTier, |_| json!({})),
    tool("items_create", Shows::CallersOwn, |words| json!({ "collection": "notes", "value": note(words) })),
    Row { door: Door::Talking(item), ..tool("items_delete", Shows::Item, item) },
    tool("items_get", Shows::Item, item),
    tool("items_list", Shows::CallersOwn, |_| json!({ "collection": "notes" })),
    Row { door: Door::Talking(replacement), ..tool("items_replace", Shows::Item, replacement) },
    tool("members_list", Shows::Nothing, |_| json!({})),
    tool("notes_create", Shows::CallersOwn, note),
    Row { door: Door::Talking(id), ..tool("notes_delete", Shows::Item, id) },
    tool("notes_get", Shows::Item, id),
    tool("notes_list", Shows::CallersOwn, |_| json!({})),
    tool("notes_share", Shows::Item, id),
    tool("search", Shows::Nothing, |words| json!({ "query": words.mark })),
    Row { door: Door::Talking(id), names: Names::Member, ..tool("members_remove", Shows::Item, id) },
    Row { names: Names::Secret, ..tool("secrets_list", Shows::CallersOwn, |_| json!({})) },
    tool("usage_show", Shows::CallersTier, |_| json!({})),
    rest("GET audit", Shows::Nothing, nothing),
    rest("GET collections", Shows::Nothing, nothing),
    rest("GET collections/{collection}", Shows::Nothing, nothing),
    rest("POST collections/{collection}/batch-get", Shows::Item, |words| json!({ "ids": [words.id] })),
    rest(
        "POST collections/{collection}/batch-write",
        Shows::Item,
        |words| json!({ "operations": [{ "op": "replace", "id": words.id, "version": 1, "value": note(words) }] }),
    ),
    rest("GET collections/{collection}/items", Shows::CallersOwn, nothing),
    rest("POST collections/{collection}/items", Shows::CallersOwn, note),
    rest("DELETE collections/{collection}/items/{id}", Shows::Item, nothing),
    rest("GET collections/{collection}/items/{id}", Shows::Item, nothing),
    rest("PATCH collections/{collection}/items/{id}", Shows::Item, |words| json!({ "title": words.mark })),
    Row {
        door: Door::Rest { headers: FIRST_VERSION, body: note },
        ..rest("PUT collections/{collection}/items/{id}", Shows::Item, note)
    },
    rest(
        "POST collections/{collection}/transaction",
        Shows::Item,
        |words| json!({ "operations": [{ "op": "delete", "id": words.id, "version": 1 }] }),
    ),
    rest("GET config", Shows::CallersTier, nothing),
    rest("PATCH config", Shows::CallersOwn, company),
    // The owner's settings are of the first version now, and the other's of a later one, so this is for the owner alone.
    Row {
        door: Door::Rest { headers: FIRST_VERSION, body: company },
        ..rest("PUT config", Shows::Item, company)
    },
    tool("config_read", Shows::CallersOwn, |_| json!({})),
    tool("config_patch", Shows::CallersOwn, |words| json!({ "settings": company(words) })),
    rest(
        "POST config/emails/{template}/preview",
        Shows::CallersOwn,
        |words| json!({ "subject": words.mark, "text": "{{company_name}}" }),
    ),
    rest("GET config/export", Shows::CallersOwn, nothing),
    rest("GET config/members", Shows::Nothing, nothing),
    Row { names: Names::Member, ..rest("DELETE config/members/{id}", Shows::Item, nothing) },
    image("GET config/assets", Shows::CallersOwn),
    image("DELETE config/assets/{name}", Shows::Item),
    image("GET config/assets/{name}", Shows::Item),
    Row { door: Door::Image, ..image("PUT config/assets/{name}", Shows::Nothing) },
    domain("GET config/domains", Shows::CallersOwn),
    domain("DELETE config/domains/{domain}", Shows::Item),
    domain("POST config/domains/{domain}/verify", Shows::Item),
    // Anybody may claim any domain, so this comes after the rows for which nobody has claimed theirs.
    domain("PUT config/domains/{domain}", Shows::Nothing),
    secret("GET secrets", Shows::CallersOwn, nothing),
    secret("POST secrets/re-seal", Shows::Nothing, nothing),
    secret("DELETE secrets/{name}", Shows::Item, nothing),
    secret("PUT secrets/{name}", Shows::Nothing, |words| json!({ "value": words.mark })),
    rest("GET usage", Shows::CallersTier, nothing),
];

const fn tool(name: &'static str, shows: Shows, arguments: Body) -> Row {
    Row { name, door: Door::Tool(arguments), names: Names::Note, shows }
}

const fn rest(name: &'static str, shows: Shows, body: Body) -> Row {
    Row { name, door: Door::Rest { headers: &[], body }, names: Names::Note, shows }
}

const fn secret(name: &'static str, shows: Shows, body: Body) -> Row {
    Row { names: Names::Secret, ..rest(name, shows, body) }
}

const fn image(name: &'static str, shows: Shows) -> Row {
    Row { names: Names::Image, ..rest(name, shows, nothing) }
}

const fn domain(name: &'static str, shows: Shows) -> Row {
    Row { names: Names::Domain, ..rest(name, shows, nothing) }
}

fn company(words: &Words) -> Value {
    json!({ "branding": { "company_name": words.mark } })
}

fn id(words: &Words) -> Value {
    json!({ "id": words.id })
}

fn item(words: &Words) -> Value {
    json!({ "collection": "notes", "id": words.id })
}

fn replacement(words: &Words) -> Value {
    json!({ "collection": "notes", "id": words.id, "version": 1, "value": note(words) })
}

fn note(words: &Words) -> Value {
    json!({ "title": "crossing", "text": words.mark })
}

fn nothing(_words: &Words) -> Value {
    Value::Null
}
