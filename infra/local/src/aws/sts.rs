//! STS: AssumeRole with session tags, the trust policy evaluated, and GetCallerIdentity.

use std::collections::BTreeMap;

use super::{
    iam::{Context, Decision, Policies, Query},
    sessions::{NewSession, Session, Sessions},
};
use crate::template::Role;

/// A role that can be assumed, parsed once.
#[derive(Debug)]
pub(super) struct Assumable {
    pub(super) role: Role,
    pub(super) trust: Policies,
    pub(super) policies: Policies,
}

/// A refusal in STS's own form.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refused {
    /// What is not allowed.
    pub(super) const fn denied(message: String) -> Self {
        Self { status: 403, code: "AccessDenied", message }
    }

    /// Its body.
    pub(super) fn xml(&self) -> String {
        let Self { code, message, .. } = self;
        let message = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>local</RequestId></ErrorResponse>"
        )
    }
}

/// STS's parameters of AssumeRole that are understood. Another one is a refusal: it could be meant to restrict.
const PLAIN: [&str; 6] = ["Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds", "Policy"];

/// Answers one call in the query protocol; the XML.
pub(super) fn answer(
    body: &[u8],
    caller: &Session,
    roles: &BTreeMap<String, Assumable>,
    sessions: &Sessions,
) -> Result<String, Refused> {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    match form.get("Action").map(String::as_str) {
        Some("GetCallerIdentity") => Ok(identity(caller)),
        Some("AssumeRole") => assume(&form, caller, roles, sessions),
        _ => Err(invalid("the action is not one of this STS")),
    }
}

fn assume(
    form: &BTreeMap<String, String>,
    caller: &Session,
    roles: &BTreeMap<String, Assumable>,
    sessions: &Sessions,
) -> Result<String, Refused> {
    let get = |name: &str| form.get(name).map(String::as_str);
    let known = |name: &String| {
        PLAIN.contains(&name.as_str())
            || name.starts_with("Tags.member.")
            || name.starts_with("TransitiveTagKeys.member.")
    };
    if let Some(unknown) = form.keys().find(|name| !known(name)) {
        return Err(invalid(&format!("the parameter {unknown} is not understood")));
    }
    let arn = get("RoleArn").ok_or_else(|| invalid("RoleArn is missing"))?;
    let name = get("RoleSessionName").ok_or_else(|| invalid("RoleSessionName is missing"))?;
    let named = |b: u8| b.is_ascii_alphanumeric() || b"_=,.@-".contains(&b);
    if !(2..=64).contains(&name.len()) || !name.bytes().all(named) {
        return Err(invalid("RoleSessionName is not valid"));
    }
    let tags = tags(form)?;
    // An unknown role and a forbidden one answer alike, as in AWS.
    let target = roles.get(arn).ok_or_else(|| denied(caller, arn))?;
    authorise(form, caller, roles, (target, arn, &tags))?;
    // A session that is made of a session lasts an hour at most.
    let longest_s = target.role.max_session_s.min(3_600);
    let ttl_s: u32 = get("DurationSeconds")
        .map_or(Ok(3_600), str::parse)
        .map_err(|_err| invalid("DurationSeconds is no number"))?;
    if !(900..=longest_s).contains(&ttl_s) {
        return Err(invalid("DurationSeconds is out of range"));
    }
    let policy = get("Policy").map(session_policy).transpose()?;
    let new =
        NewSession { role_arn: arn.to_owned(), name: name.to_owned(), tags, policy, ttl_s: i64::from(ttl_s) };
    let given = sessions.issue(new).map_err(|err| Refused {
        status: 500,
        code: "InternalFailure",
        message: err.to_string(),
    })?;
    let expiration = insula_tenancy::Clock::fixed_at_s(given.expires_s).now().rfc3339();
    Ok(format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><AssumedRoleId>AROAINSULA:{name}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult>\
         <ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></AssumeRoleResponse>",
        session_arn(arn, name),
        given.access_key_id,
        given.secret_access_key,
        given.session_token,
    ))
}

