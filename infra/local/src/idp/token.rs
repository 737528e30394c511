//! `/token`: codes and refresh tokens become access tokens.

use bytes::Bytes;
use hyper::{Request, StatusCode};
use serde::Serialize;

use super::authorize::Ask;
use super::client::repeated;
use super::form::{FORM, Form, has_media_type};
use super::mint::{Access, Minted, TTL_S};
use super::options::User;
use super::reply::{self, OAuthError, Reply};
use super::shelf::{self, Digest};
use super::state::{Shelves, State};

/// How long a used code is remembered, so that using it again ends what it began.
const SPENT_TTL_S: u64 = 600;
/// Counted from the last use.
const REFRESH_TTL_S: u64 = 30 * 86_400;

/// What a person agreed to.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    /// A [`User::key`].
    pub(super) user: String,
    /// Those of the ask that the user can have.
    pub(super) scopes: Vec<String>,
    pub(super) ask: Ask,
}

#[derive(Debug)]
pub(super) enum Code {
    Fresh(Box<Grant>),
    /// Presented once, rightly or not; with the family of refresh tokens that came of it.
    Spent(Option<Digest>),
}

/// Refresh tokens that follow one another, of which only the newest is good.
#[derive(Debug)]
pub(super) struct Family {
    grant: Grant,
    newest: Digest,
}

