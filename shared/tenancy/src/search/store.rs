//! The index where it is kept: read and written with the tenant's own credentials, in the tenant's own partitions.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    primitives::Blob,
    types::{
        AttributeValue, Delete, DeleteRequest, KeysAndAttributes, Put, PutRequest, TransactWriteItem,
        WriteRequest,
    },
};

use super::{
    manifest::{Manifest, RowName, SegmentId, rows_of},
    rows::{Change, Rows, Stop},
};
use crate::{
    Plan, Problem, TenantId,
    aws::{read_batch, store_problem, write_batch},
    key::{Family, SearchPart},
    scope::BATCH_MAX,
};

const READING: &str = "reading the search index";
const MERGING: &str = "merging the search index";
const MANIFEST: &str = "MANIFEST";
/// Turns of reading rows for one piece of work.
const TURNS_MAX: usize = 64;

type Item = HashMap<String, AttributeValue>;

/// Whose index it is, and where: what a call's room says of it, and what the stream's function finds out.
#[derive(Debug)]
pub(crate) struct Index {
    // INVARIANT: `client` has a session that is tagged with `tenant`; who makes an index keeps it.
    pub(crate) client: Client,
    pub(crate) tenant: TenantId,
    // INVARIANT: the table of the placement that the plan of this epoch has.
    pub(crate) table: Arc<str>,
    /// The table in which the plan is.
    pub(crate) plans: Arc<str>,
    /// The plan's.
    pub(crate) epoch: u64,
}

/// How rows of segments are read. They never change, so that what is read at half the price is right if it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    Cheap,
    Latest,
}

/// A row of news as it is kept.
#[derive(Debug)]
pub(super) struct NewsRow {
    pub(super) sort_key: String,
    pub(super) body: Vec<u8>,
}

/// The sum of some rows of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Amount {
    pub(super) fn of(news: &[NewsRow]) -> Self {
        Self { rows: news.len(), bytes: news.iter().map(|row| row.body.len()).sum() }
    }
}

