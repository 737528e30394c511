//! The wall of IAM, met with the real SDK: what a tenant's session may do, and what it may not do beside it.

mod hosts;
mod index;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeValue, ConditionCheck, Delete, Get, KeysAndAttributes, Put, PutRequest, TransactGetItem,
        TransactWriteItem, Update, WriteRequest,
    },
};
use aws_sdk_sts::types::Tag;
use insula_local::Edge;
use insula_tenancy::Tier;
use serde_json::json;

use crate::{
    ask::{Own, credentials, data_table, kms, post_with, store, sts, tenant_id, tenant_store, text, verdict},
    harness::{Stack, json_of, options, root, stack, start, tool_call},
};

const DENIED: &str = "AccessDeniedException";
const OK: &str = "ok";

type Row = HashMap<String, AttributeValue>;

/// A note's key in a partition of the tests' own, so that no listing of a tenant shows it.
fn row(tenant: &str, sk: &str) -> Row {
    HashMap::from([
        ("pk".to_owned(), text(&format!("TENANT#{tenant}#ITEM#walls"))),
        ("sk".to_owned(), text(sk)),
    ])
}

fn key_of(pk: String, sk: &str) -> Row {
    HashMap::from([("pk".to_owned(), text(&pk)), ("sk".to_owned(), text(sk))])
}

async fn get(client: &Client, table: &str, key: Row) -> String {
    verdict(client.get_item().table_name(table).set_key(Some(key)).send().await)
}

async fn put(client: &Client, table: &str, key: Row) -> String {
    verdict(client.put_item().table_name(table).set_item(Some(key)).send().await)
}

async fn query(client: &Client, table: &str, pk: &AttributeValue) -> String {
    let query = client.query().table_name(table).key_condition_expression("pk = :pk");
    verdict(query.expression_attribute_values(":pk", pk.clone()).send().await)
}

async fn transact(client: &Client, items: Vec<TransactWriteItem>) -> String {
    verdict(client.transact_write_items().set_transact_items(Some(items)).send().await)
}

#[tokio::test]
async fn a_session_reaches_its_own_items_and_no_others_by_any_operation() {
    let stack = stack();
    let (own, foreign) = (tenant_id(stack, "acme").await, tenant_id(stack, "globex").await);
    let (client, table) = (tenant_store(stack, own.as_str()), data_table(stack));
    for (tenant, expected) in [(own.as_str(), OK), (foreign.as_str(), DENIED)] {
        let key = row(tenant, "one");
        assert_eq!(put(&client, table, key.clone()).await, expected, "PutItem");
        assert_eq!(get(&client, table, key.clone()).await, expected, "GetItem");
        assert_eq!(query(&client, table, &key["pk"]).await, expected, "Query");
        let update = client.update_item().table_name(table).set_key(Some(key.clone()));
        let update = update.update_expression("SET a = :a").expression_attribute_values(":a", text("a"));
        assert_eq!(verdict(update.send().await), expected, "UpdateItem");
        let delete = client.delete_item().table_name(table).set_key(Some(key.clone()));
        assert_eq!(verdict(delete.send().await), expected, "DeleteItem");
    }
}

#[tokio::test]
async fn a_batch_with_one_foreign_key_is_denied_as_a_whole() {
    let stack = stack();
    let (own, foreign) = (tenant_id(stack, "acme").await, tenant_id(stack, "globex").await);
    let (client, table) = (tenant_store(stack, own.as_str()), data_table(stack));
    for (second, expected) in [(own.as_str(), OK), (foreign.as_str(), DENIED)] {
        let keys = KeysAndAttributes::builder().keys(row(own.as_str(), "a")).keys(row(second, "b")).build();
        let reply = client.batch_get_item().request_items(table, keys.unwrap()).send().await;
        assert_eq!(verdict(reply), expected, "BatchGetItem");
        let gets = [row(own.as_str(), "a"), row(second, "b")].map(|key| {
            let get = Get::builder().table_name(table).set_key(Some(key)).build().unwrap();
            TransactGetItem::builder().get(get).build()
        });
        let reply = client.transact_get_items().set_transact_items(Some(gets.to_vec())).send().await;
        assert_eq!(verdict(reply), expected, "TransactGetItems");
    }
    // No tool writes in batches that are no transaction, so the role may not even write its own so.
    let put = PutRequest::builder().set_item(Some(row(own.as_str(), "c"))).build().unwrap();
    let batch = client
        .batch_write_item()
        .request_items(table, vec![WriteRequest::builder().put_request(put).build()]);
    assert_eq!(verdict(batch.send().await), DENIED, "BatchWriteItem");
}

