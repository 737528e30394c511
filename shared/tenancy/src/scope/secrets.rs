//! The tenant's secrets: written by its admins, readable inside a tool alone.
//!
//! Each is a document with its seal. One more document, the directory, has the names, versions and dates: it bounds how many
//! there are, and says which version a seal must be of. Both are written in the one transaction of the call.

use std::{collections::BTreeMap, fmt, str::FromStr};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{OnShelf, TenantScope, shelf::check_seen};
use crate::{
    Problem,
    key::{ItemId, Shelf},
    record::{Prepared, Raw},
    vault::{Place, Sealed, Vault},
};

/// Secrets of one tenant.
pub const SECRETS_MAX: usize = 100;
/// Bytes of one secret's value.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;
/// Secrets that one call seals anew: a transaction has at most 4 MB.
const RESEALED_MAX: usize = 20;
/// Turns of a read that meets a write between its two documents.
const READS_MAX: u32 = 3;
/// The directory's own id, which is no secret's name.
const DIRECTORY: &str = "DIRECTORY";

/// Names a secret. Grammar: 1 to 64 of `a-z 0-9 _`, the first a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

/// A secret without its value, which no API gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretEntry {
    /// Its name.
    pub name: SecretName,
    /// Counts its values. No version of a name is ever that of two values, also where the secret was deleted between them.
    pub version: u64,
    /// When it had its first value, RFC 3339 in UTC.
    pub created: String,
    /// When it had this value, RFC 3339 in UTC.
    pub updated: String,
}

/// A secret that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretPut {
    /// It, without its value.
    pub entry: SecretEntry,
    /// Whether there was none of its name.
    pub is_new: bool,
}

/// What a round of sealing anew has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resealed {
    /// Secrets that are under the newest data key with this call.
    pub resealed: usize,
    /// Secrets that are still under an older one.
    pub left: usize,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Directory {
    secrets: BTreeMap<SecretName, Listed>,
    /// The highest version of any secret that was deleted: a new one begins above it, so that no seal of before is ever of a
    /// version that counts.
    #[serde(default)]
    ended: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    version: u64,
    created: String,
    updated: String,
    /// The number of the data key.
    data_key: u32,
}

#[derive(Serialize, Deserialize)]
struct Document {
    sealed: String,
}

impl SecretName {
    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name is an id too: its grammar is narrower.
    fn id(&self) -> Result<ItemId, Problem> {
        self.0.parse().map_err(|err| Problem::internal("naming a secret", err))
    }
}

impl FromStr for SecretName {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let fits = (1..=64).contains(&text.len()) && text.starts_with(|c: char| c.is_ascii_lowercase());
        (fits && plain).then(|| Self(text.to_owned())).ok_or(SecretNameError { bytes: text.len() })
    }
}

impl TryFrom<String> for SecretName {
    type Error = SecretNameError;

    fn try_from(text: String) -> Result<Self, SecretNameError> {
        text.parse()
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no name of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretNameError {
    bytes: usize,
}

impl fmt::Display for SecretNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the text itself: who mistakes the two may have sent the value.
        write!(
            f,
            "a secret's name has 1 to 64 of a-z, 0-9 and _, and begins with a letter; this has {} bytes",
            self.bytes
        )
    }
}

impl std::error::Error for SecretNameError {}

impl From<SecretNameError> for Problem {
    fn from(err: SecretNameError) -> Self {
        Self::Invalid { detail: format!("name: {err}") }
    }
}

