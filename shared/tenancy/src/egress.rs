//! Calling out for a tenant: over https, to a public address, once, within limits, and with nothing of ours.

use std::{
    error::Error,
    fmt, iter,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::OnceLock,
    task::{self, Poll},
    time::Duration,
    vec,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        self, Client,
        connect::{
            HttpConnector,
            dns::{GaiResolver, Name},
        },
    },
    rt::TokioExecutor,
};
use secrecy::{ExposeSecret, SecretString};
use tower_service::Service;
use url::{Host, Url};

use crate::{
    Config, Problem,
    fetch::{FetchError, TIMEOUT, exchange, may_fetch, tls_config},
};

mod public;

/// Bytes of a reply.
const REPLY_BYTES_MAX: usize = 64 * 1024;

type Connector = HttpsConnector<HttpConnector<Guard>>;

/// The way out, which is opened when it is first gone.
#[derive(Debug)]
pub(crate) struct Egress {
    guard: Guard,
    wait_max: Duration,
    client: OnceLock<Client<Connector, Full<Bytes>>>,
}

/// Finds the addresses of a name, and gives them out only if every one may be called. The connection goes to these very
/// addresses: nobody asks for the name again.
#[derive(Debug, Clone)]
struct Guard {
    names: Names,
    laptop: bool,
}

/// Who knows the addresses of a name.
#[derive(Debug, Clone)]
enum Names {
    /// The operating system.
    System,
    /// A test.
    #[cfg(test)]
    Listed(std::sync::Arc<tests::Listed>),
}

/// Why nobody was called, or what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The URL is not one that is called, or its host has no address that is. Which one is not said: names that only this
    /// network knows are not to be found out.
    Refused,
    /// No connection came about, so that nothing was sent.
    Unreached,
    /// It was sent, and no whole answer came within the limits.
    NoAnswer,
    /// It answered with another status than success. A redirect is not followed.
    Status(u16),
}

impl CallError {
    /// Whether something may have arrived.
    pub(crate) const fn was_sent(self) -> bool {
        matches!(self, Self::NoAnswer | Self::Status(_))
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("it is not called: only https URLs of public hosts are"),
            Self::Unreached => f.write_str("it could not be reached, and nothing was sent"),
            Self::NoAnswer => f.write_str(
                "it was called, and gave no whole answer within 3 s and 64 KiB; it may have acted",
            ),
            Self::Status(status) => write!(f, "it answered with status {status}"),
        }
    }
}

impl Error for CallError {}

impl From<CallError> for Problem {
    fn from(err: CallError) -> Self {
        Self::Outside { detail: format!("the webhook: {err}") }
    }
}

/// A name without an address that may be called.
#[derive(Debug, Clone, Copy)]
struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name has no address, or one that is not public")
    }
}

impl Error for NotPublic {}

impl Egress {
    /// A way out; on the laptop it also leads to loopback, over http too.
    pub(crate) fn new(config: &Config) -> Self {
        let guard = Guard { names: Names::System, laptop: config.is_laptop() };
        Self { guard, wait_max: TIMEOUT, client: OnceLock::new() }
    }

    /// Posts JSON once, and gives back the body of a reply of success. The URL is a secret: no error has it.
    pub(crate) async fn post(&self, url: &SecretString, json: Vec<u8>) -> Result<Bytes, CallError> {
        let url = Url::parse(url.expose_secret()).map_err(|_err| CallError::Refused)?;
        if !self.guard.may_call(&url) {
            return Err(CallError::Refused);
        }
        let request = Request::post(url.as_str())
            .header("content-type", "application/json")
            .body(Full::from(json))
            .map_err(|_err| CallError::Refused)?;
        let client = self.client.get_or_init(|| self.guard.client());
        match exchange(client, request, REPLY_BYTES_MAX, self.wait_max).await {
            Ok(reply) if reply.status().is_success() => Ok(reply.into_body()),
            Ok(reply) => Err(CallError::Status(reply.status().as_u16())),
            Err(FetchError::Http(err)) => Err(without_connection(&*err).unwrap_or(CallError::NoAnswer)),
            Err(_) => Err(CallError::NoAnswer),
        }
    }
}

impl Guard {
    /// Whether a URL is one to call, as far as it says itself: a host that is an address is looked at here, since nobody
    /// will ask for it.
    fn may_call(&self, url: &Url) -> bool {
        let host = match url.host() {
            Some(Host::Ipv4(address)) => self.may_reach(address.into()),
            Some(Host::Ipv6(address)) => self.may_reach(address.into()),
            Some(Host::Domain(name)) => !name.is_empty(),
            None => false,
        };
        host && may_fetch(url, self.laptop) && url.username().is_empty() && url.password().is_none()
    }

    fn may_reach(&self, address: IpAddr) -> bool {
        public::is_public(address) || (self.laptop && address.is_loopback())
    }

    /// A client that keeps no connection, so that every call asks for its addresses, and that sends nothing twice.
    fn client(&self) -> Client<Connector, Full<Bytes>> {
        let mut http = HttpConnector::new_with_resolver(self.clone());
        http.enforce_http(false);
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls_config()).https_or_http().enable_http1();
        Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(tls.wrap_connector(http))
    }

    async fn addresses(self, name: Name) -> Result<vec::IntoIter<SocketAddr>, NotPublic> {
        let found = self.names.find(name).await?;
        let callable = !found.is_empty() && found.iter().all(|address| self.may_reach(address.ip()));
        callable.then(|| found.into_iter()).ok_or(NotPublic)
    }
}

impl Names {
    async fn find(&self, name: Name) -> Result<Vec<SocketAddr>, NotPublic> {
        match self {
            Self::System => {
                let found = GaiResolver::new().call(name).await;
                found.map(Iterator::collect).map_err(|_err| NotPublic)
            }
            #[cfg(test)]
            Self::Listed(listed) => Ok(listed.answer(name.as_str())),
        }
    }
}

impl Service<Name> for Guard {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = NotPublic;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NotPublic>> + Send>>;

    fn poll_ready(&mut self, _context: &mut task::Context<'_>) -> Poll<Result<(), NotPublic>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().addresses(name))
    }
}

/// What a failure was in which no connection came about.
fn without_connection(err: &(dyn Error + Send + Sync + 'static)) -> Option<CallError> {
    let connecting = err.downcast_ref::<legacy::Error>().filter(|err| err.is_connect())?;
    let causes = iter::successors(connecting.source(), |&cause| cause.source());
    let refused = causes.into_iter().any(|cause| cause.is::<NotPublic>());
    Some(if refused { CallError::Refused } else { CallError::Unreached })
}

#[cfg(test)]
mod tests;
