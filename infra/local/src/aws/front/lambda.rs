//! Lambda: functions that are invoked, and who follows which stream.

use bytes::Bytes;
use http::request::Parts;

use super::{Door, Invoked, Outcome};
use crate::aws::{
    mappings::Ask,
    need::{Malformed, Need},
    reply::Reply,
    sessions::Session,
    wire::response,
};

impl Door {
    /// What is asked of the list of event source mappings.
    pub(super) fn map(&self, head: &Parts, session: &Session, body: &[u8]) -> Reply {
        let ask = self.mappings.ask(head, body);
        let need = ask.as_ref().map(|ask| vec![self.mappings.need(ask)]).map_err(Clone::clone);
        if let Err(message) = self.allow(session, need) {
            return Reply { status: 403, ..Reply::refused("AccessDeniedException", &message) };
        }
        match ask {
            Ok(Ask::Create(mapping)) if !self.may_follow(&mapping) => Reply::refused(
                "InvalidParameterValueException",
                "the function's role must be allowed to read the stream",
            ),
            Ok(ask) => self.mappings.serve(ask),
            Err(Malformed(why)) => Reply::refused("InvalidParameterValueException", &why),
        }
    }

    /// Invoke.
    pub(super) async fn lambda(&self, head: &Parts, session: &Session, body: Bytes) -> Outcome {
        let named = head
            .uri
            .path()
            .strip_prefix("/2015-03-31/functions/")
            .and_then(|rest| rest.strip_suffix("/invocations"))
            .and_then(|name| percent_encoding::percent_decode_str(name).decode_utf8().ok());
        let function = named.and_then(|name| self.mappings.function(&name));
        let arn = function.map(|function| function.arn.clone());
        let Some(arn) = arn.filter(|_| head.method == http::Method::POST) else {
            return Outcome::Json(Reply::refused("ResourceNotFoundException", "there is no such function"));
        };
        let kind = head
            .headers
            .get("x-amz-invocation-type")
            .map_or(&b"RequestResponse"[..], http::HeaderValue::as_bytes);
        if kind != b"RequestResponse" || head.uri.query().is_some() {
            return Outcome::Json(Reply::refused(
                "InvalidParameterValueException",
                "there is RequestResponse only",
            ));
        }
        let need = Need {
            action: "lambda:InvokeFunction".to_owned(),
            resource: arn.clone(),
            context: Default::default(),
        };
        if let Err(message) = self.allow(session, Ok(vec![need])) {
            return Outcome::Json(Reply::refused("AccessDeniedException", &message));
        }
        match (self.invoke)(arn, body).await {
            Ok(Invoked { payload, function_error }) => {
                let mut reply = response(200, "application/json", payload);
                if let Some(value) = function_error.and_then(|kind| kind.parse().ok()) {
                    reply.headers_mut().insert("x-amz-function-error", value);
                }
                Outcome::Other(reply)
            }
            Err(err) => {
                tracing::error!(error = err, "an invocation failed");
                Outcome::Json(Reply::fault("ServiceException"))
            }
        }
    }
}
