//! Calls that go wrong on purpose.

use super::Outcome;
use crate::aws::{FaultKind, reply::Reply, sts, wire::response};

/// What a service says of a call with which it did nothing.
pub(super) fn failed(service: &str, kind: FaultKind) -> Outcome {
    // STS has words of its own.
    let (status, word, of_sts) = match kind {
        FaultKind::Throttle => (400, "ThrottlingException", "Throttling"),
        FaultKind::Deny => (400, "AccessDeniedException", "AccessDenied"),
        FaultKind::Expired => (400, "ExpiredTokenException", "ExpiredToken"),
        _ => (500, "InternalServerError", "InternalFailure"),
    };
    if service == "sts" {
        let status = if status == 500 || kind == FaultKind::Throttle { status } else { 403 };
        let refused = sts::Refused { status, code: of_sts, message: "it went wrong on purpose".to_owned() };
        return Outcome::Other(response(refused.status, "text/xml", refused.xml()));
    }
    Outcome::Json(Reply { status, ..Reply::refused(word, "it went wrong on purpose") })
}
