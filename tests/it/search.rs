//! Search and fetch through the door: each tenant finds its own, at once, whatever is merged and wherever a merge stops.

mod merges;

use std::{collections::BTreeMap, sync::OnceLock};

use aws_sdk_dynamodb::types::AttributeValue;
use insula_local::{Edge, Options, idp::Mint};
use insula_tenancy::Tier;
use serde_json::{Value, json};

use crate::{
    ask::{Own, code_of, data_table, post_with, tenant_store, text},
    harness::{Stack, bin_dir, json_of, options, start, tool_call},
};

/// A stack whose `mcp` has a tool that writes many pages at once.
fn start_pages() -> Stack {
    let pages = bin_dir().join("pages-fixture");
    start(Options { overrides: BTreeMap::from([("McpFunction".to_owned(), pages)]), ..options(Edge::Rest) })
}

fn pages_stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(start_pages)
}

fn page(title: &str, text: &str) -> Value {
    json!({ "page": { "title": title, "text": text } })
}

async fn call(own: &Own, stack: &Stack, tool: &str, arguments: Value) -> Value {
    let reply = own.post(stack, &[], &tool_call(tool, arguments)).await;
    let result = json_of(&reply)["result"].clone();
    assert_eq!(result["isError"], false, "{tool}: {}", String::from_utf8_lossy(reply.body()));
    result["structuredContent"].clone()
}

