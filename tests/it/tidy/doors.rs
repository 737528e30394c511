//! The doors: no tool, no operation and no route that no other tenant has tried.

use http::Method;
use insula_local::{Edge, template::Route};

use super::{Finding, but_for};
use crate::{
    ask::list_tools,
    crossing::{TABLE, tried},
    harness::{Stack, http_stack, json_of, stack},
};

/// Routes whose functions have no operation at them yet, as the host has them.
const WITHOUT_OPERATION: [&str; 3] = ["/v1/config", "/v1/config/{proxy+}", "/v1/usage/{proxy+}"];

const UNTRIED: [&str; 0] = [];

/// The tools that the function `mcp` declares, and every action that has a role.
async fn actions(stack: &Stack) -> Vec<String> {
    let url = stack.host_url("acme");
    let reply = json_of(&stack.post(&url, Some(&stack.token("acme", &url)), &list_tools()).await);
    assert!(reply["result"]["nextCursor"].is_null(), "one page has them all");
    let tools = reply["result"]["tools"].as_array().unwrap().iter();
    let mut actions: Vec<String> = tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
    actions.extend(insula_tools::actions().map(str::to_owned));
    actions.sort();
    actions.dedup();
    actions
}

/// Actions without exactly one row, and rows of no action.
fn untried_actions(actions: &[String], rows: &[&str]) -> Vec<Finding> {
    let count = |action: &str| rows.iter().filter(|row| **row == action).count();
    let untried = actions.iter().filter(|action| count(action) != 1);
    let untried = untried
        .map(|action| Finding::new(action, format!("has {} rows in crossing/table.rs", count(action))));
    let idle = rows.iter().filter(|row| !actions.iter().any(|action| action == *row));
    untried.chain(idle.map(|row| Finding::new(*row, "has a row and is no action"))).collect()
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
    TABLE.iter().map(|row| row.action).collect()
}

#[tokio::test]
async fn every_tool_and_every_operation_is_tried_by_another_tenant() {
    assert_eq!(but_for(untried_actions(&actions(stack()).await, &rows()), &UNTRIED), []);
}

#[test]
fn every_route_is_tried_by_another_tenant() {
    for (stack, edge) in [(stack(), Edge::Rest), (http_stack(), Edge::Http)] {
        let found = untried_routes(&stack.local.stack.api.routes, &tried(TABLE, edge));
        assert_eq!(but_for(found, &WITHOUT_OPERATION), [], "{edge:?}");
    }
}

#[tokio::test]
async fn a_tool_that_nobody_tried_is_found() {
    let mut actions = actions(stack()).await;
    actions.push("notes_burn".to_owned());
    let found = [Finding::new("notes_burn", "has 0 rows in crossing/table.rs")];
    assert_eq!(but_for(untried_actions(&actions, &rows()), &UNTRIED), found);

    let mut rows = rows();
    rows.extend(["notes_burn", "notes_burn", "notes_gone"]);
    let found = [
        Finding::new("notes_burn", "has 2 rows in crossing/table.rs"),
        Finding::new("notes_gone", "has a row and is no action"),
    ];
    assert_eq!(but_for(untried_actions(&actions, &rows), &UNTRIED), found);
}

#[test]
fn a_route_that_nobody_tried_is_found() {
    let stack = stack();
    for (method, path, what) in [
        ("ANY", "/v1/audit", "/v1/audit"),
        ("ANY", "/{tenant}/v1/audit/{proxy+}", "/v1/audit/{proxy+}"),
        ("OPTIONS", "/v1/audit", "/v1/audit"),
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
