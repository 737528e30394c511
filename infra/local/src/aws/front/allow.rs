//! Whether a call is allowed: by its role, its session and a KMS key's own policy.

use super::Door;
use crate::aws::{
    iam::{Decision, Policies, Query},
    need::{Malformed, Need},
    sessions::Session,
};
use crate::template::Mapping;

impl Door {
    /// Every need must be allowed by the role, by the session policy if there is one, and by a KMS key's own policy.
    pub(super) fn allow(&self, session: &Session, needs: Result<Vec<Need>, Malformed>) -> Result<(), String> {
        let needs = needs.map_err(|Malformed(why)| {
            tracing::warn!(why, "a call is not understood, so it is denied");
            self.deny(session, "?", &why);
            format!("the request is not understood: {why}")
        })?;
        let role = self.roles.get(&session.role_arn).ok_or("the role is gone")?;
        for Need { action, resource, mut context } in needs {
            context.one("aws:PrincipalArn", &*session.role_arn);
            for (key, value) in &session.tags {
                context.one(&format!("aws:PrincipalTag/{key}"), &**value);
            }
            let query = Query { action: &action, resource: &resource, principal: None, context: &context };
            let named = Query { principal: Some(&session.role_arn), ..query };
            let allows = |policies: &Policies| policies.decide(&query) == Decision::Allow;
            let admits = |policies: &Policies| policies.decide(&named) == Decision::Allow;
            // A key that is still to be made has no policy to ask.
            let key = !action.starts_with("kms:")
                || resource == "*"
                || self.kms.known(&resource).is_some_and(|key| admits(&key.policy));
            if !(key && allows(&role.policies) && session.policy.as_ref().is_none_or(allows)) {
                self.deny(session, &action, &resource);
                return Err(format!(
                    "{} is not authorized to perform {action} on {resource}",
                    session.role_arn
                ));
            }
        }
        Ok(())
    }

    /// Whether the role of a mapping's function may read its stream.
    pub(super) fn may_follow(&self, mapping: &Mapping) -> bool {
        let Some((role, needs)) = self.mappings.follow(mapping) else { return false };
        let Some(role) = self.roles.get(&role) else { return false };
        needs.iter().all(|Need { action, resource, context }| {
            let query = Query { action, resource, principal: None, context };
            role.policies.decide(&query) == Decision::Allow
        })
    }

    pub(super) fn deny(&self, session: &Session, action: &str, resource: &str) {
        let line = format!("{} {action} {resource}", session.role_arn);
        tracing::warn!(role = session.role_arn, action, resource, "denied by IAM");
        self.ledger.note_denial(line);
    }
}
