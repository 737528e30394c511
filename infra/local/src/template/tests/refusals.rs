//! Templates that the laptop must not guess about, each beside one that differs in one thing and is understood.

use std::{collections::BTreeMap, env, fs, process};

use super::{
    super::{Stack, TemplateError},
    load,
};

/// A template with a function and an API, to which `more` adds resources.
fn load_with(name: &str, more: &str) -> Result<Stack, TemplateError> {
    let template = format!(
        r#"
Parameters:
  Name: {{ Type: String, Default: x, AllowedValues: [x, y] }}
Conditions:
  IsX: !Equals [!Ref Name, x]
  IsY: !Not [!Condition IsX]
Resources:
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: {{ Name: !Ref Name, ProtocolType: HTTP }}
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {{ ApiId: !Ref Api, StageName: $default, AutoDeploy: true }}
  Absent:
    Type: AWS::DynamoDB::Table
    Condition: IsY
    Properties: {{ TableName: absent }}
{more}"#
    );
    let root = env::temp_dir().join(format!("insula-template-{}-{name}", process::id()));
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("template.yaml"), template).unwrap();
    let loaded = Stack::load(&root, &BTreeMap::new());
    fs::remove_dir_all(&root).unwrap();
    loaded
}

fn table_named(name: &str, value: &str) -> Result<String, String> {
    let table = format!(
        "  Mine:\n    Type: AWS::DynamoDB::Table\n    Properties: {{ TableName: {value}, BillingMode: PAY_PER_REQUEST }}\n"
    );
    let loaded = load_with(name, &table).map_err(|error| error.to_string())?;
    Ok(loaded.tables.first().unwrap().name.clone())
}

#[test]
fn an_intrinsic_that_cant_be_resolved_is_an_error_that_says_where() {
    let cases = [
        ("!Ref Name", "!Ref Nobody"),
        ("!Sub '${Name}-${AWS::Region}'", "!Sub '${Name}-${AWS::NotificationARNs}'"),
        ("!Sub ['${A}-${!B}', { A: !Ref Name }]", "!Sub ['${B}', { A: !Ref Name }]"),
        ("!Join ['-', [a, !Ref Name]]", "!Join ['-', a]"),
        ("!Select [1, !Split [',', 'a,b']]", "!Select [2, !Split [',', 'a,b']]"),
        ("!If [IsX, a, !Ref Nobody]", "!If [IsY, a, !Ref Nobody]"),
        ("!If [IsX, a, b]", "!If [Maybe, a, b]"),
        ("!If [IsX, a, !GetAtt Absent.Arn]", "!GetAtt Absent.Arn"),
        ("!Ref Name", "!Ref AWS::NoValue"),
        ("!Ref Name", "{ 'Fn::ImportValue': x }"),
        ("!Ref Name", "!ImportValue x"),
        ("!Ref Name", "!FindInMap [A, b, c]"),
    ];
    for (at, (good, bad)) in cases.into_iter().enumerate() {
        table_named(&format!("good{at}"), good).unwrap();
        let error = table_named(&format!("bad{at}"), bad).unwrap_err();
        assert!(error.starts_with("template.yaml: Resources.Mine.Properties.TableName"), "{bad}: {error}");
    }
    assert_eq!(table_named("sub", "!Sub ['${A}-${!B}', { A: !Ref Name }]").unwrap(), "x-${B}");
    assert_eq!(table_named("select", "!Select [1, !Split [',', 'a,b']]").unwrap(), "b");
}

#[test]
fn what_could_be_a_right_and_is_not_understood_is_an_error() {
    let role = |more: &str| {
        format!(
            "  Mine:\n    Type: AWS::IAM::Role\n    Properties:\n      AssumeRolePolicyDocument: {{ Statement: [] }}\n{more}"
        )
    };
    load_with("role", &role("")).unwrap();
    let boundary = role("      PermissionsBoundary: arn:aws:iam::aws:policy/ReadOnlyAccess\n");
    let managed = role("      ManagedPolicyArns: [arn:aws:iam::aws:policy/AdministratorAccess]\n");
    let function_url = "  Mine:\n    Type: AWS::Lambda::Url\n    Properties: {}\n".to_owned();
    let nobody = "  Mine:\n    Type: AWS::IAM::Policy\n    Properties: { Roles: [Nobody], PolicyDocument: { Statement: [] } }\n";
    for (at, more) in [boundary, managed, function_url, nobody.to_owned()].iter().enumerate() {
        let error = load_with(&format!("right{at}"), more).unwrap_err().to_string();
        assert!(error.starts_with("template.yaml: Resources.Mine"), "{more}: {error}");
    }
}

#[test]
fn a_parameter_that_is_unknown_missing_or_not_allowed_is_an_error() {
    load(&[("LogLevel", "debug")]).unwrap();
    for (name, value) in [("LogLevel", "chatty"), ("Edge", "REST"), ("Nobody", "x"), ("PublicPort", "many")] {
        let error = load(&[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with("template.yaml: Parameters") && error.contains(name), "{error}");
    }
    let error = load(&[("Edge", "rest"), ("CertificateArn", "")]).unwrap_err().to_string();
    assert!(error.ends_with("Edge rest needs CertificateArn"), "{error}");
}

#[test]
fn a_condition_or_a_nested_stack_that_waits_for_itself_is_an_error() {
    let nested = |from: &str| {
        format!(
            "  A:\n    Type: AWS::CloudFormation::Stack\n    Properties: {{ TemplateURL: template.yaml, Parameters: {{ Name: !GetAtt {from}.Outputs.X }} }}\n"
        )
    };
    let error = load_with("cycle", &nested("A")).unwrap_err().to_string();
    assert!(error.contains("wait for one another"), "{error}");
    let itself =
        "  A:\n    Type: AWS::CloudFormation::Stack\n    Properties: { TemplateURL: template.yaml }\n";
    let error = load_with("itself", itself).unwrap_err().to_string();
    assert!(error.contains("nested too deep"), "{error}");
    let looped = "  B: { Type: 'AWS::Logs::LogGroup', Condition: Loop }\nConditions: {}\n";
    assert!(load_with("duplicate", looped).is_err(), "a section that is there twice is ambiguous");
}
