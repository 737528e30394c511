//! `insula token`: what a test user would get by signing in.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

use crate::say;

/// Whose token, and for what.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The tenant's slug.
    tenant: String,
    /// The `sub` of a test user; the tenant's first user without it.
    #[arg(long)]
    sub: Option<String>,
    /// Scopes, separated by spaces; all of the user's without it.
    #[arg(long)]
    scope: Option<String>,
    /// The MCP URL that the token is for; the tenant's host without it.
    #[arg(long)]
    resource: Option<String>,
    /// How long it lasts.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    ttl_s: u64,
    /// The gateway's port, as `dev` was told.
    #[arg(long, default_value_t = 9000)]
    port: u16,
}

impl Token {
    pub(crate) async fn run(self) -> Result<(), String> {
        let Self { tenant, sub, scope, resource, ttl_s, port } = self;
        let resource = resource.unwrap_or_else(|| format!("http://{tenant}.localhost:{port}/mcp"));
        let user = sub.unwrap_or_else(|| format!("org-{tenant}"));
        let asked = json!({ "user": user, "scope": scope, "resource": resource, "ttl_s": ttl_s });
        let idp_port = port.checked_add(1).ok_or("port: at most 65534")?;
        let reply = ask(idp_port, &asked).await?;
        let token = reply.get("access_token").and_then(Value::as_str);
        say(&format!("{}\n", token.ok_or("the identity provider gave no token")?))
    }
}

async fn ask(port: u16, asked: &Value) -> Result<Value, String> {
    let request = Request::post(format!("http://127.0.0.1:{port}/dev/token"))
        .header("host", format!("localhost:{port}"))
        .header("content-type", "application/json")
        .header("x-insula-dev", "1")
        .body(Full::new(Bytes::from(asked.to_string())))
        .map_err(|err| err.to_string())?;
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let gone = |_err| format!("no identity provider answers on port {port}: is `cargo run -- dev` running?");
    let reply = tokio::time::timeout(Duration::from_secs(10), client.request(request))
        .await
        .map_err(|_err| format!("the identity provider on port {port} does not answer"))?
        .map_err(gone)?;
    let status = reply.status();
    let body = reply.into_body().collect().await.map_err(|err| err.to_string())?.to_bytes();
    let body: Value = serde_json::from_slice(&body).map_err(|_err| "the answer is not JSON".to_owned())?;
    if status == StatusCode::OK {
        return Ok(body);
    }
    let why = body.get("error_description").and_then(Value::as_str);
    Err(why.unwrap_or("the identity provider refused").to_owned())
}
