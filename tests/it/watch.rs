//! `cargo lambda watch`: its events at the functions' doors, and functions that it runs for us. Itself it is not here:
//! its event is one that version 1.9.2 sent, and a stub answers where it would.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, OnceLock},
};

use aws_sdk_dynamodb::config::Credentials;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use insula_local::{
    Edge, Local, Options, Watch,
    lambda::{self, Lambda},
};
use serde_json::{Value, json};

use crate::{
    ask::{on_stack, sts},
    harness::{Stack, bin_dir, json_of, options, stack, start, tool_call},
};

/// A stack without an edge, whose functions are called with events alone.
fn edgeless() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| start(options(Edge::None)))
}

/// The event for a call of a tool, at a path of which the route's variables stand for these parts.
fn event(path: &str, variables: Value, token: Option<&str>) -> Value {
    let mut event: Value =
        serde_json::from_str(include_str!("../../shared/gateway/src/event/tests/watch.json")).unwrap();
    event["rawPath"] = json!(path);
    event["requestContext"]["http"]["path"] = json!(path);
    event["pathParameters"] = variables;
    event["body"] = json!(tool_call("notes_list", json!({})).to_string());
    match token {
        Some(token) => event["headers"]["authorization"] = json!(format!("Bearer {token}")),
        None => drop(event["headers"].as_object_mut().unwrap().remove("authorization")),
    }
    event
}

/// The event for a path that begins with a tenant.
fn of_tenant(slug: &str, rest: &str, token: Option<&str>) -> Value {
    event(&format!("/{slug}{rest}"), json!({ "tenant": slug }), token)
}

/// Calls a function with an event: the status of its reply, and the JSON of the body.
async fn answer(stack: &'static Stack, function: &'static str, event: &Value) -> (u64, Value) {
    let payload = Bytes::from(event.to_string());
    let invoked = on_stack(stack, stack.local.lambda.invoke(function, None, payload)).await.unwrap();
    assert_eq!(invoked.function_error, None, "{:?}", invoked.payload);
    let reply: Value = serde_json::from_slice(&invoked.payload).unwrap();
    let body = reply["body"].as_str().unwrap_or("null");
    (reply["statusCode"].as_u64().unwrap(), serde_json::from_str(body).unwrap())
}

async fn status(stack: &'static Stack, event: &Value) -> u64 {
    answer(stack, "McpFunction", event).await.0
}

#[tokio::test]
async fn a_tool_is_called_at_the_path_of_the_tokens_own_tenant_alone() {
    let stack = edgeless();
    let [acme, globex] = ["acme", "globex"].map(|slug| stack.token(slug, &stack.path_url(slug)));
    for (slug, token) in [("acme", &acme), ("globex", &globex)] {
        let (status, reply) = answer(stack, "McpFunction", &of_tenant(slug, "/mcp", Some(token))).await;
        assert_eq!((status, &reply["result"]["isError"]), (200, &json!(false)), "{reply}");
    }
    assert_eq!(status(stack, &of_tenant("acme", "/mcp", None)).await, 401);
    assert_eq!(status(stack, &of_tenant("acme", "/mcp", Some(&globex))).await, 401);
    assert_eq!(status(stack, &event("/acme/mcp", json!({ "tenant": "globex" }), Some(&globex))).await, 400);
    assert_eq!(status(stack, &event("/acme/mcp", Value::Null, Some(&acme))).await, 401);
}

#[tokio::test]
async fn at_the_universal_url_the_token_names_the_tenant_and_the_host_header_nobody() {
    let stack = edgeless();
    let universal = format!("http://localhost:{}/mcp", stack.local.port);
    let mut called = event("/mcp", Value::Null, Some(&stack.token("acme", &universal)));
    called["headers"]["host"] = json!(format!("globex.localhost:{}", stack.local.port));
    assert_eq!(status(stack, &called).await, 200);
    let mut hosted = event("/mcp", Value::Null, Some(&stack.token("acme", &stack.host_url("acme"))));
    hosted["headers"]["host"] = json!(format!("acme.localhost:{}", stack.local.port));
    assert_eq!(status(stack, &hosted).await, 401);
}

#[tokio::test]
async fn what_only_an_api_says_is_not_believed_where_there_is_none() {
    let stack = edgeless();
    let good = of_tenant("acme", "/mcp", Some(&stack.token("acme", &stack.path_url("acme"))));
    assert_eq!(status(stack, &good).await, 200);
    for (name, value) in [
        ("apiId", json!("a1b2c3")),
        ("authorizer", json!({ "lambda": { "tenantId": "acme", "epoch": 1 } })),
        ("authorizer", json!({ "jwt": { "claims": { "tenant_id": "org-acme" }, "scopes": null } })),
    ] {
        let mut event = good.clone();
        event["requestContext"][name] = value;
        assert_eq!(status(stack, &event).await, 401, "{event}");
    }
}