#[derive(Serialize)]
struct Tokens {
    #[serde(flatten)]
    access: Minted,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

pub(super) fn post(state: &State, request: &Request<Bytes>) -> Result<Reply, OAuthError> {
    if !has_media_type(request.headers(), FORM) {
        return Err(OAuthError::new("invalid_request", "the body must be application/x-www-form-urlencoded"));
    }
    let form = Form::parse(request.body());
    let client_id = state.authenticate(request.headers(), &form)?;
    let tokens = match form.one("grant_type").map_err(repeated)? {
        Some("authorization_code") => by_code(state, &form, &client_id),
        Some("refresh_token") => by_refresh_token(state, &form, &client_id),
        Some(_) => Err(OAuthError::new("unsupported_grant_type", "authorization_code or refresh_token")),
        None => Err(OAuthError::new("invalid_request", "grant_type is missing")),
    }?;
    Ok(reply::json(StatusCode::OK, &tokens))
}

fn by_code(state: &State, form: &Form, client_id: &str) -> Result<Tokens, OAuthError> {
    let code = Digest::of(needed(form, "code")?);
    let redirect_uri = needed(form, "redirect_uri")?;
    let challenge = Digest::of(needed(form, "code_verifier")?).base64url();
    let now_s = state.now_s();
    let mut shelves = state.shelves();
    let grant = match shelves.codes.take(code, now_s) {
        Some(Code::Fresh(grant)) => *grant,
        Some(Code::Spent(family)) => {
            // Two have the code, and nobody can tell which of them is the thief (RFC 6749 § 4.1.2).
            family.map(|family| shelves.families.take(family, now_s));
            return Err(bad_grant("the code was used already"));
        }
        None => return Err(bad_grant("the code is unknown or has expired")),
    };
    // From here on the code is spent, whatever comes of it: a second guess is not possible.
    let spent_until_s = now_s.saturating_add(SPENT_TTL_S);
    shelves.codes.put(code, Code::Spent(None), spent_until_s, now_s);
    if grant.ask.client_id != client_id {
        return Err(bad_grant("the code was given to another client"));
    }
    if grant.ask.redirect_uri.text() != redirect_uri {
        return Err(bad_grant("redirect_uri is not the one of the authorization request"));
    }
    if grant.ask.challenge != challenge {
        return Err(bad_grant("code_verifier does not answer code_challenge"));
    }
    check_resource(form, &grant)?;
    let refresh_token = if grant.ask.refreshes {
        let id = shelf::secret().map_err(|err| OAuthError::internal(&err))?;
        shelves.codes.put(code, Code::Spent(Some(Digest::of(&id))), spent_until_s, now_s);
        Some(keep(&mut shelves, &id, grant.clone(), now_s)?)
    } else {
        None
    };
    drop(shelves);
    let user = user_of(state, &grant)?;
    let id_token = if grant.scopes.iter().any(|scope| scope == "openid") {
        let token = state.id_token(user, client_id, grant.ask.nonce.as_deref());
        Some(token.map_err(|err| OAuthError::internal(&err))?)
    } else {
        None
    };
    Ok(Tokens { access: access(state, &grant, user, &grant.scopes)?, refresh_token, id_token })
}

/// `<family>.<secret>`: the first finds the family, the second must be its newest.
fn by_refresh_token(state: &State, form: &Form, client_id: &str) -> Result<Tokens, OAuthError> {
    let (id, secret) = needed(form, "refresh_token")?
        .split_once('.')
        .ok_or_else(|| bad_grant("the refresh token is unknown or has expired"))?;
    let asked = form.one("scope").map_err(repeated)?;
    let now_s = state.now_s();
    let mut shelves = state.shelves();
    // Taken out first: whoever shows an old one, or another client's, ends the family by it.
    let family = shelves.families.take(Digest::of(id), now_s);
    let family = family.ok_or_else(|| bad_grant("the refresh token is unknown or has expired"))?;
    if family.grant.ask.client_id != client_id || family.newest != Digest::of(secret) {
        return Err(bad_grant("the refresh token was used already or is another client's: sign in again"));
    }
    let grant = family.grant;
    let checked = check_resource(form, &grant).and_then(|()| narrowed(&grant, asked));
    let scopes = match checked {
        Ok(scopes) => scopes,
        Err(err) => {
            // The token was right and stays so: only what was asked of it was wrong.
            let expires_s = now_s.saturating_add(REFRESH_TTL_S);
            shelves.families.put(Digest::of(id), Family { newest: family.newest, grant }, expires_s, now_s);
            return Err(err);
        }
    };
    let refresh_token = Some(keep(&mut shelves, id, grant.clone(), now_s)?);
    drop(shelves);
    let user = user_of(state, &grant)?;
    Ok(Tokens { access: access(state, &grant, user, &scopes)?, refresh_token, id_token: None })
}

fn keep(shelves: &mut Shelves, id: &str, grant: Grant, now_s: u64) -> Result<String, OAuthError> {
    let secret = shelf::secret().map_err(|err| OAuthError::internal(&err))?;
    let family = Family { grant, newest: Digest::of(&secret) };
    shelves.families.put(Digest::of(id), family, now_s.saturating_add(REFRESH_TTL_S), now_s);
    Ok(format!("{id}.{secret}"))
}

/// RFC 8707 § 2.2: a token request may name the resource again, and no other.
fn check_resource(form: &Form, grant: &Grant) -> Result<(), OAuthError> {
    if form.all("resource").all(|resource| resource == grant.ask.resource) {
        return Ok(());
    }
    Err(OAuthError::new("invalid_target", "resource is not the one of the authorization request"))
}

/// RFC 6749 § 6: some of the scopes that were granted, or all of them.
fn narrowed(grant: &Grant, asked: Option<&str>) -> Result<Vec<String>, OAuthError> {
    let Some(asked) = asked else { return Ok(grant.scopes.clone()) };
    let scopes: Vec<String> = asked.split(' ').map(str::to_owned).collect();
    if scopes.iter().all(|scope| grant.scopes.contains(scope)) {
        return Ok(scopes);
    }
    Err(OAuthError::new("invalid_scope", "a refresh can't widen the scopes"))
}

fn access(state: &State, grant: &Grant, user: &User, scopes: &[String]) -> Result<Minted, OAuthError> {
    let access = Access {
        sub: &user.id,
        tenant: &user.tenant,
        roles: &user.roles,
        client_id: &grant.ask.client_id,
        scopes,
        resource: &grant.ask.resource,
        ttl_s: TTL_S,
        alg: state.options.default_alg,
    };
    state.access_token(&access).map_err(|err| OAuthError::internal(&err))
}

fn user_of<'a>(state: &'a State, grant: &Grant) -> Result<&'a User, OAuthError> {
    state.user(&grant.user).ok_or_else(|| bad_grant("the user is gone"))
}

fn needed<'a>(form: &'a Form, name: &str) -> Result<&'a str, OAuthError> {
    let value = form.one(name).map_err(repeated)?;
    value.ok_or_else(|| OAuthError::new("invalid_request", format!("{name} is missing")))
}

fn bad_grant(why: &str) -> OAuthError {
    OAuthError::new("invalid_grant", why)
}
