//! Whether a day's records are those that were written: every chain of it from its first record to its head.

use std::{collections::BTreeMap, fmt};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    HASH, WHO, hash,
    record::{get, number},
    who_hash,
};
use crate::canonical::Item;

/// How far a chain goes, as somebody wrote down who could not be asked to write otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The place of the last record.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl Head {
    /// A head as the store has it, with the name of its chain.
    pub(crate) fn read(item: &Item) -> Option<(String, Self)> {
        Some((get(item, "sk")?, Self { seq: number(item, "seq")?, hash: get(item, HASH)? }))
    }
}

/// A record's place in its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Linked {
    pub(crate) writer: String,
    pub(crate) seq: u64,
    pub(crate) previous: String,
    pub(crate) hash: String,
}

impl Linked {
    /// The place of a record that is whole.
    pub(crate) fn read(record: &Item) -> Option<Self> {
        let (writer, seq) = (get(record, "writer")?, number(record, "seq")?);
        let (previous, hash) = (get(record, "prev")?, get(record, HASH)?);
        is_whole(record).then_some(Self { writer, seq, previous, hash })
    }
}

/// A day that is in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Records.
    pub records: u64,
    /// Chains that they are in.
    pub chains: u64,
    /// Records at the ends of chains that no head knows yet: the stream is some seconds behind.
    pub beyond_heads: u64,
}

/// The first link that does not hold, in the order of the records' times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The chain.
    pub writer: String,
    /// The place in it.
    pub seq: u64,
    /// The sort key of the record that shows it.
    pub record: String,
    /// What is wrong there.
    pub wrong: Wrong,
}

/// What can be wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The record at this place is not what was written.
    Altered,
    /// There is no record at this place, and there are later ones.
    Missing,
    /// The record at this place has the time of another one.
    Reordered,
    /// Two records claim this place.
    Forked,
    /// The chain went on to this place at least, and nothing of it from here is left.
    Truncated,
}

/// Checks all records of one day, in the order of their keys, against each other and against the heads of their chains.
///
/// # Errors
/// The first link that does not hold.
pub(crate) fn check(records: &[Item], heads: &BTreeMap<String, Head>) -> Result<Verified, Break> {
    let mut chains: BTreeMap<&str, Vec<&Item>> = heads.keys().map(|writer| (&**writer, Vec::new())).collect();
    for record in records {
        chains.entry(word(record, "writer")).or_default().push(record);
    }
    let mut verified = Verified::default();
    let mut first: Option<Break> = None;
    for (writer, records) in chains {
        match chain(writer, &records, heads.get(writer)) {
            Ok(beyond_head) => {
                let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
                verified.records = verified.records.saturating_add(count);
                verified.chains = verified.chains.saturating_add(1);
                verified.beyond_heads = verified.beyond_heads.saturating_add(beyond_head);
            }
            Err(found) if first.as_ref().is_none_or(|first| found.record < first.record) => {
                first = Some(found);
            }
            Err(_later) => {}
        }
    }
    first.map_or(Ok(verified), Err)
}

/// Walks one chain, and says how many of its records its head does not know yet.
fn chain(writer: &str, records: &[&Item], head: Option<&Head>) -> Result<u64, Break> {
    let broken = |seq: u64, record: &Item, wrong: Wrong| Break {
        writer: writer.to_owned(),
        seq,
        record: word(record, "sk").to_owned(),
        wrong,
    };
    let mut previous = writer;
    let mut next = 0_u64;
    for record in records {
        let Some(seq) = number(record, "seq").filter(|_| is_whole(record)) else {
            return Err(broken(number(record, "seq").unwrap_or(next), record, Wrong::Altered));
        };
        if seq > next {
            let later = records.iter().any(|record| number(record, "seq") == Some(next));
            return Err(broken(next, record, if later { Wrong::Reordered } else { Wrong::Missing }));
        }
        if seq < next {
            return Err(broken(seq, record, Wrong::Forked));
        }
        if word(record, "prev") != previous {
            // It is whole, so it knows what its predecessor was.
            return Err(broken(seq.saturating_sub(1), record, Wrong::Altered));
        }
        previous = word(record, HASH);
        if let Some(head) = head
            && head.seq == seq
            && head.hash != previous
        {
            return Err(broken(seq, record, Wrong::Altered));
        }
        next = next.saturating_add(1);
    }
    let known = head.map_or(0, |head| head.seq.saturating_add(1));
    if next < known {
        let nothing = Item::new();
        return Err(broken(next, records.last().copied().unwrap_or(&nothing), Wrong::Truncated));
    }
    Ok(next.saturating_sub(known))
}

/// Whether a record is what its hash was made of, and its caller whom its commitment was made for, or erased.
fn is_whole(record: &Item) -> bool {
    let who = WHO.map(|name| get(record, name));
    let is_caller = match who {
        [Some(issuer), Some(subject), Some(client), Some(salt)] => {
            word(record, "who_hash") == who_hash(&issuer, &subject, &client, &salt)
        }
        _ => WHO.iter().all(|name| !record.contains_key(*name)),
    };
    is_caller && word(record, HASH) == hash(record)
}

fn word<'r>(record: &'r Item, name: &str) -> &'r str {
    record.get(name).and_then(|value| AttributeValue::as_s(value).ok()).map_or("", String::as_str)
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writer, seq, record, wrong } = self;
        write!(f, "{}: place {seq} of chain {writer}", wrong.word())?;
        if record.is_empty() { Ok(()) } else { write!(f, ", seen at record {record}") }
    }
}

impl Wrong {
    /// A stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Missing => "missing",
            Self::Reordered => "reordered",
            Self::Forked => "forked",
            Self::Truncated => "truncated",
        }
    }
}
