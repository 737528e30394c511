//! Trust and key policies.

use super::{answer, policy};

const VEND: &str = "arn:aws:iam::000000000000:role/Vend";

/// The value of `Principal`, the caller, the answer.
const CASES: &[(&str, &str, &str)] = &[
    (r#"{"AWS":"arn:aws:iam::000000000000:role/Vend"}"#, VEND, "allow"),
    (r#"{"AWS":"arn:aws:iam::000000000000:role/Vend"}"#, "arn:aws:iam::000000000000:role/Vend2", "none"),
    (r#"{"AWS":"arn:aws:iam::000000000000:role/Vend"}"#, "arn:aws:iam::000000000000:role/vend", "none"),
    (r#"{"AWS":"arn:aws:iam::000000000000:role/Vend"}"#, "arn:aws:iam::111111111111:role/Vend", "none"),
    (r#"{"AWS":["arn:aws:iam::000000000000:user/a","arn:aws:iam::000000000000:role/Vend"]}"#, VEND, "allow"),
    (r#"{"AWS":["arn:aws:iam::000000000000:user/a","arn:aws:iam::000000000000:role/b"]}"#, VEND, "none"),
    (r#"{"AWS":"arn:aws:iam::000000000000:root"}"#, VEND, "allow"),
    (r#"{"AWS":"000000000000"}"#, VEND, "allow"),
    (r#"{"AWS":"arn:aws:iam::111111111111:root"}"#, VEND, "none"),
    (r#"{"AWS":"111111111111"}"#, VEND, "none"),
    (r#""*""#, VEND, "allow"),
    (r#"{"AWS":"*"}"#, VEND, "allow"),
    (r#"{"Service":"lambda.amazonaws.com"}"#, VEND, "none"),
    (r#"{"Service":"lambda.amazonaws.com","AWS":"000000000000"}"#, VEND, "allow"),
];

#[test]
fn a_trust_policy_speaks_of_its_principals_only() {
    for (principal, caller, expected) in CASES {
        let statement = format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}"#);
        let policies = policy(&statement);
        assert_eq!(
            answer(&policies, "sts:AssumeRole", "arn:x", Some(caller), ""),
            *expected,
            "{principal} {caller}"
        );
        assert_eq!(
            answer(&policies, "sts:TagSession", "arn:x", Some(caller), ""),
            "none",
            "{principal} {caller}"
        );
    }
}

#[test]
fn a_denial_of_a_principal_spares_the_others() {
    let policies = policy(
        r#"[{"Effect":"Allow","Principal":"*","Action":"*"},
        {"Sid":"NotVend","Effect":"Deny","Principal":{"AWS":"arn:aws:iam::000000000000:role/Vend"},"Action":"*"}]"#,
    );
    assert_eq!(answer(&policies, "a:B", "arn:x", Some(VEND), ""), "deny NotVend");
    assert_eq!(answer(&policies, "a:B", "arn:x", Some("arn:aws:iam::000000000000:role/Mcp"), ""), "allow");
}

#[test]
fn a_statement_with_principals_allows_nobody_unnamed() {
    let allow = policy(r#"{"Effect":"Allow","Principal":"*","Action":"*"}"#);
    assert_eq!(answer(&allow, "a:B", "arn:x", Some(VEND), ""), "allow");
    assert_eq!(answer(&allow, "a:B", "arn:x", None, ""), "none");
    let deny = policy(r#"{"Sid":"D","Effect":"Deny","Principal":{"AWS":"000000000000"},"Action":"*"}"#);
    assert_eq!(answer(&deny, "a:B", "arn:x", None, ""), "deny D");
}

#[test]
fn a_statement_without_principals_opens_no_trust_policy() {
    let allow = policy(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#);
    assert_eq!(answer(&allow, "a:B", "arn:x", None, ""), "allow");
    assert_eq!(answer(&allow, "a:B", "arn:x", Some(VEND), ""), "none");
    let deny = policy(r#"{"Sid":"D","Effect":"Deny","Action":"*","Resource":"*"}"#);
    assert_eq!(answer(&deny, "a:B", "arn:x", Some(VEND), ""), "deny D");
}