#[tokio::test]
async fn behind_an_edge_the_event_is_refused() {
    let stack = stack();
    let url = stack.path_url("acme");
    let token = stack.token("acme", &url);
    assert_eq!(status(stack, &of_tenant("acme", "/mcp", Some(&token))).await, 401);
    let by_the_edge = stack.post(&url, Some(&token), &tool_call("notes_list", json!({}))).await;
    assert_eq!(by_the_edge.status(), 200);
}

#[tokio::test]
async fn the_other_functions_find_their_routes() {
    let stack = edgeless();
    let token = stack.token("acme", &stack.path_url("acme"));
    let ask = async |function, mut event: Value| {
        event["requestContext"]["http"]["method"] = json!("GET");
        event.as_object_mut().unwrap().remove("body");
        answer(stack, function, &event).await
    };
    let document = |slug: &str| {
        let path = format!("/.well-known/oauth-protected-resource/{slug}/mcp");
        event(&path, json!({ "tenant": slug }), None)
    };
    let (status, found) = ask("DiscoverFunction", document("acme")).await;
    assert_eq!((status, &found["resource"]), (200, &json!(stack.path_url("acme"))));
    // A slug that no tenant may have.
    assert_eq!(ask("DiscoverFunction", document("www")).await.0, 404);

    let (status, usage) = ask("UsageFunction", of_tenant("acme", "/v1/usage", Some(&token))).await;
    assert_eq!((status, &usage["tier"]), (200, &json!("professional")));
    assert_eq!(ask("UsageFunction", of_tenant("acme", "/v1/other", Some(&token))).await.0, 404);
    assert_eq!(ask("UsageFunction", of_tenant("globex", "/v1/usage", Some(&token))).await.0, 401);
}

/// A stack whose functions a stub runs, as `cargo lambda watch` would, and the script by which it runs them.
fn watched() -> &'static (Stack, PathBuf) {
    static WATCHED: OnceLock<(Stack, PathBuf)> = OnceLock::new();
    WATCHED.get_or_init(|| {
        let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("watch/watch.sh");
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let watch = Some(Watch { port, script: script.clone() });
        let stack = start(Options { watch, ..options(Edge::Rest) });
        let functions = Functions::new(&stack.local, script.parent().unwrap());
        #[expect(clippy::disallowed_methods, reason = "it serves as long as the stack")]
        stack.runtime.spawn(functions.serve(listener));
        (stack, script)
    })
}

/// What a stub of `cargo lambda watch` runs.
struct Functions {
    /// The names of the template by the names of the binaries.
    names: BTreeMap<String, String>,
    stack: Arc<insula_local::template::Stack>,
    config: lambda::Config,
}

impl Functions {
    /// Runs each binary by the script in this folder; of what a function gets, nothing is from here.
    fn new(local: &Local, folder: &Path) -> Self {
        let names: BTreeMap<_, _> =
            local.stack.functions.iter().map(|each| (each.binary.clone(), each.name.clone())).collect();
        let runner = folder.join("run.sh");
        let text = format!(
            "#!/bin/sh\nexec sh '{0}/watch.sh' '{1}'/\"${{0##*/}}\"\n",
            folder.display(),
            bin_dir().display()
        );
        // A script that somebody has open for writing can't be run, so it is written once.
        if !fs::read_to_string(&runner).is_ok_and(|there| there == text) {
            fs::write(&runner, text).unwrap();
            fs::set_permissions(&runner, fs::Permissions::from_mode(0o700)).unwrap();
        }
        for binary in names.keys() {
            drop(fs::remove_file(folder.join(binary)));
            symlink(&runner, folder.join(binary)).unwrap();
        }
        let nobody = |_role: &str| lambda::Credentials {
            access_key_id: String::new(),
            secret_access_key: String::new(),
            session_token: String::new(),
        };
        let config = lambda::Config {
            bin_dir: folder.to_owned(),
            endpoint_url: "http://127.0.0.1:1".to_owned(),
            overrides: BTreeMap::new(),
            extra_environment: BTreeMap::new(),
            instances_max: 1,
            credentials: Arc::new(nobody),
            log: Arc::new(|_, _| {}),
        };
        Self { names, stack: Arc::clone(&local.stack), config }
    }

