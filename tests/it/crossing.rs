//! Each tool, each operation and each route, tried by a tenant that it does not belong to: table × attack.

mod plant;
mod table;

use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use http::{Method, Response};
use insula_local::{Edge, idp::Mint, template::ApiKind};
use insula_tenancy::Tier;
use serde_json::json;

use self::table::{Door, OPEN, Shows};
pub(crate) use self::table::{Names, Row, TABLE, Words};
use crate::{
    ask::{Own, ask},
    harness::{CUSTOMERS, Stack, http_stack, json_of, stack, tool_call},
    hook::Hook,
};

/// What a PNG begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// An id that no item has.
pub(crate) const NEVER: &str = "01m00000000000000000000000";

/// A tenant that is tried, or that tries.
struct Side {
    own: Own,
    tier: Tier,
    /// A word that is in this tenant's data alone.
    mark: &'static str,
}

/// How an address names the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Host,
    Path,
    /// Not at all: the token does.
    Universal,
}

impl Form {
    /// The forms that an edge has, of which each lends its tokens to attacks on the other.
    pub(crate) fn of(edge: Edge) -> [Self; 2] {
        match edge {
            Edge::Rest => [Self::Host, Self::Path],
            Edge::Http | Edge::None => [Self::Universal, Self::Path],
        }
    }

    fn origin(self, stack: &Stack, slug: &str) -> String {
        match self {
            Self::Host => format!("http://{slug}.localhost:{}", stack.local.port),
            Self::Path | Self::Universal => format!("http://localhost:{}", stack.local.port),
        }
    }

    /// A path as this form has it.
    pub(crate) fn path(self, slug: &str, path: &str) -> String {
        if self == Self::Path { format!("/{slug}{path}") } else { path.to_owned() }
    }
}

impl Row {
    /// Method and path, as they are at the host.
    pub(crate) fn line(&self, id: &str) -> (Method, String) {
        match self.name.split_once(' ') {
            None => (Method::POST, "/mcp".to_owned()),
            Some((method, path)) => {
                let path = path.replace("{collection}", "notes").replace("{template}", "welcome");
                let path = ["{id}", "{name}", "{domain}"]
                    .into_iter()
                    .fold(path, |path, name| path.replace(name, id));
                (method.parse().unwrap(), format!("/v1/{path}"))
            }
        }
    }

    pub(crate) fn headers(&self) -> Vec<(&'static str, &'static str)> {
        match &self.door {
            Door::Tool(_) => Vec::new(),
            Door::Talking(_) => vec![
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/call"),
                ("mcp-name", self.name),
            ],
            Door::Rest { headers, .. } => headers.to_vec(),
            Door::Image => vec![("content-type", "image/png")],
        }
    }

    pub(crate) fn body(&self, words: &Words<'_>) -> Bytes {
        let json = match &self.door {
            Door::Image => return [PNG, words.mark.as_bytes()].concat().into(),
            Door::Tool(arguments) => tool_call(self.name, arguments(words)),
            Door::Talking(arguments) => {
                let mut call = tool_call(self.name, arguments(words));
                call["params"]["_meta"] = json!({
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} },
                });
                call
            }
            Door::Rest { body, .. } => body(words),
        };
        if json.is_null() { Bytes::new() } else { json.to_string().into() }
    }
}

/// Method and path of everything that the tests below send to an edge.
pub(crate) fn tried(rows: &[Row], edge: Edge) -> Vec<(Method, String)> {
    let mut lines: Vec<_> =
        OPEN.iter().map(|(method, path)| (method.parse().unwrap(), (*path).to_owned())).collect();
    for form in Form::of(edge) {
        for (method, path) in rows.iter().map(|row| row.line(NEVER)) {
            let path = form.path("tenant", &path);
            lines.extend([(method, path.clone()), (Method::OPTIONS, path)]);
        }
    }
    lines
}

/// Two tenants behind an edge, of which one tries to have what is the other's.
struct Crossing {
    stack: &'static Stack,
    owner: Side,
    other: Side,
    /// Secrets and images that were planted, which have a number each.
    planted: AtomicU64,
}

/// One attempt: at whose address, with which token.
struct Attempt<'a> {
    form: Form,
    at: &'a Side,
    token: Option<String>,
    headers: Vec<(&'static str, String)>,
    words: Words<'a>,
}

impl Crossing {
    async fn make(stack: &'static Stack, name: &str) -> Self {
        let side = async |word, tier, mark| {
            let own = Own::make(stack, &format!("{name}-{word}"), tier).await;
            Side { own, tier, mark }
        };
        let owner = side("owner", Tier::Business, "eigentum").await;
        let other = side("other", Tier::Professional, "begehr").await;
        let hook = Hook::start("200 OK").await;
        let crossing = Self { stack, owner, other, planted: AtomicU64::new(0) };
        for side in [&crossing.owner, &crossing.other] {
            crossing.put(side, side.mark, side.mark).await;
            crossing.put_image(side, side.mark).await;
            if crossing.has_domains() {
                crossing.claim(side, &format!("{}.{CUSTOMERS}", side.mark)).await;
            }
        }
        crossing.put(&crossing.owner, "slack_webhook", &hook.url()).await;
        crossing.plant(Names::Note, &crossing.other).await;
        crossing
    }

