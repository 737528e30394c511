//! Many items at once.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, WriteRequest, builders::KeysAndAttributesBuilder};

use super::Room;
use crate::{
    Problem,
    aws::{pause, read_batch, store_problem},
};

/// Items of one batch that writes. Source: BatchWriteItem's own limit.
const WRITES_MAX: usize = 25;
/// Turns of a batch that is not done as a whole.
const ATTEMPTS_MAX: u32 = 6;

type Item = HashMap<String, AttributeValue>;

impl Room {
    /// The items of at most 100 keys, those that are there, in any order.
    pub(crate) async fn read_batch(
        &self,
        how: KeysAndAttributesBuilder,
        keys: Vec<Item>,
    ) -> Result<Vec<Item>, Problem> {
        const DOING: &str = "reading records";
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let asked = how.set_keys(Some(keys)).build().map_err(|err| Problem::internal(DOING, err))?;
        read_batch(&self.store.client, &self.table, asked, DOING).await
    }

    /// Writes in batches that are no transaction: for rows that nothing leads to yet, or any more.
    pub(crate) async fn write_batch(&self, writes: Vec<WriteRequest>) -> Result<(), Problem> {
        const DOING: &str = "writing rows";
        for batch in writes.chunks(WRITES_MAX) {
            let mut left = batch.to_vec();
            for attempt in 0..ATTEMPTS_MAX {
                pause(attempt).await;
                let request = self.store.client.batch_write_item().request_items(&*self.table, left);
                let reply = request.send().await.map_err(|err| store_problem(DOING, err))?;
                left = reply.unprocessed_items.unwrap_or_default().remove(&*self.table).unwrap_or_default();
                if left.is_empty() {
                    break;
                }
            }
            if !left.is_empty() {
                return Err(Problem::Unavailable { doing: DOING, source: None });
            }
        }
        Ok(())
    }
}