#[tokio::test]
async fn a_transaction_with_a_foreign_item_at_any_position_is_denied() {
    let stack = stack();
    let (own, foreign) = (tenant_id(stack, "acme").await, tenant_id(stack, "globex").await);
    let (client, table) = (tenant_store(stack, own.as_str()), data_table(stack));
    let item = TransactWriteItem::builder;
    let kinds: [(&str, &dyn Fn(Row) -> TransactWriteItem); 4] = [
        ("Put", &|key| {
            item().put(Put::builder().table_name(table).set_item(Some(key)).build().unwrap()).build()
        }),
        ("Delete", &|key| {
            item().delete(Delete::builder().table_name(table).set_key(Some(key)).build().unwrap()).build()
        }),
        ("Update", &|key| {
            let update =
                Update::builder().table_name(table).set_key(Some(key)).update_expression("SET a = :a");
            item().update(update.expression_attribute_values(":a", text("a")).build().unwrap()).build()
        }),
        ("ConditionCheck", &|key| {
            let check = ConditionCheck::builder().table_name(table).set_key(Some(key));
            item()
                .condition_check(check.condition_expression("attribute_not_exists(nothing)").build().unwrap())
                .build()
        }),
    ];
    for (name, kind) in kinds {
        for at in 0..3 {
            let transaction = |tenant: &str| {
                let tenant_at = |position| if position == at { tenant } else { own.as_str() };
                (0..3).map(|n| kind(row(tenant_at(n), &format!("{name}{at}{n}")))).collect()
            };
            assert_eq!(transact(&client, transaction(own.as_str())).await, OK, "{name} at {at}");
            assert_eq!(transact(&client, transaction(foreign.as_str())).await, DENIED, "{name} at {at}");
        }
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test proves that what goes around leading keys is denied")]
async fn what_has_no_leading_keys_is_denied() {
    let stack = stack();
    let own = tenant_id(stack, "acme").await;
    let (client, table) = (tenant_store(stack, own.as_str()), data_table(stack));
    let pk = format!("TENANT#{own}#ITEM#walls");
    assert_eq!(query(&client, table, &text(&pk)).await, OK);
    assert_eq!(verdict(client.scan().table_name(table).send().await), DENIED);
    let statement = format!("SELECT * FROM \"{table}\" WHERE pk = '{pk}'");
    assert_eq!(verdict(client.execute_statement().statement(statement).send().await), DENIED);
}

#[tokio::test]
async fn a_tenant_can_neither_write_its_plan_nor_remove_its_audit_records() {
    let stack = stack();
    let own = Own::make(stack, "walls-plan", Tier::Free).await;
    let (client, table, id) = (tenant_store(stack, &own.id.to_string()), data_table(stack), &own.id);
    let plan = key_of(format!("TENANT#{id}#PLAN"), "PLAN");
    assert_eq!(get(&client, table, plan.clone()).await, OK);
    assert_eq!(put(&client, table, plan.clone()).await, DENIED);
    let update =
        client.update_item().table_name(table).set_key(Some(plan)).update_expression("SET calls_month = :n");
    let update = update.expression_attribute_values(":n", AttributeValue::N("1".to_owned()));
    assert_eq!(verdict(update.send().await), DENIED);

    let record = key_of(format!("TENANT#{id}#AUDIT#2026-01-01"), "walls");
    assert_eq!(put(&client, table, record.clone()).await, OK);
    assert_eq!(get(&client, table, record.clone()).await, DENIED);
    let delete = client.delete_item().table_name(table).set_key(Some(record));
    assert_eq!(verdict(delete.send().await), DENIED);

    let meter = key_of(format!("TENANT#{id}#METER"), "walls");
    assert_eq!(get(&client, table, meter.clone()).await, OK);
    assert_eq!(put(&client, table, meter.clone()).await, DENIED);
    assert_eq!(verdict(client.delete_item().table_name(table).set_key(Some(meter)).send().await), DENIED);
}

#[tokio::test]
async fn a_session_without_one_whole_tag_has_no_right_to_data() {
    let stack = stack();
    let own = tenant_id(stack, "acme").await;
    let table = data_table(stack);
    let key = row(own.as_str(), "one");
    let prefix = &own.as_str()[..25];
    let with_star = format!("{prefix}*");
    let with_mark = format!("{prefix}?");
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[("tenant", own.as_str())], OK),
        (&[], DENIED),
        (&[("tenant", "*")], DENIED),
        (&[("tenant", "")], DENIED),
        (&[("tenant", &with_star)], DENIED),
        (&[("tenant", &with_mark)], DENIED),
        (&[("Tenants", own.as_str())], DENIED),
    ];
    for (tags, expected) in cases {
        let client = store(stack, credentials(stack, "TenantRole", tags));
        assert_eq!(get(&client, table, key.clone()).await, expected, "{tags:?}");
    }
}

