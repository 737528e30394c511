//! Actions, resources, and which statement wins.

use super::{answer, policy};

const DATA: &str = "arn:aws:dynamodb:eu-central-1:000000000000:table/data";
const KEYS: &str = "arn:aws:dynamodb:eu-central-1:000000000000:table/keys";

/// Statements, action, resource, context, answer.
type Case = (&'static str, &'static str, &'static str, &'static str, &'static str);

const ACTIONS: &[Case] = &[
    (
        r#"{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"*"}"#,
        "dynamodb:GetItem",
        DATA,
        "",
        "allow",
    ),
    (
        r#"{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"*"}"#,
        "dynamodb:GetItems",
        DATA,
        "",
        "none",
    ),
    (
        r#"{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"*"}"#,
        "dynamodb:PutItem",
        DATA,
        "",
        "none",
    ),
    (
        r#"{"Effect":"Allow","Action":"DynamoDB:getitem","Resource":"*"}"#,
        "dynamodb:GetItem",
        DATA,
        "",
        "allow",
    ),
    (
        r#"{"Effect":"Allow","Action":["a:B","dynamodb:Get*"],"Resource":"*"}"#,
        "dynamodb:GetItem",
        DATA,
        "",
        "allow",
    ),
    (
        r#"{"Effect":"Allow","Action":["a:B","dynamodb:Get*"],"Resource":"*"}"#,
        "dynamodb:BatchGetItem",
        DATA,
        "",
        "none",
    ),
    (
        r#"{"Effect":"Allow","Action":"dynamodb:?etItem","Resource":"*"}"#,
        "dynamodb:GetItem",
        DATA,
        "",
        "allow",
    ),
    (
        r#"{"Effect":"Allow","Action":"dynamodb:?GetItem","Resource":"*"}"#,
        "dynamodb:GetItem",
        DATA,
        "",
        "none",
    ),
    (r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#, "kms:Decrypt", DATA, "", "allow"),
    (r#"{"Effect":"Allow","Action":"kms:*","Resource":"*"}"#, "kms:Decrypt", DATA, "", "allow"),
    (r#"{"Effect":"Allow","Action":"kms:*","Resource":"*"}"#, "kmsx:Decrypt", DATA, "", "none"),
    (
        r#"{"Effect":"Allow","NotAction":"dynamodb:Scan","Resource":"*"}"#,
        "dynamodb:GetItem",
        DATA,
        "",
        "allow",
    ),
    (r#"{"Effect":"Allow","NotAction":"dynamodb:Scan","Resource":"*"}"#, "dynamodb:scan", DATA, "", "none"),
    (
        r#"{"Effect":"Allow","NotAction":["kms:*","dynamodb:*"],"Resource":"*"}"#,
        "dynamodb:Scan",
        DATA,
        "",
        "none",
    ),
];

const RESOURCES: &[Case] = &[
    (
        r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:dynamodb:*:*:table/data"}"#,
        "a:B",
        DATA,
        "",
        "allow",
    ),
    (
        r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:dynamodb:*:*:table/data"}"#,
        "a:B",
        KEYS,
        "",
        "none",
    ),
    (
        r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:dynamodb:*:*:table/Data"}"#,
        "a:B",
        DATA,
        "",
        "none",
    ),
    (r#"{"Effect":"Allow","Action":"*","Resource":["arn:x","arn:*table/d?ta"]}"#, "a:B", DATA, "", "allow"),
    (r#"{"Effect":"Allow","Action":"*","Resource":["arn:x","arn:*table/d?ata"]}"#, "a:B", DATA, "", "none"),
    (r#"{"Effect":"Allow","Action":"*","NotResource":"arn:*table/data"}"#, "a:B", KEYS, "", "allow"),
    (r#"{"Effect":"Allow","Action":"*","NotResource":"arn:*table/data"}"#, "a:B", DATA, "", "none"),
    (
        r#"{"Effect":"Deny","Sid":"D","Action":"*","NotResource":"arn:*table/data"}"#,
        "a:B",
        KEYS,
        "",
        "deny D",
    ),
    // A tag is taken as it is: no prefix of another, no wildcard, no case.
    (SILO, "a:B", "arn:silo-acme/x", "aws:PrincipalTag/tenant=acme", "allow"),
    (SILO, "a:B", "arn:silo-acme-eu/x", "aws:PrincipalTag/tenant=acme", "none"),
    (SILO, "a:B", "arn:silo-acme/x", "aws:PrincipalTag/tenant=*", "none"),
    (SILO, "a:B", "arn:silo-*/x", "aws:PrincipalTag/tenant=*", "allow"),
    (SILO, "a:B", "arn:silo-acme/x", "aws:PrincipalTag/tenant=acm?", "none"),
    (SILO, "a:B", "arn:silo-acme/x", "aws:PrincipalTag/tenant=Acme", "none"),
    (SILO, "a:B", "arn:silo-acme/x", "AWS:principaltag/TENANT=acme", "allow"),
    (SILO, "a:B", "arn:silo-acme/x", "", "none"),
    (SILO, "a:B", "arn:silo-/x", "", "none"),
    (SILO, "a:B", "arn:silo-/x", "aws:PrincipalTag/tenant=", "allow"),
    (SILO, "a:B", "arn:silo-acme/x", "aws:PrincipalTag/tenant=acme|globex", "none"),
    (SILO, "a:B", "arn:silo-/x", "aws:PrincipalTag/tenant=[]", "none"),
    // A prefix without an end is what lets acme read acme-eu: the evaluator does not mend a policy.
    (OPEN, "a:B", "arn:silo-acme-eu", "aws:PrincipalTag/tenant=acme", "allow"),
    (OPEN, "a:B", "arn:silo-globex", "aws:PrincipalTag/tenant=acme", "none"),
    // An element that can't be resolved neither allows nor, negated, leaves room.
    (NOT_SILO, "a:B", "arn:silo-globex", "aws:PrincipalTag/tenant=acme", "allow"),
    (NOT_SILO, "a:B", "arn:silo-acme", "aws:PrincipalTag/tenant=acme", "none"),
    (NOT_SILO, "a:B", "arn:silo-globex", "", "none"),
    (
        r#"{"Effect":"Allow","Action":"*","Resource":"arn:a${*}b${?}${$}{c}"}"#,
        "a:B",
        "arn:a*b?${c}",
        "",
        "allow",
    ),
    (
        r#"{"Effect":"Allow","Action":"*","Resource":"arn:a${*}b${?}${$}{c}"}"#,
        "a:B",
        "arn:aXb?${c}",
        "",
        "none",
    ),
    (
        r#"{"Effect":"Allow","Action":"*","Resource":"arn:a${*}b${?}${$}{c}"}"#,
        "a:B",
        "arn:a*bX${c}",
        "",
        "none",
    ),
    (r#"{"Effect":"Allow","Action":"*","Resource":"arn:*a*ab"}"#, "a:B", "arn:aaab", "", "allow"),
    (r#"{"Effect":"Allow","Action":"*","Resource":"arn:*a*ab"}"#, "a:B", "arn:aaabc", "", "none"),
];

const SILO: &str = r#"{"Effect":"Allow","Action":"*","Resource":"arn:silo-${aws:PrincipalTag/tenant}/*"}"#;
const OPEN: &str = r#"{"Effect":"Allow","Action":"*","Resource":"arn:silo-${aws:PrincipalTag/tenant}*"}"#;
const NOT_SILO: &str =
    r#"{"Effect":"Allow","Action":"*","NotResource":"arn:silo-${aws:PrincipalTag/tenant}"}"#;

const PRECEDENCE: &[Case] = &[
    (BOTH, "dynamodb:GetItem", DATA, "", "allow"),
    (BOTH, "dynamodb:Scan", DATA, "", "deny NoScan"),
    (BOTH, "dynamodb:Scan", KEYS, "", "allow"),
    // The order of the two does not count.
    (TURNED, "dynamodb:GetItem", DATA, "", "allow"),
    (TURNED, "dynamodb:Scan", DATA, "", "deny statement 1"),
    // A denial that can't be resolved denies, and the same one with its tag does only what it says.
    (DENY_OTHERS, "a:B", "arn:silo-globex", "aws:PrincipalTag/tenant=acme", "deny Others"),
    (DENY_OTHERS, "a:B", "arn:silo-acme", "aws:PrincipalTag/tenant=acme", "allow"),
    (DENY_OTHERS, "a:B", "arn:silo-acme", "", "deny Others"),
    (DENY_OTHERS, "c:D", "arn:silo-acme", "", "allow"),
    (DENY_OWN, "a:B", "arn:silo-globex", "aws:PrincipalTag/tenant=acme", "allow"),
    (DENY_OWN, "a:B", "arn:silo-globex", "", "deny Own"),
];

const BOTH: &str = r#"[{"Effect":"Allow","Action":"dynamodb:*","Resource":"*"},
    {"Sid":"NoScan","Effect":"Deny","Action":"dynamodb:Scan","Resource":"arn:*table/data"}]"#;
const TURNED: &str = r#"[{"Effect":"Deny","Action":"dynamodb:Scan","Resource":"*"},
    {"Effect":"Allow","Action":"dynamodb:*","Resource":"*"}]"#;
const DENY_OTHERS: &str = r#"[{"Effect":"Allow","Action":"*","Resource":"*"},
    {"Sid":"Others","Effect":"Deny","Action":"a:B","NotResource":"arn:silo-${aws:PrincipalTag/tenant}"}]"#;
const DENY_OWN: &str = r#"[{"Effect":"Allow","Action":"*","Resource":"*"},
    {"Sid":"Own","Effect":"Deny","Action":"a:B","Resource":"arn:silo-${aws:PrincipalTag/tenant}"}]"#;

#[test]
fn a_statement_speaks_of_its_actions_and_resources_only() {
    for (statements, action, resource, keys, expected) in ACTIONS.iter().chain(RESOURCES).chain(PRECEDENCE) {
        let answer = answer(&policy(statements), action, resource, None, keys);
        assert_eq!(answer, *expected, "{statements}\n{action} {resource} {keys}");
    }
}
