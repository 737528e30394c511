//! KMS: `winterbaume` for what it does, and what each call needs to be allowed.

use std::{
    collections::{BTreeMap, hash_map::Entry},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use winterbaume_core::StatefulService;
use winterbaume_kms::{KmsService, KmsStateView};

use super::{
    emulated::{Grammar, ask, keep, read_kept, unknown},
    iam::{Context, Policies},
    need::{Malformed, Need},
    reply::Reply,
};
use crate::template::Key;

#[cfg(test)]
mod tests;

const GRAMMAR: Grammar = Grammar {
    service: "KMS",
    operations: &[
        "Encrypt",
        "Decrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "DescribeKey",
        "EnableKeyRotation",
        "ScheduleKeyDeletion",
    ],
    members: &[
        "KeyId",
        "EncryptionContext",
        "EncryptionAlgorithm",
        "KeySpec",
        "NumberOfBytes",
        "Plaintext",
        "CiphertextBlob",
        "PendingWindowInDays",
    ],
};
const MAKING: Grammar = Grammar {
    service: "KMS",
    operations: &["CreateKey"],
    members: &["Description", "KeySpec", "KeyUsage", "Policy", "Tags"],
};
/// The one operation that has two keys and two contexts.
const REWRAPPING: Grammar = Grammar {
    service: "KMS",
    operations: &["ReEncrypt"],
    members: &[
        "CiphertextBlob",
        "SourceKeyId",
        "SourceEncryptionContext",
        "DestinationKeyId",
        "DestinationEncryptionContext",
    ],
};
const FILE: &str = "kms.json";

/// The keys.
#[derive(Debug)]
pub struct Kms {
    service: Service,
    account: String,
    region: String,
    data: Option<PathBuf>,
    /// By ARN.
    known: RwLock<BTreeMap<String, Arc<Known>>>,
}

/// What decides who may use a key.
#[derive(Debug)]
pub struct Known {
    /// The key's own policy.
    pub policy: Policies,
    tags: BTreeMap<String, String>,
}

struct Service(KmsService);

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KmsService")
    }
}

impl Kms {
    /// Opens the keys of the template: those that were kept, and new ones for the others.
    ///
    /// # Errors
    /// A key policy that does not parse, or kept keys that can't be read.
    pub async fn open(
        keys: &[Key],
        account: &str,
        region: &str,
        data: Option<&Path>,
    ) -> Result<Self, String> {
        // The emulator has one account for all; it is set once, to what the template was resolved for.
        winterbaume_core::set_default_account_id(account);
        let mut view: KmsStateView = read_kept(data, FILE)?.unwrap_or_default();
        let mut known = BTreeMap::new();
        // Keys that were made by a call are known by what was kept of them.
        for (key, kept) in view.keys.iter().filter_map(|(id, key)| Some((key, view.key_policies.get(id)?))) {
            let tags = key.tags.clone().into_iter().collect();
            known.insert(key.arn.clone(), Arc::new(read_known(kept, tags)?));
        }
        for key in keys {
            let policy = Policies::parse(std::slice::from_ref(&key.policy));
            let policy = policy.map_err(|err| format!("{}: {err}", key.name))?;
            known.insert(key.arn.clone(), Arc::new(Known { policy, tags: BTreeMap::new() }));
            let id = key.arn.rsplit('/').next().unwrap_or_default().to_owned();
            if let Entry::Vacant(missing) = view.keys.entry(id) {
                let made = new_key(missing.key(), key, account, region)?;
                missing.insert(serde_json::from_value(made).map_err(|err| err.to_string())?);
            }
        }
        keep(data, FILE, &view)?;
        let service = KmsService::new();
        service.restore(account, region, view).await.map_err(|err| format!("{err:?}"))?;
        let (account, region) = (account.to_owned(), region.to_owned());
        let (data, known) = (data.map(Path::to_owned), RwLock::new(known));
        Ok(Self { service: Service(service), account, region, data, known })
    }

    /// A key of this ARN.
    #[must_use]
    pub fn known(&self, arn: &str) -> Option<Arc<Known>> {
        self.all().get(arn).cloned()
    }