impl TenantScope {
    /// The secrets in the order of their names, without their values.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn list_secrets(&self) -> Result<Vec<SecretEntry>, Problem> {
        let directory = read_directory(self.secrets().find(&directory_id()?).await?.as_ref())?;
        Ok(directory.secrets.into_iter().map(|(name, listed)| listed.entry(name)).collect())
    }

    /// Stages a secret's new value, over the version that was seen if one was. The value before it is gone with the
    /// commit: what is replaced because it has leaked must not be kept, and whoever needs two has two names.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for an empty value, and for one more than 100 secrets; [`Problem::TooLarge`] over 64 KiB;
    /// [`Problem::Conflict`] when another version is there.
    pub async fn put_secret(
        &self,
        name: &SecretName,
        value: &SecretString,
        seen: Option<u64>,
    ) -> Result<SecretPut, Problem> {
        check_value(value)?;
        let (found, mut directory) = self.rely_on_directory().await?;
        let before = directory.secrets.get(name).map(|listed| (listed.version, listed.created.clone()));
        check_seen(KIND, seen, before.as_ref().map(|(version, _)| *version))?;
        if before.is_none() && directory.secrets.len() >= SECRETS_MAX {
            let detail = format!("secrets: {} of at most {SECRETS_MAX}", directory.secrets.len());
            return Err(Problem::Invalid { detail });
        }
        let (now, is_new) = (self.room.clock.now().rfc3339(), before.is_none());
        let (last, created) = before.unwrap_or_else(|| (directory.ended, now.clone()));
        let version = last.saturating_add(1);
        let key = self.vault()?.current(&self.room).await?;
        let sealed = Sealed::make(&key, self.place(name, version), value)?;
        self.stage_seal(name, &sealed).await?;
        let listed = Listed { version, created, updated: now, data_key: key.id().number() };
        directory.secrets.insert(name.clone(), listed.clone());
        self.stage_directory(found.as_ref(), &directory)?;
        Ok(SecretPut { entry: listed.entry(name.clone()), is_new })
    }

    /// Stages the end of a secret, of the version that was seen if one was.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when this tenant has none, [`Problem::Conflict`] when another version is there.
    pub async fn delete_secret(&self, name: &SecretName, seen: Option<u64>) -> Result<(), Problem> {
        let (found, mut directory) = self.rely_on_directory().await?;
        let gone = directory.secrets.remove(name).ok_or(Problem::NotFound { kind: KIND })?;
        check_seen(KIND, seen, Some(gone.version))?;
        directory.ended = directory.ended.max(gone.version);
        self.secrets().delete(&name.id()?, None).await?;
        self.stage_directory(found.as_ref(), &directory)
    }

    /// Stages secrets that are sealed under an older data key to be sealed under the one that the plan names, at most 20
    /// in one call. Their values, versions and dates stay.
    ///
    /// # Errors
    /// [`Problem::Internal`] when a seal does not open; [`Problem::Unavailable`] when KMS or the store does not answer.
    pub async fn reseal_secrets(&self) -> Result<Resealed, Problem> {
        let (found, mut directory) = self.rely_on_directory().await?;
        let vault = self.vault()?;
        let newest = vault.current(&self.room).await?;
        let number = newest.id().number();
        let older = directory.secrets.iter().filter(|(_, listed)| listed.data_key < number);
        let older: Vec<_> = older.map(|(name, listed)| (name.clone(), listed.version)).collect();
        let (now, later) = older.split_at(older.len().min(RESEALED_MAX));
        for (name, version) in now {
            let raw = self.secrets().get(&name.id()?).await?;
            let place = self.place(name, *version);
            let value = self.open_seal(vault, &raw, place).await?.ok_or_else(does_not_open)?;
            self.stage_seal(name, &Sealed::make(&newest, place, &value)?).await?;
            if let Some(listed) = directory.secrets.get_mut(name) {
                listed.data_key = number;
            }
        }
        if !now.is_empty() {
            self.stage_directory(found.as_ref(), &directory)?;
        }
        Ok(Resealed { resealed: now.len(), left: later.len() })
    }

    /// A secret's value, for a tool: nothing else may read it, and it goes into no reply, log or error.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for what is no name; [`Problem::Forbidden`] when the tenant has not set it, which says who can;
    /// [`Problem::Internal`] when its seal does not open; [`Problem::Unavailable`] when KMS or the store does not answer.
    pub async fn secret(&self, name: &str) -> Result<SecretString, Problem> {
        let name: SecretName = name.parse()?;
        let vault = self.vault()?;
        let ids = [directory_id()?, name.id()?];
        for _ in 0..READS_MAX {
            let mut found = self.secrets().find_many(&ids).await?.into_iter();
            let directory = read_directory(found.next().flatten().as_ref())?;
            let (Some(listed), Some(raw)) = (directory.secrets.get(&name), found.next().flatten()) else {
                return Err(not_set(&name));
            };
            // The two documents are not read at one instant: a value may have been replaced between them.
            if let Some(value) = self.open_seal(vault, &raw, self.place(&name, listed.version)).await? {
                return Ok(value);
            }
        }
        Err(does_not_open())
    }

    /// What the seal opens to at this place, if it does.
    async fn open_seal(
        &self,
        vault: &Vault,
        raw: &Raw,
        place: Place<'_>,
    ) -> Result<Option<SecretString>, Problem> {
        let document: Document = raw.typed()?.value;
        let sealed = Sealed::read(&document.sealed)
            .ok_or_else(|| Problem::internal("opening a secret", "it is in no form of ours"))?;
        let key = vault.key(&self.room, sealed.key()).await?;
        Ok(sealed.open(&key, place).ok())
    }

    async fn rely_on_directory(&self) -> Result<(Option<Raw>, Directory), Problem> {
        let found = self.secrets().rely(&directory_id()?).await?;
        let directory = read_directory(found.as_ref())?;
        Ok((found, directory))
    }

    fn stage_directory(&self, found: Option<&Raw>, directory: &Directory) -> Result<(), Problem> {
        self.secrets().put(directory_id()?, found, Prepared::of(directory)?).map(drop)
    }

    async fn stage_seal(&self, name: &SecretName, sealed: &Sealed) -> Result<(), Problem> {
        let id = name.id()?;
        let found = self.secrets().find(&id).await?;
        self.secrets().put(id, found.as_ref(), Prepared::of(&Document { sealed: sealed.text() })?).map(drop)
    }

    fn secrets(&self) -> OnShelf<'_> {
        OnShelf { room: &self.room, shelf: &Shelf::Secrets, kind: KIND, indexes: &[] }
    }

    fn vault(&self) -> Result<&Vault, Problem> {
        let vault = self.room.vault.as_deref();
        vault.ok_or_else(|| Problem::internal("opening the vault", "this function has none"))
    }

    fn place<'p>(&'p self, name: &'p SecretName, version: u64) -> Place<'p> {
        Place { tenant: &self.room.tenant, name: name.as_str(), version }
    }
}

