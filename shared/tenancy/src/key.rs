//! Keys of a tenant's items. A partition key begins with the tenant, whose id has a fixed length and ends in `#`.

use std::{borrow::Cow, collections::HashMap, fmt, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{Problem, clock::Moment, crypto, tenant::TenantId};

/// Partitions of a tenant's idempotency records.
pub(crate) const IDEMPOTENCY_SHARDS: u8 = 16;

/// The families of items. The tenant role's leading keys go by them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Family<'a> {
    /// Documents of one kind.
    Shelf(&'a Shelf),
    /// Counters.
    Meter,
    /// Idempotency records, in one of [`IDEMPOTENCY_SHARDS`] partitions: few, so that all of a tenant's can be found by
    /// queries.
    Idempotency(u8),
    /// The audit records of one day.
    Audit(&'a str),
    /// How far the chains of a day's audit records go: written by the stream's function alone, in the table of all.
    Head(&'a str),
    /// What the calls of a month came to, by day and action: written by the stream's function alone, in the table of all.
    Rollup(&'a str),
    /// Limits, tier, status and epoch: written by the operator alone.
    Plan,
    /// Wrapped data keys. They are in the table of keys, and there is no other family.
    Keys,
    /// The index of searches.
    Search(SearchPart),
}

/// The parts of the index of searches, each in partitions of its own: what all calls write is apart from what one of
/// them merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SearchPart {
    /// What calls have done since the last merge.
    News,
    /// What leads to all segments.
    Manifest,
    /// Rows of segments, in one of [`SEARCH_PARTITIONS`].
    Rows(u64),
}

/// Partitions of the rows of segments, so that none of them is the limit of the whole.
pub(crate) const SEARCH_PARTITIONS: u64 = 16;

impl Family<'_> {
    /// The partition key.
    pub(crate) fn of(&self, tenant: &TenantId) -> String {
        match self {
            Self::Shelf(Shelf::Items(collection)) => format!("TENANT#{tenant}#ITEM#{collection}"),
            Self::Shelf(Shelf::Settings) => format!("TENANT#{tenant}#SETTINGS"),
            Self::Shelf(Shelf::Secrets) => format!("TENANT#{tenant}#SECRET"),
            Self::Shelf(Shelf::Members) => format!("TENANT#{tenant}#MEMBER"),
            Self::Shelf(Shelf::Assets) => format!("TENANT#{tenant}#ASSET"),
            Self::Shelf(Shelf::Domains) => format!("TENANT#{tenant}#DOMAIN"),
            Self::Meter => format!("TENANT#{tenant}#METER"),
            Self::Idempotency(shard) => format!("TENANT#{tenant}#IDEM#{shard:x}"),
            Self::Audit(day) => format!("TENANT#{tenant}#AUDIT#{day}"),
            Self::Head(day) => format!("TENANT#{tenant}#HEAD#{day}"),
            Self::Rollup(month) => format!("TENANT#{tenant}#ROLLUP#{month}"),
            Self::Plan => format!("TENANT#{tenant}#PLAN"),
            Self::Keys => format!("TENANT#{tenant}#KEY"),
            Self::Search(SearchPart::News) => format!("TENANT#{tenant}#SEARCH#NEWS"),
            Self::Search(SearchPart::Manifest) => format!("TENANT#{tenant}#SEARCH#MANIFEST"),
            Self::Search(SearchPart::Rows(partition)) => format!("TENANT#{tenant}#SEARCH#ROWS#{partition:x}"),
        }
    }

    /// The tenant of a partition of [`Family::Keys`].
    pub(crate) fn tenant_of_keys(partition: &str) -> Option<TenantId> {
        TenantId::read(partition.strip_prefix("TENANT#")?.strip_suffix("#KEY")?)
    }
}

/// Where a tenant's documents are kept. All of them have one form, and are staged and committed alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Shelf {
    /// The items of one collection.
    Items(CollectionName),
    /// What the tenant's admins have set: one document, and a row that counts how often what is cached was emptied.
    Settings,
    /// Sealed secrets, and the directory of their names.
    Secrets,
    /// The people who were seen: one document each, which counts as a seat and not as storage.
    Members,
    /// Images, and the directory of their names.
    Assets,
    /// The domains that the tenant claims: one document.
    Domains,
}

impl Shelf {
    /// Every shelf but those of items.
    pub(crate) const OTHERS: [Self; 5] =
        [Self::Settings, Self::Secrets, Self::Members, Self::Assets, Self::Domains];

    /// The key of a document.
    pub(crate) fn key(&self, tenant: &TenantId, id: &ItemId) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(Family::Shelf(self).of(tenant))),
            ("sk".to_owned(), AttributeValue::S(id.to_string())),
        ])
    }

    /// Whether a change here empties what is cached of its tenant, in every instance.
    pub(crate) const fn empties_cache(&self) -> bool {
        match self {
            Self::Items(_) | Self::Members | Self::Domains => false,
            // What was fetched with a secret may be somebody else's under the next one.
            Self::Settings | Self::Secrets | Self::Assets => true,
        }
    }
}

