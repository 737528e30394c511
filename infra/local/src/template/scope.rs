//! What the names in one template stand for: parameters, conditions, resources and nested stacks.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    TemplateError,
    document::{Document, Resource},
    physical,
    place::Place,
};

/// Conditions may name conditions; deeper than this they name themselves.
const CONDITION_DEPTH_MAX: u8 = 16;

/// What every stack has in common.
#[derive(Debug, Clone)]
pub(super) struct Local {
    /// Twelve digits.
    pub(super) account: String,
    /// For instance `eu-central-1`.
    pub(super) region: String,
}

/// One stack: a template with its parameters and the outputs of the stacks in it.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// The template.
    pub(super) document: &'a Document,
    /// Account and region.
    pub(super) local: &'a Local,
    parameters: BTreeMap<String, Value>,
    /// By the logical id of the nested stack.
    pub(super) stacks: BTreeMap<String, BTreeMap<String, Value>>,
}

impl<'a> Scope<'a> {
    /// Gives the template its parameters.
    ///
    /// # Errors
    /// A parameter is missing, unknown, or none of its `AllowedValues`. `AllowedPattern` is not looked at: it is what
    /// keeps `localhost` out of a deployment.
    pub(super) fn new(
        document: &'a Document,
        local: &'a Local,
        given: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let declared = document.section("Parameters");
        if let Some(name) = given.keys().find(|name| declared.get(name.as_str()).is_none()) {
            return Err(document.place.at("Parameters").error(format!("there is no parameter {name}")));
        }
        let mut parameters = BTreeMap::new();
        for (name, declaration, place) in document.entries("Parameters") {
            let default = declaration.get("Default").and_then(text_of);
            let Some(text) = given.get(name).cloned().or(default) else {
                return Err(place.error("this parameter has no value and no default"));
            };
            let allowed = declaration.get("AllowedValues").and_then(Value::as_array);
            if allowed.is_some_and(|allowed| !allowed.iter().filter_map(text_of).any(|value| value == text)) {
                return Err(place.error(format!("{text:?} is not an allowed value")));
            }
            let value = match declaration.get("Type").and_then(Value::as_str) {
                Some("String") => Value::String(text),
                Some("Number") if text.parse::<f64>().is_ok() => Value::String(text),
                Some("Number") => return Err(place.error(format!("{text:?} is not a number"))),
                Some("CommaDelimitedList") => text.split(',').map(|item| item.trim().to_owned()).collect(),
                _ => return Err(place.error("this type of parameter is not understood")),
            };
            parameters.insert(name.clone(), value);
        }
        Ok(Self { document, local, parameters, stacks: BTreeMap::new() })
    }

    /// Holds the template's rules against the parameters.
    ///
    /// # Errors
    /// The description of the first assertion that is false.
    pub(super) fn check_rules(&self) -> Result<(), TemplateError> {
        for (_, rule, place) in self.document.entries("Rules") {
            if let Some(condition) = rule.get("RuleCondition")
                && !self.truth(condition, &place, 0)?
            {
                continue;
            }
            for assertion in rule.get("Assertions").and_then(Value::as_array).into_iter().flatten() {
                if !self.truth(assertion.get("Assert").unwrap_or(&Value::Null), &place, 0)? {
                    let description = assertion.get("AssertDescription").and_then(Value::as_str);
                    return Err(place.error(description.unwrap_or("the rule does not hold")));
                }
            }
        }
        Ok(())
    }

    /// Whether a resource is in this stack.
    ///
    /// # Errors
    /// Its condition can't be decided, or it depends on a resource that is not in the template.
    pub(super) fn exists(&self, resource: &Resource) -> Result<bool, TemplateError> {
        if let Some(id) = resource.depends_on.iter().find(|id| self.document.resource(id).is_none()) {
            return Err(resource.place.at("DependsOn").error(format!("there is no resource {id}")));
        }
        match &resource.condition {
            None => Ok(true),
            Some(name) => self.condition(name, &resource.place.at("Condition")),
        }
    }

    /// A condition by its name.
    ///
    /// # Errors
    /// There is none, or it can't be decided.
    pub(super) fn condition(&self, name: &str, place: &Place) -> Result<bool, TemplateError> {
        self.named_condition(name, place, 0)
    }