const KIND: &str = "secret";

impl Listed {
    fn entry(self, name: SecretName) -> SecretEntry {
        let Self { version, created, updated, .. } = self;
        SecretEntry { name, version, created, updated }
    }
}

fn directory_id() -> Result<ItemId, Problem> {
    DIRECTORY.parse().map_err(|err| Problem::internal("naming the directory", err))
}

fn read_directory(raw: Option<&Raw>) -> Result<Directory, Problem> {
    raw.map_or_else(|| Ok(Directory::default()), |raw| Ok(raw.typed()?.value))
}

fn check_value(value: &SecretString) -> Result<(), Problem> {
    match value.expose_secret().len() {
        0 => Err(Problem::Invalid { detail: "value: at least 1 byte".to_owned() }),
        bytes if bytes > SECRET_BYTES_MAX => {
            Err(Problem::TooLarge { what: KIND, bytes_max: SECRET_BYTES_MAX, bytes })
        }
        _ => Ok(()),
    }
}

fn not_set(name: &SecretName) -> Problem {
    let detail = format!("the secret {name} is not set in this workspace; one of its admins can set it");
    Problem::Forbidden { detail }
}

fn does_not_open() -> Problem {
    Problem::internal("opening a secret", "it does not open at its place")
}

#[cfg(test)]
mod tests;
