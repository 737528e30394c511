//! The answer of a JSON service.

use serde_json::{Value, json};

/// Status and JSON body.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// 200, or the status of an error.
    pub status: u16,
    /// The body; of an error `{"__type": …, "message": …}`.
    pub body: Value,
}

impl Reply {
    /// A result.
    #[must_use]
    pub const fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// An error of the caller, in the form that every SDK reads.
    #[must_use]
    pub fn refused(kind: &str, message: &str) -> Self {
        Self { status: 400, body: json!({ "__type": kind, "message": message }) }
    }

    /// A fault of the service.
    #[must_use]
    pub fn fault(kind: &str) -> Self {
        Self { status: 500, body: json!({ "__type": kind, "message": "the service failed" }) }
    }
}
