//! A KMS key of a tenant's own: what is wrapped under it, for whom it works, and the way back.

use aws_sdk_kms::primitives::Blob;
use insula_tenancy::{Plan, Tier, operator::Rewrapped};
use serde_json::json;

use crate::{
    ask::{Own, credentials, kms, on_stack, operate, verdict},
    harness::{Stack, json_of, stack, tool_call},
    hook::Hook,
    seals::key_rows,
    secrets::{note, put},
};

const DENIED: &str = "AccessDeniedException";

async fn own_key(stack: &'static Stack, own: &Own) -> String {
    let id = own.id.clone();
    on_stack(stack, async move { stack.local.keeper.make_own_key(&id).await }).await.unwrap()
}

async fn name(stack: &'static Stack, own: &Own, arn: Option<&str>) {
    let (id, arn) = (own.id.clone(), arn.map(str::to_owned));
    let change = move |plan: Plan| Plan { own_kms_key: arn.clone(), ..plan };
    operate(stack, |operator| async move { operator.change_plan(&id, change).await }).await.unwrap();
}

async fn rewrap(stack: &'static Stack, own: &Own, arn: Option<&str>) -> u64 {
    let (id, arn) = (own.id.clone(), arn.map(str::to_owned));
    let run = async move { stack.local.keeper.rewrap_keys_under(&id, arn.as_deref()).await };
    let Rewrapped { wrapped, met } = on_stack(stack, run).await.unwrap();
    assert_eq!(met, 0);
    wrapped
}

async fn retire(stack: &'static Stack, own: &Own, arn: &str) -> String {
    let (id, arn) = (own.id.clone(), arn.to_owned());
    match on_stack(stack, async move { stack.local.keeper.retire_own_key(&id, &arn).await }).await {
        Ok(()) => "ok".to_owned(),
        Err(problem) => problem.code().to_owned(),
    }
}

/// The KMS keys of the tenant's data keys, the oldest first, and the first of these wrapped.
async fn wrapped_under(stack: &Stack, own: &Own) -> (Vec<String>, Blob) {
    let rows = key_rows(stack, own).await;
    let first = rows[0]["wrapped"].as_b().unwrap().clone();
    (rows.iter().map(|row| row["kms_key"].as_s().unwrap().clone()).collect(), first)
}

#[tokio::test]
async fn what_a_tenants_own_key_wraps_opens_for_that_tenant_and_the_way_back_is_open() {
    let stack = stack();
    let own = Own::make(stack, "own-key", Tier::Business).await;
    let hook = Hook::start("200 OK").await;
    let of_all = stack.local.stack.keys.first().unwrap().arn.clone();
    assert_eq!(put(stack, &own, "slack_webhook", &hook.url()).await, 201);
    assert_eq!(wrapped_under(stack, &own).await.0, std::slice::from_ref(&of_all));

    let arn = own_key(stack, &own).await;
    name(stack, &own, Some(&arn)).await;
    assert_eq!((rewrap(stack, &own, Some(&arn)).await, rewrap(stack, &own, Some(&arn)).await), (1, 0));
    let id = own.id.clone();
    operate(stack, |operator| async move { operator.rotate_data_key(&id).await }).await.unwrap();
    assert_eq!(put(stack, &own, "later", "x").await, 201);
    assert_eq!(wrapped_under(stack, &own).await.0, [arn.clone(), arn.clone()]);
    // The function that opens it has not met the key before.
    let note = note(stack, &own).await;
    let shared = own.post(stack, &[], &tool_call("notes_share", json!({ "id": note }))).await;
    assert_eq!((json_of(&shared)["result"]["isError"] == false, hook.got().len()), (true, 1), "{shared:?}");

    assert_eq!(retire(stack, &own, &arn).await, "conflict", "it is in use");
    name(stack, &own, None).await;
    assert_eq!((rewrap(stack, &own, None).await, rewrap(stack, &own, None).await), (2, 0));
    assert_eq!(wrapped_under(stack, &own).await.0, [of_all.clone(), of_all]);
    assert_eq!(retire(stack, &own, &arn).await, "ok");
    let id = own.id.to_string();
    let tenant = kms(stack, credentials(stack, "TenantRole", &[("tenant", &id)]));
    let new = tenant.generate_data_key().key_id(&arn).encryption_context("tenant", &id);
    assert_ne!(verdict(new.number_of_bytes(32).send().await), "ok", "its end is near");
}

