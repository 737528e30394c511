//! Tools that ask back.

use serde_json::{Value, json};

use super::{Post, server};
use crate::{NoState, OutcomeKind, Step};

const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

fn sealed() -> String {
    let result = Post::call("erase", json!({})).send().result();
    result["requestState"].as_str().unwrap().to_owned()
}

fn answer(state: &str, sure: Value) -> Post {
    Post::call("erase", json!({}))
        .params("requestState", json!(state))
        .params("inputResponses", json!({ "sure": sure }))
}

fn accepted(sure: bool) -> Value {
    json!({ "action": "accept", "content": { "sure": sure } })
}

#[test]
fn a_question_is_asked_with_a_sealed_state() {
    let answered = Post::call("erase", json!({})).send();
    assert_eq!(answered.kind, Some(OutcomeKind::Asking));
    assert_eq!(
        answered.result(),
        json!({
            "resultType": "input_required",
            "inputRequests": { "sure": {
                "method": "elicitation/create",
                "params": {
                    "mode": "form",
                    "message": "Are you sure?",
                    "requestedSchema": {
                        "type": "object", "properties": { "sure": { "type": "boolean" } }, "required": ["sure"],
                    },
                },
            } },
            "requestState": r#"sealed asked for {"arguments":{},"method":"tools/call","name":"erase"}"#,
        })
    );
}

#[test]
fn an_answer_ends_the_call_and_one_out_of_form_asks_again() {
    let state = sealed();
    let text = |post: Post| post.send().result()["content"][0]["text"].take();
    assert_eq!(text(answer(&state, accepted(true))), "erased");
    assert_eq!(text(answer(&state, accepted(false))), "not erased");
    assert_eq!(text(answer(&state, json!({ "action": "decline" }))), "not erased");
    assert_eq!(text(answer(&state, json!({ "action": "cancel" }))), "not erased");
    for again in
        [json!({}), json!({ "action": "maybe" }), json!({ "action": "accept", "content": { "sure": 1 } })]
    {
        assert_eq!(answer(&state, again).send().kind, Some(OutcomeKind::Asking));
    }
}

#[test]
fn a_state_that_was_not_sealed_for_this_call_is_refused() {
    let state = sealed();
    assert_eq!(answer(&state, accepted(true)).sent(), (200, 0));
    let refused = answer(&format!("{state}x"), accepted(true)).send();
    assert_eq!((refused.reply.status.as_u16(), refused.kind), (400, Some(OutcomeKind::Refused)));
    assert_eq!(refused.error()["code"], -32602);
    let other_tool = Post::call("chatty", json!({})).params("requestState", json!(state));
    assert_eq!(other_tool.sent(), (400, -32602));
    assert_eq!(answer(&state, accepted(true)).params("requestState", json!(7)).sent(), (400, -32602));
    assert_eq!(answer(&state, json!(7)).sent(), (400, -32602));
    assert_eq!(answer(&state, accepted(true)).params("inputResponses", Value::Null).sent(), (400, -32602));
}

#[test]
fn a_client_is_asked_only_for_what_it_can_do() {
    let call = Post::call("erase", json!({})).meta(CAPABILITIES, json!({ "sampling": {} }));
    let refused = call.send();
    assert_eq!(refused.reply.status.as_u16(), 400);
    assert_eq!(refused.error()["code"], -32021);
    assert_eq!(refused.error()["data"], json!({ "requiredCapabilities": { "elicitation": {} } }));
    let needy = Post::call("needy", json!({}));
    assert_eq!(needy.sent(), (400, -32021));
    assert_eq!(needy.send().kind, None);
    assert_eq!(needy.meta(CAPABILITIES, json!({ "sampling": {} })).sent(), (200, 0));
}

#[test]
fn a_client_of_the_initialize_era_is_told_that_it_cannot_be_asked() {
    for tool in ["erase", "needy"] {
        let result = Post::legacy("tools/call", json!({ "name": tool })).send().result();
        assert_eq!(result["_meta"]["tenancy/error"]["code"], "client_too_old", "{tool}");
        assert_eq!(result["isError"], true);
    }
}

#[test]
fn without_a_seal_nothing_is_remembered() {
    let server = server();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for post in [Post::call("erase", json!({})), answer(&sealed(), accepted(true))] {
        let Step::Call(mut call) = server.receive(&post.headers, &serde_json::to_vec(&post.body).unwrap())
        else {
            panic!("it is no call")
        };
        let outcome = runtime.block_on(call.run("acme", &NoState)).unwrap();
        assert_eq!((outcome.kind(), outcome.stored()), (OutcomeKind::Refused, None));
    }
}
