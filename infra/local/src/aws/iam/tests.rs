//! What the evaluator answers, as tables: the statements, the question, the answer.

mod conditions;
mod documents;
mod principals;
mod reach;

use serde_json::{Value, json};

use super::{Context, Decision, Policies, Query};

/// A policy of one or more statements: an array of them, without the document around it.
fn policy(statements: &str) -> Policies {
    Policies::parse(&[document(statements)]).unwrap_or_else(|err| panic!("{statements}: {err}"))
}

fn document(statements: &str) -> Value {
    let statements: Value =
        serde_json::from_str(statements).unwrap_or_else(|err| panic!("{statements}: {err}"));
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The keys of a call as `key=value|value key= key2=value`, apart by a space; `key=[]` is present without a value.
fn context(text: &str) -> Context {
    let mut context = Context::default();
    for entry in text.split_whitespace() {
        match entry.split_once('=').unwrap() {
            (key, "[]") => context.set(key, Vec::<String>::new()),
            (key, values) => context.set(key, values.split('|')),
        }
    }
    context
}

/// `allow`, `none` for no statement, or `deny` and the reason.
fn answer(policies: &Policies, action: &str, resource: &str, principal: Option<&str>, keys: &str) -> String {
    match policies.decide(&Query { action, resource, principal, context: &context(keys) }) {
        Decision::Allow => "allow".to_owned(),
        Decision::ExplicitDeny(reason) => format!("deny {reason}"),
        Decision::ImplicitDeny => "none".to_owned(),
    }
}
