//! One template as it is written, with YAML's short intrinsics in their long form.

use std::{fs, path::Path};

use serde_json::{Map, Value};
use serde_yaml_ng::Value as Yaml;

use super::{TemplateError, place::Place};

const SECTIONS: [&str; 10] = [
    "AWSTemplateFormatVersion",
    "Transform",
    "Description",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Globals",
    "Resources",
    "Outputs",
];

const RESOURCE_KEYS: [&str; 7] =
    ["Type", "Properties", "Metadata", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy"];

const FUNCTIONS: [&str; 11] =
    ["Sub", "GetAtt", "Join", "Select", "Split", "If", "Equals", "And", "Or", "Not", "FindInMap"];

/// A template's sections.
#[derive(Debug)]
pub(super) struct Document {
    /// The file.
    pub(super) place: Place,
    /// All but the resources.
    sections: Map<String, Value>,
    /// In the order of the file.
    pub(super) resources: Vec<Resource>,
}

/// One resource, not resolved.
#[derive(Debug)]
pub(super) struct Resource {
    /// The logical id.
    pub(super) id: String,
    /// For instance `AWS::IAM::Role`.
    pub(super) kind: String,
    /// The name of a condition.
    pub(super) condition: Option<String>,
    /// Logical ids.
    pub(super) depends_on: Vec<String>,
    /// An object.
    pub(super) properties: Value,
    /// An object, or null.
    pub(super) metadata: Value,
    /// The resource itself.
    pub(super) place: Place,
}

impl Document {
    /// Reads `file` under the workspace's root.
    ///
    /// # Errors
    /// The file can't be read, is no YAML, or has a section or a key that is not known here.
    pub(super) fn read(root: &Path, file: &str) -> Result<Self, TemplateError> {
        let place = Place::file(file);
        let text = fs::read_to_string(root.join(file)).map_err(|err| place.error(err))?;
        let Yaml::Mapping(top) = serde_yaml_ng::from_str(&text).map_err(|err| place.error(err))? else {
            return Err(place.error("a template is a mapping"));
        };
        let mut document = Self { place: place.clone(), sections: Map::new(), resources: Vec::new() };
        for (key, value) in top {
            let name = key_text(&key, &place)?;
            let at = place.at(&name);
            match (name.as_str(), value) {
                // A map of JSON would lose the order of the file.
                ("Resources", Yaml::Mapping(resources)) => {
                    for (id, resource) in resources {
                        let id = key_text(&id, &at)?;
                        let place = at.at(&id);
                        document.resources.push(Resource::read(id, resource, place)?);
                    }
                }
                (section, value) if SECTIONS.contains(&section) => {
                    document.sections.insert(name.clone(), json(value, &at)?);
                }
                _ => return Err(at.error("this section is not understood")),
            }
        }
        Ok(document)
    }

    /// A section, or null.
    pub(super) fn section(&self, name: &str) -> &Value {
        self.sections.get(name).unwrap_or(&Value::Null)
    }

    /// The entries of a section that is a mapping of names; none where there is no such section.
    pub(super) fn entries(&self, name: &str) -> impl Iterator<Item = (&String, &Value, Place)> {
        let place = self.place.at(name);
        self.section(name)
            .as_object()
            .into_iter()
            .flatten()
            .map(move |(key, value)| (key, value, place.at(key)))
    }

    /// A resource by its logical id.
    pub(super) fn resource(&self, id: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.id == id)
    }
}

impl Resource {
    fn read(id: String, yaml: Yaml, place: Place) -> Result<Self, TemplateError> {
        let Value::Object(mut fields) = json(yaml, &place)? else {
            return Err(place.error("a resource is a mapping"));
        };
        if let Some(key) = fields.keys().find(|key| !RESOURCE_KEYS.contains(&key.as_str())) {
            return Err(place.at(key).error("this key of a resource is not understood"));
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let depends_on = match fields.get("DependsOn") {
            None => Vec::new(),
            Some(Value::Array(ids)) => ids.iter().filter_map(text).collect(),
            Some(id) => id.as_str().map(str::to_owned).into_iter().collect(),
        };
        let Some(kind) = fields.get("Type").and_then(text) else {
            return Err(place.error("a resource has a Type"));
        };
        let condition = fields.get("Condition").and_then(text);
        let properties = fields.remove("Properties").unwrap_or_else(|| Value::Object(Map::new()));
        let metadata = fields.remove("Metadata").unwrap_or_default();
        Ok(Self { id, kind, condition, depends_on, properties, metadata, place })
    }
}

fn key_text(key: &Yaml, place: &Place) -> Result<String, TemplateError> {
    match key {
        Yaml::String(text) => Ok(text.clone()),
        Yaml::Number(number) => Ok(number.to_string()),
        _ => Err(place.error("a key is a text")),
    }
}

fn json(yaml: Yaml, place: &Place) -> Result<Value, TemplateError> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::String(text) => Value::String(text),
        Yaml::Number(number) => serde_json::to_value(number).map_err(|err| place.error(err))?,
        Yaml::Sequence(items) => {
            let items = items.into_iter().enumerate();
            Value::Array(items.map(|(at, item)| json(item, &place.at(at))).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let key = key_text(&key, place)?;
                let value = json(value, &place.at(&key))?;
                object.insert(key, value);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = match tag.trim_start_matches('!') {
                name @ ("Ref" | "Condition") => name.to_owned(),
                name if FUNCTIONS.contains(&name) => format!("Fn::{name}"),
                _ => return Err(place.error(format!("the intrinsic {tag} is not understood"))),
            };
            let value = json(tagged.value, &place.at(&name))?;
            Value::Object(Map::from_iter([(name, value)]))
        }
    })
}
