//! A tenant that is erased: the whole store is read for what must not be there, and for what must.

mod interrupted;
mod refusals;
mod trail;

use bytes::Bytes;
use http::{Method, Response};
use insula_local::idp::Mint;
use insula_tenancy::{
    AuditEnd, CollectionName, Erasure, Placement, Plan, Problem, Spread, Status, TenantId, Tier,
    operator::Erased,
};
use serde_json::{Value, json};

use crate::{
    ask::{Own, ask, credentials, data_table, kms, on_stack, operate, store, text, verdict},
    config::PNG,
    dns::zone,
    harness::{CUSTOMERS, Stack, json_of, stack, tool_call},
    metrics::followed,
    seals::{key_row_key, keys_table},
};

const SCOPE: &str = "workspace:admin notes:read notes:write items:read items:write search:read";

fn erasure(audit: AuditEnd) -> Erasure {
    Erasure { audit, collections: vec!["notes".parse::<CollectionName>().unwrap()] }
}

/// Every row of the store that says one of these words, with its table, in the order of their keys.
async fn rows_with(stack: &Stack, words: &[&str]) -> Vec<(String, Value)> {
    let mut tables: Vec<_> = stack.local.stack.tables.iter().map(|table| table.name.clone()).collect();
    tables.extend(words.iter().map(|word| format!("{}-{word}", data_table(stack))));
    let mut found = Vec::new();
    for table in tables {
        let mut start = Value::Null;
        loop {
            let mut scan = json!({ "TableName": table, "ConsistentRead": true });
            if !start.is_null() {
                scan["ExclusiveStartKey"] = start;
            }
            let reply = stack.local.aws.store().serve("Scan", scan).await;
            if reply.status != 200 {
                assert!(table.len() > data_table(stack).len(), "no table of a tenant's own: {}", reply.body);
                break;
            }
            let rows = reply.body["Items"].as_array().unwrap().iter();
            let says = |row: &&Value| words.iter().any(|word| row.to_string().contains(word));
            found.extend(rows.filter(says).map(|row| (table.clone(), row.clone())));
            start = reply.body["LastEvaluatedKey"].clone();
            if start.is_null() {
                break;
            }
        }
    }
    found.sort_by_key(|(table, row)| (table.clone(), row["pk"].to_string(), row["sk"].to_string()));
    found
}

/// A table's end, partition and sort key, with the tenant's id and slug as `ID` and `SLUG`.
fn places(own: &Own, rows: &[(String, Value)]) -> Vec<String> {
    let place = |(table, row): &(String, Value)| {
        let attribute = |name: &str| row[name]["S"].as_str().unwrap_or_default();
        // `insula-<environment>-` and what the table is for.
        let table = table.splitn(3, '-').last().unwrap();
        let place = format!("{table} {} {}", attribute("pk"), attribute("sk"));
        place.trim_end().replace(&own.id.to_string(), "ID").replace(&own.slug, "SLUG")
    };
    rows.iter().map(place).collect()
}

/// A tenant with something in every family of rows, all of which says the tenant's slug or id.
struct Full {
    stack: &'static Stack,
    own: Own,
}

impl Full {
    async fn make(slug: &str) -> Self {
        let full = Self { stack: stack(), own: Own::make(stack(), slug, Tier::Business).await };
        full.plan(|plan| Plan { spread: Spread::over(2), ..plan }).await;
        full.fill().await;
        full
    }

    async fn fill(&self) {
        let slug = &self.own.slug;
        let note = json!({ "title": format!("{slug} title"), "text": format!("{slug} text") });
        for key in ["one", "two"] {
            let called =
                self.call(&[("idempotency-key", key)], &tool_call("notes_create", note.clone())).await;
            assert_eq!(json_of(&called)["result"]["isError"], false, "{called:?}");
        }
        let found = self.call(&[], &tool_call("search", json!({ "query": slug }))).await;
        assert_eq!(json_of(&found)["result"]["isError"], false, "{found:?}");
        let secret = json!({ "value": format!("{slug} secret") }).to_string();
        assert_eq!(self.rest(Method::PUT, "secrets/api_key", secret).await.status(), 201);
        let company = json!({ "branding": { "company_name": slug } }).to_string();
        assert_eq!(self.rest(Method::PATCH, "config", company).await.status(), 200);
        let image = [("content-type", "image/png")];
        let put = (Method::PUT, "/v1/config/assets/logo");
        assert_eq!(self.send(SCOPE, put, &image, PNG).await.status(), 201);
        let path = format!("config/domains/{}", self.domain());
        let claim = json_of(&self.rest(Method::PUT, &path, String::new()).await)["record"].take();
        zone().texts(claim["name"].as_str().unwrap(), &[claim["value"].as_str().unwrap()]);
        let verified = self.rest(Method::POST, &format!("{path}/verify"), String::new()).await;
        assert_eq!(json_of(&verified)["state"], "verified", "{verified:?}");
        let denied = (Method::GET, "/v1/collections/notes/items");
        assert_eq!(self.send("profile:read", denied, &[], "").await.status(), 403);
        followed(self.stack).await;
        followed(self.stack).await;
    }

