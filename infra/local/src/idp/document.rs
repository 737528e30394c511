//! Client id metadata documents: a client whose id is the URL of its own description.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

use super::client::Client;
use super::form::has_media_type;
use super::register::Metadata;

/// The draft recommends 5 KB.
const BODY_BYTES_MAX: usize = 5_120;
const TIMEOUT: Duration = Duration::from_secs(3);

/// The URL that a client id is, when it is one that may be fetched: of this machine, in its one spelling.
pub(super) fn parse_id(id: &str, own_port: u16) -> Result<Url, String> {
    let Ok(url) = Url::parse(id) else { return Err("the client id is not a URL".to_owned()) };
    if url.scheme() == "https" {
        return Err(
            "the laptop's identity provider fetches no client metadata document by https, since it uses no \
                    network: let the client register, or put its document on http://localhost"
                .to_owned(),
        );
    }
    let is_loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1"));
    if url.scheme() != "http" || !is_loopback {
        return Err("a client metadata document must be on http://localhost or http://127.0.0.1".to_owned());
    }
    // A document on this very server would be one more request to it, and so on.
    if url.port_or_known_default() == Some(own_port) {
        return Err("a client metadata document can't be on the identity provider itself".to_owned());
    }
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if url.path() == "/" || !is_bare || url.as_str() != id {
        return Err("the client id must be a URL with a path, no user name, no fragment and no dot segments"
            .to_owned());
    }
    Ok(url)
}

/// The client that the document describes. Redirects are not followed.
pub(super) async fn fetch(url: &Url) -> Result<Client, String> {
    let Ok(fetched) = tokio::time::timeout(TIMEOUT, get(url)).await else {
        return Err("the client metadata document took longer than 3 s".to_owned());
    };
    let body = fetched?;
    let metadata: Metadata = serde_json::from_slice(&body)
        .map_err(|err| format!("the client metadata document is not one: {err}"))?;
    if metadata.client_id.as_deref() != Some(url.as_str()) {
        return Err("the client metadata document is for another client_id than its own URL".to_owned());
    }
    metadata
        .client(url.as_str().to_owned())
        .map_err(|err| format!("the client metadata document: {}", err.why))
}

async fn get(url: &Url) -> Result<Bytes, String> {
    let explain =
        |err: &dyn std::error::Error| format!("the client metadata document can't be fetched: {err}");
    let port = url.port_or_known_default().unwrap_or(80);
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let host = format!("{}:{port}", url.host_str().unwrap_or_default());
    let request = Request::get(path)
        .header(HOST, host)
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|err| explain(&err))?;
    // Never by name: what `localhost` resolves to is not asked.
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|err| explain(&err))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|err| explain(&err))?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(|err| explain(&err))?;
        if response.status() != StatusCode::OK {
            return Err(format!("the client metadata document's server answered {}", response.status()));
        }
        if !has_media_type(response.headers(), "application/json") {
            return Err("the client metadata document is not application/json".to_owned());
        }
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|err| explain(&*err))?;
        Ok(body.to_bytes())
    };
    // A broken connection is seen by the exchange as well, which can say what it broke.
    let (result, _) = tokio::join!(exchange, connection);
    result
}
