//! What is checked of the templates before the first request, so that nothing is guessed later.

use crate::gateway::StartError;
use crate::gateway::authorize::Source;
use crate::gateway::expression::Expression;
use crate::template::{Api, ApiKind, Authorizer, Route, Stack};

/// The one integration parameter that has a meaning for a Lambda proxy integration here.
const TENANT_HEADER: &str = "integration.request.header.x-amz-tenant-id";

/// Where the route's invocations get Lambda's tenant id from, if at all.
pub(super) fn tenant_source(route: &Route) -> Option<Expression> {
    let mut parameters = route.request_parameters.iter();
    let (_, value) = parameters.find(|(name, _)| name.eq_ignore_ascii_case(TENANT_HEADER))?;
    Expression::parse(value)
}

/// Checks that everything the API names exists, and is something that the laptop can do.
pub(super) fn check(stack: &Stack) -> Result<(), StartError> {
    let api = &stack.api;
    let known = |arn: &str| stack.functions.iter().any(|function| function.arn == arn);
    for (name, authorizer) in &api.authorizers {
        let problem = authorizer_problem(api.kind, authorizer, &known);
        problem
            .map_or(Ok(()), |problem| Err(StartError::Template(format!("authorizer {name}: {problem}"))))?;
    }
    for route in &api.routes {
        let problem = route_problem(api, route, &known);
        let place = format!("route {} {}", route.method, route.path);
        problem.map_or(Ok(()), |problem| Err(StartError::Template(format!("{place}: {problem}"))))?;
    }
    for (name, response) in &api.gateway_responses {
        for (header, value) in &response.parameters {
            let header_known = header.starts_with("gatewayresponse.header.");
            if !header_known || Expression::parse(value).is_none() {
                let problem = format!("gateway response {name}: {header} → {value} is not known here");
                return Err(StartError::Template(problem));
            }
        }
    }
    Ok(())
}

fn authorizer_problem(
    kind: ApiKind,
    authorizer: &Authorizer,
    known: &impl Fn(&str) -> bool,
) -> Option<&'static str> {
    let source_known = |source: &String| Source::parse(source).is_some();
    match authorizer {
        Authorizer::Request { function_arn, .. } if !known(function_arn) => Some("no such function"),
        Authorizer::Request { ttl_s: 1.., .. } => Some("answers are never cached here: the TTL must be 0"),
        Authorizer::Request { identity_sources, .. } if !identity_sources.iter().all(source_known) => {
            Some("an identity source that is not known here")
        }
        Authorizer::Jwt { .. } if kind == ApiKind::Rest => Some("a REST API has no JWT authorizer"),
        Authorizer::Jwt { identity_source, .. } if !source_known(identity_source) => {
            Some("an identity source that is not known here")
        }
        Authorizer::Request { .. } | Authorizer::Jwt { .. } => None,
    }
}

fn route_problem(api: &Api, route: &Route, known: &impl Fn(&str) -> bool) -> Option<&'static str> {
    if !known(&route.function_arn) {
        return Some("no such function");
    }
    if route.authorizer.as_ref().is_some_and(|name| !api.authorizers.contains_key(name)) {
        return Some("no such authorizer");
    }
    for (name, value) in &route.request_parameters {
        if api.kind == ApiKind::Http || !name.eq_ignore_ascii_case(TENANT_HEADER) {
            return Some("an integration parameter that is not known here");
        }
        match Expression::parse(value) {
            Some(Expression::Authorizer(_) | Expression::Literal(_)) => {}
            // From a client's header, or anything else that a client chooses, it is an attack.
            _ => return Some("the tenant id may come from the authorizer's context only"),
        }
    }
    None
}
