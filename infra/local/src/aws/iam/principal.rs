//! Whom a statement of a trust or key policy speaks of.

use serde_json::Value;

use super::scope::texts;

/// One of those whom a statement speaks of.
#[derive(Debug, Clone)]
pub(super) enum Principal {
    /// `*`
    Anyone,
    /// Every principal of an account: `arn:aws:iam::<account>:root`, or the account's number alone.
    Account(String),
    /// One role or user, by its ARN.
    Named(String),
    /// A service of AWS, which is never a role.
    Service,
}

impl Principal {
    /// Reads the value of `Principal`; the error says what is wrong with it.
    pub(super) fn parse_all(value: &Value) -> Result<Vec<Self>, String> {
        if value.as_str() == Some("*") {
            return Ok(vec![Self::Anyone]);
        }
        let kinds = value.as_object().filter(|kinds| !kinds.is_empty());
        let kinds = kinds.ok_or("Principal is neither \"*\" nor an object with a kind")?;
        let mut principals = Vec::new();
        for (kind, names) in kinds {
            let names = texts("Principal", names)?;
            match kind.as_str() {
                "AWS" => {
                    for name in names {
                        principals.push(Self::parse(name)?);
                    }
                }
                "Service" => principals.push(Self::Service),
                _ => return Err(format!("the kind of principal {kind:?} is unknown")),
            }
        }
        Ok(principals)
    }

    /// Anything but these forms, a session's ARN or a wildcard for instance, would never match: a denial of it would
    /// be lost without a word.
    fn parse(name: &str) -> Result<Self, String> {
        if name == "*" {
            return Ok(Self::Anyone);
        }
        if is_account(name) {
            return Ok(Self::Account(name.to_owned()));
        }
        let unknown = || format!("the principal {name:?} is not an account, role or user");
        let fields: Vec<&str> = name.splitn(6, ':').collect();
        let ["arn", _, "iam", "", account, who] = fields.as_slice() else { return Err(unknown()) };
        if !is_account(account) || name.contains(['*', '?', '$']) {
            return Err(unknown());
        }
        match who.split_once('/') {
            None if *who == "root" => Ok(Self::Account((*account).to_owned())),
            Some(("role" | "user", path)) if !path.is_empty() => Ok(Self::Named(name.to_owned())),
            _ => Err(unknown()),
        }
    }

    /// Whether this is the caller with that ARN, or a group that it is of.
    pub(super) fn is(&self, caller: &str) -> bool {
        match self {
            Self::Anyone => true,
            Self::Account(account) => caller.split(':').nth(4) == Some(account.as_str()),
            Self::Named(arn) => arn == caller,
            Self::Service => false,
        }
    }
}

/// Twelve digits.
fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}
