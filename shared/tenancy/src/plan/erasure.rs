//! How a tenant is erased, as its plan says it: an erasure that was interrupted is taken up as it was begun.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::CollectionName;

/// What an erasure is to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// What becomes of the audit trail.
    pub audit: AuditEnd,
    /// Every collection that the tenant can have items in.
    pub collections: Vec<CollectionName>,
}

/// What becomes of the audit trail of a tenant that is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditEnd {
    /// `removed`: with everything else, and what was counted of it.
    Removed,
    /// `kept`: without its callers, so that it still can be verified.
    Kept,
}

impl AuditEnd {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Kept => "kept",
        }
    }
}

impl Erasure {
    pub(super) fn attributes(&self) -> [(String, AttributeValue); 2] {
        let names = self.collections.iter().map(|name| AttributeValue::S(name.to_string())).collect();
        [
            ("audit".to_owned(), AttributeValue::S(self.audit.word().to_owned())),
            ("collections".to_owned(), AttributeValue::L(names)),
        ]
    }

    /// `Some(None)` for the plan of a tenant that is not erased.
    pub(super) fn read(item: &HashMap<String, AttributeValue>) -> Option<Option<Self>> {
        let Some(audit) = item.get("audit") else { return Some(None) };
        let word = audit.as_s().ok()?;
        let audit = [AuditEnd::Removed, AuditEnd::Kept].into_iter().find(|end| end.word() == word)?;
        let names = item.get("collections")?.as_l().ok()?.iter();
        let collections = names.map(|name| name.as_s().ok()?.parse().ok()).collect::<Option<_>>()?;
        Some(Some(Self { audit, collections }))
    }
}