#[tokio::test]
async fn a_tenants_own_key_works_for_nobody_else() {
    let stack = stack();
    let own = Own::make(stack, "own-key-wall", Tier::Business).await;
    let other = Own::make(stack, "own-key-other", Tier::Business).await;
    for tenant in [&own, &other] {
        assert_eq!(put(stack, tenant, "a", "x").await, 201);
    }
    let arn = own_key(stack, &own).await;
    let role = |role: &str, tenant: Option<&str>| {
        let tags: Vec<_> = tenant.into_iter().map(|id| ("tenant", id)).collect();
        kms(stack, credentials(stack, role, &tags))
    };
    let ids = (own.id.to_string(), other.id.to_string());
    for (client, context, expected) in [
        (role("TenantRole", Some(&ids.0)), &ids.0, "ok"),
        // Another tenant's session, with its own context and with this one's; this one's with another context.
        (role("TenantRole", Some(&ids.1)), &ids.1, DENIED),
        (role("TenantRole", Some(&ids.1)), &ids.0, DENIED),
        (role("TenantRole", Some(&ids.0)), &ids.1, DENIED),
        (role("McpRole", None), &ids.0, DENIED),
        (role("OperatorRole", None), &ids.0, DENIED),
        (role("KeeperRole", None), &ids.0, DENIED),
    ] {
        let new = client.generate_data_key().key_id(&arn).encryption_context("tenant", context);
        assert_eq!(verdict(new.number_of_bytes(32).send().await), expected, "{context}");
    }
    // The keeper can bring a tenant's data key under this key, if the key is that tenant's.
    let of_all = &stack.local.stack.keys.first().unwrap().arn;
    for (tenant, expected) in [(&own, "ok"), (&other, DENIED)] {
        let id = tenant.id.to_string();
        let anew = role("KeeperRole", None).re_encrypt();
        let anew = anew.ciphertext_blob(wrapped_under(stack, tenant).await.1).source_key_id(of_all);
        let anew = anew.source_encryption_context("tenant", &id).destination_key_id(&arn);
        assert_eq!(verdict(anew.destination_encryption_context("tenant", &id).send().await), expected);
    }
}

#[tokio::test]
async fn the_keeper_alone_makes_keys_and_only_with_a_tenants_tag() {
    let stack = stack();
    let own = Own::make(stack, "own-key-make", Tier::Business).await;
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Principal": { "AWS": "arn:aws:iam::000000000000:root" } }] })
    .to_string();
    let id = own.id.to_string();
    for (role, tags, expected) in [
        ("KeeperRole", vec![("tenant", id.as_str())], "ok"),
        ("KeeperRole", vec![("tenant", "acme")], DENIED),
        ("KeeperRole", vec![("tenant", id.as_str()), ("more", "x")], DENIED),
        ("KeeperRole", vec![], DENIED),
        ("OperatorRole", vec![("tenant", id.as_str())], DENIED),
        ("TenantRole", vec![("tenant", id.as_str())], DENIED),
    ] {
        let session: &[(&str, &str)] =
            if role == "TenantRole" { &[("tenant", "00000000000000000000000000")] } else { &[] };
        let mut make = kms(stack, credentials(stack, role, session)).create_key().policy(&policy);
        for (key, value) in &tags {
            make = make
                .tags(aws_sdk_kms::types::Tag::builder().tag_key(*key).tag_value(*value).build().unwrap());
        }
        assert_eq!(verdict(make.send().await), expected, "{role} {tags:?}");
    }
}
