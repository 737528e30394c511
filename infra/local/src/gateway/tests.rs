//! The gateway is asked over its socket, byte by byte; the functions are processes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::lambda::tests::{config, function, stack};
use crate::template::{Api, Function, GatewayResponse, Route};

mod http;
mod jwt;
mod limits;
mod rest;
mod start;

/// A gateway with its functions: `Mcp`, `Isolated`, and `Authorize`.
struct Running {
    gateway: Gateway,
    lambda: Arc<Lambda>,
}

/// An answer as it came over the wire.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(each, _)| each == name);
        found.next().map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The event that the function saw.
    fn event(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["event"].clone()
    }
}

impl Running {
    async fn new(api: Api) -> Self {
        Self::with_timeout(api, Duration::from_secs(29)).await
    }

    async fn with_timeout(api: Api, timeout: Duration) -> Self {
        let stack = Arc::new(stack_of(api));
        let lambda = Lambda::start(&stack, config(&stack.functions)).await.unwrap();
        let lambda = Arc::new(lambda);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let edge = Edge::new(stack, Arc::clone(&lambda), Names::under("localhost"), timeout).unwrap();
        Self { gateway: Gateway::serve(listener, edge).unwrap(), lambda }
    }

    /// Sends the bytes and reads until the gateway closes.
    async fn raw(&self, bytes: &[u8]) -> Vec<Answer> {
        let mut stream = TcpStream::connect(self.gateway.addr()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap_or_default();
        answers(&answer)
    }

    async fn ask(&self, head: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        let mut answers = self.raw(head.as_bytes()).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    async fn stop(self) {
        self.gateway.stop().await;
        self.lambda.stop().await;
    }
}

fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 50];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(bytes).unwrap() else { panic!() };
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        let headers: Vec<_> =
            response.headers.iter().map(|each| (each.name.to_lowercase(), text(each.value))).collect();
        let body = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
        let status = response.code.unwrap();
        let (this, rest) = bytes[length..].split_at(body);
        answers.push(Answer { status, headers, body: text(this) });
        bytes = rest;
    }
    answers
}

fn stack_of(api: Api) -> Stack {
    let isolated = Function { isolated: true, ..function("Isolated") };
    Stack { api, ..stack(vec![function("Mcp"), isolated, function("Authorize")]) }
}

fn route(method: &str, path: &str, function_name: &str, authorizer: Option<&str>) -> Route {
    Route {
        method: method.to_owned(),
        path: path.to_owned(),
        function_arn: function(function_name).arn,
        authorizer: authorizer.map(str::to_owned),
        request_parameters: BTreeMap::new(),
    }
}

fn request_authorizer(sources: &[&str], simple_responses: bool) -> Authorizer {
    Authorizer::Request {
        function_arn: function("Authorize").arn,
        identity_sources: sources.iter().map(|source| (*source).to_owned()).collect(),
        ttl_s: 0,
        simple_responses,
    }
}

fn rest_api() -> Api {
    let tenant = ("integration.request.header.X-Amz-Tenant-Id", "context.authorizer.tenantId");
    let tenant = BTreeMap::from([(tenant.0.to_owned(), tenant.1.to_owned())]);
    let isolated = route("POST", "/isolated", "Isolated", Some("host"));
    let challenge = GatewayResponse {
        status: Some(401),
        parameters: BTreeMap::from([(
            "gatewayresponse.header.WWW-Authenticate".to_owned(),
            "context.authorizer.challenge".to_owned(),
        )]),
        templates: BTreeMap::from([(
            "application/json".to_owned(),
            r#"{"message":$context.error.messageString,"id":"$context.requestId"}"#.to_owned(),
        )]),
    };
    Api {
        id: "abcdef1234".to_owned(),
        kind: ApiKind::Rest,
        stage: "live".to_owned(),
        routes: vec![
            route("POST", "/open", "Mcp", None),
            route("POST", "/{tenant}/mcp", "Mcp", Some("host")),
            Route { request_parameters: tenant, ..isolated },
            route("GET", "/unmapped", "Isolated", Some("host")),
            route("GET", "/query", "Mcp", Some("query")),
        ],
        authorizers: BTreeMap::from([
            ("host".to_owned(), request_authorizer(&["method.request.header.Host"], false)),
            ("query".to_owned(), request_authorizer(&["method.request.querystring.key"], false)),
        ]),
        gateway_responses: BTreeMap::from([("ACCESS_DENIED".to_owned(), challenge)]),
        binary_media_types: vec!["image/png".to_owned()],
    }
}

fn http_api() -> Api {
    let source = ["$request.header.Authorization"];
    Api {
        id: "abcdef1234".to_owned(),
        kind: ApiKind::Http,
        stage: "$default".to_owned(),
        routes: vec![
            route("POST", "/open", "Mcp", None),
            route("ANY", "/.well-known/{proxy+}", "Mcp", None),
            route("POST", "/{tenant}/mcp", "Mcp", Some("simple")),
            route("POST", "/policy", "Mcp", Some("policy")),
        ],
        authorizers: BTreeMap::from([
            ("simple".to_owned(), request_authorizer(&source, true)),
            ("policy".to_owned(), request_authorizer(&source, false)),
        ]),
        gateway_responses: BTreeMap::new(),
        binary_media_types: Vec::new(),
    }
}