    fn all(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Known>>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this call needs to be allowed.
    ///
    /// # Errors
    /// A call whose key or encryption context can't be known.
    pub fn needs(&self, operation: &str, body: &Value) -> Result<Vec<Need>, Malformed> {
        if MAKING.operations.contains(&operation) {
            MAKING.check(operation, body)?;
            return self.needs_of_making(body);
        }
        if !REWRAPPING.operations.contains(&operation) {
            GRAMMAR.check(operation, body)?;
            let resource = self.key("KeyId", operation, body)?;
            let context = self.context(&resource, body.get("EncryptionContext"))?;
            return Ok(vec![Need { action: format!("kms:{operation}"), resource, context }]);
        }
        REWRAPPING.check(operation, body)?;
        let (from, to) =
            (self.key("SourceKeyId", operation, body)?, self.key("DestinationKeyId", operation, body)?);
        let sides = [("kms:ReEncryptFrom", &from, "Source"), ("kms:ReEncryptTo", &to, "Destination")];
        let need = |(action, arn, side): (&str, &String, &str)| {
            let mut context = self.context(arn, body.get(format!("{side}EncryptionContext")))?;
            context.one("kms:ReEncryptOnSameKey", if from == to { "true" } else { "false" });
            Ok(Need { action: action.to_owned(), resource: arn.clone(), context })
        };
        sides.into_iter().map(need).collect()
    }

    /// A key can be made by whoever may make one and tag it so; it has no policy of its own yet.
    fn needs_of_making(&self, body: &Value) -> Result<Vec<Need>, Malformed> {
        let wrong = || Malformed("Policy or Tags are not understood".to_owned());
        let policy = body.get("Policy").and_then(Value::as_str).ok_or_else(wrong)?;
        let tags = tags(body).ok_or_else(wrong)?;
        read_known(policy, BTreeMap::new()).map_err(Malformed)?;
        let mut context = Context::default();
        context.one("kms:CallerAccount", &*self.account);
        if !tags.is_empty() {
            context.set("aws:TagKeys", tags.keys().cloned());
        }
        for (name, value) in tags {
            context.one(&format!("aws:RequestTag/{name}"), value);
        }
        let actions = ["kms:CreateKey", "kms:TagResource"].map(str::to_owned);
        let need = |action| Need { action, resource: "*".to_owned(), context: context.clone() };
        Ok(actions.into_iter().map(need).collect())
    }

    /// What policies can ask of a key and an encryption context.
    fn context(&self, arn: &str, pairs: Option<&Value>) -> Result<Context, Malformed> {
        let mut context = Context::default();
        context.one("kms:CallerAccount", &*self.account);
        for (name, value) in self.known(arn).iter().flat_map(|known| &known.tags) {
            context.one(&format!("aws:ResourceTag/{name}"), &**value);
        }
        let Some(pairs) = pairs else { return Ok(context) };
        let pairs = pairs.as_object().ok_or_else(|| Malformed("EncryptionContext".to_owned()))?;
        if pairs.is_empty() {
            return Ok(context);
        }
        context.set("kms:EncryptionContextKeys", pairs.keys().cloned());
        for (name, value) in pairs {
            let same = |other: &&String| other.eq_ignore_ascii_case(name);
            if pairs.keys().filter(same).nth(1).is_some() {
                // Policies don't tell them apart, and the ciphertext does.
                return Err(Malformed("EncryptionContext has a key twice, in different case".to_owned()));
            }
            let value = value.as_str().ok_or_else(|| Malformed("EncryptionContext".to_owned()))?;
            context.one(&format!("kms:EncryptionContext:{name}"), value);
        }
        Ok(context)
    }

    /// The ARN of the key that a member names, or that a ciphertext begins with the id of.
    fn key(&self, member: &str, operation: &str, body: &Value) -> Result<String, Malformed> {
        let id = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        let known = self.all();
        let found = || match body.get(member) {
            Some(key) => {
                let key = key.as_str()?;
                known.keys().find(|arn| *arn == key || id(arn) == key)
            }
            None if operation == "Decrypt" || member == "SourceKeyId" => {
                let blob = STANDARD.decode(body.get("CiphertextBlob")?.as_str()?).ok()?;
                known.keys().find(|arn| blob.starts_with(id(arn).as_bytes()))
            }
            None => None,
        };
        found().cloned().ok_or_else(|| Malformed("there is no such key".to_owned()))
    }

    /// Does it.
    pub async fn serve(&self, operation: &str, mut body: Value) -> Reply {
        if ![GRAMMAR, MAKING, REWRAPPING].iter().any(|grammar| grammar.operations.contains(&operation)) {
            return unknown();
        }
        // The emulator joins a context as `k=v,k=v`, so `{a: "b,c=d"}` would open what `{a: b, c: d}` sealed.
        for member in ["EncryptionContext", "SourceEncryptionContext", "DestinationEncryptionContext"] {
            if let Some(pairs) =
                body.get_mut(member).and_then(Value::as_object_mut).filter(|pairs| !pairs.is_empty())
            {
                let sorted: BTreeMap<String, Value> = std::mem::take(pairs).into_iter().collect();
                pairs.insert("context".to_owned(), Value::String(json!(sorted).to_string()));
            }
        }
        let reply = self.ask(operation, &body).await;
        let kept = match operation {
            _ if reply.status != 200 => Ok(()),
            "CreateKey" => self.take_over(&body, &reply).await,
            "EnableKeyRotation" | "ScheduleKeyDeletion" => self.keep().await,
            _ => Ok(()),
        };
        kept.map_or_else(|_why| Reply::fault("KMSInternalException"), |()| reply)
    }

    async fn ask(&self, operation: &str, body: &Value) -> Reply {
        ask(&self.service.0, &self.region, &format!("TrentService.{operation}"), body).await
    }

    /// Takes over a new key, and keeps it.
    async fn take_over(&self, body: &Value, reply: &Reply) -> Result<(), String> {
        let arn = reply.body.pointer("/KeyMetadata/Arn").and_then(Value::as_str).ok_or("no ARN")?.to_owned();
        let policy = body.get("Policy").and_then(Value::as_str).ok_or("no policy")?;
        let known = read_known(policy, tags(body).ok_or("no tags")?)?;
        let put = json!({ "KeyId": arn, "PolicyName": "default", "Policy": policy });
        if self.ask("PutKeyPolicy", &put).await.status != 200 {
            return Err("the policy is not kept".to_owned());
        }
        self.keep().await?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(arn, Arc::new(known));
        Ok(())
    }

    async fn keep(&self) -> Result<(), String> {
        keep(self.data.as_deref(), FILE, &self.service.0.snapshot(&self.account, &self.region).await)
    }
}

fn read_known(policy: &str, tags: BTreeMap<String, String>) -> Result<Known, String> {
    let policy: Value = serde_json::from_str(policy).map_err(|err| err.to_string())?;
    let policy = Policies::parse(std::slice::from_ref(&policy)).map_err(|err| err.to_string())?;
    Ok(Known { policy, tags })
}

/// The tags of a new key; none if one is there twice or is not understood.
fn tags(body: &Value) -> Option<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for tag in body.get("Tags").map_or(Some(&Vec::new()), Value::as_array)? {
        let text = |name: &str| tag.get(name)?.as_str().map(str::to_owned);
        if tags.insert(text("TagKey")?, text("TagValue")?).is_some() {
            return None;
        }
    }
    Some(tags)
}

fn new_key(id: &str, key: &Key, account: &str, region: &str) -> Result<Value, String> {
    let mut material = [0_u8; 32];
    rand::fill(&mut material).map_err(|_err| "the generator of random bytes failed".to_owned())?;
    let material: String = material.iter().map(|b| format!("{b:02x}")).collect();
    Ok(json!({
        "key_id": id, "arn": key.arn, "account_id": account, "region": region, "description": key.name,
        "key_spec": "SYMMETRIC_DEFAULT", "key_usage": "ENCRYPT_DECRYPT", "key_state": "Enabled",
        "creation_date": "2026-01-01T00:00:00Z", "enabled": true, "origin": "AWS_KMS", "key_manager": "CUSTOMER",
        "deletion_date": null, "key_rotation_enabled": true, "key_material": material, "tags": {},
        "multi_region": false,
    }))
}
