//! The deployment's templates, resolved: the one list of functions, routes, roles, policies and tables.

mod document;
mod fields;
mod http_api;
mod intrinsic;
mod load;
mod physical;
mod place;
mod resources;
mod rest_api;
mod scope;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

/// What in which template the laptop can't follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    place: String,
    problem: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl std::error::Error for TemplateError {}

/// Everything that the local stack needs of `template.yaml` and the nested stacks in `infra/`.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Twelve digits.
    pub account: String,
    /// For instance `eu-central-1`.
    pub region: String,
    /// The functions, in the order of the template.
    pub functions: Vec<Function>,
    /// The edge that the parameters chose.
    pub api: Api,
    /// Every role, the functions' own among them.
    pub roles: Vec<Role>,
    /// Every table.
    pub tables: Vec<Table>,
    /// Every KMS key.
    pub keys: Vec<Key>,
    /// Every Secrets Manager secret.
    pub secrets: Vec<Secret>,
    /// What gives streams to functions.
    pub mappings: Vec<Mapping>,
}

impl Stack {
    /// ARNs of the roles of functions that follow a stream, and of the roles that only those may assume.
    #[must_use]
    pub fn followers(&self) -> BTreeSet<String> {
        let follows = |name: &String| self.mappings.iter().any(|mapping| mapping.function == *name);
        let followers = self.functions.iter().filter(|function| follows(&function.name));
        let mut arns: BTreeSet<String> = followers.map(|function| function.role_arn.clone()).collect();
        let is_theirs = |role: &&Role| {
            let statements = role.trust.get("Statement").and_then(Value::as_array);
            let by = |statement: &Value| {
                let principal = statement.pointer("/Principal/AWS").and_then(Value::as_str);
                principal.is_some_and(|arn| arns.contains(arn))
            };
            statements.is_some_and(|statements| statements.iter().all(by))
        };
        let theirs: Vec<String> = self.roles.iter().filter(is_theirs).map(|role| role.arn.clone()).collect();
        arns.extend(theirs);
        arns
    }
}

/// One Lambda function.
#[derive(Debug, Clone)]
pub struct Function {
    /// The logical id in the template, which is the name of the function on the laptop.
    pub name: String,
    /// `arn:aws:lambda:<region>:<account>:function:<name>`.
    pub arn: String,
    /// The binary's name: also its folder in `functions/`.
    pub binary: String,
    /// The role that the function runs as.
    pub role_arn: String,
    /// Resolved environment variables, without those that Lambda adds.
    pub environment: BTreeMap<String, String>,
    /// Lambda's timeout.
    pub timeout_s: u32,
    /// Lambda's memory, of which the laptop only tells the function.
    pub memory_mib: u32,
    /// Whether `TenancyConfig.TenantIsolationMode` is `PER_TENANT`.
    pub isolated: bool,
}

/// The API Gateway edge.
#[derive(Debug, Clone)]
pub struct Api {
    /// The API's id, as in `requestContext.apiId`.
    pub id: String,
    /// Which of API Gateway's two products, and so which event version.
    pub kind: ApiKind,
    /// As in `requestContext.stage`.
    pub stage: String,
    /// Every route; the most specific match wins, as in API Gateway.
    pub routes: Vec<Route>,
    /// By the name that routes use.
    pub authorizers: BTreeMap<String, Authorizer>,
    /// REST only: by response type, for instance `ACCESS_DENIED`.
    pub gateway_responses: BTreeMap<String, GatewayResponse>,
    /// REST only: media types whose bodies are no text.
    pub binary_media_types: Vec<String>,
}

impl Api {
    /// Whether a header names, as its first media type, one whose bodies are no text.
    pub(crate) fn is_binary(&self, header: Option<&str>) -> bool {
        let first = header.and_then(|header| header.split([',', ';']).next()).unwrap_or_default();
        let is = |binary: &str| binary == "*/*" || binary.eq_ignore_ascii_case(first.trim());
        self.binary_media_types.iter().any(|binary| is(binary))
    }
}

