//! The functions in the process of the tests, over the embedded store, and one tenant's way to ask them.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use http::Method;
use insula_gateway::{
    Context, answer,
    rest::{Endpoint, Rest},
};
use insula_local::{Edge, idp::Mint};
use insula_tenancy::{Access, Clock, Config, Entrance, Resolver, Role, Tier, start_entrance_at};
use insula_tests::{books, cached};
use insula_tools::{Collections, declare, role_of};
use mcp::Mcp;
use serde_json::{Value, json};

use super::wire::Wire;
use crate::{
    ask::Own,
    harness::{Stack, options, start},
};

const SCOPES: &str = "workspace:admin items:read items:write notes:read notes:write search:read usage:read";

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// `/mcp`, or a path under `/v1`.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    is_base64: bool,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// 500 and more for a tool's answer that may be another one later.
    pub(crate) status: u64,
    /// The stable word of a refusal; empty for a success.
    pub(crate) code: String,
    pub(crate) body: String,
}

impl Ask {
    pub(crate) fn rest(method: Method, path: impl Into<String>, body: &Value) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { method, path: path.into(), headers, body, is_base64: false }
    }

    /// The same with these bytes as its body.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        Self { body: base64::engine::general_purpose::STANDARD.encode(bytes), is_base64: true, ..self }
    }

    /// A call of a tool.
    pub(crate) fn tool(name: &str, arguments: Value) -> Self {
        Self::rest(Method::POST, "/mcp", &crate::harness::tool_call(name, arguments))
            .with("accept", "application/json, text/event-stream")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn keyed(self, key: &str) -> Self {
        self.with("idempotency-key", key)
    }
}

impl Said {
    pub(crate) fn is_done(&self) -> bool {
        self.status < 300 && self.code.is_empty()
    }

    fn read(reply: &Value) -> Self {
        let body = reply["body"].as_str().unwrap_or_default().to_owned();
        let read: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
        let in_result = &read["result"]["_meta"]["tenancy/error"]["code"];
        let code = in_result.as_str().or(read["code"].as_str()).or(read["error"]["message"].as_str());
        Self {
            status: reply["statusCode"].as_u64().unwrap(),
            code: code.unwrap_or_default().to_owned(),
            body,
        }
    }
}

/// The functions.
pub(crate) struct House {
    pub(crate) stack: &'static Stack,
    pub(crate) wire: Wire,
    mcp: Mcp,
    items: Rest,
    config: Rest,
    secrets: Rest,
}

/// The settings of a function of the stack.
pub(crate) fn settings(stack: &Stack) -> Config {
    let mut settings = stack.local.hands().unwrap().settings;
    // Lines of metrics would be written to this process's own output.
    settings.remove("METRICS_NAMESPACE");
    // As the functions `config` and `meter` have them.
    for name in ["DOMAINS_FUNCTION", "INDEX_ROLE_ARN"] {
        let functions = &stack.local.stack.functions;
        let setting = functions.iter().find_map(|function| function.environment.get(name));
        settings.insert(name.to_owned(), setting.unwrap().clone());
    }
    Config::read(settings).unwrap()
}

/// What a function of this role needs to reach the embedded AWS by the wire.
pub(crate) fn access(stack: &'static Stack, role: &str) -> Access {
    let given = stack.local.credentials(role, Default::default()).unwrap();
    Access {
        endpoint_url: stack.local.aws.endpoint(),
        access_key_id: given.access_key_id,
        secret_access_key: given.secret_access_key.into(),
        session_token: given.session_token.into(),
        http_client: Some(Wire(&stack.local.aws).client()),
    }
}

/// What a function of a stack starts with.
async fn entrance(stack: &'static Stack, role: &str, clock: Clock) -> (Resolver, Entrance) {
    start_entrance_at(settings(stack), access(stack, role), clock).await.unwrap()
}

impl House {
    /// A stack of its own with the functions before it, which have not been called yet.
    pub(crate) async fn open() -> Self {
        Self::before(Box::leak(Box::new(start(options(Edge::Rest))))).await
    }

    /// The same with these endpoints in the place of those of items.
    pub(crate) async fn open_with(endpoints: Vec<Endpoint>) -> Self {
        let house = Self::open().await;
        let (settings, access) = (settings(house.stack), access(house.stack, "McpRole"));
        let entrance = start_entrance_at(settings, access, Clock::System).await.unwrap();
        Self { items: Rest::new(entrance, endpoints, role_of).unwrap(), ..house }
    }

    /// Fresh instances of the functions before a stack that runs.
    pub(crate) async fn before(stack: &'static Stack) -> Self {
        Self::before_at(stack, Clock::System).await
    }

    /// The same in a test's own time.
    pub(crate) async fn before_at(stack: &'static Stack, clock: Clock) -> Self {
        let entrance = async |role| entrance(stack, role, clock.clone()).await;
        let collections = Collections::read(&settings(stack)).unwrap();
        let usage = usage::endpoints().into_iter();
        let rest = async |role, endpoints| Rest::new(entrance(role).await, endpoints, role_of).unwrap();
        Self {
            stack,
            wire: Wire(&stack.local.aws),
            mcp: Mcp::new(
                entrance("McpRole").await,
                mcp::server(&settings(stack), declare, role_of).unwrap(),
                role_of,
            ),
            items: rest(
                "ItemsRole",
                items::endpoints(collections.clone()).into_iter().chain(usage).collect(),
            )
            .await,
            config: rest("ConfigRole", config::endpoints(collections)).await,
            secrets: rest("SecretsRole", secrets::endpoints()).await,
        }
    }

