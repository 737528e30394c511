//! `POST /mcp`: who is it, may they, run the tool, and commit its effect with its charge, or say why not.

mod seal;

use futures_util::future::join;
use http::{Method, StatusCode};
use insula_gateway::{Error, Reply, Request, cors, telemetry};
use insula_mcp::{Builder, Call, Implementation, Outcome as Ended, OutcomeKind, Server, Step};
use insula_tenancy::{
    Admission, Committed, Config, Entrance, Operation, Outcome, Position, Problem, Resolver, Tenant,
    TenantScope, start_entrance,
};
use insula_tools::ToolError;

use crate::seal::Seal;

const INSTRUCTIONS: &str = "Tools over the notes of the signed-in workspace. Everything that they read and write \
belongs to that workspace alone.";

/// The function, as init made it.
#[derive(Debug)]
pub struct Mcp {
    resolver: Resolver,
    entrance: Entrance,
    server: Server<TenantScope, ToolError>,
}

/// Adds tools to the declaration of a server.
type Declare = fn(Builder<TenantScope, ToolError>) -> Builder<TenantScope, ToolError>;

/// Starts the function with these tools and serves until Lambda ends it.
///
/// # Errors
/// A declaration that is not whole, a setting that is wrong, or a registry that does not answer in init.
pub async fn serve(declare: Declare) -> Result<(), Error> {
    let config = Config::from_env()?;
    telemetry::start(config.log_level());
    let implementation =
        Implementation { name: "insula", title: "Insula", version: env!("CARGO_PKG_VERSION") };
    let server = declare(Server::builder(implementation, INSTRUCTIONS)).build()?;
    let (resolver, entrance) = start_entrance(config).await?;
    let mcp = Mcp { resolver, entrance, server };
    insula_gateway::serve(|request| mcp.answer(request)).await
}

impl Mcp {
    /// Answers one request.
    pub async fn answer(&self, request: Request) -> Reply {
        let tenant = match self.resolver.resolve(Position::Behind, &request.evidence).await {
            Ok(tenant) => tenant,
            Err(problem) => return Reply::problem(&problem),
        };
        telemetry::record_tenant(tenant.id());
        let origins = tenant.origins().to_vec();
        // A browser that runs a page of an origin that is not listed is refused (MCP, "Security Warning").
        if !cors::admits(&request, &origins) {
            let detail = "this web origin is not one of the workspace's".to_owned();
            return Reply::problem(&Problem::Forbidden { detail });
        }
        let reply = self.serve(&request, tenant).await;
        cors::expose(reply, &request, &origins)
    }

    async fn serve(&self, request: &Request, tenant: Tenant) -> Reply {
        if request.method != Method::POST {
            return http_reply(Server::<TenantScope, ToolError>::method_not_allowed());
        }
        match self.server.receive(&request.headers, &request.body) {
            Step::Reply(reply) if reply.status == StatusCode::OK => {
                // It charges nothing, so nothing but this says whether the tenant is still served.
                match self.entrance.check_served(&tenant).await {
                    Ok(()) => http_reply(reply),
                    Err(problem) => Reply::problem(&problem),
                }
            }
            Step::Reply(reply) => http_reply(reply),
            Step::Call(mut call) => {
                let outcome = self.call(request, tenant, &mut call).await;
                if let Err(err) = &outcome {
                    telemetry::record_problem(err.problem());
                }
                http_reply(call.reply(outcome))
            }
        }
    }

    async fn call(
        &self,
        request: &Request,
        tenant: Tenant,
        call: &mut Call<'_, TenantScope, ToolError>,
    ) -> Result<Ended, ToolError> {
        let granted = tenant.demand_scopes(call.scopes());
        let (scope, admission) = self.entrance.enter(tenant, operation(request, call)?).await?;
        if let Err(problem) = granted {
            admission.refuse(&problem).await?;
            return Err(problem.into());
        }
        if call.read_only() {
            read(scope, admission, call).await
        } else {
            write(scope, admission, call).await
        }
    }
}

/// Runs beside its own charge, and is held back until it is charged.
async fn read(
    mut scope: TenantScope,
    mut admission: Admission,
    call: &mut Call<'_, TenantScope, ToolError>,
) -> Result<Ended, ToolError> {
    loop {
        let seal = Seal(admission.state_seal());
        let (charged, ended) = join(admission.commit(Outcome::Read), call.run(scope, &seal)).await;
        match charged? {
            Committed::Again(next_scope, next) => (scope, admission) = (next_scope, *next),
            Committed::Now | Committed::Before(_) => return ended,
        }
    }
}

/// Runs first; then everything that it staged becomes durable with its charge, or nothing does.
async fn write(
    mut scope: TenantScope,
    mut admission: Admission,
    call: &mut Call<'_, TenantScope, ToolError>,
) -> Result<Ended, ToolError> {
    if let Some(before) = admission.replay().await? {
        return replayed(before);
    }
    loop {
        let seal = Seal(admission.state_seal());
        let ended = call.run(scope, &seal).await;
        let outcome = match &ended {
            Ok(done) => match (done.kind(), done.stored()) {
                (OutcomeKind::Complete, Some(result)) => Outcome::Done { result },
                (OutcomeKind::Asking, _) => Outcome::Failed { code: "asking" },
                _ => Outcome::Failed { code: "failed" },
            },
            Err(err) => Outcome::Failed { code: err.problem().code() },
        };
        match admission.commit(outcome).await? {
            Committed::Now => return ended,
            Committed::Again(next_scope, next) => (scope, admission) = (next_scope, *next),
            before @ Committed::Before(_) => return replayed(before),
        }
    }
}

fn replayed(before: Committed) -> Result<Ended, ToolError> {
    match before {
        Committed::Before(Some(result)) => Ended::from_stored(result),
        _ => None,
    }
    .ok_or_else(|| Problem::internal("replaying a call", "its record holds no result").into())
}

fn operation(request: &Request, call: &Call<'_, TenantScope, ToolError>) -> Result<Operation, Problem> {
    let header = match request.headers.get("idempotency-key") {
        Some(value) => {
            let text = value.to_str().ok().filter(|text| (1..=128).contains(&text.len()));
            let wrong =
                || Problem::Invalid { detail: "Idempotency-Key: 1 to 128 visible characters".to_owned() };
            Some(text.ok_or_else(wrong)?)
        }
        None => None,
    };
    Ok(Operation {
        action: call.name().to_owned(),
        idempotency_key: call.idempotency_key().or(header).map(str::to_owned),
        arguments: call.canonical().to_vec(),
        request_id: request.request_id.clone(),
    })
}

fn http_reply(reply: insula_mcp::Reply) -> Reply {
    Reply { status: reply.status, headers: reply.headers, body: reply.body.into() }
}
