//! What a tenant sets for itself: the settings, how they count, its images, its people and what it takes out.

mod assets;
mod domains;
mod export;
mod members;
mod tools;
mod white;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use insula_local::idp::Mint;
use insula_tenancy::{Feature, Plan, Tier};
use serde_json::{Value, json};

use crate::{
    ask::{Own, code_of, header, operate},
    harness::{Stack, json_of, stack, tool_call},
};

const ADMIN: &str = "workspace:admin notes:read notes:write items:read items:write";
const MEMBER: &str = "notes:read notes:write";
const READER: &str = "notes:read";
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\xff";

/// A tenant of one test, and the functions that serve it.
struct Config {
    stack: &'static Stack,
    own: Own,
}

impl Config {
    async fn make(slug: &str, tier: Tier) -> Self {
        let stack = stack();
        Self { stack, own: Own::make(stack, slug, tier).await }
    }

    fn bearer(&self, sub: &str, scope: &str) -> String {
        let mint = Mint {
            tenant: Some(format!("org-{}", self.own.slug)),
            sub: Some(sub.to_owned()),
            scope: Some(scope.to_owned()),
            resource: self.stack.host_url(&self.own.slug),
            ..Mint::default()
        };
        format!("Bearer {}", self.stack.local.idp.mint(&mint).unwrap().access_token)
    }

