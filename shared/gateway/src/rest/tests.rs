//! What a request is for, what it asks, and what is answered; the runner itself is asked through the door, in `tests`.

use std::collections::BTreeMap;

use insula_tenancy::{Effect, Feature, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{answer::Kept, table::TableError, *};
use crate::event::{Event, tests as events};

const ITEMS: &str = "collections/{collection}/items";
const ITEM: &str = "collections/{collection}/items/{id}";

fn endpoint(method: Method, path: &'static str) -> Endpoint {
    Endpoint {
        method,
        path,
        query: &["limit", "cursor"],
        takes: Takes::Json,
        scopes: &[],
        feature: Some(Feature::ApiAccess),
        action: "items_write",
        effect: Effect::Write,
        run: run(async |_scope, _ask| Ok(Answer::no_content())),
    }
}

fn roles(action: &str) -> Option<Role> {
    (action == "items_write").then_some(Role::Member)
}

fn table(endpoints: &[(Method, &'static str)]) -> Result<Table, TableError> {
    Table::new(endpoints.iter().map(|(method, path)| endpoint(method.clone(), path)).collect(), roles)
}

/// A request that API Gateway has led to this route, with this value of its greedy variable and these headers.
fn request(method: &str, route: &str, proxy: Option<&str>, headers: &[(&str, &str)], body: &str) -> Request {
    let mut event = events::v1();
    event["httpMethod"] = json!(method);
    event["resource"] = json!(route);
    event["requestContext"]["resourcePath"] = json!(route);
    event["path"] = json!("/is/not/read");
    if let Some(proxy) = proxy {
        event["pathParameters"]["proxy"] = json!(proxy);
    }
    for map in ["headers", "multiValueHeaders"] {
        event[map].as_object_mut().unwrap().remove("Content-Type");
    }
    for (name, value) in headers {
        let values = &mut event["multiValueHeaders"][*name];
        match values.as_array_mut() {
            Some(values) => values.push(json!(value)),
            None => *values = json!([value]),
        }
    }
    event["body"] = json!(body);
    let text = event.to_string();
    Request::read(&Event::read(&text).unwrap(), &text, &events::context(10_000)).unwrap()
}

fn sought(table: &Table, method: &str, route: &str, proxy: Option<&str>) -> String {
    match table.find(&request(method, route, proxy, &[], "")) {
        Found::Endpoint(found) => format!("{} {:?}", found.endpoint.path, found.parameters),
        Found::OtherMethods(allow) => format!("only {allow:?}"),
        Found::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn a_request_is_led_by_its_route_and_its_decoded_variable() {
    let table = table(&[
        (Method::GET, "config"),
        (Method::GET, ITEMS),
        (Method::POST, ITEMS),
        (Method::GET, ITEM),
        (Method::DELETE, ITEM),
        (Method::POST, "collections/{collection}/items/batch"),
    ])
    .unwrap();
    let greedy = "/v1/collections/{proxy+}";
    for (method, route, proxy, expected) in [
        ("GET", "/v1/config", None, "config {}"),
        ("GET", "/{tenant}/v1/config", None, "config {}"),
        ("GET", greedy, Some("notes/items"), r#"collections/{collection}/items {"collection": "notes"}"#),
        (
            "GET",
            "/{tenant}/v1/collections/{proxy+}",
            Some("notes/items/a%20b"),
            r#"collections/{collection}/items/{id} {"collection": "notes", "id": "a b"}"#,
        ),
        (
            "POST",
            greedy,
            Some("notes/items/batch"),
            r#"collections/{collection}/items/batch {"collection": "notes"}"#,
        ),
        ("GET", greedy, Some("notes/items/batch"), "only [POST]"),
        ("PATCH", greedy, Some("notes/items"), "only [GET, POST]"),
        ("HEAD", greedy, Some("notes/items/x"), "only [DELETE, GET]"),
        ("PUT", "/v1/config", None, "only [GET]"),
        ("GET", greedy, Some("notes"), "nothing"),
        ("GET", greedy, Some("notes/items/x/y"), "nothing"),
        ("GET", greedy, Some("notes/items/x%2Fy"), "nothing"),
        ("GET", greedy, Some("/items"), "nothing"),
        ("GET", greedy, Some("notes/items/"), "nothing"),
        ("GET", greedy, Some("notes/items/.."), "nothing"),
        ("GET", greedy, Some("%2e%2E/items"), "nothing"),
        ("GET", greedy, Some("notes/ITEMS"), "nothing"),
        ("GET", "/v1/config/{proxy+}", Some("x"), "nothing"),
        ("GET", "/v2/config", None, "nothing"),
        ("GET", "/config", None, "nothing"),
    ] {
        assert_eq!(sought(&table, method, route, proxy), expected, "{method} {route} {proxy:?}");
    }
}

#[test]
fn an_answer_that_lambda_would_not_take_is_none() {
    let answer = |bytes: usize| Kept::make(Effect::Write, Answer::ok(&"x".repeat(bytes)).unwrap());
    // A text has two quotes, and each of them is two bytes in a reply.
    let most = 6_291_556 - 64 * 1024 - 4;
    assert!(answer(most).is_ok());
    let why = answer(most + 1).err().unwrap();
    assert_eq!(why.to_string(), "the reply has 6226021 bytes, and at most 6226020 are allowed");
    let quotes = Answer::ok(&"\"".repeat(most / 3)).unwrap();
    assert_eq!(Kept::make(Effect::Read, quotes).err().unwrap().code(), "too_large");
}

#[test]
fn endpoints_that_are_not_in_order_end_the_function_in_its_init() {
    let flaw = |endpoints: &[(Method, &'static str)]| table(endpoints).err().map(|err| err.to_string());
    assert_eq!(flaw(&[(Method::GET, ITEM), (Method::PUT, ITEM), (Method::GET, ITEMS)]), None);
    for other in [ITEM, "collections/{other}/items/{name}"] {
        let twice = flaw(&[(Method::GET, ITEM), (Method::GET, other)]).unwrap();
        assert_eq!(twice, format!("the endpoint GET {other} is there twice"));
    }
    for path in ["", "/config", "config/", "a//b", "a/{b}c", "a/{}", "a/{b}/{b}", "a/{b+}", "a/../b", "a%2Fb"]
    {
        assert!(flaw(&[(Method::GET, path)]).unwrap().contains("segment"), "{path}");
    }
    let unnamed = Endpoint { action: "items_purge", ..endpoint(Method::GET, ITEM) };
    let why = Table::new(vec![unnamed], roles).err().unwrap().to_string();
    assert_eq!(
        why,
        "the endpoint GET collections/{collection}/items/{id} does items_purge, for which no role is named"
    );
}

/// What is wrong with a request to an endpoint that takes this.
fn flaw(method: &str, takes: Takes, headers: &[(&str, &str)], body: &str) -> Option<String> {
    read(method, takes, headers, body).err()
}

fn read(method: &str, takes: Takes, headers: &[(&str, &str)], body: &str) -> Result<Ask, String> {
    let endpoint = Endpoint { takes, ..endpoint(Method::POST, ITEMS) };
    let request = request(method, "/v1/config", None, headers, body);
    Ask::read(&endpoint, BTreeMap::new(), &request).map_err(|problem| {
        assert_eq!(problem.code(), "invalid");
        problem.to_string()
    })
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn a_body_is_what_the_endpoint_takes_or_refused() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (body, wrong) in [
        ("{}", None),
        (r#"{"a":{"b":1,"c":1}}"#, None),
        (&deep(32), None),
        (&deep(33), Some("body: not JSON that is served: 33 levels, of at most 32")),
        (r#"{"a":{"b":1,"b":1}}"#, Some("body: not JSON that is served: an object has the same name twice")),
        ("", Some("body: not JSON that is served: EOF")),
        ("{} {}", Some("body: not one JSON text")),
    ] {
        let why = flaw("POST", Takes::Json, &[JSON], body);
        assert_eq!(why.is_some(), wrong.is_some(), "{body}");
        assert!(why.unwrap_or_default().starts_with(wrong.unwrap_or_default()), "{body}");
    }
    assert_eq!(flaw("POST", Takes::Nothing, &[], ""), None);
    assert_eq!(flaw("POST", Takes::Nothing, &[], " ").as_deref(), Some("body: none is taken here"));
}

#[test]
fn a_media_type_is_one_that_the_endpoint_takes() {
    let types = Takes::Bytes(&["image/png", "text/csv"]);
    for (method, takes, said, good) in [
        ("POST", Takes::Json, "application/json", true),
        ("POST", Takes::Json, "Application/JSON; charset=UTF-8", true),
        ("POST", Takes::Json, "application/json; charset=latin1", false),
        ("POST", Takes::Json, "text/plain", false),
        ("POST", Takes::Json, "application/jsonp", false),
        ("POST", Takes::Json, "application/merge-patch+json", false),
        ("PATCH", Takes::Json, "application/merge-patch+json", true),
        ("POST", types, "image/png", true),
        ("POST", types, "text/csv; charset=utf-8", false),
        ("POST", types, "image/svg+xml", false),
    ] {
        assert_eq!(flaw(method, takes, &[("Content-Type", said)], "{}").is_none(), good, "{method} {said}");
    }
    assert!(flaw("POST", Takes::Json, &[], "{}").unwrap().starts_with("Content-Type: application/json"));
    assert!(flaw("POST", Takes::Json, &[JSON, JSON], "{}").is_some());
    assert_eq!(
        flaw("POST", types, &[("Content-Type", "image/png")], "").as_deref(),
        Some("body: at least one byte")
    );
}

#[test]
fn if_match_is_one_version_as_it_was_given() {
    let version =
        |said: &str| read("POST", Takes::Nothing, &[("If-Match", said)], "").map(|ask| ask.if_match);
    assert_eq!(version("\"7\""), Ok(Some(7)));
    for said in
        ["7", "*", "W/\"7\"", "\"7\", \"8\"", "\"\"", "\"07\"", "\"+7\"", "\"-7\"", "\"x\"", "\"7", ""]
    {
        assert!(version(said).is_err_and(|why| why.starts_with("If-Match: one ETag")), "{said}");
    }
    let twice = [("If-Match", "\"7\""), ("If-Match", "\"7\"")];
    assert!(flaw("POST", Takes::Nothing, &twice, "").is_some());
    let ask = read("POST", Takes::Nothing, &[], "").unwrap();
    assert_eq!(ask.version().unwrap_err().code(), "version_required");
}

#[test]
fn an_idempotency_key_is_one_of_128_visible_characters() {
    let key = |headers: &[(&str, &str)]| {
        let request = request("POST", "/v1/config", None, headers, "");
        request.idempotency_key().map(|key| key.map(str::to_owned)).map_err(|problem| problem.to_string())
    };
    let of = |bytes: usize| "k".repeat(bytes);
    assert_eq!(key(&[]), Ok(None));
    assert_eq!(key(&[("Idempotency-Key", &of(128))]), Ok(Some(of(128))));
    for (said, has) in [(String::new(), "0"), (of(129), "129"), ("ü".to_owned(), "others")] {
        let why = format!("Idempotency-Key: 1 to 128 visible characters, and this has {has}");
        assert_eq!(key(&[("Idempotency-Key", &said)]), Err(why));
    }
    let twice = "Idempotency-Key: it comes more than once".to_owned();
    assert_eq!(key(&[("Idempotency-Key", "k"), ("Idempotency-Key", "k")]), Err(twice));
}

#[test]
fn a_query_that_is_not_known_is_refused() {
    let asked = |query: Value| {
        let mut request = request("GET", "/v1/config", None, &[], "");
        request.query = Ok(serde_json::from_value(query).unwrap());
        let endpoint = Endpoint { takes: Takes::Nothing, ..endpoint(Method::GET, ITEMS) };
        Ask::read(&endpoint, BTreeMap::new(), &request)
    };
    let ask = asked(json!({"limit": "20", "cursor": "x"})).unwrap();
    assert_eq!(ask.query_as::<u32>("limit").unwrap(), Some(20));
    assert_eq!(ask.query_as::<u32>("other").unwrap(), None);
    let why = ask.query_as::<u32>("cursor").unwrap_err().to_string();
    assert_eq!(why, "query: cursor: invalid digit found in string");
    let why = asked(json!({"limit": "20", "Cursor": "x"})).unwrap_err().to_string();
    assert_eq!(why, r#"query: "Cursor" is none of limit, cursor"#);
}

#[test]
fn a_body_in_its_own_type_refuses_what_it_does_not_know() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        n: u32,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        inner: Vec<Inner>,
    }
    let typed = |body: &str| {
        let ask = read("POST", Takes::Json, &[JSON], body).unwrap();
        ask.json::<Outer>().map(|outer| outer.inner.iter().map(|inner| inner.n).sum::<u32>())
    };
    assert_eq!(typed(r#"{"inner":[{"n":1},{"n":2}]}"#).unwrap(), 3);
    let why = typed(r#"{"inner":[{"n":1},{"n":1,"m":2}]}"#).unwrap_err().to_string();
    assert!(why.starts_with("body: `inner[1].m`: unknown field `m`"), "{why}");
    assert!(typed("[]").unwrap_err().to_string().starts_with("body: "));
}

#[test]
fn two_requests_are_the_same_only_if_all_that_is_asked_is() {
    let form = |headers: &[(&str, &str)], body: &str| {
        read("POST", Takes::Json, &[&[JSON], headers].concat(), body).unwrap().canonical().unwrap()
    };
    let first = form(&[], r#"{"a":1,"b":2}"#);
    assert_eq!(first, form(&[], r#"{ "b": 2, "a": 1 }"#));
    assert_ne!(first, form(&[], r#"{"a":1,"b":3}"#));
    assert_ne!(first, form(&[("If-Match", "\"1\"")], r#"{"a":1,"b":2}"#));
    let bytes = |kind: &str, body: &str| {
        let types = Takes::Bytes(&["image/png", "image/jpeg"]);
        read("POST", types, &[("Content-Type", kind)], body).unwrap().canonical().unwrap()
    };
    assert_eq!(bytes("image/png", "a"), bytes("image/png", "a"));
    assert_ne!(bytes("image/png", "a"), bytes("image/jpeg", "a"));
    assert_ne!(bytes("image/png", "a"), bytes("image/png", "b"));
}

#[test]
fn an_answer_says_its_version_and_where_it_is_now() {
    let made = || Answer::created("collections/notes/items/x", &json!({"a": 1})).unwrap().version(1);
    for (tenant, location) in
        [(None, "/v1/collections/notes/items/x"), (Some("acme"), "/acme/v1/collections/notes/items/x")]
    {
        let reply = made().reply(tenant);
        assert_eq!((reply.status.as_u16(), &*reply.body), (201, &b"{\"a\":1}"[..]));
        assert_eq!(reply.headers["etag"], "\"1\"");
        assert_eq!(reply.headers["location"], location);
        assert_eq!(reply.headers["content-type"], "application/json");
    }
    let reply = Answer::no_content().reply(None);
    assert_eq!((reply.status.as_u16(), reply.body.len(), reply.headers.len()), (204, 0, 0));
    let split = Answer::created("a\r\nx: y", &json!(null)).unwrap().reply(None);
    assert!(!split.headers.contains_key("location"));
}

#[test]
fn a_kept_answer_is_the_same_answer() {
    let made = Answer::created("config", &json!({"b": 1.50, "a": [null]})).unwrap().version(3);
    let kept = Kept::make(Effect::Write, made).unwrap();
    let Outcome::Done { result } = kept.outcome() else { panic!("it was done") };
    let again = Kept::from_stored(result.to_owned()).unwrap().answer.reply(None);
    let first = kept.answer.reply(None);
    assert_eq!((again.status, again.headers, again.body), (first.status, first.headers, first.body));
    assert!(Kept::from_stored("{}".to_owned()).is_none());
    let read = Kept::make(Effect::Read, Answer::no_content()).unwrap();
    assert_eq!(read.outcome(), Outcome::Done { result: "" });
}

#[test]
fn a_method_that_a_path_does_not_take_is_told_which_it_does() {
    let reply = method_not_allowed(&[Method::DELETE, Method::GET]);
    assert_eq!(
        (reply.status.as_u16(), &reply.headers["allow"]),
        (405, &HeaderValue::from_static("DELETE, GET"))
    );
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["code"], "method_not_allowed");
}
