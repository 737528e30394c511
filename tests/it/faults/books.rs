//! What the store itself says of a tenant, and what must be true of it at any moment.

use std::collections::BTreeMap;

use insula_tenancy::Clock;
use serde_json::{Value, json};

use super::house::House;
use crate::ask::{Own, data_table};

/// Families whose rows are documents.
const SHELVES: [&str; 6] = ["ITEM#notes", "SETTINGS", "SECRET", "ASSET", "DOMAIN", "MEMBER"];

/// What is asked here and only reads.
const READS: [&str; 7] =
    ["audit_search", "items_list", "members_list", "notes_list", "search", "usage_read", "usage_show"];
/// What the record of a call says that is not charged.
const UNCHARGED: &str = "uncharged";

/// How often books that are wrong are read again.
const READS_MAX: usize = 20;

/// Everything that a call leaves behind.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Books {
    /// Calls of all months that were charged.
    pub(crate) charged: u64,
    /// The same by action.
    charged_by: BTreeMap<String, u64>,
    /// Audit records of what was allowed, by action and code.
    allowed: BTreeMap<(String, String), u64>,
    /// What was denied, by code: records, and what they count.
    pub(crate) denied: BTreeMap<String, u64>,
    /// Idempotency records.
    pub(crate) keys: u64,
    /// Idempotency records with a result.
    pub(crate) results: u64,
    /// What the storage row says: bytes, items, members.
    stock: [i64; 3],
    /// Documents of all shelves but that of members, by partition and sort key.
    pub(crate) kept: BTreeMap<(String, String), String>,
    members: i64,
    /// Rows that searches have not merged yet.
    news: u64,
}

pub(super) async fn partition(house: &House, own: &Own, family: &str) -> Vec<Value> {
    let pk = format!("TENANT#{}#{family}", own.id);
    let mut query = json!({
        "TableName": data_table(house.stack),
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": { ":pk": { "S": pk } },
        "ConsistentRead": true,
    });
    let mut rows = Vec::new();
    // How many rows there are depends on when the index of searches was merged, which is chance.
    loop {
        let mut reply = house.stack.local.aws.store().serve("Query", query.clone()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        rows.append(reply.body["Items"].as_array_mut().unwrap());
        match reply.body["LastEvaluatedKey"].take() {
            Value::Null => return rows,
            last => query["ExclusiveStartKey"] = last,
        }
    }
}

pub(super) fn number(attribute: &Value) -> i64 {
    attribute["N"].as_str().map_or(0, |text| text.parse().unwrap())
}

fn text<'v>(row: &'v Value, name: &str) -> &'v str {
    row[name]["S"].as_str().unwrap_or_default()
}

