//! `/register`: dynamic registration of public clients (RFC 7591).

use bytes::Bytes;
use hyper::{Request, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, RedirectUri};
use super::form::has_media_type;
use super::reply::{self, OAuthError, Reply};
use super::shelf;
use super::state::State;

const REDIRECT_URIS_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 100;
const AUTHORIZATION_CODE: &str = "authorization_code";
const REFRESH_TOKEN: &str = "refresh_token";

/// The part of RFC 7591 § 2 that means anything here; what else comes is ignored, as § 2 demands.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    /// In a client id metadata document only.
    pub(super) client_id: Option<String>,
    client_name: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    token_endpoint_auth_method: Option<String>,
}

impl Metadata {
    /// A public client of this description: of a document, whose client can't be told of any substitution.
    pub(super) fn client(&self, id: String) -> Result<Client, OAuthError> {
        if self.token_endpoint_auth_method.as_deref().is_some_and(|method| method != "none") {
            return Err(invalid("token_endpoint_auth_method must be none"));
        }
        self.public_client(id)
    }

    fn public_client(&self, id: String) -> Result<Client, OAuthError> {
        let bad_uri = |why: &str| OAuthError::new("invalid_redirect_uri", why);
        if self.redirect_uris.is_empty() || self.redirect_uris.len() > REDIRECT_URIS_MAX {
            return Err(bad_uri("redirect_uris must have 1 to 20 URIs"));
        }
        let uris = self.redirect_uris.iter().map(|uri| RedirectUri::parse(uri));
        let redirect_uris = uris.collect::<Result<Vec<_>, _>>().map_err(bad_uri)?;
        let has = |list: &Option<Vec<String>>, word: &str| match list {
            Some(words) => words.iter().any(|found| found == word),
            // RFC 7591 § 2: what an absent list stands for.
            None => word != REFRESH_TOKEN,
        };
        if !has(&self.grant_types, AUTHORIZATION_CODE) || !has(&self.response_types, "code") {
            return Err(invalid("the client must use the authorization code"));
        }
        let name = self.client_name.as_deref().unwrap_or("A client without a name");
        let name = name.chars().take(NAME_CHARS_MAX).collect();
        Ok(Client::public(id, name, redirect_uris, has(&self.grant_types, REFRESH_TOKEN)))
    }
}

fn invalid(why: &str) -> OAuthError {
    OAuthError::new("invalid_client_metadata", why)
}

pub(super) fn post(state: &State, request: &Request<Bytes>) -> Result<Reply, OAuthError> {
    if !has_media_type(request.headers(), "application/json") {
        return Err(invalid("the body must be application/json"));
    }
    let metadata: Metadata = serde_json::from_slice(request.body())
        .map_err(|err| invalid(&format!("the body can't be read: {err}")))?;
    let id = shelf::secret().map_err(|err| OAuthError::internal(&err))?;
    // Whichever method the client asked for, it becomes a public one: § 3.2.1 allows the substitution.
    let client = metadata.public_client(id)?;
    let grant_types: &[&str] =
        if client.refreshes { &[AUTHORIZATION_CODE, REFRESH_TOKEN] } else { &[AUTHORIZATION_CODE] };
    let body = json!({
        "client_id": client.id,
        "client_id_issued_at": state.now_s(),
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": grant_types,
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    state.register(client)?;
    Ok(reply::json(StatusCode::CREATED, &body))
}
