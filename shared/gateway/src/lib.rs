//! The edge: raw events of API Gateway in, checked requests to a handler, replies out. The only user of `lambda_http`.

pub mod authorizer;
pub mod cors;
mod event;
mod guard;
pub mod json;
pub mod reply;
pub mod request;
pub mod rest;
pub mod serve;
pub mod telemetry;
mod tenant;

pub use authorizer::{AuthorizerRequest, Verdict, answer_authorizer, serve_authorizer};
pub use json::{Meta, answer_json, serve_json};
pub use lambda_runtime::{Context, Diagnostic, Error};
pub use reply::{Reply, check_reply};
pub use request::Request;
pub use rest::serve_rest;
pub use serve::{answer, serve};
pub use tenant::for_tenant;

/// Runs a function's `serve` to its end, on one thread: Lambda gives an instance one event at a time.
///
/// # Errors
/// What the future returns, or that the system gave no event loop.
pub fn run(function: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(function)
}
