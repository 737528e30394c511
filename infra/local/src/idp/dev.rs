//! `/dev/token`: tokens for the `insula token` command, which exist on the laptop only.

use bytes::Bytes;
use hyper::header::ORIGIN;
use hyper::{Request, StatusCode};

use super::form::has_media_type;
use super::mint::{Mint, MintError};
use super::reply::{self, OAuthError, Reply};
use super::state::State;

pub(super) fn post(state: &State, request: &Request<Bytes>) -> Result<Reply, OAuthError> {
    let headers = request.headers();
    // A page of another site can't set the header without a preflight, which is never granted here; and
    // what does come from a page says so.
    let is_asked_by_a_program = headers.get("x-insula-dev").is_some_and(|value| value == "1")
        && !headers.contains_key(ORIGIN)
        && !headers.contains_key("sec-fetch-site");
    if !is_asked_by_a_program {
        return Err(OAuthError::new(
            "access_denied",
            "this is for the insula command: it sends X-Insula-Dev: 1",
        ));
    }
    if !has_media_type(headers, "application/json") {
        return Err(OAuthError::new("invalid_request", "the body must be application/json"));
    }
    let mint: Mint = serde_json::from_slice(request.body())
        .map_err(|err| OAuthError::new("invalid_request", format!("the body can't be read: {err}")))?;
    match state.mint(&mint) {
        Ok(minted) => Ok(reply::json(StatusCode::OK, &minted)),
        Err(err @ MintError::Key(_)) => Err(OAuthError::internal(&err)),
        Err(err @ MintError::Resource(_)) => Err(OAuthError::new("invalid_target", err.to_string())),
        Err(err @ MintError::Scope) => Err(OAuthError::new("invalid_scope", err.to_string())),
        Err(err @ (MintError::User | MintError::Ttl)) => {
            Err(OAuthError::new("invalid_request", err.to_string()))
        }
    }
}
