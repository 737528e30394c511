//! How far each chain of audit records goes, written down where no tenant's session can; and what was done to records
//! that nobody may do.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::AttributeValue};

use super::{Alarm, Change};
use crate::{
    Head, Placement, Plan, Problem, TenantId,
    audit::Linked,
    aws::{read_item, store_problem},
    canonical::Item,
    key::Family,
};

const DOING: &str = "following audit trails";

/// The heads in the table of all.
#[derive(Debug)]
pub(super) struct Heads {
    pub(super) client: Client,
    pub(super) table: String,
}

/// A chain of one tenant and day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ChainOf {
    tenant: TenantId,
    day: String,
    writer: String,
}

/// A head that is to go on, from where it was read.
#[derive(Debug)]
pub(super) struct NextHead {
    chain: ChainOf,
    before: Option<u64>,
    head: Head,
}

impl Heads {
    /// What these changes did to trails: alarms, and heads that go on. A change that comes once more changes nothing.
    pub(super) async fn follow(&self, changes: &[Change]) -> Result<(Vec<Alarm>, Vec<NextHead>), Problem> {
        let mut alarms = Vec::new();
        let mut chains: HashMap<ChainOf, Vec<(Linked, &Change)>> = HashMap::new();
        for change in changes {
            let Some(day) = change.family.strip_prefix("AUDIT#") else { continue };
            let mut alarm = |class| alarms.push(Alarm::of(change, day, class));
            match (&change.before, &change.after) {
                (None, Some(record)) => match Linked::read(record) {
                    Some(linked) => {
                        let (tenant, writer) = (change.tenant.clone(), linked.writer.clone());
                        let chain = ChainOf { tenant, day: day.to_owned(), writer };
                        chains.entry(chain).or_default().push((linked, change));
                    }
                    None => alarm("forged"),
                },
                (Some(_), Some(_)) => alarm("altered"),
                (Some(_), None) if change.expired => {}
                (Some(_), None) if self.is_elsewhere(&change.tenant).await? => {}
                (Some(_), None) => alarm("removed"),
                (None, None) => {}
            }
        }
        let mut heads = Vec::new();
        for (chain, records) in chains {
            let item = read_item(&self.client, &self.table, chain.key(), DOING).await?;
            let before = item.as_ref().and_then(Head::read).map(|(_, head)| head);
            let (head, found) = advance(&chain.writer, before.clone(), &records);
            alarms.extend(found.into_iter().map(|(change, class)| Alarm::of(change, &chain.day, class)));
            if head != before
                && let Some(head) = head
            {
                heads.push(NextHead { before: before.map(|head| head.seq), chain, head });
            }
        }
        Ok((alarms, heads))
    }

    /// Writes a head, if it still is where it was read.
    pub(super) async fn write(&self, next: NextHead) -> Result<(), Problem> {
        let NextHead { chain, before, head } = next;
        let mut item = chain.key();
        item.insert("seq".to_owned(), AttributeValue::N(head.seq.to_string()));
        item.insert("hash".to_owned(), AttributeValue::S(head.hash));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let put = match before {
            Some(seq) => put
                .condition_expression("seq = :before")
                .expression_attribute_values(":before", AttributeValue::N(seq.to_string())),
            None => put.condition_expression("attribute_not_exists(pk)"),
        };
        // Where the condition fails, another run of this batch was here: the next run reads where the head is.
        put.send().await.map(drop).map_err(|err| store_problem(DOING, err))
    }

    /// Whether the tenant has a table of its own: then what is removed here are the remains of its move.
    async fn is_elsewhere(&self, tenant: &TenantId) -> Result<bool, Problem> {
        let plan = Plan::fetch(&self.client, &self.table, tenant).await?;
        Ok(plan.placement == Placement::Dedicated)
    }
}

/// The head after these records, and which of them don't follow it. The head goes on all the same: it says how far the
/// chain goes, and whoever verifies it finds the place.
fn advance<'c>(
    writer: &str,
    mut head: Option<Head>,
    records: &[(Linked, &'c Change)],
) -> (Option<Head>, Vec<(&'c Change, &'static str)>) {
    let mut found = Vec::new();
    for (linked, change) in records {
        let (next, previous) = match &head {
            Some(head) => (head.seq.saturating_add(1), head.hash.as_str()),
            None => (0, writer),
        };
        if linked.seq < next {
            let is_last = linked.seq.saturating_add(1) == next;
            if is_last && linked.hash != previous {
                found.push((*change, "forked"));
            }
            continue;
        }
        if linked.seq > next {
            found.push((*change, "missing"));
        } else if linked.previous != previous {
            found.push((*change, "forked"));
        }
        head = Some(Head { seq: linked.seq, hash: linked.hash.clone() });
    }
    (head, found)
}

impl ChainOf {
    fn key(&self) -> Item {
        let partition = Family::Head(&self.day).of(&self.tenant);
        Item::from([
            ("pk".to_owned(), AttributeValue::S(partition)),
            ("sk".to_owned(), AttributeValue::S(self.writer.clone())),
        ])
    }
}

impl Alarm {
    fn of(change: &Change, day: &str, class: &'static str) -> Self {
        let (tenant, record) = (change.tenant.clone(), change.sort_key.clone());
        Self { tenant, class, day: day.to_owned(), record }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> Change {
        Change {
            sequence: "1".to_owned(),
            tenant: TenantId::spell([7; 16]),
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
        let (head, found) = advance("w", head, &records);
        (head.map(|head| (head.seq, head.hash)), found.into_iter().map(|(_, class)| class).collect())
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
