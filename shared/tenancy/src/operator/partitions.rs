//! Every partition that a tenant can have, so that all of its data can be found by queries, and copied and compared.

use aws_lc_rs::digest::{Context, SHA256};
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    CollectionName, Problem,
    aws::store_problem,
    canonical::{Item, write_map},
    clock::Moment,
    key::{Family, IDEMPOTENCY_SHARDS, Shelf},
    search::parts,
    tenant::TenantId,
};

/// The partition keys of everything but the plan, which is the operator's.
pub(super) fn partitions(
    tenant: &TenantId,
    collections: &[CollectionName],
    (first, last): (Moment, Moment),
) -> Vec<String> {
    let mut keys: Vec<String> =
        collections.iter().map(|name| Family::Shelf(&Shelf::Items(name.clone())).of(tenant)).collect();
    keys.extend(Shelf::OTHERS.iter().map(|shelf| Family::Shelf(shelf).of(tenant)));
    keys.push(Family::Meter.of(tenant));
    keys.extend((0..IDEMPOTENCY_SHARDS).map(|shard| Family::Idempotency(shard).of(tenant)));
    keys.extend(parts().map(|part| Family::Search(part).of(tenant)));
    let mut day = first;
    while day.day() <= last.day() {
        keys.push(Family::Audit(&day.day()).of(tenant));
        day = day.plus_s(24 * 3600);
    }
    keys
}

/// The partition keys, in the table of all, of what the stream's function makes of a tenant's audit trail: how far its
/// chains go, and what was counted.
pub(super) fn followed(tenant: &TenantId, (first, last): (Moment, Moment)) -> Vec<String> {
    let mut keys = Vec::new();
    let mut day = first;
    while day.day() <= last.day() {
        keys.push(Family::Head(&day.day()).of(tenant));
        let rollup = Family::Rollup(&day.month()).of(tenant);
        if !keys.contains(&rollup) {
            keys.push(rollup);
        }
        day = day.plus_s(24 * 3600);
    }
    keys
}

/// All items of a partition, a page at a time.
pub(super) struct Pages<'p> {
    client: &'p Client,
    table: &'p str,
    partition: &'p str,
    start: Option<Item>,
    done: bool,
    /// The attributes that are asked for; all without it.
    projection: Option<&'static str>,
}

impl<'p> Pages<'p> {
    pub(super) const fn new(client: &'p Client, table: &'p str, partition: &'p str) -> Self {
        Self { client, table, partition, start: None, done: false, projection: None }
    }

    /// The same without what the items say.
    pub(super) fn of_keys(client: &'p Client, table: &'p str, partition: &'p str) -> Self {
        Self { projection: Some("pk, sk"), ..Self::new(client, table, partition) }
    }

    /// The next page; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Item>>, Problem> {
        if self.done {
            return Ok(None);
        }
        let request = self
            .client
            .query()
            .table_name(self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(self.partition.to_owned()))
            .set_projection_expression(self.projection.map(str::to_owned))
            .set_exclusive_start_key(self.start.take())
            .consistent_read(true);
        let reply = request.send().await.map_err(|err| store_problem("reading a partition", err))?;
        self.done = reply.last_evaluated_key.is_none();
        self.start = reply.last_evaluated_key;
        Ok(Some(reply.items.unwrap_or_default()))
    }
}

/// How many items, and what all of them say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// Items.
    pub items: u64,
    /// SHA-256 over them in the order of their keys, in base64url.
    pub digest: String,
}

/// Sums up items in the order in which they come.
pub(super) struct Summing {
    items: u64,
    context: Context,
}

impl Summing {
    pub(super) fn new() -> Self {
        Self { items: 0, context: Context::new(&SHA256) }
    }

    pub(super) fn add(&mut self, item: &Item) {
        self.items = self.items.saturating_add(1);
        let mut bytes = Vec::new();
        write_map(&mut bytes, item);
        self.context.update(&bytes);
    }

    pub(super) fn done(self) -> Sum {
        Sum { items: self.items, digest: URL_SAFE_NO_PAD.encode(self.context.finish()) }
    }
}

/// Bytes of an item, a little more than the store counts.
pub(super) fn size(item: &Item) -> usize {
    let mut bytes = Vec::new();
    write_map(&mut bytes, item);
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn item(pairs: &[(&str, &str)]) -> Item {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), AttributeValue::S((*text).to_owned()))).collect()
    }

    fn sum(items: &[Item]) -> Sum {
        let mut summing = Summing::new();
        items.iter().for_each(|item| summing.add(item));
        summing.done()
    }

    #[test]
    fn two_sums_agree_when_every_item_does() {
        let one = [item(&[("pk", "a"), ("sk", "b")]), item(&[("pk", "a"), ("sk", "c")])];
        assert_eq!(sum(&one), sum(&one.clone()));
        for other in [
            vec![one[0].clone()],
            vec![one[1].clone(), one[0].clone()],
            vec![one[0].clone(), item(&[("pk", "a"), ("sk", "d")])],
            vec![one[0].clone(), item(&[("pk", "as"), ("k", "c")])],
        ] {
            assert_ne!(sum(&one), sum(&other), "{other:?}");
        }
    }

    #[test]
    fn every_day_from_the_first_to_the_last_has_its_partition() {
        let tenant = TenantId::spell([7; 16]);
        let at = |seconds| Clock::fixed_at_s(seconds).now();
        let keys = partitions(&tenant, &["notes".parse().unwrap()], (at(1_795_500_000), at(1_795_700_000)));
        let days: Vec<_> = keys.iter().filter_map(|key| key.split_once("#AUDIT#")).map(|(_, d)| d).collect();
        assert_eq!(days, ["2026-11-24", "2026-11-25", "2026-11-26"]);
        for family in ["ITEM#notes", "SETTINGS", "METER"] {
            assert!(keys.contains(&format!("TENANT#{tenant}#{family}")), "{family}");
        }
        assert_eq!(keys.iter().filter(|key| key.contains("#IDEM#")).count(), 16);
    }
}
