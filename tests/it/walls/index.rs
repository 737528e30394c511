//! Who may merge a tenant's index of searches, and what such a session reaches beside it, which is nothing.

use aws_sdk_dynamodb::{
    Client,
    types::{PutRequest, WriteRequest},
};
use insula_tenancy::{CollectionName, Placement, Tier};

use super::{DENIED, OK, Row, assume, get, key_of, put, query, start_altered, without_leading_keys};
use crate::{
    ask::{Own, credentials, data_table, kms, on_stack, store, tenant_id, tenant_store, text, verdict},
    harness::{Stack, stack},
};

/// Partitions of the index: of each kind one.
const PARTS: [&str; 4] = ["NEWS", "MANIFEST", "ROWS#0", "ROWS#f"];

fn index_store(stack: &Stack, tenant: &str) -> Client {
    store(stack, credentials(stack, "IndexRole", &[("tenant", tenant)]))
}

fn part(tenant: &str, part: &str) -> Row {
    key_of(format!("TENANT#{tenant}#SEARCH#{part}"), "walls")
}

async fn update(client: &Client, table: &str, key: Row) -> String {
    let update = client.update_item().table_name(table).set_key(Some(key)).update_expression("SET a = :a");
    verdict(update.expression_attribute_values(":a", text("a")).send().await)
}

async fn delete(client: &Client, table: &str, key: Row) -> String {
    verdict(client.delete_item().table_name(table).set_key(Some(key)).send().await)
}

async fn batch_write(client: &Client, table: &str, key: Row) -> String {
    let put = PutRequest::builder().set_item(Some(key)).build().unwrap();
    let writes = vec![WriteRequest::builder().put_request(put).build()];
    verdict(client.batch_write_item().request_items(table, writes).send().await)
}

/// What reading comes to: a row, and a partition.
async fn reads(client: &Client, table: &str, key: Row) -> [String; 2] {
    let partition = key["pk"].clone();
    [get(client, table, key).await, query(client, table, &partition).await]
}

/// What writing without a transaction comes to: PutItem, then UpdateItem, DeleteItem and a batch.
async fn writes(client: &Client, table: &str, key: Row) -> [String; 4] {
    [
        put(client, table, key.clone()).await,
        update(client, table, key.clone()).await,
        delete(client, table, key.clone()).await,
        batch_write(client, table, key).await,
    ]
}

