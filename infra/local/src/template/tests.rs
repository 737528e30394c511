//! The repository's own templates, and what is wrong with others.

mod policies;
mod refusals;
mod routes;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Role, Stack, TemplateError};

const OPERATOR: &str = "arn:aws:iam::000000000000:user/operator";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn load(changes: &[(&str, &str)]) -> Result<Stack, TemplateError> {
    let laptop = [
        ("BaseDomain", "localhost"),
        ("PublicPort", "9000"),
        ("Issuer", "http://127.0.0.1:9001"),
        ("CertificateArn", "arn:aws:acm:eu-central-1:000000000000:certificate/laptop"),
        ("OperatorPrincipal", OPERATOR),
    ];
    let parameters = laptop.iter().chain(changes).map(|(name, value)| (name.to_string(), value.to_string()));
    Stack::load(&root(), &parameters.collect::<BTreeMap<_, _>>())
}

fn edges() -> [Stack; 2] {
    [load(&[("Edge", "rest")]).unwrap(), load(&[("Edge", "http")]).unwrap()]
}

/// JSON with sorted keys: serde_json keeps the order of the file as soon as any crate asks it to.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries: BTreeMap<_, _> = entries.iter().map(|(key, value)| (key, sorted(value))).collect();
            let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(", ")),
        scalar => scalar.to_string(),
    }
}

fn role<'a>(stack: &'a Stack, name: &str) -> &'a Role {
    stack.roles.iter().find(|role| role.name == name).unwrap()
}

