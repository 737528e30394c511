//! The IAM policy in a Lambda authorizer's answer.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The only action that API Gateway asks about.
const ACTION: &str = "execute-api:Invoke";

/// What a policy says of one method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Allow,
    ImplicitDeny,
    ExplicitDeny,
}

/// An answer that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) decision: Decision,
    pub(super) principal: String,
    pub(super) context: Map<String, Value>,
}

impl Answer {
    /// The context as a REST API passes it on: all strings. None when there is a list, a map or a null in it.
    pub(super) fn context_strings(&self) -> Option<BTreeMap<String, String>> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            _ => None,
        };
        self.context.iter().map(|(key, value)| Some((key.clone(), text(value)?))).collect()
    }
}

/// Reads the answer and evaluates its policy for the method. None when any of it is not understood.
pub(super) fn read(payload: &[u8], arn: &str) -> Option<Answer> {
    let answer: Value = serde_json::from_slice(payload).ok()?;
    let principal = answer.get("principalId")?.as_str().filter(|id| !id.is_empty())?.to_owned();
    let context = match answer.get("context") {
        None | Some(Value::Null) => Map::new(),
        Some(context) => context.as_object()?.clone(),
    };
    let decision = evaluate(answer.get("policyDocument")?, arn)?;
    Some(Answer { decision, principal, context })
}

fn evaluate(policy: &Value, arn: &str) -> Option<Decision> {
    let policy = policy.as_object()?;
    if !policy.keys().all(|key| ["Version", "Id", "Statement"].contains(&key.as_str())) {
        return None;
    }
    let mut decision = Decision::ImplicitDeny;
    for statement in one_or_many(policy.get("Statement")?) {
        match applies(statement, arn)? {
            Decision::ExplicitDeny => decision = Decision::ExplicitDeny,
            Decision::Allow if decision != Decision::ExplicitDeny => decision = Decision::Allow,
            _ => {}
        }
    }
    Some(decision)
}

/// What the statement adds for the method: nothing, as an implicit deny, when it is about another.
fn applies(statement: &Value, arn: &str) -> Option<Decision> {
    let statement = statement.as_object()?;
    // A condition, or one of the Not forms, is not understood here, so the whole answer is not.
    if !statement.keys().all(|key| ["Sid", "Effect", "Action", "Resource"].contains(&key.as_str())) {
        return None;
    }
    let effect = match statement.get("Effect")?.as_str()? {
        "Allow" => Decision::Allow,
        "Deny" => Decision::ExplicitDeny,
        _ => return None,
    };
    let matches = |key: &str, text: &str, fold: fn(&str) -> String| -> Option<bool> {
        let mut any = false;
        for pattern in one_or_many(statement.get(key)?) {
            any |= glob(fold(pattern.as_str()?).as_bytes(), fold(text).as_bytes());
        }
        Some(any)
    };
    let action = matches("Action", ACTION, str::to_ascii_lowercase)?;
    let resource = matches("Resource", arn, str::to_owned)?;
    Some(if action && resource { effect } else { Decision::ImplicitDeny })
}

fn one_or_many(value: &Value) -> &[Value] {
    value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice)
}

/// `*` stands for any number of letters, `?` for one.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, text));
                pattern = rest;
            }
            (None, None) => return true,
            (Some((wanted, pattern_rest)), Some((found, text_rest)))
                if *wanted == b'?' || wanted == found =>
            {
                (pattern, text) = (pattern_rest, text_rest);
            }
            _ => {
                // The last star takes one letter more.
                let Some((after, from)) = retry else { return false };
                let Some((_, from)) = from.split_first() else { return false };
                retry = Some((after, from));
                (pattern, text) = (after, from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:execute-api:eu-central-1:123456789012:abc/live/POST/acme/mcp";

    fn decision(statement: &Value) -> Option<Decision> {
        let answer = json!({ "principalId": "p", "policyDocument": { "Statement": statement } });
        read(answer.to_string().as_bytes(), ARN).map(|answer| answer.decision)
    }

    fn allow(resource: &str) -> Value {
        json!({ "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource })
    }

    #[test]
    fn only_an_allow_of_this_very_method_allows() {
        for pattern in [ARN, "*", "arn:aws:execute-api:*:*:abc/live/*", "*/POST/????/mcp", "*mcp", "**"] {
            assert_eq!(decision(&allow(pattern)), Some(Decision::Allow), "{pattern}");
        }
        for pattern in ["", "*/GET/*", "*/POST/???/mcp", "*/mc", "ARN:*", "*z*"] {
            assert_eq!(decision(&allow(pattern)), Some(Decision::ImplicitDeny), "{pattern}");
        }
        assert_eq!(decision(&json!([])), Some(Decision::ImplicitDeny));
        let other = json!({ "Effect": "Allow", "Action": "execute-api:ManageConnections", "Resource": "*" });
        assert_eq!(decision(&other), Some(Decision::ImplicitDeny));
        let any = json!({ "Effect": "Allow", "Action": ["s3:*", "Execute-API:in*"], "Resource": ["x", ARN] });
        assert_eq!(decision(&any), Some(Decision::Allow));
    }

    #[test]
    fn a_deny_wins_in_any_order() {
        let deny = json!({ "Effect": "Deny", "Action": "*", "Resource": "*" });
        assert_eq!(decision(&json!([deny, allow("*")])), Some(Decision::ExplicitDeny));
        assert_eq!(decision(&json!([allow("*"), deny])), Some(Decision::ExplicitDeny));
    }

    #[test]
    fn what_is_not_understood_is_no_answer() {
        for bad in [
            json!(null),
            json!(["x"]),
            json!({ "Effect": "allow", "Action": "*", "Resource": "*" }),
            json!({ "Effect": "Allow", "Action": "*" }),
            json!({ "Effect": "Allow", "Action": "*", "Resource": 1 }),
            json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {} }),
            json!({ "Effect": "Allow", "NotAction": "x", "Resource": "*" }),
        ] {
            assert_eq!(decision(&bad), None, "{bad}");
        }
        let anonymous = json!({ "policyDocument": { "Statement": allow("*") } }).to_string();
        assert_eq!(read(anonymous.as_bytes(), ARN), None);
        assert_eq!(read(b"{", ARN), None);
    }

    #[test]
    fn context_values_are_text() {
        let context = |value: Value| {
            Answer {
                decision: Decision::Allow,
                principal: String::new(),
                context: Map::from_iter([("k".to_owned(), value)]),
            }
            .context_strings()
        };
        assert_eq!(context(json!(7)).unwrap()["k"], "7");
        assert_eq!(context(json!(true)).unwrap()["k"], "true");
        assert_eq!(context(json!("x")).unwrap()["k"], "x");
        for bad in [json!(null), json!([]), json!({})] {
            assert_eq!(context(bad), None);
        }
    }
}
