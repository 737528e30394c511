//! An authorizer of API Gateway, of type REQUEST. Whatever is not in order is denied.

use std::{collections::BTreeMap, fmt};

use http::{HeaderValue, Method};
use insula_tenancy::{Denial, EventKind, Evidence};
use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, Runtime, service_fn};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::time::Instant;
use tracing::{Instrument, Span, error, field::Empty, info, info_span};

use crate::{
    event::{Checked, Event},
    guard::{self, diagnostic, guarded},
};

/// What an authorizer decides on: a request without its body. Its `Debug` shows no path.
pub struct AuthorizerRequest {
    /// All that can name a tenant, with the bearer token; its authorizer part is always empty.
    pub evidence: Evidence,
    /// Why there is no bearer token although there is an `Authorization` header.
    pub bearer_denial: Option<Denial>,
    /// The method.
    pub method: Method,
    /// The path template of API Gateway's route.
    pub route: String,
    /// The path as the client sent it, which decides nothing.
    pub path: String,
    /// API Gateway's request id, else Lambda's.
    pub request_id: String,
    /// The X-Ray trace id.
    pub trace_id: Option<String>,
    /// When the handler is cut off: Lambda's deadline less 500 ms.
    pub deadline: Instant,
}

/// What an authorizer decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The request may go on, for exactly its own method and path.
    Allow {
        /// What the function behind it finds in its request context.
        context: BTreeMap<String, String>,
        /// Who the caller is, for API Gateway's own logs.
        principal: String,
    },
    /// The request ends with 401.
    Deny {
        /// The value of `WWW-Authenticate`, which the gateway response takes from `context.authorizer.challenge`.
        challenge: String,
    },
    /// It cannot be decided now. API Gateway ends the request with its `AUTHORIZER_FAILURE`, and a retry may succeed: a
    /// denial would make the client sign in again.
    Unavailable,
}

/// Answers an authorizer's events with this handler until Lambda ends the instance. What is not in order is denied whatever
/// comes of it; `malformed` is told of it, by a request id, and awaited before the answer.
///
/// # Errors
/// That Lambda's Runtime API cannot be reached any more.
pub async fn serve_authorizer<F, Fut, M>(handler: F, malformed: M) -> Result<(), Error>
where
    F: Fn(AuthorizerRequest) -> Fut,
    Fut: Future<Output = Verdict>,
    M: AsyncFn(&str),
{
    let (handler, malformed) = (&handler, &malformed);
    let service = |event: LambdaEvent<Box<RawValue>>| async move {
        respond((handler, malformed), event.payload.get(), &event.context).await
    };
    Runtime::new(service_fn(service)).run().await
}

/// Answers one event, as [`serve_authorizer`] does, without a runtime.
///
/// # Errors
/// What Lambda would be told: the handler panicked, was too slow, or could not decide.
pub async fn answer_authorizer<F, Fut>(
    handler: F,
    event: &[u8],
    context: Context,
) -> Result<Value, Diagnostic>
where
    F: Fn(AuthorizerRequest) -> Fut,
    Fut: Future<Output = Verdict>,
{
    respond((&handler, &async |_: &str| {}), &String::from_utf8_lossy(event), &context).await
}

async fn respond<F, Fut, M>(handlers: (&F, &M), text: &str, context: &Context) -> Result<Value, Diagnostic>
where
    F: Fn(AuthorizerRequest) -> Fut,
    Fut: Future<Output = Verdict>,
    M: AsyncFn(&str),
{
    let started = Instant::now();
    let span = info_span!(
        "authorization",
        request.id = context.request_id,
        trace.id = context.xray_trace_id,
        http.route = Empty,
        tenant.id = Empty
    );
    async {
        let verdict = match guarded(guard::deadline(context), decide(handlers, text, context)).await {
            Ok(verdict) => verdict,
            Err(cut) => {
                error!(cut = ?cut, "the authorizer gave no verdict");
                return Err(cut.diagnostic());
            }
        };
        let word = match verdict {
            Verdict::Allow { .. } => "allow",
            Verdict::Deny { .. } => "deny",
            Verdict::Unavailable => "unavailable",
        };
        let duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        info!(verdict = word, duration_us, "decided");
        Address::read(text).encode(verdict)
    }
    .instrument(span)
    .await
}

