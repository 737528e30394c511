//! Reads the root template and the stacks that are nested in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;

use super::{
    Api, Authorizer, Function, Key, Mapping, Role, Secret, Stack, Table, TemplateError,
    document::{Document, Resource},
    http_api::HttpParts,
    place::Place,
    resources::{Attachment, Placed},
    rest_api,
    scope::{Local, Scope},
};

const ROOT_TEMPLATE: &str = "template.yaml";

/// The root and the stacks in it; a template that nests itself goes deeper.
const NESTING_MAX: usize = 3;

/// The types that give nobody a right on the laptop and carry no route there. Any other that is not read is an error.
const NOT_ON_THE_LAPTOP: [&str; 13] = [
    "AWS::ApiGateway::Account",
    "AWS::ApiGateway::BasePathMapping",
    "AWS::ApiGateway::DomainName",
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::CloudWatch::Alarm",
    "AWS::KMS::Alias",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::QueryDefinition",
    "AWS::Route53::RecordSet",
    "AWS::SQS::Queue",
];

impl Stack {
    /// Resolves `template.yaml` in `root` and the stacks nested in it, for the parameters given and the defaults of the
    /// others. `AWS::Region` may be given as if it were a parameter; it is `eu-central-1` by default.
    ///
    /// The template's rules are held against the parameters, and so are `AllowedValues`. `AllowedPattern` is not: it
    /// keeps the base domain `localhost` out of a deployment, and the laptop needs it.
    ///
    /// # Errors
    /// A template can't be read; a parameter is missing or not allowed; an intrinsic can't be resolved; a resource or a
    /// property of one is not understood; a function or a role is named and not there; there is not exactly one API.
    pub fn load(root: &Path, parameters: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let mut parameters = parameters.clone();
        let region = parameters.remove("AWS::Region").unwrap_or_else(|| "eu-central-1".to_owned());
        let local = Local { account: "000000000000".to_owned(), region };
        let mut reader = Reader { root, local: &local, open: Vec::new(), parts: Parts::default() };
        reader.read(ROOT_TEMPLATE, &parameters)?;
        reader.parts.build(local.clone())
    }
}

struct Reader<'a> {
    root: &'a Path,
    local: &'a Local,
    /// The templates that are being read, the outermost first.
    open: Vec<String>,
    parts: Parts,
}

impl Reader<'_> {
    /// Reads one template with all that is nested in it, and gives its outputs.
    fn read(
        &mut self,
        file: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Value>, TemplateError> {
        if self.open.len() >= NESTING_MAX {
            return Err(Place::file(file).error(format!("stacks are nested too deep: {:?}", self.open)));
        }
        self.open.push(file.to_owned());
        let document = Document::read(self.root, file)?;
        let mut scope = Scope::new(&document, self.local, parameters)?;
        scope.check_rules()?;
        self.read_nested(&mut scope)?;
        for resource in &document.resources {
            if scope.exists(resource)? {
                self.parts.take(Placed { scope: &scope, resource })?;
            }
        }
        let mut outputs = BTreeMap::new();
        for (name, output, place) in document.entries("Outputs") {
            let condition = output.get("Condition").and_then(Value::as_str);
            if condition.map_or(Ok(true), |name| scope.condition(name, &place))? {
                let value = output.get("Value").unwrap_or(&Value::Null);
                outputs.insert(name.clone(), scope.require(value, &place.at("Value"))?);
            }
        }
        self.open.pop();
        Ok(outputs)
    }

    /// Reads each nested stack after those whose outputs its properties name.
    fn read_nested(&mut self, scope: &mut Scope<'_>) -> Result<(), TemplateError> {
        let document = scope.document;
        let mut waiting = Vec::new();
        for resource in document.resources.iter().filter(|resource| is_nested(resource)) {
            if scope.exists(resource)? {
                waiting.push(resource);
            }
        }
        while let Some(first) = waiting.first().copied() {
            let ids: Vec<&str> = waiting.iter().map(|resource| resource.id.as_str()).collect();
            let ready = |resource: &&Resource| !ids.iter().any(|id| names_output(&resource.properties, id));
            let Some(at) = waiting.iter().position(ready) else {
                return Err(first.place.error(format!("these nested stacks wait for one another: {ids:?}")));
            };
            let resource = waiting.remove(at);
            let placed = Placed { scope, resource };
            let location =
                if resource.kind == "AWS::CloudFormation::Stack" { "TemplateURL" } else { "Location" };
            let fields = placed.fields(&[location, "Parameters"], &["Tags", "TimeoutInMinutes"])?;
            let outputs = self.read(&fields.text(location)?, &fields.text_map("Parameters")?)?;
            scope.stacks.insert(resource.id.clone(), outputs);
        }
        Ok(())
    }
}

