//! What a tool does outside comes once, after its charge, and to no address that is not public.

use http::Method;
use insula_local::{
    Edge,
    aws::{Fault, FaultKind},
};
use insula_tenancy::{Limits, Plan, Tier};
use serde_json::{Value, json};

use crate::{
    ask::{Own, code_of, operate},
    harness::{Stack, json_of, options, stack, start, tool_call},
    hook::Hook,
    repeats::end_at,
    secrets::{admin, note, put},
};

/// Shares a note under an idempotency key: `ok`, or the code.
async fn share(stack: &Stack, own: &Own, note: &str, key: &str) -> String {
    let call = tool_call("notes_share", json!({ "id": note }));
    let reply = own.post(stack, &[("idempotency-key", key)], &call).await;
    if json_of(&reply)["result"]["isError"] == false { "ok".to_owned() } else { code_of(&reply) }
}

/// A tenant with one note and this webhook.
async fn ready(stack: &'static Stack, slug: &str, url: &str) -> (Own, String) {
    let own = Own::make(stack, slug, Tier::Starter).await;
    assert_eq!(put(stack, &own, "slack_webhook", url).await, 201);
    let note = note(stack, &own).await;
    (own, note)
}

#[tokio::test]
async fn a_note_is_posted_once_for_one_key_and_a_repetition_gets_the_result() {
    let stack = stack();
    let hook = Hook::start("200 OK").await;
    let (own, note) = ready(stack, "share-once", &hook.url()).await;
    let before = own.meter(stack).await.0;
    for _ in 0..2 {
        assert_eq!(share(stack, &own, &note, "one").await, "ok");
    }
    assert_eq!((hook.got().len(), own.meter(stack).await.0), (1, before + 1));
    assert_eq!(share(stack, &own, &note, "two").await, "ok");
    assert_eq!((hook.got().len(), own.meter(stack).await.0), (2, before + 2));
    let sent = hook.got().remove(0);
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!({ "text": "*t*\nx" }));
    assert!(!head.to_ascii_lowercase().contains("authorization"), "{head}");
}

#[tokio::test]
async fn without_a_key_the_same_arguments_are_the_same_call_for_a_minute() {
    let stack = stack();
    let hook = Hook::start("200 OK").await;
    let (own, first) = ready(stack, "share-repeated", &hook.url()).await;
    let second = note(stack, &own).await;
    let before = own.meter(stack).await.0;
    let without_key = async |note: &str| {
        let reply = own.post(stack, &[], &tool_call("notes_share", json!({ "id": note }))).await;
        json_of(&reply)["result"].to_string()
    };
    let result = without_key(&first).await;
    assert_eq!(without_key(&first).await, result, "byte for byte");
    assert_eq!((hook.got().len(), own.meter(stack).await.0), (1, before + 1));
    assert_ne!(without_key(&second).await, result);
    assert_eq!(hook.got().len(), 2, "other arguments are another call");
    assert_eq!(share(stack, &own, &first, "one").await, "ok");
    assert_eq!(hook.got().len(), 3, "and so is a key");
    end_at(stack, &own, 1).await;
    without_key(&first).await;
    assert_eq!(hook.got().len(), 4, "and so are the same arguments after the minute");
}