async fn decide<F, Fut, M>((handler, malformed): (&F, &M), text: &str, context: &Context) -> Verdict
where
    F: Fn(AuthorizerRequest) -> Fut,
    Fut: Future<Output = Verdict>,
    M: AsyncFn(&str),
{
    match read(text, context) {
        Ok(request) => {
            Span::current().record("request.id", &request.request_id).record("http.route", &request.route);
            handler(request).await
        }
        Err(reason) => {
            info!(reason, "an event that is not in order");
            malformed(&context.request_id).await;
            Verdict::Deny { challenge: BARE_CHALLENGE.to_owned() }
        }
    }
}

const BARE_CHALLENGE: &str = "Bearer";

fn read(text: &str, context: &Context) -> Result<AuthorizerRequest, String> {
    let event = Event::read(text).map_err(|foreign| foreign.0.to_owned())?;
    if !event.asks_an_authorizer() {
        return Err("the event is not for an authorizer of type REQUEST".to_owned());
    }
    if event.kind == EventKind::V1 && !event.method_arn().is_some_and(names_one_method) {
        return Err("the event lacks a method ARN that names one method".to_owned());
    }
    let checked = event.check(context.tenant_id.as_deref()).map_err(|refusal| format!("{refusal:?}"))?;
    let Checked { evidence, bearer_denial, method, route, path, request_id, origin: _ } = checked;
    if evidence.authorizer.is_some() || evidence.jwt_claims.is_some() {
        return Err("another authorizer has been asked before".to_owned());
    }
    Ok(AuthorizerRequest {
        evidence,
        bearer_denial,
        method,
        route,
        path,
        request_id: request_id.unwrap_or_else(|| context.request_id.clone()),
        trace_id: context.xray_trace_id.clone(),
        deadline: guard::deadline(context),
    })
}

/// The ARN ends in the client's path. In a policy, `*` and `?` would match other methods, and `${…}` is a variable.
fn names_one_method(arn: &str) -> bool {
    arn.starts_with("arn:") && !arn.contains(['*', '?', '$'])
}

/// Which form the answer has. Read apart from the check, so that a denial always finds its way.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Address {
    version: Value,
    method_arn: Value,
}

impl Address {
    fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    fn encode(&self, verdict: Verdict) -> Result<Value, Diagnostic> {
        let simple = self.version == "2.0";
        let method_arn = self.method_arn.as_str().unwrap_or("*");
        match verdict {
            Verdict::Allow { context, .. } if simple => Ok(json!({"isAuthorized": true, "context": context})),
            Verdict::Allow { context, principal } => {
                Ok(policy("Allow", method_arn, &principal, &json!(context)))
            }
            Verdict::Deny { challenge } => {
                let challenge = HeaderValue::try_from(&challenge).map_or(BARE_CHALLENGE, |_| &challenge);
                let context = json!({"challenge": challenge});
                if simple {
                    return Ok(json!({"isAuthorized": false, "context": context}));
                }
                Ok(policy("Deny", method_arn, "anonymous", &context))
            }
            Verdict::Unavailable => Err(diagnostic("Unavailable", "not decided; try again")),
        }
    }
}

/// The answer to a REST API, or to an HTTP API with payload 1.0.
fn policy(effect: &str, method_arn: &str, principal: &str, context: &Value) -> Value {
    json!({
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": method_arn}],
        },
        "context": context,
    })
}

impl fmt::Debug for AuthorizerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizerRequest")
            .field("method", &self.method)
            .field("route", &self.route)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
