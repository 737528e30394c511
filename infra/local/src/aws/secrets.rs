//! Secrets Manager: `winterbaume` for what it does, and what each call needs to be allowed.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use aws_lc_rs::rand;
use serde_json::{Map, Value, json};
use winterbaume_core::StatefulService;
use winterbaume_secretsmanager::{SecretsManagerService, SecretsmanagerStateView};

use super::{
    emulated::{Grammar, ask, keep, read_kept, unknown},
    iam::Context,
    need::{Malformed, Need},
    reply::Reply,
};
use crate::template::Secret;

#[cfg(test)]
mod tests;

const GRAMMAR: Grammar = Grammar {
    service: "Secrets Manager",
    operations: &["GetSecretValue", "PutSecretValue", "DescribeSecret"],
    members: &[
        "SecretId",
        "VersionId",
        "VersionStage",
        "VersionStages",
        "SecretString",
        "SecretBinary",
        "ClientRequestToken",
    ],
};
const FILE: &str = "secrets.json";
/// What a generated secret is made of, without punctuation.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The platform's own secrets.
pub struct Secrets {
    service: SecretsManagerService,
    account: String,
    region: String,
    arns: Vec<String>,
    data: Option<PathBuf>,
    puts: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("arns", &self.arns).finish_non_exhaustive()
    }
}

impl Secrets {
    /// Opens the secrets of the template: those that were kept, and new ones for the others.
    ///
    /// # Errors
    /// A secret that can't be generated, or kept ones that can't be read.
    pub async fn open(
        secrets: &[Secret],
        account: &str,
        region: &str,
        data: Option<&Path>,
    ) -> Result<Self, String> {
        // The emulator has one account for all; it is set once, to what the template was resolved for.
        winterbaume_core::set_default_account_id(account);
        let mut view: SecretsmanagerStateView =
            read_kept(data, FILE)?.unwrap_or_else(|| SecretsmanagerStateView { secrets: HashMap::new() });
        for secret in secrets {
            let name = name_of(&secret.arn).ok_or_else(|| format!("{}: not an ARN", secret.arn))?;
            if !view.secrets.contains_key(name) {
                let made = new_secret(name, secret)?;
                view.secrets
                    .insert(name.to_owned(), serde_json::from_value(made).map_err(|err| err.to_string())?);
            }
        }
        keep(data, FILE, &view)?;
        let service = SecretsManagerService::new();
        service.restore(account, region, view).await.map_err(|err| format!("{err:?}"))?;
        Ok(Self {
            service,
            account: account.to_owned(),
            region: region.to_owned(),
            arns: secrets.iter().map(|secret| secret.arn.clone()).collect(),
            data: data.map(Path::to_owned),
            puts: tokio::sync::Mutex::default(),
        })
    }

    /// What this call needs to be allowed.
    ///
    /// # Errors
    /// A call whose secret can't be known.
    pub fn needs(&self, operation: &str, body: &Value) -> Result<Vec<Need>, Malformed> {
        GRAMMAR.check(operation, body)?;
        let arn = self.arn(body).ok_or_else(|| Malformed("there is no such secret".to_owned()))?;
        let mut context = Context::default();
        if let Some(stage) = body.get("VersionStage") {
            let stage = stage.as_str().ok_or_else(|| Malformed("VersionStage".to_owned()))?;
            context.one("secretsmanager:VersionStage", stage);
        }
        Ok(vec![Need { action: format!("secretsmanager:{operation}"), resource: arn.to_owned(), context }])
    }

    /// Does it.
    pub async fn serve(&self, operation: &str, mut body: Value) -> Reply {
        let (Some(arn), true) = (self.arn(&body).map(str::to_owned), GRAMMAR.operations.contains(&operation))
        else {
            return unknown();
        };
        if let (Some(body), Some(name)) = (body.as_object_mut(), name_of(&arn)) {
            body.insert("SecretId".to_owned(), Value::String(name.to_owned()));
        }
        let target = format!("secretsmanager.{operation}");
        if operation != "PutSecretValue" {
            return ask(&self.service, &self.region, &target, &body).await;
        }
        let _one_at_a_time = self.puts.lock().await;
        let before = self.service.snapshot(&self.account, &self.region).await;
        let reply = ask(&self.service, &self.region, &target, &body).await;
        let kept = async {
            self.keep_one_previous(name_of(&arn).unwrap_or_default(), &before).await?;
            self.keep().await
        };
        if let Err(err) = kept.await {
            tracing::error!(error = err, "a secret could not be kept");
            return Reply::fault("InternalServiceError");
        }
        reply
    }