#[tokio::test]
async fn no_function_has_a_right_to_data_of_its_own() {
    let stack = stack();
    let own = tenant_id(stack, "acme").await;
    let table = data_table(stack);
    let key = row(own.as_str(), "one");
    let tagged: [(&str, &str); 1] = [("tenant", own.as_str())];
    for role in ["McpRole", "AuthorizeRole", "DiscoverRole", "VendRole", "OperatorRole"] {
        // A tag changes nothing for a role that has no right that the tag could narrow.
        for tags in [&tagged[..], &[]] {
            let client = store(stack, credentials(stack, role, tags));
            assert_eq!(get(&client, table, key.clone()).await, DENIED, "{role} reads");
            assert_eq!(put(&client, table, key.clone()).await, DENIED, "{role} writes");
        }
    }
    assert_eq!(get(&tenant_store(stack, own.as_str()), table, key).await, OK);
}

async fn assume(
    stack: &Stack,
    (as_role, role): (&str, &str),
    tags: &[(&str, &str)],
    transitive: Option<&str>,
) -> String {
    let roles = &stack.local.stack.roles;
    let arn = &roles.iter().find(|known| known.name == role).unwrap().arn;
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build().unwrap());
    let tags: Vec<_> = tags.collect();
    let reply = sts(stack, credentials(stack, as_role, &[]))
        .assume_role()
        .role_arn(arn)
        .role_session_name("walls")
        .duration_seconds(900)
        .set_tags((!tags.is_empty()).then_some(tags))
        .set_transitive_tag_keys(transitive.map(|key| vec![key.to_owned()]))
        .send()
        .await;
    verdict(reply)
}

#[tokio::test]
async fn only_vend_becomes_a_tenant_and_only_with_the_one_tag() {
    let stack = stack();
    let own = tenant_id(stack, "acme").await;
    let good: [(&str, &str); 1] = [("tenant", own.as_str())];
    assert_eq!(assume(stack, ("VendRole", "TenantRole"), &good, None).await, OK);
    for role in ["McpRole", "AuthorizeRole", "DiscoverRole", "MeterRole", "OperatorRole", "TenantRole"] {
        assert_eq!(assume(stack, (role, "TenantRole"), &good, None).await, "AccessDenied", "{role}");
    }
    let bad: [&[(&str, &str)]; 5] = [
        &[],
        &[("tenant", "")],
        &[("tenant", "*")],
        &[("tenant", own.as_str()), ("more", "x")],
        &[("other", own.as_str())],
    ];
    for tags in bad {
        assert_ne!(assume(stack, ("VendRole", "TenantRole"), tags, None).await, OK, "{tags:?}");
    }
    assert_eq!(
        assume(stack, ("VendRole", "TenantRole"), &good, Some("tenant")).await,
        "AccessDenied",
        "a tag that travels on"
    );
}