    /// Whose `mcp` has the tools over books.
    pub(crate) async fn with_books(stack: &'static Stack) -> Self {
        let role_of = |name: &str| role_of(name).or(Some(Role::Member));
        let server =
            mcp::server(&settings(stack), |_, builder| Ok(books::declare(builder)), role_of).unwrap();
        let mcp = Mcp::new(entrance(stack, "McpRole", Clock::System).await, server, role_of);
        Self { mcp, ..Self::before(stack).await }
    }

    /// Whose `items` has the cards that it caches, in a test's own time.
    pub(crate) async fn with_cards(stack: &'static Stack, clock: Clock) -> Self {
        let entrance = entrance(stack, "ItemsRole", clock.clone()).await;
        let items = Rest::new(entrance, cached::endpoints(), cached::role_of).unwrap();
        Self { items, ..Self::before_at(stack, clock).await }
    }

    async fn answer(&self, path: &str, event: &[u8]) -> Value {
        let mut context = Context::default();
        context.request_id = "faults".to_owned();
        #[expect(clippy::disallowed_methods, reason = "Lambda says its deadline in the system's time")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        context.deadline = u64::try_from(now.as_millis()).unwrap() + 30_000;
        let rest = match path {
            "/mcp" => {
                let handler = |request| Box::pin(self.mcp.answer(request));
                return Box::pin(answer(handler, event, context)).await.unwrap();
            }
            path if path.starts_with("/v1/secrets") => &self.secrets,
            path if path.starts_with("/v1/config") => &self.config,
            _ => &self.items,
        };
        Box::pin(answer(|request| Box::pin(rest.answer(request)), event, context)).await.unwrap()
    }
}

/// One person of a tenant.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) own: Own,
    pub(super) bearer: String,
    /// What the edge says of the plan's version.
    pub(crate) epoch: u64,
}

impl Guest {
    /// A tenant of its own, and its first person.
    pub(crate) async fn make(house: &House, slug: &str, tier: Tier) -> Self {
        Self::of(house, Own::make(house.stack, slug, tier).await, "first")
    }

    /// A person of a tenant.
    pub(crate) fn of(house: &House, own: Own, sub: &str) -> Self {
        Self::holding(house, own, sub, SCOPES)
    }

    /// A person of a tenant with these scopes.
    pub(crate) fn holding(house: &House, own: Own, sub: &str, scopes: &str) -> Self {
        let mint = Mint {
            tenant: Some(format!("org-{}", own.slug)),
            sub: Some(sub.to_owned()),
            scope: Some(scopes.to_owned()),
            resource: house.stack.host_url(&own.slug),
            ..Mint::default()
        };
        let bearer = format!("Bearer {}", house.stack.local.idp.mint(&mint).unwrap().access_token);
        Self { own, bearer, epoch: 1 }
    }

    /// Another person of the same tenant.
    pub(crate) fn beside(&self, house: &House, sub: &str) -> Self {
        let own = Own { slug: self.own.slug.clone(), id: self.own.id.clone() };
        Self { epoch: self.epoch, ..Self::of(house, own, sub) }
    }

    /// Asks, and is answered.
    pub(crate) async fn ask(&self, house: &House, ask: &Ask) -> Said {
        Said::read(&house.answer(&ask.path, self.event(ask).to_string().as_bytes()).await)
    }

    /// Asks with something else than the guest's own token.
    pub(crate) async fn ask_as(&self, house: &House, bearer: &str, ask: &Ask) -> Said {
        let other = ask.clone().with("Authorization", bearer);
        Said::read(&house.answer(&ask.path, self.event(&other).to_string().as_bytes()).await)
    }

    /// The event of a REST API, as its edge makes it.
    fn event(&self, ask: &Ask) -> Value {
        let roots = ["/v1/collections", "/v1/config", "/v1/secrets"];
        let below =
            roots.iter().find_map(|root| Some((root, ask.path.strip_prefix(root)?.strip_prefix('/')?)));
        let (resource, parameters) = match below {
            Some((root, proxy)) => (format!("{root}/{{proxy+}}"), json!({ "proxy": proxy })),
            None => (ask.path.clone(), Value::Null),
        };
        let domain = format!("{}.localhost", self.own.slug);
        let mut headers =
            json!({ "Host": domain, "X-Forwarded-Proto": "http", "Authorization": self.bearer });
        for (name, value) in &ask.headers {
            headers[name] = json!(value);
        }
        let many: serde_json::Map<String, Value> =
            headers.as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
        json!({
            "resource": resource, "path": ask.path, "httpMethod": ask.method.as_str(),
            "headers": headers, "multiValueHeaders": many,
            "queryStringParameters": null, "multiValueQueryStringParameters": null,
            "pathParameters": parameters, "stageVariables": null,
            "requestContext": {
                "resourcePath": resource, "httpMethod": ask.method.as_str(), "path": ask.path, "stage": "live",
                "domainName": domain, "apiId": "local", "requestId": "faults",
                "identity": { "sourceIp": "192.0.2.1" }, "requestTimeEpoch": 1_795_500_000_000_i64,
                "authorizer": {
                    "principalId": "user", "integrationLatency": 1, "tenantId": self.own.id.to_string(),
                    "epoch": self.epoch,
                },
            },
            "body": ask.body, "isBase64Encoded": ask.is_base64,
        })
    }
}
