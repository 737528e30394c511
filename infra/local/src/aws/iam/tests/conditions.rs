//! Conditions: operators, sets, absent keys, variables, and what is unknown.

use super::{answer, policy};

/// The value of `Condition`, the keys of the call, and whether it holds: yes, no, or `?` if that can't be told.
type Case = (&'static str, &'static str, char);

const LEADING: &str =
    r#"{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["T#${aws:PrincipalTag/tenant}#*"]}}"#;
const GUARDED: &str = r#"{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["T#${aws:PrincipalTag/tenant}#*"]},
    "Null":{"dynamodb:LeadingKeys":"false"}}"#;
const CONTEXT: &str = r#"{"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["tenant"]},
    "Null":{"kms:EncryptionContextKeys":"false"},
    "StringEquals":{"kms:EncryptionContext:tenant":"${aws:PrincipalTag/tenant}"}}"#;
const ONE_TAG: &str = r#"{"ForAllValues:StringEquals":{"aws:TagKeys":"tenant"},
    "Null":{"aws:TagKeys":"false","sts:TransitiveTagKeys":"true"},"StringLike":{"aws:RequestTag/tenant":"????"}}"#;

const ISOLATION: &[Case] = &[
    (GUARDED, "aws:PrincipalTag/tenant=acme dynamodb:LeadingKeys=T#acme#n", 'y'),
    (GUARDED, "aws:PrincipalTag/tenant=acme dynamodb:LeadingKeys=T#acme-eu#n", 'n'),
    (GUARDED, "aws:PrincipalTag/tenant=acme-eu dynamodb:LeadingKeys=T#acme#n", 'n'),
    (GUARDED, "aws:PrincipalTag/tenant=acme dynamodb:LeadingKeys=T#ACME#n", 'n'),
    (GUARDED, "aws:PrincipalTag/tenant=acme dynamodb:LeadingKeys=T#acme#n|T#acme#m", 'y'),
    (GUARDED, "aws:PrincipalTag/tenant=acme dynamodb:LeadingKeys=T#acme#n|T#globex#m", 'n'),
    (GUARDED, "aws:PrincipalTag/tenant=* dynamodb:LeadingKeys=T#globex#n", 'n'),
    (GUARDED, "aws:PrincipalTag/tenant=* dynamodb:LeadingKeys=T#*#n", 'y'),
    (GUARDED, "aws:PrincipalTag/tenant=globe? dynamodb:LeadingKeys=T#globex#n", 'n'),
    (GUARDED, "aws:PrincipalTag/tenant=${*} dynamodb:LeadingKeys=T#globex#n", 'n'),
    // An empty tag is a tag: only the trust policy keeps it away.
    (GUARDED, "aws:PrincipalTag/tenant= dynamodb:LeadingKeys=T##n", 'y'),
    (GUARDED, "aws:PrincipalTag/tenant= dynamodb:LeadingKeys=T#acme#n", 'n'),
    (GUARDED, "dynamodb:LeadingKeys=T##n", '?'),
    (GUARDED, "dynamodb:LeadingKeys=T#acme#n", '?'),
    // Without the guard a call that has no leading key at all, a scan for one, passes.
    (LEADING, "aws:PrincipalTag/tenant=acme", 'y'),
    (GUARDED, "aws:PrincipalTag/tenant=acme", 'n'),
    (LEADING, "aws:PrincipalTag/tenant=acme dynamodb:LeadingKeys=[]", 'y'),
    (GUARDED, "aws:PrincipalTag/tenant=acme dynamodb:LeadingKeys=[]", '?'),
    (LEADING, "", '?'),
    (GUARDED, "AWS:PRINCIPALTAG/TENANT=acme DynamoDB:leadingKEYS=T#acme#n", 'y'),
    (
        CONTEXT,
        "aws:PrincipalTag/tenant=acme kms:EncryptionContextKeys=tenant kms:EncryptionContext:tenant=acme",
        'y',
    ),
    (
        CONTEXT,
        "aws:PrincipalTag/tenant=acme kms:EncryptionContextKeys=tenant kms:EncryptionContext:tenant=globex",
        'n',
    ),
    (
        CONTEXT,
        "aws:PrincipalTag/tenant=acme kms:EncryptionContextKeys=tenant|x kms:EncryptionContext:tenant=acme",
        'n',
    ),
    (CONTEXT, "aws:PrincipalTag/tenant=acme", 'n'),
    (CONTEXT, "kms:EncryptionContextKeys=tenant kms:EncryptionContext:tenant=", '?'),
    (ONE_TAG, "aws:TagKeys=tenant aws:RequestTag/tenant=acme", 'y'),
    (ONE_TAG, "aws:TagKeys=tenant aws:RequestTag/tenant=", 'n'),
    (ONE_TAG, "aws:TagKeys=tenant|admin aws:RequestTag/tenant=acme", 'n'),
    (ONE_TAG, "aws:TagKeys=tenant aws:RequestTag/tenant=acme sts:TransitiveTagKeys=tenant", 'n'),
    (ONE_TAG, "aws:RequestTag/tenant=acme", 'n'),
];

