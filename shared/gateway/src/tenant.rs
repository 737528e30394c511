//! What every function that serves tenants does before its own work: who is it, and may this page ask?

use insula_tenancy::{Position, Resolver, Tenant};

use crate::{Reply, Request, cors, telemetry};

/// Answers a request for the tenant that its evidence proves, or says why there is none.
pub async fn for_tenant<Fut: Future<Output = Reply>>(
    resolver: &Resolver,
    request: &Request,
    serve: impl FnOnce(Tenant) -> Fut,
) -> Reply {
    let tenant = match resolver.resolve(Position::Behind, &request.evidence).await {
        Ok(tenant) => tenant,
        Err(problem) => {
            telemetry::record_denial(resolver, &problem, None, &request.request_id).await;
            return Reply::problem(&problem);
        }
    };
    telemetry::record_tenant(tenant.id());
    resolver.write_denials().await;
    let origins = tenant.origins().to_vec();
    let reply = match cors::demand(request, &origins) {
        Ok(()) => serve(tenant).await,
        Err(problem) => {
            resolver.count(&problem, tenant.id());
            telemetry::record_denial(resolver, &problem, Some(tenant.id()), &request.request_id).await;
            Reply::problem(&problem)
        }
    };
    cors::expose(reply, request, &origins)
}
