//! A function that is this very test binary, run again through a shell script, speaking raw HTTP.

#![expect(clippy::disallowed_methods, reason = "a function is told everything by its environment")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::exit;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

/// Beside the test binary, and written only when it is not there as it should be: a script that is open for
/// writing can't be run.
pub(super) static FAKE_FUNCTION: LazyLock<PathBuf> = LazyLock::new(|| {
    let exe = env::current_exe().unwrap();
    let path = exe.with_extension("fake-function.sh");
    let test = module_path!().split_once("::").unwrap().1;
    let run = format!("#!/bin/sh\nexec '{}' --exact --nocapture ", exe.display());
    let script = format!("{run}{test}::the_fake_function_serves_calls\n");
    if fs::read_to_string(&path).is_ok_and(|there| there == script) {
        return path;
    }
    let new = path.with_extension("new");
    fs::write(&new, script).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o700)).unwrap();
    fs::rename(&new, &path).unwrap();
    path
});

fn exchange(request: &str, body: &[u8]) -> (BTreeMap<String, String>, Vec<u8>) {
    let api = env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let (address, prefix) = api.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let (method, path) = request.split_once(' ').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} /{prefix}/2018-06-01/runtime/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(body).unwrap();
    let mut reader = BufReader::new(stream);
    let mut headers = BTreeMap::new();
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        let (name, value) = line.split_once(':').unwrap_or(("status", &line));
        headers.insert(name.to_lowercase(), value.trim().to_owned());
        line.clear();
    }
    let mut body = Vec::new();
    reader.read_to_end(&mut body).unwrap();
    (headers, body)
}

/// What to do, and what to answer if that is nothing. An event of API Gateway says it in a header: `x-fake`
/// to the function, `x-fake-auth` to the authorizer, where `$ARN` stands for the method.
fn order(event: &Value, headers: &BTreeMap<String, String>) -> (Value, Value) {
    if event["requestContext"].is_null() {
        return (event.clone(), json!({ "event": event, "headers": headers }));
    }
    let header = |name: &str| event["headers"][name].as_str().unwrap_or("null").to_owned();
    if event["type"] != "REQUEST" {
        let body = json!({ "event": event, "headers": headers }).to_string();
        return (
            serde_json::from_str(&header("x-fake")).unwrap(),
            json!({ "statusCode": 200, "body": body }),
        );
    }
    let arn = event["methodArn"].as_str().or(event["routeArn"].as_str()).unwrap();
    let order = serde_json::from_str(&header("x-fake-auth").replace("$ARN", arn)).unwrap();
    let statement = json!({ "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn });
    let context = json!({ "tenantId": "acme", "number": 7, "event": event.to_string() });
    let allow = json!({
        "principalId": "p",
        "policyDocument": { "Version": "2012-10-17", "Statement": [statement] },
        "context": context,
        "isAuthorized": true,
    });
    (order, allow)
}

/// Not a test of anything when the tests are run: it is the body of the fake function.
#[test]
fn the_fake_function_serves_calls() {
    if env::var("AWS_LAMBDA_RUNTIME_API").is_err() {
        return;
    }
    if env::var("FAKE_INIT").is_ok_and(|how| how == "exit") {
        exit(7);
    }
    if env::var("FAKE_INIT").is_ok_and(|how| how == "error") {
        exchange("POST init/error", br#"{"errorType":"Own","errorMessage":"no"}"#);
        exit(1);
    }
    std::io::stdout().write_all(b"hello from the function\n").unwrap();
    loop {
        let (headers, event) = exchange("GET invocation/next", b"");
        let id = headers["lambda-runtime-aws-request-id"].clone();
        let event: Value = serde_json::from_slice(&event).unwrap_or(Value::Null);
        let (order, usual) = order(&event, &headers);
        let reply = match order["do"].as_str() {
            Some("exit") => exit(3),
            Some("sleep") => {
                std::thread::sleep(Duration::from_millis(order["ms"].as_u64().unwrap()));
                json!({ "pid": std::process::id() })
            }
            Some("env") => json!(env::vars().collect::<BTreeMap<_, _>>()),
            Some("big") => json!("x".repeat(7_000_000)),
            Some("forge") => {
                let other = "POST invocation/00000000-0000-0000-0000-000000000000/response";
                json!(exchange(other, b"{}").0["status"])
            }
            Some("error") => {
                exchange(&format!("POST invocation/{id}/error"), br#"{"errorType":"E","errorMessage":"m"}"#);
                continue;
            }
            Some("reply") => order["reply"].clone(),
            _ => usual,
        };
        exchange(&format!("POST invocation/{id}/response"), reply.to_string().as_bytes());
    }
}