const TEXTS: &[Case] = &[
    (r#"{"StringEquals":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=a", 'y'),
    (r#"{"StringEquals":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=A", 'n'),
    (r#"{"StringEquals":{"aws:TagKeys":"a"}}"#, "", 'n'),
    (r#"{"StringEquals":{"aws:TagKeys":["a","b"]}}"#, "aws:TagKeys=b", 'y'),
    (r#"{"StringEquals":{"aws:TagKeys":["a","b"]}}"#, "aws:TagKeys=c|b", 'y'),
    (r#"{"StringEquals":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=[]", 'n'),
    (r#"{"StringEquals":{"aws:TagKeys":"*"}}"#, "aws:TagKeys=a", 'n'),
    (r#"{"StringEquals":{"aws:TagKeys":"*"}}"#, "aws:TagKeys=*", 'y'),
    (r#"{"StringEqualsIfExists":{"aws:TagKeys":"a"}}"#, "", 'y'),
    (r#"{"StringEqualsIfExists":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=a", 'y'),
    (r#"{"StringEqualsIfExists":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=b", 'n'),
    (r#"{"StringEqualsIfExists":{"aws:TagKeys":"${aws:PrincipalTag/t}"}}"#, "", '?'),
    (r#"{"StringNotEquals":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=b", 'y'),
    (r#"{"StringNotEquals":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=a", 'n'),
    (r#"{"StringNotEquals":{"aws:TagKeys":["a","b"]}}"#, "aws:TagKeys=b", 'n'),
    (r#"{"StringNotEquals":{"aws:TagKeys":"a"}}"#, "", 'y'),
    (r#"{"StringNotEquals":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=b|a", 'n'),
    (r#"{"StringNotEquals":{"aws:TagKeys":"${aws:PrincipalTag/t}"}}"#, "aws:TagKeys=a", '?'),
    (r#"{"StringEqualsIgnoreCase":{"aws:TagKeys":"Ab*"}}"#, "aws:TagKeys=aB*", 'y'),
    (r#"{"StringEqualsIgnoreCase":{"aws:TagKeys":"Ab*"}}"#, "aws:TagKeys=aBc", 'n'),
    (r#"{"StringLike":{"aws:TagKeys":"a?c*"}}"#, "aws:TagKeys=abc", 'y'),
    (r#"{"StringLike":{"aws:TagKeys":"a?c*"}}"#, "aws:TagKeys=ac", 'n'),
    (r#"{"StringNotLike":{"aws:TagKeys":"a*"}}"#, "aws:TagKeys=b", 'y'),
    (r#"{"StringNotLike":{"aws:TagKeys":"a*"}}"#, "aws:TagKeys=ab", 'n'),
    (
        r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/A*"}}"#,
        "aws:PrincipalArn=arn:aws:iam::1:role/Ab",
        'y',
    ),
    (
        r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/A*"}}"#,
        "aws:PrincipalArn=arn:aws:iam::1:role/B",
        'n',
    ),
    // A wildcard stays in its field of the ARN.
    (r#"{"ArnEquals":{"aws:PrincipalArn":"arn:*:iam::1:x"}}"#, "aws:PrincipalArn=arn:aws:iam::1:x", 'y'),
    (r#"{"ArnEquals":{"aws:PrincipalArn":"arn:*:1:x:y:z"}}"#, "aws:PrincipalArn=arn:aws:iam::1:x:y:z", 'n'),
    (r#"{"ArnEquals":{"aws:PrincipalArn":"*"}}"#, "aws:PrincipalArn=arn:aws:iam::1:x", '?'),
    (
        r#"{"StringEquals":{"aws:TagKeys":"a","aws:PrincipalArn":"b"}}"#,
        "aws:TagKeys=a aws:PrincipalArn=b",
        'y',
    ),
    (
        r#"{"StringEquals":{"aws:TagKeys":"a","aws:PrincipalArn":"b"}}"#,
        "aws:TagKeys=a aws:PrincipalArn=c",
        'n',
    ),
];

const SETS: &[Case] = &[
    (r#"{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}"#, "aws:TagKeys=a|b", 'y'),
    (r#"{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}"#, "aws:TagKeys=a|c", 'n'),
    (r#"{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}"#, "", 'y'),
    (r#"{"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}}"#, "aws:TagKeys=a|c", 'y'),
    (r#"{"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}}"#, "aws:TagKeys=d|c", 'n'),
    (r#"{"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}}"#, "", 'n'),
    (r#"{"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}}"#, "aws:TagKeys=[]", 'n'),
    (r#"{"ForAnyValue:StringEqualsIfExists":{"aws:TagKeys":"a"}}"#, "", 'y'),
    (r#"{"ForAnyValue:StringNotEquals":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=a|b", 'y'),
    (r#"{"ForAnyValue:StringNotEquals":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=a", 'n'),
    (r#"{"ForAnyValue:StringNotEquals":{"aws:TagKeys":"a"}}"#, "", 'n'),
    (r#"{"ForAllValues:StringNotEquals":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=b|c", 'y'),
    (r#"{"ForAllValues:StringNotEquals":{"aws:TagKeys":"a"}}"#, "aws:TagKeys=b|a", 'n'),
];

const OTHERS: &[Case] = &[
    (r#"{"NumericEquals":{"aws:RequestTag/n":"5"}}"#, "aws:RequestTag/n=5.0", 'y'),
    (r#"{"NumericEquals":{"aws:RequestTag/n":5}}"#, "aws:RequestTag/n=6", 'n'),
    (r#"{"NumericEquals":{"aws:RequestTag/n":5}}"#, "aws:RequestTag/n=five", '?'),
    (r#"{"NumericEquals":{"aws:RequestTag/n":5}}"#, "aws:RequestTag/n=nan", '?'),
    (r#"{"NumericLessThan":{"aws:RequestTag/n":5}}"#, "aws:RequestTag/n=4", 'y'),
    (r#"{"NumericLessThan":{"aws:RequestTag/n":5}}"#, "aws:RequestTag/n=5", 'n'),
    (r#"{"NumericLessThanEquals":{"aws:RequestTag/n":5}}"#, "aws:RequestTag/n=5", 'y'),
    (r#"{"NumericLessThanEquals":{"aws:RequestTag/n":5}}"#, "aws:RequestTag/n=10", 'n'),
    (r#"{"NumericGreaterThan":{"aws:RequestTag/n":5}}"#, "aws:RequestTag/n=10", 'y'),
    (r#"{"NumericGreaterThan":{"aws:RequestTag/n":5}}"#, "aws:RequestTag/n=5", 'n'),
    (r#"{"NumericGreaterThanEquals":{"aws:RequestTag/n":5}}"#, "aws:RequestTag/n=5", 'y'),
    (r#"{"NumericGreaterThanEquals":{"aws:RequestTag/n":5}}"#, "", 'n'),
    (r#"{"Bool":{"aws:SecureTransport":"true"}}"#, "aws:SecureTransport=TRUE", 'y'),
    (r#"{"Bool":{"aws:SecureTransport":true}}"#, "aws:SecureTransport=false", 'n'),
    (r#"{"Bool":{"aws:SecureTransport":true}}"#, "aws:SecureTransport=maybe", '?'),
    (r#"{"Bool":{"aws:SecureTransport":true}}"#, "", 'n'),
    (r#"{"BoolIfExists":{"aws:SecureTransport":true}}"#, "", 'y'),
    (r#"{"Null":{"aws:TagKeys":"true"}}"#, "", 'y'),
    (r#"{"Null":{"aws:TagKeys":"true"}}"#, "aws:TagKeys=a", 'n'),
    (r#"{"Null":{"aws:TagKeys":"false"}}"#, "aws:TagKeys=a", 'y'),
    (r#"{"Null":{"aws:TagKeys":false}}"#, "", 'n'),
    (r#"{"Null":{"aws:TagKeys":"true"}}"#, "aws:TagKeys=[]", '?'),
];

fn all() -> impl Iterator<Item = &'static Case> {
    ISOLATION.iter().chain(TEXTS).chain(SETS).chain(OTHERS)
}

fn ask(effect: &str, condition: &str, keys: &str) -> String {
    let statements = format!(
        r#"[{{"Effect":"Allow","Action":"c:*","Resource":"*"}},
        {{"Sid":"S","Effect":"{effect}","Action":["a:B","c:D"],"Resource":"*","Condition":{condition}}}]"#
    );
    answer(&policy(&statements), if effect == "Allow" { "a:B" } else { "c:D" }, "arn:x", None, keys)
}

#[test]
fn a_statement_allows_only_where_its_conditions_surely_hold() {
    for (condition, keys, holds) in all() {
        let expected = if *holds == 'y' { "allow" } else { "none" };
        assert_eq!(ask("Allow", condition, keys), expected, "{condition}\n{keys}");
    }
}

#[test]
fn a_statement_denies_unless_its_conditions_surely_do_not_hold() {
    for (condition, keys, holds) in all() {
        let expected = if *holds == 'n' { "allow" } else { "deny S" };
        assert_eq!(ask("Deny", condition, keys), expected, "{condition}\n{keys}");
    }
}

#[test]
fn what_is_unknown_denies_and_is_named() {
    let cases = [
        (r#"{"StringEquals":{"aws:TagKeys":"a"}}"#, "allow"),
        (r#"{"StringMatches":{"aws:TagKeys":"a"}}"#, "deny S: unknown condition operator StringMatches"),
        (r#"{"stringequals":{"aws:TagKeys":"a"}}"#, "deny S: unknown condition operator stringequals"),
        (
            r#"{"ForSome:StringEquals":{"aws:TagKeys":"a"}}"#,
            "deny S: unknown condition operator ForSome:StringEquals",
        ),
        (r#"{"NullIfExists":{"aws:TagKeys":"false"}}"#, "deny S: unknown condition operator NullIfExists"),
        (
            r#"{"ForAnyValue:Null":{"aws:TagKeys":"false"}}"#,
            "deny S: unknown condition operator ForAnyValue:Null",
        ),
        (r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#, "deny S: unknown condition operator IpAddress"),
        (r#"{"StringEquals":{"aws:TagKey":"a"}}"#, "deny S: unknown condition key aws:tagkey"),
        (r#"{"StringEqualsIfExists":{"s3:Prefix":"a"}}"#, "deny S: unknown condition key s3:prefix"),
        (r#"{"Null":{"aws:PrincipalTag/":"true"}}"#, "deny S: unknown condition key aws:principaltag/"),
        (r#"{"StringLike":{"aws:TagKeys":"${aws:UserName}"}}"#, "deny S: unknown variable aws:username"),
    ];
    for (condition, expected) in cases {
        for effect in ["Allow", "Deny"] {
            if (effect, expected) == ("Deny", "allow") {
                continue;
            }
            assert_eq!(ask(effect, condition, "aws:TagKeys=a"), expected, "{effect} {condition}");
        }
    }
}

#[test]
fn what_is_unknown_denies_no_more_than_its_statement_reaches() {
    let policies = policy(
        r#"[{"Effect":"Allow","Action":"*","Resource":"*"},
        {"Sid":"S","Effect":"Allow","Action":"a:B","Resource":"arn:x","Condition":{"Date":{"aws:Now":"1"}}}]"#,
    );
    assert_eq!(answer(&policies, "a:C", "arn:x", None, ""), "allow");
    assert_eq!(answer(&policies, "a:B", "arn:y", None, ""), "allow");
    assert_eq!(answer(&policies, "A:b", "arn:x", None, ""), "deny S: unknown condition operator Date");
    let policies = policy(r#"{"Sid":"S","Effect":"Allow","Action":"a:B","Resource":"arn:${aws:Nobody}"}"#);
    assert_eq!(answer(&policies, "a:B", "arn:y", None, ""), "deny S: unknown variable aws:nobody");
    assert_eq!(answer(&policies, "a:C", "arn:y", None, ""), "none");
}