#[test]
fn every_function_gets_the_settings_it_uses_and_no_others() {
    let stack = load(&[("Edge", "rest"), ("TenantIsolation", "on")]).unwrap();
    let common = ["BASE_DOMAIN", "EDGE", "ISSUER", "LOG_LEVEL", "PUBLIC_PORT", "REGISTRY_TABLE"];
    let mut table = String::new();
    for function in &stack.functions {
        assert!(common.iter().all(|name| function.environment.contains_key(*name)), "{}", function.name);
        let own = function.environment.iter().filter(|(name, _)| !common.contains(&name.as_str()));
        let own: Vec<_> = own.map(|(name, value)| format!("{name}={value}")).collect();
        let (name, binary, timeout_s) = (&function.name, &function.binary, function.timeout_s);
        table += &format!("{name} {binary} {timeout_s}s isolated={} {own:?}\n", function.isolated);
    }
    insta::assert_snapshot!(table, @r#"
    McpFunction mcp 10s isolated=true ["COLLECTIONS=", "CONTACT=", "DATA_TABLE=insula-dev-data", "ISOLATION=on", "ITEM_URL=", "KEYS_TABLE=insula-dev-keys", "METRICS_BY_TENANT=", "METRICS_NAMESPACE=Insula/dev", "SEALING_SECRET=arn:aws:secretsmanager:eu-central-1:000000000000:secret:SealingSecret-Sealin", "TENANTS_KEY=arn:aws:kms:eu-central-1:000000000000:key/54656e61-6e74-734b-6579-000000000000", "VEND_FUNCTION=arn:aws:lambda:eu-central-1:000000000000:function:VendFunction"]
    ItemsFunction items 10s isolated=true ["COLLECTIONS=", "CONTACT=", "DATA_TABLE=insula-dev-data", "ISOLATION=on", "METRICS_BY_TENANT=", "METRICS_NAMESPACE=Insula/dev", "SEALING_SECRET=arn:aws:secretsmanager:eu-central-1:000000000000:secret:SealingSecret-Sealin", "VEND_FUNCTION=arn:aws:lambda:eu-central-1:000000000000:function:VendFunction"]
    ConfigFunction config 10s isolated=true ["COLLECTIONS=", "CONTACT=", "DATA_TABLE=insula-dev-data", "DOMAINS_FUNCTION=arn:aws:lambda:eu-central-1:000000000000:function:DomainsFunction", "ISOLATION=on", "METRICS_BY_TENANT=", "METRICS_NAMESPACE=Insula/dev", "SEALING_SECRET=arn:aws:secretsmanager:eu-central-1:000000000000:secret:SealingSecret-Sealin", "VEND_FUNCTION=arn:aws:lambda:eu-central-1:000000000000:function:VendFunction"]
    SecretsFunction secrets 10s isolated=true ["CONTACT=", "DATA_TABLE=insula-dev-data", "ISOLATION=on", "KEYS_TABLE=insula-dev-keys", "METRICS_BY_TENANT=", "METRICS_NAMESPACE=Insula/dev", "SEALING_SECRET=arn:aws:secretsmanager:eu-central-1:000000000000:secret:SealingSecret-Sealin", "TENANTS_KEY=arn:aws:kms:eu-central-1:000000000000:key/54656e61-6e74-734b-6579-000000000000", "VEND_FUNCTION=arn:aws:lambda:eu-central-1:000000000000:function:VendFunction"]
    UsageFunction usage 10s isolated=true ["CONTACT=", "DATA_TABLE=insula-dev-data", "ISOLATION=on", "METRICS_BY_TENANT=", "METRICS_NAMESPACE=Insula/dev", "SEALING_SECRET=arn:aws:secretsmanager:eu-central-1:000000000000:secret:SealingSecret-Sealin", "VEND_FUNCTION=arn:aws:lambda:eu-central-1:000000000000:function:VendFunction"]
    AuditFunction audit 10s isolated=true ["CONTACT=", "DATA_TABLE=insula-dev-data", "ISOLATION=on", "METRICS_BY_TENANT=", "METRICS_NAMESPACE=Insula/dev", "SEALING_SECRET=arn:aws:secretsmanager:eu-central-1:000000000000:secret:SealingSecret-Sealin", "VEND_FUNCTION=arn:aws:lambda:eu-central-1:000000000000:function:VendFunction"]
    AuthorizeFunction authorize 5s isolated=false ["DATA_TABLE=insula-dev-data", "METRICS_NAMESPACE=Insula/dev"]
    VendFunction vend 5s isolated=false ["METRICS_NAMESPACE=Insula/dev", "TENANT_ROLE_ARN=arn:aws:iam::000000000000:role/TenantRole"]
    DomainsFunction domains 5s isolated=false ["DNS_RESOLVER=", "SEALING_SECRET=arn:aws:secretsmanager:eu-central-1:000000000000:secret:SealingSecret-Sealin"]
    DiscoverFunction discover 5s isolated=false ["APPS_CHALLENGE="]
    MeterFunction meter 30s isolated=false ["COLLECTIONS=", "DATA_TABLE=insula-dev-data", "INDEX_ROLE_ARN=arn:aws:iam::000000000000:role/IndexRole", "METRICS_NAMESPACE=Insula/dev"]
    "#);
    let mcp = &stack.functions.first().unwrap().environment;
    assert_eq!(mcp["EDGE"], "rest");
    assert_eq!(mcp["BASE_DOMAIN"], "localhost");
    assert_eq!(mcp["PUBLIC_PORT"], "9000");
    assert_eq!(mcp["ISSUER"], "http://127.0.0.1:9001");
    assert_eq!(mcp["LOG_LEVEL"], "info");
    assert_eq!(mcp["REGISTRY_TABLE"], "insula-dev-registry");
}

#[test]
fn isolation_mode_is_off_unless_asked_for_and_refused_behind_an_http_api() {
    let stack = load(&[("Edge", "rest")]).unwrap();
    assert!(stack.functions.iter().all(|function| !function.isolated));
    assert_eq!(stack.functions.first().unwrap().environment["ISOLATION"], "off");
    assert!(stack.api.routes.iter().all(|route| route.request_parameters.is_empty()));

    let error = load(&[("Edge", "http"), ("TenantIsolation", "on")]).unwrap_err().to_string();
    assert!(error.starts_with("template.yaml: Rules.IsolationNeedsRest: "), "{error}");
}

#[test]
fn tables_are_what_dynamodb_is_asked_to_create() {
    let [stack, _] = edges();
    let names: Vec<_> = stack.tables.iter().map(|t| (t.name.as_str(), t.ttl_attribute.as_deref())).collect();
    let expected =
        [("insula-dev-registry", None), ("insula-dev-data", Some("ttl")), ("insula-dev-keys", None)];
    assert_eq!(names, expected);
    let data = stack.tables.iter().find(|table| table.name == "insula-dev-data").unwrap();
    assert_eq!(data.arn, "arn:aws:dynamodb:eu-central-1:000000000000:table/insula-dev-data");
    insta::assert_snapshot!(sorted(&data.create), @r#"{AttributeDefinitions: [{AttributeName: "pk", AttributeType: "S"}, {AttributeName: "sk", AttributeType: "S"}, {AttributeName: "updated", AttributeType: "S"}, {AttributeName: "i1pk", AttributeType: "S"}, {AttributeName: "i1sk", AttributeType: "S"}, {AttributeName: "i2pk", AttributeType: "S"}, {AttributeName: "i2sk", AttributeType: "S"}, {AttributeName: "i3pk", AttributeType: "S"}, {AttributeName: "i3sk", AttributeType: "S"}], BillingMode: "PAY_PER_REQUEST", DeletionProtectionEnabled: true, GlobalSecondaryIndexes: [{IndexName: "by_updated", KeySchema: [{AttributeName: "pk", KeyType: "HASH"}, {AttributeName: "updated", KeyType: "RANGE"}], Projection: {ProjectionType: "ALL"}}, {IndexName: "index1", KeySchema: [{AttributeName: "i1pk", KeyType: "HASH"}, {AttributeName: "i1sk", KeyType: "RANGE"}], Projection: {ProjectionType: "ALL"}}, {IndexName: "index2", KeySchema: [{AttributeName: "i2pk", KeyType: "HASH"}, {AttributeName: "i2sk", KeyType: "RANGE"}], Projection: {ProjectionType: "ALL"}}, {IndexName: "index3", KeySchema: [{AttributeName: "i3pk", KeyType: "HASH"}, {AttributeName: "i3sk", KeyType: "RANGE"}], Projection: {ProjectionType: "ALL"}}], KeySchema: [{AttributeName: "pk", KeyType: "HASH"}, {AttributeName: "sk", KeyType: "RANGE"}], StreamSpecification: {StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES"}, TableName: "insula-dev-data"}"#);
    assert!(stack.tables.iter().all(|table| table.create["DeletionProtectionEnabled"] == true));
}

#[test]
fn names_are_the_same_in_every_run_and_follow_the_region() {
    let [stack, _] = edges();
    let again = load(&[("Edge", "rest"), ("AWS::Region", "us-east-1")]).unwrap();
    let [key] = stack.keys.as_slice() else { panic!("one key") };
    let [secret] = stack.secrets.as_slice() else { panic!("one secret") };
    insta::assert_snapshot!(format!("{}\n{}", key.arn, secret.arn), @r"
    arn:aws:kms:eu-central-1:000000000000:key/54656e61-6e74-734b-6579-000000000000
    arn:aws:secretsmanager:eu-central-1:000000000000:secret:SealingSecret-Sealin
    ");
    assert_eq!(secret.generate["PasswordLength"], 64);
    assert_eq!(again.keys.first().unwrap().arn, key.arn.replace("eu-central-1", "us-east-1"));
}