/// REST API (v1 events) or HTTP API (v2 events).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKind {
    /// `AWS::ApiGateway::RestApi` and its SAM form.
    Rest,
    /// `AWS::ApiGatewayV2::Api` and its SAM form.
    Http,
}

/// One method of one resource.
#[derive(Debug, Clone)]
pub struct Route {
    /// Upper case, or `ANY`.
    pub method: String,
    /// API Gateway's form: `/{tenant}/mcp`, `/.well-known/{proxy+}`.
    pub path: String,
    /// The function's ARN.
    pub function_arn: String,
    /// A name in [`Api::authorizers`].
    pub authorizer: Option<String>,
    /// Integration request parameters, for instance
    /// `integration.request.header.X-Amz-Tenant-Id` → `context.authorizer.tenantId`.
    pub request_parameters: BTreeMap<String, String>,
}

/// What decides before the function runs.
#[derive(Debug, Clone)]
pub enum Authorizer {
    /// A Lambda authorizer of type REQUEST.
    Request {
        /// The authorizer function's ARN.
        function_arn: String,
        /// REST form `method.request.header.Host`, HTTP form `$request.header.Authorization`.
        identity_sources: Vec<String>,
        /// 0 is never cached, the only value that the local stack accepts.
        ttl_s: u32,
        /// HTTP APIs only: `enableSimpleResponses`.
        simple_responses: bool,
    },
    /// An HTTP API's native JWT authorizer.
    Jwt {
        /// The `iss` that it demands; its discovery document names the keys.
        issuer: String,
        /// Any of these in `aud`.
        audiences: Vec<String>,
        /// `$request.header.Authorization`.
        identity_source: String,
    },
}

/// A REST API's own answer.
#[derive(Debug, Clone)]
pub struct GatewayResponse {
    /// Status code in place of the default one.
    pub status: Option<u16>,
    /// `gatewayresponse.header.<name>` → expression: `'literal'` or `context.authorizer.<key>`.
    pub parameters: BTreeMap<String, String>,
    /// By content type.
    pub templates: BTreeMap<String, String>,
}

/// One IAM role.
#[derive(Debug, Clone)]
pub struct Role {
    /// `arn:aws:iam::<account>:role/<name>`.
    pub arn: String,
    /// The last part of the ARN.
    pub name: String,
    /// The trust policy document.
    pub trust: Value,
    /// Every permission policy document: inline, and of `AWS::IAM::Policy` and `AWS::IAM::ManagedPolicy`.
    pub policies: Vec<Value>,
    /// Longest session that AssumeRole gives.
    pub max_session_s: u32,
}

/// One DynamoDB table.
#[derive(Debug, Clone)]
pub struct Table {
    /// The table's name.
    pub name: String,
    /// `arn:aws:dynamodb:<region>:<account>:table/<name>`.
    pub arn: String,
    /// A DynamoDB `CreateTable` request in its wire form.
    pub create: Value,
    /// The attribute of `TimeToLiveSpecification`, when enabled.
    pub ttl_attribute: Option<String>,
}

/// One event source mapping: a table's stream, for a function.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The function's name.
    pub function: String,
    /// `arn:aws:dynamodb:<region>:<account>:table/<name>/stream/local`.
    pub stream_arn: String,
    /// Most records of a batch.
    pub batch_records_max: u32,
    /// Patterns of records, one of which must match; all records where there is none.
    pub patterns: Vec<Value>,
}

/// One symmetric KMS key.
#[derive(Debug, Clone)]
pub struct Key {
    /// The logical id.
    pub name: String,
    /// `arn:aws:kms:<region>:<account>:key/<uuid>`, the same in every run.
    pub arn: String,
    /// The key policy document.
    pub policy: Value,
}

/// One Secrets Manager secret.
#[derive(Debug, Clone)]
pub struct Secret {
    /// The logical id.
    pub name: String,
    /// `arn:aws:secretsmanager:<region>:<account>:secret:<name>-<six letters>`, the same in every run.
    pub arn: String,
    /// `GenerateSecretString`, verbatim.
    pub generate: Value,
}
