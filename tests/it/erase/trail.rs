//! What the stream's function makes of an erasure, and a trail that is kept.

use insula_tenancy::{AuditEnd, Clock, TenantId, Verified, Wrong};
use serde_json::{Value, json};

use super::{Full, erase, erased, erasure, moved, own_key, places, rows_with};
use crate::{
    ask::{Own, invoke, on_stack, text},
    audit::chains::{Row, put, remove, rows},
    harness::Stack,
    metrics::{added, followed},
};

/// Events of a tenant, in their order: kinds, and the class of an alarm.
async fn told(stack: &'static Stack, own: &Own) -> Vec<String> {
    followed(stack).await;
    let mut told = Vec::new();
    for event in stack.local.aws.events() {
        let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
        if detail["tenant"] == own.id.to_string().as_str() {
            let kind = [&event["DetailType"], &detail["class"]].map(|text| text.as_str().unwrap_or_default());
            told.push(kind.join(" ").trim_end().to_owned());
        }
    }
    told
}

async fn verified(stack: &'static Stack, id: &TenantId) -> Result<Verified, Wrong> {
    let id = id.clone();
    let ask = async move { stack.local.auditor.verify_audit(&id, Clock::System.now()).await };
    on_stack(stack, ask).await.unwrap().map_err(|found| found.wrong)
}

#[tokio::test]
async fn an_erasure_is_told_and_is_no_tampering() {
    let full = Full::make("erase-told").await;
    let (stack, own) = (full.stack, &full.own);
    erased(stack, own, AuditEnd::Removed).await;
    let mut told = told(stack, own).await;
    told.retain(|kind| kind != "Tenant Plan Changed");
    assert_eq!(told, ["Tenant Created", "Tenant Suspended", "Tenant Erasing", "Tenant Erased"]);
}

#[tokio::test]
async fn what_the_stream_brings_late_brings_no_row_back() {
    let (full, twin) = (Full::make("erase-late").await, Full::make("erase-late-twin").await);
    let stack = full.stack;
    let mut late = Vec::new();
    for own in [&full.own, &twin.own] {
        let records: Vec<Value> = rows(stack, own).await.iter().map(|row| added(stack, row)).collect();
        assert!(records.len() > 5, "{records:?}");
        // How far chains go is forgotten, so that every record is a new one to the function.
        let heads = rows_with(stack, &[&format!("TENANT#{}#HEAD#", own.id)]).await;
        for (_, head) in &heads {
            let key = |name: &str| (name.to_owned(), text(head[name]["S"].as_str().unwrap()));
            remove(stack, &Row::from([key("pk"), key("sk")])).await;
        }
        late.push((records, heads.len()));
    }
    erased(stack, &full.own, AuditEnd::Removed).await;
    followed(stack).await;
    let before = full.rows().await;
    for (records, _) in &late {
        let reply = invoke(stack, "meter", &json!({ "Records": records })).await.unwrap();
        assert_eq!(reply, json!({ "batchItemFailures": [] }));
    }
    assert_eq!(full.rows().await, before);
    let heads = rows_with(stack, &[&format!("TENANT#{}#HEAD#", twin.own.id)]).await;
    assert_eq!((heads.len(), heads.is_empty()), (late[1].1, false), "the twin's heads are there again");
}

#[tokio::test]
async fn a_trail_that_is_kept_is_verified_and_says_nobody() {
    for (slug, dedicated) in [("erase-kept", false), ("erase-kept-own", true)] {
        let full = Full::make(slug).await;
        let (stack, own) = (full.stack, &full.own);
        if dedicated {
            own_key(stack, own).await;
            moved(stack, own).await;
            full.call(&[], &crate::harness::tool_call("notes_list", json!({}))).await;
        }
        let before = verified(stack, &own.id).await.unwrap();
        let done = erased(stack, own, AuditEnd::Kept).await;
        assert_eq!(done.records, before.records, "{slug}");
        followed(stack).await;
        let after = verified(stack, &own.id).await;
        assert_eq!(after, Ok(Verified { beyond_heads: 0, ..before }), "{slug}");
        let left = full.rows().await;
        let families = places(own, &left);
        let count = |start: &str| families.iter().filter(|place| place.starts_with(start)).count();
        assert_eq!(count("data TENANT#ID#AUDIT#"), usize::try_from(before.records).unwrap());
        let [heads, rollups] = ["data TENANT#ID#HEAD#", "data TENANT#ID#ROLLUP#"].map(count);
        assert!(heads > 0 && rollups > 0, "{families:?}");
        assert_eq!(
            count("data"),
            usize::try_from(before.records).unwrap() + heads + rollups + 1,
            "{families:?}"
        );
        let texts: String = left.iter().map(|(_, row)| row.to_string()).collect();
        assert!(
            !texts.contains("person") && !texts.contains("who_salt") && texts.contains("who_hash"),
            "{texts}"
        );
        let again = (own.id.to_string(), erasure(AuditEnd::Kept));
        erase(stack, &own.id, (&again.0, again.1)).await.unwrap();
        assert_eq!(full.rows().await, left, "{slug}");
        let events = told(stack, own).await;
        assert!(events.iter().all(|kind| !kind.starts_with("Audit Trail Broken")), "{events:?}");
        // From here on it is a trail as any other's.
        let mut altered = rows(stack, own).await.remove(0);
        altered.insert("action".to_owned(), text("other"));
        put(stack, altered).await;
        assert_eq!(verified(stack, &own.id).await, Err(Wrong::Altered));
        assert_eq!(told(stack, own).await.last().unwrap(), "Audit Trail Broken altered");
        remove(stack, &rows(stack, own).await[1]).await;
        assert_eq!(told(stack, own).await.last().unwrap(), "Audit Trail Broken removed");
    }
}
