//! The IAM policy evaluator: what a document allows, forbids, or leaves unsaid.
//!
//! It knows a closed part of the policy language. A document whose structure is outside of it is refused when it is
//! read; a condition operator, condition key or variable outside of it turns its statement into a denial of the
//! actions and resources that it names, whatever its effect says.

mod condition;
mod keys;
mod pattern;
mod principal;
mod scope;
mod statement;
#[cfg(test)]
mod tests;
mod truth;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use statement::{Effect, Statement};
use truth::Truth;

/// The statements of one or more documents, read as one policy.
#[derive(Debug, Clone)]
pub struct Policies {
    statements: Vec<Statement>,
}

/// One question: may this be done to that?
///
/// With a `principal` it is put to the policy of a resource (a role's trust, a key's policy), and only statements with
/// a `Principal` allow; without, to that of an identity or a session, and only statements without a `Principal` allow.
/// A statement of the other kind never allows, and denies where it might.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// For instance `dynamodb:GetItem`.
    pub action: &'a str,
    /// The ARN.
    pub resource: &'a str,
    /// The ARN of the caller's role, where a trust or key policy is asked.
    pub principal: Option<&'a str>,
    /// The condition keys of the call.
    pub context: &'a Context,
}

/// The answer of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    ///
    /// From a trust or key policy whose principal is the account (`…:root`), it only means that the account's identity
    /// policies decide: whoever asks has to ask those as well.
    Allow,
    /// A statement denies it, or one that could not be understood or resolved might: its `Sid`, or the reason.
    ExplicitDeny(String),
    /// No statement speaks of it.
    ImplicitDeny,
}

impl Policies {
    /// Reads documents as one policy; none at all is a policy that allows nothing.
    ///
    /// # Errors
    /// `PolicyError` names the first thing whose structure is unknown: a version other than `2012-10-17`, an element,
    /// an effect, a kind of principal, an operand that its operator can't compare with, a variable with a default.
    pub fn parse(documents: &[Value]) -> Result<Self, PolicyError> {
        let mut statements = Vec::new();
        for document in documents {
            statements.extend(statement::read_document(document)?);
        }
        Ok(Self { statements })
    }

    /// Answers one question. A denial wins over every allowance.
    #[must_use]
    pub fn decide(&self, query: &Query<'_>) -> Decision {
        let mut decision = Decision::ImplicitDeny;
        for statement in &self.statements {
            let reach = statement.reaches(query);
            if reach == Truth::No {
                continue;
            }
            if let Some(name) = &statement.not_understood {
                tracing::warn!(
                    policy.sid = statement.sid,
                    policy.unknown = name,
                    "a policy statement is not understood, so it denies"
                );
                return Decision::ExplicitDeny(format!("{}: unknown {name}", statement.sid));
            }
            match (statement.effect, reach.and(statement.conditions_hold(query.context))) {
                (Effect::Deny, Truth::Yes | Truth::Unknown) => {
                    return Decision::ExplicitDeny(statement.sid.clone());
                }
                (Effect::Allow, Truth::Yes) => decision = Decision::Allow,
                (Effect::Allow, Truth::No | Truth::Unknown) | (Effect::Deny, Truth::No) => {}
            }
        }
        decision
    }
}

/// The condition keys of a call and their values.
// INVARIANT: the keys are lower case, kept so by `set`, because IAM compares their names without case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// Sets a key, in place of what it had. Without values the key is present and empty, which is not absent.
    pub fn set(&mut self, key: &str, values: impl IntoIterator<Item = impl Into<String>>) {
        self.0.insert(key.to_lowercase(), values.into_iter().map(Into::into).collect());
    }

    /// Sets a key to one value, in place of what it had.
    pub fn one(&mut self, key: &str, value: impl Into<String>) {
        self.set(key, [value.into()]);
    }

    /// The values of a key, in whatever case it is asked for; `None` where it is absent.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_lowercase()).map(Vec::as_slice)
    }
}

/// A document that can't be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError(String);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PolicyError {}
