//! What follows a write and is no part of it: the stream of the data table. The kernel's `meter` has what is done.

use insula_gateway::{Error, Meta, serve_json, telemetry};
use insula_tenancy::{Config, Meter, StreamEvent, StreamReply, start_meter};
use insula_tools::Collections;

/// Starts the function and serves until Lambda ends it.
///
/// # Errors
/// A setting that is wrong.
pub async fn serve() -> Result<(), Error> {
    let config = Config::from_env()?;
    telemetry::start(config.log_level());
    let collections = Collections::read(&config)?;
    let names = collections.all().iter().map(|collection| collection.name().clone()).collect();
    let meter = start_meter(config, names).await?;
    serve_json(|event: StreamEvent, meta: Meta| answer(&meter, event, meta)).await
}

async fn answer(meter: &Meter, event: StreamEvent, meta: Meta) -> StreamReply {
    let (reply, metrics) = meter.take(event, meta.deadline).await;
    telemetry::record_metrics(&metrics);
    reply
}
