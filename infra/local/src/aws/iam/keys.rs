//! The condition keys that the local services and the front know how to fill.

/// Whole names, lower case.
const NAMES: [&str; 20] = [
    "aws:principalarn",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:tagkeys",
    "dynamodb:attributes",
    "dynamodb:enclosingoperation",
    "dynamodb:leadingkeys",
    "dynamodb:returnvalues",
    "dynamodb:select",
    "kms:calleraccount",
    "kms:encryptioncontextkeys",
    "kms:reencryptonsamekey",
    "kms:viaservice",
    "lambda:functionarn",
    "secretsmanager:secretid",
    "secretsmanager:versionstage",
    "sts:externalid",
    "sts:rolesessionname",
    "sts:transitivetagkeys",
];

/// Beginnings that a name of the caller's choice ends, lower case.
const FAMILIES: [&str; 4] =
    ["aws:principaltag/", "aws:requesttag/", "aws:resourcetag/", "kms:encryptioncontext:"];

/// Whether a key, in lower case, is one that is filled where it applies.
///
/// Any other would be absent from every call, and `ForAllValues`, `IfExists` and the negated operators hold for an
/// absent key: a statement with it must not be trusted.
pub(super) fn is_known(key: &str) -> bool {
    NAMES.contains(&key)
        || FAMILIES.iter().any(|family| key.strip_prefix(family).is_some_and(|name| !name.is_empty()))
}