#[tokio::test]
async fn a_data_key_is_given_for_exactly_the_own_tenant_as_context() {
    let stack = stack();
    let (own, foreign) = (tenant_id(stack, "acme").await, tenant_id(stack, "globex").await);
    let key = &stack.local.stack.keys.first().unwrap().arn;
    let kms = kms(stack, credentials(stack, "TenantRole", &[("tenant", own.as_str())]));
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[("tenant", own.as_str())], OK),
        (&[("tenant", foreign.as_str())], DENIED),
        (&[], DENIED),
        (&[("tenant", own.as_str()), ("more", "x")], DENIED),
        (&[("Tenant", own.as_str())], DENIED),
    ];
    for (context, expected) in cases {
        let mut ask = kms.generate_data_key().key_id(key).key_spec(aws_sdk_kms::types::DataKeySpec::Aes256);
        for (name, value) in context {
            ask = ask.encryption_context(*name, *value);
        }
        assert_eq!(verdict(ask.send().await), expected, "{context:?}");
    }
}

/// A copy of the template in which one file is another.
fn altered(name: &str, alter: impl Fn(&str) -> String) -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(copy.join("infra")).unwrap();
    std::fs::copy(root().join("template.yaml"), copy.join("template.yaml")).unwrap();
    for entry in std::fs::read_dir(root().join("infra")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            std::fs::copy(&path, copy.join("infra").join(path.file_name().unwrap())).unwrap();
        }
    }
    let roles = copy.join("infra/roles.yaml");
    let before = std::fs::read_to_string(&roles).unwrap();
    let after = alter(&before);
    assert_ne!(before, after, "the template has what {name} takes out");
    std::fs::write(roles, after).unwrap();
    copy
}

/// A stack of this test's own, of another template.
fn start_altered(name: &str, alter: impl Fn(&str) -> String) -> &'static Stack {
    let mut options = options(Edge::Rest);
    options.root = altered(name, alter);
    Box::leak(Box::new(start(options)))
}

/// The roles without the leading keys of a tenant.
fn without_leading_keys(roles: &str) -> String {
    let lines: Vec<&str> = roles.lines().collect();
    let tenants =
        |line: &&str| line.contains("ForAllValues:StringLike: { dynamodb:LeadingKeys: [\"TENANT#${");
    let mut kept = String::new();
    let mut at = 0;
    while at < lines.len() {
        if lines.get(at + 1).is_some_and(tenants) {
            at += 3;
            continue;
        }
        kept.push_str(lines[at]);
        kept.push('\n');
        at += 1;
    }
    kept
}

#[tokio::test]
async fn with_the_leading_keys_taken_out_the_attack_succeeds() {
    let mut verdicts = Vec::new();
    for stack in [stack(), start_altered("without-leading-keys", without_leading_keys)] {
        let made = stack.call("globex", "notes_create", json!({ "title": "secret", "text": "t" })).await;
        let note = made["structuredContent"]["id"].as_str().unwrap().to_owned();
        let (own, foreign) = (tenant_id(stack, "acme").await, tenant_id(stack, "globex").await);
        let client = tenant_store(stack, own.as_str());
        let key = key_of(format!("TENANT#{foreign}#ITEM#notes"), &note);
        verdicts.push(get(&client, data_table(stack), key).await);
    }
    assert_eq!(verdicts, [DENIED, OK]);
}

/// The roles without one statement.
fn without_statement(roles: &str, sid: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in roles.lines() {
        if line.trim_start().starts_with("- Sid: ") {
            inside = line.trim_start() == format!("- Sid: {sid}");
        } else if inside && !line.starts_with("                ") {
            inside = false;
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[tokio::test]
async fn a_note_is_made_only_with_every_statement_of_the_tenants_role() {
    for sid in
        [None, Some("Items"), Some("News"), Some("Meter"), Some("Idempotency"), Some("Audit"), Some("Plan")]
    {
        let stack = match sid {
            None => stack(),
            Some(sid) => start_altered(&format!("without-{}", sid.to_lowercase()), |roles| {
                without_statement(roles, sid)
            }),
        };
        let url = stack.host_url("acme");
        let call = tool_call("notes_create", json!({ "title": "t", "text": "t" }));
        let token = stack.token("acme", &url);
        let reply = post_with(stack, &url, &token, &[("idempotency-key", "walls")], &call).await;
        let made = json_of(&reply)["result"]["structuredContent"]["version"] == 1;
        assert_eq!(made, sid.is_none(), "{sid:?}: {reply:?}");
    }
}
