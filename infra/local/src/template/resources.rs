//! The resources other than the edge: functions, roles, tables, keys, secrets.

use serde_json::{Map, Value, json};

use super::{
    Function, Key, Mapping, Role, Secret, Table, TemplateError, document::Resource, fields::Fields, physical,
    place::Place, scope::Scope,
};

/// What an `AWS::IAM::Policy` gives to roles, which may be those of another stack.
#[derive(Debug)]
pub(super) struct Attachment {
    /// The policy.
    pub(super) place: Place,
    /// Names of roles.
    pub(super) roles: Vec<String>,
    /// The policy document.
    pub(super) document: Value,
}

/// An existing resource in its stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed<'a> {
    /// The stack.
    pub(super) scope: &'a Scope<'a>,
    /// The resource.
    pub(super) resource: &'a Resource,
}

impl Placed<'_> {
    /// The resolved properties named in `read`; those in `ignored` are not even resolved.
    ///
    /// # Errors
    /// Another property, or an intrinsic that can't be resolved.
    pub(super) fn fields(&self, read: &[&str], ignored: &[&str]) -> Result<Fields, TemplateError> {
        self.fields_of(self.resource.properties.clone(), read, ignored)
    }

    fn fields_of(
        &self,
        mut properties: Value,
        read: &[&str],
        ignored: &[&str],
    ) -> Result<Fields, TemplateError> {
        let place = self.resource.place.at("Properties");
        if let Some(entries) = properties.as_object_mut() {
            entries.retain(|key, _| !ignored.contains(&key.as_str()));
        }
        let resolved = self.scope.require(&properties, &place)?;
        Fields::new(resolved, place, read)
    }

    /// The ARN.
    ///
    /// # Errors
    /// A resource of this type has none on the laptop.
    fn arn(&self) -> Result<String, TemplateError> {
        physical::attribute(self.scope, self.resource, "Arn", &self.resource.place)
    }

    /// What `Ref` gives.
    ///
    /// # Errors
    /// A resource of this type has no name on the laptop.
    pub(super) fn reference(&self) -> Result<String, TemplateError> {
        physical::reference(self.scope, self.resource, &self.resource.place)
    }

    /// An `AWS::Serverless::Function`, with SAM's globals.
    ///
    /// # Errors
    /// A property that is not understood, or no Rust binary.
    pub(super) fn function(&self) -> Result<Function, TemplateError> {
        let globals = self.scope.document.section("Globals");
        if let Some(section) = globals.as_object().and_then(|all| all.keys().find(|key| *key != "Function")) {
            let place = self.scope.document.place.at("Globals").at(section);
            return Err(place.error("these globals are not understood"));
        }
        let mut properties = globals.get("Function").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        merge(&mut properties, &self.resource.properties);
        let read = ["Role", "Timeout", "MemorySize", "Environment", "TenancyConfig"];
        let ignored =
            ["CodeUri", "Handler", "Runtime", "Architectures", "Description", "LoggingConfig", "Tags"];
        let fields = self.fields_of(properties, &read, &ignored)?;
        let tenancy = fields.inner("TenancyConfig", &["TenantIsolationMode"])?;
        tenancy.only("TenantIsolationMode", "PER_TENANT")?;
        let metadata = self.resource.place.at("Metadata");
        let metadata =
            Fields::new(self.resource.metadata.clone(), metadata, &["BuildMethod", "BuildProperties"])?;
        metadata.only("BuildMethod", "rust-cargolambda")?;
        Ok(Function {
            name: self.resource.id.clone(),
            arn: self.arn()?,
            binary: metadata.inner("BuildProperties", &["Binary"])?.text("Binary")?,
            role_arn: fields.text("Role")?,
            environment: fields.inner("Environment", &["Variables"])?.text_map("Variables")?,
            timeout_s: fields.number("Timeout", 3)?,
            memory_mib: fields.number("MemorySize", 128)?,
            isolated: !tenancy.value("TenantIsolationMode").is_null(),
        })
    }

    /// An `AWS::IAM::Role`.
    ///
    /// # Errors
    /// A property that is not understood: it could give or take a right.
    pub(super) fn role(&self) -> Result<Role, TemplateError> {
        let read = ["AssumeRolePolicyDocument", "Policies", "ManagedPolicyArns", "MaxSessionDuration"];
        let fields = self.fields(&read, &["Description", "Tags"])?;
        // The only one of AWS's own policies that is known to matter to nothing on the laptop.
        let logs = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs";
        if let Some(arn) = fields.texts("ManagedPolicyArns")?.iter().find(|arn| *arn != logs) {
            let place = fields.place.at("ManagedPolicyArns");
            return Err(place.error(format!("the rights that {arn} gives are not known")));
        }
        let mut policies = Vec::new();
        for (at, policy) in fields.value("Policies").as_array().into_iter().flatten().enumerate() {
            let place = fields.place.at("Policies").at(at);
            let policy = Fields::new(policy.clone(), place, &["PolicyName", "PolicyDocument"])?;
            policies.push(policy.policy("PolicyDocument")?);
        }
        Ok(Role {
            arn: self.arn()?,
            name: self.reference()?,
            trust: fields.policy("AssumeRolePolicyDocument")?,
            policies,
            max_session_s: fields.number("MaxSessionDuration", 3600)?,
        })
    }

    /// An `AWS::IAM::Policy` or `AWS::IAM::ManagedPolicy`.
    ///
    /// # Errors
    /// A property that is not understood, for instance users.
    pub(super) fn attachment(&self) -> Result<Attachment, TemplateError> {
        let fields = self.fields(&["Roles", "PolicyDocument"], &["PolicyName", "Description"])?;
        let document = fields.policy("PolicyDocument")?;
        Ok(Attachment { roles: fields.texts("Roles")?, document, place: fields.place })
    }

    /// An `AWS::DynamoDB::Table`.
    ///
    /// # Errors
    /// A property that is not understood.
    pub(super) fn table(&self) -> Result<Table, TemplateError> {
        let created = [
            "TableName",
            "BillingMode",
            "AttributeDefinitions",
            "KeySchema",
            "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes",
            "DeletionProtectionEnabled",
        ];
        let read = [created.as_slice(), &["StreamSpecification", "TimeToLiveSpecification"]].concat();
        let fields = self.fields(&read, &["PointInTimeRecoverySpecification", "Tags"])?;
        let mut create = Map::new();
        for key in created.into_iter().filter(|key| !fields.value(key).is_null()) {
            create.insert(key.to_owned(), fields.value(key).clone());
        }
        // CloudFormation leaves out what DynamoDB's own request has to say.
        if !fields.value("StreamSpecification").is_null() {
            let stream = fields.inner("StreamSpecification", &["StreamViewType"])?.text("StreamViewType")?;
            let stream = json!({ "StreamEnabled": true, "StreamViewType": stream });
            create.insert("StreamSpecification".to_owned(), stream);
        }
        let ttl = fields.inner("TimeToLiveSpecification", &["AttributeName", "Enabled"])?;
        Ok(Table {
            name: self.reference()?,
            arn: self.arn()?,
            create: Value::Object(create),
            ttl_attribute: if ttl.is_true("Enabled") { Some(ttl.text("AttributeName")?) } else { None },
        })
    }

    /// An `AWS::Lambda::EventSourceMapping` of a table's stream. How long it tries again, and what becomes of what fails,
    /// is not the template's to say on the laptop.
    ///
    /// # Errors
    /// A property that is not understood, or a pattern that is none of JSON.
    pub(super) fn mapping(&self) -> Result<Mapping, TemplateError> {
        let read = [
            "FunctionName",
            "EventSourceArn",
            "StartingPosition",
            "BatchSize",
            "FilterCriteria",
            "FunctionResponseTypes",
        ];
        let ignored = [
            "BisectBatchOnFunctionError",
            "DestinationConfig",
            "MaximumBatchingWindowInSeconds",
            "MaximumRecordAgeInSeconds",
        ];
        let fields = self.fields(&read, &ignored)?;
        fields.only("StartingPosition", "TRIM_HORIZON")?;
        if fields.texts("FunctionResponseTypes")? != ["ReportBatchItemFailures"] {
            let place = fields.place.at("FunctionResponseTypes");
            return Err(place.error("the laptop knows ReportBatchItemFailures alone"));
        }
        let filters = fields.inner("FilterCriteria", &["Filters"])?;
        let mut patterns = Vec::new();
        for (at, filter) in filters.value("Filters").as_array().into_iter().flatten().enumerate() {
            let place = filters.place.at("Filters").at(at);
            let filter = Fields::new(filter.clone(), place, &["Pattern"])?;
            let pattern = serde_json::from_str(&filter.text("Pattern")?);
            patterns.push(pattern.map_err(|err| filter.place.error(err.to_string()))?);
        }
        Ok(Mapping {
            function: fields.text("FunctionName")?,
            stream_arn: fields.text("EventSourceArn")?,
            batch_records_max: fields.number("BatchSize", 100)?,
            patterns,
        })
    }

    /// An `AWS::KMS::Key`, symmetric.
    ///
    /// # Errors
    /// A property that is not understood.
    pub(super) fn key(&self) -> Result<Key, TemplateError> {
        let fields = self
            .fields(&["KeyPolicy"], &["Description", "EnableKeyRotation", "PendingWindowInDays", "Tags"])?;
        Ok(Key { name: self.resource.id.clone(), arn: self.arn()?, policy: fields.policy("KeyPolicy")? })
    }

    /// An `AWS::SecretsManager::Secret` that AWS makes up.
    ///
    /// # Errors
    /// A property that is not understood, for instance a secret in the template.
    pub(super) fn secret(&self) -> Result<Secret, TemplateError> {
        let fields = self.fields(&["GenerateSecretString"], &["Description", "Tags"])?;
        Ok(Secret {
            name: self.resource.id.clone(),
            arn: self.reference()?,
            generate: fields.value("GenerateSecretString").clone(),
        })
    }
}

/// SAM's globals: mappings are merged, lists follow one another, all else is replaced.
fn merge(below: &mut Value, above: &Value) {
    match (below, above) {
        // An intrinsic is a value, not a mapping to merge into.
        (Value::Object(below), Value::Object(above))
            if !above.keys().chain(below.keys()).any(|key| key == "Ref" || key.starts_with("Fn::")) =>
        {
            for (key, value) in above {
                merge(below.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(below), Value::Array(above)) => below.extend(above.iter().cloned()),
        (below, above) => *below = above.clone(),
    }
}
