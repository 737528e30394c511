//! What an admin takes out.

use http::Method;
use insula_tenancy::{Feature, Tier};
use serde_json::{Value, json};

use super::{ADMIN, Config, PNG, named};
use crate::{ask::code_of, harness::json_of};

/// All pages of an export.
async fn export(config: &Config) -> Vec<Value> {
    let (mut entries, mut path) = (Vec::new(), "/v1/config/export".to_owned());
    loop {
        let reply = config.get(&path).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        let mut page = json_of(&reply);
        entries.append(page["entries"].as_array_mut().unwrap());
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("/v1/config/export?cursor={next}"),
            None => return entries,
        }
    }
}

#[tokio::test]
async fn an_admin_takes_out_everything_that_is_the_tenants_and_nothing_else() {
    let config = Config::make("config-export", Tier::Professional).await;
    let other = Config::make("config-export-other", Tier::Professional).await;
    for of in [&config, &other] {
        for n in 0..103 {
            let note = json!({ "title": format!("{} {n}", of.own.slug), "text": "t" });
            let made = of.json((Method::POST, "/v1/collections/notes/items"), None, &note).await;
            assert_eq!(made.status(), 201, "{made:?}");
        }
        let document = json!({ "size": 31_415 });
        let path = "/v1/collections/documents/items";
        assert_eq!(of.json((Method::POST, path), None, &document).await.status(), 201);
        let secret = json!({ "value": "hunter2" });
        assert_eq!(of.json((Method::PUT, "/v1/secrets/api_key"), None, &secret).await.status(), 201);
        assert_eq!(of.patch(&named(&of.own.slug)).await.status(), 200);
    }
    for n in 0..5 {
        assert_eq!(config.put_image(&format!("n{n}"), "image/png", PNG).await.status(), 201);
    }
    for of in [&config, &other] {
        let path = format!("/v1/config/domains/{}.customers.test", of.own.slug);
        assert_eq!(of.send(("root", ADMIN), (Method::PUT, &path), &[], "").await.status(), 201);
    }
    let entries = export(&config).await;
    let of_kind = |kind: &str| entries.iter().filter(|entry| entry["kind"] == kind).collect::<Vec<_>>();
    let counts = ["settings", "member", "asset", "domain", "secret", "item"].map(|kind| of_kind(kind).len());
    assert_eq!((counts, entries.len()), ([1, 1, 5, 1, 1, 104], 113));
    assert_eq!(of_kind("settings")[0]["value"]["branding"]["company_name"], "config-export");
    assert_eq!(of_kind("domain")[0]["value"]["domain"], "config-export.customers.test");
    assert_eq!(of_kind("secret")[0]["value"]["name"], "api_key");
    assert_eq!(of_kind("asset")[4]["base64"], "iVBORw0KGgoAAP8=");
    let titles: std::collections::BTreeSet<_> =
        of_kind("item").iter().map(|item| item["value"].to_string()).collect();
    assert_eq!(titles.len(), 104);
    let all = json!(entries).to_string();
    assert!(!all.contains("hunter2") && !all.contains("config-export-other"), "{all}");

    for (cursor, status) in [("notes", 200), ("-assets.n3", 200), ("moods", 400), ("notes.x", 400), ("", 400)]
    {
        let reply = config.get(&format!("/v1/config/export?cursor={cursor}")).await;
        assert_eq!(reply.status(), status, "{cursor} {reply:?}");
    }
    let page = json_of(&config.get("/v1/config/export?cursor=notes").await);
    let next = format!("/v1/config/export?cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(
        (config.get(&next).await.status(), other.get(&next).await.status()),
        (200.try_into().unwrap(), 400.try_into().unwrap())
    );
    config.switch(Feature::DataExport, false).await;
    let off = config.get("/v1/config/export").await;
    assert_eq!(code_of(&off), "feature_off");
    assert!(json_of(&off)["detail"].as_str().unwrap().starts_with("data export is not part of"));
    assert_eq!(other.get("/v1/config/export").await.status(), 200);
}
