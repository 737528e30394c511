//! Both edges' routes, and who may call them.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

use super::{
    super::{
        Api, ApiKind, Authorizer,
        document::Document,
        scope::{Local, Scope},
    },
    edges, load, root,
};

fn table(api: &Api) -> String {
    let routes = api.routes.iter().map(|route| {
        let function = route.function_arn.rsplit(':').next().unwrap();
        let authorizer = route.authorizer.as_deref().unwrap_or("-");
        format!("{} {} {function} {authorizer} {:?}\n", route.method, route.path, route.request_parameters)
    });
    routes.collect()
}

#[test]
fn the_rest_edge_guards_all_but_preflights_and_public_documents() {
    let stack = load(&[("Edge", "rest"), ("TenantIsolation", "on")]).unwrap();
    assert_eq!((stack.api.kind, stack.api.stage.as_str()), (ApiKind::Rest, "live"));
    insta::assert_snapshot!(table(&stack.api), @r#"
    GET /.well-known/oauth-protected-resource DiscoverFunction - {}
    OPTIONS /.well-known/oauth-protected-resource DiscoverFunction - {}
    GET /.well-known/oauth-protected-resource/mcp DiscoverFunction - {}
    OPTIONS /.well-known/oauth-protected-resource/mcp DiscoverFunction - {}
    GET /.well-known/oauth-protected-resource/{tenant}/mcp DiscoverFunction - {}
    OPTIONS /.well-known/oauth-protected-resource/{tenant}/mcp DiscoverFunction - {}
    GET /.well-known/openai-apps-challenge DiscoverFunction - {}
    OPTIONS /.well-known/openai-apps-challenge DiscoverFunction - {}
    ANY /mcp McpFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /mcp DiscoverFunction - {}
    ANY /v1/audit AuditFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /v1/audit DiscoverFunction - {}
    ANY /v1/audit/{proxy+} AuditFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /v1/audit/{proxy+} DiscoverFunction - {}
    ANY /v1/collections ItemsFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /v1/collections DiscoverFunction - {}
    ANY /v1/collections/{proxy+} ItemsFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /v1/collections/{proxy+} DiscoverFunction - {}
    ANY /v1/config ConfigFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /v1/config DiscoverFunction - {}
    ANY /v1/config/{proxy+} ConfigFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /v1/config/{proxy+} DiscoverFunction - {}
    ANY /v1/secrets SecretsFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /v1/secrets DiscoverFunction - {}
    ANY /v1/secrets/{proxy+} SecretsFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /v1/secrets/{proxy+} DiscoverFunction - {}
    ANY /v1/usage UsageFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /v1/usage DiscoverFunction - {}
    ANY /v1/usage/{proxy+} UsageFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /v1/usage/{proxy+} DiscoverFunction - {}
    ANY /{tenant}/mcp McpFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /{tenant}/mcp DiscoverFunction - {}
    ANY /{tenant}/v1/audit AuditFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /{tenant}/v1/audit DiscoverFunction - {}
    ANY /{tenant}/v1/audit/{proxy+} AuditFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /{tenant}/v1/audit/{proxy+} DiscoverFunction - {}
    ANY /{tenant}/v1/collections ItemsFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /{tenant}/v1/collections DiscoverFunction - {}
    ANY /{tenant}/v1/collections/{proxy+} ItemsFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /{tenant}/v1/collections/{proxy+} DiscoverFunction - {}
    ANY /{tenant}/v1/config ConfigFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /{tenant}/v1/config DiscoverFunction - {}
    ANY /{tenant}/v1/config/{proxy+} ConfigFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /{tenant}/v1/config/{proxy+} DiscoverFunction - {}
    ANY /{tenant}/v1/secrets SecretsFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /{tenant}/v1/secrets DiscoverFunction - {}
    ANY /{tenant}/v1/secrets/{proxy+} SecretsFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /{tenant}/v1/secrets/{proxy+} DiscoverFunction - {}
    ANY /{tenant}/v1/usage UsageFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /{tenant}/v1/usage DiscoverFunction - {}
    ANY /{tenant}/v1/usage/{proxy+} UsageFunction tenant {"integration.request.header.X-Amz-Tenant-Id": "context.authorizer.tenantId"}
    OPTIONS /{tenant}/v1/usage/{proxy+} DiscoverFunction - {}
    "#);
    insta::assert_debug_snapshot!(stack.api.authorizers, @r#"
    {
        "tenant": Request {
            function_arn: "arn:aws:lambda:eu-central-1:000000000000:function:AuthorizeFunction",
            identity_sources: [
                "method.request.header.Host",
            ],
            ttl_s: 0,
            simple_responses: false,
        },
    }
    "#);
}

#[test]
fn the_http_edge_guards_all_but_preflights_and_public_documents() {
    let [_, stack] = edges();
    assert_eq!((stack.api.kind, stack.api.stage.as_str()), (ApiKind::Http, "$default"));
    insta::assert_snapshot!(table(&stack.api), @r"
    GET /.well-known/oauth-protected-resource DiscoverFunction - {}
    OPTIONS /.well-known/oauth-protected-resource DiscoverFunction - {}
    GET /.well-known/oauth-protected-resource/mcp DiscoverFunction - {}
    OPTIONS /.well-known/oauth-protected-resource/mcp DiscoverFunction - {}
    GET /.well-known/oauth-protected-resource/{tenant}/mcp DiscoverFunction - {}
    OPTIONS /.well-known/oauth-protected-resource/{tenant}/mcp DiscoverFunction - {}
    GET /.well-known/openai-apps-challenge DiscoverFunction - {}
    OPTIONS /.well-known/openai-apps-challenge DiscoverFunction - {}
    ANY /mcp McpFunction UniversalAuthorizer {}
    OPTIONS /mcp DiscoverFunction - {}
    ANY /v1/audit AuditFunction UniversalAuthorizer {}
    OPTIONS /v1/audit DiscoverFunction - {}
    ANY /v1/audit/{proxy+} AuditFunction UniversalAuthorizer {}
    OPTIONS /v1/audit/{proxy+} DiscoverFunction - {}
    ANY /v1/collections ItemsFunction UniversalAuthorizer {}
    OPTIONS /v1/collections DiscoverFunction - {}
    ANY /v1/collections/{proxy+} ItemsFunction UniversalAuthorizer {}
    OPTIONS /v1/collections/{proxy+} DiscoverFunction - {}
    ANY /v1/config ConfigFunction UniversalAuthorizer {}
    OPTIONS /v1/config DiscoverFunction - {}
    ANY /v1/config/{proxy+} ConfigFunction UniversalAuthorizer {}
    OPTIONS /v1/config/{proxy+} DiscoverFunction - {}
    ANY /v1/secrets SecretsFunction UniversalAuthorizer {}
    OPTIONS /v1/secrets DiscoverFunction - {}
    ANY /v1/secrets/{proxy+} SecretsFunction UniversalAuthorizer {}
    OPTIONS /v1/secrets/{proxy+} DiscoverFunction - {}
    ANY /v1/usage UsageFunction UniversalAuthorizer {}
    OPTIONS /v1/usage DiscoverFunction - {}
    ANY /v1/usage/{proxy+} UsageFunction UniversalAuthorizer {}
    OPTIONS /v1/usage/{proxy+} DiscoverFunction - {}
    ANY /{tenant}/mcp McpFunction TenantAuthorizer {}
    OPTIONS /{tenant}/mcp DiscoverFunction - {}
    ANY /{tenant}/v1/audit AuditFunction TenantAuthorizer {}
    OPTIONS /{tenant}/v1/audit DiscoverFunction - {}
    ANY /{tenant}/v1/audit/{proxy+} AuditFunction TenantAuthorizer {}
    OPTIONS /{tenant}/v1/audit/{proxy+} DiscoverFunction - {}
    ANY /{tenant}/v1/collections ItemsFunction TenantAuthorizer {}
    OPTIONS /{tenant}/v1/collections DiscoverFunction - {}
    ANY /{tenant}/v1/collections/{proxy+} ItemsFunction TenantAuthorizer {}
    OPTIONS /{tenant}/v1/collections/{proxy+} DiscoverFunction - {}
    ANY /{tenant}/v1/config ConfigFunction TenantAuthorizer {}
    OPTIONS /{tenant}/v1/config DiscoverFunction - {}
    ANY /{tenant}/v1/config/{proxy+} ConfigFunction TenantAuthorizer {}
    OPTIONS /{tenant}/v1/config/{proxy+} DiscoverFunction - {}
    ANY /{tenant}/v1/secrets SecretsFunction TenantAuthorizer {}
    OPTIONS /{tenant}/v1/secrets DiscoverFunction - {}
    ANY /{tenant}/v1/secrets/{proxy+} SecretsFunction TenantAuthorizer {}
    OPTIONS /{tenant}/v1/secrets/{proxy+} DiscoverFunction - {}
    ANY /{tenant}/v1/usage UsageFunction TenantAuthorizer {}
    OPTIONS /{tenant}/v1/usage DiscoverFunction - {}
    ANY /{tenant}/v1/usage/{proxy+} UsageFunction TenantAuthorizer {}
    OPTIONS /{tenant}/v1/usage/{proxy+} DiscoverFunction - {}
    ");
}

#[test]
fn the_http_edge_has_api_gateways_own_authorizer_at_its_universal_url() {
    let [_, stack] = edges();
    insta::assert_debug_snapshot!(stack.api.authorizers, @r#"
    {
        "TenantAuthorizer": Request {
            function_arn: "arn:aws:lambda:eu-central-1:000000000000:function:AuthorizeFunction",
            identity_sources: [
                "$request.header.Authorization",
            ],
            ttl_s: 0,
            simple_responses: true,
        },
        "UniversalAuthorizer": Jwt {
            issuer: "http://127.0.0.1:9001",
            audiences: [
                "https://localhost/mcp",
            ],
            identity_source: "$request.header.Authorization",
        },
    }
    "#);
}

#[test]
fn a_denial_of_the_rest_edge_carries_the_authorizers_challenge() {
    let [stack, http] = edges();
    let denied = &stack.api.gateway_responses["ACCESS_DENIED"];
    assert_eq!(denied.status, Some(401));
    let header = |name: &str| denied.parameters[&format!("gatewayresponse.header.{name}")].as_str();
    assert_eq!(header("WWW-Authenticate"), "context.authorizer.challenge");
    assert_eq!(header("Cache-Control"), "'no-store'");
    for (kind, response) in &stack.api.gateway_responses {
        assert_eq!(response.parameters["gatewayresponse.header.Cache-Control"], "'no-store'", "{kind}");
        serde_json::from_str::<Value>(&response.templates["application/json"]).unwrap();
    }
    assert!(http.api.gateway_responses.is_empty());
}

#[test]
fn the_audience_of_the_native_authorizer_is_the_universal_url_unless_given() {
    let audiences = |changes: &[(&str, &str)]| {
        let stack = load(&[&[("Edge", "http")], changes].concat()).unwrap();
        match stack.api.authorizers.get("UniversalAuthorizer") {
            Some(Authorizer::Jwt { audiences, .. }) => audiences.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        audiences(&[("BaseDomain", "")]),
        ["https://httpapi.execute-api.eu-central-1.amazonaws.com/mcp"]
    );
    assert_eq!(audiences(&[("BaseDomain", "mcp.example.com")]), ["https://mcp.example.com/mcp"]);
    assert_eq!(
        audiences(&[("Audiences", "http://localhost:9000/mcp, other")]),
        ["http://localhost:9000/mcp", "other"]
    );
}

/// What the edge's template lets API Gateway invoke: function ARN and pattern of the caller's ARN.
fn permissions(file: &str, parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    let document = Document::read(&root(), file).unwrap();
    let local = Local { account: "000000000000".to_owned(), region: "eu-central-1".to_owned() };
    let functions =
        ["Mcp", "Items", "Config", "Secrets", "Usage", "Audit", "Authorize", "Discover"].map(|name| {
            let arn = format!("arn:aws:lambda:eu-central-1:000000000000:function:{name}Function");
            (format!("{name}FunctionArn"), arn)
        });
    let given = parameters.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let scope = Scope::new(&document, &local, &given.chain(functions).collect()).unwrap();
    let resources = document.resources.iter().filter(|resource| resource.kind == "AWS::Lambda::Permission");
    let resolved = resources.map(|resource| scope.require(&resource.properties, &resource.place).unwrap());
    let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    resolved.map(|value| (text(&value, "FunctionName"), text(&value, "SourceArn"))).collect()
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| matches(after, rest)))
        }),
    }
}

