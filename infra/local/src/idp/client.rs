//! Clients, their redirect URIs, and how they prove who they are.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::{Host, Url, form_urlencoded};

use super::document;
use super::form::{Form, Repeated};
use super::key::{read_private, write_private};
use super::options::PredefinedClient;
use super::reply::OAuthError;
use super::shelf::Digest;
use super::state::State;

/// A client that registers when there are as many makes the identity provider forget the oldest.
pub(super) const REGISTERED_MAX: usize = 1_000;
const URI_BYTES_MAX: usize = 2_048;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) redirect_uris: Vec<RedirectUri>,
    /// Whether `refresh_token` is among its grant types.
    pub(super) refreshes: bool,
    /// None for a public client, so a file can't hold one.
    #[serde(skip)]
    secret: Option<SecretString>,
}

impl Client {
    pub(super) fn public(
        id: String,
        name: String,
        redirect_uris: Vec<RedirectUri>,
        refreshes: bool,
    ) -> Client {
        Client { id, name, redirect_uris, refreshes, secret: None }
    }

    pub(super) fn predefined(client: &PredefinedClient) -> Result<Client, String> {
        let uris = client.redirect_uris.iter().map(|uri| RedirectUri::parse(uri));
        let redirect_uris = uris
            .collect::<Result<_, _>>()
            .map_err(|why| format!("a redirect URI of the client {:?}: {why}", client.id))?;
        let secret = client.secret.clone();
        Ok(Client {
            id: client.id.clone(),
            name: client.name.clone(),
            redirect_uris,
            refreshes: true,
            secret,
        })
    }

    pub(super) fn may_redirect_to(&self, asked: &RedirectUri) -> bool {
        self.redirect_uris.iter().any(|registered| registered.covers(asked))
    }
}

/// `https` anywhere, or `http` on loopback: where a code may be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct RedirectUri {
    text: String,
    url: Url,
}

