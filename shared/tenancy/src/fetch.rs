//! The one HTTP client beside the SDK's: for issuers' keys and for invoking functions.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::TokioExecutor,
};
use url::{Host, Url};

/// Longest wait for a whole reply.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);

/// An HTTPS client with the webpki roots, bounded in time and size, that follows no redirect.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    loopback: bool,
}

/// Why nothing was fetched.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// Not https, and not the laptop talking to itself.
    Scheme,
    /// The connection, TLS, or the protocol on it.
    Http(Box<dyn std::error::Error + Send + Sync>),
    /// Another status than 200.
    Status(StatusCode),
    /// A body over the limit.
    Size,
    /// It took too long.
    Timeout,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("only https is fetched"),
            Self::Http(err) => write!(f, "{err}"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Size => f.write_str("the body is too large"),
            Self::Timeout => f.write_str("timed out"),
        }
    }
}

impl std::error::Error for FetchError {}

impl Fetch {
    /// A client; on the laptop it also speaks http, and to loopback alone.
    pub(crate) fn new(config: &crate::Config) -> Self {
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls_config()).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(600))
            .build(connector);
        Self { client, loopback: config.is_laptop() }
    }

    /// The body of a 200 reply to a GET.
    pub(crate) async fn get(&self, url: &Url, bytes_max: usize) -> Result<Bytes, FetchError> {
        let request = Request::get(url.as_str())
            .header("accept", "application/json")
            .body(Full::default())
            .map_err(|err| FetchError::Http(err.into()))?;
        let reply = self.send_within(url, request, (bytes_max, TIMEOUT)).await?;
        if reply.status() == StatusCode::OK {
            Ok(reply.into_body())
        } else {
            Err(FetchError::Status(reply.status()))
        }
    }

    /// The reply to a request that was made for this URL, if it has at most so many bytes and comes so soon.
    pub(crate) async fn send_within(
        &self,
        url: &Url,
        request: Request<Full<Bytes>>,
        (bytes_max, wait_max): (usize, Duration),
    ) -> Result<Response<Bytes>, FetchError> {
        if !may_fetch(url, self.loopback) {
            return Err(FetchError::Scheme);
        }
        exchange(&self.client, request, bytes_max, wait_max).await
    }
}

/// One request and its whole reply, within these limits.
pub(crate) async fn exchange<C>(
    client: &Client<C, Full<Bytes>>,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
    wait_max: Duration,
) -> Result<Response<Bytes>, FetchError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let exchange = async {
        let reply = client.request(request).await.map_err(|err| FetchError::Http(err.into()))?;
        let (head, body) = reply.into_parts();
        let body = Limited::new(body, bytes_max).collect().await.map_err(|err| {
            if err.is::<LengthLimitError>() { FetchError::Size } else { FetchError::Http(err) }
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    tokio::time::timeout(wait_max, exchange).await.unwrap_or(Err(FetchError::Timeout))
}

/// https everywhere; http on the laptop, to loopback.
pub(crate) fn may_fetch(url: &Url, laptop: bool) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (laptop && url.scheme() == "http" && loopback)
}

/// TLS by ring with the webpki roots.
pub(crate) fn tls_config() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    // The provider is named, since with two of them in the tree the default is neither.
    let provider = rustls::crypto::ring::default_provider();
    rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|err| unreachable!("ring has every default protocol version: {err}"))
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_the_laptop_and_its_loopback() {
        for (url, laptop, deployed) in [
            ("https://login.example.com/jwks", true, true),
            ("http://127.0.0.1:9001/jwks", true, false),
            ("http://localhost:9001/jwks", true, false),
            ("http://login.example.com/jwks", false, false),
            ("http://169.254.169.254/latest", false, false),
            ("http://localhost.example.com/", false, false),
            ("ftp://127.0.0.1/", false, false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!((may_fetch(&url, true), may_fetch(&url, false)), (laptop, deployed), "{url}");
        }
    }
}
