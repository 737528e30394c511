//! A domain from its claim to its release, when a call goes wrong: of the function that was asked, or of `domains` in its own
//! process. It leads to one tenant at most, to nobody who has not proved it, and to nobody who does not claim it any more.

use http::Method;
use insula_local::aws::Whose;
use insula_tenancy::{Clock, Tier};
use serde_json::{Value, json};

use super::{
    Ask, Books, Guest, House, Said,
    door::{Turn, in_every_way},
    unique,
};
use crate::{ask::invoke, audit::chains::verify, dns::zone, harness::CUSTOMERS};

/// A tenant that claims a domain.
struct Owner {
    guest: Guest,
    domain: String,
    /// What proves it: the name of a record, and its text.
    record: (String, String),
}

/// What is done with a domain, but for a key.
fn ask(method: Method, domain: &str, then: &str) -> Ask {
    Ask::rest(method, format!("/v1/config/domains/{domain}{then}"), &Value::Null)
}

impl Owner {
    /// Somebody new, by a call that nothing happens to.
    async fn of(house: &House, domain: &str) -> Self {
        let guest = Guest::make(house, &format!("owner-{}", unique()), Tier::Professional).await;
        let said = guest.ask(house, &ask(Method::PUT, domain, "").keyed(&unique())).await;
        assert!(said.is_done(), "{said:?}");
        let body: Value = serde_json::from_str(&said.body).unwrap();
        let text = |name: &str| body["record"][name].as_str().unwrap().to_owned();
        Self { guest, domain: domain.to_owned(), record: (text("name"), text("value")) }
    }

    fn verify(&self) -> Ask {
        ask(Method::POST, &self.domain, "/verify")
    }

    fn release(&self) -> Ask {
        ask(Method::DELETE, &self.domain, "")
    }

    async fn done(&self, house: &House, ask: Ask) -> Said {
        let said = self.guest.ask(house, &ask.keyed(&unique())).await;
        assert!(said.is_done(), "{said:?}");
        said
    }

    /// Asks once more under its key, and under another one where the first may have acted. What has gone is gone.
    async fn insist(&self, house: &House, asked: &Ask, of: &str) -> Said {
        let again = self.guest.ask(house, asked).await;
        if again.is_done() {
            return again;
        }
        assert_eq!(again.code, "conflict", "{of}: {again:?}");
        let other = self.guest.ask(house, &asked.clone().keyed(&unique())).await;
        let is_gone = asked.method == Method::DELETE && other.code == "not_found";
        assert!(other.is_done() || is_gone, "{of}: {other:?} after {again:?}");
        other
    }

    /// What the tenant's own claim says, and nothing where there is none. Its books are in order.
    async fn claim(&self, house: &House, of: &str) -> Option<Value> {
        let books = Books::read(house, &self.guest.own).await.unwrap_or_else(|wrong| panic!("{of}: {wrong}"));
        let claims = books.kept.iter().find(|((family, _), _)| family == "DOMAIN").map(|(_, kept)| kept);
        let document: Value = serde_json::from_str(claims?.split_once(' ')?.1).unwrap();
        document["domains"].get(&self.domain).cloned()
    }

    async fn state(&self, house: &House, of: &str) -> Option<Value> {
        Some(self.claim(house, of).await?["state"].clone())
    }

    /// Whether the registry leads to this tenant.
    async fn is_served(&self, house: &House) -> bool {
        served(house, &self.domain).await.is_some_and(|tenant| tenant == self.guest.own.id.to_string())
    }
}

/// Whom the registry leads to.
async fn served(house: &House, domain: &str) -> Option<String> {
    let tables = &house.stack.local.stack.tables;
    let table = &tables.iter().find(|table| table.name.ends_with("-registry")).unwrap().name;
    let get = json!({ "TableName": table, "Key": { "pk": { "S": format!("host/{domain}") } }, "ConsistentRead": true });
    let reply = house.stack.local.aws.store().serve("GetItem", get).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body["Item"]["tenant"]["S"].as_str().map(str::to_owned)
}

fn name() -> String {
    format!("{}.{CUSTOMERS}", unique())
}

/// What meets the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Journey {
    /// The proof is looked for, and found.
    Verify,
    /// It is looked for, and is not there.
    Unproved,
    /// It is looked for and found, and whoever asked gives up and releases the domain.
    Abandon,
    /// What was verified is released.
    Release,
    /// Two have proved it; the other one is asked for between.
    Race,
}