impl RedirectUri {
    pub(super) fn parse(text: &str) -> Result<RedirectUri, &'static str> {
        // The parser strips line breaks and turns backslashes; what is shown must be what is meant.
        if text.len() > URI_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err("a redirect URI is at most 2048 printable characters");
        }
        let Ok(url) = Url::parse(text) else { return Err("a redirect URI is absolute") };
        if text.contains('#') || !url.username().is_empty() || url.password().is_some() {
            return Err("a redirect URI has no fragment and no user name");
        }
        match (url.scheme(), url.host()) {
            ("https", Some(_)) => {}
            ("http", Some(host)) if is_loopback(&host) => {}
            _ => return Err("a redirect URI is https, or http on localhost, 127.0.0.1 or [::1]"),
        }
        Ok(RedirectUri { text: text.to_owned(), url })
    }

    /// Equal, except that a port of loopback is chosen by the client when it starts (RFC 8252 § 7.3).
    fn covers(&self, asked: &RedirectUri) -> bool {
        if self.url.scheme() == "https" {
            return self.text == asked.text;
        }
        let parts = |uri: &RedirectUri| {
            let url = &uri.url;
            (
                url.scheme().to_owned(),
                url.host_str().map(str::to_owned),
                url.path().to_owned(),
                url.query().map(str::to_owned),
            )
        };
        parts(self) == parts(asked)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// `https://host:port`, which tells a user who is asking.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// This URI with the answer of RFC 6749 § 4.1.2 in its query.
    pub(super) fn with_answer(&self, answer: &[(&str, &str)]) -> String {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(answer);
        url.into()
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = &'static str;

    fn try_from(text: String) -> Result<RedirectUri, &'static str> {
        RedirectUri::parse(&text)
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> String {
        uri.text
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

impl State {
    /// The client of this id: predefined, registered, or described by the document that the id names.
    pub(super) async fn client(&self, id: &str) -> Result<Client, String> {
        if let Some(known) = self.known_client(id) {
            return Ok(known);
        }
        if id.contains("://") {
            let url = document::parse_id(id, self.port)?;
            return document::fetch(&url).await;
        }
        Err("this client is not known here; it has to register (again)".to_owned())
    }

    fn known_client(&self, id: &str) -> Option<Client> {
        let predefined = self.predefined.iter().find(|client| client.id == id).cloned();
        predefined.or_else(|| self.shelves().clients.get(Digest::of(id), self.now_s()).cloned())
    }

    /// The client that sends a token request, by whichever of the three methods is its own.
    pub(super) fn authenticate(&self, headers: &HeaderMap, form: &Form) -> Result<String, OAuthError> {
        let id = form.one("client_id").map_err(repeated)?;
        let posted = form.one("client_secret").map_err(repeated)?;
        let (id, secret) = match (basic(headers)?, id, posted) {
            (Some(_), _, Some(_)) => {
                return Err(OAuthError::new("invalid_request", "a client authenticates by one method"));
            }
            (Some((id, _)), Some(other), None) if id != other => {
                return Err(OAuthError::new("invalid_request", "client_id names another client"));
            }
            (Some((id, secret)), _, None) => (id, Some(secret)),
            (None, Some(id), posted) => (id.to_owned(), posted.map(str::to_owned)),
            (None, None, _) => return Err(OAuthError::new("invalid_client", "client_id is missing")),
        };
        let expected = match self.known_client(&id) {
            Some(client) => client.secret,
            // Its document was read when the user signed in, and a code is good for that client only.
            None if document::parse_id(&id, self.port).is_ok() => None,
            None => return Err(OAuthError::new("invalid_client", "this client is not known here")),
        };
        let is_proved = match (expected, secret) {
            (None, None) => true,
            (Some(expected), Some(sent)) => is_same(expected.expose_secret(), &sent),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if is_proved {
            Ok(id)
        } else {
            Err(OAuthError::new("invalid_client", "the client's secret is not right"))
        }
    }

    pub(super) fn register(&self, client: Client) -> Result<(), OAuthError> {
        let mut shelves = self.shelves();
        let key = Digest::of(&client.id);
        shelves.clients.put(key, client, u64::MAX, self.now_s());
        let Some(file) = &self.clients_file else { return Ok(()) };
        let all: Vec<&Client> = shelves.clients.values().collect();
        let text = serde_json::to_vec(&all).map_err(|err| OAuthError::internal(&err))?;
        write_private(file, &text).map_err(|err| OAuthError::internal(&err))
    }

    /// Clients remember their ids, so a restart that forgot them would lock every one of them out.
    pub(super) fn read_clients(&self) -> Result<(), String> {
        let Some(file) = &self.clients_file else { return Ok(()) };
        let explain = |why: &dyn std::error::Error| format!("idp-clients.json: {why}");
        let Some(text) = read_private(file).map_err(|err| explain(&err))? else { return Ok(()) };
        let clients: Vec<Client> = serde_json::from_slice(&text).map_err(|err| explain(&err))?;
        let mut shelves = self.shelves();
        for client in clients {
            shelves.clients.put(Digest::of(&client.id), client, u64::MAX, self.now_s());
        }
        Ok(())
    }
}

fn is_same(expected: &str, sent: &str) -> bool {
    // Digests are of one length, so the comparison tells nothing of the secret's.
    let (expected, sent) = (Digest::of(expected).base64url(), Digest::of(sent).base64url());
    verify_slices_are_equal(expected.as_bytes(), sent.as_bytes()).is_ok()
}

/// RFC 6749 § 2.3.1: both halves are form-encoded before they are joined.
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, OAuthError> {
    let Some(header) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let decode = |text: &str| {
        let pairs = form_urlencoded::parse(text.as_bytes());
        pairs.map(|(name, _)| name.into_owned()).next().unwrap_or_default()
    };
    let credentials = || {
        let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
        let text = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let text = String::from_utf8(text).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((decode(id), decode(secret)))
    };
    credentials()
        .map(Some)
        .ok_or_else(|| OAuthError::new("invalid_client", "the Authorization header is not Basic"))
}

pub(super) fn repeated(_: Repeated) -> OAuthError {
    OAuthError::new("invalid_request", "a parameter is repeated")
}
