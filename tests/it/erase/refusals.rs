//! Who is not erased, what an erased tenant's tokens and names lead to, and that nothing leads back.

use http::Response;
use insula_tenancy::{AuditEnd, Erasure, Moving, Placement, Plan, Status, Tier, operator::NewTenant};
use serde_json::json;

use super::{Full, change_plan, erase, erased, erasure, rows_with, suspend};
use crate::{
    ask::{Own, code_of, header, invoke, on_stack, operate},
    harness::{Stack, stack, tool_call},
};

#[tokio::test]
async fn who_is_served_moved_mistyped_or_known_in_part_is_not_erased_at_all() {
    let full = Full::make("erase-refused").await;
    let (stack, id) = (full.stack, full.own.id.to_string());
    let removed = || erasure(AuditEnd::Removed);
    let unknown = Erasure { collections: Vec::new(), ..removed() };
    let refusal = async |confirmed: &str, erasure: Erasure| {
        let before = full.rows().await;
        let refused = erase(stack, &full.own.id, (confirmed, erasure)).await.unwrap_err();
        assert_eq!(full.rows().await, before, "{refused}");
        refused.code()
    };
    assert_eq!(refusal(&id, removed()).await, "conflict", "it is active");
    suspend(stack, &full.own.id).await;
    let other = Own::make(stack, "erase-refused-other", Tier::Free).await.id.to_string();
    for wrong in ["", "erase-refused", &other, &id[1..]] {
        assert_eq!(refusal(wrong, removed()).await, "invalid", "{wrong}");
    }
    assert_eq!(refusal(&id, unknown).await, "conflict", "not every collection is named");
    full.plan(|plan| Plan { moving: Some(Moving::Copying), ..plan }).await;
    assert_eq!(refusal(&id, removed()).await, "conflict", "it is being moved");
    full.plan(|plan| Plan { moving: None, ..plan }).await;
    let tenant = full.own.id.clone();
    let unbegun = on_stack(stack, async move { stack.local.eraser.erase_tenant(&tenant).await }).await;
    assert_eq!(unbegun.unwrap_err().code(), "conflict", "the plan does not say so");
    assert!(erase(stack, &full.own.id, (&id, removed())).await.is_ok(), "the same, with nothing wrong");
}

#[tokio::test]
async fn nothing_leads_back_from_an_erasure() {
    let stack = stack();
    let own = Own::make(stack, "erase-back", Tier::Business).await;
    suspend(stack, &own.id).await;
    let (id, confirmed) = (own.id.clone(), own.id.to_string());
    let begin =
        async move { stack.local.eraser.begin_erasure(&id, &confirmed, &erasure(AuditEnd::Kept)).await };
    assert_eq!(on_stack(stack, begin).await.unwrap().status, Status::Erasing);
    let same = (own.id.to_string(), erasure(AuditEnd::Kept));
    for turn in ["erasing", "erased"] {
        let changes: [fn(Plan) -> Plan; 3] = [
            |plan| Plan { status: Status::Active, ..plan },
            |plan| Plan { tier: Tier::Free, ..plan },
            |plan| Plan { moving: Some(Moving::Copying), ..plan },
        ];
        for change in changes {
            assert_eq!(change_plan(stack, &own.id, change).await.unwrap_err().code(), "conflict", "{turn}");
        }
        let (id, names) = (own.id.clone(), same.1.collections.clone());
        let moving = async move { stack.local.mover.move_tenant(&id, Placement::Dedicated, &names).await };
        assert_eq!(on_stack(stack, moving).await.unwrap_err().code(), "conflict", "{turn}");
        let (id, names) = (own.id.clone(), same.1.collections.clone());
        let counting = async move { stack.local.accountant.recount(&id, &names).await };
        assert_eq!(on_stack(stack, counting).await.unwrap_err().code(), "conflict", "{turn}");
        let other = erase(stack, &own.id, (&same.0, erasure(AuditEnd::Removed))).await;
        assert_eq!(other.unwrap_err().code(), "conflict", "{turn}: it was said to keep the trail");
        erase(stack, &own.id, (&same.0, same.1.clone())).await.unwrap();
    }
    assert!(rows_with(stack, &[&own.id.to_string()]).await.iter().all(|(table, _)| !table.contains(&same.0)));
}