    fn named_condition(&self, name: &str, place: &Place, depth: u8) -> Result<bool, TemplateError> {
        match self.document.section("Conditions").get(name) {
            Some(value) => self.truth(value, &self.document.place.at("Conditions").at(name), depth),
            None => Err(place.error(format!("there is no condition {name}"))),
        }
    }

    fn truth(&self, value: &Value, place: &Place, depth: u8) -> Result<bool, TemplateError> {
        let not_understood = || place.error("this condition is not understood");
        let deeper = depth.checked_add(1).filter(|depth| *depth <= CONDITION_DEPTH_MAX);
        let deeper = deeper.ok_or_else(|| place.error("the condition depends on itself"))?;
        let (name, argument) = single_entry(value).ok_or_else(not_understood)?;
        if name == "Condition" {
            return self.named_condition(argument.as_str().ok_or_else(not_understood)?, place, deeper);
        }
        let items = argument.as_array().ok_or_else(not_understood)?.as_slice();
        let place = place.at(name);
        match (name, items) {
            ("Fn::Equals", [left, right]) => {
                let (left, right) = (self.require(left, &place)?, self.require(right, &place)?);
                // CloudFormation compares texts: a parameter of type Number is one as well.
                Ok(match (text_of(&left), text_of(&right)) {
                    (Some(left), Some(right)) => left == right,
                    _ => left == right,
                })
            }
            ("Fn::Not", [item]) => Ok(!self.truth(item, &place, deeper)?),
            ("Fn::And" | "Fn::Or", [_, _, ..]) => {
                let truths = items.iter().map(|item| self.truth(item, &place, deeper));
                let truths = truths.collect::<Result<Vec<_>, _>>()?;
                Ok(if name == "Fn::And" { truths.iter().all(|t| *t) } else { truths.iter().any(|t| *t) })
            }
            _ => Err(not_understood()),
        }
    }

    /// `Ref`: a parameter, a pseudo parameter or a resource; nothing for `AWS::NoValue`.
    ///
    /// # Errors
    /// There is no such name, or a resource of that type has none.
    pub(super) fn reference(&self, name: &str, place: &Place) -> Result<Option<Value>, TemplateError> {
        if name == "AWS::NoValue" {
            return Ok(None);
        }
        if let Some(value) = self.parameters.get(name) {
            return Ok(Some(value.clone()));
        }
        let pseudo = match name {
            "AWS::AccountId" => Some(self.local.account.as_str()),
            "AWS::Region" => Some(self.local.region.as_str()),
            "AWS::Partition" => Some("aws"),
            "AWS::URLSuffix" => Some("amazonaws.com"),
            "AWS::StackName" => Some("insula"),
            _ => None,
        };
        if let Some(text) = pseudo {
            return Ok(Some(text.into()));
        }
        physical::reference(self, self.existing(name, place)?, place).map(|text| Some(text.into()))
    }

    /// `GetAtt`: `<logical id>.<attribute>`, or `<nested stack>.Outputs.<name>`.
    ///
    /// # Errors
    /// There is no such resource, attribute or output.
    pub(super) fn attribute(&self, name: &str, place: &Place) -> Result<Value, TemplateError> {
        let Some((id, attribute)) = name.split_once('.') else {
            return Err(place.error(format!("{name} is not <logical id>.<attribute>")));
        };
        let resource = self.existing(id, place)?;
        if let Some(output) = attribute.strip_prefix("Outputs.") {
            let value = self.stacks.get(id).and_then(|outputs| outputs.get(output));
            return value.cloned().ok_or_else(|| place.error(format!("{id} has no output {output}")));
        }
        physical::attribute(self, resource, attribute, place).map(Value::String)
    }

    fn existing(&self, id: &str, place: &Place) -> Result<&'a Resource, TemplateError> {
        let Some(resource) = self.document.resource(id) else {
            return Err(place.error(format!("there is no parameter and no resource {id}")));
        };
        if !self.exists(resource)? {
            return Err(place.error(format!("{id} does not exist, because its condition is false")));
        }
        Ok(resource)
    }
}

/// The one entry of an object that has one.
pub(super) fn single_entry(value: &Value) -> Option<(&str, &Value)> {
    let mut entries = value.as_object()?.iter();
    let (name, argument) = entries.next()?;
    entries.next().is_none().then_some((name.as_str(), argument))
}

/// A scalar as CloudFormation writes it.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
