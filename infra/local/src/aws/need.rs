//! What a call needs to be allowed.

use super::iam::Context;

/// One action on one resource; a call that does several things has several needs, and all must be allowed.
#[derive(Debug, Clone)]
pub struct Need {
    /// For instance `dynamodb:GetItem`.
    pub action: String,
    /// The ARN.
    pub resource: String,
    /// The service's own condition keys; the front adds those of the principal.
    pub context: Context,
}

/// A call that can't be understood well enough to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub String);