#[tokio::test]
async fn a_merge_reaches_the_index_of_its_own_tenant_alone() {
    let stack = stack();
    let (own, foreign) = (tenant_id(stack, "acme").await, tenant_id(stack, "globex").await);
    let (client, table) = (index_store(stack, &own), data_table(stack));
    for (tenant, expected) in [(&own, OK), (&foreign, DENIED)] {
        for name in PARTS {
            let key = part(tenant, name);
            assert_eq!(reads(&client, table, key.clone()).await, [expected, expected], "{name} of {tenant}");
            // No merge updates a row.
            let written = writes(&client, table, key.clone()).await;
            assert_eq!(written, [expected, DENIED, expected, expected], "{name} of {tenant}");
            delete(&client, table, key).await;
        }
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test proves that what goes around leading keys is denied")]
async fn a_merge_reaches_nothing_of_its_tenant_but_the_index_and_the_plan() {
    let stack = stack();
    let own = Own::make(stack, "walls-index", Tier::Free).await;
    let (id, table) = (own.id.to_string(), data_table(stack));
    let client = index_store(stack, &id);
    let day = insula_tenancy::Clock::System.now().day();
    for family in [
        "ITEM#notes",
        "ITEM#walls",
        "SETTINGS",
        "SECRET",
        "MEMBER",
        "ASSET",
        "DOMAIN",
        "METER",
        "IDEM#0",
        &format!("AUDIT#{day}"),
        &format!("HEAD#{day}"),
        &format!("ROLLUP#{}", &day[..7]),
        "SEARCH",
        "SEARCHER#NEWS",
    ] {
        let key = key_of(format!("TENANT#{id}#{family}"), "walls");
        assert_eq!(reads(&client, table, key.clone()).await, [DENIED, DENIED], "{family}");
        assert_eq!(writes(&client, table, key).await, [DENIED; 4], "{family}");
    }
    let plan = key_of(format!("TENANT#{id}#PLAN"), "PLAN");
    assert_eq!(reads(&client, table, plan.clone()).await, [OK, DENIED]);
    assert_eq!(writes(&client, table, plan).await, [DENIED; 4]);
    assert_eq!(reads(&client, table, part(&id, "NEWS")).await, [OK, OK]);
    let key = key_of(format!("TENANT#{id}#KEY"), "1");
    let keys = &stack.local.stack.tables.iter().find(|table| table.name.ends_with("-keys")).unwrap().name;
    assert_eq!(get(&tenant_store(stack, &id), keys, key.clone()).await, OK);
    assert_eq!(get(&client, keys, key).await, DENIED);
    assert_eq!(verdict(client.scan().table_name(table).send().await), DENIED);
    let statement = format!("SELECT * FROM \"{table}\" WHERE pk = 'TENANT#{id}#SEARCH#NEWS'");
    assert_eq!(verdict(client.execute_statement().statement(statement).send().await), DENIED);
    let arn = &stack.local.stack.keys.first().unwrap().arn;
    for (role, expected) in [("TenantRole", OK), ("IndexRole", DENIED)] {
        let kms = kms(stack, credentials(stack, role, &[("tenant", &id)]));
        let ask = kms.generate_data_key().key_id(arn).key_spec(aws_sdk_kms::types::DataKeySpec::Aes256);
        assert_eq!(verdict(ask.encryption_context("tenant", &id).send().await), expected, "{role}");
    }
}

#[tokio::test]
async fn a_call_reads_the_index_and_adds_news_and_neither_changes_nor_removes_any_of_it() {
    let stack = stack();
    let (own, foreign) = (tenant_id(stack, "acme").await, tenant_id(stack, "globex").await);
    let (client, table) = (tenant_store(stack, &own), data_table(stack));
    for name in PARTS {
        assert_eq!(reads(&client, table, part(&own, name)).await, [OK, OK], "{name}");
        assert_eq!(reads(&client, table, part(&foreign, name)).await, [DENIED, DENIED], "{name}");
        let adds = if name == "NEWS" { OK } else { DENIED };
        let written = writes(&client, table, part(&own, name)).await;
        assert_eq!(written, [adds, DENIED, DENIED, DENIED], "{name}");
        assert_eq!(writes(&client, table, part(&foreign, name)).await, [DENIED; 4], "{name}");
    }
    assert_eq!(delete(&index_store(stack, &own), table, part(&own, "NEWS")).await, OK);
}

#[tokio::test]
async fn the_function_of_the_stream_reaches_no_index_by_its_own_role() {
    let stack = stack();
    let (own, table) = (tenant_id(stack, "acme").await, data_table(stack));
    for tags in [&[][..], &[("tenant", own.as_str())]] {
        let meter = store(stack, credentials(stack, "MeterRole", tags));
        for name in PARTS {
            assert_eq!(reads(&meter, table, part(&own, name)).await, [DENIED, DENIED], "{name}");
            assert_eq!(writes(&meter, table, part(&own, name)).await, [DENIED; 4], "{name}");
        }
    }
    assert_eq!(reads(&index_store(stack, &own), table, part(&own, "NEWS")).await, [OK, OK]);
}

#[tokio::test]
async fn a_merge_in_a_tenants_own_table_is_bound_to_it_as_in_that_of_all() {
    let stack = stack();
    let own = Own::make(stack, "walls-index-own", Tier::Business).await;
    let (id, foreign) = (own.id.to_string(), tenant_id(stack, "globex").await);
    let names: Vec<CollectionName> = vec!["notes".parse().unwrap()];
    let moved = own.id.clone();
    let moving = async move { stack.local.mover.move_tenant(&moved, Placement::Dedicated, &names).await };
    on_stack(stack, moving).await.unwrap();
    let table = format!("{}-{id}", data_table(stack));
    for (session, tenant, expected) in
        [(&id, &id, OK), (&id, &foreign, DENIED), (&foreign, &id, DENIED), (&foreign, &foreign, DENIED)]
    {
        let client = index_store(stack, session);
        let key = part(tenant, "ROWS#0");
        assert_eq!(reads(&client, &table, key.clone()).await, [expected, expected], "{session} {tenant}");
        assert_eq!(batch_write(&client, &table, key.clone()).await, expected, "{session} {tenant}");
        assert_eq!(delete(&client, &table, key).await, expected, "{session} {tenant}");
    }
}

#[tokio::test]
async fn only_meter_merges_and_only_with_the_one_tag() {
    let stack = stack();
    let own = tenant_id(stack, "acme").await;
    let good: [(&str, &str); 1] = [("tenant", own.as_str())];
    assert_eq!(assume(stack, ("MeterRole", "IndexRole"), &good, None).await, OK);
    for role in ["McpRole", "ItemsRole", "VendRole", "DomainsRole", "OperatorRole", "TenantRole", "IndexRole"]
    {
        assert_eq!(assume(stack, (role, "IndexRole"), &good, None).await, "AccessDenied", "{role}");
    }
    let prefix = format!("{}*", &own[..25]);
    let bad: [&[(&str, &str)]; 6] = [
        &[],
        &[("tenant", "")],
        &[("tenant", "*")],
        &[("tenant", own.as_str()), ("more", "x")],
        &[("other", own.as_str())],
        &[("Tenants", own.as_str())],
    ];
    for tags in bad {
        assert_ne!(assume(stack, ("MeterRole", "IndexRole"), tags, None).await, OK, "{tags:?}");
    }
    let travels = assume(stack, ("MeterRole", "IndexRole"), &good, Some("tenant")).await;
    assert_eq!(travels, "AccessDenied", "a tag that travels on");
    // Neither becomes what the other may.
    assert_eq!(assume(stack, ("MeterRole", "TenantRole"), &good, None).await, "AccessDenied");
    assert_eq!(assume(stack, ("VendRole", "TenantRole"), &good, None).await, OK);
    // A session whose tag is no whole id reaches no index.
    let table = data_table(stack);
    for (tags, expected) in
        [(&good[..], OK), (&[], DENIED), (&[("tenant", "*")], DENIED), (&[("tenant", &prefix)], DENIED)]
    {
        let client = store(stack, credentials(stack, "IndexRole", tags));
        assert_eq!(get(&client, table, part(&own, "NEWS")).await, expected, "{tags:?}");
    }
}

#[tokio::test]
async fn with_the_leading_keys_taken_out_a_merge_reaches_another_tenants_index() {
    let mut verdicts = Vec::new();
    for stack in [stack(), start_altered("without-leading-keys-of-indexes", without_leading_keys)] {
        let (own, foreign) = (tenant_id(stack, "acme").await, tenant_id(stack, "globex").await);
        verdicts.push(get(&index_store(stack, &own), data_table(stack), part(&foreign, "NEWS")).await);
    }
    assert_eq!(verdicts, [DENIED, OK]);
}
