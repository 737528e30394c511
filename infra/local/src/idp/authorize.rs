//! `/authorize`: what a client asks for, the sign-in page, and the code.

use bytes::Bytes;
use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::{Request, StatusCode};

use super::client::{Client, RedirectUri};
use super::form::{FORM, Form, Repeated, has_media_type};
use super::options::User;
use super::page;
use super::reply::{self, Reply};
use super::resource::is_resource;
use super::shelf::{self, Digest};
use super::state::{State, is_oidc_scope};
use super::token::{Code, Grant};

const TICKET_TTL_S: u64 = 600;
const CODE_TTL_S: u64 = 60;

/// A request that was found to be right, and waits for a person to press a button.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) client_id: String,
    pub(super) client_name: String,
    pub(super) refreshes: bool,
    pub(super) redirect_uri: RedirectUri,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    /// S256, base64url.
    pub(super) challenge: String,
    pub(super) resource: String,
    pub(super) scopes: Vec<String>,
}

/// An error of RFC 6749 § 4.1.2.1 for the client.
type Denial = (&'static str, &'static str);

pub(super) async fn get(state: &State, request: &Request<Bytes>) -> Reply {
    let form = Form::parse(request.uri().query().unwrap_or_default().as_bytes());
    // Until client and redirect URI are known to belong together, nothing is sent anywhere.
    let (client, redirect_uri) = match client_of(state, &form).await {
        Ok(found) => found,
        Err(why) => return page::error(StatusCode::BAD_REQUEST, &why),
    };
    let client_state = form.one("state").ok().flatten().map(str::to_owned);
    let ask = match ask_of(state, &form, client, &redirect_uri) {
        Ok(ask) => ask,
        Err(denial) => return deny(state, &redirect_uri, client_state.as_deref(), denial),
    };
    let Ok(ticket) = shelf::secret() else {
        return deny(state, &redirect_uri, client_state.as_deref(), ("server_error", "no randomness"));
    };
    let reply = page::sign_in(&ask, &state.options.users, &ticket);
    let now_s = state.now_s();
    state.shelves().tickets.put(Digest::of(&ticket), ask, now_s.saturating_add(TICKET_TTL_S), now_s);
    reply
}

async fn client_of(state: &State, form: &Form) -> Result<(Client, RedirectUri), String> {
    let one = |name| match form.one(name) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(format!("{name} is missing")),
        Err(Repeated) => Err(format!("{name} is repeated")),
    };
    let client = state.client(one("client_id")?).await?;
    let redirect_uri = RedirectUri::parse(one("redirect_uri")?)?;
    if !client.may_redirect_to(&redirect_uri) {
        return Err("the redirect URI is not one of this client's".to_owned());
    }
    Ok((client, redirect_uri))
}

fn ask_of(state: &State, form: &Form, client: Client, redirect_uri: &RedirectUri) -> Result<Ask, Denial> {
    let one = |name| form.one(name).map_err(|Repeated| ("invalid_request", "a parameter is repeated"));
    match one("response_type")? {
        Some("code") => {}
        Some(_) => return Err(("unsupported_response_type", "response_type must be code")),
        None => return Err(("invalid_request", "response_type is missing")),
    }
    if one("response_mode")?.is_some_and(|mode| mode != "query") {
        return Err(("invalid_request", "response_mode must be query"));
    }
    if one("request")?.is_some() {
        return Err(("request_not_supported", "request objects are not read here"));
    }
    if one("request_uri")?.is_some() {
        return Err(("request_uri_not_supported", "request objects are not read here"));
    }
    // RFC 7636 § 4.3: an absent method means plain, which anybody who sees the request can answer.
    if one("code_challenge_method")? != Some("S256") {
        return Err(("invalid_request", "PKCE is required, with code_challenge_method S256"));
    }
    let challenge = one("code_challenge")?.filter(|challenge| is_challenge(challenge));
    let challenge =
        challenge.ok_or(("invalid_request", "code_challenge must be 43 characters of base64url"))?;
    let mut resources = form.all("resource");
    let resource = match (resources.next(), resources.next()) {
        (Some(resource), None) if is_resource(resource, &state.options) => resource,
        (None, _) => return Err(("invalid_target", "resource is missing (RFC 8707)")),
        (Some(_), _) => {
            return Err(("invalid_target", "resource must be one URL of the gateway of this machine"));
        }
    };
    let scopes = state.supported_scopes(one("scope")?);
    if scopes.is_empty() {
        return Err(("invalid_scope", "none of the scopes is known here"));
    }
    if one("prompt")?.is_some_and(|prompt| prompt.split(' ').any(|word| word == "none")) {
        return Err(("login_required", "nobody stays signed in here"));
    }
    Ok(Ask {
        client_id: client.id,
        client_name: client.name,
        refreshes: client.refreshes,
        redirect_uri: redirect_uri.clone(),
        state: one("state")?.map(str::to_owned),
        nonce: one("nonce")?.map(str::to_owned),
        challenge: challenge.to_owned(),
        resource: resource.to_owned(),
        scopes,
    })
}

