//! The identity provider, asked by plain HTTP on loopback.

mod clients;
mod dev;
mod doors;
mod flow;
mod keys;
mod refusals;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::{Url, form_urlencoded};

use crate::names::Names;

use super::{Alg, Clock, Idp, Options, PredefinedClient, User};

pub(super) const NOW_S: u64 = 1_800_000_000;
pub(super) const REDIRECT: &str = "http://127.0.0.1:7001/callback";
pub(super) const RESOURCE: &str = "http://localhost:9000/acme/mcp";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
/// The pair of RFC 7636, appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Parameters to replace, to remove, or to add.
pub(super) type Changes<'a> = &'a [(&'a str, Option<&'a str>)];

/// An identity provider whose clock stands still.
pub(super) struct Local {
    pub(super) idp: Idp,
    pub(super) port: u16,
    clock: Arc<AtomicU64>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HashMap<String, String>,
    pub(super) body: String,
}

pub(super) fn user(tenant: &str, id: &str) -> User {
    User {
        id: id.to_owned(),
        name: format!("<b>{id}</b>"),
        tenant: tenant.to_owned(),
        roles: Vec::new(),
        scopes: vec!["notes:read".to_owned(), "notes:write".to_owned()],
    }
}

pub(super) fn options() -> Options {
    let mut reader = user("globex", "alice");
    reader.scopes = vec!["notes:read".to_owned()];
    reader.roles = vec!["admin".to_owned()];
    Options {
        users: vec![user("acme", "alice"), user("acme", "bob"), reader],
        scopes: vec!["notes:read".to_owned(), "notes:write".to_owned()],
        default_alg: Alg::Es256,
        gateway_port: 9000,
        data: None,
        clients: vec![
            predefined("fixed", None),
            predefined("other", None),
            predefined("web", Some("s3cret of: web")),
        ],
        domains: Names::new(["mcp.acme.test".to_owned()]),
        advertise_client_documents: true,
        clock: Clock::System,
    }
}

fn predefined(id: &str, secret: Option<&str>) -> PredefinedClient {
    PredefinedClient {
        id: id.to_owned(),
        name: "Fixed & known".to_owned(),
        secret: secret.map(SecretString::from),
        redirect_uris: vec!["http://127.0.0.1/callback".to_owned(), "https://app.example/cb".to_owned()],
    }
}

impl Local {
    pub(super) async fn start() -> Local {
        Local::start_with(options()).await
    }

    pub(super) async fn start_with(mut options: Options) -> Local {
        let clock = Arc::new(AtomicU64::new(NOW_S));
        options.clock = Clock::Manual(Arc::clone(&clock));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Local { idp: Idp::start(listener, options).await.unwrap(), port, clock }
    }

    pub(super) fn pass_s(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sends the head's lines as they are, and `body`.
    pub(super) async fn raw(&self, head: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let request = format!(
            "{}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            head.join("\r\n"),
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        Answer::parse(&answer)
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.raw(&[&format!("GET {path} HTTP/1.1"), &format!("Host: localhost:{}", self.port)], "").await
    }

    pub(super) async fn post(&self, path: &str, media_type: &str, body: &str) -> Answer {
        self.post_with(path, &[&format!("Content-Type: {media_type}")], body).await
    }

    pub(super) async fn post_with(&self, path: &str, headers: &[&str], body: &str) -> Answer {
        let (line, host) = (format!("POST {path} HTTP/1.1"), format!("Host: localhost:{}", self.port));
        let head: Vec<&str> =
            [line.as_str(), host.as_str()].into_iter().chain(headers.iter().copied()).collect();
        self.raw(&head, body).await
    }

    /// The authorization request of the client `fixed`, with these parameters in place of its own.
    pub(super) async fn ask(&self, changes: Changes<'_>) -> Answer {
        let own = [
            ("client_id", "fixed"),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", RESOURCE),
            ("scope", "notes:read notes:write"),
            ("state", "a&b"),
        ];
        self.get(&format!("/authorize?{}", changed(&own, changes))).await
    }

    /// The code that pressing a user's button gives.
    pub(super) async fn code(&self, user: &str, changes: Changes<'_>) -> String {
        let page = self.ask(changes).await;
        let answer = self.press(&page, user).await;
        answer.redirect("code")
    }

    pub(super) async fn press(&self, page: &Answer, user: &str) -> Answer {
        let body = changed(&[("ticket", &page.ticket()), ("user", user)], &[]);
        self.post("/authorize", FORM, &body).await
    }

    /// The token request of the client `fixed`, with these parameters in place of its own.
    pub(super) async fn exchange(&self, code: &str, changes: Changes<'_>) -> Answer {
        let own = [
            ("grant_type", "authorization_code"),
            ("client_id", "fixed"),
            ("redirect_uri", REDIRECT),
            ("code", code),
            ("code_verifier", VERIFIER),
        ];
        self.post("/token", FORM, &changed(&own, changes)).await
    }

    pub(super) async fn refresh(&self, token: &str, changes: Changes<'_>) -> Answer {
        let own = [("grant_type", "refresh_token"), ("client_id", "fixed"), ("refresh_token", token)];
        self.post("/token", FORM, &changed(&own, changes)).await
    }
}

/// Form encoding of `own`, in which each change replaces, removes or adds one.
pub(super) fn changed(own: &[(&str, &str)], changes: Changes<'_>) -> String {
    let is_kept = |(name, _): &&(&str, &str)| changes.iter().all(|(changed, _)| changed != name);
    let kept = own.iter().filter(is_kept).copied();
    let new = changes.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(kept.chain(new)).finish()
}

impl Answer {
    fn parse(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: body.to_owned() }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status and the OAuth error's code.
    pub(super) fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }

    pub(super) fn ticket(&self) -> String {
        let rest = self.body.split_once("name=\"ticket\" value=\"").unwrap_or_else(|| panic!("{self:?}")).1;
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// A parameter of the redirect, empty where there is none.
    pub(super) fn redirect(&self, name: &str) -> String {
        assert_eq!(self.status, 303, "{self:?}");
        let url = Url::parse(self.header("location")).unwrap();
        let mut pairs = url.query_pairs().filter(|(key, _)| key == name);
        pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    pub(super) fn text(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

/// Header and claims, unchecked.
pub(super) fn decode(token: &str) -> (Value, Value) {
    let part = |at| {
        let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    (part(0), part(1))
}

/// A directory that goes with the test.
pub(super) struct Scratch {
    pub(super) path: std::path::PathBuf,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        let path = std::env::temp_dir().join(format!("insula-idp-{}", super::shelf::secret().unwrap()));
        std::fs::create_dir(&path).unwrap();
        Scratch { path }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that has failed already must not be hidden by this.
        drop(std::fs::remove_dir_all(&self.path));
    }
}
