//! Who may write hosts into the registry, and whom the function that may believes.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use insula_local::idp::Mint;
use insula_tenancy::{Clock, Plan, Status, Tier};
use serde_json::{Value, json};

use super::{DENIED, OK, Row, put, start_altered};
use crate::{
    ask::{Own, credentials, invoke, operate, store, tenant_id, text, verdict},
    harness::{Stack, stack},
};

const ADMIN: &str = "workspace:admin notes:read";
const MEMBER: &str = "notes:read notes:write";

fn registry(stack: &Stack) -> &str {
    &stack.local.stack.tables.iter().find(|table| table.name.ends_with("-registry")).unwrap().name
}

fn key(pk: &str) -> Row {
    HashMap::from([("pk".to_owned(), text(pk))])
}

/// What each way to write a row of the registry comes to.
async fn writes(client: &Client, table: &str, pk: &str) -> [String; 3] {
    let update = client.update_item().table_name(table).set_key(Some(key(pk)));
    let update = update.update_expression("SET a = :a").expression_attribute_values(":a", text("a"));
    let delete = client.delete_item().table_name(table).set_key(Some(key(pk)));
    [put(client, table, key(pk)).await, verdict(update.send().await), verdict(delete.send().await)]
}

#[tokio::test]
async fn domains_puts_hosts_and_writes_no_other_row_of_the_registry() {
    let stack = stack();
    let (id, table) = (tenant_id(stack, "acme").await, registry(stack));
    let domains = store(stack, credentials(stack, "DomainsRole", &[]));
    assert_eq!(writes(&domains, table, "host/walls.customers.test").await, [OK, DENIED, DENIED]);
    let issuer = stack.local.idp.issuer();
    for pk in [
        &format!("tenant/{id}"),
        "slug/walls",
        &format!("issuer/{issuer}"),
        &format!("claim/{issuer} org-walls"),
        "hosts/walls.customers.test",
        "Host/walls.customers.test",
        "host",
    ] {
        assert_eq!(writes(&domains, table, pk).await, [DENIED; 3], "{pk}");
    }
    for role in ["ConfigRole", "McpRole", "VendRole", "AuthorizeRole", "DiscoverRole"] {
        let client = store(stack, credentials(stack, role, &[]));
        assert_eq!(writes(&client, table, "host/walls.customers.test").await, [DENIED; 3], "{role}");
    }
    // It reads what routes, as all do, and whose a host was is nothing of that.
    let read = domains.get_item().table_name(table).set_key(Some(key("host/walls.customers.test")));
    assert_eq!(verdict(read.clone().projection_expression("tenant").send().await), OK);
    let owner = read.clone().projection_expression("#owner").expression_attribute_names("#owner", "owner");
    assert_eq!(verdict(owner.send().await), DENIED);
    assert_eq!(verdict(read.send().await), DENIED);
}

#[tokio::test]
async fn with_the_hosts_leading_keys_taken_out_domains_writes_any_row() {
    let condition = "                Condition:\n                  ForAllValues:StringLike: { dynamodb:LeadingKeys: \
                     [\"host/*\"] }\n                  \"Null\": { dynamodb:LeadingKeys: \"false\" }\n";
    let stack = start_altered("without-host-keys", |roles| roles.replace(condition, ""));
    let domains = store(stack, credentials(stack, "DomainsRole", &[]));
    assert_eq!(put(&domains, registry(stack), key("slug/walls")).await, OK);
}

/// What `domains` answers to somebody of a tenant who asks it itself.
async fn asked(stack: &'static Stack, own: &Own, (scope, changes): (&str, Value)) -> Value {
    let mint = Mint {
        tenant: Some(format!("org-{}", own.slug)),
        sub: Some("root".to_owned()),
        scope: Some(scope.to_owned()),
        resource: stack.host_url(&own.slug),
        ..Mint::default()
    };
    let bearer = stack.local.idp.mint(&mint).unwrap().access_token;
    let host = format!("{}.localhost", own.slug);
    let who = json!({ "bearer": bearer, "domain_name": host, "api_id": null, "path_tenant": null });
    let verify = json!({ "verify": { "nonce": "n", "until_s": Clock::System.now().plus_s(5).seconds() } });
    let mut request = json!({ "who": who, "domain": "asked.customers.test", "deed": verify });
    for (name, value) in changes.as_object().unwrap() {
        let place = if request["who"].get(name).is_some() { &mut request["who"] } else { &mut request };
        place[name] = value.clone();
    }
    invoke(stack, "domains", &request).await.unwrap_or_else(|| "error".into())
}

#[tokio::test]
async fn domains_believes_its_asker_nothing_but_the_bearers_own_words() {
    let stack = stack();
    let own = Own::make(stack, "hosts-asked", Tier::Professional).await;
    let found = json!({ "granted": { "unproved": "no_record" } });
    assert_eq!(asked(stack, &own, (ADMIN, json!({}))).await, found);
    for (scope, changes, answer) in [
        (ADMIN, json!({ "deed": { "release": {} } }), json!({ "granted": "released" })),
        (MEMBER, json!({}), "refused".into()),
        (MEMBER, json!({ "deed": { "release": {} } }), "refused".into()),
        (ADMIN, json!({ "domain_name": "acme.localhost" }), "refused".into()),
        (ADMIN, json!({ "domain_name": "asked.customers.test" }), "refused".into()),
        (ADMIN, json!({ "bearer": "a.b.c" }), "refused".into()),
        (ADMIN, json!({ "tenant": "acme" }), "error".into()),
        (ADMIN, json!({ "domain": "acme.localhost" }), "error".into()),
        (ADMIN, json!({ "domain": "host/x" }), "error".into()),
        (ADMIN, json!({ "deed": "steal" }), "error".into()),
    ] {
        assert_eq!(asked(stack, &own, (scope, changes.clone())).await, answer, "{scope} {changes}");
    }
    let id = own.id.clone();
    operate(stack, |operator| async move {
        operator.change_plan(&id, |plan| Plan { status: Status::Suspended, ..plan }).await
    })
    .await
    .unwrap();
    assert_eq!(asked(stack, &own, (ADMIN, json!({}))).await, "suspended");
}