/// SHA-256 in base64url without padding.
fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

pub(super) fn post(state: &State, request: &Request<Bytes>) -> Reply {
    if !is_from_this_page(request.headers()) {
        return page::error(StatusCode::FORBIDDEN, "This form was sent by another site.");
    }
    if !has_media_type(request.headers(), FORM) {
        return page::error(StatusCode::BAD_REQUEST, "This is not the form of the sign-in page.");
    }
    let form = Form::parse(request.body());
    let (Ok(Some(ticket)), Ok(user), Ok(denied)) = (form.one("ticket"), form.one("user"), form.one("deny"))
    else {
        return page::error(StatusCode::BAD_REQUEST, "This is not the form of the sign-in page.");
    };
    let Some(ask) = state.shelves().tickets.take(Digest::of(ticket), state.now_s()) else {
        let why =
            "This sign-in page was used already, or is older than ten minutes: start again in the client.";
        return page::error(StatusCode::BAD_REQUEST, why);
    };
    let outcome = match (user.map(|key| state.user(key)), denied) {
        (Some(Some(user)), None) => grant(state, &ask, user),
        (None, Some(_)) => Err(("access_denied", "the user pressed Cancel")),
        _ => return page::error(StatusCode::BAD_REQUEST, "There is no such user."),
    };
    match outcome {
        Ok(code) => answer(state, &ask.redirect_uri, ask.state.as_deref(), &[("code", &code)]),
        Err(denial) => deny(state, &ask.redirect_uri, ask.state.as_deref(), denial),
    }
}

/// A browser says where a form comes from; a program without one has the ticket to show.
fn is_from_this_page(headers: &HeaderMap) -> bool {
    let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let own = headers.get(HOST).map(|host| format!("http://{}", text(host)));
    let is_own_origin = headers.get_all(ORIGIN).iter().all(|origin| Some(text(origin)) == own);
    is_own_origin && headers.get_all("sec-fetch-site").iter().all(|site| site == "same-origin")
}

fn grant(state: &State, ask: &Ask, user: &User) -> Result<String, Denial> {
    let may_have = |scope: &&String| is_oidc_scope(scope) || user.scopes.contains(scope);
    let scopes: Vec<String> = ask.scopes.iter().filter(may_have).cloned().collect();
    if scopes.is_empty() {
        return Err(("access_denied", "this user has none of the scopes"));
    }
    let Ok(code) = shelf::secret() else { return Err(("server_error", "no randomness")) };
    let grant = Grant { user: user.key(), scopes, ask: ask.clone() };
    let now_s = state.now_s();
    let expires_s = now_s.saturating_add(CODE_TTL_S);
    state.shelves().codes.put(Digest::of(&code), Code::Fresh(Box::new(grant)), expires_s, now_s);
    Ok(code)
}

fn deny(state: &State, to: &RedirectUri, client_state: Option<&str>, (code, why): Denial) -> Reply {
    answer(state, to, client_state, &[("error", code), ("error_description", why)])
}

/// RFC 6749 § 4.1.2, and RFC 9207 so that a client sees a mix-up of two identity providers.
fn answer(state: &State, to: &RedirectUri, client_state: Option<&str>, what: &[(&str, &str)]) -> Reply {
    let mut query = what.to_vec();
    query.extend(client_state.map(|client_state| ("state", client_state)));
    query.push(("iss", &state.issuer));
    reply::redirect(&to.with_answer(&query))
}
