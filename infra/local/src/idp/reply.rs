//! Replies: JSON, OAuth errors, redirects.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

pub(super) type Reply = Response<Full<Bytes>>;

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    match serde_json::to_vec(body) {
        Ok(bytes) => with_type(status, "application/json", bytes),
        Err(_) => with_type(StatusCode::INTERNAL_SERVER_ERROR, "application/json", b"{}".to_vec()),
    }
}

pub(super) fn text(status: StatusCode, body: &'static str) -> Reply {
    with_type(status, "text/plain; charset=utf-8", body.into())
}

pub(super) fn with_type(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    set(&mut reply, CONTENT_TYPE, media_type);
    set(&mut reply, CACHE_CONTROL, "no-store");
    set(&mut reply, HeaderName::from_static("x-content-type-options"), "nosniff");
    reply
}

/// 303, so that a browser drops the sign-in form's body (RFC 9700 § 4.12).
pub(super) fn redirect(location: &str) -> Reply {
    let Ok(location) = HeaderValue::try_from(location) else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "the redirect URI can't be sent\n");
    };
    let mut reply = text(StatusCode::SEE_OTHER, "");
    reply.headers_mut().insert(LOCATION, location);
    reply
}

pub(super) fn set(reply: &mut Reply, name: HeaderName, value: &'static str) {
    reply.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// An error in the form of RFC 6749 § 5.2, which RFC 7591 § 3.2.2 shares.
#[derive(Debug)]
pub(super) struct OAuthError {
    pub(super) code: &'static str,
    pub(super) why: String,
}

impl OAuthError {
    pub(super) fn new(code: &'static str, why: impl Into<String>) -> OAuthError {
        OAuthError { code, why: why.into() }
    }

    /// For a failure of this program; the cause goes to the log.
    pub(super) fn internal(cause: &(dyn std::error::Error + 'static)) -> OAuthError {
        tracing::error!(error = cause, "the identity provider failed");
        OAuthError::new("server_error", "the identity provider failed")
    }

    pub(super) fn reply(&self) -> Reply {
        let status = match self.code {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let mut reply = json(status, &json!({ "error": self.code, "error_description": self.why }));
        if status == StatusCode::UNAUTHORIZED {
            set(&mut reply, WWW_AUTHENTICATE, "Basic realm=\"insula\"");
        }
        reply
    }
}
