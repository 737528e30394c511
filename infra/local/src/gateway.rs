//! API Gateway on the laptop: REST APIs and HTTP APIs, their events, authorizers and own answers.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::lambda::{Invocation, InvokeError, Lambda};
use crate::names::Names;
use crate::template::{ApiKind, Authorizer, Stack};
use authorize::Authorized;
use expression::Expression;
use head::{HEADERS_MAX, Headers, Recorder, Tee};
use jwks::Issuer;
use jwt::Verifier;
use refusal::{Kind, Refusal};
use reply::Reply;
use request::{Ends, Ids, Request};
use routes::Matched;

mod authorize;
mod check;
mod expression;
mod head;
mod http_event;
mod jwks;
mod jwt;
mod policy;
mod refusal;
mod reply;
mod request;
mod rest_event;
mod routes;
#[cfg(test)]
mod tests;

/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_millis(if cfg!(test) { 400 } else { 10_000 });

/// Above this hyper itself refuses a request's head.
const HEAD_BUFFER_BYTES: usize = 65_536;

/// The longest that a REST API waits for its integration, and an HTTP API a second more.
const REST_TIMEOUT: Duration = Duration::from_secs(29);
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// A gateway that can't be started.
#[derive(Debug)]
pub enum StartError {
    /// The listener has no address.
    Listen(io::Error),
    /// The templates ask for what the laptop can't do.
    Template(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(_) => f.write_str("the gateway's listener has no address"),
            Self::Template(problem) => write!(f, "the template's api: {problem}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen(err) => Some(err),
            Self::Template(_) => None,
        }
    }
}

/// A running API.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    /// Ended when this is dropped.
    tasks: JoinSet<()>,
}

impl Gateway {
    /// Serves the stack's API at the listener, for the hosts of these names, at any port.
    ///
    /// # Errors
    /// [`StartError::Template`] when the API asks for what the laptop can't do.
    pub async fn start(
        listener: TcpListener,
        stack: Arc<Stack>,
        lambda: Arc<Lambda>,
        names: Names,
    ) -> Result<Self, StartError> {
        let timeout = match stack.api.kind {
            ApiKind::Rest => REST_TIMEOUT,
            ApiKind::Http => HTTP_TIMEOUT,
        };
        Self::serve(listener, Edge::new(stack, lambda, names, timeout)?)
    }