impl Journey {
    /// How many calls there were.
    async fn take(self, [house, other]: &[House; 2], turn: Turn) -> usize {
        let domain = name();
        let owner = Owner::of(house, &domain).await;
        let rival = if self == Self::Race { Some(Owner::of(other, &domain).await) } else { None };
        if self != Self::Unproved {
            let values: Vec<&str> =
                [Some(&owner), rival.as_ref()].iter().flatten().map(|each| &*each.record.1).collect();
            zone().texts(&owner.record.0, &values);
        }
        let asked = if self == Self::Release {
            owner.done(house, owner.verify()).await;
            assert!(owner.is_served(house).await);
            owner.release()
        } else {
            owner.verify()
        };
        let asked = asked.keyed(&unique());
        let (first, seen) = turn.run(house, Whose::Callers, owner.guest.ask(house, &asked)).await;
        let of = format!("{self:?}, {turn:?} of {seen:?}, {first:?}");
        self.check_middle(house, (&owner, first.as_ref()), &of).await;
        let next = if turn.call.is_multiple_of(2) { house } else { other };
        match (self, &rival) {
            (Self::Abandon, _) => drop(owner.done(next, owner.release()).await),
            (Self::Race, Some(rival)) => {
                rival.done(other, rival.verify()).await;
                owner.insist(next, &asked, &of).await;
            }
            _ => drop(owner.insist(next, &asked, &of).await),
        }
        self.check_end(house, (&owner, rival.as_ref()), &of).await;
        // What was sent and given up arrives when everything is over.
        house.stack.local.aws.release().await;
        self.check_end(house, (&owner, rival.as_ref()), &format!("late: {of}")).await;
        assert!(verify(house.stack, &owner.guest.own).await.is_ok(), "{of}");
        seen.calls.len()
    }

    /// What must be true before anybody asks again.
    async fn check_middle(self, house: &House, (owner, first): (&Owner, Option<&Said>), of: &str) {
        let (state, is_served) = (owner.state(house, of).await, owner.is_served(house).await);
        let is_done = first.is_some_and(Said::is_done);
        match self {
            Self::Unproved => assert!(!is_served, "{of}"),
            Self::Release => {
                assert!(state.is_some() || !is_served, "{of}: it is served without a claim");
                assert!(!is_done || state.is_none(), "{of}: a success that is not durable");
            }
            Self::Verify | Self::Abandon | Self::Race => {
                let is_verified = state == Some(json!("verified"));
                assert!(is_served || !is_verified, "{of}: it says verified and is not served");
                assert!(is_verified || !is_done, "{of}: a success that is not durable");
            }
        }
    }

    /// What must be true when it is done.
    async fn check_end(self, house: &House, (owner, rival): (&Owner, Option<&Owner>), of: &str) {
        let (state, is_served) = (owner.state(house, of).await, owner.is_served(house).await);
        let Some(rival) = rival else {
            let said = match self {
                Self::Verify => state == Some(json!("verified")),
                Self::Unproved => state == Some(json!({ "failed": "no_record" })),
                _ => state.is_none(),
            };
            assert!(said && is_served == (self == Self::Verify), "{of}: {state:?}, served: {is_served}");
            return;
        };
        let states = [state, rival.state(house, of).await].map(Option::unwrap);
        let (has, has_not) = (json!("verified"), json!({ "failed": "taken" }));
        let (of_owner, of_rival) = (is_served, rival.is_served(house).await);
        let expected = if of_owner { [has, has_not] } else { [has_not, has] };
        assert!(states == expected && of_owner != of_rival, "{of}: {states:?}, {of_owner}, {of_rival}");
    }
}

async fn whatever_goes_wrong(row: usize, journey: Journey) {
    let house = House::open().await;
    let other = House::before(house.stack).await;
    let houses = [house, other];
    in_every_way(row, async |turn| journey.take(&houses, turn).await).await;
}

#[tokio::test]
async fn a_domain_is_served_when_it_says_verified_and_a_repetition_completes_it() {
    whatever_goes_wrong(0, Journey::Verify).await;
}

#[tokio::test]
async fn a_domain_that_was_not_proved_is_never_served_whatever_goes_wrong() {
    whatever_goes_wrong(2, Journey::Unproved).await;
}

#[tokio::test]
async fn a_domain_that_is_claimed_no_more_is_not_served_whatever_goes_wrong() {
    whatever_goes_wrong(4, Journey::Release).await;
}

#[tokio::test]
async fn a_domain_whose_verification_was_given_up_is_not_served_after_its_release() {
    whatever_goes_wrong(6, Journey::Abandon).await;
}

#[tokio::test]
async fn a_domain_that_two_have_proved_is_one_tenants_whatever_goes_wrong() {
    whatever_goes_wrong(8, Journey::Race).await;
}

#[tokio::test]
async fn a_verification_for_which_nobody_waits_any_more_serves_nobody() {
    let house = House::open().await;
    let owner = Owner::of(&house, &name()).await;
    zone().texts(&owner.record.0, &[&owner.record.1]);
    let nonce = owner.claim(&house, "claimed").await.unwrap()["nonce"].clone();
    let host = format!("{}.localhost", owner.guest.own.slug);
    let bearer = owner.guest.bearer.strip_prefix("Bearer ");
    let who = json!({ "bearer": bearer, "domain_name": host, "api_id": null, "path_tenant": null });
    for (waits_s, answer, is_served) in
        [(0, json!("unavailable"), false), (30, json!({ "granted": "verified" }), true)]
    {
        let until_s = Clock::System.now().plus_s(waits_s).seconds();
        let verify = json!({ "verify": { "nonce": nonce, "until_s": until_s } });
        let asked = json!({ "who": who, "domain": owner.domain, "deed": verify });
        assert_eq!(invoke(house.stack, "domains", &asked).await, Some(answer), "{waits_s}");
        assert_eq!(owner.is_served(&house).await, is_served, "{waits_s}");
    }
}
