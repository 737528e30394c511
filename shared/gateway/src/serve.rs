//! A function behind a route of API Gateway.

use insula_tenancy::EventKind;
use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, Runtime, service_fn};
use serde_json::{Value, value::RawValue};
use tokio::time::Instant;
use tracing::{Instrument, Span, field::Empty, info, info_span};

use crate::{
    Reply, Request,
    event::Event,
    guard::{self, diagnostic, guarded},
    reply::Encoded,
};

/// Answers API Gateway's events with this handler until Lambda ends the instance.
///
/// # Errors
/// That Lambda's Runtime API cannot be reached any more.
pub async fn serve<F, Fut>(handler: F) -> Result<(), Error>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Reply>,
{
    let handler = &handler;
    let service = |event: LambdaEvent<Box<RawValue>>| async move {
        respond(handler, event.payload.get(), &event.context).await
    };
    Runtime::new(service_fn(service)).run().await
}

/// Answers one event, as [`serve`] does, without a runtime: the door by which tests ask a function.
///
/// # Errors
/// What Lambda would be told: that the text is no event of API Gateway.
pub async fn answer<F, Fut>(handler: F, event: &[u8], context: Context) -> Result<Value, Diagnostic>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Reply>,
{
    let Ok(text) = str::from_utf8(event) else {
        return Err(diagnostic("NotAnApiEvent", "the event is not UTF-8"));
    };
    let reply = respond(&handler, text, &context).await?;
    serde_json::to_value(reply)
        .map_err(|_err| diagnostic("Internal", "the reply has a header that is not UTF-8"))
}

async fn respond<F, Fut>(handler: &F, text: &str, context: &Context) -> Result<Encoded, Diagnostic>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Reply>,
{
    let started = Instant::now();
    let event = Event::read(text).map_err(|foreign| diagnostic("NotAnApiEvent", foreign.0))?;
    let span = info_span!(
        "request",
        request.id = context.request_id,
        trace.id = context.xray_trace_id,
        http.route = Empty,
        http.method = Empty,
        tenant.id = Empty
    );
    async {
        let deadline = guard::deadline(context);
        let reply = match guarded(deadline, handle(handler, &event, text, context)).await {
            Ok(reply) => reply,
            Err(cut) => Reply::problem(&cut.problem()),
        };
        let duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        info!(http.status = reply.status.as_u16(), event.kind = edge(event.kind), duration_us, "answered");
        Ok(reply.encode(event.kind))
    }
    .instrument(span)
    .await
}

async fn handle<F, Fut>(handler: &F, event: &Event<'_>, text: &str, context: &Context) -> Reply
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Reply>,
{
    match Request::read(event, text, context) {
        Ok(request) => {
            // The template and not the path: a path may name a tenant's things.
            Span::current()
                .record("request.id", &request.request_id)
                .record("http.route", &request.route)
                .record("http.method", request.method.as_str());
            handler(request).await
        }
        Err(refusal) => {
            info!(refusal = ?refusal, "refused before the handler");
            refusal.reply()
        }
    }
}

const fn edge(kind: EventKind) -> &'static str {
    match kind {
        EventKind::V1 => "rest",
        EventKind::V2 => "http",
    }
}

#[cfg(test)]
mod tests;