    fn serve(listener: TcpListener, edge: Edge) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let mut tasks = JoinSet::new();
        #[expect(clippy::disallowed_methods, reason = "the laptop is never frozen, and `stop` ends this")]
        tasks.spawn(accept(listener, Arc::new(edge)));
        Ok(Self { address, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and every connection.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// What every request needs.
#[derive(Debug)]
struct Edge {
    stack: Arc<Stack>,
    lambda: Arc<Lambda>,
    names: Names,
    verifiers: BTreeMap<String, Verifier>,
    /// For the integration, and for the authorizer.
    timeout: Duration,
}

impl Edge {
    fn new(
        stack: Arc<Stack>,
        lambda: Arc<Lambda>,
        names: Names,
        timeout: Duration,
    ) -> Result<Self, StartError> {
        check::check(&stack)?;
        let mut verifiers = BTreeMap::new();
        for (name, authorizer) in &stack.api.authorizers {
            if let Authorizer::Jwt { issuer, audiences, .. } = authorizer {
                let problem =
                    || StartError::Template(format!("authorizer {name}: an issuer beyond loopback"));
                let issuer = Issuer::new(issuer).ok_or_else(problem)?;
                verifiers.insert(name.clone(), Verifier::new(issuer, audiences.clone()));
            }
        }
        Ok(Self { stack, lambda, names, verifiers, timeout })
    }

    /// Only an HTTP API has its own host open.
    fn is_served(&self, domain: &str) -> bool {
        if self.names.have(domain) {
            return true;
        }
        let (id, region) = (&self.stack.api.id, &self.stack.region);
        let own = format!("{id}.execute-api.{region}.amazonaws.com").to_ascii_lowercase();
        self.stack.api.kind == ApiKind::Http && domain == own
    }

    async fn reply(&self, request: http::Request<Incoming>, headers: Option<Headers>, ends: Ends) -> Reply {
        let ids = Ids::new(headers.as_ref());
        let read = Request::read(request, headers, ids, ends, |domain| self.is_served(domain)).await;
        let api = &self.stack.api;
        let (mut reply, ids) = match read {
            Ok(request) => {
                let request = request.seen_by(api.kind);
                let answer = self.answer(&request).await;
                let refused = |refusal: Refusal| refusal.reply(api, &request.ids, Some(&request));
                (answer.unwrap_or_else(refused), request.ids)
            }
            Err((kind, ids)) => (Refusal::from(kind).reply(api, &ids, None), ids),
        };
        match api.kind {
            ApiKind::Rest => {
                reply.headers.push(("x-amzn-RequestId".to_owned(), ids.request));
                reply.headers.push(("x-amz-apigw-id".to_owned(), ids.extended));
                reply.headers.push(("X-Amzn-Trace-Id".to_owned(), ids.trace));
            }
            ApiKind::Http => reply.headers.push(("apigw-requestid".to_owned(), ids.extended)),
        }
        reply
    }

    async fn answer(&self, request: &Request) -> Result<Reply, Refusal> {
        let api = &self.stack.api;
        // A REST API can't read these unless they are encoded. Source: the important notes on REST APIs.
        if api.kind == ApiKind::Rest && request.query.contains(['|', '{', '}']) {
            return Err(Kind::BadRequest.into());
        }
        let matched = routes::find(api, &request.method, &request.path).ok_or(Kind::NoRoute)?;
        let by = authorize::authorize(self, request, &matched).await?;
        let event = match api.kind {
            ApiKind::Rest => rest_event::proxy(&self.stack, request, &matched, &by),
            ApiKind::Http => http_event::proxy(&self.stack, request, &matched, &by),
        };
        let invocation = Invocation {
            function: matched.route.function_arn.clone(),
            tenant: tenant(&matched, &by),
            trace_id: Some(request.ids.trace.clone()),
            payload: Bytes::from(event.to_string()),
        };
        let invoked = timeout(self.timeout, self.lambda.invoke_with(invocation)).await;
        let invoked = invoked.ok().ok_or(Kind::IntegrationTimeout)?.map_err(|err| {
            tracing::warn!(error = %err, route = matched.key(), "lambda refused the call");
            match err {
                InvokeError::RequestTooLarge => Kind::BodyTooLarge,
                _ => Kind::IntegrationConfiguration,
            }
        })?;
        if invoked.function_error.is_some() {
            return Err(Kind::Integration.into());
        }
        Ok(Reply::from_function(api, request.header("accept").as_deref(), &invoked.payload)?)
    }
}

/// Lambda's tenant id: from the authorizer's context, never from what a client sends.
fn tenant(matched: &Matched<'_>, by: &Authorized) -> Option<String> {
    match (check::tenant_source(matched.route)?, by) {
        (Expression::Literal(text), _) => Some(text),
        (Expression::Authorizer(key), Authorized::Policy { context, .. }) => context.get(&key).cloned(),
        _ => None,
    }
}

async fn accept(listener: TcpListener, edge: Arc<Edge>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    #[expect(clippy::disallowed_methods, reason = "the laptop is never frozen, and the set ends with the gateway")]
                    connections.spawn(converse(stream, client, Arc::clone(&edge)));
                }
                // Out of file descriptors: the next attempt is not made at once.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

async fn converse(stream: TcpStream, client: SocketAddr, edge: Arc<Edge>) {
    let Ok(server) = stream.local_addr() else { return };
    if let Err(err) = stream.set_nodelay(true) {
        tracing::debug!(error = %err, "a client's connection has no options");
    }
    let recorder = Arc::new(Mutex::new(Recorder::default()));
    let tee = Tee::new(stream, Arc::clone(&recorder));
    let service = service_fn(move |request: http::Request<Incoming>| {
        // Now, before hyper reads on: what is recorded is this request's head and no more than its body.
        let body_bytes = request.body().size_hint().exact();
        let headers = recorder.lock().unwrap_or_else(PoisonError::into_inner).take(body_bytes);
        let edge = Arc::clone(&edge);
        async move {
            let reply = edge.reply(request, headers, Ends { client, server }).await;
            Ok::<_, Infallible>(last_if_chunked(reply.into_response(), body_bytes))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BUFFER_BYTES)
        .serve_connection(TokioIo::new(tee), service);
    if let Err(err) = connection.await {
        tracing::debug!(error = %err, "a client's connection ended");
    }
}

/// Where the body's length was not said, the next head can't be found among the recorded bytes.
fn last_if_chunked(
    mut response: http::Response<Full<Bytes>>,
    body_bytes: Option<u64>,
) -> http::Response<Full<Bytes>> {
    if body_bytes.is_none() {
        response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    response
}
