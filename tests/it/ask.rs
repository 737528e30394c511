//! Requests with a header more or less than usual, tenants of a test's own, and the store as a role sees it.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_dynamodb::{
    config::{BehaviorVersion, Credentials, Region},
    error::{ProvideErrorMetadata, SdkError},
    types::AttributeValue,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;
use insula_local::idp::Mint;
use insula_tenancy::{
    Clock, Problem, Slug, TenantId, Tier,
    operator::{NewTenant, Operator},
};
use serde_json::{Value, json};

use crate::harness::{Stack, json_of};

/// What a stock client sends beside the token.
pub(crate) const JSON: [(&str, &str); 2] =
    [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];

/// Sends a request with these headers, those of [`JSON`] that are not among them, and no others.
pub(crate) async fn ask(
    stack: &Stack,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut request = Request::builder().method(method).uri("/");
    let is_own = |name: &str| headers.iter().any(|(own, _)| *own == name);
    for (name, value) in JSON.iter().filter(|(name, _)| !is_own(name)).chain(headers) {
        request = request.header(*name, *value);
    }
    stack.send(url, request.body(Full::new(body.into())).unwrap()).await
}

/// Posts JSON with these headers beside a good token.
pub(crate) async fn post_with(
    stack: &Stack,
    url: &str,
    token: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Response<Bytes> {
    let bearer = format!("Bearer {token}");
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(headers);
    ask(stack, Method::POST, url, &all, body.to_string()).await
}

/// A `tools/list`, which changes and charges nothing.
pub(crate) fn list_tools() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })
}

/// The word in a tool's refusal that clients branch on.
pub(crate) fn code_of(reply: &Response<Bytes>) -> String {
    let body = json_of(reply);
    let in_result = &body["result"]["_meta"]["tenancy/error"]["code"];
    if let Some(code) = in_result.as_str().or(body["code"].as_str()) {
        return code.to_owned();
    }
    body.to_string()
}

/// One header as text; empty without it.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A tenant that only one test knows.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) slug: String,
    pub(crate) id: TenantId,
}

impl Own {
    /// Makes a tenant on the issuer that all share.
    pub(crate) async fn make(stack: &'static Stack, slug: &str, tier: Tier) -> Self {
        let issuer = stack.local.idp.issuer().to_owned();
        let new = NewTenant {
            slug: slug.parse().unwrap(),
            tier,
            issuers: vec![issuer.clone()],
            claims: vec![(issuer, format!("org-{slug}"))],
            origins: Vec::new(),
        };
        let id = operate(stack, |operator| async move { operator.create_tenant(&new).await }).await.unwrap();
        Self { slug: slug.to_owned(), id }
    }

    /// A token of this tenant for its host.
    pub(crate) fn token(&self, stack: &Stack) -> String {
        let mint = Mint {
            tenant: Some(format!("org-{}", self.slug)),
            sub: Some("tester".to_owned()),
            resource: stack.host_url(&self.slug),
            ..Mint::default()
        };
        stack.local.idp.mint(&mint).unwrap().access_token
    }

    /// Asks for a path of this tenant's host with a token of these scopes, and a body that is not null.
    pub(crate) async fn ask(
        &self,
        stack: &Stack,
        scope: &str,
        (method, path): (Method, &str),
        (headers, body): (&[(&str, &str)], &Value),
    ) -> Response<Bytes> {
        let resource = stack.host_url(&self.slug);
        let url = resource.replace("/mcp", path);
        let mint = Mint {
            tenant: Some(format!("org-{}", self.slug)),
            sub: Some("tester".to_owned()),
            scope: Some(scope.to_owned()),
            resource,
            ..Mint::default()
        };
        let bearer = format!("Bearer {}", stack.local.idp.mint(&mint).unwrap().access_token);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend(headers);
        ask(stack, method, &url, &all, if body.is_null() { String::new() } else { body.to_string() }).await
    }

    /// Posts to this tenant's host with its token.
    pub(crate) async fn post(
        &self,
        stack: &Stack,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Response<Bytes> {
        post_with(stack, &stack.host_url(&self.slug), &self.token(stack), headers, body).await
    }

    /// The month's meter: calls of the month, and those of its last minute.
    pub(crate) async fn meter(&self, stack: &Stack) -> (u64, u64) {
        let month = Clock::System.now().month();
        let reply = tenant_store(stack, &self.id.to_string())
            .get_item()
            .table_name(data_table(stack))
            .key("pk", text(&format!("TENANT#{}#METER", self.id)))
            .key("sk", text(&month))
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        let row = reply.item.unwrap_or_default();
        let count = |name: &str| row.get(name).map_or(0, |value| value.as_n().unwrap().parse().unwrap());
        (count("calls"), count("win_calls"))
    }

    /// Bytes that are counted as storage.
    pub(crate) async fn stored_bytes(&self, stack: &Stack) -> u64 {
        let reply = tenant_store(stack, &self.id.to_string())
            .get_item()
            .table_name(data_table(stack))
            .key("pk", text(&format!("TENANT#{}#METER", self.id)))
            .key("sk", text("STORAGE"))
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        reply
            .item
            .unwrap_or_default()
            .get("byte_count")
            .map_or(0, |value| value.as_n().unwrap().parse().unwrap())
    }

    /// How many calls were refused today with this code.
    pub(crate) async fn denials(&self, stack: &Stack, code: &str) -> usize {
        let day = Clock::System.now().day();
        let mover = store(stack, credentials(stack, "MoverRole", &[]));
        let reply = mover
            .query()
            .table_name(data_table(stack))
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(&format!("TENANT#{}#AUDIT#{day}", self.id)))
            .send()
            .await
            .unwrap();
        let is = |row: &std::collections::HashMap<String, AttributeValue>| {
            row["decision"] == text("denied") && row["code"] == text(code)
        };
        reply.items().iter().filter(|row| is(row)).count()
    }

