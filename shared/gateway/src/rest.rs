//! The one runner of every function under `/v1`: who is it, may they, run the operation, commit it with its charge, reply.

mod answer;
mod ask;
mod table;

use std::fmt;

use http::{HeaderValue, Method, StatusCode, header};
use insula_tenancy::{
    Admission, Config, Door, Entrance, Idempotency, Keep, Operation, Problem, Resolver, Resource, Role,
    Tenant, TenantScope, start_entrance,
};

pub use self::{
    answer::Answer,
    ask::{Ask, Body, Takes},
    table::{Endpoint, Run, TableError, run, run_parts},
};
use self::{
    answer::Kept,
    table::{Found, Match, Runs, Table},
};
use crate::{
    Error, Reply, Request,
    telemetry::{self, Measured},
    tenant::for_tenant,
};

/// The least role that an action asks for; `None` for an action that nobody may do.
pub type RoleOf = fn(&str) -> Option<Role>;

/// A function under `/v1`, as init made it.
pub struct Rest {
    resolver: Resolver,
    entrance: Entrance,
    table: Table,
}

/// Starts a function with the endpoints that its settings give it, and serves until Lambda ends it.
///
/// # Errors
/// A setting that is wrong, endpoints that are not in order, or a registry that does not answer in init.
pub async fn serve_rest(
    endpoints: impl FnOnce(&Config) -> Result<Vec<Endpoint>, Error>,
    role_of: RoleOf,
) -> Result<(), Error> {
    let config = Config::from_env()?;
    telemetry::start(config.log_level());
    let endpoints = endpoints(&config)?;
    let rest = Rest::new(start_entrance(config).await?, endpoints, role_of)?;
    crate::serve(|request| rest.answer(request)).await
}

impl Rest {
    /// The function with these endpoints, behind this entrance.
    ///
    /// # Errors
    /// Endpoints that are not in order.
    pub fn new(
        (resolver, entrance): (Resolver, Entrance),
        endpoints: Vec<Endpoint>,
        role_of: RoleOf,
    ) -> Result<Self, TableError> {
        Ok(Self { resolver, entrance, table: Table::new(endpoints, role_of)? })
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request) -> Reply {
        let reply = for_tenant(&self.resolver, &request, |tenant| self.serve(&request, tenant)).await;
        telemetry::record_reports(&self.entrance);
        reply
    }

    async fn serve(&self, request: &Request, tenant: Tenant) -> Reply {
        let found = match self.table.find(request) {
            Found::Endpoint(found) => found,
            Found::OtherMethods(allow) => return method_not_allowed(&allow),
            Found::Nothing => return Reply::problem(&Problem::NotFound { kind: "resource" }),
        };
        let own = tenant.id().clone();
        match self.run(request, tenant, found).await {
            Ok(answer) => {
                for problem in answer.problems() {
                    telemetry::record_problem(problem);
                    telemetry::record_denial(&self.resolver, problem, Some(&own), &request.request_id).await;
                }
                answer.reply(request.evidence.path_tenant.as_deref())
            }
            Err(problem) => {
                telemetry::record_denial(&self.resolver, &problem, Some(&own), &request.request_id).await;
                Reply::problem(&problem)
            }
        }
    }

    async fn run(&self, request: &Request, tenant: Tenant, found: Match<'_>) -> Result<Answer, Problem> {
        let Match { endpoint, role, parameters } = found;
        let ask = Ask::read(endpoint, parameters, request)?;
        let operation = Operation {
            action: endpoint.action.to_owned(),
            effect: endpoint.effect,
            door: Door::Api,
            idempotency: match request.idempotency_key()? {
                Some(key) => Idempotency::Key(key.to_owned()),
                None => Idempotency::None,
            },
            arguments: ask.canonical()?,
            resource: Resource::fill(endpoint.path, |name| ask.parameter(name).ok()),
            request_id: request.request_id.clone(),
        };
        let granted = tenant.demand_scopes(endpoint.scopes).and_then(|()| tenant.demand_role(role));
        let (scope, admission) = self.entrance.enter(tenant, operation).await?;
        let measured = Measured::new(self.entrance.gauge(&admission));
        let ended = admitted(endpoint, (scope, admission), granted, ask).await;
        measured.end(ended.as_ref().map_or_else(Problem::code, Answer::code));
        ended
    }
}

/// Runs an operation and commits it, or records that it is refused.
async fn admitted(
    endpoint: &Endpoint,
    (mut scope, mut admission): (TenantScope, Admission),
    granted: Result<(), Problem>,
    ask: Ask,
) -> Result<Answer, Problem> {
    let has = |scope: &TenantScope| endpoint.feature.map_or(Ok(()), |feature| scope.demand(feature));
    // What is remembered of the plan may be over, and the feature be there by now.
    if granted.is_ok()
        && has(&scope).is_err()
        && let Some(newer) = admission.newer().await?
    {
        (scope, admission) = newer;
    }
    if let Err(problem) = granted.and_then(|()| has(&scope)) {
        admission.refuse(&problem).await?;
        return Err(problem);
    }
    let whole = match &endpoint.run.0 {
        Runs::Whole(whole) => whole,
        Runs::Parts(parts) => return parts(admission, ask).await,
    };
    let work = async |scope| {
        // Once more, since it is run again where the plan has changed.
        has(&scope)?;
        Kept::make(endpoint.effect, whole(scope, ask.clone()).await?)
    };
    let keep = Keep { outcome: Kept::outcome, restore: Kept::from_stored };
    let kept = Box::pin(admission.settle(scope, endpoint.effect, work, keep)).await?;
    Ok(kept.answer)
}

fn method_not_allowed(allow: &[Method]) -> Reply {
    let allow = allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let detail = format!("this path takes {allow}");
    let reply = Reply::details(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &detail);
    match HeaderValue::try_from(allow) {
        Ok(allow) => reply.with(header::ALLOW, allow),
        Err(_) => reply,
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("table", &self.table).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
