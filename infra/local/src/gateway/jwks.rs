//! An issuer's keys, from its discovery document, over plain HTTP on loopback.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::sync::Mutex;

/// How long API Gateway keeps an issuer's keys.
const KEPT: Duration = Duration::from_secs(7200);

/// How often an unknown key id may lead to another look.
const REFETCH: Duration = Duration::from_secs(60);

const TIMEOUT: Duration = Duration::from_secs(5);

const DOCUMENT_BYTES_MAX: usize = 65_536;

/// An RSA public key, big-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) n: Vec<u8>,
    pub(super) e: Vec<u8>,
}

#[derive(Debug)]
struct Cached {
    fetched: Instant,
    keys: BTreeMap<String, Key>,
}

/// An issuer on loopback.
#[derive(Debug)]
pub(super) struct Issuer {
    name: String,
    client: Client<HttpConnector<Loopback>, Empty<Bytes>>,
    /// One look at a time: the others wait for it.
    cached: Mutex<Option<Cached>>,
}

impl Issuer {
    /// None unless the issuer is `http` on loopback, the only kind that the laptop asks.
    pub(super) fn new(name: &str) -> Option<Self> {
        loopback(name)?;
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new_with_resolver(Loopback));
        Some(Self { name: name.to_owned(), client, cached: Mutex::default() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The key with this id; none when the issuer has none.
    pub(super) async fn key(&self, kid: &str) -> Result<Option<Key>, &'static str> {
        let mut cached = self.cached.lock().await;
        if let Some(Cached { fetched, keys }) = cached.as_ref() {
            let age = fetched.elapsed();
            if age < KEPT && (keys.contains_key(kid) || age < REFETCH) {
                return Ok(keys.get(kid).cloned());
            }
        }
        let keys = tokio::time::timeout(TIMEOUT, self.fetch()).await.ok().flatten();
        let keys = keys.ok_or("OIDC discovery endpoint communication error")?;
        let key = keys.get(kid).cloned();
        *cached = Some(Cached { fetched: Instant::now(), keys });
        Ok(key)
    }

    async fn fetch(&self) -> Option<BTreeMap<String, Key>> {
        let base = self.name.trim_end_matches('/');
        let discovery = self.get(&format!("{base}/.well-known/openid-configuration")).await?;
        if discovery.get("issuer")?.as_str()? != self.name {
            return None;
        }
        let jwks = self.get(discovery.get("jwks_uri")?.as_str()?).await?;
        Some(jwks.get("keys")?.as_array()?.iter().filter_map(rsa_key).collect())
    }

    async fn get(&self, url: &str) -> Option<Value> {
        let response = self.client.get(loopback(url)?).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX).collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok()
    }
}

fn rsa_key(jwk: &Value) -> Option<(String, Key)> {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    if text("kty") != Some("RSA") || text("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let part = |name| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    Some((text("kid")?.to_owned(), Key { n: part("n")?, e: part("e")? }))
}

fn loopback(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']).to_ascii_lowercase();
    let is_loopback = match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    };
    (uri.scheme_str() == Some("http") && is_loopback).then_some(uri)
}

/// Answers every name with 127.0.0.1: names below `localhost` are not known to every resolver, and no other
/// place is ever asked.
#[derive(Debug, Clone)]
struct Loopback;

impl tower_service::Service<Name> for Loopback {
    type Response = std::iter::Once<SocketAddr>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(std::iter::once(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_on_loopback_is_asked() {
        for good in ["http://localhost:1/a", "http://idp.localhost", "http://127.0.0.1:9", "http://[::1]:9/"]
        {
            assert!(loopback(good).is_some(), "{good}");
        }
        for bad in [
            "https://localhost",
            "http://example.com",
            "http://localhost.example.com",
            "http://169.254.169.254",
            "http://notlocalhost",
            "/path",
            "",
        ] {
            assert!(loopback(bad).is_none(), "{bad}");
        }
    }
}
