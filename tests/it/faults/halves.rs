//! Batches of which the store does a half and leaves the rest, as DynamoDB may.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use insula_local::aws::Aws;
use insula_tenancy::{Meter, StreamEvent, StreamReply, Tier, start_meter_at};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Ask, Dice, Guest, House, Kind, Plan, Session, access, books::partition, settings, wire::answer};
use crate::{ask::data_table, harness::Stack};

/// A batch in two.
#[derive(Debug)]
pub(super) struct Halves {
    operation: String,
    /// The request of what is done.
    done: Value,
    /// What is left, by table, under its name in a reply.
    left: (&'static str, Value),
}

/// The halves of a batch of more than one key or write.
pub(super) fn split(request: &http::Request<Bytes>) -> Option<Halves> {
    let target = request.headers().get("x-amz-target")?.to_str().unwrap();
    let operation = target.rsplit('.').next()?.to_owned();
    let mut done: Value = serde_json::from_slice(request.body()).ok()?;
    let tables = done.get_mut("RequestItems")?.as_object_mut()?;
    assert_eq!(tables.len(), 1, "a batch is of one table");
    let (table, asked) = tables.iter_mut().next()?;
    let mut left = asked.clone();
    let (name, all, rest) = match (asked.get_mut("Keys"), left.get_mut("Keys")) {
        (Some(all), Some(rest)) => ("UnprocessedKeys", all, rest),
        _ => ("UnprocessedItems", &mut *asked, &mut left),
    };
    let all = all.as_array_mut()?;
    *rest = all.split_off(all.len().div_ceil(2)).into();
    if rest.as_array()?.is_empty() {
        return None;
    }
    let left = (name, json!({ table.as_str(): left }));
    Some(Halves { operation, done, left })
}

impl Halves {
    /// The first is done behind the door, for the request is signed as a whole.
    pub(super) async fn serve(self, aws: &Aws) -> http::Response<Bytes> {
        let mut reply = aws.store().serve(&self.operation, self.done).await;
        let (name, left) = self.left;
        reply.body[name] = left;
        answer(reply.status, reply.body)
    }
}

/// A word of a note that is like no other, so that the index has to keep all of it.
fn spell(note: u64, word: u64) -> String {
    format!("w{:015x}", Dice(note * 10_000 + word).below(u64::MAX))
}

fn count(sessions: &[std::sync::Arc<Session>], operation: &str) -> usize {
    let calls = sessions.iter().flat_map(|session| session.calls());
    calls.filter(|call| call.ends_with(operation)).count()
}

#[tokio::test]
async fn a_read_that_is_done_by_halves_is_done_as_a_whole() {
    let house = House::open().await;
    let guest = Guest::make(&house, "faults-half-reads", Tier::Professional).await;
    let operations: Vec<_> = (0..40)
        .map(|n| json!({ "op": "create", "value": { "title": format!("n{n}"), "text": "" } }))
        .collect();
    let path = "/v1/collections/notes/transaction";
    let made = guest.ask(&house, &Ask::rest(Method::POST, path, &json!({ "operations": operations }))).await;
    let made: Value = serde_json::from_str(&made.body).unwrap();
    let mut ids: Vec<Value> =
        made["done"].as_array().unwrap().iter().map(|done| done["id"].clone()).collect();
    ids.insert(20, json!("missing"));
    let ask = Ask::rest(Method::POST, "/v1/collections/notes/batch-get", &json!({ "ids": ids }));
    let none = Plan::At { call: usize::MAX, kind: Kind::Halved, every_try: false };
    let mut replies = Vec::new();
    for (plan, reads) in [(none, 1), (Plan::Each(Kind::Halved), 6)] {
        let session = Session::new(plan);
        let said = session.run(guest.ask(&house, &ask)).await.unwrap();
        assert!(said.is_done(), "{said:?}");
        assert_eq!(count(&[session], ".BatchGetItem"), reads);
        replies.push(said.body);
    }
    assert_eq!(replies[0], replies[1]);
    let items = serde_json::from_str::<Value>(&replies[1]).unwrap()["items"].clone();
    let read: Vec<Value> = items.as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    ids[20] = Value::Null;
    assert_eq!(read, ids);
}

/// The function of the stream of a stack, which follows nothing by itself any more.
async fn meter(stack: &'static Stack) -> Meter {
    stack.local.leave_streams();
    start_meter_at(settings(stack), access(stack, "MeterRole"), Vec::new()).await.unwrap()
}

/// Notes whose news are due, each of words that are like no other's.
async fn write_due(house: &House, guest: &Guest) {
    for n in 0..8 {
        let words: Vec<String> = (0..1_100).map(|word| spell(n, word)).collect();
        let note = json!({ "title": format!("title{n}"), "text": words.join(" ") });
        let said = guest.ask(house, &Ask::tool("notes_create", note)).await;
        assert!(said.is_done(), "{said:?}");
    }
}

/// A batch of the stream that says that a tenant's news were added.
async fn batch(house: &House, guest: &Guest) -> StreamEvent {
    let arn = format!("arn:aws:dynamodb:r:1:table/{}/stream/local", data_table(house.stack));
    let news = partition(house, &guest.own, "SEARCH#NEWS").await;
    let records = news.iter().map(|row| {
        json!({ "eventName": "INSERT", "eventSourceARN": arn, "dynamodb": {
            "SequenceNumber": row["sk"]["S"], "Keys": { "pk": row["pk"], "sk": row["sk"] }, "NewImage": row,
        } })
    });
    serde_json::from_value(json!({ "Records": records.collect::<Vec<_>>() })).unwrap()
}

#[tokio::test]
async fn a_write_that_is_done_by_halves_is_done_as_a_whole() {
    let house = House::open().await;
    let guest = Guest::make(&house, "faults-half-writes", Tier::Professional).await;
    let meter = meter(house.stack).await;
    write_due(&house, &guest).await;
    let (batch, deadline) = (batch(&house, &guest).await, Instant::now() + Duration::from_secs(30));
    let session = Session::new(Plan::Each(Kind::Halved));
    let (taken, _lines) = session.run(meter.take(batch, deadline)).await.unwrap();
    assert_eq!(taken, StreamReply::default(), "the batch is taken");
    // The news are written in batches, each of them in rounds.
    let writes = count(&[session], ".BatchWriteItem");
    assert!(writes > 4, "{writes}");
    assert_eq!(partition(&house, &guest.own, "SEARCH#NEWS").await, Vec::<Value>::new());
    for n in 0..8 {
        for word in [0, 500, 1_000] {
            let ask = Ask::tool("search", json!({ "query": spell(n, word) }));
            let said = guest.ask(&house, &ask).await;
            let body: Value = serde_json::from_str(&said.body).unwrap();
            let found = &body["result"]["structuredContent"]["results"];
            assert_eq!(found[0]["title"], format!("title{n}"), "{}", said.body);
        }
    }
}

#[tokio::test]
async fn a_batch_is_taken_whatever_time_its_merges_have() {
    let house = House::open().await;
    let guest = Guest::make(&house, "faults-late-merge", Tier::Professional).await;
    let meter = meter(house.stack).await;
    write_due(&house, &guest).await;
    // None for a look, too little for a merge whose every request is late, and enough.
    for (left_ms, kind, merged) in
        [(1_000, Kind::Halved, false), (1_300, Kind::Late, false), (30_000, Kind::Halved, true)]
    {
        let (batch, deadline) =
            (batch(&house, &guest).await, Instant::now() + Duration::from_millis(left_ms));
        let session = Session::new(Plan::Each(kind));
        let taken = session.run(meter.take(batch, deadline)).await.unwrap();
        assert_eq!(taken.0, StreamReply::default(), "{left_ms}");
        assert_eq!(session.calls().is_empty(), left_ms == 1_000, "{left_ms}: {:?}", session.calls());
        let manifests = partition(&house, &guest.own, "SEARCH#MANIFEST").await.len();
        assert_eq!(manifests, usize::from(merged), "{left_ms}");
    }
}
