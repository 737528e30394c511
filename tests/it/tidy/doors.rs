//! The doors: no tool, no operation and no route that no other tenant has tried.

use http::Method;
use insula_gateway::rest::Endpoint;
use insula_local::{Edge, template::Route};
use insula_tenancy::Config;
use insula_tools::Collections;

use super::{Finding, but_for};
use crate::{
    ask::list_tools,
    crossing::{TABLE, tried},
    harness::{Stack, http_stack, json_of, stack},
};

/// Routes whose functions have no operation at them yet, as the host has them.
const WITHOUT_OPERATION: [&str; 2] = ["/v1/audit/{proxy+}", "/v1/usage/{proxy+}"];

const UNTRIED: [&str; 0] = [];

/// The functions of routes under `/v1`, by their names in the template, with what each declares.
fn functions() -> [(&'static str, Vec<Endpoint>); 5] {
    let settings =
        [("EDGE", "http"), ("AWS_REGION", "eu-central-1"), ("ISSUER", "https://login.example.com")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let collections = Collections::read(&Config::read(settings.into()).unwrap()).unwrap();
    [
        ("AuditFunction", audit::endpoints()),
        ("ConfigFunction", config::endpoints(collections.clone())),
        ("ItemsFunction", items::endpoints(collections)),
        ("SecretsFunction", secrets::endpoints()),
        ("UsageFunction", usage::endpoints()),
    ]
}

/// Every tool that the function `mcp` declares, and every endpoint.
async fn declared(stack: &Stack) -> Vec<String> {
    let url = stack.host_url("acme");
    let reply = json_of(&stack.post(&url, Some(&stack.token("acme", &url)), &list_tools()).await);
    assert!(reply["result"]["nextCursor"].is_null(), "one page has them all");
    let tools = reply["result"]["tools"].as_array().unwrap().iter();
    let mut declared: Vec<String> = tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
    for (_, endpoints) in functions() {
        declared.extend(endpoints.iter().map(|each| format!("{} {}", each.method, each.path)));
    }
    declared
}

/// What is declared and has not exactly one row, and rows of what is not declared.
fn untried(declared: &[String], rows: &[&str]) -> Vec<Finding> {
    let count = |name: &str| rows.iter().filter(|row| **row == name).count();
    let untried = declared.iter().filter(|name| count(name) != 1);
    let untried =
        untried.map(|name| Finding::new(name, format!("has {} rows in crossing/table.rs", count(name))));
    let idle = rows.iter().filter(|row| !declared.iter().any(|name| name == *row));
    untried.chain(idle.map(|row| Finding::new(*row, "has a row and is not declared"))).collect()
}

/// Functions of routes under `/v1` whose endpoints are not looked at here.
fn unread(routes: &[Route], functions: &[&str]) -> Vec<Finding> {
    let behind = routes.iter().filter(|route| route.path.contains("/v1/") && route.method != "OPTIONS");
    let names = behind.map(|route| route.function_arn.rsplit(':').next().unwrap());
    let unread = names.filter(|name| !functions.iter().any(|function| name.ends_with(function)));
    unread.map(|name| Finding::new(name, "is not in functions() of tidy/doors.rs")).collect()
}

/// Routes that none of these requests takes.
fn untried_routes(routes: &[Route], tried: &[(Method, String)]) -> Vec<Finding> {
    let is_taken = |route: &Route| tried.iter().any(|(method, path)| takes(route, method, path));
    let untried = routes.iter().filter(|route| !is_taken(route));
    let finding = |route: &Route| {
        let path = route.path.strip_prefix("/{tenant}").unwrap_or(&route.path);
        Finding::new(path, format!("is tried by no test at {} {}", route.method, route.path))
    };
    untried.map(finding).collect()
}

/// A preflight takes its own route, never that of all methods.
fn takes(route: &Route, method: &Method, path: &str) -> bool {
    let is_method =
        if route.method == "ANY" { method != Method::OPTIONS } else { route.method == method.as_str() };
    let mut segments = path.split('/');
    for declared in route.path.split('/') {
        let Some(segment) = segments.next() else { return false };
        if declared.ends_with("+}") {
            return is_method && !segment.is_empty();
        }
        if declared != segment && !declared.starts_with('{') {
            return false;
        }
    }
    is_method && segments.next().is_none()
}

fn rows() -> Vec<&'static str> {
    TABLE.iter().map(|row| row.name).collect()
}

#[tokio::test]
async fn every_tool_and_every_operation_is_tried_by_another_tenant() {
    assert_eq!(but_for(untried(&declared(stack()).await, &rows()), &UNTRIED), []);
    let functions = functions().map(|(name, _)| name);
    assert_eq!(but_for(unread(&stack().local.stack.api.routes, &functions), &[]), []);
}

#[test]
fn every_route_is_tried_by_another_tenant() {
    for (stack, edge) in [(stack(), Edge::Rest), (http_stack(), Edge::Http)] {
        let found = untried_routes(&stack.local.stack.api.routes, &tried(TABLE, edge));
        assert_eq!(but_for(found, &WITHOUT_OPERATION), [], "{edge:?}");
    }
}

#[tokio::test]
async fn a_tool_or_an_operation_that_nobody_tried_is_found() {
    let mut declared = declared(stack()).await;
    declared.extend(["notes_burn".to_owned(), "PUT usage".to_owned()]);
    let found = ["PUT usage", "notes_burn"].map(|name| Finding::new(name, "has 0 rows in crossing/table.rs"));
    assert_eq!(but_for(untried(&declared, &rows()), &UNTRIED), found);

    let mut rows = rows();
    rows.extend(["PUT usage", "notes_burn", "notes_burn", "notes_gone"]);
    let found = [
        Finding::new("notes_burn", "has 2 rows in crossing/table.rs"),
        Finding::new("notes_gone", "has a row and is not declared"),
    ];
    assert_eq!(but_for(untried(&declared, &rows), &UNTRIED), found);
}

#[test]
fn a_function_whose_endpoints_nobody_reads_is_found() {
    let routes = &stack().local.stack.api.routes;
    let functions = functions().map(|(name, _)| name);
    let found = but_for(unread(routes, &functions[1..]), &[]);
    assert!(found.len() == 1 && found[0].what.ends_with("AuditFunction"), "{found:?}");
}

#[test]
fn a_route_that_nobody_tried_is_found() {
    let stack = stack();
    for (method, path, what) in [
        ("ANY", "/v1/tasks", "/v1/tasks"),
        ("ANY", "/{tenant}/v1/tasks/{proxy+}", "/v1/tasks/{proxy+}"),
        ("OPTIONS", "/v1/tasks", "/v1/tasks"),
        ("GET", "/.well-known/tenants", "/.well-known/tenants"),
        ("DELETE", "/mcp", "/mcp"),
    ] {
        let mut routes = stack.local.stack.api.routes.clone();
        routes.push(Route { method: method.to_owned(), path: path.to_owned(), ..routes[0].clone() });
        let found = untried_routes(&routes, &tried(TABLE, Edge::Rest));
        let why = format!("is tried by no test at {method} {path}");
        assert_eq!(but_for(found, &WITHOUT_OPERATION), [Finding::new(what, why)]);
    }
    let found = untried_routes(&stack.local.stack.api.routes, &tried(&TABLE[..1], Edge::Rest));
    assert!(found.iter().any(|finding| finding.what == "/v1/usage"), "without its row: {found:?}");
}
