//! A function is this very test binary, run again through a shell script, speaking raw HTTP.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::exit;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::lambda::{Config, Credentials, Instance, InvokeError, Invoked, Lambda, StartError};
use crate::template::{Api, ApiKind, Function, Stack};

/// Made once, before any process is started: a script that is open for writing can't be run.
pub(crate) static FAKE_FUNCTION: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = env::temp_dir().join(format!("insula-fake-{}.sh", uuid::Uuid::new_v4()));
    let exe = env::current_exe().unwrap();
    let run = format!("#!/bin/sh\nexec '{}' --exact --nocapture ", exe.display());
    let test = format!("{}::the_fake_function_serves_calls\n", module_path!().split_once("::").unwrap().1);
    fs::write(&path, run + &test).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
});

fn exchange(request: &str, body: &[u8]) -> (BTreeMap<String, String>, Vec<u8>) {
    let api = env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let (address, prefix) = api.split_once('/').unwrap();
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
    println!("hello from the function");
    loop {
        let (headers, event) = exchange("GET invocation/next", b"");
        let id = headers["lambda-runtime-aws-request-id"].clone();
        let event: Value = serde_json::from_slice(&event).unwrap_or(Value::Null);
        let reply = match event["do"].as_str() {
            Some("exit") => exit(3),
            Some("sleep") => {
                std::thread::sleep(Duration::from_millis(event["ms"].as_u64().unwrap()));
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
            Some("reply") => event["reply"].clone(),
            _ => json!({ "event": event, "headers": headers }),
        };
        exchange(&format!("POST invocation/{id}/response"), reply.to_string().as_bytes());
    }
}

pub(crate) fn function(name: &str) -> Function {
    Function {
        name: name.to_owned(),
        arn: format!("arn:aws:lambda:eu-central-1:123456789012:function:{name}"),
        binary: name.to_lowercase(),
        role_arn: format!("arn:aws:iam::123456789012:role/{name}"),
        environment: BTreeMap::from([("TABLE".to_owned(), "data".to_owned())]),
        timeout_s: 20,
        memory_mib: 128,
        isolated: false,
    }
}

pub(crate) fn stack(functions: Vec<Function>) -> Stack {
    Stack {
        account: "123456789012".to_owned(),
        region: "eu-central-1".to_owned(),
        functions,
        api: Api {
            id: "abcdef1234".to_owned(),
            kind: ApiKind::Rest,
            stage: "live".to_owned(),
            routes: Vec::new(),
            authorizers: BTreeMap::new(),
            gateway_responses: BTreeMap::new(),
        },
        roles: Vec::new(),
        tables: Vec::new(),
        keys: Vec::new(),
        secrets: Vec::new(),
    }
}

pub(crate) fn config(functions: &[Function]) -> Config {
    let overrides = functions.iter().map(|each| (each.name.clone(), FAKE_FUNCTION.clone())).collect();
    Config {
        bin_dir: PathBuf::from("/nonexistent"),
        endpoint_url: "http://127.0.0.1:1".to_owned(),
        overrides,
        extra_environment: BTreeMap::new(),
        instances_max: 2,
        credentials: Arc::new(|role| Credentials {
            access_key_id: format!("key of {role}"),
            secret_access_key: "secret".to_owned(),
            session_token: "token".to_owned(),
        }),
        log: Arc::new(|_, _| {}),
    }
}

async fn lambda(functions: Vec<Function>) -> Lambda {
    let config = config(&functions);
    Lambda::start(&stack(functions), config).await.unwrap()
}

async fn call(lambda: &Lambda, tenant: Option<&str>, event: Value) -> Invoked {
    lambda.invoke("Fake", tenant, Bytes::from(event.to_string())).await.unwrap()
}

fn json_of(invoked: &Invoked) -> Value {
    serde_json::from_slice(&invoked.payload).unwrap()
}

#[tokio::test]
async fn a_call_carries_the_event_and_lambdas_headers() {
    let lambda = lambda(vec![function("Fake")]).await;
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:Fake";
    let by_arn = lambda.invoke(arn, None, Bytes::from(r#"{"a":1}"#)).await.unwrap();
    assert_eq!(by_arn.function_error, None);
    let reply = json_of(&by_arn);
    assert_eq!(reply["event"], json!({ "a": 1 }));
    assert_eq!(reply["headers"]["lambda-runtime-invoked-function-arn"], arn);
    assert_eq!(reply["headers"]["lambda-runtime-aws-tenant-id"], Value::Null);
    assert!(reply["headers"]["lambda-runtime-trace-id"].as_str().unwrap().starts_with("Root=1-"));
    let deadline: i128 = reply["headers"]["lambda-runtime-deadline-ms"].as_str().unwrap().parse().unwrap();
    let left_ms = deadline - time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    assert!((15_000..=20_000).contains(&left_ms), "{left_ms}");
    let other = arn.replace("123456789012", "210987654321");
    assert_eq!(lambda.invoke(&other, None, Bytes::new()).await, Err(InvokeError::UnknownFunction));
    lambda.stop().await;
}

#[tokio::test]
async fn a_function_has_lambdas_environment_and_nothing_of_ours() {
    let functions = vec![function("Fake")];
    let mut config = config(&functions);
    config.extra_environment.insert("EXTRA".to_owned(), "1".to_owned());
    let lambda = Lambda::start(&stack(functions), config).await.unwrap();
    let reply = json_of(&call(&lambda, None, json!({ "do": "env" })).await);
    let has = |name: &str, value: &str| assert_eq!(reply[name], value, "{name}");
    has("AWS_LAMBDA_FUNCTION_NAME", "Fake");
    has("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
    has("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128");
    has("AWS_LAMBDA_LOG_FORMAT", "JSON");
    has("AWS_REGION", "eu-central-1");
    has("AWS_DEFAULT_REGION", "eu-central-1");
    has("AWS_ACCESS_KEY_ID", "key of arn:aws:iam::123456789012:role/Fake");
    has("AWS_SESSION_TOKEN", "token");
    has("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    has("TABLE", "data");
    has("EXTRA", "1");
    assert_eq!(reply["CARGO_PKG_NAME"], Value::Null);
    assert_eq!(reply["HOME"], Value::Null);
    lambda.stop().await;
}

#[tokio::test]
async fn instances_scale_to_the_limit_and_the_rest_of_the_calls_wait() {
    let lambda = lambda(vec![function("Fake")]).await;
    let nap = || call(&lambda, None, json!({ "do": "sleep", "ms": 300 }));
    let (a, b, c) = tokio::join!(nap(), nap(), nap());
    let pids: std::collections::BTreeSet<_> =
        [&a, &b, &c].iter().map(|each| json_of(each)["pid"].to_string()).collect();
    assert_eq!(pids.len(), 2);
    assert_eq!(lambda.started("Fake"), 2);
    call(&lambda, None, json!({})).await;
    assert_eq!(lambda.started("Fake"), 2);
    lambda.stop().await;
}

#[tokio::test]
async fn each_tenant_of_an_isolated_function_has_its_own_instance() {
    let isolated = Function { isolated: true, ..function("Fake") };
    let lambda = lambda(vec![isolated, function("Plain")]).await;
    let acme = json_of(&call(&lambda, Some("acme"), json!({})).await);
    assert_eq!(acme["headers"]["lambda-runtime-aws-tenant-id"], "acme");
    call(&lambda, Some("globex"), json!({})).await;
    call(&lambda, Some("acme"), json!({})).await;
    let tenants: Vec<_> = lambda.instances().into_iter().map(|each| each.tenant.unwrap()).collect();
    assert_eq!(tenants, ["acme", "globex"]);
    for bad in [None, Some(""), Some("a\nb"), Some("a#b")] {
        assert_eq!(lambda.invoke("Fake", bad, Bytes::new()).await, Err(InvokeError::TenantRequired));
    }
    let refused = lambda.invoke("Plain", Some("acme"), Bytes::new()).await;
    assert_eq!(refused, Err(InvokeError::TenantRefused));
    assert!(lambda.invoke("Plain", None, Bytes::from("{}")).await.is_ok());
    lambda.stop().await;
}

#[tokio::test]
async fn a_call_above_its_time_is_ended_and_the_next_one_gets_a_new_instance() {
    let quick = Function { timeout_s: 1, ..function("Fake") };
    let lambda = lambda(vec![quick]).await;
    let late = call(&lambda, None, json!({ "do": "sleep", "ms": 20_000 })).await;
    assert_eq!(late.function_error.as_deref(), Some("Unhandled"));
    let error = json_of(&late);
    assert_eq!(error["errorType"], "Sandbox.Timedout");
    assert!(error["errorMessage"].as_str().unwrap().ends_with("Task timed out after 1.00 seconds"));
    assert_eq!(call(&lambda, None, json!({})).await.function_error, None);
    assert_eq!(lambda.started("Fake"), 2);
    lambda.stop().await;
}

#[tokio::test]
async fn a_crash_fails_its_own_call_only() {
    let lambda = lambda(vec![function("Fake")]).await;
    let crashed = call(&lambda, None, json!({ "do": "exit" })).await;
    assert_eq!(json_of(&crashed)["errorType"], "Runtime.ExitError");
    let message = json_of(&crashed)["errorMessage"].as_str().unwrap().to_owned();
    assert!(message.ends_with("Error: Runtime exited with error: exit status: 3"), "{message}");
    assert_eq!(call(&lambda, None, json!({})).await.function_error, None);
    let failed = call(&lambda, None, json!({ "do": "error" })).await;
    assert_eq!(json_of(&failed), json!({ "errorType": "E", "errorMessage": "m" }));
    assert_eq!(failed.function_error.as_deref(), Some("Unhandled"));
    lambda.stop().await;
}

#[tokio::test]
async fn an_instance_that_is_killed_in_a_call_is_replaced() {
    let lambda = lambda(vec![function("Fake")]).await;
    lambda.prewarm("Fake", None, 1).await.unwrap();
    let kill = async {
        let busy = loop {
            match lambda.instances().into_iter().find(|each| each.busy) {
                Some(Instance { pid, .. }) => break pid,
                None => tokio::task::yield_now().await,
            }
        };
        let killed = tokio::process::Command::new("/bin/sh").args(["-c", &format!("kill -9 {busy}")]).status();
        assert!(killed.await.unwrap().success());
    };
    let (cut, ()) = tokio::join!(call(&lambda, None, json!({ "do": "sleep", "ms": 20_000 })), kill);
    assert!(json_of(&cut)["errorMessage"].as_str().unwrap().contains("signal: 9"));
    assert_eq!(call(&lambda, None, json!({})).await.function_error, None);
    lambda.stop().await;
}

#[tokio::test]
async fn a_function_that_does_not_start_fails_every_waiting_call_and_the_prewarm() {
    for (how, error_type) in [("exit", "Runtime.ExitError"), ("error", "Own")] {
        let functions = vec![function("Fake")];
        let mut config = config(&functions);
        config.extra_environment.insert("FAKE_INIT".to_owned(), how.to_owned());
        let lambda = Lambda::start(&stack(functions), config).await.unwrap();
        let (a, b) = tokio::join!(call(&lambda, None, json!({})), call(&lambda, None, json!({})));
        assert_eq!(json_of(&a)["errorType"], error_type);
        assert_eq!(json_of(&b)["errorType"], error_type);
        assert!(matches!(lambda.prewarm("Fake", None, 1).await, Err(StartError::Init(_))));
        lambda.stop().await;
    }
    let missing = Lambda::start(&stack(vec![function("Fake")]), config(&[])).await.unwrap();
    let invoked = call(&missing, None, json!({})).await;
    assert_eq!(json_of(&invoked)["errorType"], "Runtime.InvalidEntrypoint");
    missing.stop().await;
}

#[tokio::test]
async fn payloads_have_lambdas_limits() {
    let lambda = lambda(vec![function("Fake")]).await;
    let large = Bytes::from(vec![b' '; 6_291_457]);
    assert_eq!(lambda.invoke("Fake", None, large).await, Err(InvokeError::RequestTooLarge));
    let fits = Bytes::from(vec![b' '; 6_291_456]);
    assert_eq!(lambda.invoke("Fake", None, fits).await.unwrap().function_error, None);
    let big = call(&lambda, None, json!({ "do": "big" })).await;
    assert_eq!(json_of(&big)["errorType"], "Function.ResponseSizeTooLarge");
    assert_eq!(call(&lambda, None, json!({})).await.function_error, None);
    assert_eq!(lambda.started("Fake"), 1);
    lambda.stop().await;
}

#[tokio::test]
async fn an_instance_answers_its_own_call_only() {
    let lambda = lambda(vec![function("Fake")]).await;
    let forged = json_of(&call(&lambda, None, json!({ "do": "forge" })).await);
    assert!(forged.as_str().unwrap().contains("400"), "{forged}");
    lambda.stop().await;
}

#[tokio::test]
async fn output_reaches_the_log_and_a_stop_ends_every_process() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let functions = vec![function("Fake")];
    let mut config = config(&functions);
    let sink = Arc::clone(&lines);
    config.log = Arc::new(move |name, line| sink.lock().unwrap().push(format!("{name}: {line}")));
    let lambda = Lambda::start(&stack(functions), config).await.unwrap();
    lambda.prewarm("Fake", None, 2).await.unwrap();
    assert_eq!(lambda.started("Fake"), 2);
    let pids: Vec<u32> = lambda.instances().iter().map(|each| each.pid).collect();
    assert_eq!(pids.len(), 2);
    let calls = call(&lambda, None, json!({}));
    assert_eq!(calls.await.function_error, None);
    lambda.stop().await;
    assert!(lines.lock().unwrap().contains(&"Fake: hello from the function".to_owned()));
    for pid in pids {
        let alive = std::process::Command::new("/bin/sh").args(["-c", &format!("kill -0 {pid}")]).output();
        assert!(!alive.unwrap().status.success(), "{pid} lives");
    }
    assert_eq!(lambda.invoke("Fake", None, Bytes::new()).await, Err(InvokeError::Stopped));
}
