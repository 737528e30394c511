//! Items over REST: what a tenant keeps, one by one and many at once, and nothing of another's.

use bytes::Bytes;
use http::{Method, Response};
use insula_tenancy::Tier;
use serde_json::{Value, json};

use crate::{
    ask::{Own, ask, code_of, header},
    harness::{Stack, json_of, stack},
};

mod asking;
mod batches;
mod large;

const ALL: &str = "items:read items:write notes:read notes:write workspace:admin";

/// A tenant of a test's own, seen through `/v1/collections`.
struct Rest {
    stack: &'static Stack,
    own: Own,
}

impl Rest {
    async fn make(slug: &str) -> Self {
        let stack = stack();
        Self { stack, own: Own::make(stack, slug, Tier::Starter).await }
    }

    async fn ask(
        &self,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Response<Bytes> {
        self.ask_as(ALL, (method, path), headers, body).await
    }

    async fn ask_as(
        &self,
        scope: &str,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Response<Bytes> {
        let path = format!("/v1/collections/{path}");
        self.own.ask(self.stack, scope, (method, &path), (headers, body)).await
    }

    async fn get(&self, path: &str) -> Response<Bytes> {
        self.ask((Method::GET, path), &[], &Value::Null).await
    }

    async fn create(&self, collection: &str, value: Value) -> String {
        let reply = self.ask((Method::POST, &format!("{collection}/items")), &[], &value).await;
        assert_eq!(reply.status(), 201, "{reply:?} {:?}", reply.body());
        json_of(&reply)["id"].as_str().unwrap().to_owned()
    }

    async fn titles(&self, query: &str) -> Vec<String> {
        let reply = self.get(&format!("notes/items?{query}")).await;
        let items = json_of(&reply)["items"].clone();
        let items = items.as_array().unwrap_or_else(|| panic!("{:?}", reply.body())).clone();
        items.iter().map(|item| item["value"]["title"].as_str().unwrap().to_owned()).collect()
    }
}

fn note(title: &str) -> Value {
    json!({ "title": title, "text": "t" })
}

#[tokio::test]
async fn an_item_lives_through_all_of_its_verbs() {
    let rest = Rest::make("items-verbs").await;
    let made = rest.ask((Method::POST, "notes/items"), &[], &note("one")).await;
    let id = json_of(&made)["id"].as_str().unwrap().to_owned();
    let path = format!("notes/items/{id}");
    assert_eq!(header(made.headers(), "location"), format!("/v1/collections/{path}"));
    assert_eq!((made.status().as_u16(), header(made.headers(), "etag")), (201, "\"1\""));
    let read = rest.get(&path).await;
    assert_eq!((json_of(&read), header(read.headers(), "etag")), (json_of(&made), "\"1\""));
    let replaced = rest.ask((Method::PUT, &path), &[("if-match", "\"1\"")], &note("two")).await;
    assert_eq!((replaced.status().as_u16(), header(replaced.headers(), "etag")), (200, "\"2\""));
    let patched = rest.ask((Method::PATCH, &path), &[], &json!({ "text": "patched" })).await;
    assert_eq!(json_of(&patched)["value"], json!({ "title": "two", "text": "patched" }));
    assert_eq!(json_of(&patched)["version"], 3);
    let deleted = rest.ask((Method::DELETE, &path), &[("if-match", "\"3\"")], &Value::Null).await;
    assert_eq!(deleted.status(), 204);
    assert_eq!(rest.get(&path).await.status(), 404);
}

#[tokio::test]
async fn a_version_that_was_not_seen_changes_nothing() {
    let rest = Rest::make("items-versions").await;
    let id = rest.create("notes", note("one")).await;
    let path = format!("notes/items/{id}");
    for (method, header, status) in [
        (Method::PUT, Some("\"2\""), 409),
        (Method::PUT, None, 428),
        (Method::PUT, Some("*"), 400),
        (Method::PATCH, Some("\"7\""), 409),
        (Method::DELETE, Some("\"0\""), 409),
    ] {
        let headers: Vec<_> = header.map(|value| ("if-match", value)).into_iter().collect();
        let body = if method == Method::DELETE { Value::Null } else { note("other") };
        let reply = rest.ask((method.clone(), &path), &headers, &body).await;
        assert_eq!(reply.status(), status, "{method} {header:?} {:?}", reply.body());
    }
    assert_eq!(rest.titles("").await, ["one"]);
    assert_eq!(rest.ask((Method::PUT, &path), &[("if-match", "\"1\"")], &note("two")).await.status(), 200);
}

#[tokio::test]
async fn a_foreign_item_is_answered_as_one_that_never_was() {
    let (rest, other) = (Rest::make("items-mine").await, Rest::make("items-theirs").await);
    let id = rest.create("notes", note("mine")).await;
    let missing = "01m00000000000000000000000";
    for (method, headers, body) in [
        (Method::GET, [].as_slice(), Value::Null),
        (Method::PUT, &[("if-match", "\"1\"")], note("x")),
        (Method::PATCH, &[], note("x")),
        (Method::DELETE, &[], Value::Null),
    ] {
        let at = |id: &str| format!("notes/items/{id}");
        let foreign = other.ask((method.clone(), &at(&id)), headers, &body).await;
        let never = other.ask((method.clone(), &at(missing)), headers, &body).await;
        assert_eq!((foreign.status().as_u16(), foreign.body()), (404, never.body()), "{method}");
    }
    let ids = json!({ "ids": [id, missing] });
    let many = other.ask((Method::POST, "notes/batch-get"), &[], &ids).await;
    assert_eq!(json_of(&many), json!({ "items": [null, null] }));
    assert_eq!(json_of(&rest.ask((Method::POST, "notes/batch-get"), &[], &ids).await)["items"][0]["id"], id);
    assert_eq!(rest.titles("").await, ["mine"]);
}

#[tokio::test]
async fn a_listing_goes_by_creation_or_by_change_either_way_page_by_page() {
    let rest = Rest::make("items-order").await;
    let first = rest.create("notes", note("a")).await;
    for title in ["b", "c"] {
        rest.create("notes", note(title)).await;
    }
    rest.ask((Method::PATCH, &format!("notes/items/{first}")), &[], &json!({ "text": "later" })).await;
    assert_eq!(rest.titles("").await, ["a", "b", "c"]);
    assert_eq!(rest.titles("direction=descending").await, ["c", "b", "a"]);
    assert_eq!(rest.titles("order=updated").await, ["b", "c", "a"]);
    assert_eq!(rest.titles("order=updated&direction=descending").await, ["a", "c", "b"]);
    for query in ["limit=2", "limit=2&direction=descending", "limit=2&order=updated"] {
        let page = json_of(&rest.get(&format!("notes/items?{query}")).await);
        let cursor = page["next_cursor"].as_str().unwrap();
        let rest_of = json_of(&rest.get(&format!("notes/items?{query}&cursor={cursor}")).await);
        assert_eq!((page["items"].as_array().unwrap().len(), &rest_of["next_cursor"]), (2, &Value::Null));
        assert_eq!(rest_of["items"].as_array().unwrap().len(), 1, "{query}");
        // A cursor is good for its own listing alone.
        for other in ["limit=2&order=updated&direction=descending", "limit=2&cursor=x"] {
            let other =
                if other.contains("cursor") { other.to_owned() } else { format!("{other}&cursor={cursor}") };
            assert_eq!(rest.get(&format!("notes/items?{other}")).await.status(), 400, "{query} {other}");
        }
    }
    let other = Rest::make("items-order-other").await;
    let page = json_of(&rest.get("notes/items?limit=2").await);
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(other.get(&format!("notes/items?limit=2&cursor={cursor}")).await.status(), 400);
}

#[tokio::test]
async fn bad_input_says_the_rule_and_stores_nothing() {
    let rest = Rest::make("items-bad").await;
    for (query, detail) in [
        ("limit=0", "limit: 0 of 1 to 100"),
        ("limit=101", "limit: 101 of 1 to 100"),
        ("limit=x", "query: limit: invalid digit found in string"),
        ("order=title&equals=a", "index: one of []"),
        ("order=title", "query: order: created, updated, or an index together with equals"),
        ("direction=up", "query: direction: ascending or descending"),
        ("sort=up", "query: \"sort\" is none of limit, cursor, order, equals, direction"),
    ] {
        let reply = rest.get(&format!("notes/items?{query}")).await;
        assert_eq!(
            (reply.status().as_u16(), json_of(&reply)["detail"].as_str()),
            (400, Some(detail)),
            "{query}"
        );
    }
    let huge = "x".repeat(390_000);
    for (collection, value, status) in [
        ("notes", json!({ "title": "" , "text": "t" }), 400),
        ("notes", json!({ "title": "t", "text": "t", "tenant": "acme" }), 400),
        ("notes", json!([]), 400),
        ("documents", json!(7), 400),
        ("documents", json!({ "a": huge }), 413),
        ("unknown", json!({}), 404),
    ] {
        let reply = rest.ask((Method::POST, &format!("{collection}/items")), &[], &value).await;
        assert_eq!(reply.status(), status, "{collection} {:?}", reply.body());
    }
    let twice = ask_raw(&rest, "notes", r#"{"title":"a","text":"t","title":"b"}"#).await;
    assert_eq!(twice.status(), 400, "{:?}", twice.body());
    let path = "notes/items/a%23b";
    assert_eq!(rest.get(path).await.status(), 400);
    assert_eq!(rest.titles("").await, Vec::<String>::new());
    assert_eq!(ask_raw(&rest, "notes", r#"{"title":"a","text":"t"}"#).await.status(), 201);
    let huge = ask_raw(&rest, "documents", r#"{"n":[18446744073709551616]}"#).await;
    assert!(json_of(&huge)["detail"].as_str().unwrap().contains("`n[0]` is an integer of 20 digits"));
    let large = ask_raw(&rest, "documents", r#"{"n":[18446744073709551615]}"#).await;
    assert_eq!(json_of(&large)["value"]["n"][0], u64::MAX);
}

async fn ask_raw(rest: &Rest, collection: &str, body: &str) -> Response<Bytes> {
    let resource = rest.stack.host_url(&rest.own.slug);
    let bearer = format!("Bearer {}", rest.own.token(rest.stack));
    let url = format!("{}/v1/collections/{collection}/items", resource.strip_suffix("/mcp").unwrap());
    ask(rest.stack, Method::POST, &url, &[("authorization", &bearer)], body.to_owned()).await
}

#[tokio::test]
async fn a_free_form_collection_keeps_objects_of_any_form() {
    let rest = Rest::make("items-free").await;
    let value = json!({ "any": ["thing", { "deep": 1.5 }], "null": null });
    let id = rest.create("documents", value.clone()).await;
    assert_eq!(json_of(&rest.get(&format!("documents/items/{id}")).await)["value"], value);
    // The same id is another item in another collection.
    assert_eq!(rest.get(&format!("notes/items/{id}")).await.status(), 404);
    assert_eq!(json_of(&rest.get("documents").await)["name"], "documents");
}

#[tokio::test]
async fn a_client_learns_the_collections_and_the_form_of_their_items_by_either_door() {
    let rest = Rest::make("items-forms").await;
    let url = (Method::GET, "/v1/collections");
    let reply = rest.own.ask(rest.stack, "items:read", url.clone(), (&[], &Value::Null)).await;
    let all = json_of(&reply);
    let told = tool(&rest, "collections_list", &json!({}), (&json!({}), &json!({}))).await;
    assert_eq!(told["structuredContent"], all, "{told}");
    let notes = &all["collections"][0];
    assert_eq!(
        (&notes["name"], &notes["kind"], &notes["indexes"]),
        (&json!("notes"), &json!("note"), &json!([]))
    );
    assert_eq!(notes["item_bytes_max"], 131_072);
    assert_eq!(notes["schema"]["properties"]["title"]["maxLength"], 200);
    assert_eq!(notes["schema"]["required"], json!(["title", "text"]));
    assert_eq!(json_of(&rest.get("notes").await), *notes);
    let free = &all["collections"][1];
    assert_eq!((&free["name"], &free["schema"]), (&json!("documents"), &json!({ "type": "object" })));
    assert_eq!(free["item_bytes_max"], 389_120);
    let without = rest.own.ask(rest.stack, "notes:read", url, (&[], &Value::Null)).await;
    assert_eq!(code_of(&without), "insufficient_scope");
}

#[tokio::test]
async fn scopes_and_roles_say_who_reads_and_who_writes() {
    let rest = Rest::make("items-access").await;
    let id = rest.create("notes", note("one")).await;
    let path = format!("notes/items/{id}");
    for (scope, read, written) in [
        ("items:read items:write", 200, 201),
        ("items:read", 200, 403),
        ("notes:read notes:write", 403, 403),
        ("items:write", 403, 201),
    ] {
        let got = rest.ask_as(scope, (Method::GET, &path), &[], &Value::Null).await;
        let made = rest.ask_as(scope, (Method::POST, "notes/items"), &[], &note("x")).await;
        assert_eq!((got.status().as_u16(), made.status().as_u16()), (read, written), "{scope}");
    }
    // Without API access none of it answers.
    let own = Own::make(rest.stack, "items-free-tier", Tier::Free).await;
    let free = Rest { stack: rest.stack, own };
    assert_eq!(code_of(&free.get("notes/items").await), "feature_off");
}

/// A call of the modern era, by a client that can do so much.
async fn tool(rest: &Rest, name: &str, arguments: &Value, extra: (&Value, &Value)) -> Value {
    let (capabilities, rest_of_params) = extra;
    let mut params = json!({
        "name": name, "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        },
    });
    params.as_object_mut().unwrap().extend(rest_of_params.as_object().cloned().unwrap_or_default());
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", name)];
    json_of(&rest.own.post(rest.stack, &headers, &body).await)["result"].clone()
}

#[tokio::test]
async fn a_tool_keeps_and_finds_items_of_any_collection() {
    let rest = Rest::make("items-tools").await;
    let (can, nothing) = (json!({}), json!({}));
    let allow = json!({ "tools": { "confirm_deletes": "allow" } });
    let set = (Method::PATCH, "/v1/config");
    assert_eq!(rest.own.ask(rest.stack, ALL, set, (&[], &allow)).await.status(), 200);
    let call = async |name: &str, arguments: Value| tool(&rest, name, &arguments, (&can, &nothing)).await;
    let made = call("items_create", json!({ "collection": "documents", "value": { "a": 1 } })).await;
    let item = made["structuredContent"].clone();
    let read = call("items_get", json!({ "collection": "documents", "id": item["id"] })).await;
    assert_eq!(read["structuredContent"], item);
    let stale = json!({ "collection": "documents", "id": item["id"], "version": 2, "value": { "a": 2 } });
    assert_eq!(call("items_replace", stale).await["_meta"]["tenancy/error"]["code"], "conflict");
    let seen = json!({ "collection": "documents", "id": item["id"], "version": 1, "value": { "a": 2 } });
    assert_eq!(call("items_replace", seen).await["structuredContent"]["version"], 2);
    let listed = call("items_list", json!({ "collection": "documents" })).await;
    assert_eq!(listed["structuredContent"]["items"][0]["value"], json!({ "a": 2 }));
    let unknown = call("items_list", json!({ "collection": "unknown" })).await;
    assert_eq!(unknown["_meta"]["tenancy/error"]["code"], "not_found");
}