    /// An HTTP API has one address for all, and takes no claim of a domain.
    fn has_domains(&self) -> bool {
        self.stack.local.stack.api.kind == ApiKind::Rest
    }

    /// A token of this tenant for the address that `at` has in this form.
    fn token(&self, of: &Side, at: &Side, form: Form) -> String {
        let slug = &at.own.slug;
        let mint = Mint {
            tenant: Some(format!("org-{}", of.own.slug)),
            sub: Some("tester".to_owned()),
            scope: Some(insula_tools::SCOPES.join(" ")),
            resource: format!("{}{}", form.origin(self.stack, slug), form.path(slug, "/mcp")),
            ..Mint::default()
        };
        self.stack.local.idp.mint(&mint).unwrap().access_token
    }

    fn attempt<'a>(&self, form: Form, by: &'a Side, id: &'a str) -> Attempt<'a> {
        let token = Some(self.token(by, by, form));
        Attempt { form, at: by, token, headers: Vec::new(), words: Words { id, mark: by.mark } }
    }

    async fn send(&self, row: &Row, attempt: &Attempt<'_>) -> Response<Bytes> {
        let Attempt { form, at, token, headers, words } = attempt;
        let (method, path) = row.line(words.id);
        let slug = &at.own.slug;
        let url = format!("{}{}", form.origin(self.stack, slug), form.path(slug, &path));
        let bearer = token.as_ref().map(|token| format!("Bearer {token}"));
        let mut all: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        all.extend(row.headers());
        ask(self.stack, method, &url, &all, row.body(words)).await
    }

    /// Every token that must not open the owner's address, and the owner's at the other's.
    fn refused<'a>(&'a self, form: Form, id: &'a str) -> Vec<(&'static str, Attempt<'a>)> {
        let (owner, other) = (&self.owner, &self.other);
        let elsewhere = Form::of(if form == Form::Universal { Edge::Http } else { Edge::Rest });
        let elsewhere = elsewhere.into_iter().find(|each| *each != form).unwrap();
        let at = |at, token| Attempt {
            form,
            at,
            token,
            headers: Vec::new(),
            words: Words { id, mark: other.mark },
        };
        let mut attempts = vec![
            ("no token", at(owner, None)),
            ("the owner's token for another form", at(owner, Some(self.token(owner, owner, elsewhere)))),
        ];
        // The universal address is the other's own as well.
        if form != Form::Universal {
            attempts.extend([
                ("the other's own token", at(owner, Some(self.token(other, other, form)))),
                ("the other's token for this address", at(owner, Some(self.token(other, owner, form)))),
                ("the owner's token at the other's address", at(other, Some(self.token(owner, owner, form)))),
            ]);
        }
        attempts
    }

    /// Headers that would name the owner if any of them did.
    fn naming_headers(&self) -> Vec<(&'static str, String)> {
        let (id, slug) = (self.owner.own.id.to_string(), &self.owner.own.slug);
        let host = format!("{slug}.localhost:{}", self.stack.local.port);
        vec![
            ("x-tenant-id", id.clone()),
            ("x-amz-tenant-id", id),
            ("forwarded", format!("host={host}")),
            ("x-forwarded-host", host),
            ("x-original-url", format!("/{slug}/mcp")),
        ]
    }

    /// Whatever else a reply to the other is, nothing in it is the owner's.
    fn assert_silent(&self, what: &str, reply: &Response<Bytes>) {
        let text = format!("{:?} {}", reply.headers(), String::from_utf8_lossy(reply.body()));
        let Side { own, mark, .. } = &self.owner;
        for word in [*mark, &own.id.to_string(), &format!("org-{}", own.slug)] {
            assert!(!text.contains(word), "{what}: {word} in {text}");
        }
    }

    async fn try_row(&self, row: &Row, form: Form) {
        let (owner, other) = (&self.owner, &self.other);
        let id = self.plant(row.names, owner).await;
        let what = |attack: &str| format!("{} by {form:?}: {attack}", row.name);
        for (attack, attempt) in self.refused(form, &id) {
            let reply = self.send(row, &attempt).await;
            self.assert_silent(&what(attack), &reply);
            assert!(matches!(reply.status().as_u16(), 401 | 403), "{} {reply:?}", what(attack));
        }

        let named = self.send(row, &self.attempt(form, other, &id)).await;
        let headers = Attempt { headers: self.naming_headers(), ..self.attempt(form, other, &id) };
        let insisted = self.send(row, &headers).await;
        let never_id = match row.names {
            Names::Note => NEVER,
            Names::Domain => "never.customers.test",
            Names::Secret | Names::Image | Names::Member => "never",
        };
        let never = self.send(row, &self.attempt(form, other, never_id)).await;
        for (attack, reply) in [("a foreign id", &named), ("headers that name its owner", &insisted)] {
            self.assert_silent(&what(attack), reply);
            match row.shows {
                Shows::Item => assert_eq!(plain(reply, &id), plain(&never, never_id), "{}", what(attack)),
                Shows::CallersOwn => assert!(succeeds(reply) && has(reply, other.mark), "{reply:?}"),
                Shows::CallersTier => assert!(succeeds(reply) && has(reply, &tier(other)), "{reply:?}"),
                Shows::Nothing => assert!(succeeds(reply), "{} {reply:?}", what(attack)),
            }
        }
        assert!(self.is_kept(row.names, &id).await, "{}", what("what was planted"));

        // The twin: the owner's request differs by who asks, and succeeds.
        let own = self.send(row, &self.attempt(form, owner, &id)).await;
        assert!(succeeds(&own), "{} {own:?}", what("the owner"));
        match row.shows {
            Shows::Item => assert_ne!(plain(&own, &id), plain(&never, never_id), "{}", what("the owner")),
            Shows::CallersOwn => assert!(has(&own, owner.mark), "{own:?}"),
            Shows::CallersTier => assert!(has(&own, &tier(owner)), "{own:?}"),
            Shows::Nothing => {}
        }
    }
}

