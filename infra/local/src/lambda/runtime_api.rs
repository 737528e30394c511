//! The Lambda Runtime API, version 2018-06-01: one server, and in its paths an id that only one instance knows.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::lambda::pool::{Delivery, Pool};
use crate::lambda::{self, Invoked, RESPONSE_BYTES_MAX};

/// Answers instances until it is dropped.
pub(super) async fn serve(listener: TcpListener, pool: Arc<Pool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let pool = Arc::clone(&pool);
                    let service = service_fn(move |request| answer(Arc::clone(&pool), request));
                    #[expect(clippy::disallowed_methods, reason = "the laptop is never frozen, and the set ends with the server")]
                    connections.spawn(async move {
                        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                        if let Err(err) = connection.await {
                            tracing::debug!(error = %err, "a function left the runtime api");
                        }
                    });
                }
                // Out of file descriptors: the next attempt is not made at once.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

async fn answer(pool: Arc<Pool>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut parts = path.splitn(3, '/').skip(1);
    let id = parts.next().and_then(|id| Uuid::try_parse(id).ok());
    let Some((id, rest)) = id.zip(parts.next()) else {
        return Ok(problem(StatusCode::FORBIDDEN, "Runtime.Forbidden", "not an instance"));
    };
    let Some(call) = rest.strip_prefix("2018-06-01/runtime/") else {
        return Ok(problem(StatusCode::NOT_FOUND, "Runtime.NotFound", "no such call"));
    };
    Ok(match (request.method(), call) {
        (&Method::GET, "invocation/next") => next(&pool, id).await,
        (&Method::POST, "init/error") => {
            let diagnostic = match body(request).await {
                Body::Whole(diagnostic) => diagnostic,
                Body::TooLarge | Body::Broken => Bytes::new(),
            };
            accepted(pool.init_failed(id, diagnostic))
        }
        (&Method::POST, call) => finish(&pool, id, call.to_owned(), request).await,
        _ => problem(StatusCode::NOT_FOUND, "Runtime.NotFound", "no such call"),
    })
}

async fn next(pool: &Arc<Pool>, id: Uuid) -> Response<Full<Bytes>> {
    let Some(delivery) = pool.next(id) else {
        return problem(StatusCode::FORBIDDEN, "Runtime.Forbidden", "not idle");
    };
    match delivery.await {
        Ok(delivery) => delivered(delivery),
        Err(_) => problem(StatusCode::GONE, "Runtime.Gone", "the instance has ended"),
    }
}

fn delivered(delivery: Delivery) -> Response<Full<Bytes>> {
    let Delivery { request_id, function, invocation } = delivery;
    let timeout = time::Duration::seconds(function.timeout_s.into());
    let deadline = OffsetDateTime::now_utc().saturating_add(timeout);
    let deadline_ms = deadline.unix_timestamp_nanos().saturating_div(1_000_000);
    let trace_id = invocation.trace_id.unwrap_or_else(lambda::trace_id);
    let mut response = Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", request_id.to_string())
        .header("Lambda-Runtime-Deadline-Ms", deadline_ms.to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", &function.arn)
        .header("Lambda-Runtime-Trace-Id", trace_id);
    if let Some(tenant) = invocation.tenant {
        response = response.header("Lambda-Runtime-Aws-Tenant-Id", tenant);
    }
    response
        .body(Full::new(invocation.payload))
        .unwrap_or_else(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "Runtime.Internal", "bad header"))
}

/// `invocation/<request id>/response` and `invocation/<request id>/error`.
async fn finish(pool: &Pool, id: Uuid, call: String, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut parts = call.split('/');
    let (Some("invocation"), Some(request_id), Some(verb), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return problem(StatusCode::NOT_FOUND, "Runtime.NotFound", "no such call");
    };
    let Ok(request_id) = Uuid::try_parse(request_id) else {
        return problem(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
    };
    let payload = match body(request).await {
        Body::Whole(payload) => payload,
        Body::TooLarge => return too_large(pool, id, request_id),
        // The function did not finish its reply, so the call goes on until its deadline.
        Body::Broken => return accepted(false),
    };
    let function_error = match verb {
        "response" => None,
        "error" => Some("Unhandled".to_owned()),
        _ => return problem(StatusCode::NOT_FOUND, "Runtime.NotFound", "no such call"),
    };
    accepted(pool.finish(id, request_id, Invoked { payload, function_error }))
}

fn too_large(pool: &Pool, id: Uuid, request_id: Uuid) -> Response<Full<Bytes>> {
    let limit = format!("exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes).");
    let failed = Invoked::failed("Function.ResponseSizeTooLarge", &format!("Response payload size {limit}"));
    if !pool.finish(id, request_id, failed) {
        return accepted(false);
    }
    problem(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &limit)
}

enum Body {
    Whole(Bytes),
    TooLarge,
    Broken,
}

/// What is above the limit is read all the same: a connection that is cut would end the function's runtime,
/// and Lambda does not do that.
async fn body(request: Request<Incoming>) -> Body {
    let mut body = request.into_body();
    let mut kept = Vec::new();
    let mut fits = true;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Body::Broken };
        if let Some(data) = frame.data_ref() {
            fits = fits && kept.len().saturating_add(data.len()) <= RESPONSE_BYTES_MAX;
            if fits {
                kept.extend_from_slice(data);
            }
        }
    }
    if fits { Body::Whole(Bytes::from(kept)) } else { Body::TooLarge }
}

fn accepted(known: bool) -> Response<Full<Bytes>> {
    if !known {
        return problem(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
    }
    let mut response = Response::new(Full::from(r#"{"status":"OK"}"#));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn problem(status: StatusCode, error_type: &str, message: &str) -> Response<Full<Bytes>> {
    let body = json!({ "errorType": error_type, "errorMessage": message }).to_string();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}
