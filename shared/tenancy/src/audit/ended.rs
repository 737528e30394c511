//! How calls ended that ran on when their record was made: those that only read, beside it, and those that act outside, after
//! it. One that ended in a problem has a second record. Of one that ended well there is no more to say
//! than how long it took, which the next record of its instance says.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    aws::{number as number_of, text},
    canonical::Item,
};

use super::record::{get, number};

/// Calls of a tenant that wait for a record to tell of them. It has few attributes, and should not cost a unit more.
pub(super) const ENDED_MAX: usize = 8;
pub(super) const ENDED: &str = "ended";

/// A call that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) action: String,
    pub(crate) duration_ms: u64,
}

impl Ended {
    pub(crate) fn attribute(&self) -> AttributeValue {
        AttributeValue::M(Item::from([
            ("action".to_owned(), text(&self.action)),
            ("duration_ms".to_owned(), number_of(self.duration_ms)),
        ]))
    }

    /// All that a record tells of. What is not in order, or beyond what one tells, is not looked at.
    pub(crate) fn read(record: &Item) -> Vec<Self> {
        let told = record.get(ENDED).and_then(|value| value.as_l().ok());
        let told = told.into_iter().flatten().take(ENDED_MAX).filter_map(|value| value.as_m().ok());
        told.filter_map(|of| {
            Some(Self { action: get(of, "action")?, duration_ms: number(of, "duration_ms")? })
        })
        .collect()
    }
}
