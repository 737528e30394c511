//! How far each chain of audit records goes, and so which records are new; and what was done to records that nobody may do.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, Put, TransactWriteItem},
};

use super::{Alarm, Change, rollups::read_rows};
use crate::{
    Head, Moment, Plan, Problem, TenantId,
    audit::Linked,
    canonical::Item,
    key::Family,
    rollup::{RowOf, Tally, UNKNOWN_ACTION},
};

const DOING: &str = "following audit trails";
/// Rows that one head takes with it, so that they fit into a transaction; nobody has as many actions who does not invent them.
const ACTIONS_MAX: usize = 90;

/// The heads in the table of all.
#[derive(Debug)]
pub(super) struct Heads {
    pub(super) client: Client,
    pub(super) table: String,
}

/// A chain of one tenant and day.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct ChainOf {
    tenant: TenantId,
    day: String,
    writer: String,
}

/// A head that is to go on, from where it was read, and what the records count for that it goes beyond.
#[derive(Debug)]
pub(super) struct NextHead {
    chain: ChainOf,
    before: Option<u64>,
    head: Head,
    pub(super) counted: BTreeMap<RowOf, Tally>,
}

/// Where a chain went.
#[derive(Debug, Default)]
struct Advance<'c> {
    head: Option<Head>,
    /// The records that the head went beyond: none of them was counted before.
    new: Vec<&'c Change>,
    /// Those that don't follow, and how.
    astray: Vec<(&'c Change, &'static str)>,
}

impl Heads {
    /// What these changes did to trails: alarms, and heads that go on. A change that comes once more changes nothing.
    pub(super) async fn follow(
        &self,
        changes: &[Change],
        now: Moment,
    ) -> Result<(Vec<Alarm>, Vec<NextHead>), Problem> {
        let (mut alarms, chains) = self.sort(changes).await?;
        let keys = chains.keys().map(ChainOf::key).collect();
        let heads = read_rows(&self.client, &self.table, keys, DOING).await?;
        let mut next = Vec::new();
        for (chain, mut records) in chains {
            // Records that one transaction has brought, as a move does, come in any order.
            records.sort_by_key(|(linked, _)| linked.seq);
            let before = heads.get(&chain.place()).and_then(Head::read).map(|(_, head)| head);
            let Advance { head, new, astray } = advance(&chain.writer, before.clone(), &records);
            alarms.extend(astray.into_iter().map(|(change, class)| Alarm::of(change, &chain.day, class)));
            if head != before
                && let Some(head) = head
            {
                let counted = count(&chain, &new, now);
                next.push(NextHead { before: before.map(|head| head.seq), chain, head, counted });
            }
        }
        Ok((alarms, next))
    }

    /// The records that were added, by chain, and an alarm for each that was not added but changed.
    async fn sort<'c>(
        &self,
        changes: &'c [Change],
    ) -> Result<(Vec<Alarm>, BTreeMap<ChainOf, Vec<(Linked, &'c Change)>>), Problem> {
        let mut alarms = Vec::new();
        let mut chains: BTreeMap<ChainOf, Vec<(Linked, &Change)>> = BTreeMap::new();
        for change in changes {
            let Some(day) = change.family.strip_prefix("AUDIT#") else { continue };
            let mut alarm = |class| alarms.push(Alarm::of(change, day, class));
            match (&change.before, &change.after) {
                (None, Some(record)) => match Linked::read(record).filter(|linked| is_place(day, linked)) {
                    Some(linked) => {
                        let (tenant, writer) = (change.tenant.clone(), linked.writer.clone());
                        let chain = ChainOf { tenant, day: day.to_owned(), writer };
                        chains.entry(chain).or_default().push((linked, change));
                    }
                    None => alarm("forged"),
                },
                (Some(_), Some(_)) => alarm("altered"),
                (Some(_), None) if change.expired => {}
                (Some(_), None) if self.is_remains(change).await? => {}
                (Some(_), None) => alarm("removed"),
                (None, None) => {}
            }
        }
        Ok((alarms, chains))
    }

    /// Whether the tenant's data is in its other table: then what is removed here are the remains of its move.
    async fn is_remains(&self, change: &Change) -> Result<bool, Problem> {
        let plan = Plan::fetch(&self.client, &self.table, &change.tenant).await?;
        Ok(plan.placement != change.side)
    }
}

/// Whether a day is one and a writer has the form of one: both are parts of keys, which nobody is to make too long.
fn is_place(day: &str, linked: &Linked) -> bool {
    day.len() == 10 && day.parse::<Moment>().is_ok() && TenantId::read(&linked.writer).is_some()
}

/// The head after these records, and which of them don't follow it. The head goes on all the same: it says how far the
/// chain goes, and whoever verifies it finds the place.
fn advance<'c>(writer: &str, head: Option<Head>, records: &[(Linked, &'c Change)]) -> Advance<'c> {
    let mut went = Advance { head, ..Advance::default() };
    for (linked, change) in records {
        let (next, previous) = match &went.head {
            Some(head) => (head.seq.saturating_add(1), head.hash.as_str()),
            None => (0, writer),
        };
        if linked.seq < next {
            let is_last = linked.seq.saturating_add(1) == next;
            if is_last && linked.hash != previous {
                went.astray.push((*change, "forked"));
            }
            continue;
        }
        if linked.seq > next {
            went.astray.push((*change, "missing"));
        } else if linked.previous != previous {
            went.astray.push((*change, "forked"));
        }
        went.new.push(*change);
        went.head = Some(Head { seq: linked.seq, hash: linked.hash.clone() });
    }
    went
}