#[test]
fn api_gateway_may_invoke_what_its_routes_name() {
    let common =
        [("Environment", "x"), ("LogRetentionDays", "1"), ("BaseDomain", "x"), ("CertificateArn", "x")];
    let rest = [("HostedZoneId", ""), ("TenantIsolation", "on"), ("AccountLogsRole", "create")];
    let http = [("HostedZoneId", ""), ("Issuer", "x"), ("Audiences", "")];
    let files = [("infra/edge-rest.yaml", rest), ("infra/edge-http.yaml", http)];
    for (stack, (file, own)) in edges().iter().zip(files) {
        let api = &stack.api;
        let allowed = permissions(file, &[common.as_slice(), &own].concat());
        let caller = |rest: &str| format!("arn:aws:execute-api:eu-central-1:000000000000:{}/{rest}", api.id);
        let may = |function: &str, rest: &str| {
            allowed.iter().any(|(arn, pattern)| arn == function && matches(pattern, &caller(rest)))
        };
        for route in &api.routes {
            let method = if route.method == "ANY" { "POST" } else { &route.method };
            let path = route.path.replace("{tenant}", "*");
            assert!(may(&route.function_arn, &format!("{}/{method}{path}", api.stage)), "{route:?}");
            assert!(!may(&route.function_arn, &format!("{}/{method}/elsewhere", api.stage)), "{route:?}");
        }
        for (name, authorizer) in &api.authorizers {
            if let Authorizer::Request { function_arn, .. } = authorizer {
                assert!(may(function_arn, &format!("authorizers/{name}")), "{name}");
            }
        }
    }
}

