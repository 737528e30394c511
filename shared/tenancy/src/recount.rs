//! What a tenant keeps, counted anew: by queries over its shelves, in place of what its transactions have added up.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, TransactWriteItem, Update},
};

use crate::{
    CollectionName, Plan, Problem, TenantId,
    admission::ITEMS_OF,
    aws::{pause, read_item, store_problem},
    canonical::Item,
    key::{Family, Shelf},
    scope::stock_key,
};

const DOING: &str = "counting what a tenant keeps";
/// How often it is counted while others write.
const ATTEMPTS_MAX: u32 = 3;
/// The attribute that says when it was counted last.
pub(crate) const COUNTED_DAY: &str = "counted_day";
/// Every transaction that changes what is kept adds to it.
pub(crate) const CHANGES: &str = "changes";

/// What a tenant keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stock {
    /// Bytes of all documents but members.
    pub bytes: u64,
    /// Items of all collections.
    pub items: u64,
    /// Items of each collection that has any.
    pub collections: BTreeMap<CollectionName, u64>,
    /// People who have a seat.
    pub members: u64,
}

/// What was counted, and what the row had said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recounted {
    /// By the row.
    pub before: Stock,
    /// By what is there.
    pub after: Stock,
}

/// How a tenant is counted.
#[derive(Debug)]
pub(crate) struct Recount<'r> {
    pub(crate) client: &'r Client,
    /// The table of all.
    pub(crate) data: &'r str,
    /// Every collection that there is.
    pub(crate) collections: &'r [CollectionName],
    /// So many pages are read, and no more; a page is at most 1 MB. Source: DynamoDB's Query.
    pub(crate) pages_max: u32,
    /// The day to write down.
    pub(crate) day: &'r str,
}

impl Stock {
    /// Reads the row.
    pub(crate) fn of_row(row: Option<&Item>) -> Self {
        let [bytes, items, members] = ["byte_count", "item_count", "member_count"]
            .map(|name| row.and_then(|row| row.get(name)?.as_n().ok()?.parse().ok()).unwrap_or(0));
        let of_collection = |(name, count): (&String, &AttributeValue)| {
            let count = count.as_n().ok()?.parse().ok().filter(|count| *count > 0)?;
            Some((name.strip_prefix(ITEMS_OF)?.parse().ok()?, count))
        };
        let collections = row.into_iter().flatten().filter_map(of_collection).collect();
        Self { bytes, items, collections, members }
    }

    /// Counts one document. The same rule as that of a call's growth.
    fn add(&mut self, shelf: &Shelf, item: &Item) {
        // Beside documents there are rows that only count.
        let Some(document) = item.get("document").and_then(|document| document.as_s().ok()) else { return };
        let bytes = u64::try_from(document.len()).unwrap_or(u64::MAX);
        match shelf {
            Shelf::Members => self.members = self.members.saturating_add(1),
            Shelf::Items(collection) => {
                self.items = self.items.saturating_add(1);
                let here = self.collections.entry(collection.clone()).or_default();
                *here = here.saturating_add(1);
                self.bytes = self.bytes.saturating_add(bytes);
            }
            Shelf::Settings | Shelf::Secrets | Shelf::Assets | Shelf::Domains => {
                self.bytes = self.bytes.saturating_add(bytes);
            }
        }
    }
}

impl Recounted {
    /// Whether the row was wrong.
    #[must_use]
    pub fn is_drift(&self) -> bool {
        self.before != self.after
    }
}