async fn write(own: &Own, stack: &Stack, writes: &[Value]) -> Vec<String> {
    let written = call(own, stack, "test_pages_write", json!({ "writes": writes })).await;
    written["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

async fn titles(own: &Own, stack: &Stack, query: &str) -> Vec<String> {
    let found = call(own, stack, "search", json!({ "query": query })).await;
    let titles = found["results"].as_array().unwrap().iter().map(|result| result["title"].as_str().unwrap());
    titles.map(str::to_owned).collect()
}

/// How many rows a part of the index has in the table of all.
async fn rows(own: &Own, stack: &Stack, part: &str) -> usize {
    rows_in(own, stack, data_table(stack), part).await
}

async fn rows_in(own: &Own, stack: &Stack, table: &str, part: &str) -> usize {
    let reply = tenant_store(stack, &own.id.to_string())
        .query()
        .table_name(table)
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", text(&format!("TENANT#{}#SEARCH#{part}", own.id)))
        .consistent_read(true)
        .send()
        .await
        .unwrap();
    reply.items().len()
}

#[tokio::test]
async fn two_tenants_with_the_same_words_find_each_their_own_and_nothing_of_the_other() {
    let stack = pages_stack();
    let one = Own::make(stack, "search-one", Tier::Starter).await;
    let other = Own::make(stack, "search-other", Tier::Starter).await;
    for (own, title) in [(&one, "plan of one"), (&other, "plan of other")] {
        call(own, stack, "notes_create", json!({ "title": title, "text": "the same words" })).await;
    }
    for query in ["plan", "the same words", "pla", "wor*"] {
        assert_eq!(titles(&one, stack, query).await, ["plan of one"], "{query}");
        assert_eq!(titles(&other, stack, query).await, ["plan of other"], "{query}");
    }
    assert_eq!(titles(&one, stack, "other").await, Vec::<String>::new());
    assert_eq!(titles(&other, stack, "other").await, ["plan of other"]);
}

#[tokio::test]
async fn search_and_fetch_have_the_form_that_company_knowledge_asks_for() {
    let stack = pages_stack();
    let own = Own::make(stack, "search-form", Tier::Starter).await;
    let note =
        call(&own, stack, "notes_create", json!({ "title": "Crème Brûlée", "text": "of six eggs" })).await;
    let id = note["id"].as_str().unwrap();
    let home = format!("http://search-form.localhost:{}", stack.local.port);
    let url = format!("{home}/v1/collections/notes/items/{id}");
    let found = call(&own, stack, "search", json!({ "query": "creme" })).await;
    assert_eq!(
        found,
        json!({ "results": [{ "id": format!("notes.{id}"), "title": "Crème Brûlée", "url": url }] })
    );
    let fetched = call(&own, stack, "fetch", json!({ "id": format!("notes.{id}") })).await;
    assert_eq!(
        fetched,
        json!({
            "id": format!("notes.{id}"),
            "title": "Crème Brûlée",
            "text": "of six eggs",
            "url": url,
            "metadata": {
                "collection": "notes",
                "version": "1",
                "created": note["created"],
                "updated": note["updated"],
            },
        })
    );
    assert_eq!(call(&own, stack, "search", json!({ "query": "tiramisu" })).await, json!({ "results": [] }));
    // The same at the tenant's path on the universal host: its links go there.
    let at = stack.path_url("search-form");
    let mint = Mint {
        tenant: Some("org-search-form".to_owned()),
        sub: Some("tester".to_owned()),
        resource: at.clone(),
        ..Mint::default()
    };
    let token = stack.local.idp.mint(&mint).unwrap().access_token;
    let reply = post_with(stack, &at, &token, &[], &tool_call("search", json!({ "query": "eggs" }))).await;
    let at_path =
        format!("http://localhost:{}/search-form/v1/collections/notes/items/{id}", stack.local.port);
    assert_eq!(json_of(&reply)["result"]["structuredContent"]["results"][0]["url"], at_path);
}

#[tokio::test]
async fn a_foreign_result_is_missing_and_so_is_what_is_no_id_byte_for_byte() {
    let stack = pages_stack();
    let own = Own::make(stack, "search-mine", Tier::Starter).await;
    let other = Own::make(stack, "search-theirs", Tier::Starter).await;
    let note = call(&other, stack, "notes_create", json!({ "title": "t", "text": "secret" })).await;
    let id = format!("notes.{}", note["id"].as_str().unwrap());
    assert_eq!(call(&other, stack, "fetch", json!({ "id": id })).await["text"], "secret");
    let fetch = async |id: &str| own.post(stack, &[], &tool_call("fetch", json!({ "id": id }))).await;
    let foreign = fetch(&id).await;
    assert_eq!(code_of(&foreign), "not_found");
    let nothing =
        ["notes.01m00000000000000000000000", "nothing.01m00000000000000000000000", "", "notes", ".", "a.b.c"];
    for missing in nothing {
        assert_eq!(fetch(missing).await.body(), foreign.body(), "{missing}");
    }
}

#[tokio::test]
async fn what_has_ended_or_changed_is_not_found_by_its_old_words_from_the_next_call_on() {
    let stack = pages_stack();
    let own = Own::make(stack, "search-ended", Tier::Business).await;
    let ids = write(&own, stack, &[page("first", "alpha"), page("second", "alpha"), page("", "")]).await;
    assert_eq!(titles(&own, stack, "alpha").await, ["second", "first"]);
    write(&own, stack, &[json!({ "id": ids[0] })]).await;
    assert_eq!(titles(&own, stack, "alpha").await, ["second"]);
    write(&own, stack, &[json!({ "id": ids[1], "page": { "title": "new", "text": "beta" } })]).await;
    assert_eq!(titles(&own, stack, "alpha").await, Vec::<String>::new());
    assert_eq!(titles(&own, stack, "beta").await, ["new"]);
    // It can no longer be found at all, and then it can be again.
    write(&own, stack, &[json!({ "id": ids[1], "page": { "title": "", "text": "" } })]).await;
    assert_eq!(titles(&own, stack, "beta").await, Vec::<String>::new());
    let hidden =
        own.post(stack, &[], &tool_call("fetch", json!({ "id": format!("documents.{}", ids[1]) }))).await;
    assert_eq!(code_of(&hidden), "not_found");
    write(&own, stack, &[json!({ "id": ids[1], "page": { "title": "back", "text": "beta" } })]).await;
    assert_eq!(titles(&own, stack, "beta").await, ["back"]);
    assert_eq!(rows(&own, stack, "NEWS").await, 5, "what was never to be found is no news");
}

#[tokio::test]
async fn a_query_over_its_limits_or_without_the_scope_is_refused_and_its_twin_is_not() {
    let stack = pages_stack();
    let own = Own::make(stack, "search-refused", Tier::Starter).await;
    write(&own, stack, &[page("found", "x")]).await;
    let many = |words: usize| (0..words).map(|n| format!("w{n} ")).collect::<String>();
    for (query, said) in [
        (many(31) + "x", None),
        (many(32) + "x", Some("query: 33 different words, of at most 32")),
        ("x ".repeat(500), None),
        ("x ".repeat(500) + "x", Some("query: 1001 characters, of at most 1000")),
        ("?x!".to_owned(), None),
        ("?!".to_owned(), Some("query: at least one word is expected")),
        // Whatever a query says, it is words and never an expression.
        ("x = :pk OR begins_with(sk, #pk) 'x\" {}".to_owned(), None),
    ] {
        let reply = own.post(stack, &[], &tool_call("search", json!({ "query": query }))).await;
        let result = json_of(&reply)["result"].clone();
        match said {
            None => {
                assert_eq!(result["structuredContent"]["results"][0]["title"], "found", "{query}: {reply:?}")
            }
            Some(said) => assert_eq!(result["content"][0]["text"], said, "{query}"),
        }
    }
    let with = |scopes: &str| {
        let mint = Mint {
            tenant: Some(format!("org-{}", own.slug)),
            sub: Some("tester".to_owned()),
            resource: stack.host_url(&own.slug),
            scope: Some(scopes.to_owned()),
            ..Mint::default()
        };
        stack.local.idp.mint(&mint).unwrap().access_token
    };
    let search = tool_call("search", json!({ "query": "found" }));
    for (scopes, refused) in [("search:read", false), ("notes:read notes:write", true)] {
        let reply = post_with(stack, &stack.host_url(&own.slug), &with(scopes), &[], &search).await;
        assert_eq!(code_of(&reply) == "insufficient_scope", refused, "{scopes}: {reply:?}");
    }
}

#[tokio::test]
async fn a_repeated_key_makes_one_record_that_is_found_once() {
    let stack = pages_stack();
    let own = Own::make(stack, "search-again", Tier::Starter).await;
    let create = tool_call("notes_create", json!({ "title": "once", "text": "t" }));
    for _ in 0..3 {
        own.post(stack, &[("idempotency-key", "one")], &create).await;
    }
    assert_eq!(titles(&own, stack, "once").await, ["once"]);
    assert_eq!(rows(&own, stack, "NEWS").await, 1);
}

#[tokio::test]
async fn a_row_of_the_index_that_is_altered_is_refused_and_says_nothing() {
    let stack = pages_stack();
    let own = Own::make(stack, "search-altered", Tier::Starter).await;
    write(&own, stack, &[page("whole", "x")]).await;
    let (client, table) = (tenant_store(stack, &own.id.to_string()), data_table(stack));
    let body = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new([1, 1, 255, 255]));
    let put = client
        .put_item()
        .table_name(table)
        .item("pk", text(&format!("TENANT#{}#SEARCH#NEWS", own.id)))
        .item("sk", text("zz"))
        .item("body", body);
    assert_eq!(titles(&own, stack, "whole").await, ["whole"]);
    put.send().await.unwrap();
    let reply = own.post(stack, &[], &tool_call("search", json!({ "query": "whole" }))).await;
    assert_eq!(code_of(&reply), "internal");
    assert_eq!(json_of(&reply)["result"]["content"][0]["text"], "internal error");
}
