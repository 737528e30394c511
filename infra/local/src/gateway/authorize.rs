//! What decides before the function runs: Lambda authorizers of both products, and the JWT authorizer.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::gateway::policy::{self, Decision};
use crate::gateway::refusal::{Kind, Refusal};
use crate::gateway::request::Request;
use crate::gateway::routes::Matched;
use crate::gateway::{Edge, http_event, rest_event};
use crate::lambda::{Invocation, Invoked};
use crate::template::{ApiKind, Authorizer};

/// How a request got through.
#[derive(Debug)]
pub(super) enum Authorized {
    /// The route has no authorizer.
    Open,
    /// A REST API's Lambda authorizer.
    Policy { principal: String, context: BTreeMap<String, String>, latency_ms: u64 },
    /// An HTTP API's Lambda authorizer.
    Lambda { context: Map<String, Value> },
    /// An HTTP API's JWT authorizer; claims are strings.
    Jwt { claims: BTreeMap<String, String> },
}

/// Asks the route's authorizer.
pub(super) async fn authorize(
    edge: &Edge,
    request: &Request,
    matched: &Matched<'_>,
) -> Result<Authorized, Refusal> {
    let Some(name) = &matched.route.authorizer else { return Ok(Authorized::Open) };
    let api = &edge.stack.api;
    match (api.authorizers.get(name), api.kind) {
        (Some(Authorizer::Request { function_arn, identity_sources, .. }), ApiKind::Rest) => {
            identities(request, identity_sources)?;
            rest(edge, request, matched, function_arn).await
        }
        (
            Some(Authorizer::Request { function_arn, identity_sources, simple_responses, .. }),
            ApiKind::Http,
        ) => {
            let identities = identities(request, identity_sources)?;
            let arn = arn(edge, request);
            let event = http_event::authorizer(&edge.stack, request, matched, &arn, &identities);
            let answer = ask(edge, request, function_arn, &event).await?;
            http(&answer, &arn, *simple_responses)
        }
        (Some(Authorizer::Jwt { identity_source, .. }), ApiKind::Http) => {
            let token = identity(request, identity_source);
            let verifier = edge.verifiers.get(name).ok_or(Kind::AuthorizerConfiguration)?;
            match verifier.verify(token.as_deref(), request.time.unix_timestamp()).await {
                Ok(claims) => Ok(Authorized::Jwt { claims }),
                Err(challenge) => {
                    Err(Refusal { challenge: Some(challenge.to_string()), ..Kind::Unauthorized.into() })
                }
            }
        }
        // The templates are checked at the start, so this is not reached.
        _ => Err(Kind::AuthorizerConfiguration.into()),
    }
}

/// `arn:aws:execute-api:<region>:<account>:<api>/<stage>/<method>/<path>`.
fn arn(edge: &Edge, request: &Request) -> String {
    let (stack, api) = (&edge.stack, &edge.stack.api);
    let place = format!("arn:aws:execute-api:{}:{}:{}", stack.region, stack.account, api.id);
    let path = request.path.strip_prefix('/').unwrap_or(&request.path);
    format!("{place}/{}/{}/{path}", api.stage, request.method)
}

async fn rest(
    edge: &Edge,
    request: &Request,
    matched: &Matched<'_>,
    function: &str,
) -> Result<Authorized, Refusal> {
    let arn = arn(edge, request);
    let event = rest_event::authorizer(&edge.stack, request, matched, &arn);
    let started = Instant::now();
    let answer = ask(edge, request, function, &event).await?;
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let answer = policy::read(&answer, &arn).ok_or(Kind::AuthorizerConfiguration)?;
    let context = answer.context_strings().ok_or(Kind::AuthorizerConfiguration)?;
    let kind = match answer.decision {
        Decision::Allow => {
            return Ok(Authorized::Policy { principal: answer.principal, context, latency_ms });
        }
        Decision::ImplicitDeny => Kind::ImplicitDeny,
        Decision::ExplicitDeny => Kind::ExplicitDeny,
    };
    Err(Refusal { kind, context, challenge: None })
}

fn http(answer: &[u8], arn: &str, simple_responses: bool) -> Result<Authorized, Refusal> {
    if !simple_responses {
        let answer = policy::read(answer, arn).ok_or(Kind::AuthorizerConfiguration)?;
        return match answer.decision {
            Decision::Allow => Ok(Authorized::Lambda { context: answer.context }),
            Decision::ImplicitDeny | Decision::ExplicitDeny => Err(Kind::ExplicitDeny.into()),
        };
    }
    let answer: Option<Value> = serde_json::from_slice(answer).ok();
    let answer = answer.ok_or(Kind::AuthorizerConfiguration)?;
    let context = match answer.get("context") {
        None | Some(Value::Null) => Map::new(),
        Some(context) => context.as_object().cloned().ok_or(Kind::AuthorizerConfiguration)?,
    };
    match answer.get("isAuthorized").and_then(Value::as_bool) {
        Some(true) => Ok(Authorized::Lambda { context }),
        Some(false) => Err(Kind::ExplicitDeny.into()),
        None => Err(Kind::AuthorizerConfiguration.into()),
    }
}

async fn ask(edge: &Edge, request: &Request, function: &str, event: &Value) -> Result<Bytes, Refusal> {
    let invocation = Invocation {
        function: function.to_owned(),
        tenant: None,
        trace_id: Some(request.ids.trace.clone()),
        payload: Bytes::from(event.to_string()),
    };
    let invoked = tokio::time::timeout(edge.timeout, edge.lambda.invoke_with(invocation)).await;
    match invoked {
        Ok(Ok(Invoked { payload, function_error: None })) => Ok(payload),
        Ok(Ok(Invoked { payload, .. })) if says_unauthorized(&payload) => Err(Kind::Unauthorized.into()),
        Ok(Ok(_)) | Err(_) => Err(Kind::AuthorizerFailure.into()),
        Ok(Err(_)) => Err(Kind::AuthorizerConfiguration.into()),
    }
}

/// The one error of an authorizer that is no failure: the exact message `Unauthorized` asks for a 401.
fn says_unauthorized(error: &[u8]) -> bool {
    let error: Option<Value> = serde_json::from_slice(error).ok();
    error.is_some_and(|error| error.get("errorMessage").is_some_and(|message| message == "Unauthorized"))
}

/// The values that the authorizer demands. A missing one is a 401, and the authorizer is not asked.
fn identities(request: &Request, sources: &[String]) -> Result<Vec<String>, Refusal> {
    let values = sources.iter().map(|source| identity(request, source).filter(|value| !value.is_empty()));
    values.collect::<Option<Vec<String>>>().ok_or(Kind::Unauthorized.into())
}

fn identity(request: &Request, source: &str) -> Option<String> {
    match Source::parse(source)? {
        Source::Header(name) => request.header(name),
        Source::Query(name) => {
            let mut query = url::form_urlencoded::parse(request.query.as_bytes());
            query.find(|(each, _)| each == name).map(|(_, value)| value.into_owned())
        }
    }
}

/// An identity source that the laptop knows.
pub(super) enum Source<'a> {
    Header(&'a str),
    Query(&'a str),
}

impl<'a> Source<'a> {
    /// The forms of REST APIs (`method.request.…`) and HTTP APIs (`$request.…`).
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let place = text.strip_prefix("method.request.").or_else(|| text.strip_prefix("$request."))?;
        match place.split_once('.')? {
            ("header", name) => Some(Self::Header(name)),
            ("querystring", name) => Some(Self::Query(name)),
            _ => None,
        }
    }
}
