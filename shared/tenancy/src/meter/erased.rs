//! Trails of tenants that are erased: what an erasure does to them is no tampering, and nothing is counted of them any more.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::Client;

use super::{Change, rollups::read_rows};
use crate::{AuditEnd, Plan, Problem, audit::without_caller, key::Family, tenant::TenantId};

const DOING: &str = "looking who is erased";

/// The changes that something follows. What is made of a trail must not come back after it was removed with its tenant, so
/// the plans are read before anything is written.
pub(super) async fn left(
    client: &Client,
    table: &str,
    mut changes: Vec<Change>,
) -> Result<Vec<Change>, Problem> {
    let tenants: BTreeSet<TenantId> =
        changes.iter().filter(|change| is_of_trail(change)).map(|change| change.tenant.clone()).collect();
    let keys = tenants.iter().map(|tenant| Plan::key(tenant, 0)).collect();
    let plans = read_rows(client, table, keys, DOING).await?;
    let end = |tenant: TenantId| {
        let place = (Family::Plan.of(&tenant), "PLAN".to_owned());
        Some((tenant, Plan::read(plans.get(&place)?)?.erasure?.audit))
    };
    let ends: BTreeMap<TenantId, AuditEnd> = tenants.into_iter().filter_map(end).collect();
    changes.retain(|change| is_followed(change, ends.get(&change.tenant).copied()));
    Ok(changes)
}

fn is_of_trail(change: &Change) -> bool {
    change.family.starts_with("AUDIT#")
}

fn is_followed(change: &Change, end: Option<AuditEnd>) -> bool {
    match (end, &change.before, &change.after) {
        (Some(AuditEnd::Removed), ..) => !is_of_trail(change),
        (Some(AuditEnd::Kept), Some(before), Some(after)) if is_of_trail(change) => {
            without_caller(before) != *after
        }
        (Some(AuditEnd::Kept) | None, ..) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Placement, aws::text, canonical::Item};

    #[test]
    fn an_erasure_is_passed_over_and_whatever_else_is_done_to_a_trail_is_not() {
        let item = |names: &[&str]| -> Option<Item> {
            Some(names.iter().map(|name| ((*name).to_owned(), text(name))).collect())
        };
        let whole = item(&["hash", "issuer", "subject", "client", "who_salt"]);
        let (nameless, saltless) = (item(&["hash"]), item(&["hash", "issuer", "subject", "client"]));
        for (family, before, after, followed) in [
            // Whose tenant stays; is erased with its trail; is erased, and the trail is kept.
            ("AUDIT#2026-11-23", None, whole.clone(), [true, false, true]),
            ("AUDIT#2026-11-23", whole.clone(), None, [true, false, true]),
            ("AUDIT#2026-11-23", whole.clone(), nameless.clone(), [true, false, false]),
            ("AUDIT#2026-11-23", whole.clone(), saltless, [true, false, true]),
            ("AUDIT#2026-11-23", nameless, whole.clone(), [true, false, true]),
            ("PLAN", whole.clone(), whole, [true, true, true]),
        ] {
            let change = Change {
                sequence: "1".to_owned(),
                tenant: TenantId::spell([7; 16]),
                side: Placement::Pooled,
                family: family.to_owned(),
                sort_key: "s".to_owned(),
                before,
                after,
                expired: false,
            };
            let ends = [None, Some(AuditEnd::Removed), Some(AuditEnd::Kept)];
            assert_eq!(ends.map(|end| is_followed(&change, end)), followed, "{change:?}");
        }
    }
}
