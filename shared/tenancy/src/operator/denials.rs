//! What was denied where no tenant's trail has it, as the functions have counted it.

use super::{Operator, partitions::Pages};
use crate::{CountedDenials, Problem, canonical::Item, clock::Moment, denials::partition};

/// Denials of one window of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenialRecord {
    /// How many, and when.
    pub counted: CountedDenials,
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
            all.extend(items.iter().filter_map(DenialRecord::read));
        }
        Ok(all)
    }
}

impl DenialRecord {
    /// A record as the store has it; `None` for one that somebody has broken, which keeps nobody from the others.
    fn read(item: &Item) -> Option<Self> {
        let request_id = item.get("request_id").and_then(|value| value.as_s().ok()).cloned();
        Some(Self { counted: CountedDenials::read(item)?, request_id })
    }
}
