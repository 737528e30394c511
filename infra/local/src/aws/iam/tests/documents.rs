//! What is refused when it is read, and how documents are merged.

use serde_json::{Value, json};

use super::{answer, document};
use crate::aws::iam::{Context, Policies};

const GOOD: &str = r#"{"Sid":"S","Effect":"Allow","Action":"a:B","Resource":"*"}"#;

/// A statement, and what the refusal says of it.
const STATEMENTS: &[(&str, &str)] = &[
    (r#"{"Sid":"S","Effect":"Maybe","Action":"a:B","Resource":"*"}"#, "S: Effect is neither"),
    (r#"{"Sid":"S","Effect":"allow","Action":"a:B","Resource":"*"}"#, "S: Effect is neither"),
    (r#"{"Sid":"S","Action":"a:B","Resource":"*"}"#, "S: Effect is neither"),
    (r#"{"Sid":1,"Effect":"Allow","Action":"a:B","Resource":"*"}"#, "Sid of statement 1"),
    (r#"{"Effect":"Allow","Resource":"*"}"#, "statement 1: there must be one of Action"),
    (r#"{"Effect":"Allow","Action":"a:B","NotAction":"a:C","Resource":"*"}"#, "one of Action and NotAction"),
    (r#"{"Effect":"Allow","Action":"a:B"}"#, "neither Resource nor Principal"),
    (
        r#"{"Effect":"Allow","Action":"a:B","Resource":"*","NotResource":"arn:x"}"#,
        "one of Resource and NotResource",
    ),
    (r#"{"Effect":"Allow","Action":"a:B","Resource":"*","NotPrincipal":"*"}"#, "\"NotPrincipal\" is unknown"),
    (r#"{"Effect":"Allow","Action":"a:B","Resource":"*","resource":"*"}"#, "\"resource\" is unknown"),
    (r#"{"Effect":"Allow","Action":"ab","Resource":"*"}"#, "\"ab\" is not an action"),
    (r#"{"Effect":"Allow","Action":"a:${aws:PrincipalTag/t}","Resource":"*"}"#, "is not an action"),
    (r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#, "Action is neither"),
    (r#"{"Effect":"Allow","Action":["a:B",1],"Resource":"*"}"#, "Action is neither"),
    (r#"{"Effect":"Allow","Action":"a:B","Resource":[]}"#, "Resource is neither"),
    (r#"{"Effect":"Allow","Action":"a:B","Resource":"table/x"}"#, "\"table/x\" is not an ARN"),
    (r#"{"Effect":"Allow","Action":"a:B","Resource":"arn:${aws:PrincipalTag/t"}"#, "is not closed"),
    (r#"{"Effect":"Allow","Action":"a:B","Resource":"arn:${aws:PrincipalTag/t, 'x'}"}"#, "has a default"),
    (r#"{"Effect":"Allow","Action":"a:B","Principal":{"Federated":"x"}}"#, "\"Federated\" is unknown"),
    (
        r#"{"Effect":"Allow","Action":"a:B","Principal":"arn:aws:iam::000000000000:root"}"#,
        "Principal is neither",
    ),
    (r#"{"Effect":"Allow","Action":"a:B","Principal":{}}"#, "Principal is neither"),
    (
        r#"{"Effect":"Allow","Action":"a:B","Principal":{"AWS":"arn:aws:iam::000000000000:role/*"}}"#,
        "is not an account",
    ),
    (
        r#"{"Effect":"Deny","Action":"a:B","Principal":{"AWS":"arn:aws:sts::000000000000:assumed-role/a/b"}}"#,
        "is not",
    ),
    (r#"{"Effect":"Allow","Action":"a:B","Principal":{"AWS":"arn:aws:iam::1:root"}}"#, "is not an account"),
    (r#"{"Effect":"Allow","Action":"a:B","Resource":"*","Condition":[]}"#, "Condition is not an object"),
    (r#"{"Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"Bool":{}}}"#, "Bool is not an object"),
    (r#"{"Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"Bool":"x"}}"#, "Bool is not an object"),
    (
        r#"{"Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"Bool":{"a:b":[]}}}"#,
        "without an operand",
    ),
    (
        r#"{"Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"Bool":{"a:b":null}}}"#,
        "an operand of Bool",
    ),
    (
        r#"{"Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"Bool":{"a:b":"x"}}}"#,
        "is of another type",
    ),
    (
        r#"{"Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"Null":{"a:b":"x"}}}"#,
        "is of another type",
    ),
    (
        r#"{"Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"NumericEquals":{"a:b":"x"}}}"#,
        "another type",
    ),
    (
        r#"{"Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"StringLike":{"a:b":"${x"}}}"#,
        "is not closed",
    ),
    ("1", "statement 1 is not an object"),
];

fn refusal(document: Value) -> String {
    match Policies::parse(&[document]) {
        Ok(policies) => format!("{policies:?}"),
        Err(err) => err.to_string(),
    }
}

#[test]
fn a_statement_of_unknown_structure_is_refused_and_named() {
    assert!(Policies::parse(&[document(GOOD)]).is_ok());
    for (statement, expected) in STATEMENTS {
        let said = refusal(document(&format!("[{statement}]")));
        assert!(
            said.starts_with("the policy can't be read: ") && said.contains(expected),
            "{statement}\n{said}"
        );
    }
}

#[test]
fn a_document_of_unknown_structure_is_refused_and_named() {
    let statement: Value = serde_json::from_str(GOOD).unwrap();
    let good = json!({ "Version": "2012-10-17", "Id": "x", "Statement": [statement] });
    assert!(Policies::parse(std::slice::from_ref(&good)).is_ok());
    let cases = [
        ("Version", json!("2008-10-17"), "Version \"2008-10-17\" is unknown"),
        ("Version", json!(20_121_017), "Version 20121017 is unknown"),
        ("Statements", json!([]), "\"Statements\" is unknown"),
        ("Statement", json!([]), "Statement is neither"),
        ("Statement", json!("x"), "Statement is neither"),
    ];
    for (element, value, expected) in cases {
        let mut changed = good.clone();
        changed[element] = value;
        let said = refusal(changed);
        assert!(said.contains(expected), "{element}: {said}");
    }
    let mut versionless = good;
    versionless.as_object_mut().unwrap().remove("Version");
    assert!(refusal(versionless).contains("there is no Version"));
    assert!(refusal(json!([])).contains("is not an object"));
}

#[test]
fn documents_are_read_as_one_policy_and_one_bad_one_refuses_all() {
    let allow = document(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#);
    let deny = document(r#"[{"Sid":"D","Effect":"Deny","Action":"a:B","Resource":"*"}]"#);
    let both = Policies::parse(&[allow.clone(), deny]).unwrap();
    assert_eq!(answer(&both, "a:B", "arn:x", None, ""), "deny D");
    assert_eq!(answer(&both, "a:C", "arn:x", None, ""), "allow");
    assert!(Policies::parse(&[allow, json!({})]).is_err());
    assert_eq!(answer(&Policies::parse(&[]).unwrap(), "a:C", "arn:x", None, ""), "none");
}

#[test]
fn a_key_without_values_is_not_an_absent_key() {
    let mut context = Context::default();
    context.set("Aws:TagKeys", Vec::<String>::new());
    context.one("aws:PrincipalArn", "a");
    context.one("AWS:principalarn", "b");
    assert_eq!(context.get("AWS:TAGKEYS"), Some(&[][..]));
    assert_eq!(context.get("aws:PrincipalArn"), Some(&["b".to_owned()][..]));
    assert_eq!(context.get("aws:PrincipalTag/tenant"), None);
}
