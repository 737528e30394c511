//! Credentials tagged with the tenant that a token proves: the only function that may assume the tenant role.

use insula_gateway::{Error, Meta, serve_json, telemetry};
use insula_tenancy::{Config, Vend, VendReply, VendRequest, start_vend};

/// Starts the function and serves until Lambda ends it.
///
/// # Errors
/// A setting that is wrong, or a registry that does not answer in init.
pub async fn serve() -> Result<(), Error> {
    let config = Config::from_env()?;
    telemetry::start(config.log_level());
    let vend = start_vend(config).await?;
    serve_json(|request: VendRequest, _meta: Meta| answer(&vend, request)).await
}

async fn answer(vend: &Vend, request: VendRequest) -> VendReply {
    let (reply, metrics) = vend.answer(request).await;
    telemetry::record_metrics(&metrics);
    reply
}
