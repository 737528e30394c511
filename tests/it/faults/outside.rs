//! What acts outside, when a call of the store goes wrong: it is charged first, and done once under a key at most.

use http::Method;
use insula_tenancy::Tier;
use serde_json::{Value, json};

use super::{
    Ask, Books, Guest, House, Kind, Plan, Said, Session,
    single::{THINNED, at_every_call},
    unique,
};
use crate::hook::Hook;

/// A tenant with a webhook.
pub(super) struct Sharing {
    pub(super) guest: Guest,
    hook: Hook,
}

/// A note of its own and the call that shares it, but for its key.
pub(super) struct Share {
    title: String,
    pub(super) ask: Ask,
}

impl Sharing {
    pub(super) async fn make(house: &House) -> Self {
        let guest = Guest::make(house, &format!("sharing-{}", unique()), Tier::Professional).await;
        let sharing = Self::over(guest).await;
        let said = sharing.guest.ask(house, &sharing.put().keyed(&unique())).await;
        assert!(said.is_done(), "{said:?}");
        sharing
    }

    /// With a server outside whose URL the tenant has not put yet.
    pub(super) async fn over(guest: Guest) -> Self {
        Self { guest, hook: Hook::start("200 OK").await }
    }

    /// Puts the URL, but for a key.
    pub(super) fn put(&self) -> Ask {
        Ask::rest(Method::PUT, "/v1/secrets/slack_webhook", &json!({ "value": self.hook.url() }))
    }

    pub(super) async fn note(&self, house: &House) -> Share {
        let title = format!("shared {}.", unique());
        let create = Ask::tool("notes_create", json!({ "title": title, "text": "" }));
        let said = self.guest.ask(house, &create.keyed(&unique())).await;
        let body: Value = serde_json::from_str(&said.body).unwrap();
        let id = &body["result"]["structuredContent"]["id"];
        Share { title, ask: Ask::tool("notes_share", json!({ "id": id })) }
    }

    /// How often it was posted.
    pub(super) fn posts(&self, share: &Share) -> u64 {
        let posts = self.hook.got().iter().filter(|request| request.contains(&share.title)).count();
        u64::try_from(posts).unwrap()
    }

    /// What must be true when it was asked for once, maybe in vain, and then again under its key; `turn` says how.
    pub(super) async fn check(
        &self,
        houses: [&House; 2],
        share: &Share,
        (before, first, again): (&Books, Option<&Said>, &Said),
        turn: &str,
    ) {
        let books =
            Books::read(houses[0], &self.guest.own).await.unwrap_or_else(|wrong| panic!("{turn}: {wrong}"));
        let (begun, posts) = (books.recorded("begun") - before.recorded("begun"), self.posts(share));
        assert!(posts <= 1 && posts <= begun && begun <= 2, "{turn}: {posts} of {begun}");
        assert_eq!(books.kept, before.kept, "{turn}");
        if let Some(first) = first.filter(|said| said.is_done()) {
            assert!(again.code == "conflict" || first == again, "{turn}: {first:?} and {again:?}");
            assert_eq!(posts, 1, "{turn}: {first:?}");
        }
        match again.code.as_str() {
            "" => assert_eq!(posts, 1, "{turn}: {again:?}"),
            // It may have acted.
            "conflict" => assert!(begun == 1, "{turn}: {begun}, {again:?}"),
            _ => panic!("{turn}: {again:?} after {first:?}"),
        }
        let other = self.guest.ask(houses[1], &share.ask.clone().keyed(&unique())).await;
        assert_eq!((other.code.as_str(), self.posts(share)), ("", posts + 1), "{turn}: under another key");
    }
}

/// How many calls it has made.
async fn take(sharing: &Sharing, houses: [&House; 2], plan: Plan) -> usize {
    let [house, other] = houses;
    let share = sharing.note(house).await;
    let ask = share.ask.clone().keyed(&unique());
    let before = Books::read(house, &sharing.guest.own).await.unwrap();
    let session = Session::new(plan);
    let first = session.run(sharing.guest.ask(house, &ask)).await;
    if session.was_hit() {
        tokio::time::resume();
    }
    let turn = format!("{plan:?} of {:?}", session.calls());
    let middle =
        Books::read(house, &sharing.guest.own).await.unwrap_or_else(|wrong| panic!("{turn}: {wrong}"));
    let begun = middle.recorded("begun") - before.recorded("begun");
    assert!(sharing.posts(&share) <= begun, "{turn}: posted before its charge, {first:?}");
    let again =
        sharing.guest.ask(if session.calls().len().is_multiple_of(2) { house } else { other }, &ask).await;
    session.release(&house.wire).await;
    sharing.check(houses, &share, (&before, first.as_ref(), &again), &turn).await;
    session.calls().len()
}

#[tokio::test]
async fn what_acts_outside_is_charged_before_and_acts_once_at_most_whatever_goes_wrong() {
    let house = House::open().await;
    let other = House::before(house.stack).await;
    let sharing = Sharing::make(&house).await;
    let clean = Plan::At { call: usize::MAX, kind: Kind::Cut, every_try: false };
    for house in [&other, &house] {
        take(&sharing, [house, house], clean).await;
    }
    let mut calls = take(&sharing, [&house, &other], clean).await;
    assert!(calls >= 4, "it reads, is charged, and keeps its result");
    let lasting = Kind::LASTING.map(|kind| (kind, true));
    for (row, (kind, every_try)) in Kind::ALL.map(|kind| (kind, false)).into_iter().chain(lasting).enumerate()
    {
        calls = at_every_call((row, THINNED), calls, async |call| {
            take(&sharing, [&house, &other], Plan::At { call, kind, every_try }).await
        })
        .await;
    }
}
