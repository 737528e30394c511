//! Where a secret's value must not be: everything that a stack answers, prints and keeps is searched for it.

use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{Method, Response};
use insula_local::{Edge, Options};
use insula_tenancy::Tier;
use serde_json::{Value, json};

use crate::{
    ask::{Own, operate},
    harness::{Stack, options, start, tool_call},
    hook::Hook,
    secrets::{admin, note},
};

/// What is put as secrets, and what a note says: the one is found nowhere, and the other shows that the search finds.
const SECRET: &str = "canary-Zq7vXw2LpK9sTf4mBn8c";
const OPEN: &str = "canary-Hd3gYj6RrC1aUe5oNx0k";
/// A secret that is a number, which a parser would quote.
const DIGITS: &str = "3141592653589793238";

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn log(function: &str, line: &str) {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{function} {line}"));
}

/// The forms that a text could be kept in: as it is, in hexadecimal, hashed, and in base64 wherever in it it begins.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hash = digest(&SHA256, text.as_bytes());
    let mut forms = vec![text.to_owned(), hex(text.as_bytes()), hex(hash.as_ref())];
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        forms.push(engine.encode(hash.as_ref()));
        for shift in 0..3 {
            let shifted = engine.encode([&vec![b'-'; shift], text.as_bytes()].concat());
            // Without the letters at both ends, which depend on the neighbours.
            forms.push(shifted[4..shifted.len() - 4].to_owned());
        }
    }
    let mut forms: Vec<_> = forms.into_iter().map(String::into_bytes).collect();
    forms.push(hash.as_ref().to_vec());
    forms
}

fn is_in(haystack: &[u8], text: &str) -> bool {
    forms(text).iter().any(|form| haystack.windows(form.len()).any(|window| window == form.as_slice()))
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

/// All that is to be searched: replies, log lines and files.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn reply(&mut self, what: &str, status: u16, reply: &Response<Bytes>) {
        assert_eq!(reply.status(), status, "{what}: {reply:?}");
        let text = format!("{:?} {}", reply.headers(), String::from_utf8_lossy(reply.body()));
        self.0.push((what.to_owned(), text.into_bytes()));
    }

    fn has(&self, text: &str) -> Vec<&str> {
        self.0.iter().filter(|(_, bytes)| is_in(bytes, text)).map(|(what, _)| what.as_str()).collect()
    }
}

/// Every way in which a value comes in, is used, or is refused.
async fn use_it(stack: &'static Stack, own: &Own, seen: &mut Seen) {
    let (hook, failing) = (Hook::start("200 OK").await, Hook::start("500 Internal Server Error").await);
    let refused = format!("https://10.0.0.1/{SECRET}");
    let over = format!("{SECRET}{}", "x".repeat(65_536));
    let digits: Value = serde_json::from_str(DIGITS).unwrap();
    for (what, status, name, body) in [
        ("put", 201, "slack_webhook", json!({ "value": SECRET })),
        ("replaced", 200, "slack_webhook", json!({ "value": format!("{}?{SECRET}", hook.url()) })),
        ("too large", 413, "large", json!({ "value": over })),
        ("a number", 400, "number", json!({ "value": digits })),
        ("a list", 400, "list", json!({ "value": [SECRET] })),
        ("an unknown member", 400, "member", json!({ "value": "x", SECRET: SECRET })),
        ("no object", 400, "none", json!(SECRET)),
        ("the value for a name", 400, SECRET, json!({ "value": SECRET })),
    ] {
        let reply = admin(stack, own, Method::PUT, &format!("/v1/secrets/{name}"), body).await;
        // A path is said again in nothing, though it is no place for a value.
        seen.reply(what, status, &reply);
    }
    let note = note(stack, own).await;
    for (what, url) in [
        ("shared", None),
        ("answered with 500", Some(format!("{}?{SECRET}", failing.url()))),
        ("refused", Some(refused)),
        ("unreached", Some(format!("http://127.0.0.1:1/{SECRET}"))),
        ("no URL", Some(SECRET.to_owned())),
    ] {
        if let Some(url) = url {
            let path = "/v1/secrets/slack_webhook";
            seen.reply("replaced", 200, &admin(stack, own, Method::PUT, path, json!({ "value": url })).await);
        }
        let call = tool_call("notes_share", json!({ "id": note }));
        seen.reply(what, 200, &own.post(stack, &[("idempotency-key", what)], &call).await);
    }
    assert!(hook.got().iter().chain(&failing.got()).all(|sent| sent.contains(SECRET)), "the webhook has it");
    let id = own.id.clone();
    operate(stack, |operator| async move { operator.rotate_data_key(&id).await }).await.unwrap();
    let again = admin(stack, own, Method::POST, "/v1/secrets/re-seal", Value::Null).await;
    seen.reply("sealed anew", 200, &again);
    seen.reply("listed", 200, &admin(stack, own, Method::GET, "/v1/secrets", Value::Null).await);
    seen.reply(
        "deleted",
        204,
        &admin(stack, own, Method::DELETE, "/v1/secrets/slack_webhook", Value::Null).await,
    );
}

#[tokio::test]
async fn a_secrets_value_is_in_no_reply_no_log_line_and_no_file() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("leaks");
    drop(fs::remove_dir_all(&folder));
    let stack = start(Options { data: Some(folder.clone()), log, ..options(Edge::Rest) });
    let stack: &'static Stack = Box::leak(Box::new(stack));
    let own = Own::make(stack, "leaks", Tier::Starter).await;
    let mut seen = Seen::default();
    use_it(stack, &own, &mut seen).await;
    let open = own.post(stack, &[], &tool_call("notes_create", json!({ "title": "t", "text": OPEN }))).await;
    seen.reply("a note", 200, &open);
    assert_eq!(seen.has(OPEN), ["a note"]);

    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
    assert!(lines.contains("outside"), "what was refused outside is logged by its code: {lines}");
    seen.0.push(("the log".to_owned(), lines.into_bytes()));
    seen.0.extend(files(&folder));
    assert!(seen.has(OPEN).iter().any(|what| what.contains("leaks")), "the search finds what is in a file");
    assert_eq!(seen.has(SECRET), Vec::<&str>::new());
    assert_eq!(seen.has(DIGITS), Vec::<&str>::new());
}

#[test]
fn the_search_finds_a_text_in_every_form() {
    let base64 = STANDARD_NO_PAD.encode(format!("x{SECRET}y"));
    for (haystack, found) in [
        (format!("before {SECRET} after").into_bytes(), true),
        (base64.into_bytes(), true),
        (digest(&SHA256, SECRET.as_bytes()).as_ref().to_vec(), true),
        (SECRET.to_uppercase().into_bytes(), false),
        (OPEN.as_bytes().to_vec(), false),
    ] {
        assert_eq!(is_in(&haystack, SECRET), found);
    }
}
