//! The listener: connections, limits, the Host check, routes, CORS.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, HOST,
    HeaderValue,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::reply::{self, OAuthError, Reply};
use super::state::State;
use super::{authorize, dev, register, token};

const BODY_BYTES_MAX: usize = 65_536;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const HEADER_BYTES_MAX: usize = 32_768;
const CONNECTIONS_MAX: usize = 256;

pub(super) fn start(
    listener: TcpListener,
    state: Arc<State>,
    stopped: oneshot::Receiver<()>,
) -> JoinHandle<()> {
    // Every connection belongs to this task's set, so ending the task ends them all.
    #[expect(clippy::disallowed_methods, reason = "the laptop is never frozen, and the handle ends this")]
    tokio::task::spawn(async move {
        let mut connections = JoinSet::new();
        tokio::select! {
            () = accept(&listener, &state, &mut connections) => {}
            // Nothing is ever sent: the sender is dropped.
            _ = stopped => {}
        }
        connections.shutdown().await;
    })
}

async fn accept(listener: &TcpListener, state: &Arc<State>, connections: &mut JoinSet<()>) {
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the laptop is never frozen, and the set ends with the server"
                )]
                connections.spawn(serve(stream, Arc::clone(state)));
            }
            Err(err) => {
                // For instance out of file descriptors: one of the connections has to end first.
                tracing::warn!(error = &err as &dyn std::error::Error, "the identity provider can't accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(&state, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(err) = connection.await {
        tracing::debug!(
            error = &err as &dyn std::error::Error,
            "a connection to the identity provider broke"
        );
    }
}

async fn answer(state: &State, request: Request<Incoming>) -> Reply {
    if !is_for_us(&request, state.port) {
        return reply::text(StatusCode::MISDIRECTED_REQUEST, "this is the identity provider of localhost\n");
    }
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect();
    let body = match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(err)) if err.is::<http_body_util::LengthLimitError>() => {
            return reply::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 KiB\n");
        }
        Ok(Err(_)) => return reply::text(StatusCode::BAD_REQUEST, "the body is broken\n"),
        Err(_) => return reply::text(StatusCode::REQUEST_TIMEOUT, "the body took longer than 10 s\n"),
    };
    route(state, &Request::from_parts(head, body)).await
}

/// Against DNS rebinding: a page of a name that an attacker points at 127.0.0.1 sends that name.
fn is_for_us<B>(request: &Request<B>, port: u16) -> bool {
    let own = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let is_own = |host: &str| own.iter().any(|own| own == host);
    host.to_str().is_ok_and(is_own) && request.uri().authority().is_none_or(|target| is_own(target.as_str()))
}

async fn route(state: &State, request: &Request<Bytes>) -> Reply {
    let path = request.uri().path();
    let (methods, is_open) = match path {
        "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration" | "/jwks" => {
            ("GET", true)
        }
        "/token" | "/register" => ("POST", true),
        "/authorize" => ("GET, POST", false),
        "/dev/token" => ("POST", false),
        _ => return reply::text(StatusCode::NOT_FOUND, "not found\n"),
    };
    let mut reply = match (request.method(), path) {
        (&Method::OPTIONS, _) if is_open => preflight(methods),
        (&Method::GET, "/jwks") => reply::json(StatusCode::OK, &state.keys.jwks(state.now_s())),
        (&Method::GET, "/authorize") => authorize::get(state, request).await,
        (&Method::GET, _) if methods == "GET" => reply::json(StatusCode::OK, &state.metadata()),
        (&Method::POST, "/authorize") => authorize::post(state, request),
        (&Method::POST, "/token") => token::post(state, request).unwrap_or_else(|err| err.reply()),
        (&Method::POST, "/register") => register::post(state, request).unwrap_or_else(|err| err.reply()),
        (&Method::POST, "/dev/token") => {
            dev::post(state, request).unwrap_or_else(|err: OAuthError| err.reply())
        }
        _ => {
            let mut refused = reply::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
            refused
        }
    };
    if is_open {
        // MCP Inspector is a web page. No cookie and no ambient right exists that this could lend to it.
        reply::set(&mut reply, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    }
    reply
}

fn preflight(methods: &'static str) -> Reply {
    let mut reply = reply::text(StatusCode::NO_CONTENT, "");
    reply::set(&mut reply, ACCESS_CONTROL_ALLOW_METHODS, methods);
    reply::set(&mut reply, ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, MCP-Protocol-Version");
    reply
}
