//! Documents and their statements.

use serde_json::{Map, Value};

use super::condition::{Condition, Reading};
use super::principal::Principal;
use super::scope::{Actions, Resources};
use super::truth::Truth;
use super::{Context, PolicyError, Query, keys};

/// One statement of a document.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    /// The `Sid`, or its place in its document where it has none.
    pub(super) sid: String,
    pub(super) effect: Effect,
    /// The first operator, key or variable that is unknown: the statement then denies all that it reaches.
    pub(super) not_understood: Option<String>,
    /// `None` in a policy of an identity.
    principals: Option<Vec<Principal>>,
    actions: Actions,
    resources: Resources,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

impl Statement {
    /// Whether it speaks of this principal, action and resource, its conditions aside.
    pub(super) fn reaches(&self, query: &Query<'_>) -> Truth {
        let principal = match (&self.principals, query.principal) {
            (None, None) => Truth::Yes,
            (Some(principals), Some(caller)) => {
                principals.iter().any(|principal| principal.is(caller)).into()
            }
            // A statement of the other kind of policy: one without `Principal` must not open a role's trust to all.
            (None, Some(_)) | (Some(_), None) => Truth::Unknown,
        };
        principal.and(self.actions.hold(query.action)).and(self.resources.hold(query.resource, query.context))
    }

    /// Whether all its conditions hold.
    pub(super) fn conditions_hold(&self, context: &Context) -> Truth {
        Truth::all(self.conditions.iter().map(|condition| condition.holds(context)))
    }

    fn parse(sid: String, elements: &Map<String, Value>) -> Result<Self, String> {
        const KNOWN: [&str; 8] =
            ["Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
        if let Some(element) = elements.keys().find(|element| !KNOWN.contains(&element.as_str())) {
            return Err(format!("the element {element:?} is unknown"));
        }
        let effect = match elements.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err("Effect is neither \"Allow\" nor \"Deny\"".to_owned()),
        };
        let principals = elements.get("Principal").map(Principal::parse_all).transpose()?;
        let actions = Actions::parse(elements.get("Action"), elements.get("NotAction"))?;
        let resources = Resources::parse(elements.get("Resource"), elements.get("NotResource"))?;
        if matches!((&resources, &principals), (Resources::Any, None)) {
            return Err("there is neither Resource nor Principal".to_owned());
        }
        let Reading { conditions, unknown } =
            elements.get("Condition").map(Condition::parse_all).transpose()?.unwrap_or_default();
        let variable = resources
            .variables()
            .chain(conditions.iter().flat_map(Condition::variables))
            .find(|key| !keys::is_known(key))
            .map(|key| format!("variable {key}"));
        Ok(Self {
            sid,
            effect,
            not_understood: unknown.or(variable),
            principals,
            actions,
            resources,
            conditions,
        })
    }
}

/// Reads the statements of one document.
pub(super) fn read_document(document: &Value) -> Result<Vec<Statement>, PolicyError> {
    let refuse = |reason: String| PolicyError(format!("the policy can't be read: {reason}"));
    let elements = document.as_object().ok_or_else(|| refuse("it is not an object".to_owned()))?;
    if let Some(element) =
        elements.keys().find(|element| !["Version", "Id", "Statement"].contains(&element.as_str()))
    {
        return Err(refuse(format!("the element {element:?} is unknown")));
    }
    match elements.get("Version") {
        Some(Value::String(version)) if version == "2012-10-17" => {}
        Some(version) => return Err(refuse(format!("Version {version} is unknown"))),
        // Without it AWS takes the older language, which has no variables: `${…}` would be plain text.
        None => return Err(refuse("there is no Version".to_owned())),
    }
    let statements = match elements.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.as_slice(),
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        _ => return Err(refuse("Statement is neither an object nor a list of objects".to_owned())),
    };
    let mut read = Vec::with_capacity(statements.len());
    for (place, statement) in (1_u32..).zip(statements) {
        let elements =
            statement.as_object().ok_or_else(|| refuse(format!("statement {place} is not an object")))?;
        let sid = match elements.get("Sid") {
            None => format!("statement {place}"),
            Some(Value::String(sid)) => sid.clone(),
            Some(_) => return Err(refuse(format!("Sid of statement {place} is not a text"))),
        };
        let parsed = Statement::parse(sid.clone(), elements);
        read.push(parsed.map_err(|reason| refuse(format!("{sid}: {reason}")))?);
    }
    Ok(read)
}
