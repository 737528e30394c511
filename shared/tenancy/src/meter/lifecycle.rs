//! What became of tenants, by the changes of their plans: events for whoever bills, mails or builds for them.

use serde_json::{Value, json};

use super::Change;
use crate::{Plan, Status};

/// An event: its kind and what it says.
pub(super) type Event = (&'static str, Value);

/// What the changes of plans say, in their order. A batch that comes once more says it once more, with the same epochs.
pub(super) fn events(changes: &[Change]) -> Vec<Event> {
    // Beside the row there are the counters' copies of it.
    let plans = changes.iter().filter(|change| change.family == "PLAN" && change.sort_key == "PLAN");
    plans.flat_map(of).collect()
}

fn of(change: &Change) -> Vec<Event> {
    let [before, after] = [&change.before, &change.after].map(|row| row.as_ref().and_then(Plan::read));
    let Some(after) = after else { return Vec::new() };
    let detail = |more: Value| {
        let mut detail = json!({ "tenant": change.tenant.as_str(), "epoch": after.epoch });
        if let (Some(detail), Value::Object(more)) = (detail.as_object_mut(), more) {
            detail.extend(more);
        }
        detail
    };
    let Some(before) = before else {
        return vec![("Tenant Created", detail(json!({ "tier": after.tier.word() })))];
    };
    let mut events = Vec::new();
    if before.status != after.status {
        let kind = match after.status {
            Status::Active => "Tenant Resumed",
            Status::Suspended => "Tenant Suspended",
            Status::Erasing => "Tenant Erasing",
            Status::Erased => "Tenant Erased",
        };
        events.push((kind, detail(json!({}))));
    }
    if after.status.is_gone() {
        return events;
    }
    if before.placement != after.placement {
        let (from, to) = (before.placement.word(), after.placement.word());
        events.push(("Tenant Moved", detail(json!({ "from": from, "to": to }))));
    }
    let of = |plan: &Plan| (plan.tier, plan.limits, plan.overrides.clone(), plan.collection_items.clone());
    if of(&before) != of(&after) {
        let tiers = json!({ "tier": after.tier.word(), "tier_before": before.tier.word() });
        events.push(("Tenant Plan Changed", detail(tiers)));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuditEnd, Erasure, Limits, Moving, Placement, TenantId, Tier};

    fn kinds(before: Option<&Plan>, after: Option<&Plan>) -> Vec<&'static str> {
        let tenant = TenantId::spell([7; 16]);
        let change = Change {
            sequence: "1".to_owned(),
            family: "PLAN".to_owned(),
            sort_key: "PLAN".to_owned(),
            before: before.map(|plan| plan.item(&tenant, 0)),
            after: after.map(|plan| plan.item(&tenant, 0)),
            tenant,
            side: Placement::Pooled,
            expired: false,
        };
        let other = Change { family: "ITEM#notes".to_owned(), ..change.clone() };
        events(&[other, change]).into_iter().map(|(kind, _)| kind).collect()
    }

    #[test]
    fn each_change_of_a_plan_is_told_as_what_it_is() {
        let plan = Plan::of(Tier::Free, 1);
        let none: [&str; 0] = [];
        assert_eq!(kinds(None, Some(&plan)), ["Tenant Created"]);
        assert_eq!(kinds(Some(&plan), Some(&Plan { epoch: 2, ..plan.clone() })), none);
        let suspended = Plan { status: Status::Suspended, ..plan.clone() };
        assert_eq!(kinds(Some(&plan), Some(&suspended)), ["Tenant Suspended"]);
        assert_eq!(kinds(Some(&suspended), Some(&plan)), ["Tenant Resumed"]);
        let moving = Plan { moving: Some(Moving::Copying), ..plan.clone() };
        assert_eq!(kinds(Some(&plan), Some(&moving)), none);
        let moved = Plan { placement: Placement::Dedicated, ..plan.clone() };
        assert_eq!(kinds(Some(&moving), Some(&moved)), ["Tenant Moved"]);
        let business = Plan { tier: Tier::Business, limits: Limits::of(Tier::Business), ..plan.clone() };
        assert_eq!(kinds(Some(&plan), Some(&business)), ["Tenant Plan Changed"]);
        assert_eq!(kinds(Some(&plan), None), none);
        let erasure = Some(Erasure { audit: AuditEnd::Removed, collections: Vec::new() });
        let erasing = Plan { status: Status::Erasing, erasure: erasure.clone(), ..moved.clone() };
        assert_eq!(kinds(Some(&moved), Some(&erasing)), ["Tenant Erasing"]);
        let erased = Plan { status: Status::Erased, erasure, ..Plan::of(Tier::Business, 9) };
        assert_eq!(kinds(Some(&erasing), Some(&erased)), ["Tenant Erased"], "and no move of nothing");
    }
}
