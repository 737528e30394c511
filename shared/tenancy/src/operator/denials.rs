//! What was denied where no tenant's trail has it, as the functions have counted it.

use std::collections::BTreeMap;

use super::{Operator, partitions::Pages};
use crate::{Problem, canonical::Item, clock::Moment, denials::partition};

/// Denials of one window of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenialRecord {
    /// When the first was, RFC 3339 in UTC.
    pub from: String,
    /// When the last was.
    pub until: String,
    /// How many, by their stable words.
    pub codes: BTreeMap<String, u64>,
    /// API Gateway's request id, where it is one denial.
    pub request_id: Option<String>,
}

impl Operator {
    /// What was denied on a day (UTC), in its order. It needs the auditor's role.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn denials(&self, day: Moment) -> Result<Vec<DenialRecord>, Problem> {
        let partition = partition(&day.day());
        let mut pages = Pages::new(&self.client, &self.data, &partition);
        let mut all = Vec::new();
        while let Some(items) = pages.next().await? {
            all.extend(items.iter().map(DenialRecord::read));
        }
        Ok(all)
    }
}

impl DenialRecord {
    /// A record as the store has it. What is not there is empty: one that somebody has broken keeps nobody from the others.
    fn read(item: &Item) -> Self {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let codes = item.get("codes").and_then(|value| value.as_m().ok()).into_iter().flatten();
        let codes = codes.filter_map(|(code, count)| Some((code.clone(), count.as_n().ok()?.parse().ok()?)));
        Self {
            from: text("from").unwrap_or_default(),
            until: text("until").unwrap_or_default(),
            codes: codes.collect(),
            request_id: text("request_id"),
        }
    }

    /// How many in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.codes.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}
