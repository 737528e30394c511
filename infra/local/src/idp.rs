//! The laptop's identity provider: OAuth 2.1 and OpenID Connect for test users, on loopback only.

mod authorize;
mod client;
mod dev;
mod document;
mod form;
mod key;
mod mint;
mod options;
mod page;
mod register;
mod reply;
mod resource;
mod server;
mod shelf;
mod state;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::state::State;

pub use self::key::KeyError;
pub(crate) use self::key::write_private;
pub use self::mint::{Mint, MintError, Minted};
pub use self::options::{Alg, Clock, Options, PredefinedClient, User};

/// A running identity provider, which ends when it is stopped or dropped.
///
/// Endpoints: `/.well-known/oauth-authorization-server`, `/.well-known/openid-configuration`, `/jwks`,
/// `/authorize`, `/token`, `/register` and, for the `insula token` command, `/dev/token`.
pub struct Idp {
    state: Arc<State>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Idp {
    /// Serves on `listener`, which is bound to 127.0.0.1, until [`Idp::stop`].
    ///
    /// # Errors
    /// [`StartError`] when the listener is not on 127.0.0.1, or keys can't be made, read or kept.
    pub async fn start(listener: TcpListener, options: Options) -> Result<Idp, StartError> {
        let address = listener.local_addr().map_err(StartError::Listener)?;
        if address.ip() != std::net::Ipv4Addr::LOCALHOST {
            return Err(StartError::NotLoopback(address));
        }
        let state = Arc::new(State::new(address.port(), options)?);
        let (stop, stopped) = oneshot::channel();
        let task = server::start(listener, Arc::clone(&state), stopped);
        Ok(Idp { state, stop, task })
    }

    /// `http://localhost:<port>`, exactly as in `iss` and in the metadata.
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// Where the public keys are.
    pub fn jwks_uri(&self) -> String {
        format!("{}/jwks", self.state.issuer)
    }

    /// An access token without a sign-in, just as `POST /dev/token` makes it.
    ///
    /// # Errors
    /// [`MintError`] when there is no such user, or a resource, scope or lifetime that sign-in would refuse.
    pub fn mint(&self, mint: &Mint) -> Result<Minted, MintError> {
        self.state.mint(mint)
    }

    /// Signs any header and claims, as they are, with the newest key of `alg`: hostile tokens for tests.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] when signing fails.
    pub fn sign(&self, header: &Value, claims: &Value, alg: Alg) -> Result<String, KeyError> {
        self.state.keys.sign(header, claims, alg)
    }

    /// The id of the newest key of `alg`, for [`Idp::sign`].
    ///
    /// # Errors
    /// [`KeyError::Crypto`] when there is no such key.
    pub fn kid(&self, alg: Alg) -> Result<String, KeyError> {
        self.state.keys.kid(alg)
    }

    /// Makes new keys for new tokens; the old ones stay in the JWKS until no token of theirs can be alive.
    ///
    /// # Errors
    /// [`KeyError`] when keys can't be made or kept; then the old keys stay in use.
    pub fn rotate(&self) -> Result<(), KeyError> {
        self.state.keys.rotate(self.state.now_s())
    }

    /// Closes the listener and every connection.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(err) = self.task.await {
            tracing::error!(error = &err as &dyn std::error::Error, "the identity provider did not end well");
        }
    }
}

impl fmt::Debug for Idp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idp").field("issuer", &self.state.issuer).finish_non_exhaustive()
    }
}

/// Why the identity provider did not start.
#[derive(Debug)]
pub enum StartError {
    /// The listener has no address.
    Listener(std::io::Error),
    /// The listener can be reached from elsewhere, and the sign-in page asks for no password.
    NotLoopback(SocketAddr),
    /// The signing keys could not be made, read or kept.
    Keys(KeyError),
    /// Two users of one tenant with one id.
    Users,
    /// A predefined client's redirect URI, or the file of registered clients.
    Clients(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(_) => f.write_str("the identity provider's listener has no address"),
            Self::NotLoopback(address) => {
                write!(f, "the identity provider serves on 127.0.0.1 only, not on {address}")
            }
            Self::Keys(err) => write!(f, "the identity provider's signing keys: {err}"),
            Self::Users => f.write_str("the identity provider has the same user of the same tenant twice"),
            Self::Clients(why) => write!(f, "the identity provider's clients: {why}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listener(err) => Some(err),
            Self::Keys(err) => Some(err),
            Self::NotLoopback(_) | Self::Users | Self::Clients(_) => None,
        }
    }
}