    async fn send(
        &self,
        (sub, scope): (&str, &str),
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Bytes> {
        let mut request = Request::builder().method(method).uri("/");
        request = request.header("authorization", self.bearer(sub, scope));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let url = self.stack.host_url(&self.own.slug).replace("/mcp", path);
        self.stack.send(&url, request.body(Full::new(body.into())).unwrap()).await
    }

    async fn get(&self, path: &str) -> Response<Bytes> {
        self.send(("root", ADMIN), (Method::GET, path), &[], "").await
    }

    async fn delete(&self, path: &str) -> Response<Bytes> {
        self.send(("root", ADMIN), (Method::DELETE, path), &[], "").await
    }

    async fn json(
        &self,
        (method, path): (Method, &str),
        seen: Option<&str>,
        body: &Value,
    ) -> Response<Bytes> {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(seen.map(|seen| ("if-match", seen)));
        self.send(("root", ADMIN), (method, path), &headers, body.to_string()).await
    }

    async fn put(&self, seen: Option<&str>, body: &Value) -> Response<Bytes> {
        self.json((Method::PUT, "/v1/config"), seen, body).await
    }

    async fn patch(&self, body: &Value) -> Response<Bytes> {
        self.json((Method::PATCH, "/v1/config"), None, body).await
    }

    async fn put_image(&self, name: &str, media_type: &str, bytes: impl Into<Bytes>) -> Response<Bytes> {
        let path = format!("/v1/config/assets/{name}");
        let headers = [("content-type", media_type)];
        self.send(("root", ADMIN), (Method::PUT, &path), &headers, bytes).await
    }

    async fn version(&self) -> u64 {
        json_of(&self.get("/v1/config").await)["version"].as_u64().unwrap()
    }

    async fn plan(&self, change: impl Fn(Plan) -> Plan + Send + Sync + 'static) {
        let id = self.own.id.clone();
        operate(self.stack, |operator| async move { operator.change_plan(&id, change).await }).await.unwrap();
    }

    async fn switch(&self, feature: Feature, on: bool) {
        self.plan(move |plan| Plan { overrides: plan.overrides.clone().with(feature, Some(on)), ..plan })
            .await;
    }

    /// Calls a tool as somebody: `ok`, or the code.
    async fn call(&self, sub: &str) -> String {
        let headers = [("content-type", "application/json")];
        let call = tool_call("notes_list", json!({})).to_string();
        let reply = self.send((sub, MEMBER), (Method::POST, "/mcp"), &headers, call).await;
        if json_of(&reply)["result"]["isError"] == false { "ok".to_owned() } else { code_of(&reply) }
    }
}

fn named(name: &str) -> Value {
    json!({ "branding": { "company_name": name } })
}

#[tokio::test]
async fn the_settings_are_replaced_and_patched_by_version() {
    let config = Config::make("config-life", Tier::Professional).await;
    let first = config.get("/v1/config").await;
    assert_eq!((first.status().as_u16(), header(first.headers(), "etag")), (200, "\"0\""));
    insta::assert_snapshot!(String::from_utf8_lossy(first.body()), @r##"{"tier":"professional","features":{"advanced_analytics":true,"api_access":true,"custom_branding":true,"data_export":true,"white_label":false},"quotas":{"calls_month":100000,"calls_minute":600,"storage_bytes":1073741824,"items":100000,"members":50},"settings":{"tools":{"confirm_deletes":"ask"}},"branding":{"company_name":"Insula","colors":{"accent":"#b45309","background":"#ffffff","primary":"#1d4ed8","text":"#1f2933"},"logo":null,"product_shown":true},"version":0}"##);

    for (seen, status) in [(None, 428), (Some("\"1\""), 409), (Some("\"0\""), 200), (Some("\"0\""), 409)] {
        let reply = config.put(seen, &named("Acme")).await;
        assert_eq!(reply.status(), status, "{seen:?}");
        assert_eq!(header(reply.headers(), "etag"), if status == 200 { "\"1\"" } else { "" });
    }
    // RFC 7396: what is null goes, what is not named stays.
    let patch =
        json!({ "tools": { "confirm_deletes": "allow" }, "branding": { "colors": { "text": "#000000" } } });
    let patched = json_of(&config.patch(&patch).await);
    assert_eq!(
        patched["settings"]["branding"],
        json!({ "company_name": "Acme", "colors": { "text": "#000000" } })
    );
    assert_eq!(
        (&patched["settings"]["tools"]["confirm_deletes"], &patched["version"]),
        (&json!("allow"), &json!(2))
    );
    assert_eq!(patched["branding"]["colors"]["text"], "#000000");
    let gone = json_of(&config.patch(&json!({ "branding": null })).await);
    assert_eq!(gone["settings"], json!({ "tools": { "confirm_deletes": "allow" } }));
    assert_eq!(gone["branding"]["company_name"], "Insula");
    assert_eq!(json_of(&config.get("/v1/config").await), gone);
}

#[tokio::test]
async fn patches_at_once_are_all_there() {
    let config = Config::make("config-race", Tier::Professional).await;
    let (name, text, allow) = (
        named("Acme"),
        json!({ "branding": { "colors": { "text": "#000000" } } }),
        json!({ "tools": { "confirm_deletes": "allow" } }),
    );
    let (a, b, c) = tokio::join!(config.patch(&name), config.patch(&text), config.patch(&allow));
    assert_eq!([a.status(), b.status(), c.status()], [200, 200, 200]);
    let settings = json_of(&config.get("/v1/config").await);
    assert_eq!(settings["version"], 3);
    assert_eq!(
        settings["settings"],
        json!({
            "branding": { "company_name": "Acme", "colors": { "text": "#000000" } },
            "tools": { "confirm_deletes": "allow" },
        })
    );
    // Replacements of one version: one of them is the next.
    let (a, b) = (named("A"), named("B"));
    let (a, b) = tokio::join!(config.put(Some("\"3\""), &a), config.put(Some("\"3\""), &b));
    let mut said = [a.status().as_u16(), b.status().as_u16()];
    said.sort_unstable();
    assert_eq!((said, config.version().await), ([200, 409], 4));
}

#[tokio::test]
async fn every_fault_is_said_at_once_and_nothing_is_changed() {
    let config = Config::make("config-faults", Tier::Professional).await;
    let document = json!({
        "tier": "business",
        "features": { "white_label": true },
        "quotas": { "items": 1 },
        "branding": { "company_name": "", "colors": { "primary": "red" }, "logo": "missing" },
        "integrations": { "stripe_customer": "31415926", "fax": "1" },
        "colour": "red",
    });
    let reply = config.put(Some("\"0\""), &document).await;
    assert_eq!(
        (reply.status().as_u16(), header(reply.headers(), "content-type")),
        (400, "application/problem+json")
    );
    let body = json_of(&reply);
    assert_eq!(body["code"], "invalid");
    let errors = body["errors"].as_array().unwrap().iter();
    let said: Vec<_> =
        errors.map(|one| format!("{}: {}", one["path"], one["reason"]).replace('"', "")).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    branding.company_name: 0 characters, of 1 to 80
    branding.colors.primary: a colour is # and six hexadecimal digits, and this is \red\
    integrations.stripe_customer: a customer of Stripe is cus_ and 8 to 64 letters and digits; this has 8 bytes
    integrations.fax: unknown; known here: stripe_customer, analytics_id, slack_webhook_secret
    colour: unknown; known here: branding, integrations, tools
    features: features is not a setting of the workspace: its operator sets it, and can be asked to change it
    quotas: quotas is not a setting of the workspace: its operator sets it, and can be asked to change it
    tier: tier is not a setting of the workspace: its operator sets it, and can be asked to change it
    branding.logo: there is no asset missing; put it first
    ");
    assert_eq!(config.version().await, 0);
    // The same without what is wrong.
    assert_eq!(
        config
            .put(Some("\"0\""), &json!({ "integrations": { "stripe_customer": "cus_12345678" } }))
            .await
            .status(),
        200
    );
    let large = json!({ "a": "x".repeat(65_536) });
    let large = config.put(Some("\"1\""), &large).await;
    assert_eq!(large.status(), 413);
    assert_eq!(
        json_of(&large)["detail"],
        "the settings document has 65544 bytes, and at most 65536 are allowed"
    );
}

#[tokio::test]
async fn everybody_reads_and_admins_change() {
    let config = Config::make("config-roles", Tier::Professional).await;
    assert_eq!(config.put_image("logo", "image/png", PNG).await.status(), 201);
    let json = [("content-type", "application/json")];
    let png = [("content-type", "image/png")];
    for (scope, is_admin) in [(ADMIN, true), (MEMBER, false), (READER, false)] {
        let version = format!("\"{}\"", config.version().await);
        let seen = [("content-type", "application/json"), ("if-match", version.as_str())];
        for (action, headers, body, admins, status) in [
            ((Method::GET, "/v1/config"), &[][..], Bytes::new(), false, 200),
            ((Method::POST, "/v1/config/emails/welcome/preview"), &json, "{}".into(), false, 200),
            ((Method::GET, "/v1/config/assets"), &[], Bytes::new(), false, 200),
            ((Method::GET, "/v1/config/assets/logo"), &[], Bytes::new(), false, 200),
            ((Method::PUT, "/v1/config"), &seen, "{}".into(), true, 200),
            ((Method::PATCH, "/v1/config"), &json, "{}".into(), true, 200),
            ((Method::GET, "/v1/config/members"), &[], Bytes::new(), true, 200),
            ((Method::DELETE, "/v1/config/members/nobody"), &[], Bytes::new(), true, 404),
            ((Method::PUT, "/v1/config/assets/other"), &png, PNG.into(), true, 201),
            ((Method::DELETE, "/v1/config/assets/other"), &[], Bytes::new(), true, 204),
            ((Method::GET, "/v1/config/export"), &[], Bytes::new(), true, 200),
        ] {
            let reply = config.send(("somebody", scope), action.clone(), headers, body).await;
            let expected = if admins && !is_admin { 403 } else { status };
            assert_eq!(reply.status(), expected, "{scope} {action:?} {reply:?}");
        }
    }
}

#[tokio::test]
async fn branding_needs_its_feature_and_counts_with_it_alone() {
    let config = Config::make("config-branding", Tier::Starter).await;
    let refused = config.put(Some("\"0\""), &named("Acme")).await;
    assert_eq!((refused.status().as_u16(), code_of(&refused)), (403, "feature_off".to_owned()));
    assert_eq!(
        json_of(&refused)["detail"],
        "custom branding is not part of this workspace's starter plan; its operator can switch it on"
    );
    let draft = json!({ "subject": "Hi {{recipient_name}}" });
    let preview = (Method::POST, "/v1/config/emails/welcome/preview");
    assert_eq!(code_of(&config.json(preview.clone(), None, &draft).await), "feature_off");
    assert_eq!(code_of(&config.put_image("logo", "image/png", PNG).await), "feature_off");
    // What is no branding is free to be changed.
    let allow = json!({ "tools": { "confirm_deletes": "allow" } });
    assert_eq!(config.put(Some("\"0\""), &allow).await.status(), 200);

    config.switch(Feature::CustomBranding, true).await;
    assert_eq!(config.put_image("logo", "image/png", PNG).await.status(), 201);
    let own = json!({ "branding": {
        "company_name": "Acme & Co",
        "logo": "logo",
        "emails": { "welcome": { "text": "<b>{{recipient_name}}</b> at {{company_name}}" } },
    } });
    let put = config.put(Some("\"1\""), &own).await;
    assert_eq!(put.status(), 200, "{put:?}");
    let shown = json_of(&config.json(preview.clone(), None, &draft).await);
    assert_eq!(shown["subject"], "Hi Ada Lovelace");
    assert_eq!(shown["text"], "<b>Ada Lovelace</b> at Acme & Co\n\n-- \nSent with Insula");
    let html = shown["html"].as_str().unwrap();
    assert!(html.contains("&lt;b&gt;Ada Lovelace&lt;/b&gt; at Acme &amp; Co<br>"), "{html}");
    let kept = json_of(&config.json(preview.clone(), None, &json!({})).await);
    assert_eq!(kept["subject"], "Welcome to Acme & Co");
    let wrong = config.json(preview.clone(), None, &json!({ "text": "{{password}}", "html": "x" })).await;
    let errors = json_of(&wrong)["errors"].clone();
    assert_eq!((wrong.status().as_u16(), errors.as_array().unwrap().len()), (400, 2), "{errors}");
    assert_eq!(errors[0]["path"], "branding.emails.welcome.text");
    let unknown = config.json((Method::POST, "/v1/config/emails/farewell/preview"), None, &json!({})).await;
    assert_eq!(unknown.status(), 404);

    // It stays set and counts no more; what is not changed is not refused, and neither is its end.
    config.switch(Feature::CustomBranding, false).await;
    let off = json_of(&config.get("/v1/config").await);
    assert_eq!(off["settings"]["branding"]["company_name"], "Acme & Co");
    assert_eq!(
        (&off["branding"]["company_name"], &off["branding"]["logo"]),
        (&json!("Insula"), &Value::Null)
    );
    let default = json_of(&config.json(preview, None, &json!({})).await);
    assert_eq!(default["subject"], "Welcome to Insula");
    assert_eq!(config.patch(&json!({ "tools": { "confirm_deletes": "ask" } })).await.status(), 200);
    assert_eq!(code_of(&config.patch(&named("Other")).await), "feature_off");
    assert_eq!(config.patch(&json!({ "branding": null })).await.status(), 200);
}

#[tokio::test]
async fn two_tenants_have_two_configurations() {
    let (one, other) = (
        Config::make("config-one", Tier::Professional).await,
        Config::make("config-two", Tier::Professional).await,
    );
    assert_eq!(one.put_image("logo", "image/png", PNG).await.status(), 201);
    let set = json!({ "branding": { "company_name": "One", "logo": "logo" } });
    assert_eq!(one.put(Some("\"0\""), &set).await.status(), 200);
    assert_eq!(other.version().await, 0);
    let (foreign, never) =
        (other.get("/v1/config/assets/logo").await, other.get("/v1/config/assets/never").await);
    assert_eq!((foreign.status().as_u16(), foreign.body()), (404, never.body()));
    let refused = json_of(&other.put(Some("\"0\""), &set).await);
    assert_eq!(refused["errors"][0]["reason"], "there is no asset logo; put it first");
    // A token of one is nothing at the other's address.
    let url = other.stack.host_url(&other.own.slug).replace("/mcp", "/v1/config");
    let crossing = Request::get("/").header("authorization", one.bearer("root", ADMIN));
    let crossing = other.stack.send(&url, crossing.body(Full::new(Bytes::new())).unwrap()).await;
    assert_eq!(crossing.status(), 401);
    assert_eq!(json_of(&one.get("/v1/config").await)["branding"]["logo"], "logo");
}

#[tokio::test]
async fn a_tool_does_what_the_settings_say() {
    let config = Config::make("config-tools", Tier::Starter).await;
    let note = json!({ "title": "t", "text": "x" });
    let made = config.json((Method::POST, "/v1/collections/notes/items"), None, &note).await;
    let id = json_of(&made)["id"].as_str().unwrap().to_owned();
    let delete = tool_call("items_delete", json!({ "collection": "notes", "id": id })).to_string();
    let headers = [("content-type", "application/json")];
    for (word, expected) in [("ask", "forbidden"), ("allow", "ok")] {
        let set = json!({ "tools": { "confirm_deletes": word } });
        assert_eq!(config.patch(&set).await.status(), 200);
        let reply = config.send(("root", ADMIN), (Method::POST, "/mcp"), &headers, delete.clone()).await;
        let said =
            if json_of(&reply)["result"]["isError"] == false { "ok".to_owned() } else { code_of(&reply) };
        assert_eq!(said, expected, "{reply:?}");
    }
}

#[tokio::test]
async fn a_repeated_change_under_one_key_is_one_version() {
    let config = Config::make("config-idem", Tier::Professional).await;
    let path = (Method::PATCH, "/v1/config");
    for (key, name, status, version) in [
        ("one", "A", 200, json!(1)),
        ("one", "A", 200, json!(1)),
        ("one", "B", 422, Value::Null),
        ("two", "B", 200, json!(2)),
    ] {
        let headers = [("content-type", "application/merge-patch+json"), ("idempotency-key", key)];
        let reply = config.send(("root", ADMIN), path.clone(), &headers, named(name).to_string()).await;
        assert_eq!(
            (reply.status().as_u16(), &json_of(&reply)["version"]),
            (status, &version),
            "{key} {name}"
        );
    }
}