/// Names a collection. Grammar: 1 to 32 of `a-z 0-9 _`, the first a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectionName(Cow<'static, str>);

impl CollectionName {
    /// The name of a typed collection, checked when the program is compiled.
    pub(crate) const fn of<R: crate::Record>() -> Self {
        const { assert!(is_name(R::COLLECTION), "not the name of a collection") };
        Self(Cow::Borrowed(R::COLLECTION))
    }

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CollectionName {
    type Err = CollectionNameError;

    fn from_str(text: &str) -> Result<Self, CollectionNameError> {
        is_name(text).then(|| Self(Cow::Owned(text.to_owned()))).ok_or(CollectionNameError)
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no name of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectionNameError;

impl fmt::Display for CollectionNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a collection has 1 to 32 of a-z, 0-9 and _, and begins with a letter")
    }
}

impl std::error::Error for CollectionNameError {}

/// Names an item within its collection. Grammar: 1 to 64 of `A-Z a-z 0-9 - _`. It says nothing of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(Box<str>);

impl ItemId {
    /// A new id: 56 bits of time in microseconds and 72 random ones, so that ids sort as their items were made.
    pub(crate) fn make(now: Moment) -> Result<Self, Problem> {
        let mut bits = crypto::random_bits()?;
        bits.iter_mut().zip(now.micros().to_be_bytes().iter().skip(1)).for_each(|(to, from)| *to = *from);
        Ok(Self(TenantId::spell(bits).as_str().into()))
    }

    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no item id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemIdError {
    /// So many bytes.
    Length(usize),
    /// Another character than those of an id.
    Character,
}

impl fmt::Display for ItemIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id has 1 to 64 of A-Z, a-z, 0-9, - and _, and this has ")?;
        match self {
            Self::Length(bytes) => write!(f, "{bytes} bytes"),
            Self::Character => f.write_str("another character"),
        }
    }
}

impl std::error::Error for ItemIdError {}

impl From<ItemIdError> for Problem {
    fn from(err: ItemIdError) -> Self {
        Self::Invalid { detail: format!("id: {err}") }
    }
}

impl FromStr for ItemId {
    type Err = ItemIdError;

    fn from_str(text: &str) -> Result<Self, ItemIdError> {
        if !(1..=64).contains(&text.len()) {
            return Err(ItemIdError::Length(text.len()));
        }
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        plain.then(|| Self(text.into())).ok_or(ItemIdError::Character)
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The grammar of the names of collections and indexes.
pub(crate) const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() > 32 {
        return false;
    }
    let mut rest = bytes;
    let mut first = true;
    while let [byte, tail @ ..] = rest {
        if !(byte.is_ascii_lowercase() || (!first && (byte.is_ascii_digit() || *byte == b'_'))) {
            return false;
        }
        first = false;
        rest = tail;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicI64};

    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn an_id_with_a_key_separator_is_refused() {
        assert!("a-Z_9".parse::<ItemId>().is_ok() && "a".repeat(64).parse::<ItemId>().is_ok());
        for wrong in ["a#b", "a/b", "a*b", "a b", "é"] {
            assert_eq!(wrong.parse::<ItemId>(), Err(ItemIdError::Character), "{wrong}");
        }
        assert_eq!("".parse::<ItemId>(), Err(ItemIdError::Length(0)));
        let long = "a".repeat(65).parse::<ItemId>().unwrap_err();
        let said = "an id has 1 to 64 of A-Z, a-z, 0-9, - and _, and this has 65 bytes";
        assert_eq!(long.to_string(), said);
    }

    #[test]
    fn a_collection_with_a_key_separator_is_refused() {
        assert!("notes_2".parse::<CollectionName>().is_ok());
        for wrong in ["", "2notes", "_notes", "Notes", "no#tes", "no-tes", &"a".repeat(33)] {
            assert_eq!(wrong.parse::<CollectionName>(), Err(CollectionNameError), "{wrong}");
        }
    }

    #[test]
    fn ids_sort_as_their_items_were_made() {
        let at = |micros| ItemId::make(Clock::Fixed(Arc::new(AtomicI64::new(micros))).now()).unwrap();
        // A second is not fine enough: two notes of one second came in either order.
        for later in [1, 1_000, 1_000_000] {
            assert!(
                at(1_795_500_000_000_000) < at(1_795_500_000_000_000_i64.saturating_add(later)),
                "{later}"
            );
        }
        assert_ne!(at(1_795_500_000_000_000), at(1_795_500_000_000_000));
    }

    proptest! {
        #[test]
        fn no_key_of_one_tenant_begins_with_another_tenants_prefix(a: [u8; 16], b: [u8; 16], name in "[a-z]{1,32}") {
            let (left, right) = (TenantId::spell(a), TenantId::spell(b));
            prop_assume!(left != right);
            let key = Family::Shelf(&Shelf::Items(name.parse().unwrap())).of(&left);
            let prefix = format!("TENANT#{}#", right);
            prop_assert!(!key.starts_with(&prefix));
        }
    }
}
