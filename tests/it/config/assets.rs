//! The images of a tenant.

use bytes::Bytes;
use insula_tenancy::{Limits, Plan, Tier};
use serde_json::json;

use super::{Config, PNG};
use crate::{
    ask::{code_of, header},
    harness::json_of,
};

#[tokio::test]
async fn images_are_kept_typed_bounded_and_counted() {
    let config = Config::make("config-assets", Tier::Professional).await;
    let made = config.put_image("logo", "image/png", PNG).await;
    assert_eq!((made.status().as_u16(), header(made.headers(), "location")), (201, "/v1/config/assets/logo"));
    let got = config.get("/v1/config/assets/logo").await;
    assert_eq!((header(got.headers(), "content-type"), &got.body()[..]), ("image/png", PNG));
    assert_eq!(header(got.headers(), "x-content-type-options"), "nosniff");
    assert_eq!(header(got.headers(), "etag"), "\"1\"");
    let stored = config.own.stored_bytes(config.stack).await;

    let svg = r#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    for (name, media_type, bytes, status, said) in [
        ("logo", "image/png", Bytes::from_static(PNG), 200, ""),
        ("logo", "image/jpeg", Bytes::from_static(PNG), 400, "begins as image/png"),
        ("logo", "image/png", svg.into(), 400, "begins as none of them"),
        ("logo", "image/svg+xml", svg.into(), 400, "image/png or image/jpeg or image/webp"),
        ("logo", "image/png", Bytes::new(), 400, "at least one byte"),
        ("Logo", "image/png", Bytes::from_static(PNG), 400, "1 to 64 of a-z"),
        ("logo.png", "image/png", Bytes::from_static(PNG), 400, "this has 8 bytes"),
        ("large", "image/png", [PNG, &vec![7; 262_144 - PNG.len()]].concat().into(), 201, ""),
        (
            "larger",
            "image/png",
            [PNG, &vec![7; 262_145 - PNG.len()]].concat().into(),
            413,
            "has 262145 bytes, and at most 262144",
        ),
    ] {
        let reply = config.put_image(name, media_type, bytes).await;
        let body = String::from_utf8_lossy(reply.body()).into_owned();
        assert_eq!(reply.status(), status, "{name} {media_type} {body}");
        assert!(body.contains(said), "{body}");
    }
    let grown = config.own.stored_bytes(config.stack).await - stored;
    assert!((349_525..350_200).contains(&grown), "an image counts as it is kept, in base64: {grown}");
    let listed = json_of(&config.get("/v1/config/assets").await);
    let names: Vec<_> = listed["assets"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!((names, &listed["limit"]), (vec![&json!("large"), &json!("logo")], &json!(20)));
    assert_eq!(listed["assets"][1]["version"], 2);

    // The logo that is named can't be taken away.
    assert_eq!(config.patch(&json!({ "branding": { "logo": "logo" } })).await.status(), 200);
    assert_eq!(code_of(&config.delete("/v1/config/assets/logo").await), "conflict");
    assert_eq!(config.patch(&json!({ "branding": { "logo": null } })).await.status(), 200);
    for (name, status) in [("logo", 204), ("logo", 404), ("large", 204)] {
        assert_eq!(config.delete(&format!("/v1/config/assets/{name}")).await.status(), status);
    }
    assert_eq!(config.get("/v1/config/assets/logo").await.status(), 404);
    // Whoever has seen the one before does not take the next for it.
    assert_eq!(config.put_image("logo", "image/png", PNG).await.status(), 201);
    assert_eq!(header(config.get("/v1/config/assets/logo").await.headers(), "etag"), "\"3\"");
    assert_eq!(config.delete("/v1/config/assets/logo").await.status(), 204);
    for n in 0..20 {
        assert_eq!(config.put_image(&format!("n{n}"), "image/png", PNG).await.status(), 201);
    }
    let over = config.put_image("more", "image/png", PNG).await;
    assert_eq!(json_of(&over)["detail"], "assets: 20 of at most 20");
    assert_eq!(
        config.put_image("n0", "image/png", PNG).await.status(),
        200,
        "a new one in its place needs none"
    );
}

#[tokio::test]
async fn an_image_does_not_go_beyond_the_storage_quota() {
    let config = Config::make("config-storage", Tier::Professional).await;
    for (room, status) in [(100, 429), (10_000, 201)] {
        config.plan(move |plan| Plan { limits: Limits { storage_bytes: room, ..plan.limits }, ..plan }).await;
        let reply = config.put_image("logo", "image/png", PNG).await;
        assert_eq!(reply.status(), status, "{reply:?}");
    }
}

#[tokio::test]
async fn a_logo_is_there_or_the_settings_do_not_name_it() {
    let config = Config::make("config-logo", Tier::Professional).await;
    let logo = json!({ "branding": { "logo": "logo" } });
    let missing = json_of(&config.patch(&logo).await);
    let expected = json!([{ "path": "branding.logo", "reason": "there is no asset logo; put it first" }]);
    assert_eq!(missing["errors"], expected);
    for _ in 0..4 {
        assert_eq!(config.put_image("logo", "image/png", PNG).await.status(), 201);
        // Whoever comes first: named and kept, or ended and not named.
        let (named, ended) = tokio::join!(config.patch(&logo), config.delete("/v1/config/assets/logo"));
        let pair = (named.status().as_u16(), ended.status().as_u16());
        assert!([(200, 409), (400, 204)].contains(&pair), "{pair:?}");
        let shown = json_of(&config.get("/v1/config").await)["settings"]["branding"]["logo"].clone();
        assert_eq!(shown.is_null(), pair.1 == 204);
        if pair.1 == 409 {
            assert_eq!(config.patch(&json!({ "branding": { "logo": null } })).await.status(), 200);
            assert_eq!(config.delete("/v1/config/assets/logo").await.status(), 204);
        }
    }
}