    async fn serve(self, listener: std::net::TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let lambda = Lambda::start(&self.stack, self.config).await.unwrap();
        let (lambda, names) = (Arc::new(lambda), Arc::new(self.names));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (lambda, names) = (Arc::clone(&lambda), Arc::clone(&names));
            #[expect(
                clippy::disallowed_methods,
                reason = "a server of the tests, which ends with the stack"
            )]
            tokio::spawn(async move {
                let service = service_fn(|request| invoke(&lambda, &names, request));
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    }
}

/// `POST /2015-03-31/functions/<binary>/invocations`.
async fn invoke(
    lambda: &Lambda,
    names: &BTreeMap<String, String>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let binary = request.uri().path().split('/').nth(3).unwrap().to_owned();
    let payload = request.into_body().collect().await.unwrap().to_bytes();
    let invoked = lambda.invoke(&names[&binary], None, payload).await.unwrap();
    let mut reply = Response::new(Full::new(invoked.payload));
    if invoked.function_error.is_some() {
        *reply.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(reply)
}

#[tokio::test]
async fn functions_that_watch_runs_serve_behind_the_gateway_as_ours_do() {
    let (stack, _) = watched();
    on_stack(stack, stack.local.warm()).await.unwrap();
    let made = stack.call("acme", "notes_create", json!({ "title": "watched", "text": "" })).await;
    assert_eq!(made["isError"], false, "{made}");
    let id = made["structuredContent"]["id"].clone();
    let read = stack.call("acme", "notes_get", json!({ "id": id })).await;
    assert_eq!(read["structuredContent"]["title"], "watched");
    let foreign = stack.call("globex", "notes_get", json!({ "id": id })).await;
    assert_eq!(foreign["_meta"]["tenancy/error"]["code"], "not_found");
    let token = stack.token("acme", &stack.host_url("acme"));
    let list = tool_call("notes_list", json!({}));
    assert_eq!(stack.post(&stack.host_url("globex"), Some(&token), &list).await.status(), 401);
    let own = stack.post(&stack.host_url("acme"), Some(&token), &list).await;
    assert_eq!(json_of(&own)["result"]["isError"], false);
    assert_eq!(stack.local.lambda.instances(), [], "none runs here");
}

/// Runs the script for a binary of this name that says what environment it has.
fn run(script: &Path, binary: &str) -> Output {
    let folder = script.parent().unwrap().join("says-its-environment");
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join(binary);
    drop(fs::remove_file(&program));
    symlink("/usr/bin/env", &program).unwrap();
    let mut shell = Command::new("sh");
    shell.arg(script).arg(program).env("AWS_PROFILE", "of-the-developer");
    shell.env("AWS_LAMBDA_RUNTIME_API", "http://127.0.0.1:1/.rt").output().unwrap()
}

#[tokio::test]
async fn a_function_that_watch_runs_has_its_own_role_and_nothing_of_the_terminal() {
    let (stack, script) = watched();
    assert_eq!(fs::metadata(script).unwrap().permissions().mode() & 0o777, 0o600);
    for (binary, role) in [("mcp", "McpRole"), ("vend", "VendRole")] {
        let said = String::from_utf8(run(script, binary).stdout).unwrap();
        let environment: BTreeMap<_, _> = said.lines().map(|line| line.split_once('=').unwrap()).collect();
        assert_eq!(environment["AWS_LAMBDA_RUNTIME_API"], "http://127.0.0.1:1/.rt");
        assert_eq!(environment["AWS_ENDPOINT_URL"], stack.local.aws.endpoint());
        assert!(!environment.contains_key("AWS_PROFILE"));
        let [id, secret, token] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
            .map(|name| environment[name].to_owned());
        let credentials = Credentials::new(id, secret, Some(token), None, "tests");
        let who = sts(stack, credentials).get_caller_identity().send().await.unwrap();
        assert!(who.arn().unwrap().contains(&format!("{role}/")), "{who:?}");
    }
    let unknown = run(script, "other");
    assert_eq!((unknown.status.code(), unknown.stdout.as_slice()), (Some(1), &b""[..]));
}

#[tokio::test]
async fn isolation_mode_needs_a_lambda_that_has_it() {
    let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("isolated.sh");
    let watch = Some(Watch { port: 1, script: script.clone() });
    let refused = Local::start(Options { watch, isolation: true, ..options(Edge::Rest) }).await;
    assert_eq!(refused.unwrap_err().to_string(), "isolation mode: `cargo lambda watch` has none");
    assert!(!script.exists());
}