/// What records count for, by their rows.
fn count(chain: &ChainOf, records: &[&Change], now: Moment) -> BTreeMap<RowOf, Tally> {
    let mut counted: BTreeMap<RowOf, Tally> = BTreeMap::new();
    for record in records.iter().filter_map(|change| change.after.as_ref()) {
        for (action, mut tally) in Tally::of(record) {
            // Whatever a record says of its time, it was not made later than now.
            tally.last_minute = tally.last_minute.map(|minute| minute.min(now.minute()));
            let mut row = RowOf { tenant: chain.tenant.clone(), day: chain.day.clone(), action };
            if counted.len() >= ACTIONS_MAX && !counted.contains_key(&row) {
                row.action = UNKNOWN_ACTION.to_owned();
            }
            counted.entry(row).or_default().merge(&tally);
        }
    }
    counted
}

impl NextHead {
    /// The write of the head, which holds only where it still is where it was read.
    pub(super) fn put(&self, table: &str) -> Result<TransactWriteItem, Problem> {
        let Self { chain, before, head, .. } = self;
        let mut item = chain.key();
        item.insert("seq".to_owned(), AttributeValue::N(head.seq.to_string()));
        item.insert("hash".to_owned(), AttributeValue::S(head.hash.clone()));
        let put = Put::builder().table_name(table).set_item(Some(item));
        let put = match before {
            Some(seq) => put
                .condition_expression("seq = :before")
                .expression_attribute_values(":before", AttributeValue::N(seq.to_string())),
            None => put.condition_expression("attribute_not_exists(pk)"),
        };
        let put = put.build().map_err(|err| Problem::internal(DOING, err))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

impl ChainOf {
    /// Partition and sort key.
    fn place(&self) -> (String, String) {
        (Family::Head(&self.day).of(&self.tenant), self.writer.clone())
    }

    fn key(&self) -> Item {
        let (partition, sort_key) = self.place();
        Item::from([
            ("pk".to_owned(), AttributeValue::S(partition)),
            ("sk".to_owned(), AttributeValue::S(sort_key)),
        ])
    }
}

impl Alarm {
    fn of(change: &Change, day: &str, class: &'static str) -> Self {
        let (tenant, record) = (Some(change.tenant.clone()), change.sort_key.clone());
        Self { tenant, class, day: day.to_owned(), record }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Placement;

    fn change() -> Change {
        Change {
            sequence: "1".to_owned(),
            tenant: TenantId::spell([7; 16]),
            side: Placement::Pooled,
            family: "AUDIT#2026-11-23".to_owned(),
            sort_key: "s".to_owned(),
            before: None,
            after: Some(Item::new()),
            expired: false,
        }
    }

    fn linked(seq: u64, previous: &str, hash: &str) -> Linked {
        let [writer, previous, hash] = ["w", previous, hash].map(str::to_owned);
        Linked { writer, seq, previous, hash }
    }

    fn follow(head: Option<Head>, records: &[Linked]) -> (Option<(u64, String)>, Vec<&'static str>) {
        let change = change();
        let records: Vec<_> = records.iter().map(|linked| (linked.clone(), &change)).collect();
        let Advance { head, new, astray } = advance("w", head, &records);
        assert!(new.len() <= records.len());
        (head.map(|head| (head.seq, head.hash)), astray.into_iter().map(|(_, class)| class).collect())
    }

    #[test]
    fn a_head_goes_on_with_its_chain_and_again_with_the_same_batch() {
        let batch = [linked(0, "w", "a"), linked(1, "a", "b"), linked(2, "b", "c")];
        let end = Some((2, "c".to_owned()));
        assert_eq!(follow(None, &batch), (end.clone(), vec![]));
        for seq in 0..3 {
            let hash = ["a", "b", "c"][usize::try_from(seq).unwrap()].to_owned();
            assert_eq!(follow(Some(Head { seq, hash }), &batch), (end.clone(), vec![]), "{seq}");
        }
    }

    #[test]
    fn what_does_not_follow_is_told() {
        let head = || Some(Head { seq: 1, hash: "b".to_owned() });
        assert_eq!(follow(head(), &[linked(2, "b", "c")]).1, Vec::<&str>::new());
        for (record, class) in [
            (linked(3, "c", "d"), "missing"),
            (linked(2, "x", "c"), "forked"),
            (linked(1, "a", "x"), "forked"),
        ] {
            assert_eq!(follow(head(), &[record]).1, [class]);
        }
        assert_eq!(follow(None, &[linked(0, "x", "a")]).1, ["forked"], "a first record that is no first one");
        assert_eq!(follow(None, &[linked(1, "w", "a")]).1, ["missing"]);
    }
}
