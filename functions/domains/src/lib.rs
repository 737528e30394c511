//! Which domains are whose: proved in the DNS, and the only function that may write a host into the registry.

mod dns;

use insula_gateway::{Error, Meta, serve_json, telemetry};
use insula_tenancy::{Config, DomainRequest, start_registrar};

pub use dns::{Dns, DnsError};

/// Starts the function and serves until Lambda ends it.
///
/// # Errors
/// A setting that is wrong, or a registry that does not answer in init.
pub async fn serve() -> Result<(), Error> {
    let config = Config::from_env()?;
    telemetry::start(config.log_level());
    // The system's own, where the deployment names none.
    let dns = Dns::open(config.require("DNS_RESOLVER").ok())?;
    let registrar = start_registrar(config).await?;
    let look_up = async |name: &str| dns.texts(name).await;
    serve_json(|request: DomainRequest, _meta: Meta| registrar.answer(request, look_up)).await
}
