//! The other deployments: the HTTP API, and Lambda's tenant isolation mode, with the same binaries.

use http::Method;
use insula_local::Edge;
use serde_json::json;

use crate::{
    ask::ask,
    harness::{http_stack, json_of, options, start, tool_call},
};

#[tokio::test]
async fn behind_the_http_api_the_token_names_the_tenant_at_the_universal_url() {
    let stack = http_stack();
    let list = tool_call("notes_list", json!({}));
    let universal = format!("http://localhost:{}/mcp", stack.local.port);
    for url in [universal.clone(), stack.path_url("acme")] {
        let token = stack.token("acme", &url);
        let reply = stack.post(&url, Some(&token), &list).await;
        assert_eq!(json_of(&reply)["result"]["isError"], false, "{url}");
    }
    assert_eq!(stack.post(&universal, None, &list).await.status(), 401);
    let elsewhere = stack.token("acme", &stack.path_url("acme"));
    assert_eq!(stack.post(&universal, Some(&elsewhere), &list).await.status(), 401);
    let foreign = stack.token("acme", &stack.path_url("globex"));
    assert_eq!(stack.post(&stack.path_url("globex"), Some(&foreign), &list).await.status(), 403);
}

#[tokio::test]
async fn in_isolation_mode_no_instance_serves_two_tenants() {
    let stack = start(insula_local::Options { isolation: true, ..options(Edge::Rest) });
    for tenant in ["acme", "globex", "acme"] {
        let listed = stack.call(tenant, "notes_list", json!({})).await;
        assert_eq!(listed["isError"], false, "{tenant}");
        let url = stack.host_url(tenant);
        let bearer = format!("Bearer {}", stack.token(tenant, &url));
        let usage = url.replace("/mcp", "/v1/usage");
        let answered = ask(&stack, Method::GET, &usage, &[("authorization", &bearer)], "").await;
        // Globex is of a tier without API access, which only its own instance can know.
        assert_eq!(answered.status(), if tenant == "acme" { 200 } else { 403 }, "{tenant}");
    }
    for function in ["McpFunction", "UsageFunction"] {
        let instances = stack.local.lambda.instances().into_iter();
        let mut tenants: Vec<_> = instances
            .filter(|instance| instance.function == function)
            .map(|instance| instance.tenant.unwrap())
            .collect();
        tenants.sort();
        tenants.dedup();
        assert_eq!(tenants.len(), 2, "an instance of {function} belongs to one tenant: {tenants:?}");
    }
}
