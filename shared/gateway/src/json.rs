//! A function that another function invokes: JSON in, JSON out, no API Gateway.

use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, Runtime, service_fn};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use tokio::time::Instant;
use tracing::{Instrument, field::Empty, info, info_span};

use crate::guard::{self, diagnostic, guarded};

/// What Lambda says about one invocation.
#[derive(Debug, Clone)]
pub struct Meta {
    /// Lambda's request id.
    pub request_id: String,
    /// When the handler is cut off: Lambda's deadline less 500 ms.
    pub deadline: Instant,
}

/// Answers invocations with this handler until Lambda ends the instance.
///
/// # Errors
/// That Lambda's Runtime API cannot be reached any more.
pub async fn serve_json<I, O, F, Fut>(handler: F) -> Result<(), Error>
where
    I: DeserializeOwned,
    O: Serialize,
    F: Fn(I, Meta) -> Fut,
    Fut: Future<Output = O>,
{
    let handler = &handler;
    let service = |event: LambdaEvent<Box<RawValue>>| async move {
        respond(handler, event.payload.get(), &event.context).await
    };
    Runtime::new(service_fn(service)).run().await
}

/// Answers one invocation, as [`serve_json`] does, without a runtime.
///
/// # Errors
/// What the invoker would be told: the input is of another form, or the handler panicked or was too slow.
pub async fn answer_json<I, O, F, Fut>(
    handler: F,
    input: &[u8],
    context: Context,
) -> Result<Value, Diagnostic>
where
    I: DeserializeOwned,
    O: Serialize,
    F: Fn(I, Meta) -> Fut,
    Fut: Future<Output = O>,
{
    let text = str::from_utf8(input).map_err(|_err| bad_input())?;
    let output = respond(&handler, text, &context).await?;
    serde_json::to_value(output).map_err(|_err| diagnostic("Internal", "internal error"))
}

async fn respond<I, O, F, Fut>(handler: &F, text: &str, context: &Context) -> Result<O, Diagnostic>
where
    I: DeserializeOwned,
    F: Fn(I, Meta) -> Fut,
    Fut: Future<Output = O>,
{
    let started = Instant::now();
    let span = info_span!(
        "invocation",
        request.id = context.request_id,
        trace.id = context.xray_trace_id,
        tenant.id = Empty
    );
    async {
        let deadline = guard::deadline(context);
        let meta = Meta { request_id: context.request_id.clone(), deadline };
        let work = async {
            // The parser's own error would quote the input, which may be a token.
            let input = serde_json::from_str(text).map_err(|_err| bad_input())?;
            Ok(handler(input, meta).await)
        };
        let output = guarded(deadline, work).await.unwrap_or_else(|cut| Err(cut.diagnostic()));
        let duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let error = output.as_ref().err().map(|error| &*error.error_type);
        info!(error, duration_us, "answered");
        output
    }
    .instrument(span)
    .await
}

fn bad_input() -> Diagnostic {
    diagnostic("BadInput", "the input is not of this function's form")
}

#[cfg(test)]
mod tests;
