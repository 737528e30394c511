//! CloudFormation's functions, by which a value in a template becomes a value.

use serde_json::{Map, Value};

use super::{
    TemplateError,
    place::Place,
    scope::{Scope, single_entry, text_of},
};

impl Scope<'_> {
    /// The value without intrinsics; nothing where it is `AWS::NoValue`.
    ///
    /// # Errors
    /// An intrinsic is not known, or what it names is not there.
    pub(super) fn resolve(&self, value: &Value, place: &Place) -> Result<Option<Value>, TemplateError> {
        if let Some((name, argument)) = single_entry(value)
            && (name == "Ref" || name.starts_with("Fn::"))
        {
            return self.intrinsic(name, argument, &place.at(name));
        }
        Ok(Some(match value {
            Value::Array(items) => {
                let mut list = Vec::new();
                for (at, item) in items.iter().enumerate() {
                    list.extend(self.resolve(item, &place.at(at))?);
                }
                Value::Array(list)
            }
            Value::Object(entries) => {
                let mut object = Map::new();
                for (key, entry) in entries {
                    if let Some(entry) = self.resolve(entry, &place.at(key))? {
                        object.insert(key.clone(), entry);
                    }
                }
                Value::Object(object)
            }
            scalar => scalar.clone(),
        }))
    }

    /// The value without intrinsics, which must not be `AWS::NoValue`.
    ///
    /// # Errors
    /// As [`Scope::resolve`].
    pub(super) fn require(&self, value: &Value, place: &Place) -> Result<Value, TemplateError> {
        self.resolve(value, place)?.ok_or_else(|| place.error("AWS::NoValue can't stand here"))
    }

    fn intrinsic(&self, name: &str, argument: &Value, place: &Place) -> Result<Option<Value>, TemplateError> {
        let wrong = || place.error("the arguments are not understood");
        let items = argument.as_array().map(Vec::as_slice);
        match (name, argument, items) {
            ("Ref", Value::String(name), _) => self.reference(name, place),
            ("Fn::If", _, Some([Value::String(condition), then, otherwise])) => {
                let chosen = if self.condition(condition, place)? { then } else { otherwise };
                self.resolve(chosen, place)
            }
            ("Fn::GetAtt", Value::String(name), _) => self.attribute(name, place).map(Some),
            ("Fn::GetAtt", _, Some([Value::String(id), Value::String(attribute)])) => {
                self.attribute(&format!("{id}.{attribute}"), place).map(Some)
            }
            ("Fn::Sub", Value::String(text), _) => self.substitute(text, &Map::new(), place).map(Some),
            ("Fn::Sub", _, Some([Value::String(text), Value::Object(names)])) => {
                self.substitute(text, names, place).map(Some)
            }
            ("Fn::Join", _, Some([Value::String(between), list])) => {
                let list = self.require(list, place)?;
                let texts =
                    list.as_array().ok_or_else(wrong)?.iter().map(text_of).collect::<Option<Vec<_>>>();
                Ok(Some(texts.ok_or_else(wrong)?.join(between).into()))
            }
            ("Fn::Split", _, Some([Value::String(between), text])) => {
                let text = text_of(&self.require(text, place)?).ok_or_else(wrong)?;
                Ok(Some(text.split(between.as_str()).map(str::to_owned).collect()))
            }
            ("Fn::Select", _, Some([index, list])) => {
                let index =
                    text_of(&self.require(index, place)?).and_then(|index| index.parse::<usize>().ok());
                let list = self.require(list, place)?;
                let item = list.as_array().zip(index).and_then(|(list, index)| list.get(index));
                Ok(Some(item.ok_or_else(wrong)?.clone()))
            }
            ("Fn::FindInMap", _, Some([map, top, second])) => {
                self.find_in_map([map, top, second], place).map(Some)
            }
            ("Ref" | "Fn::GetAtt" | "Fn::Sub" | "Fn::Join", _, _) => Err(wrong()),
            ("Fn::If" | "Fn::Split" | "Fn::Select" | "Fn::FindInMap", _, _) => Err(wrong()),
            _ => Err(place.error("this intrinsic can't be resolved on the laptop")),
        }
    }

    fn find_in_map(&self, path: [&Value; 3], place: &Place) -> Result<Value, TemplateError> {
        let mut found = self.document.section("Mappings");
        for step in path {
            let step = text_of(&self.require(step, place)?).unwrap_or_default();
            found = found.get(&step).ok_or_else(|| place.error(format!("the mappings have no {step:?}")))?;
        }
        Ok(found.clone())
    }

    /// `${Name}`, `${Resource.Attribute}` and `${!Literal}`; `names` are those of the list form.
    fn substitute(
        &self,
        text: &str,
        names: &Map<String, Value>,
        place: &Place,
    ) -> Result<Value, TemplateError> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return Err(place.error("a ${ is not closed"));
            };
            result.push_str(before);
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str("${");
                result.push_str(literal);
                result.push('}');
                continue;
            }
            let value = match names.get(name) {
                Some(value) => self.resolve(value, place)?,
                None if name.contains('.') => Some(self.attribute(name, place)?),
                None => self.reference(name, place)?,
            };
            let value = value.as_ref().and_then(text_of);
            result.push_str(&value.ok_or_else(|| place.error(format!("{name} is not a text")))?);
        }
        result.push_str(rest);
        Ok(Value::String(result))
    }
}
