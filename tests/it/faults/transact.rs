//! What is read in order to write: nothing that was read has changed when it is written.

use insula_tenancy::Tier;
use serde_json::{Value, json};

use super::{Ask, Guest, House, Said, Session};
use crate::harness::stack;

/// Two books, and those who append the title of one to that of the other.
struct Two {
    house: House,
    guest: Guest,
    ids: [String; 2],
}

impl Two {
    async fn make(slug: &str) -> Self {
        let house = House::with_books(stack()).await;
        let guest = Guest::make(&house, slug, Tier::Starter).await;
        let book = |title: &str| json!({ "book": { "author": "somebody", "title": title } });
        let said =
            guest.ask(&house, &Ask::tool("test_books", json!({ "writes": [book("a"), book("b")] }))).await;
        let ids: Vec<String> = serde_json::from_value(content(&said)["ids"].clone()).unwrap();
        Self { house, guest, ids: ids.try_into().unwrap() }
    }

    fn append(&self, to: usize, from: usize) -> Ask {
        Ask::tool("test_books_append", json!({ "to": self.ids[to], "from": self.ids[from] }))
    }

    async fn titles(&self) -> Vec<String> {
        let list = json!({ "list": { "index": "author", "equals": "somebody" } });
        let said = self.guest.ask(&self.house, &Ask::tool("test_books", list)).await;
        let books = content(&said)["books"].as_array().unwrap().clone();
        books.iter().map(|book| book["title"].as_str().unwrap().to_owned()).collect()
    }
}

fn content(said: &Said) -> Value {
    assert!(said.is_done(), "{said:?}");
    let body: Value = serde_json::from_str(&said.body).unwrap();
    body["result"]["structuredContent"].clone()
}

#[tokio::test]
async fn two_who_read_two_records_and_write_one_each_do_so_one_after_the_other() {
    let two = Two::make("transact-two").await;
    let (house, ask, other) = (&two.house, two.append(1, 0), two.append(0, 1));
    let mut sent = 0;
    let said = Session::met(two.guest.ask(house, &ask), async |count, arrival| {
        // It has read both. Before it writes, the other one reads both as well, and writes what this one only read.
        if count == 0 {
            assert_eq!(content(&two.guest.ask(house, &other).await)["title"], "a+b");
        }
        sent = count + 1;
        arrival.answer.send(house.wire.0.ask(arrival.request).await.unwrap()).unwrap();
    });
    assert_eq!(content(&said.await)["title"], "b+a+b");
    assert_eq!((two.titles().await, sent), (vec!["a+b".to_owned(), "b+a+b".to_owned()], 2));
}

#[tokio::test]
async fn where_somebody_always_comes_between_a_call_ends_with_a_conflict_after_its_runs() {
    let two = Two::make("transact-bounded").await;
    let (house, ask, other) = (&two.house, two.append(1, 0), two.append(0, 1));
    let before = two.guest.own.meter(house.stack).await.0;
    let mut sent = 0;
    let said = Session::met(two.guest.ask(house, &ask), async |count, arrival| {
        content(&two.guest.ask(house, &other).await);
        sent = count + 1;
        arrival.answer.send(house.wire.0.ask(arrival.request).await.unwrap()).unwrap();
    });
    let said = said.await;
    assert_eq!((said.code.as_str(), sent), ("conflict", 4), "once, and three times again: {said:?}");
    assert_eq!(two.titles().await, ["a+b+b+b+b", "b"]);
    let charged = two.guest.own.meter(house.stack).await.0 - before;
    assert_eq!(charged, 4 + 1, "those who came between, and the list of the titles");
    assert_eq!(content(&two.guest.ask(house, &ask).await)["title"], "b+a+b+b+b+b", "nobody comes between");
}
