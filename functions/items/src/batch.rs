//! Many items at once: read in one batch, written in parts or all together.

use std::sync::Arc;

use insula_gateway::rest::{Answer, Ask};
use insula_tenancy::{
    Admission, BATCH_MAX, Collection, Effect, ItemId, Keep, Outcome, Problem, TenantScope, WRITES_MAX,
};
use insula_tools::Collections;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{single::parse, view::ItemView};

/// Operations of one batch: what fits into a request of 1 MiB many times over.
const OPERATIONS_MAX: usize = 1_000;
/// Bytes of the items that are read at once: a reply to Lambda has them in a text, where each is two at most.
const READ_BYTES_MAX: usize = 2_560 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ids {
    ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Operations {
    operations: Vec<Operation>,
}

/// One write.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", tag = "op", deny_unknown_fields)]
enum Operation {
    Create {
        value: Value,
    },
    Replace {
        id: String,
        version: u64,
        value: Value,
    },
    Delete {
        id: String,
        version: Option<u64>,
    },
    /// The item is as it was seen: a condition of the whole transaction.
    Check {
        id: String,
        version: u64,
    },
}

/// What came of one write.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    op: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
}

/// What came of one part: all of its writes, or none and why.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Part {
    Done { from: usize, done: Vec<Done> },
    Failed { from: usize, failed: usize, code: &'static str, detail: String },
}

/// What was read, in the order of the ids: `null` for one that is not there.
#[derive(Debug, Serialize)]
struct Read {
    items: Vec<Option<ItemView>>,
    /// The ids behind these that are to be asked for again, since the reply has no room for their items.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unread: Vec<String>,
}

/// The items of these ids in their order, as many as a reply has room for.
pub(crate) async fn get(
    collections: Arc<Collections>,
    scope: TenantScope,
    ask: Ask,
) -> Result<Answer, Problem> {
    let collection = collections.find(ask.parameter("collection")?)?;
    let Ids { ids } = ask.json()?;
    check_count("ids", ids.len(), BATCH_MAX)?;
    let parsed = ids.iter().map(|id| parse(id)).collect::<Result<Vec<ItemId>, _>>()?;
    let found = scope.items(collection).get_first(&parsed, READ_BYTES_MAX).await?;
    let items: Vec<_> = found.into_iter().map(|item| item.map(ItemView::from)).collect();
    let unread = ids.into_iter().skip(items.len()).collect();
    Answer::ok(&Read { items, unread })
}

/// All of the operations, or none of them.
pub(crate) async fn transact(
    collections: Arc<Collections>,
    scope: TenantScope,
    ask: Ask,
) -> Result<Answer, Problem> {
    let collection = collections.find(ask.parameter("collection")?)?;
    let Operations { operations } = ask.json()?;
    check_count("operations", operations.len(), WRITES_MAX)?;
    Answer::ok(&json!({ "done": stage(&scope, collection, &operations).await? }))
}

/// Parts of at most 90 operations, each a transaction of its own with a charge of its own; what came of each is said.
/// Under the client's key a repetition does only the parts that were not done.
pub(crate) async fn write(
    collections: Arc<Collections>,
    admission: Admission,
    ask: Ask,
) -> Result<Answer, Problem> {
    let collection = collections.find(ask.parameter("collection")?)?;
    let Operations { operations } = ask.json()?;
    check_count("operations", operations.len(), OPERATIONS_MAX)?;
    let (mut parts, mut problems) = (Vec::new(), Vec::new());
    for (number, chunk) in operations.chunks(WRITES_MAX).enumerate() {
        let from = number.saturating_mul(WRITES_MAX);
        let (scope, part) = admission.chunk(number);
        let work = async |scope: TenantScope| {
            let done = stage(&scope, collection, chunk).await?;
            let text =
                serde_json::to_string(&done).map_err(|err| Problem::internal("keeping an answer", err))?;
            Ok::<_, Problem>(text)
        };
        let keep = Keep { outcome: |result: &String| Outcome::Done { result }, restore: Some };
        parts.push(match part.settle(scope, Effect::Write, work, keep).await {
            Ok(text) => {
                let done =
                    serde_json::from_str(&text).map_err(|err| Problem::internal("replaying a part", err))?;
                Part::Done { from, done }
            }
            Err(problem) => {
                let (code, detail) = (problem.code(), problem.to_string());
                problems.push(problem);
                Part::Failed { from, failed: chunk.len(), code, detail }
            }
        });
    }
    Ok(Answer::ok(&json!({ "parts": parts }))?.with_problems(problems))
}

async fn stage(
    scope: &TenantScope,
    collection: &Collection,
    operations: &[Operation],
) -> Result<Vec<Done>, Problem> {
    let items = scope.items(collection);
    let mut done = Vec::with_capacity(operations.len());
    for (at, operation) in operations.iter().enumerate() {
        let staged = match operation {
            Operation::Create { value } => {
                items.create(value).map(|made| ("create", made.id.to_string(), Some(made.version)))
            }
            Operation::Replace { id, version, value } => match parse(id) {
                Ok(key) => items.replace(&key, *version, value).await,
                Err(problem) => Err(problem),
            }
            .map(|now| ("replace", id.clone(), Some(now.version))),
            Operation::Delete { id, version } => match parse(id) {
                Ok(key) => items.delete(&key, *version).await,
                Err(problem) => Err(problem),
            }
            .map(|_gone| ("delete", id.clone(), None)),
            Operation::Check { id, version } => match parse(id) {
                Ok(key) => items.check(&key, *version).await,
                Err(problem) => Err(problem),
            }
            .map(|()| ("check", id.clone(), Some(*version))),
        };
        let (op, id, version) = staged.map_err(|problem| problem.at(format!("operations[{at}]")))?;
        done.push(Done { op: op.to_owned(), id, version });
    }
    Ok(done)
}

fn check_count(what: &str, count: usize, most: usize) -> Result<(), Problem> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(Problem::Invalid { detail: format!("{what}: {count}, of 1 to {most}") })
}