    /// How many notes are stored.
    pub(crate) async fn notes(&self, stack: &Stack) -> usize {
        let reply = tenant_store(stack, &self.id.to_string())
            .query()
            .table_name(data_table(stack))
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(&format!("TENANT#{}#ITEM#notes", self.id)))
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        reply.items().len()
    }
}

/// Runs what the operator does where the stack runs.
pub(crate) async fn operate<T, F>(
    stack: &'static Stack,
    work: impl FnOnce(&'static Operator) -> F,
) -> Result<T, Problem>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Problem>> + Send + 'static,
{
    on_stack(stack, work(&stack.local.operator)).await
}

/// Runs something where the stack runs, so that its connections outlive the test.
pub(crate) async fn on_stack<T: Send + 'static>(
    stack: &Stack,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    #[expect(clippy::disallowed_methods, reason = "awaited here, on the runtime of the stack")]
    stack.runtime.spawn(work).await.unwrap()
}

/// What a function answers that is invoked with JSON and not through the gateway; `None` if it fails.
pub(crate) async fn invoke(stack: &'static Stack, binary: &str, payload: &Value) -> Option<Value> {
    let function = stack.local.stack.functions.iter().find(|function| function.binary == binary).unwrap();
    let (lambda, payload) = (Arc::clone(&stack.local.lambda), Bytes::from(payload.to_string()));
    let invoked = on_stack(stack, async move { lambda.invoke(&function.name, None, payload).await }).await;
    let invoked = invoked.unwrap();
    invoked.function_error.is_none().then(|| serde_json::from_slice(&invoked.payload).unwrap())
}

/// The id of a tenant of the demo.
pub(crate) async fn tenant_id(stack: &'static Stack, slug: &str) -> String {
    let slug: Slug = slug.parse().unwrap();
    operate(stack, |operator| async move { operator.find_tenant(&slug).await }).await.unwrap().to_string()
}

/// The table of what is the tenants'.
pub(crate) fn data_table(stack: &Stack) -> &str {
    let tables = &stack.local.stack.tables;
    &tables.iter().find(|table| table.name.ends_with("-data")).unwrap().name
}

/// Credentials of a role, with these session tags.
pub(crate) fn credentials(stack: &Stack, role: &str, tags: &[(&str, &str)]) -> Credentials {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let given = stack.local.credentials(role, tags.collect::<BTreeMap<_, _>>()).unwrap();
    Credentials::new(given.access_key_id, given.secret_access_key, Some(given.session_token), None, "test")
}

/// DynamoDB as a role with these tags meets it.
pub(crate) fn store(stack: &Stack, credentials: Credentials) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::from_conf(
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(stack.local.stack.region.clone()))
            .endpoint_url(stack.local.aws.endpoint())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(credentials)
            .build(),
    )
}

/// KMS as a role with these tags meets it.
pub(crate) fn kms(stack: &Stack, credentials: Credentials) -> aws_sdk_kms::Client {
    aws_sdk_kms::Client::from_conf(
        aws_sdk_kms::Config::builder()
            .behavior_version(aws_sdk_kms::config::BehaviorVersion::latest())
            .region(aws_sdk_kms::config::Region::new(stack.local.stack.region.clone()))
            .endpoint_url(stack.local.aws.endpoint())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(credentials)
            .build(),
    )
}

/// STS, asked with these credentials.
pub(crate) fn sts(stack: &Stack, credentials: Credentials) -> aws_sdk_sts::Client {
    aws_sdk_sts::Client::from_conf(
        aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(stack.local.stack.region.clone()))
            .endpoint_url(stack.local.aws.endpoint())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(credentials)
            .build(),
    )
}

/// DynamoDB as a session of one tenant meets it.
pub(crate) fn tenant_store(stack: &Stack, tenant: &str) -> aws_sdk_dynamodb::Client {
    store(stack, credentials(stack, "TenantRole", &[("tenant", tenant)]))
}

/// `ok`, or the error's code.
pub(crate) fn verdict<T, E: ProvideErrorMetadata>(reply: Result<T, SdkError<E>>) -> String {
    match reply {
        Ok(_) => "ok".to_owned(),
        Err(SdkError::ServiceError(err)) => err.err().code().unwrap_or("no code").to_owned(),
        Err(_) => "no answer".to_owned(),
    }
}

/// A text attribute.
pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}