fn is_nested(resource: &Resource) -> bool {
    matches!(resource.kind.as_str(), "AWS::CloudFormation::Stack" | "AWS::Serverless::Application")
}

/// Whether a value has an intrinsic that reads an output of the nested stack `id`.
fn names_output(value: &Value, id: &str) -> bool {
    match value {
        Value::String(text) => {
            text.starts_with(&format!("{id}.Outputs.")) || text.contains(&format!("${{{id}.Outputs."))
        }
        Value::Array(items) => items.iter().any(|item| names_output(item, id)),
        Value::Object(entries) => {
            let list = entries.get("Fn::GetAtt").and_then(Value::as_array);
            list.is_some_and(|list| list.first().and_then(Value::as_str) == Some(id))
                || entries.values().any(|entry| names_output(entry, id))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// What was found in all stacks so far.
#[derive(Default)]
struct Parts {
    functions: Vec<Function>,
    roles: Vec<Role>,
    attachments: Vec<Attachment>,
    tables: Vec<Table>,
    keys: Vec<Key>,
    secrets: Vec<Secret>,
    mappings: Vec<Mapping>,
    rest: Vec<Api>,
    http: HttpParts,
}

impl Parts {
    fn take(&mut self, placed: Placed<'_>) -> Result<(), TemplateError> {
        match placed.resource.kind.as_str() {
            "AWS::Serverless::Function" => self.functions.push(placed.function()?),
            "AWS::IAM::Role" => self.roles.push(placed.role()?),
            "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" => self.attachments.push(placed.attachment()?),
            "AWS::DynamoDB::Table" => self.tables.push(placed.table()?),
            "AWS::KMS::Key" => self.keys.push(placed.key()?),
            "AWS::SecretsManager::Secret" => self.secrets.push(placed.secret()?),
            "AWS::Lambda::EventSourceMapping" => self.mappings.push(placed.mapping()?),
            "AWS::Serverless::Api" => self.rest.push(rest_api::read(placed)?),
            kind if is_nested(placed.resource) || NOT_ON_THE_LAPTOP.contains(&kind) => {}
            kind => {
                if !self.http.take(placed)? {
                    return Err(placed.resource.place.error(format!("the type {kind} is not understood")));
                }
            }
        }
        Ok(())
    }

    fn build(mut self, local: Local) -> Result<Stack, TemplateError> {
        let root = Place::file(ROOT_TEMPLATE);
        let arns = self.roles.iter().map(|role| &role.arn).chain(self.functions.iter().map(|f| &f.arn));
        let arns = arns.chain(self.tables.iter().map(|table| &table.arn));
        let arns =
            arns.chain(self.keys.iter().map(|key| &key.arn)).chain(self.secrets.iter().map(|s| &s.arn));
        let mut seen = BTreeSet::new();
        for arn in arns {
            if !seen.insert(arn.clone()) {
                return Err(root.error(format!("{arn} would be the name of two resources")));
            }
        }
        for attachment in self.attachments {
            for name in attachment.roles {
                let role = self.roles.iter_mut().find(|role| role.name == name);
                let role = role.ok_or_else(|| attachment.place.error(format!("there is no role {name}")))?;
                role.policies.push(attachment.document.clone());
            }
        }
        self.rest.extend(self.http.build()?);
        let mut apis = self.rest.into_iter();
        let (Some(mut api), None) = (apis.next(), apis.next()) else {
            return Err(root.error("the parameters must choose exactly one API"));
        };
        api.routes.sort_by(|a, b| (&a.path, &a.method).cmp(&(&b.path, &b.method)));
        let authorizers = api.authorizers.values().filter_map(|authorizer| match authorizer {
            Authorizer::Request { function_arn, .. } => Some(function_arn.as_str()),
            Authorizer::Jwt { .. } => None,
        });
        let invoked = api.routes.iter().map(|route| route.function_arn.as_str()).chain(authorizers);
        let needed = self.functions.iter().map(|function| function.role_arn.as_str()).chain(invoked);
        if let Some(arn) = needed.into_iter().find(|arn| !seen.contains(*arn)) {
            return Err(root.error(format!("{arn} is named and not there")));
        }
        Ok(Stack {
            account: local.account,
            region: local.region,
            functions: self.functions,
            api,
            roles: self.roles,
            tables: self.tables,
            keys: self.keys,
            secrets: self.secrets,
            mappings: self.mappings,
        })
    }
}
