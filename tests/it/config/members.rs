//! The people of a tenant, and how many they may be.

use http::Method;
use insula_tenancy::{Limits, Moving, Plan, Tier};
use serde_json::json;

use super::{Config, MEMBER, READER};
use crate::{ask::code_of, harness::json_of};

#[tokio::test]
async fn a_seat_is_taken_once_and_there_are_as_many_as_the_plan_says() {
    let config = Config::make("config-seats", Tier::Starter).await;
    config.plan(|plan| Plan { limits: Limits { members: 3, ..plan.limits }, ..plan }).await;
    assert_eq!(config.get("/v1/config").await.status(), 200);
    assert_eq!(config.get("/v1/config").await.status(), 200);
    // Five at once for two seats; whoever has one is let in again.
    let (a, b, c, d, e) = tokio::join!(
        config.call("a"),
        config.call("b"),
        config.call("c"),
        config.call("d"),
        config.call("e")
    );
    let said = [a, b, c, d, e];
    assert_eq!(said.iter().filter(|said| *said == "ok").count(), 2, "{said:?}");
    assert!(said.iter().all(|said| said == "ok" || said == "quota_reached"), "{said:?}");
    for (sub, before) in ["a", "b", "c", "d", "e"].into_iter().zip(&said) {
        assert_eq!(config.call(sub).await, *before, "{sub}");
    }
    let refused = config.send(("f", READER), (Method::GET, "/v1/config"), &[], "").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(
        json_of(&refused)["detail"],
        "the quota members of 3 leaves no room for this, with 3 in use; remove something, or ask \
         operator@example.com for more"
    );
    assert_eq!(config.own.denials(config.stack, "quota_reached").await, 3 + 3 + 1);

    let listed = json_of(&config.get("/v1/config/members").await);
    assert_eq!((&listed["count"], &listed["limit"]), (&json!(3), &json!(3)));
    let members = listed["members"].as_array().unwrap();
    let role = |sub: &str| members.iter().find(|one| one["subject"] == sub).map(|one| one["role"].clone());
    assert_eq!((members.len(), role("root")), (3, Some(json!("admin"))));
    // One more seat for one more.
    config.plan(|plan| Plan { limits: Limits { members: 4, ..plan.limits }, ..plan }).await;
    let latecomer =
        ["a", "b", "c", "d", "e"].into_iter().zip(&said).find(|(_, said)| *said != "ok").unwrap().0;
    assert_eq!(
        (config.call(latecomer).await.as_str(), config.call("f").await.as_str()),
        ("ok", "quota_reached")
    );
}

#[tokio::test]
async fn a_member_who_is_removed_makes_room_and_is_seen_again() {
    let config = Config::make("config-remove", Tier::Starter).await;
    let other = Config::make("config-remove-other", Tier::Starter).await;
    config.plan(|plan| Plan { limits: Limits { members: 2, ..plan.limits }, ..plan }).await;
    assert_eq!(config.get("/v1/config").await.status(), 200);
    assert_eq!((config.call("a").await.as_str(), config.call("b").await.as_str()), ("ok", "quota_reached"));
    let id_of = async |of: &Config, sub: &str| {
        let listed = json_of(&of.get("/v1/config/members").await);
        let one = listed["members"].as_array().unwrap().iter().find(|one| one["subject"] == sub).cloned();
        one.map(|one| one["id"].as_str().unwrap().to_owned())
    };
    let a = id_of(&config, "a").await.unwrap();
    let path = format!("/v1/config/members/{a}");
    // Another tenant has no such member, byte for byte as there was never one.
    let foreign = other.delete(&path).await;
    let never = other.delete("/v1/config/members/nobody").await;
    assert_eq!((foreign.status().as_u16(), foreign.body()), (404, never.body()));
    for status in [204, 404] {
        assert_eq!(config.delete(&path).await.status(), status);
    }
    assert_eq!((config.call("b").await.as_str(), id_of(&config, "a").await), ("ok", None));
    // Where nobody remembers that they were seen: the seat is gone, and so is the room.
    let back = || config.send(("a", READER), (Method::GET, "/v1/config"), &[], "");
    assert_eq!(code_of(&back().await), "quota_reached");
    let b = id_of(&config, "b").await.unwrap();
    assert_eq!(config.delete(&format!("/v1/config/members/{b}")).await.status(), 204);
    assert_eq!((back().await.status().as_u16(), id_of(&config, "a").await), (200, Some(a)));
}

#[tokio::test]
async fn the_same_person_has_another_seat_in_each_tenant_and_a_new_role_is_noted() {
    let (one, other) = (
        Config::make("config-both-a", Tier::Starter).await,
        Config::make("config-both-b", Tier::Starter).await,
    );
    let me = async |of: &Config, scope: &str| {
        assert_eq!(of.send(("me", scope), (Method::GET, "/v1/config"), &[], "").await.status(), 200);
        let listed = json_of(&of.get("/v1/config/members").await);
        listed["members"].as_array().unwrap().iter().find(|one| one["subject"] == "me").cloned().unwrap()
    };
    let (here, there) = (me(&one, READER).await, me(&other, READER).await);
    assert_ne!(here["id"], there["id"]);
    assert_eq!(here["role"], "read_only");
    let later = me(&one, MEMBER).await;
    assert_eq!(
        (&later["role"], &later["id"], &later["first_seen"]),
        (&json!("member"), &here["id"], &here["first_seen"])
    );
    assert_eq!(json_of(&one.get("/v1/config/members").await)["count"], 2);
    let page = json_of(&one.get("/v1/config/members?limit=1").await);
    let next = format!("/v1/config/members?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_ne!(json_of(&one.get(&next).await)["members"], page["members"]);
    assert_eq!(other.get(&next).await.status(), 400, "a cursor of another tenant is none");
}

#[tokio::test]
async fn nobody_new_comes_in_while_a_tenant_is_moved() {
    let config = Config::make("config-moving", Tier::Business).await;
    assert_eq!(config.call("a").await, "ok");
    config.plan(|plan| Plan { moving: Some(Moving::Copying), ..plan }).await;
    assert_eq!((config.call("a").await.as_str(), config.call("b").await.as_str()), ("ok", "moving"));
    // A role that has changed is noted later.
    assert_eq!(config.send(("a", READER), (Method::GET, "/v1/config"), &[], "").await.status(), 200);
    config.plan(|plan| Plan { moving: None, ..plan }).await;
    assert_eq!(config.call("b").await, "ok");
}
