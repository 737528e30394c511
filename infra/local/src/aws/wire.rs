//! What a call is for, by its service's own protocol, and how it is answered.

use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use http_body_util::Full;

use super::{Mappings, reply::Reply};

/// The operation: of the target header, of the form, or of Lambda's path.
pub(super) fn operation(head: &Parts, service: &str, body: &[u8]) -> String {
    let prefix = match service {
        "dynamodb" => "DynamoDB_20120810.",
        "kms" => "TrentService.",
        "secretsmanager" => "secretsmanager.",
        "events" => "AWSEvents.",
        "lambda" if Mappings::takes(head) => return Mappings::operation(head).to_owned(),
        "lambda" => return "Invoke".to_owned(),
        _ => {
            let action = url::form_urlencoded::parse(body).find(|(name, _)| name == "Action");
            return action.map(|(_, value)| value.into_owned()).unwrap_or_default();
        }
    };
    let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    target.strip_prefix(prefix).unwrap_or_default().to_owned()
}

/// A reply of a JSON service.
pub(super) fn json(reply: &Reply) -> Response<Full<Bytes>> {
    response(reply.status, "application/x-amz-json-1.0", reply.body.to_string())
}

/// A reply.
pub(super) fn response(
    status: u16,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert("content-type", http::HeaderValue::from_static(content_type));
    reply
}
