//! Who may do what within a tenant: the one table of actions and the least role that each asks for.

use insula_tenancy::Role;

/// Every tool and every action of an endpoint, in alphabetical order. One that is not here ends its function in init.
const ACCESS: &[(&str, Role)] = &[
    ("assets_delete", Role::Admin),
    ("assets_get", Role::ReadOnly),
    ("assets_list", Role::ReadOnly),
    ("assets_put", Role::Admin),
    ("audit_search", Role::Admin),
    ("collections_list", Role::ReadOnly),
    ("collections_read", Role::ReadOnly),
    ("config_export", Role::Admin),
    ("config_patch", Role::Admin),
    ("config_preview", Role::ReadOnly),
    ("config_read", Role::ReadOnly),
    ("config_replace", Role::Admin),
    ("domains_claim", Role::Admin),
    ("domains_list", Role::Admin),
    ("domains_release", Role::Admin),
    ("domains_verify", Role::Admin),
    ("fetch", Role::ReadOnly),
    ("get_profile", Role::ReadOnly),
    ("items_batch_get", Role::ReadOnly),
    ("items_batch_write", Role::Member),
    ("items_create", Role::Member),
    ("items_delete", Role::Member),
    ("items_get", Role::ReadOnly),
    ("items_list", Role::ReadOnly),
    ("items_patch", Role::Member),
    ("items_replace", Role::Member),
    ("items_transaction", Role::Member),
    ("members_list", Role::Admin),
    ("members_remove", Role::Admin),
    ("notes_create", Role::Member),
    ("notes_delete", Role::Member),
    ("notes_get", Role::ReadOnly),
    ("notes_list", Role::ReadOnly),
    ("notes_share", Role::Member),
    ("search", Role::ReadOnly),
    ("secrets_delete", Role::Admin),
    ("secrets_list", Role::Admin),
    ("secrets_put", Role::Admin),
    ("secrets_reseal", Role::Admin),
    ("usage_read", Role::ReadOnly),
    ("usage_show", Role::ReadOnly),
];

/// Tools that look at what the tenant may use and has used, and so answer when nothing is left.
const UNCHARGED: [&str; 1] = ["usage_show"];

/// Whether a tool is recorded and not charged. It only reads.
#[must_use]
pub fn is_uncharged(tool: &str) -> bool {
    UNCHARGED.contains(&tool)
}

/// The least role that may do this; `None` for an action that is not in the table, which nobody may do.
#[must_use]
pub fn role_of(action: &str) -> Option<Role> {
    ACCESS.iter().find(|(known, _)| *known == action).map(|(_, role)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_in_the_table_once_and_one_that_is_not_is_nobodys() {
        assert!(ACCESS.is_sorted_by(|(one, _), (next, _)| one < next));
        assert!(ACCESS.iter().all(|(action, role)| role_of(action) == Some(*role)));
        assert_eq!((role_of(""), role_of("usage")), (None, None));
    }
}