#[tokio::test]
async fn names_that_were_an_erased_tenants_are_never_anothers() {
    let stack = stack();
    let own = Own::make(stack, "erase-names", Tier::Free).await;
    erased(stack, &own, AuditEnd::Removed).await;
    let issuer = stack.local.idp.issuer().to_owned();
    for (slug, claim, made) in [
        ("erase-names", "org-erase-names-new", false),
        ("erase-names-new", "org-erase-names", false),
        ("erase-names-new", "org-erase-names-new", true),
    ] {
        let new = NewTenant {
            slug: slug.parse().unwrap(),
            tier: Tier::Free,
            issuers: vec![issuer.clone()],
            claims: vec![(issuer.clone(), claim.to_owned())],
            origins: Vec::new(),
        };
        let done = operate(stack, |operator| async move { operator.create_tenant(&new).await }).await;
        assert_eq!(
            done.map(drop).map_err(|problem| problem.code()),
            if made { Ok(()) } else { Err("conflict") }
        );
    }
}

/// What is said to a token that is good for this host, whatever its name is.
async fn said(stack: &Stack, slug: &str, reply: Response<bytes::Bytes>) -> String {
    let challenge = header(reply.headers(), "www-authenticate");
    let body = String::from_utf8_lossy(reply.body()).into_owned();
    format!("{} {challenge} {body}", reply.status())
        .replace(&stack.host_url(slug).replace("/mcp", ""), "HOST")
}

#[tokio::test]
async fn an_erased_tenants_token_is_refused_as_that_of_a_tenant_that_never_was() {
    let stack = stack();
    // Nobody has called either, so no instance remembers anything of them.
    let own = Own::make(stack, "erase-token", Tier::Free).await;
    let suspended = Own::make(stack, "erase-token-suspended", Tier::Free).await;
    suspend(stack, &suspended.id).await;
    erased(stack, &own, AuditEnd::Removed).await;
    let never = Own { slug: "erase-token-never".to_owned(), id: own.id.clone() };
    let call = tool_call("notes_list", json!({}));
    let mut replies = Vec::new();
    for own in [&own, &never] {
        replies.push(said(stack, &own.slug, own.post(stack, &[], &call).await).await);
    }
    assert_eq!(replies[0], replies[1]);
    assert!(replies[0].starts_with("401 "), "{replies:?}");
    assert_eq!(code_of(&suspended.post(stack, &[], &call).await), "suspended", "which is not the same");
}

#[tokio::test]
async fn no_credentials_are_given_for_a_tenant_whose_erasure_has_begun() {
    let full = Full::make("erase-vend").await;
    let (stack, own) = (full.stack, &full.own);
    let vended = async |domain: String| {
        let mint = insula_local::idp::Mint {
            tenant: Some(format!("org-{}", own.slug)),
            sub: Some("tester".to_owned()),
            resource: format!("http://{domain}:{}/mcp", stack.local.port),
            ..Default::default()
        };
        let bearer = stack.local.idp.mint(&mint).unwrap().access_token;
        let request = json!({ "bearer": bearer, "domain_name": domain, "api_id": null, "path_tenant": null });
        invoke(stack, "vend", &request).await.unwrap()["granted"].is_object()
    };
    let hosts = || [format!("{}.localhost", own.slug), full.domain(), "localhost".to_owned()];
    for host in hosts() {
        assert!(vended(host.clone()).await, "{host}");
    }
    suspend(stack, &own.id).await;
    let (id, confirmed) = (own.id.clone(), own.id.to_string());
    let begin =
        async move { stack.local.eraser.begin_erasure(&id, &confirmed, &erasure(AuditEnd::Removed)).await };
    on_stack(stack, begin).await.unwrap();
    for turn in ["erasing", "erased"] {
        for host in hosts() {
            assert!(!vended(host.clone()).await, "{turn} {host}");
        }
        erase(stack, &own.id, (&own.id.to_string(), erasure(AuditEnd::Removed))).await.unwrap();
    }
}
