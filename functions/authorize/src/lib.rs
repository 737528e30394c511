//! The edge's authorizer: evidence in, Allow with the tenant or Deny with a challenge out.

use std::collections::BTreeMap;

use insula_gateway::{AuthorizerRequest, Error, Verdict, serve_authorizer, telemetry};
use insula_tenancy::{Config, Denial, Position, Problem, Resolver, Unauthenticated, start_resolver};

/// Starts the function and serves until Lambda ends it.
///
/// # Errors
/// A setting that is wrong, or a registry that does not answer in init.
pub async fn serve() -> Result<(), Error> {
    let config = Config::from_env()?;
    telemetry::start(config.log_level());
    let resolver = start_resolver(config).await?;
    let malformed = async |request_id: &str| {
        let problem = Problem::unauthenticated(Denial::Evidence, None);
        telemetry::record_denial(&resolver, &problem, None, request_id).await;
    };
    serve_authorizer(|request| decide(&resolver, request), malformed).await
}

/// Decides about one request. A suspended tenant's valid token passes: `mcp` tells it so.
pub async fn decide(resolver: &Resolver, request: AuthorizerRequest) -> Verdict {
    match resolver.resolve(Position::Edge, &request.evidence).await {
        Ok(tenant) => {
            telemetry::record_tenant(tenant.id());
            resolver.write_denials().await;
            let context = BTreeMap::from([
                ("tenantId".to_owned(), tenant.id().to_string()),
                ("epoch".to_owned(), tenant.epoch().to_string()),
            ]);
            Verdict::Allow { context, principal: tenant.id().to_string() }
        }
        Err(problem) => {
            let problem = of_header(problem, request.bearer_denial);
            telemetry::record_denial(resolver, &problem, None, &request.request_id).await;
            deny(&problem)
        }
    }
}

/// A header that held no token is not the same as no header.
fn of_header(problem: Problem, bearer_denial: Option<Denial>) -> Problem {
    match (problem, bearer_denial) {
        (Problem::Unauthenticated(refusal), Some(denial)) => {
            Problem::Unauthenticated(Box::new(Unauthenticated { denial, ..*refusal }))
        }
        (problem, _) => problem,
    }
}

fn deny(problem: &Problem) -> Verdict {
    telemetry::record_problem(problem);
    match problem {
        Problem::Unauthenticated(refusal) => Verdict::Deny { challenge: refusal.challenge() },
        _ => Verdict::Unavailable,
    }
}