/// The row of a tool or an operation.
fn row(name: &str) -> &'static Row {
    TABLE.iter().find(|row| row.name == name).unwrap()
}

fn tier(side: &Side) -> String {
    format!(r#""tier":"{}""#, side.tier.word())
}

fn has(reply: &Response<Bytes>, word: &str) -> bool {
    String::from_utf8_lossy(reply.body()).contains(word)
}

fn succeeds(reply: &Response<Bytes>) -> bool {
    reply.status().is_success() && json_of(reply)["result"]["isError"] != true
}

/// What the caller sees of an item, whatever its id is.
fn plain(reply: &Response<Bytes>, id: &str) -> (u16, String) {
    (reply.status().as_u16(), String::from_utf8_lossy(reply.body()).replace(id, "ID"))
}

async fn try_all(stack: &'static Stack, edge: Edge) {
    for form in Form::of(edge) {
        // Tenants for each form, or the calls of a minute would not be enough.
        let crossing = Crossing::make(stack, &format!("crossing-{form:?}").to_lowercase()).await;
        for row in TABLE.iter().filter(|row| row.names != Names::Domain || crossing.has_domains()) {
            crossing.try_row(row, form).await;
        }
    }
}

#[tokio::test]
async fn nothing_is_had_of_another_tenant_behind_the_rest_api() {
    try_all(stack(), Edge::Rest).await;
}

#[tokio::test]
async fn nothing_is_had_of_another_tenant_behind_the_http_api() {
    try_all(http_stack(), Edge::Http).await;
}

#[tokio::test]
#[should_panic(expected = "the other's own token: eigentum in")]
async fn with_the_wall_taken_out_the_attack_succeeds() {
    let mut crossing = Crossing::make(stack(), "walls-out").await;
    // The registry takes the other for the owner: every token of the other is now one of the owner's.
    crossing.other.own = Own { slug: crossing.owner.own.slug.clone(), id: crossing.owner.own.id.clone() };
    crossing.try_row(row("notes_get"), Form::Host).await;
}

#[tokio::test]
async fn what_needs_no_token_says_the_same_to_all_and_nothing_of_the_tenants() {
    for (stack, edge) in [(stack(), Edge::Rest), (http_stack(), Edge::Http)] {
        let crossing = Crossing::make(stack, "open").await;
        let Crossing { owner, other, .. } = &crossing;
        for (method, path) in tried(TABLE, edge)
            .into_iter()
            .filter(|(method, path)| method == Method::OPTIONS || path.starts_with("/.well-known/"))
        {
            let path = path
                .replace("{tenant}", &owner.own.slug)
                .replace("/tenant/", &format!("/{}/", owner.own.slug));
            let is_hosts = edge == Edge::Rest && !path.contains(&owner.own.slug);
            let form = if is_hosts { Form::Host } else { Form::Universal };
            let url = format!("{}{path}", form.origin(stack, &owner.own.slug));
            let what = format!("{method} {url}");
            let bare = ask(stack, method.clone(), &url, &[], "").await;
            assert!(
                bare.status().as_u16() < 500 && !matches!(bare.status().as_u16(), 401 | 403),
                "{what} {bare:?}"
            );
            crossing.assert_silent(&what, &bare);
            for side in [owner, other] {
                let bearer = format!("Bearer {}", crossing.token(side, side, Form::Path));
                let reply = ask(stack, method.clone(), &url, &[("authorization", &bearer)], "").await;
                assert_eq!((reply.status(), reply.body()), (bare.status(), bare.body()), "{what}");
            }
        }
    }
}