impl Recount<'_> {
    /// Counts a tenant, and corrects its row where nothing has changed it meanwhile.
    ///
    /// # Errors
    /// [`Problem::Conflict`] when others change it all the time or its data is being moved; [`Problem::TooLarge`] when there
    /// are more pages than may be read; [`Problem::Unavailable`] when the store does not answer.
    pub(crate) async fn run(&self, tenant: &TenantId) -> Result<Recounted, Problem> {
        for attempt in 0..ATTEMPTS_MAX {
            pause(attempt).await;
            let plan = Plan::fetch(self.client, self.data, tenant).await?;
            if plan.status.is_gone() {
                return Err(conflict("the tenant is erased"));
            }
            if plan.moving.is_some() {
                return Err(conflict("the tenant's data is being moved"));
            }
            let table = plan.placement.table(&self.data.into(), tenant);
            let row = read_item(self.client, &table, stock_key(tenant), DOING).await?;
            let changes = row.as_ref().and_then(|row| row.get(CHANGES)).cloned();
            let after = self.count(&table, tenant).await?;
            // Nothing is corrected where a move is copying from.
            let still = Plan::of_epoch(self.data, tenant, plan.epoch).map_err(fault)?;
            let actions = vec![still, self.set(&table, tenant, (changes, &after))?];
            if self.write(actions).await? {
                return Ok(Recounted { before: Stock::of_row(row.as_ref()), after });
            }
        }
        Err(conflict("the tenant's data changes all the time; count it again later"))
    }

    async fn count(&self, table: &str, tenant: &TenantId) -> Result<Stock, Problem> {
        let mut stock = Stock::default();
        let mut pages_left = self.pages_max;
        let items = self.collections.iter().cloned().map(Shelf::Items);
        for shelf in items.chain(Shelf::OTHERS) {
            let partition = Family::Shelf(&shelf).of(tenant);
            let mut start = None;
            loop {
                pages_left = pages_left.checked_sub(1).ok_or(Problem::TooLarge {
                    what: "tenant",
                    bytes_max: usize::try_from(self.pages_max).unwrap_or(usize::MAX).saturating_mul(1 << 20),
                    bytes: usize::try_from(stock.bytes).unwrap_or(usize::MAX),
                })?;
                let query = self
                    .client
                    .query()
                    .table_name(table)
                    .key_condition_expression("pk = :pk")
                    .expression_attribute_values(":pk", AttributeValue::S(partition.clone()))
                    .projection_expression("#document")
                    .expression_attribute_names("#document", "document")
                    .set_exclusive_start_key(start)
                    .consistent_read(true);
                let reply = query.send().await.map_err(|err| store_problem(DOING, err))?;
                reply.items().iter().for_each(|item| stock.add(&shelf, item));
                start = reply.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(stock)
    }

    fn set(
        &self,
        table: &str,
        tenant: &TenantId,
        (changes, stock): (Option<AttributeValue>, &Stock),
    ) -> Result<TransactWriteItem, Problem> {
        let values = [(":bytes", stock.bytes), (":items", stock.items), (":members", stock.members)];
        let mut values: HashMap<_, _> = values
            .into_iter()
            .map(|(name, count)| (name.to_owned(), AttributeValue::N(count.to_string())))
            .collect();
        values.insert(":day".to_owned(), AttributeValue::S(self.day.to_owned()));
        let condition =
            if changes.is_some() { "#changes = :changes" } else { "attribute_not_exists(#changes)" };
        values.extend(changes.map(|changes| (":changes".to_owned(), changes)));
        let mut sets =
            "SET byte_count = :bytes, item_count = :items, member_count = :members, #day = :day".to_owned();
        let mut names = HashMap::new();
        for (at, collection) in self.collections.iter().enumerate() {
            let count = stock.collections.get(collection).copied().unwrap_or(0);
            sets += &format!(", #c{at} = :c{at}");
            names.insert(format!("#c{at}"), [ITEMS_OF, collection.as_str()].concat());
            values.insert(format!(":c{at}"), AttributeValue::N(count.to_string()));
        }
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(stock_key(tenant)))
            .update_expression(sets)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .expression_attribute_names("#changes", CHANGES)
            .expression_attribute_names("#day", COUNTED_DAY)
            .set_expression_attribute_values(Some(values));
        Ok(TransactWriteItem::builder().update(update.build().map_err(fault)?).build())
    }

    /// Whether it was written; `false` where something has changed since it was read.
    async fn write(&self, actions: Vec<TransactWriteItem>) -> Result<bool, Problem> {
        let reply = self.client.transact_write_items().set_transact_items(Some(actions)).send().await;
        match reply {
            Ok(_) => Ok(true),
            Err(err)
                if err
                    .as_service_error()
                    .is_some_and(TransactWriteItemsError::is_transaction_canceled_exception) =>
            {
                Ok(false)
            }
            Err(err) => Err(store_problem(DOING, err)),
        }
    }
}

impl fmt::Display for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, items, members, .. } = self;
        write!(f, "{bytes} bytes, {items} items, {members} members")
    }
}

fn conflict(detail: &str) -> Problem {
    Problem::Conflict { detail: detail.to_owned() }
}

fn fault(err: aws_sdk_dynamodb::error::BuildError) -> Problem {
    Problem::internal(DOING, err)
}