    fn domain(&self) -> String {
        format!("{}.{CUSTOMERS}", self.own.slug)
    }

    async fn send(
        &self,
        scope: &str,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Bytes> {
        let resource = self.stack.host_url(&self.own.slug);
        let url = resource.replace("/mcp", path);
        let mint = Mint {
            tenant: Some(format!("org-{}", self.own.slug)),
            sub: Some(format!("{} person", self.own.slug)),
            scope: Some(scope.to_owned()),
            resource,
            ..Mint::default()
        };
        let bearer = format!("Bearer {}", self.stack.local.idp.mint(&mint).unwrap().access_token);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend(headers);
        ask(self.stack, method, &url, &all, body).await
    }

    async fn call(&self, headers: &[(&str, &str)], body: &Value) -> Response<Bytes> {
        self.send(SCOPE, (Method::POST, "/mcp"), headers, body.to_string()).await
    }

    async fn rest(&self, method: Method, path: &str, body: String) -> Response<Bytes> {
        self.send(SCOPE, (method, &format!("/v1/{path}")), &[], body).await
    }

    async fn plan(&self, change: impl Fn(Plan) -> Plan + Send + Sync + 'static) {
        change_plan(self.stack, &self.own.id, change).await.unwrap();
    }

    async fn rows(&self) -> Vec<(String, Value)> {
        rows_with(self.stack, &[&self.own.id.to_string(), &self.own.slug]).await
    }
}

async fn change_plan(
    stack: &'static Stack,
    id: &TenantId,
    change: impl Fn(Plan) -> Plan + Send + Sync + 'static,
) -> Result<Plan, Problem> {
    let id = id.clone();
    operate(stack, |operator| async move { operator.change_plan(&id, change).await }).await
}

async fn suspend(stack: &'static Stack, id: &TenantId) {
    change_plan(stack, id, |plan| Plan { status: Status::Suspended, ..plan }).await.unwrap();
}

/// What `insula tenant erase` does, with this id as the confirmation.
async fn erase(
    stack: &'static Stack,
    id: &TenantId,
    (confirmed, erasure): (&str, Erasure),
) -> Result<Erased, Problem> {
    let (id, confirmed) = (id.clone(), confirmed.to_owned());
    let run = async move {
        let eraser = &stack.local.eraser;
        eraser.begin_erasure(&id, &confirmed, &erasure).await?;
        eraser.erase_tenant(&id).await
    };
    on_stack(stack, run).await
}

async fn erased(stack: &'static Stack, own: &Own, audit: AuditEnd) -> Erased {
    suspend(stack, &own.id).await;
    erase(stack, &own.id, (&own.id.to_string(), erasure(audit))).await.unwrap()
}

async fn moved(stack: &'static Stack, own: &Own) {
    let (id, names) = (own.id.clone(), erasure(AuditEnd::Removed).collections);
    let run = async move { stack.local.mover.move_tenant(&id, Placement::Dedicated, &names).await };
    on_stack(stack, run).await.unwrap();
}

/// Makes a KMS key of the tenant's own, and names it in the plan.
async fn own_key(stack: &'static Stack, own: &Own) -> String {
    let id = own.id.clone();
    let arn = on_stack(stack, async move { stack.local.keeper.make_own_key(&id).await }).await.unwrap();
    let named = arn.clone();
    let change = move |plan: Plan| Plan { own_kms_key: Some(named.clone()), ..plan };
    change_plan(stack, &own.id, change).await.unwrap();
    arn
}

#[tokio::test]
async fn nothing_of_an_erased_tenant_is_left_but_tombstones_and_its_twin_keeps_every_row() {
    let (full, twin) = (Full::make("erase-full").await, Full::make("erase-twin").await);
    let (stack, own) = (full.stack, &full.own);
    let before = (full.rows().await, twin.rows().await);
    let families = |own: &Own, rows: &[(String, Value)]| {
        let mut families = places(own, rows);
        families.retain(|place| place.starts_with("data ") || place.starts_with("keys "));
        let family = |place: &String| place.split(' ').nth(1).unwrap().split('#').nth(2).unwrap().to_owned();
        families.iter().map(family).collect::<std::collections::BTreeSet<_>>()
    };
    // Everything is there that can be, or the test would prove less than it says.
    let all = "ASSET AUDIT DOMAIN HEAD IDEM ITEM KEY MEMBER METER PLAN ROLLUP SEARCH SECRET SETTINGS";
    for (own, rows) in [(own, &before.0), (&twin.own, &before.1)] {
        assert_eq!(families(own, rows).into_iter().collect::<Vec<_>>().join(" "), all);
    }

    let Erased { keys, rows, records } = erased(stack, own, AuditEnd::Removed).await;
    assert_eq!((keys, records), (1, 0));
    followed(stack).await;
    let left = full.rows().await;
    insta::assert_snapshot!(places(own, &left).join("\n").replace(stack.local.idp.issuer(), "ISSUER"), @"
    data TENANT#ID#PLAN PLAN
    registry claim/ISSUER org-SLUG
    registry host/SLUG.customers.test
    registry slug/SLUG
    registry tenant/ID
    ");
    assert_eq!(
        usize::try_from(rows).unwrap() + left.len() + 2,
        before.0.len(),
        "a key, and a copy of the plan"
    );
    let row = |start: &str| left.iter().find(|(_, row)| row["pk"]["S"].as_str().unwrap().starts_with(start));
    let mut tenant = row("tenant/").unwrap().1.clone();
    assert!(tenant["erased_s"]["N"].as_str().unwrap() >= tenant["made_s"]["N"].as_str().unwrap());
    for time in ["made_s", "erased_s"] {
        tenant.as_object_mut().unwrap().remove(time);
    }
    let pk = format!("tenant/{}", own.id);
    assert_eq!(tenant, json!({ "pk": { "S": pk }, "status": { "S": "erased" }, "epoch": { "N": "5" } }));
    assert_eq!(twin.rows().await, before.1);
    // To ask for it again is in order, and finds nothing.
    let again = erase(stack, &own.id, (&own.id.to_string(), erasure(AuditEnd::Removed))).await;
    assert_eq!(again.unwrap(), Erased::default());
    assert_eq!(full.rows().await, left);
}

#[tokio::test]
async fn a_table_and_a_kms_key_of_its_own_go_with_their_tenant() {
    let (full, twin) = (Full::make("erase-dedicated").await, Full::make("erase-dedicated-twin").await);
    let (stack, own) = (full.stack, &full.own);
    let (mut keys, mut before) = (Vec::new(), Vec::new());
    for each in [&full, &twin] {
        keys.push(own_key(stack, &each.own).await);
        moved(stack, &each.own).await;
        followed(stack).await;
        before = each.rows().await;
    }
    assert!(places(own, &full.rows().await).iter().any(|place| place.starts_with("data-ID ")));
    erased(stack, own, AuditEnd::Removed).await;
    followed(stack).await;
    let left = places(own, &full.rows().await);
    assert_eq!(
        left.iter().filter(|place| place.starts_with("data")).collect::<Vec<_>>(),
        ["data TENANT#ID#PLAN PLAN"]
    );
    assert_eq!(twin.rows().await, before);
    let table = |own: &Own| json!({ "TableName": format!("{}-{}", data_table(stack), own.id) });
    for (own, status) in [(own, 400), (&twin.own, 200)] {
        assert_eq!(stack.local.aws.store().serve("DescribeTable", table(own)).await.status, status);
    }
    for (each, arn, works) in [(own, &keys[0], false), (&twin.own, &keys[1], true)] {
        let id = each.id.to_string();
        let tenant = kms(stack, credentials(stack, "TenantRole", &[("tenant", &id)]));
        let new = tenant.generate_data_key().key_id(arn).encryption_context("tenant", &id);
        assert_eq!(verdict(new.number_of_bytes(32).send().await) == "ok", works, "{arn}");
    }
}

#[tokio::test]
async fn no_other_role_removes_a_data_key_and_the_eraser_reads_none() {
    let full = Full::make("erase-roles").await;
    let (stack, id) = (full.stack, full.own.id.to_string());
    let key = key_row_key(&full.own, 1);
    let client = |role: &str| {
        let tags: &[(&str, &str)] = if role == "TenantRole" { &[("tenant", &id)] } else { &[] };
        store(stack, credentials(stack, role, tags))
    };
    let roles = stack.local.stack.roles.iter().map(|role| role.name.as_str());
    let others: Vec<_> = roles.filter(|role| *role != "EraserRole").collect();
    assert!(
        others.contains(&"OperatorRole") && others.contains(&"TenantRole") && others.contains(&"MeterRole")
    );
    for role in others {
        let delete = client(role).delete_item().table_name(keys_table(stack)).set_key(Some(key.clone()));
        assert_eq!(verdict(delete.send().await), "AccessDeniedException", "{role}");
    }
    let eraser = client("EraserRole");
    let query = |table: &str, family: &str| {
        let query = eraser.query().table_name(table).key_condition_expression("pk = :pk");
        query.expression_attribute_values(":pk", text(&format!("TENANT#{id}#{family}")))
    };
    for (table, family) in
        [(keys_table(stack), "KEY"), (data_table(stack), "ITEM#notes"), (data_table(stack), "SECRET")]
    {
        let whole = query(table, family).send().await;
        assert_eq!(verdict(whole), "AccessDeniedException", "{family}");
        let more = query(table, family).projection_expression("pk, sk, document").send().await;
        assert_eq!(verdict(more), "AccessDeniedException", "{family}");
        let names = query(table, family).projection_expression("pk, sk").send().await.unwrap();
        assert!(!names.items().is_empty(), "{family}");
    }
    let delete = eraser.delete_item().table_name(keys_table(stack)).set_key(Some(key)).send().await;
    assert_eq!(verdict(delete), "ok");
}
