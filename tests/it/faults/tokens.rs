//! The token by which the store knows that a transaction was sent before.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use insula_tenancy::Tier;
use serde_json::{Value, json};

use super::{Ask, Guest, House, Session, wire::contended};
use crate::{calls::create, harness::stack};

/// The token of a transaction, and what it is to be: made of the names of the two records that say what call it is.
fn tokens(body: &Bytes) -> (String, String) {
    let body: Value = serde_json::from_slice(body).unwrap();
    let name_in = |family: &str| {
        let puts = body["TransactItems"].as_array().unwrap().iter().map(|action| &action["Put"]["Item"]);
        let mut of_family =
            puts.filter(|item| item["pk"]["S"].as_str().is_some_and(|partition| partition.contains(family)));
        let item = of_family.next();
        item.map_or_else(String::new, |item| item["sk"]["S"].as_str().unwrap().to_owned())
    };
    let names = [name_in("#IDEM#"), name_in("#AUDIT#")].join("\0");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, names.as_bytes());
    let derived: String = URL_SAFE_NO_PAD.encode(hash).chars().take(36).collect();
    (body["ClientRequestToken"].as_str().unwrap_or_default().to_owned(), derived)
}

#[tokio::test]
async fn a_transaction_that_is_sent_again_has_its_token_and_another_attempt_another_one() {
    let house = House::before(stack()).await;
    let guest = Guest::make(&house, "faults-tokens", Tier::Starter).await;
    // Who has called before has a seat, which is a transaction too.
    assert!(guest.ask(&house, &Ask::tool("notes_list", json!({}))).await.is_done());
    let call = create("t");
    let ask = Ask::tool("notes_create", call["params"]["arguments"].clone());
    for (calls, notes, ask) in [(2, 1, ask.clone()), (3, 2, ask.keyed("tokens"))] {
        let mut sent: Vec<Bytes> = Vec::new();
        let said = Session::met(guest.ask(&house, &ask), async |count, arrival| {
            sent.push(arrival.request.body().clone());
            match count {
                // Nothing is done, and the kernel tries once more.
                0 => arrival.answer.send(contended(&sent[0])).unwrap(),
                // It is done and nobody hears of it, so the SDK sends it again.
                1 => drop(house.wire.0.ask(arrival.request).await.unwrap()),
                _ => arrival.answer.send(house.wire.0.ask(arrival.request).await.unwrap()).unwrap(),
            }
        });
        let said = said.await;
        assert!(said.is_done(), "{said:?}");
        let tokens: Vec<_> = sent.iter().map(tokens).collect();
        let [(first, _), (second, _), (again, _)] = &tokens[..] else { panic!("{tokens:?}") };
        assert_eq!((second, &sent[1]), (again, &sent[2]), "the same transaction");
        assert_ne!(first, second, "another attempt");
        for (token, derived) in &tokens {
            assert_eq!(token, derived);
        }
        assert_eq!(
            (guest.own.meter(house.stack).await.0, guest.own.notes(house.stack).await),
            (calls, notes)
        );
    }
}