#[test]
fn cargo_lambda_watch_has_the_routes_of_the_template() {
    let manifest = root().join("Cargo.toml");
    let arguments = ["metadata", "--offline", "--no-deps", "--format-version=1", "--manifest-path"];
    let output = Command::new(env!("CARGO")).args(arguments).arg(manifest).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let router = metadata["metadata"]["lambda"]["watch"]["router"].as_object().unwrap();
    let mut watched = BTreeSet::new();
    for (path, routes) in router {
        for route in routes.as_array().unwrap() {
            let text = |key: &str| route[key].as_str().unwrap().to_owned();
            watched.insert((path.clone(), text("method"), text("function")));
        }
    }
    for stack in edges() {
        let mut expected = BTreeSet::new();
        for route in &stack.api.routes {
            let function = stack.functions.iter().find(|f| f.arn == route.function_arn).unwrap();
            // cargo-lambda knows "any method" only for a path that has no other.
            let any = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];
            let methods = if route.method == "ANY" { any.as_slice() } else { &[route.method.as_str()] };
            for method in methods {
                // And it spells the rest of a path in its own way.
                let path = route.path.replace("{proxy+}", "{*proxy}");
                expected.insert((path, method.to_string(), function.binary.clone()));
            }
        }
        assert_eq!(watched, expected);
    }
}
