//! Tools by which something is lost, and the question that they all ask first.

use http::Method;
use serde_json::{Value, json};

use super::{ALL, Rest, note, tool};

#[tokio::test]
async fn an_item_is_deleted_by_a_tool_only_after_its_user_has_confirmed_that_version() {
    let rest = Rest::make("items-confirm").await;
    let id = rest.create("notes", note("one")).await;
    let which = json!({ "collection": "notes", "id": id });
    let (can, cannot, nothing) = (json!({ "elicitation": {} }), json!({}), json!({}));
    let refused = tool(&rest, "items_delete", &which, (&cannot, &nothing)).await;
    assert_eq!(refused["_meta"]["tenancy/error"]["code"], "forbidden", "{refused}");
    let asked = tool(&rest, "items_delete", &which, (&can, &nothing)).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let answer = |content: Value, state: &Value| {
        json!({
            "inputResponses": { "confirm": { "action": "accept", "content": content } },
            "requestState": state,
        })
    };
    let state = &asked["requestState"];
    let no = tool(&rest, "items_delete", &which, (&can, &answer(json!({ "confirm": false }), state))).await;
    assert_eq!(no["isError"], true, "{no}");
    assert_eq!(rest.titles("").await, ["one"]);
    // The state is good for this very call alone.
    let other = json!({ "collection": "notes", "id": rest.create("notes", note("two")).await });
    let yes = |state: &Value| answer(json!({ "confirm": true }), state);
    let forged = || {
        let own = rest.own.id.to_string();
        let details = rest.stack.local.aws.events().into_iter().map(|event| event["Detail"].to_string());
        details.filter(|detail| detail.contains("forged_state") && detail.contains(&own)).count()
    };
    assert_eq!(forged(), 0);
    assert_eq!(tool(&rest, "items_delete", &other, (&can, &yes(state))).await, Value::Null);
    assert_eq!(forged(), 1, "the operator is told");
    let unasked =
        json!({ "inputResponses": { "confirm": { "action": "accept", "content": { "confirm": true } } } });
    let unasked = tool(&rest, "items_delete", &which, (&can, &unasked)).await;
    assert_eq!(unasked["resultType"], "input_required", "an answer without its question asks again");
    rest.ask((Method::PATCH, &format!("notes/items/{id}")), &[], &json!({ "text": "changed" })).await;
    let changed = tool(&rest, "items_delete", &which, (&can, &yes(state))).await;
    assert_eq!(changed["_meta"]["tenancy/error"]["code"], "conflict", "{changed}");
    let again = tool(&rest, "items_delete", &which, (&can, &nothing)).await;
    let gone = tool(&rest, "items_delete", &which, (&can, &yes(&again["requestState"]))).await;
    assert_eq!(gone["structuredContent"]["value"]["title"], "one", "{gone}");
    assert_eq!(rest.titles("").await, ["two"]);
}

/// An answer to the question of a tool, with the state that came with it.
fn answer(confirm: bool, state: &Value) -> Value {
    json!({
        "inputResponses": { "confirm": { "action": "accept", "content": { "confirm": confirm } } },
        "requestState": state,
    })
}

#[tokio::test]
async fn every_tool_that_is_declared_destructive_asks_before_it_acts() {
    let rest = Rest::make("items-ask").await;
    let (can, cannot, nothing) = (json!({ "elicitation": {} }), json!({}), json!({}));
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let tools = crate::harness::json_of(&rest.own.post(rest.stack, &[], &list).await);
    let tools = tools["result"]["tools"].as_array().unwrap().clone();
    let destructive = tools.iter().filter(|tool| tool["annotations"]["destructiveHint"] == true);
    let mut names: Vec<_> = destructive.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
    // A member is no item, and has a test beside the configuration's.
    names.retain(|name| name != "members_remove");
    names.sort();
    assert_eq!(names, ["items_delete", "items_replace", "notes_delete"], "a new one has a row below");
    for name in &names {
        let id = rest.create("notes", note(name)).await;
        let arguments = match name.as_str() {
            "items_delete" => json!({ "collection": "notes", "id": id }),
            "items_replace" => {
                json!({ "collection": "notes", "id": id, "version": 1, "value": note("other") })
            }
            _ => json!({ "id": id }),
        };
        let call = async |capabilities: &Value, more: &Value| {
            tool(&rest, name, &arguments, (capabilities, more)).await
        };
        let there = async || rest.titles("").await.contains(name);
        let refused = call(&cannot, &nothing).await;
        assert_eq!(refused["_meta"]["tenancy/error"]["code"], "forbidden", "{refused}");
        let asked = call(&can, &nothing).await;
        assert_eq!(asked["resultType"], "input_required", "{asked}");
        let message = asked["inputRequests"]["confirm"]["params"]["message"].as_str().unwrap();
        assert!(message.contains(&id) && message.contains("the note"), "{message}");
        let no = call(&can, &answer(false, &asked["requestState"])).await;
        assert_eq!(no["_meta"]["tenancy/error"]["code"], "forbidden", "{no}");
        assert!(there().await, "{name} acts on a no");
        let done = call(&can, &answer(true, &asked["requestState"])).await;
        assert_eq!(done["isError"], false, "{done}");
        assert!(!there().await, "{name} does not act on a yes");
    }
}

#[tokio::test]
async fn a_client_that_cannot_ask_loses_something_only_where_an_admin_allows_it() {
    let rest = Rest::make("items-ask-allowed").await;
    let nothing = json!({});
    for (word, expected) in [("ask", json!("forbidden")), ("allow", Value::Null)] {
        let id = rest.create("notes", note("one")).await;
        let set = json!({ "tools": { "confirm_deletes": word } });
        let path = (Method::PATCH, "/v1/config");
        assert_eq!(rest.own.ask(rest.stack, ALL, path, (&[], &set)).await.status(), 200);
        let replacement = json!({ "collection": "notes", "id": id, "version": 1, "value": note("two") });
        for (name, arguments) in [("items_replace", replacement), ("notes_delete", json!({ "id": id }))] {
            let said = tool(&rest, name, &arguments, (&nothing, &nothing)).await;
            assert_eq!(said["_meta"]["tenancy/error"]["code"], expected, "{name} {said}");
        }
    }
    assert_eq!(rest.titles("").await, ["one"], "the one that was to be asked for");
}

#[tokio::test]
async fn a_note_is_deleted_in_the_version_that_its_user_was_asked_about() {
    let rest = Rest::make("items-ask-version").await;
    let id = rest.create("notes", note("one")).await;
    let (can, nothing, which) = (json!({ "elicitation": {} }), json!({}), json!({ "id": id }));
    let asked = tool(&rest, "notes_delete", &which, (&can, &nothing)).await;
    let patch = (Method::PATCH, &*format!("notes/items/{id}"));
    assert_eq!(rest.ask(patch, &[], &json!({ "text": "changed" })).await.status(), 200);
    let yes = |asked: &Value| answer(true, &asked["requestState"]);
    let changed = tool(&rest, "notes_delete", &which, (&can, &yes(&asked))).await;
    assert_eq!(changed["_meta"]["tenancy/error"]["code"], "conflict", "{changed}");
    let again = tool(&rest, "notes_delete", &which, (&can, &nothing)).await;
    let gone = tool(&rest, "notes_delete", &which, (&can, &yes(&again))).await;
    assert_eq!(gone["structuredContent"]["title"], "one", "{gone}");
}