    /// The emulator leaves `AWSPREVIOUS` on every version that was once the current one.
    async fn keep_one_previous(&self, name: &str, before: &SecretsmanagerStateView) -> Result<(), String> {
        let mut view = self.service.snapshot(&self.account, &self.region).await;
        let previous = before.secrets.get(name).and_then(|secret| secret.current_version_id.clone());
        let Some(secret) = view.secrets.get_mut(name).filter(|secret| secret.current_version_id != previous)
        else {
            return Ok(());
        };
        for (id, version) in &mut secret.versions {
            version.version_stages.retain(|stage| stage != "AWSPREVIOUS" || Some(id) == previous.as_ref());
        }
        secret.versions.retain(|_, version| !version.version_stages.is_empty());
        self.service.restore(&self.account, &self.region, view).await.map_err(|err| format!("{err:?}"))
    }

    async fn keep(&self) -> Result<(), String> {
        keep(self.data.as_deref(), FILE, &self.service.snapshot(&self.account, &self.region).await)
    }

    fn arn(&self, body: &Value) -> Option<&str> {
        let id = body.get("SecretId")?.as_str()?;
        self.arns.iter().map(String::as_str).find(|arn| *arn == id || name_of(arn) == Some(id))
    }
}

/// The name in an ARN: what is between `secret:` and the six letters that Secrets Manager adds.
fn name_of(arn: &str) -> Option<&str> {
    arn.split_once(":secret:")?.1.rsplit_once('-').map(|(name, _)| name)
}

fn new_secret(name: &str, secret: &Secret) -> Result<Value, String> {
    let wrong = |what: &str| format!("{}: GenerateSecretString.{what}", secret.name);
    let generate = secret.generate.as_object().ok_or_else(|| wrong("?"))?;
    let length = match generate.get("PasswordLength") {
        Some(length) => length
            .as_u64()
            .or_else(|| length.as_str()?.parse().ok())
            .ok_or_else(|| wrong("PasswordLength"))?,
        None => 32,
    };
    let password = password(usize::try_from(length).map_err(|_err| wrong("PasswordLength"))?)?;
    let text = match (generate.get("SecretStringTemplate"), generate.get("GenerateStringKey")) {
        (Some(template), Some(key)) => {
            let template = template.as_str().ok_or_else(|| wrong("SecretStringTemplate"))?;
            let mut object: Map<String, Value> =
                serde_json::from_str(template).map_err(|_err| wrong("SecretStringTemplate"))?;
            let key = key.as_str().ok_or_else(|| wrong("GenerateStringKey"))?;
            object.insert(key.to_owned(), Value::String(password));
            Value::Object(object).to_string()
        }
        _ => password,
    };
    let version = uuid::Uuid::new_v4().to_string();
    let made = "2026-01-01T00:00:00Z";
    Ok(json!({
        "name": name, "arn": secret.arn, "description": secret.name, "created_date": made,
        "last_changed_date": made, "current_version_id": version,
        "versions": { version.clone(): {
            "version_id": version, "secret_string": text, "created_date": made, "version_stages": ["AWSCURRENT"],
        } },
    }))
}

fn password(length: usize) -> Result<String, String> {
    let mut letters = String::with_capacity(length);
    while letters.len() < length {
        let mut byte = [0_u8; 1];
        rand::fill(&mut byte).map_err(|_err| "the generator of random bytes failed".to_owned())?;
        // A byte beyond the letters is drawn again, so that every letter is as likely as the others.
        let [byte] = byte;
        if let Some(letter) = LETTERS.get(usize::from(byte & 63)) {
            letters.push(char::from(*letter));
        }
    }
    Ok(letters)
}
