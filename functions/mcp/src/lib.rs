//! `POST /mcp`: who is it, may they, run the tool, and commit its effect with its charge, or say why not.

mod seal;

use http::{Method, StatusCode};
use insula_gateway::{
    Error, Reply, Request, check_reply, for_tenant,
    rest::RoleOf,
    telemetry::{self, Measured},
};
use insula_mcp::{Builder, Call, Implementation, Outcome as Ended, OutcomeKind, Server, Step};
use insula_tenancy::{
    Admission, Attempt, Config, ConfigError, Door, Effect, Entrance, Idempotency, Keep, Operation, Outcome,
    PRODUCT, Problem, Resolver, Resource, Tenant, TenantScope, start_entrance,
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
    role_of: RoleOf,
}

type Tools = Builder<TenantScope, ToolError>;

/// Starts the function with these tools, for these roles, and serves until Lambda ends it.
///
/// # Errors
/// A declaration that is not whole, a tool for which no role is named, a setting that is wrong, or a registry that does
/// not answer in init.
pub async fn serve(
    declare: impl FnOnce(&Config, Tools) -> Result<Tools, ConfigError>,
    role_of: RoleOf,
) -> Result<(), Error> {
    let config = Config::from_env()?;
    telemetry::start(config.log_level());
    let server = server(&config, declare, role_of)?;
    let mcp = Mcp::new(start_entrance(config).await?, server, role_of);
    insula_gateway::serve(|request| mcp.answer(request)).await
}

/// The protocol with these tools.
///
/// # Errors
/// A declaration that is not whole, or a tool for which no role is named.
pub fn server(
    config: &Config,
    declare: impl FnOnce(&Config, Tools) -> Result<Tools, ConfigError>,
    role_of: RoleOf,
) -> Result<Server<TenantScope, ToolError>, Error> {
    let implementation = Implementation { name: PRODUCT, title: PRODUCT, version: env!("CARGO_PKG_VERSION") };
    let server = declare(config, Server::builder(implementation, INSTRUCTIONS))?.build()?;
    if let Some(nobodys) = server.names().find(|name| role_of(name).is_none()) {
        return Err(format!("no role is named for {nobodys}").into());
    }
    Ok(server)
}

impl Mcp {
    /// The function with this protocol, behind this entrance.
    #[must_use]
    pub fn new(
        (resolver, entrance): (Resolver, Entrance),
        server: Server<TenantScope, ToolError>,
        role_of: RoleOf,
    ) -> Self {
        Self { resolver, entrance, server, role_of }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request) -> Reply {
        let reply = for_tenant(&self.resolver, &request, |tenant| self.serve(&request, tenant)).await;
        telemetry::record_reports(&self.entrance);
        reply
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
                    Err(problem) => self.denied(request, &tenant, &problem).await,
                }
            }
            Step::Reply(reply) => http_reply(reply),
            Step::Introduction(introduction) => match self.entrance.check_named(&tenant).await {
                Ok(name) => http_reply(introduction.reply(name.as_deref())),
                Err(problem) => self.denied(request, &tenant, &problem).await,
            },
            Step::Call(mut call) => {
                let own = tenant.id().clone();
                let outcome = self.call(request, tenant, &mut call).await;
                if let Err(err) = &outcome {
                    telemetry::record_problem(err.problem());
                    let request_id = &request.request_id;
                    telemetry::record_denial(&self.resolver, err.problem(), Some(&own), request_id).await;
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
        let own = tenant.id().clone();
        let granted =
            tenant.demand_scopes(call.scopes()).and_then(|()| self.demand_role(&tenant, call.name()));
        let (scope, admission) = self.entrance.enter(tenant, operation(request, call)?).await?;
        let measured = Measured::new(self.entrance.gauge(&admission));
        let seal = Seal::new(admission.state_seal());
        let ended = admitted((scope, admission), granted, (call, &seal)).await;
        let code = match &ended {
            Ok(ended) => code_of(ended),
            Err(err) => err.problem().code(),
        };
        measured.end(code);
        if seal.met_forgery()
            && let Some(lines) = self.resolver.report_attempt(Attempt::ForgedState, &own).await
        {
            telemetry::record_metrics(&lines);
        }
        ended
    }
}

/// Runs a tool and commits its call, or records that it is refused.
async fn admitted(
    (scope, admission): (TenantScope, Admission),
    granted: Result<(), Problem>,
    (call, seal): (&mut Call<'_, TenantScope, ToolError>, &Seal),
) -> Result<Ended, ToolError> {
    if let Err(problem) = granted {
        admission.refuse(&problem).await?;
        return Err(problem.into());
    }
    let effect = effect_of(call);
    let work = async |scope| {
        let ended = call.run(scope, seal).await?;
        // A tool's result that can't be sent is none, so its call must not be committed as done.
        let sent = ended.sent().map_err(|err| Problem::internal("writing a result", err))?;
        sent.map_or(Ok(()), |sent| check_reply(sent.get()))?;
        Ok(ended)
    };
    admission.settle(scope, effect, work, Keep { outcome, restore: Ended::from_stored }).await
}

/// The word for how a tool ended: what it asks its user is no failure.
fn code_of(ended: &Ended) -> &'static str {
    match ended.kind() {
        OutcomeKind::Complete | OutcomeKind::Asking => "ok",
        _ => "failed",
    }
}

impl Mcp {
    /// The end of a request that is no call.
    async fn denied(&self, request: &Request, tenant: &Tenant, problem: &Problem) -> Reply {
        telemetry::record_denial(&self.resolver, problem, Some(tenant.id()), &request.request_id).await;
        Reply::problem(problem)
    }

    fn demand_role(&self, tenant: &Tenant, name: &str) -> Result<(), Problem> {
        let role = (self.role_of)(name);
        tenant.demand_role(role.ok_or_else(|| Problem::internal("finding a tool's role", name))?)
    }
}

/// How an ended call counts: a question to the user has done nothing yet.
fn outcome(ended: &Ended) -> Outcome<'_> {
    match (ended.kind(), ended.stored()) {
        (OutcomeKind::Complete, Some(result)) => Outcome::Done { result },
        (OutcomeKind::Asking, _) => Outcome::ASKING,
        _ => Outcome::Failed { code: "failed" },
    }
}

fn effect_of(call: &Call<'_, TenantScope, ToolError>) -> Effect {
    let hints = call.hints();
    match (hints.open_world, hints.read_only) {
        (true, _) => Effect::Outside,
        (false, true) if insula_tools::is_uncharged(call.name()) => Effect::Uncharged,
        (false, true) => Effect::Read,
        (false, false) => Effect::Write,
    }
}

fn operation(request: &Request, call: &Call<'_, TenantScope, ToolError>) -> Result<Operation, Problem> {
    let header = request.idempotency_key()?;
    Ok(Operation {
        action: call.name().to_owned(),
        effect: effect_of(call),
        door: Door::Tool,
        idempotency: match call.idempotency_key().or(header) {
            Some(key) => Idempotency::Key(key.to_owned()),
            None if call.retry_safe() => Idempotency::Arguments,
            None => Idempotency::None,
        },
        arguments: call.canonical().to_vec(),
        resource: call.resource().and_then(|address| Resource::fill(address, |name| call.argument(name))),
        request_id: request.request_id.clone(),
    })
}

fn http_reply(reply: insula_mcp::Reply) -> Reply {
    Reply { status: reply.status, headers: reply.headers, body: reply.body.into() }
}
