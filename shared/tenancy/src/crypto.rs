//! Derived keys: one for each purpose and tenant, so that nothing sealed for one opens for another.

use std::sync::Arc;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    digest, hkdf, hmac, rand,
};
use aws_sdk_secretsmanager::Client;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::RwLock;

use crate::{
    Problem,
    aws::store_problem,
    clock::{Clock, Moment},
    tenant::TenantId,
};

/// The platform's keys are read again after this, so that a rotation needs no deployment.
const FRESH_S: i64 = 900;
/// A key makes names once every instance holds it, with a minute for clocks that differ.
const SETTLES_S: i64 = FRESH_S + 60;
/// How long a name may count: as long as a client's key does.
pub(crate) const NAMES_COUNT_S: i64 = 24 * 3600;
/// A seal under an unknown key makes an instance read the keys again, at most this often.
const UNKNOWN_KEY_REFRESH_S: i64 = 60;
/// First byte of every seal: the format below.
const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;

/// What a derived key is for. Each has its own key, so that a seal for one purpose never opens for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Where a listing goes on.
    Cursor,
    /// What an `input_required` result must bring back.
    RequestState,
    /// The name of an idempotency record under a client's key.
    Idempotency,
    /// The name of one that the arguments make.
    Repetition,
    /// What tells whether the arguments of two calls are the same.
    Arguments,
    /// What a tenant puts into the DNS to prove a domain.
    Domain,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Cursor => "insula/1/cursor",
            Self::RequestState => "insula/1/request-state",
            Self::Idempotency => "insula/1/idempotency",
            Self::Repetition => "insula/1/repetition",
            Self::Arguments => "insula/1/arguments",
            Self::Domain => "insula/1/domain",
        }
    }
}

/// The platform's master keys: the current one and, after a rotation, the one before.
#[derive(Debug)]
pub(crate) struct Sealer {
    client: Client,
    secret_id: String,
    clock: Clock,
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    ring: Ring,
    read: Moment,
    /// When a seal under an unknown key made it read the last time.
    asked: Option<Moment>,
}

impl Held {
    /// Whether it is time to read the keys again, for a seal under this key.
    fn is_due(&self, key: Option<[u8; KEY_ID_BYTES]>, now: Moment) -> bool {
        let age_s = |then: Moment| now.seconds().saturating_sub(then.seconds());
        match key {
            None => age_s(self.read) >= FRESH_S,
            Some(id) if self.ring.keys.iter().any(|key| key.id == id) => false,
            // The first one is never waited for: it is of an instance that has met a rotation before this one.
            Some(_) => self.asked.is_none_or(|then| age_s(then) >= UNKNOWN_KEY_REFRESH_S),
        }
    }
}

/// The keys that are held: the current one first.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    // INVARIANT: not empty; `read_keys` keeps it.
    keys: Arc<[Master]>,
}

/// One master key. Source: a version of the platform's secret in Secrets Manager.
struct Master {
    id: [u8; KEY_ID_BYTES],
    prk: hkdf::Prk,
    made: Moment,
}

/// A key that every instance holds by now, or whose names may still count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shared<'r>(&'r Master);

impl std::fmt::Debug for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Master").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A seal that does not open: altered, foreign, of another purpose, or too old. Which one is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsealable;

#[derive(Deserialize)]
struct SecretDocument {
    key: String,
}

impl Sealer {
    /// Reads the keys for the first time.
    pub(crate) async fn open(client: Client, secret_id: String, clock: Clock) -> Result<Self, Problem> {
        let held = Held { ring: read_keys(&client, &secret_id).await?, read: clock.now(), asked: None };
        Ok(Self { client, secret_id, clock, held: RwLock::new(held) })
    }

    /// Seals a text for one tenant and purpose. `context` is authenticated with it, and must be the same to open it.
    pub(crate) async fn seal(
        &self,
        purpose: Purpose,
        tenant: &TenantId,
        context: &str,
        text: &str,
    ) -> Result<String, Problem> {
        let sealed = self.ring().await?.seal(purpose, tenant, context, text);
        sealed.ok_or_else(|| Problem::internal("sealing", "the AEAD failed"))
    }

    /// Opens a seal, or says only that it does not open. A key that is not held yet is asked for.
    pub(crate) async fn open_seal(
        &self,
        purpose: Purpose,
        tenant: &TenantId,
        context: &str,
        sealed: &str,
    ) -> Result<Result<String, Unsealable>, Problem> {
        let Some((id, ..)) = take_apart(sealed) else { return Ok(Err(Unsealable)) };
        self.refresh(Some(id)).await?;
        let ring = self.held.read().await.ring.clone();
        Ok(ring.open(purpose, tenant, context, sealed).ok_or(Unsealable))
    }

    /// The keys as they are now, for work that can't wait.
    pub(crate) async fn ring(&self) -> Result<Ring, Problem> {
        self.refresh(None).await?;
        Ok(self.held.read().await.ring.clone())
    }

    async fn refresh(&self, key: Option<[u8; KEY_ID_BYTES]>) -> Result<(), Problem> {
        let now = self.clock.now();
        if !self.held.read().await.is_due(key, now) {
            return Ok(());
        }
        let mut held = self.held.write().await;
        if held.is_due(key, now) {
            held.ring = read_keys(&self.client, &self.secret_id).await?;
            held.read = now;
            held.asked = key.map(|_id| now).or(held.asked);
        }
        Ok(())
    }
}