impl Books {
    /// Reads them from the store, behind the door and the SDK, and demands what must be true whatever has happened. A call
    /// that was dropped in mid-work may still be at work in the store, so that they are read once more while they are wrong.
    pub(crate) async fn read(house: &House, own: &Own) -> Result<Self, String> {
        for _ in 0..READS_MAX {
            if let Ok(books) = Self::read_once(house, own).await {
                return Ok(books);
            }
            // In real time, whatever the test's clock says: what is at work in the store is so on threads of its own.
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Self::read_once(house, own).await
    }

    async fn read_once(house: &House, own: &Own) -> Result<Self, String> {
        let mut books = Self::default();
        for row in partition(house, own, "METER").await {
            if text(&row, "sk") == "STORAGE" {
                books.stock = ["byte_count", "item_count", "member_count"].map(|name| number(&row[name]));
                continue;
            }
            books.charged += u64::try_from(number(&row["calls"])).unwrap();
            for (name, count) in row.as_object().unwrap() {
                if let Some(action) = name.strip_prefix("tool:") {
                    let by = books.charged_by.entry(action.to_owned()).or_default();
                    *by += u64::try_from(number(count)).unwrap();
                }
            }
        }
        let now = Clock::System.now();
        // A test's own time may be a little ahead.
        for day in [-24, 0, 24].map(|hours| now.plus_s(hours * 3600).day()) {
            for row in partition(house, own, &format!("AUDIT#{day}")).await {
                let code = text(&row, "code").to_owned();
                match text(&row, "decision") {
                    // Its call has another record, which counts.
                    "allowed" if row["stage"]["S"] == "ended" => {}
                    "allowed" => {
                        *books.allowed.entry((text(&row, "action").to_owned(), code)).or_default() += 1;
                    }
                    "denied" if row["codes"].is_object() => {
                        for (code, count) in row["codes"]["M"].as_object().unwrap() {
                            let count = u64::try_from(number(count)).unwrap();
                            *books.denied.entry(code.clone()).or_default() += count;
                        }
                    }
                    "denied" => *books.denied.entry(code).or_default() += 1,
                    other => return Err(format!("an audit record has the decision {other}")),
                }
            }
        }
        for shard in 0..16 {
            for row in partition(house, own, &format!("IDEM#{shard:x}")).await {
                books.keys += 1;
                books.results += u64::from(row["result"].is_object());
            }
        }
        for family in SHELVES {
            for row in partition(house, own, family).await {
                if family == "MEMBER" {
                    books.members += 1;
                } else {
                    let place = (family.to_owned(), text(&row, "sk").to_owned());
                    books
                        .kept
                        .insert(place, format!("{} {}", number(&row["version"]), text(&row, "document")));
                }
            }
        }
        books.news = u64::try_from(partition(house, own, "SEARCH#NEWS").await.len()).unwrap();
        books.demand().map(|()| books)
    }

    /// Charged is admitted, in total and by action; each effect has its key; and what is counted as kept is what is kept.
    fn demand(&self) -> Result<(), String> {
        let mut admitted: BTreeMap<String, u64> = BTreeMap::new();
        for ((action, _), count) in self.allowed.iter().filter(|((_, code), _)| code != UNCHARGED) {
            *admitted.entry(action.clone()).or_default() += count;
        }
        if self.charged != admitted.values().sum::<u64>() || self.charged_by != admitted {
            return Err(format!("charged {} {:?}, admitted {admitted:?}", self.charged, self.charged_by));
        }
        // What was begun and did nothing outside has given its key back, under which it may be begun again.
        let begun = self.recorded("begun");
        let least = self.once() - begun + begun.min(1);
        if !(least..=self.once()).contains(&self.keys) {
            return Err(format!("{} keys are used, {} writes are done", self.keys, self.once()));
        }
        let bytes = |kept: &String| kept.split_once(' ').unwrap().1.len();
        let bytes = i64::try_from(self.kept.values().map(bytes).sum::<usize>()).unwrap();
        let stock = [bytes, i64::try_from(self.items()).unwrap(), self.members];
        if self.stock != stock {
            return Err(format!("{:?} is counted, {stock:?} is kept", self.stock));
        }
        Ok(())
    }

    /// Calls that were admitted and did what they were asked, or began to.
    pub(crate) fn done(&self) -> u64 {
        self.done_if(|_| true)
    }

    /// Of those the ones that write, which are done once under their key: all of them had one.
    pub(crate) fn once(&self) -> u64 {
        self.done_if(|action| !READS.contains(&action))
    }

    fn done_if(&self, is: impl Fn(&str) -> bool) -> u64 {
        let of = |((action, code), count): (&(String, String), &u64)| {
            if matches!(code.as_str(), "ok" | UNCHARGED | "begun") && is(action) { *count } else { 0 }
        };
        self.allowed.iter().map(of).sum()
    }

    /// Calls that were admitted and came to this.
    pub(crate) fn recorded(&self, with: &str) -> u64 {
        self.allowed.iter().filter(|((_, code), _)| code == with).map(|(_, count)| count).sum()
    }

    /// Items of collections.
    pub(crate) fn items(&self) -> usize {
        self.kept.keys().filter(|(family, _)| family.starts_with("ITEM#")).count()
    }
}
