//! What a limit of a plan is called, how much of it is used, and the words for one that is used up.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{CollectionName, clock::Moment};

/// A limit of a tenant's plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuotaKind {
    /// `calls_month`: tool calls and API requests in a calendar month, UTC.
    CallsMonth,
    /// `calls_minute`: the same in a minute.
    CallsMinute,
    /// `storage_bytes`: bytes of all documents that are kept.
    StorageBytes,
    /// `items`: items of all collections.
    Items,
    /// `members`: people who have a seat.
    Members,
    /// `items:<collection>`: items of one collection, where the operator has set a limit for it.
    ItemsOf(CollectionName),
}

impl QuotaKind {
    /// The kinds that every tenant has, in the order in which they are listed.
    pub const COMMON: [Self; 5] =
        [Self::CallsMonth, Self::CallsMinute, Self::StorageBytes, Self::Items, Self::Members];

    /// The word for it.
    #[must_use]
    pub fn word(&self) -> Cow<'static, str> {
        match self {
            Self::CallsMonth => "calls_month".into(),
            Self::CallsMinute => "calls_minute".into(),
            Self::StorageBytes => "storage_bytes".into(),
            Self::Items => "items".into(),
            Self::Members => "members".into(),
            Self::ItemsOf(collection) => format!("items:{collection}").into(),
        }
    }
}

/// A quota: how much there is of something, and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Of what.
    pub kind: QuotaKind,
    /// The limit of the period, or for ever where there is none.
    pub limit: u64,
    /// What is used of it.
    pub used: u64,
    /// When the period ends; a quota of what is kept has none.
    pub resets: Option<Reset>,
    /// Whom to ask for more, as the deployment says it.
    pub contact: Option<Arc<str>>,
}

/// The end of a quota's period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// In seconds since 1970 UTC.
    pub at_s: i64,
    /// Counted from now, at least 1.
    pub in_s: u64,
}

impl Quota {
    /// What is left of it.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Whether one more is let in.
    #[must_use]
    pub const fn allows(&self) -> bool {
        self.used < self.limit
    }
}

impl Reset {
    /// When, RFC 3339 in UTC.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        Moment::at_micros(self.at_s.saturating_mul(1_000_000)).rfc3339()
    }

    pub(crate) fn at(at_s: i64, now: Moment) -> Self {
        let in_s = u64::try_from(at_s.saturating_sub(now.seconds())).unwrap_or(1).max(1);
        Self { at_s, in_s }
    }
}

impl fmt::Display for QuotaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word())
    }
}

/// The words for one that is used up.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, limit, used, resets, contact } = self;
        let contact = contact.as_deref().unwrap_or("the workspace's operator");
        match resets {
            Some(reset) => write!(
                f,
                "the quota {kind} of {limit} is used up; it resets in {} s, or ask {contact} for more",
                reset.in_s
            ),
            None => write!(
                f,
                "the quota {kind} of {limit} leaves no room for this, with {used} in use; remove something, or ask \
                 {contact} for more"
            ),
        }
    }
}
