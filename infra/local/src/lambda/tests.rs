//! Lambda is asked through its door; the functions are processes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lambda::{Config, Credentials, Instance, InvokeError, Invoked, Lambda, StartError};
use crate::template::{Api, ApiKind, Function, Stack};
use fake::FAKE_FUNCTION;

mod fake;

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
            binary_media_types: Vec::new(),
        },
        roles: Vec::new(),
        tables: Vec::new(),
        keys: Vec::new(),
        mappings: Vec::new(),
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
        let killed =
            tokio::process::Command::new("/bin/sh").args(["-c", &format!("kill -9 {busy}")]).status();
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

#[tokio::test]
async fn watched_functions_are_called_at_the_invoke_endpoint() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let lambda = Lambda::remote(&stack(vec![function("Fake")]), &base);
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heads = Vec::new();
        for reply in ["HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nX-Amz-Function-Error: Unhandled"] {
            let mut request = [0; 2048];
            let length = stream.read(&mut request).await.unwrap();
            heads.push(String::from_utf8_lossy(&request[..length]).into_owned());
            let reply = format!("{reply}\r\nContent-Length: 2\r\n\r\n{{}}");
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
        heads
    };
    let calls = async {
        (call(&lambda, None, json!({ "a": 1 })).await, call(&lambda, None, json!({ "b": 2 })).await)
    };
    let (heads, (fine, failed)) = tokio::join!(serve, calls);
    assert!(heads[0].starts_with("POST /2015-03-31/functions/fake/invocations HTTP/1.1"), "{heads:?}");
    assert!(heads[0].ends_with(r#"{"a":1}"#), "{heads:?}");
    assert_eq!((fine.function_error, &fine.payload[..]), (None, &b"{}"[..]));
    assert_eq!(failed.function_error.as_deref(), Some("Unhandled"));
    drop(listener);
    let gone = lambda.invoke("Fake", None, Bytes::from("{}")).await;
    assert!(matches!(gone, Err(InvokeError::Remote(_))), "{gone:?}");
}
