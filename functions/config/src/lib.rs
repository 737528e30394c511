//! `/v1/config`: what the tenant has set, and what is set for it.

use insula_gateway::{Error, rest::Endpoint, serve_rest};

/// Starts the function and serves until Lambda ends it.
///
/// # Errors
/// A setting that is wrong, an endpoint without a role, or a registry that does not answer in init.
pub async fn serve() -> Result<(), Error> {
    serve_rest(|_config| Ok(endpoints()), insula_tools::role_of).await
}

/// Every endpoint of the function.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    Vec::new()
}
