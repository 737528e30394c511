//! Who may do what, statement by statement: a statement that is taken out of the template is missed here.

use serde_json::Value;

use super::{OPERATOR, edges, load, role, sorted};

fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap()).collect(),
        Value::String(text) => vec![text],
        other => panic!("{other}"),
    }
}

fn statements(policies: &[Value]) -> impl Iterator<Item = &Value> {
    policies.iter().flat_map(|policy| policy["Statement"].as_array().unwrap())
}

/// A line a statement: effect, actions, resources without what all ARNs have in common, condition.
fn table(policies: &[Value]) -> String {
    let lines = statements(policies).map(|statement| {
        let texts = |key: &str| list(&statement[key]).join(" ").replace(":eu-central-1:000000000000:", ":");
        let condition = match &statement["Condition"] {
            Value::Null => String::new(),
            condition => format!(" {}", sorted(condition)),
        };
        let (sid, effect) = (statement["Sid"].as_str().unwrap(), statement["Effect"].as_str().unwrap());
        format!("{sid}: {effect} {} ON {}{condition}\n", texts("Action"), texts("Resource"))
    });
    lines.collect()
}

#[test]
fn a_tenant_reaches_its_own_families_and_nothing_else() {
    let [stack, _] = edges();
    let tenant = role(&stack, "TenantRole");
    insta::assert_snapshot!(table(&tenant.policies), @r#"
    Items: Allow dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query dynamodb:PutItem dynamodb:UpdateItem dynamodb:DeleteItem dynamodb:ConditionCheckItem ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-${aws:PrincipalTag/tenant} {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#ITEM#*", "TENANT#${aws:PrincipalTag/tenant}#SETTINGS", "TENANT#${aws:PrincipalTag/tenant}#SECRET", "TENANT#${aws:PrincipalTag/tenant}#MEMBER", "TENANT#${aws:PrincipalTag/tenant}#ASSET", "TENANT#${aws:PrincipalTag/tenant}#DOMAIN"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Indexes: Allow dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-data/index/by_updated arn:aws:dynamodb:table/insula-dev-data/index/index1 arn:aws:dynamodb:table/insula-dev-data/index/index2 arn:aws:dynamodb:table/insula-dev-data/index/index3 arn:aws:dynamodb:table/insula-dev-data-${aws:PrincipalTag/tenant}/index/by_updated arn:aws:dynamodb:table/insula-dev-data-${aws:PrincipalTag/tenant}/index/index1 arn:aws:dynamodb:table/insula-dev-data-${aws:PrincipalTag/tenant}/index/index2 arn:aws:dynamodb:table/insula-dev-data-${aws:PrincipalTag/tenant}/index/index3 {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#ITEM#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Meter: Allow dynamodb:GetItem dynamodb:UpdateItem ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-${aws:PrincipalTag/tenant} {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#METER"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Idempotency: Allow dynamodb:GetItem dynamodb:PutItem dynamodb:ConditionCheckItem ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-${aws:PrincipalTag/tenant} {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#IDEM#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Audit: Allow dynamodb:PutItem dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-${aws:PrincipalTag/tenant} {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#AUDIT#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Search: Allow dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-${aws:PrincipalTag/tenant} {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#SEARCH#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    News: Allow dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-${aws:PrincipalTag/tenant} {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#SEARCH#NEWS"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Plan: Allow dynamodb:GetItem dynamodb:ConditionCheckItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#PLAN"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Rollups: Allow dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#ROLLUP#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    WrappedKeys: Allow dynamodb:GetItem dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-keys {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#KEY"]}, Null: {dynamodb:LeadingKeys: "false"}}
    NeverWithoutLeadingKeys: Deny dynamodb:Scan dynamodb:PartiQL* dynamodb:GetRecords dynamodb:Export* dynamodb:Search* ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data/* arn:aws:dynamodb:table/insula-dev-data-* arn:aws:dynamodb:table/insula-dev-keys arn:aws:dynamodb:table/insula-dev-keys/*
    DataKey: Allow kms:GenerateDataKey kms:Decrypt ON arn:aws:kms:key/54656e61-6e74-734b-6579-000000000000 {ForAllValues:StringEquals: {kms:EncryptionContextKeys: ["tenant"]}, Null: {kms:EncryptionContext:tenant: "false", kms:EncryptionContextKeys: "false"}, StringEquals: {kms:EncryptionContext:tenant: "${aws:PrincipalTag/tenant}"}}
    OwnDataKey: Allow kms:GenerateDataKey kms:Decrypt ON arn:aws:kms:key/* {ForAllValues:StringEquals: {kms:EncryptionContextKeys: ["tenant"]}, Null: {aws:ResourceTag/tenant: "false", kms:EncryptionContext:tenant: "false", kms:EncryptionContextKeys: "false"}, StringEquals: {aws:ResourceTag/tenant: "${aws:PrincipalTag/tenant}", kms:EncryptionContext:tenant: "${aws:PrincipalTag/tenant}"}}
    NeverPassTheKeyOn: Deny kms:CreateGrant kms:ReEncrypt* ON *
    "#);
    assert_eq!(tenant.max_session_s, 3600);
}

#[test]
fn a_merge_reaches_the_index_of_one_tenant_and_its_plan() {
    let [stack, _] = edges();
    let index = role(&stack, "IndexRole");
    insta::assert_snapshot!(table(&index.policies), @r#"
    Search: Allow dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query dynamodb:PutItem dynamodb:DeleteItem dynamodb:BatchWriteItem ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-${aws:PrincipalTag/tenant} {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#SEARCH#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Plan: Allow dynamodb:GetItem dynamodb:ConditionCheckItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#${aws:PrincipalTag/tenant}#PLAN"]}, Null: {dynamodb:LeadingKeys: "false"}}
    NeverWithoutLeadingKeys: Deny dynamodb:Scan dynamodb:PartiQL* dynamodb:GetRecords dynamodb:Export* dynamodb:Search* ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data/* arn:aws:dynamodb:table/insula-dev-data-*
    "#);
    assert_eq!(index.max_session_s, 3600);
}

#[test]
fn only_vend_becomes_a_tenant_and_only_meter_its_index_and_with_one_tag_of_an_ids_length() {
    let [stack, _] = edges();
    let conditions = [("TenantRole", "VendRole"), ("IndexRole", "MeterRole")].map(|(name, by)| {
        let trust = &role(&stack, name).trust;
        let [statement] = trust["Statement"].as_array().unwrap().as_slice() else { panic!("{trust}") };
        assert_eq!(statement["Principal"]["AWS"], role(&stack, by).arn);
        assert_eq!(list(&statement["Action"]), ["sts:AssumeRole", "sts:TagSession"]);
        let pattern = statement["Condition"]["StringLike"]["aws:RequestTag/tenant"].as_str().unwrap();
        assert_eq!(pattern, "?".repeat(26));
        sorted(&statement["Condition"])
    });
    assert_eq!(conditions[0], conditions[1]);
    insta::assert_snapshot!(conditions[0], @r#"{ForAllValues:StringEquals: {aws:TagKeys: ["tenant"]}, Null: {aws:RequestTag/tenant: "false", aws:TagKeys: "false", sts:TransitiveTagKeys: "true"}, StringLike: {aws:RequestTag/tenant: "??????????????????????????"}}"#);
}

#[test]
fn functions_have_the_fewest_rights() {
    let [stack, http] = edges();
    let mut all = String::new();
    for function in &stack.functions {
        let role = stack.roles.iter().find(|role| role.arn == function.role_arn).unwrap();
        assert_eq!(role.trust["Statement"][0]["Principal"]["Service"], "lambda.amazonaws.com");
        all += &format!("{}\n{}", role.name, table(&role.policies));
    }
    insta::assert_snapshot!(all, @r#"
    McpRole
    Logs: Allow logs:CreateLogStream logs:PutLogEvents ON arn:aws:logs:log-group:/insula/dev/mcp:*
    SealingSecret: Allow secretsmanager:GetSecretValue ON arn:aws:secretsmanager:secret:SealingSecret-Sealin
    Routing: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringEquals: {dynamodb:Attributes: ["pk", "tenant", "slug", "status", "tier", "epoch", "issuers", "origins", "host", "jwks_uri", "profile", "claims", "sole_tenant", "role_claim", "name"]}, Null: {dynamodb:Attributes: "false"}, StringEqualsIfExists: {dynamodb:Select: "SPECIFIC_ATTRIBUTES"}}
    TellTheOperator: Allow events:PutEvents ON arn:aws:events:event-bus/default
    Denials: Allow dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["OPERATOR#DENIALS#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Vend: Allow lambda:InvokeFunction ON arn:aws:lambda:function:VendFunction
    ItemsRole
    Logs: Allow logs:CreateLogStream logs:PutLogEvents ON arn:aws:logs:log-group:/insula/dev/items:*
    SealingSecret: Allow secretsmanager:GetSecretValue ON arn:aws:secretsmanager:secret:SealingSecret-Sealin
    Routing: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringEquals: {dynamodb:Attributes: ["pk", "tenant", "slug", "status", "tier", "epoch", "issuers", "origins", "host", "jwks_uri", "profile", "claims", "sole_tenant", "role_claim", "name"]}, Null: {dynamodb:Attributes: "false"}, StringEqualsIfExists: {dynamodb:Select: "SPECIFIC_ATTRIBUTES"}}
    TellTheOperator: Allow events:PutEvents ON arn:aws:events:event-bus/default
    Denials: Allow dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["OPERATOR#DENIALS#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Vend: Allow lambda:InvokeFunction ON arn:aws:lambda:function:VendFunction
    ConfigRole
    Logs: Allow logs:CreateLogStream logs:PutLogEvents ON arn:aws:logs:log-group:/insula/dev/config:*
    SealingSecret: Allow secretsmanager:GetSecretValue ON arn:aws:secretsmanager:secret:SealingSecret-Sealin
    Routing: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringEquals: {dynamodb:Attributes: ["pk", "tenant", "slug", "status", "tier", "epoch", "issuers", "origins", "host", "jwks_uri", "profile", "claims", "sole_tenant", "role_claim", "name"]}, Null: {dynamodb:Attributes: "false"}, StringEqualsIfExists: {dynamodb:Select: "SPECIFIC_ATTRIBUTES"}}
    TellTheOperator: Allow events:PutEvents ON arn:aws:events:event-bus/default
    Denials: Allow dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["OPERATOR#DENIALS#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Vend: Allow lambda:InvokeFunction ON arn:aws:lambda:function:VendFunction
    Domains: Allow lambda:InvokeFunction ON arn:aws:lambda:function:DomainsFunction
    SecretsRole
    Logs: Allow logs:CreateLogStream logs:PutLogEvents ON arn:aws:logs:log-group:/insula/dev/secrets:*
    SealingSecret: Allow secretsmanager:GetSecretValue ON arn:aws:secretsmanager:secret:SealingSecret-Sealin
    Routing: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringEquals: {dynamodb:Attributes: ["pk", "tenant", "slug", "status", "tier", "epoch", "issuers", "origins", "host", "jwks_uri", "profile", "claims", "sole_tenant", "role_claim", "name"]}, Null: {dynamodb:Attributes: "false"}, StringEqualsIfExists: {dynamodb:Select: "SPECIFIC_ATTRIBUTES"}}
    TellTheOperator: Allow events:PutEvents ON arn:aws:events:event-bus/default
    Denials: Allow dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["OPERATOR#DENIALS#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Vend: Allow lambda:InvokeFunction ON arn:aws:lambda:function:VendFunction
    UsageRole
    Logs: Allow logs:CreateLogStream logs:PutLogEvents ON arn:aws:logs:log-group:/insula/dev/usage:*
    SealingSecret: Allow secretsmanager:GetSecretValue ON arn:aws:secretsmanager:secret:SealingSecret-Sealin
    Routing: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringEquals: {dynamodb:Attributes: ["pk", "tenant", "slug", "status", "tier", "epoch", "issuers", "origins", "host", "jwks_uri", "profile", "claims", "sole_tenant", "role_claim", "name"]}, Null: {dynamodb:Attributes: "false"}, StringEqualsIfExists: {dynamodb:Select: "SPECIFIC_ATTRIBUTES"}}
    TellTheOperator: Allow events:PutEvents ON arn:aws:events:event-bus/default
    Denials: Allow dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["OPERATOR#DENIALS#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Vend: Allow lambda:InvokeFunction ON arn:aws:lambda:function:VendFunction
    AuditRole
    Logs: Allow logs:CreateLogStream logs:PutLogEvents ON arn:aws:logs:log-group:/insula/dev/audit:*
    SealingSecret: Allow secretsmanager:GetSecretValue ON arn:aws:secretsmanager:secret:SealingSecret-Sealin
    Routing: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringEquals: {dynamodb:Attributes: ["pk", "tenant", "slug", "status", "tier", "epoch", "issuers", "origins", "host", "jwks_uri", "profile", "claims", "sole_tenant", "role_claim", "name"]}, Null: {dynamodb:Attributes: "false"}, StringEqualsIfExists: {dynamodb:Select: "SPECIFIC_ATTRIBUTES"}}
    TellTheOperator: Allow events:PutEvents ON arn:aws:events:event-bus/default
    Denials: Allow dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["OPERATOR#DENIALS#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Vend: Allow lambda:InvokeFunction ON arn:aws:lambda:function:VendFunction
    AuthorizeRole
    Logs: Allow logs:CreateLogStream logs:PutLogEvents ON arn:aws:logs:log-group:/insula/dev/authorize:*
    Routing: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringEquals: {dynamodb:Attributes: ["pk", "tenant", "slug", "status", "tier", "epoch", "issuers", "origins", "host", "jwks_uri", "profile", "claims", "sole_tenant", "role_claim", "name"]}, Null: {dynamodb:Attributes: "false"}, StringEqualsIfExists: {dynamodb:Select: "SPECIFIC_ATTRIBUTES"}}
    TellTheOperator: Allow events:PutEvents ON arn:aws:events:event-bus/default
    Denials: Allow dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["OPERATOR#DENIALS#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    VendRole
    Logs: Allow logs:CreateLogStream logs:PutLogEvents ON arn:aws:logs:log-group:/insula/dev/vend:*
    TellTheOperator: Allow events:PutEvents ON arn:aws:events:event-bus/default
    BecomeTenant: Allow sts:AssumeRole sts:TagSession ON arn:aws:iam::000000000000:role/TenantRole
    Routing: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringEquals: {dynamodb:Attributes: ["pk", "tenant", "slug", "status", "tier", "epoch", "issuers", "origins", "host", "jwks_uri", "profile", "claims", "sole_tenant", "role_claim", "name"]}, Null: {dynamodb:Attributes: "false"}, StringEqualsIfExists: {dynamodb:Select: "SPECIFIC_ATTRIBUTES"}}
    DomainsRole
    Logs: Allow logs:CreateLogStream logs:PutLogEvents ON arn:aws:logs:log-group:/insula/dev/domains:*
    SealingSecret: Allow secretsmanager:GetSecretValue ON arn:aws:secretsmanager:secret:SealingSecret-Sealin
    Hosts: Allow dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["host/*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Routing: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringEquals: {dynamodb:Attributes: ["pk", "tenant", "slug", "status", "tier", "epoch", "issuers", "origins", "host", "jwks_uri", "profile", "claims", "sole_tenant", "role_claim", "name"]}, Null: {dynamodb:Attributes: "false"}, StringEqualsIfExists: {dynamodb:Select: "SPECIFIC_ATTRIBUTES"}}
    DiscoverRole
    Logs: Allow logs:CreateLogStream logs:PutLogEvents ON arn:aws:logs:log-group:/insula/dev/discover:*
    Routing: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringEquals: {dynamodb:Attributes: ["pk", "tenant", "slug", "status", "tier", "epoch", "issuers", "origins", "host", "jwks_uri", "profile", "claims", "sole_tenant", "role_claim", "name"]}, Null: {dynamodb:Attributes: "false"}, StringEqualsIfExists: {dynamodb:Select: "SPECIFIC_ATTRIBUTES"}}
    MeterRole
    Logs: Allow logs:CreateLogStream logs:PutLogEvents ON arn:aws:logs:log-group:/insula/dev/meter:*
    Stream: Allow dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator dynamodb:ListStreams ON arn:aws:dynamodb:table/insula-dev-data/stream/local arn:aws:dynamodb:table/insula-dev-data-??????????????????????????/stream/*
    FailedChanges: Allow sqs:SendMessage ON arn:aws:sqs:FailedChanges
    Heads: Allow dynamodb:BatchGetItem dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#HEAD#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Rollups: Allow dynamodb:BatchGetItem dynamodb:UpdateItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#ROLLUP#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Plans: Allow dynamodb:GetItem dynamodb:BatchGetItem dynamodb:ConditionCheckItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#PLAN"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Stock: Allow dynamodb:GetItem dynamodb:UpdateItem ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-?????????????????????????? {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#METER"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Shelves: Allow dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-?????????????????????????? {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#ITEM#*", "TENANT#??????????????????????????#SETTINGS", "TENANT#??????????????????????????#SECRET", "TENANT#??????????????????????????#MEMBER", "TENANT#??????????????????????????#ASSET", "TENANT#??????????????????????????#DOMAIN"]}, Null: {dynamodb:LeadingKeys: "false"}}
    TellTheOperator: Allow events:PutEvents ON arn:aws:events:event-bus/default
    MergeIndexes: Allow sts:AssumeRole sts:TagSession ON arn:aws:iam::000000000000:role/IndexRole
    "#);
    for stack in [&stack, &http] {
        let holders = stack.roles.iter().filter(|role| {
            statements(&role.policies).any(|statement| list(&statement["Action"]).contains(&"sts:AssumeRole"))
        });
        let holders: Vec<_> = holders.map(|role| role.name.as_str()).collect();
        assert_eq!(holders, ["MeterRole", "VendRole"], "who may assume such a role may do it for any tenant");
    }
}

#[test]
fn the_operator_plans_tenants_and_reads_nothing_of_theirs_but_counters_of_calls() {
    let [stack, _] = edges();
    let operator = role(&stack, "OperatorRole");
    assert_eq!(operator.trust["Statement"][0]["Principal"]["AWS"], OPERATOR);
    insta::assert_snapshot!(table(&operator.policies), @r#"
    Registry: Allow dynamodb:GetItem dynamodb:Query dynamodb:PutItem dynamodb:UpdateItem dynamodb:DeleteItem dynamodb:ConditionCheckItem ON arn:aws:dynamodb:table/insula-dev-registry
    Plans: Allow dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#PLAN"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Counters: Allow dynamodb:GetItem dynamodb:ConditionCheckItem ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-?????????????????????????? {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#METER"]}, Null: {dynamodb:LeadingKeys: "false"}}
    SealingSecret: Allow secretsmanager:PutSecretValue ON arn:aws:secretsmanager:secret:SealingSecret-Sealin
    "#);
    let without = load(&[("OperatorPrincipal", "")]).unwrap();
    let theirs = |name: &str| {
        matches!(
            name,
            "OperatorRole" | "MoverRole" | "KeeperRole" | "EraserRole" | "AuditorRole" | "AccountantRole"
        )
    };
    assert!(without.roles.iter().all(|role| !theirs(&role.name)));
    assert_eq!(without.roles.len().checked_add(6), Some(load(&[]).unwrap().roles.len()));
}

#[test]
fn the_keeper_has_keys_wrapped_anew_and_unwraps_none() {
    let [stack, _] = edges();
    insta::assert_snapshot!(table(&role(&stack, "KeeperRole").policies), @r#"
    AllKeys: Allow dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-keys/index/by_wrapped_at {ForAllValues:StringEquals: {dynamodb:LeadingKeys: ["KEY"]}, Null: {dynamodb:LeadingKeys: "false"}}
    WrappedKeys: Allow dynamodb:Query dynamodb:UpdateItem ON arn:aws:dynamodb:table/insula-dev-keys {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#KEY"]}, Null: {dynamodb:LeadingKeys: "false"}}
    WrapAnew: Allow kms:ReEncryptFrom kms:ReEncryptTo ON arn:aws:kms:key/54656e61-6e74-734b-6579-000000000000 {ForAllValues:StringEquals: {kms:EncryptionContextKeys: ["tenant"]}, Null: {kms:EncryptionContextKeys: "false"}}
    WrapUnderOwn: Allow kms:ReEncryptFrom kms:ReEncryptTo ON arn:aws:kms:key/* {ForAllValues:StringEquals: {kms:EncryptionContextKeys: ["tenant"]}, Null: {aws:ResourceTag/tenant: "false", kms:EncryptionContextKeys: "false"}, StringLike: {aws:ResourceTag/tenant: "??????????????????????????"}}
    MakeOwn: Allow kms:CreateKey kms:TagResource ON * {ForAllValues:StringEquals: {aws:TagKeys: ["tenant"]}, Null: {aws:RequestTag/tenant: "false", aws:TagKeys: "false"}, StringLike: {aws:RequestTag/tenant: "??????????????????????????"}}
    KeepOwn: Allow kms:EnableKeyRotation kms:ScheduleKeyDeletion ON arn:aws:kms:key/* {Null: {aws:ResourceTag/tenant: "false"}, StringLike: {aws:ResourceTag/tenant: "??????????????????????????"}}
    NeverUnwrap: Deny kms:Decrypt kms:GenerateDataKey* kms:CreateGrant ON *
    "#);
}

#[test]
fn the_eraser_removes_what_it_can_not_read() {
    let [stack, _] = edges();
    insta::assert_snapshot!(table(&role(&stack, "EraserRole").policies), @r#"
    Names: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["slug/*", "tenant/??????????????????????????"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Tombstones: Allow dynamodb:PutItem dynamodb:UpdateItem ON arn:aws:dynamodb:table/insula-dev-registry {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["tenant/??????????????????????????"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Plans: Allow dynamodb:GetItem dynamodb:PutItem dynamodb:ConditionCheckItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#PLAN"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Count: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-?????????????????????????? {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#METER"]}, Null: {dynamodb:LeadingKeys: "false"}}
    KeysOfRows: Allow dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-?????????????????????????? arn:aws:dynamodb:table/insula-dev-keys {ForAllValues:StringEquals: {dynamodb:Attributes: ["pk", "sk"]}, ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#*"]}, Null: {dynamodb:Attributes: "false", dynamodb:LeadingKeys: "false"}, StringEqualsIfExists: {dynamodb:Select: "SPECIFIC_ATTRIBUTES"}}
    Rows: Allow dynamodb:DeleteItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    DataKeys: Allow dynamodb:DeleteItem ON arn:aws:dynamodb:table/insula-dev-keys {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#KEY"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Trails: Allow dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-?????????????????????????? {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#AUDIT#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    TrailsWithoutCallers: Allow dynamodb:PutItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#AUDIT#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Tables: Allow dynamodb:DescribeTable dynamodb:UpdateTable dynamodb:DeleteTable ON arn:aws:dynamodb:table/insula-dev-data-??????????????????????????
    EndOwnKey: Allow kms:ScheduleKeyDeletion ON arn:aws:kms:key/* {Null: {aws:ResourceTag/tenant: "false"}, StringLike: {aws:ResourceTag/tenant: "??????????????????????????"}}
    NeverWithoutLeadingKeys: Deny dynamodb:Scan dynamodb:PartiQL* dynamodb:GetRecords dynamodb:Export* dynamodb:Search* ON *
    NeverUnwrap: Deny kms:Decrypt kms:GenerateDataKey* kms:ReEncrypt* kms:CreateGrant ON *
    Mappings: Allow lambda:DeleteEventSourceMapping ON * {StringEquals: {lambda:FunctionArn: "arn:aws:lambda:eu-central-1:000000000000:function:MeterFunction"}}
    ListMappings: Allow lambda:ListEventSourceMappings ON *
    "#);
}

#[test]
fn only_the_eraser_removes_data_keys() {
    for stack in edges() {
        let removes = |statement: &&Value| {
            statement["Effect"] == "Allow"
                && list(&statement["Resource"]).iter().any(|resource| resource.ends_with("-keys"))
                && list(&statement["Action"]).iter().any(|action| {
                    action.starts_with("dynamodb:Delete") || action.starts_with("dynamodb:BatchWrite")
                })
        };
        let removers = stack.roles.iter().filter(|role| statements(&role.policies).any(|one| removes(&one)));
        let removers: Vec<_> = removers.map(|role| role.name.as_str()).collect();
        assert_eq!(removers, ["EraserRole"]);
    }
}

#[test]
fn the_auditor_reads_trails_and_writes_nothing() {
    let [stack, _] = edges();
    insta::assert_snapshot!(table(&role(&stack, "AuditorRole").policies), @r#"
    Registry: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry
    Plans: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#PLAN"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Trails: Allow dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-?????????????????????????? {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#AUDIT#*", "TENANT#??????????????????????????#HEAD#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Denials: Allow dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["OPERATOR#DENIALS#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    "#);
}

#[test]
fn the_accountant_reads_what_was_used_and_writes_nothing_but_the_count() {
    let [stack, _] = edges();
    insta::assert_snapshot!(table(&role(&stack, "AccountantRole").policies), @r#"
    Registry: Allow dynamodb:GetItem ON arn:aws:dynamodb:table/insula-dev-registry
    AllTenants: Allow dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-registry/index/by_kind {ForAllValues:StringEquals: {dynamodb:LeadingKeys: ["TENANT"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Plans: Allow dynamodb:GetItem dynamodb:ConditionCheckItem ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#PLAN"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Rollups: Allow dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-data {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#ROLLUP#*"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Meters: Allow dynamodb:GetItem dynamodb:UpdateItem ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-?????????????????????????? {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#METER"]}, Null: {dynamodb:LeadingKeys: "false"}}
    Shelves: Allow dynamodb:Query ON arn:aws:dynamodb:table/insula-dev-data arn:aws:dynamodb:table/insula-dev-data-?????????????????????????? {ForAllValues:StringLike: {dynamodb:LeadingKeys: ["TENANT#??????????????????????????#ITEM#*", "TENANT#??????????????????????????#SETTINGS", "TENANT#??????????????????????????#SECRET", "TENANT#??????????????????????????#MEMBER", "TENANT#??????????????????????????#ASSET", "TENANT#??????????????????????????#DOMAIN"]}, Null: {dynamodb:LeadingKeys: "false"}}
    "#);
}

#[test]
fn no_condition_on_a_list_of_keys_is_without_its_null_guard() {
    for stack in edges() {
        for role in &stack.roles {
            let all = role.policies.iter().chain([&role.trust]);
            for statement in all.flat_map(|policy| policy["Statement"].as_array().unwrap()) {
                for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
                    if !operator.starts_with("ForAllValues:") {
                        continue;
                    }
                    for key in keys.as_object().unwrap().keys() {
                        assert_eq!(
                            statement["Condition"]["Null"][key], "false",
                            "{}: {statement}",
                            role.name
                        );
                    }
                }
            }
        }
    }
}

const METER: &str = "arn:aws:lambda:eu-central-1:000000000000:function:MeterFunction";

#[test]
fn no_allow_has_a_wildcard_for_a_resource_but_log_streams_tables_of_tenants_and_tagged_keys() {
    let [stack, _] = edges();
    for role in &stack.roles {
        for statement in statements(&role.policies).filter(|statement| statement["Effect"] == "Allow") {
            for resource in list(&statement["Resource"]) {
                let streams = resource.starts_with("arn:aws:logs:") && resource.ends_with(":*");
                // Who stands above tenants reaches tables of theirs, whose names are not known before.
                let above = matches!(
                    role.name.as_str(),
                    "OperatorRole"
                        | "MoverRole"
                        | "EraserRole"
                        | "AuditorRole"
                        | "AccountantRole"
                        | "MeterRole"
                );
                let table = resource.strip_suffix("/stream/*").unwrap_or(resource);
                let tables = above && table.ends_with("-data-??????????????????????????");
                // A tenant's own KMS key is one that has its tag, whatever it is called.
                let guards = &statement["Condition"]["Null"];
                let tagged = resource.starts_with("arn:aws:kms:")
                    && resource.ends_with(":key/*")
                    && guards["aws:ResourceTag/tenant"] == "false";
                // One that is still to be made has no name at all.
                let makes = resource == "*" && guards["aws:RequestTag/tenant"] == "false";
                // Who follows a stream is said of one function, and Lambda lists it without a condition.
                let follows = resource == "*"
                    && (statement["Condition"]["StringEquals"]["lambda:FunctionArn"] == METER
                        || statement["Action"] == "lambda:ListEventSourceMappings");
                let narrow = !resource.contains(['*', '?']);
                let known = streams || tables || tagged || makes || follows;
                assert!(narrow || known, "{}: {resource}", role.name);
            }
            assert!(list(&statement["Action"]).iter().all(|action| !action.contains('*')), "{statement}");
        }
    }
}

#[test]
fn only_domains_writes_the_registry_beside_the_operator_and_hosts_alone() {
    for stack in edges() {
        let registry = |resource: &&str| resource.ends_with("-registry");
        let writes = |action: &&str| !action.ends_with("GetItem") && !action.ends_with("Query");
        let writers = stack.roles.iter().filter(|role| {
            statements(&role.policies).any(|statement| {
                statement["Effect"] == "Allow"
                    && list(&statement["Resource"]).iter().any(registry)
                    && list(&statement["Action"]).iter().any(writes)
            })
        });
        let mut writers: Vec<_> = writers.map(|role| role.name.as_str()).collect();
        writers.sort_unstable();
        assert_eq!(writers, ["DomainsRole", "EraserRole", "MoverRole", "OperatorRole"]);
    }
}
