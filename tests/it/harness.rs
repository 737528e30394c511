//! One running stack for all tests of this binary, and the calls that they make.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, mpsc},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use insula_local::{DEMO, Edge, Local, Options, build_functions, idp::Mint, read_tenants};
use insula_tenancy::TenantId;
use serde_json::{Value, json};

use crate::dns::zone;

/// A stack that lives as long as the test binary, on a runtime of its own.
pub(crate) struct Stack {
    pub(crate) local: Local,
    pub(crate) runtime: tokio::runtime::Handle,
}

/// Where the domains of tenants are, for which the gateway answers.
pub(crate) const CUSTOMERS: &str = "customers.test";

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folder of the binaries, which one `cargo build` has made or found fresh.
pub(crate) fn bin_dir() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build_functions(&root()).unwrap())
}

/// Lines of metrics that functions have written.
static METRICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The lines of metrics of a tenant so far.
pub(crate) fn metrics_of(tenant: &TenantId) -> Vec<Value> {
    let lines = METRICS.lock().unwrap();
    let lines = lines.iter().filter(|line| line.contains(&tenant.to_string()));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How a stack of this test binary starts: in memory, on free ports, with the demo's tenants.
pub(crate) fn options(edge: Edge) -> Options {
    Options {
        root: root(),
        bin_dir: bin_dir().to_owned(),
        port: 0,
        data: None,
        tenants: read_tenants(DEMO).unwrap(),
        edge,
        watch: None,
        isolation: false,
        domains: vec![format!("*.{CUSTOMERS}")],
        dns: Some(zone().address),
        overrides: BTreeMap::new(),
        log: |_function, line| {
            if line.contains("\"_aws\"") {
                METRICS.lock().unwrap().push(line.to_owned());
            }
        },
    }
}

/// Starts a stack on a thread of its own, which serves until the process ends.
pub(crate) fn start(options: Options) -> Stack {
    let (sender, receiver) = mpsc::channel();
    #[expect(clippy::disallowed_methods, reason = "the stack of the tests serves until the process ends")]
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        runtime.block_on(async move {
            let local = Local::start(options).await.unwrap();
            sender.send(Stack { local, runtime: handle }).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().unwrap()
}

/// The stack that most tests share.
pub(crate) fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| start(options(Edge::Rest)))
}

/// The same behind the other edge.
pub(crate) fn http_stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| start(options(Edge::Http)))
}

impl Stack {
    /// `http://acme.localhost:<port>/mcp`.
    pub(crate) fn host_url(&self, slug: &str) -> String {
        format!("http://{slug}.localhost:{}/mcp", self.local.port)
    }

    /// `http://localhost:<port>/acme/mcp`.
    pub(crate) fn path_url(&self, slug: &str) -> String {
        format!("http://localhost:{}/{slug}/mcp", self.local.port)
    }

    /// A token of the tenant's first user for a resource.
    pub(crate) fn token(&self, tenant: &str, resource: &str) -> String {
        let mint =
            Mint { user: Some(format!("org-{tenant}")), resource: resource.to_owned(), ..Mint::default() };
        self.local.idp.mint(&mint).unwrap().access_token
    }

    /// Posts JSON-RPC to a URL whose host need not resolve: it is sent to loopback with that Host.
    pub(crate) async fn post(&self, url: &str, token: Option<&str>, body: &Value) -> Response<Bytes> {
        let mut request = Request::post("/")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.send(url, request.body(Full::new(Bytes::from(body.to_string()))).unwrap()).await
    }

    /// Sends a request to a URL whose host need not resolve.
    pub(crate) async fn send(&self, url: &str, request: Request<Full<Bytes>>) -> Response<Bytes> {
        let url: http::Uri = url.parse().unwrap();
        let (mut head, body) = request.into_parts();
        head.uri =
            format!("http://127.0.0.1:{}{}", self.local.port, url.path_and_query().unwrap()).parse().unwrap();
        head.headers.insert("host", url.authority().unwrap().as_str().parse().unwrap());
        let client = Client::builder(TokioExecutor::new()).build_http();
        let reply = client.request(Request::from_parts(head, body)).await.unwrap();
        let (head, body) = reply.into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    /// Calls a tool at a tenant's host with that tenant's token; the JSON-RPC result.
    pub(crate) async fn call(&self, tenant: &str, tool: &str, arguments: Value) -> Value {
        let url = self.host_url(tenant);
        let token = self.token(tenant, &url);
        let reply = self.post(&url, Some(&token), &tool_call(tool, arguments)).await;
        json_of(&reply)["result"].clone()
    }
}

/// A `tools/call` of the initialize era.
pub(crate) fn tool_call(tool: &str, arguments: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
}

/// The JSON of a reply.
pub(crate) fn json_of(reply: &Response<Bytes>) -> Value {
    serde_json::from_slice(reply.body()).unwrap_or(Value::Null)
}