#[tokio::test]
async fn at_once_under_one_key_it_is_posted_once() {
    let stack = stack();
    let hook = Hook::start("200 OK").await;
    let (own, note) = ready(stack, "share-race", &hook.url()).await;
    let one = || share(stack, &own, &note, "race");
    let (a, b, c) = tokio::join!(one(), one(), one());
    // Who meets the first before its end is told that it may have acted.
    assert!([&a, &b, &c].iter().all(|said| ["ok", "conflict"].contains(&said.as_str())), "{a} {b} {c}");
    assert!([&a, &b, &c].iter().any(|said| *said == "ok"), "{a} {b} {c}");
    assert_eq!(hook.got().len(), 1);
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_again_under_its_key() {
    let stack = stack();
    let failing = Hook::start("500 Internal Server Error").await;
    let (own, note) = ready(stack, "share-failed", &failing.url()).await;
    assert_eq!(share(stack, &own, &note, "one").await, "outside");
    assert_eq!(share(stack, &own, &note, "one").await, "conflict");
    assert_eq!(failing.got().len(), 1);
    assert_eq!(share(stack, &own, &note, "two").await, "outside");
    assert_eq!(failing.got().len(), 2);
}

#[tokio::test]
async fn where_nothing_was_sent_the_key_is_given_back() {
    let stack = stack();
    let hook = Hook::start("200 OK").await;
    for (slug, url, code) in [
        ("share-unreached", "http://127.0.0.1:1/", "outside"),
        ("share-private", "https://10.0.0.1/hook", "outside"),
        ("share-metadata", "http://169.254.169.254/latest/meta-data/", "outside"),
        ("share-mapped", "https://[::ffff:169.254.169.254]/", "outside"),
        ("share-plain", "http://hooks.example.com/", "outside"),
        ("share-no-url", "hunter2", "outside"),
    ] {
        let (own, note) = ready(stack, slug, url).await;
        let call = tool_call("notes_share", json!({ "id": note }));
        let reply = own.post(stack, &[("idempotency-key", "one")], &call).await;
        assert_eq!(code_of(&reply), code, "{slug}");
        assert!(!String::from_utf8_lossy(reply.body()).contains(url), "{slug}: {reply:?}");
        assert_eq!(put(stack, &own, "slack_webhook", &hook.url()).await, 200);
        assert_eq!(share(stack, &own, &note, "one").await, "ok", "{slug}");
    }
    assert_eq!(hook.got().len(), 6);
    // A secret that is not set, and a note that is not there, are no reason to keep a key either.
    let own = Own::make(stack, "share-unset", Tier::Starter).await;
    let note = note(stack, &own).await;
    assert_eq!(share(stack, &own, &note, "one").await, "forbidden");
    assert_eq!(put(stack, &own, "slack_webhook", &hook.url()).await, 201);
    assert_eq!(share(stack, &own, &note, "one").await, "ok");
}

#[tokio::test]
async fn a_call_that_is_not_admitted_sends_nothing() {
    let stack = stack();
    let hook = Hook::start("200 OK").await;
    let (own, note) = ready(stack, "share-quota", &hook.url()).await;
    let used = own.meter(stack).await.0;
    for (calls_month, said, sent) in [(used, "quota_reached", 0), (used + 1, "ok", 1)] {
        let limits = Limits { calls_month, ..Limits::of(Tier::Starter) };
        let id = own.id.clone();
        let change = move |plan| Plan { limits, ..plan };
        operate(stack, |operator| async move { operator.change_plan(&id, change).await }).await.unwrap();
        assert_eq!(share(stack, &own, &note, "one").await, said);
        assert_eq!(hook.got().len(), sent);
    }
}

#[tokio::test]
async fn a_charge_that_fails_sends_nothing() {
    let stack: &'static Stack = Box::leak(Box::new(start(options(Edge::Rest))));
    let hook = Hook::start("200 OK").await;
    let (own, note) = ready(stack, "share-fault", &hook.url()).await;
    // As often as the SDK tries.
    for _ in 0..3 {
        stack.local.aws.fault(Fault {
            service: "dynamodb".to_owned(),
            operation: "TransactWriteItems".to_owned(),
            kind: FaultKind::Before,
        });
    }
    assert_eq!((share(stack, &own, &note, "one").await.as_str(), hook.got().len()), ("unavailable", 0));
    assert_eq!((share(stack, &own, &note, "one").await.as_str(), hook.got().len()), ("ok", 1));
    // What is kept of a call is the last thing to be written: without it the call is done, and not done again.
    for _ in 0..3 {
        stack.local.aws.fault(Fault {
            service: "dynamodb".to_owned(),
            operation: "PutItem".to_owned(),
            kind: FaultKind::Before,
        });
    }
    assert_eq!((share(stack, &own, &note, "two").await.as_str(), hook.got().len()), ("ok", 2));
    assert_eq!((share(stack, &own, &note, "two").await.as_str(), hook.got().len()), ("conflict", 2));
}

#[tokio::test]
async fn a_deleted_secret_is_used_no_more() {
    let stack = stack();
    let hook = Hook::start("200 OK").await;
    let (own, note) = ready(stack, "share-deleted", &hook.url()).await;
    assert_eq!(share(stack, &own, &note, "one").await, "ok");
    let gone = admin(stack, &own, Method::DELETE, "/v1/secrets/slack_webhook", Value::Null).await;
    assert_eq!(gone.status(), 204);
    assert_eq!((share(stack, &own, &note, "two").await.as_str(), hook.got().len()), ("forbidden", 1));
}
