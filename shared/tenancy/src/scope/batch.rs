//! Many items at once.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, builders::KeysAndAttributesBuilder};

use super::Room;
use crate::{Problem, aws::read_batch};

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
}