/// All news, or those of the first page, the oldest first.
pub(super) async fn read_news(index: &Index, pages_max: usize) -> Result<Vec<NewsRow>, Problem> {
    let mut news = Vec::new();
    let mut start = None;
    for _ in 0..pages_max {
        let reply = index
            .client
            .query()
            .table_name(&*index.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", partition(index, Family::Search(SearchPart::News)))
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|err| store_problem(READING, err))?;
        for item in reply.items.unwrap_or_default() {
            let row = sort_key(&item).map(str::to_owned).zip(body(&item));
            let (sort_key, body) = row.ok_or_else(not_whole)?;
            news.push(NewsRow { sort_key, body });
        }
        start = reply.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    Ok(news)
}

/// The manifest; that of an empty index where there is none yet.
pub(super) async fn read_manifest(index: &Index) -> Result<Manifest, Problem> {
    let reply = index
        .client
        .get_item()
        .table_name(&*index.table)
        .set_key(Some(manifest_key(index)))
        .consistent_read(true)
        .send()
        .await
        .map_err(|err| store_problem(READING, err))?;
    let Some(item) = reply.item else { return Ok(Manifest::new()) };
    Ok(Manifest::read(&body(&item).ok_or_else(not_whole)?)?)
}

/// Works with the rows that it wants, read turn by turn; `None` where a row is gone, since the manifest has changed.
pub(super) async fn with_rows<T>(
    index: &Index,
    rows: &mut Rows,
    reads: Reads,
    work: impl Fn(&Rows) -> Result<T, Stop>,
) -> Result<Option<T>, Problem> {
    for _ in 0..TURNS_MAX {
        match work(rows) {
            Ok(done) => return Ok(Some(done)),
            Err(Stop::Malformed(err)) => return Err(err.into()),
            Err(Stop::Wanted(names)) => {
                if !load(index, rows, reads, &names).await? {
                    return Ok(None);
                }
            }
        }
    }
    Err(Problem::internal(READING, "more rows are wanted than a piece of work can have"))
}

/// Whether all of the rows are there.
async fn load(
    index: &Index,
    rows: &mut Rows,
    reads: Reads,
    names: &BTreeSet<RowName>,
) -> Result<bool, Problem> {
    let names: Vec<&RowName> = names.iter().collect();
    for names in names.chunks(BATCH_MAX) {
        let mut asked: HashMap<String, RowName> =
            names.iter().map(|name| (name.to_string(), **name)).collect();
        let keys = names.iter().map(|name| row_key(index, **name)).collect();
        let asked_for = KeysAndAttributes::builder().consistent_read(reads == Reads::Latest);
        let asked_for = asked_for.set_keys(Some(keys)).build().map_err(fault)?;
        for item in read_batch(&index.client, &index.table, asked_for, READING).await? {
            let name = sort_key(&item).and_then(|key| asked.remove(key));
            let (name, row) = name.zip(body(&item)).ok_or_else(not_whole)?;
            rows.insert(name, row);
        }
        if !asked.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes the rows of a change and then the manifest that leads to them, in one transaction with the end of the news
/// that are in them. `false` where another merger was first: then nothing leads to the rows, and they are removed.
///
/// The plan is a condition too: a tenant that is being moved or erased keeps what it has. The rows are not, since a transaction
/// costs twice as much: who moves or erases a tenant waits for as long as a merge may take.
pub(super) async fn publish(
    index: &Index,
    before: u64,
    change: &Change,
    taken: &[NewsRow],
) -> Result<bool, Problem> {
    let mut puts = Vec::with_capacity(change.puts.len());
    for (name, row) in &change.puts {
        let put = PutRequest::builder().set_item(Some(item(row_key(index, *name), row))).build();
        let put = put.map_err(|err| Problem::internal(MERGING, err))?;
        puts.push(WriteRequest::builder().put_request(put).build());
    }
    write_batch(&index.client, &index.table, &puts, MERGING).await?;
    let still = Plan::of_epoch(&index.plans, &index.tenant, index.epoch).map_err(fault)?;
    let mut actions = vec![still, put_manifest(index, before, &change.manifest)?];
    for NewsRow { sort_key, .. } in taken {
        let key = key(partition(index, Family::Search(SearchPart::News)), sort_key.clone());
        let delete = Delete::builder().table_name(&*index.table).set_key(Some(key));
        let delete = delete.condition_expression("attribute_exists(pk)").build().map_err(fault)?;
        actions.push(TransactWriteItem::builder().delete(delete).build());
    }
    let request = index.client.transact_write_items().set_transact_items(Some(actions));
    let dropped = match request.send().await {
        Ok(_) => &change.drops,
        Err(err)
            if err
                .as_service_error()
                .is_some_and(TransactWriteItemsError::is_transaction_canceled_exception) =>
        {
            let own: Vec<RowName> = change.puts.iter().map(|(name, _)| *name).collect();
            remove(index, own.iter().map(|name| row_key(index, *name)).collect()).await?;
            return Ok(false);
        }
        // Nobody knows whether it was done, so the rows stay: they are removed with their segment.
        Err(err) => return Err(store_problem(MERGING, err)),
    };
    remove(index, dropped.iter().map(|name| row_key(index, *name)).collect()).await?;
    Ok(true)
}

/// Removes at most so many rows of a segment that nothing leads to, those of mergers that lost too. Whether it was all.
pub(super) async fn remove_segment(
    index: &Index,
    segment: SegmentId,
    rows_max: i32,
) -> Result<bool, Problem> {
    let (family, prefix) = rows_of(segment);
    let reply = index
        .client
        .query()
        .table_name(&*index.table)
        .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
        .expression_attribute_values(":pk", partition(index, family))
        .expression_attribute_values(":prefix", AttributeValue::S(prefix))
        .projection_expression("pk, sk")
        .limit(rows_max)
        .send()
        .await
        .map_err(|err| store_problem(MERGING, err))?;
    let all = reply.last_evaluated_key.is_none();
    remove(index, reply.items.unwrap_or_default()).await?;
    Ok(all)
}

async fn remove(index: &Index, keys: Vec<Item>) -> Result<(), Problem> {
    let mut writes = Vec::with_capacity(keys.len());
    for key in keys {
        let delete = DeleteRequest::builder().set_key(Some(key)).build();
        let delete = delete.map_err(|err| Problem::internal(MERGING, err))?;
        writes.push(WriteRequest::builder().delete_request(delete).build());
    }
    write_batch(&index.client, &index.table, &writes, MERGING).await
}

/// The item of a row of news.
pub(crate) fn news_item(tenant: &TenantId, sort_key: String, row: &[u8]) -> Item {
    let partition = AttributeValue::S(Family::Search(SearchPart::News).of(tenant));
    item(key(partition, sort_key), row)
}

fn put_manifest(index: &Index, before: u64, manifest: &Manifest) -> Result<TransactWriteItem, Problem> {
    let number = |n: u64| AttributeValue::N(n.to_string());
    let mut item = item(manifest_key(index), &manifest.write());
    item.insert("generation".to_owned(), number(manifest.generation));
    let put = Put::builder().table_name(&*index.table).set_item(Some(item));
    let put = match before {
        0 => put.condition_expression("attribute_not_exists(pk)"),
        _ => put
            .condition_expression("generation = :before")
            .expression_attribute_values(":before", number(before)),
    };
    Ok(TransactWriteItem::builder().put(put.build().map_err(fault)?).build())
}

fn partition(index: &Index, family: Family<'_>) -> AttributeValue {
    AttributeValue::S(family.of(&index.tenant))
}

fn manifest_key(index: &Index) -> Item {
    key(partition(index, Family::Search(SearchPart::Manifest)), MANIFEST.to_owned())
}

fn row_key(index: &Index, name: RowName) -> Item {
    key(partition(index, rows_of(name.segment).0), name.to_string())
}

fn key(partition: AttributeValue, sort_key: String) -> Item {
    HashMap::from([("pk".to_owned(), partition), ("sk".to_owned(), AttributeValue::S(sort_key))])
}

fn item(mut key: Item, row: &[u8]) -> Item {
    key.insert("body".to_owned(), AttributeValue::B(Blob::new(row)));
    key
}

fn sort_key(item: &Item) -> Option<&str> {
    item.get("sk")?.as_s().ok().map(String::as_str)
}

fn body(item: &Item) -> Option<Vec<u8>> {
    item.get("body")?.as_b().ok().map(|blob| blob.as_ref().to_vec())
}

fn not_whole() -> Problem {
    Problem::internal(READING, "an item is not whole")
}

fn fault(err: aws_sdk_dynamodb::error::BuildError) -> Problem {
    Problem::internal(MERGING, err)
}