/// Both sides must say yes: the caller's role, and the trust policy of the target.
fn authorise(
    form: &BTreeMap<String, String>,
    caller: &Session,
    roles: &BTreeMap<String, Assumable>,
    (target, arn, tags): (&Assumable, &str, &BTreeMap<String, String>),
) -> Result<(), Refused> {
    let own = roles.get(&caller.role_arn).ok_or_else(|| denied(caller, arn))?;
    let mut context = Context::default();
    context.one("aws:PrincipalArn", &*caller.role_arn);
    for (key, value) in &caller.tags {
        context.one(&format!("aws:PrincipalTag/{key}"), &**value);
    }
    if let Some(name) = form.get("RoleSessionName") {
        context.one("sts:RoleSessionName", &**name);
    }
    for (key, value) in tags {
        context.one(&format!("aws:RequestTag/{key}"), &**value);
    }
    if !tags.is_empty() {
        context.set("aws:TagKeys", tags.keys().cloned());
    }
    let transitive: Vec<String> = form
        .iter()
        .filter(|(name, _)| name.starts_with("TransitiveTagKeys."))
        .map(|(_, value)| value.clone())
        .collect();
    if !transitive.is_empty() {
        context.set("sts:TransitiveTagKeys", transitive);
    }
    let actions: &[&str] =
        if tags.is_empty() { &["sts:AssumeRole"] } else { &["sts:AssumeRole", "sts:TagSession"] };
    for action in actions {
        let query = Query { action, resource: arn, principal: None, context: &context };
        let named = Query { principal: Some(&caller.role_arn), ..query };
        let session = caller.policy.as_ref().is_none_or(|policy| policy.decide(&query) == Decision::Allow);
        let both =
            own.policies.decide(&query) == Decision::Allow && target.trust.decide(&named) == Decision::Allow;
        if !(both && session) {
            return Err(denied(caller, arn));
        }
    }
    Ok(())
}

fn tags(form: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Refused> {
    let mut tags = BTreeMap::new();
    for n in 1..=50 {
        let key = form.get(&format!("Tags.member.{n}.Key"));
        let value = form.get(&format!("Tags.member.{n}.Value"));
        match (key, value) {
            (Some(key), Some(value)) => {
                // AWS takes keys that differ in case alone for one.
                if tags.keys().any(|other: &String| other.eq_ignore_ascii_case(key)) {
                    return Err(invalid("a tag key stands twice"));
                }
                tags.insert(key.clone(), value.clone());
            }
            (None, None) => break,
            _ => return Err(invalid("a tag has a key and a value")),
        }
    }
    let said = form.keys().filter(|name| name.starts_with("Tags.")).count();
    if said == tags.len().saturating_mul(2) {
        Ok(tags)
    } else {
        Err(invalid("the tags are not numbered from 1"))
    }
}

fn session_policy(text: &str) -> Result<Policies, Refused> {
    let malformed = || invalid("the session policy is malformed");
    let document = serde_json::from_str(text).map_err(|_err| malformed())?;
    Policies::parse(&[document]).map_err(|_err| malformed())
}

fn identity(caller: &Session) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>{}</Arn><UserId>AROAINSULA:{}</UserId><Account>{}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        session_arn(&caller.role_arn, &caller.name),
        caller.name,
        caller.role_arn.split(':').nth(4).unwrap_or_default(),
    )
}

fn session_arn(role_arn: &str, name: &str) -> String {
    format!("{}/{name}", role_arn.replacen(":iam:", ":sts:", 1).replacen(":role/", ":assumed-role/", 1))
}

fn invalid(message: &str) -> Refused {
    Refused { status: 400, code: "ValidationError", message: message.to_owned() }
}

fn denied(caller: &Session, arn: &str) -> Refused {
    Refused::denied(format!("{} is not authorized to perform sts:AssumeRole on {arn}", caller.role_arn))
}