impl Ring {
    /// As [`Sealer::seal`]; `None` if the AEAD fails.
    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        tenant: &TenantId,
        context: &str,
        text: &str,
    ) -> Option<String> {
        self.keys.first()?.seal((purpose, tenant, context), text)
    }

    /// The text of a seal, if it opens.
    pub(crate) fn open(
        &self,
        purpose: Purpose,
        tenant: &TenantId,
        context: &str,
        sealed: &str,
    ) -> Option<String> {
        let (id, nonce, mut body) = take_apart(sealed)?;
        let key = self.keys.iter().find(|key| key.id == id)?.aead(purpose, tenant).ok()?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let text = key.open_in_place(nonce, aad(purpose, tenant, context), &mut body).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }

    /// The newest key that every instance holds by now, which makes new names; behind it the other one, for as long as what is
    /// looked for by its name may have one of its.
    pub(crate) fn shared(&self, now: Moment) -> Vec<Shared<'_>> {
        let mut keys: Vec<_> = self.keys.iter().map(Shared).collect();
        if let [Shared(newest), _] = *keys {
            let settled = newest.made.plus_s(SETTLES_S);
            if now < settled {
                keys.reverse();
            } else if now >= settled.plus_s(NAMES_COUNT_S) {
                keys.truncate(1);
            }
        }
        keys
    }
}

impl Shared<'_> {
    /// As [`Ring::seal`], for who can't ask for a key that is not held yet.
    pub(crate) fn seal(
        self,
        purpose: Purpose,
        tenant: &TenantId,
        context: &str,
        text: &str,
    ) -> Option<String> {
        self.0.seal((purpose, tenant, context), text)
    }

    /// A name that only the holder of a key can make: HMAC-SHA-256 of the parts, each with its length.
    pub(crate) fn name(self, purpose: Purpose, tenant: &TenantId, parts: &[&str]) -> Option<String> {
        let key = self.0.bytes(purpose, tenant).ok()?;
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Some(URL_SAFE_NO_PAD.encode(mac.sign()))
    }
}

impl Master {
    fn new(text: &SecretString, made: Moment) -> Self {
        let secret = text.expose_secret().as_bytes();
        let digest = digest::digest(&digest::SHA256, &[b"insula/1/key-id", secret].concat());
        let mut id = [0_u8; KEY_ID_BYTES];
        id.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self { id, prk: hkdf::Salt::new(hkdf::HKDF_SHA256, b"insula/1").extract(secret), made }
    }

    fn seal(&self, (purpose, tenant, context): (Purpose, &TenantId, &str), text: &str) -> Option<String> {
        let mut nonce = [0_u8; NONCE_BYTES];
        rand::fill(&mut nonce).ok()?;
        let mut body = text.as_bytes().to_vec();
        let key = self.aead(purpose, tenant).ok()?;
        let unique = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(unique, aad(purpose, tenant, context), &mut body).ok()?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut body);
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn bytes(&self, purpose: Purpose, tenant: &TenantId) -> Result<[u8; 32], aws_lc_rs::error::Unspecified> {
        let info = [purpose.label().as_bytes(), b"\0", tenant.as_str().as_bytes()];
        let mut key = [0_u8; 32];
        self.prk.expand(&info, hkdf::HKDF_SHA256)?.fill(&mut key)?;
        Ok(key)
    }

    fn aead(
        &self,
        purpose: Purpose,
        tenant: &TenantId,
    ) -> Result<LessSafeKey, aws_lc_rs::error::Unspecified> {
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.bytes(purpose, tenant)?)?))
    }
}

/// 128 random bits.
pub(crate) fn random_bits() -> Result<[u8; 16], Problem> {
    let mut bits = [0_u8; 16];
    rand::fill(&mut bits).map_err(|_err| Problem::internal("drawing random bits", "the generator failed"))?;
    Ok(bits)
}

/// SHA-256 in base64url.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, bytes))
}

fn aad(purpose: Purpose, tenant: &TenantId, context: &str) -> Aad<Vec<u8>> {
    Aad::from([purpose.label(), "\0", tenant.as_str(), "\0", context].concat().into_bytes())
}

fn take_apart(sealed: &str) -> Option<([u8; KEY_ID_BYTES], [u8; NONCE_BYTES], Vec<u8>)> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (id, rest) = rest.split_first_chunk::<KEY_ID_BYTES>()?;
    let (nonce, body) = rest.split_first_chunk::<NONCE_BYTES>()?;
    (*version == VERSION).then(|| (*id, *nonce, body.to_vec()))
}

fn no_key() -> Problem {
    Problem::internal("sealing", "there is no platform key")
}

async fn read_keys(client: &Client, secret_id: &str) -> Result<Ring, Problem> {
    let mut keys = Vec::with_capacity(2);
    for stage in ["AWSCURRENT", "AWSPREVIOUS"] {
        let reply = client.get_secret_value().secret_id(secret_id).version_stage(stage).send().await;
        let (value, made) = match reply {
            Ok(reply) => (reply.secret_string.map(SecretString::from), reply.created_date),
            Err(err) if stage == "AWSPREVIOUS" && is_missing(&err) => continue,
            Err(err) => return Err(store_problem("reading the platform's key", err)),
        };
        let text = value.ok_or_else(no_key)?;
        let document: SecretDocument = serde_json::from_str(text.expose_secret())
            .map_err(|_err| Problem::internal("reading the platform's key", "not the expected form"))?;
        let key = SecretString::from(document.key);
        if key.expose_secret().len() < 32 {
            return Err(Problem::internal("reading the platform's key", "shorter than 32 characters"));
        }
        let made = made.ok_or_else(no_key)?;
        keys.push(Master::new(&key, Clock::fixed_at_s(made.secs()).now()));
    }
    Ok(Ring { keys: keys.into() })
}

fn is_missing(
    err: &aws_sdk_secretsmanager::error::SdkError<
        aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError,
    >,
) -> bool {
    err.as_service_error().is_some_and(|err| err.is_resource_not_found_exception())
}

#[cfg(test)]
mod tests;
