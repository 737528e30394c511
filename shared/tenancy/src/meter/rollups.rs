//! Heads with what they have gone beyond, in transactions: a record counts when its chain's head goes beyond it, and so it
//! counts once, however often the stream brings it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, KeysAndAttributes, TransactWriteItem, Update},
};

use super::heads::NextHead;
use crate::{
    Problem,
    aws::{read_batch, store_problem},
    canonical::Item,
    rollup::{RowOf, Tally},
};

const DOING: &str = "counting calls";
/// Actions of a transaction. Source: TransactWriteItems takes 100.
const ACTIONS_MAX: usize = 100;
/// Keys of a batch. Source: BatchGetItem takes 100.
const KEYS_MAX: usize = 100;

/// Heads that go on together.
#[derive(Debug, Default)]
struct Turn {
    heads: Vec<NextHead>,
    counted: BTreeMap<RowOf, Tally>,
}

/// Writes these heads and what their records count for, each head with all of its own or neither. Where a condition fails,
/// another run of this batch was here: the next run reads where the heads are.
pub(super) async fn write(client: &Client, table: &str, heads: Vec<NextHead>) -> Result<(), Problem> {
    for Turn { heads, counted } in turns(heads) {
        let keys = counted.keys().map(RowOf::key).collect();
        let rows = read_rows(client, table, keys, DOING).await?;
        let mut actions = Vec::with_capacity(ACTIONS_MAX);
        for head in &heads {
            actions.push(head.put(table)?);
        }
        for (row, tally) in &counted {
            let before = place(&row.key()).and_then(|place| Tally::read(rows.get(&place)?));
            let before = before.map(|(_, _, before)| before);
            let update = Update::builder().table_name(table).set_key(Some(row.key()));
            let update = tally.more(before.as_ref(), update).build();
            let update = update.map_err(|err| Problem::internal(DOING, err))?;
            actions.push(TransactWriteItem::builder().update(update).build());
        }
        let request = client.transact_write_items().set_transact_items(Some(actions));
        request.send().await.map_err(|err| store_problem(DOING, err))?;
    }
    Ok(())
}

/// As few transactions as take them all.
fn turns(heads: Vec<NextHead>) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut turn = Turn::default();
    for head in heads {
        let more = head.counted.keys().filter(|row| !turn.counted.contains_key(row)).count();
        let actions = turn.heads.len().saturating_add(turn.counted.len()).saturating_add(more);
        if actions >= ACTIONS_MAX {
            turns.push(std::mem::take(&mut turn));
        }
        for (row, tally) in &head.counted {
            turn.counted.entry(row.clone()).or_default().merge(tally);
        }
        turn.heads.push(head);
    }
    turns.extend(Some(turn).filter(|turn| !turn.heads.is_empty()));
    turns
}

/// The items of these keys by partition and sort key, as they are now.
pub(super) async fn read_rows(
    client: &Client,
    table: &str,
    keys: Vec<Item>,
    doing: &'static str,
) -> Result<HashMap<(String, String), Item>, Problem> {
    let mut rows = HashMap::with_capacity(keys.len());
    for keys in keys.chunks(KEYS_MAX) {
        let asked = KeysAndAttributes::builder().set_keys(Some(keys.to_vec())).consistent_read(true).build();
        let asked = asked.map_err(|err| Problem::internal(doing, err))?;
        let items = read_batch(client, table, asked, doing).await?;
        rows.extend(items.into_iter().filter_map(|item| Some((place(&item)?, item))));
    }
    Ok(rows)
}

fn place(item: &Item) -> Option<(String, String)> {
    let text = |name: &str| item.get(name).map(AttributeValue::as_s)?.ok().cloned();
    Some((text("pk")?, text("sk")?))
}
