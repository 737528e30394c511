//! The signing keys of pinned issuers: fetched with care, kept for a while, pinned to one algorithm each.

use std::{collections::BTreeMap, sync::Arc};

use jsonwebtoken::{Algorithm as Jws, DecodingKey};
use moka::future::Cache;
use tokio::sync::Mutex;
use url::Url;

use crate::{
    Denial, Problem,
    clock::{Clock, Moment},
    fetch::Fetch,
};

mod jwk;

/// Bytes of a key set. The largest of the well-known providers has 14 KiB.
const SET_BYTES_MAX: usize = 64 * 1024;
/// A key set is asked for again after this.
const FRESH_S: i64 = 600;
/// On errors an old key set stays good for this long.
const STALE_S: i64 = 3600;
/// An issuer is asked again because of an unknown key id at most this often.
const UNKNOWN_KEY_REFETCH_S: i64 = 60;
/// An issuer that just failed is left alone for this long.
const FAILED_REFETCH_S: i64 = 5;
/// Issuers whose keys are kept.
const ISSUERS_MAX: u64 = 1_000;

/// A signature algorithm that a pinned issuer may use. There is no symmetric one, and no `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Algorithm(Jws);

impl Algorithm {
    /// Reads the `alg` of a header or a key (RFC 7518 § 3.1, RFC 8037 § 3.1).
    pub(crate) fn read(text: &str) -> Option<Self> {
        Some(Self(match text {
            "RS256" => Jws::RS256,
            "RS384" => Jws::RS384,
            "RS512" => Jws::RS512,
            "PS256" => Jws::PS256,
            "PS384" => Jws::PS384,
            "PS512" => Jws::PS512,
            "ES256" => Jws::ES256,
            "ES384" => Jws::ES384,
            "EdDSA" => Jws::EdDSA,
            _ => return None,
        }))
    }
}

/// One public key with the one algorithm that it is good for.
#[derive(Clone)]
pub(crate) struct Key {
    key: DecodingKey,
    algorithm: Algorithm,
}

impl Key {
    /// Whether this signature (base64url) is this key's over the message, with this key's own algorithm.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str, algorithm: Algorithm) -> bool {
        self.algorithm == algorithm
            && jsonwebtoken::crypto::verify(signature, message, &self.key, algorithm.0).unwrap_or(false)
    }
}

/// Keys by id, of every issuer that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    fetch: Fetch,
    clock: Clock,
    issuers: Cache<String, Arc<Mutex<Held>>>,
}

/// What is held of one issuer. Its lock makes a fetch single-flight.
#[derive(Default)]
struct Held {
    set: BTreeMap<String, Key>,
    fetched: Option<Moment>,
    tried: Option<Moment>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("fetched", &self.fetched).finish_non_exhaustive()
    }
}

impl Keys {
    pub(crate) fn new(fetch: Fetch, clock: Clock) -> Self {
        Self { fetch, clock, issuers: Cache::builder().max_capacity(ISSUERS_MAX).build() }
    }

    /// The key of this id, asking the issuer when it must. Call it only after issuer and audience were checked, so
    /// that a stranger's token makes no one ask.
    ///
    /// # Errors
    /// `Ok(Err(UnknownKey))`-like: the inner [`Denial::UnknownKey`] when the issuer has no such key;
    /// [`Problem::Unavailable`] when the issuer's keys can't be had and none young enough are held.
    pub(crate) async fn find(
        &self,
        issuer: &str,
        jwks_uri: &Url,
        key_id: &str,
    ) -> Result<Result<Key, Denial>, Problem> {
        let held = self.issuers.get_with_by_ref(issuer, async { Arc::default() }).await;
        let mut held = held.lock().await;
        let now = self.clock.now();
        let age = |moment: Option<Moment>| moment.map(|then| now.seconds().saturating_sub(then.seconds()));
        let wait_s = match (age(held.fetched), held.set.contains_key(key_id)) {
            (Some(age_s), true) if age_s < FRESH_S => i64::MAX,
            (Some(_), false) => UNKNOWN_KEY_REFETCH_S,
            _ => FAILED_REFETCH_S,
        };
        if age(held.tried).is_none_or(|tried_s| tried_s >= wait_s) {
            held.tried = Some(now);
            match self.fetch.get(jwks_uri, SET_BYTES_MAX).await {
                Ok(body) => {
                    held.set = jwk::read_set(&body)
                        .map_err(|err| Problem::unavailable("reading an issuer's keys", err))?;
                    held.fetched = Some(now);
                }
                Err(err) if age(held.fetched).is_some_and(|age_s| age_s < STALE_S) => {
                    tracing::warn!(error = %err, issuer, "an issuer's keys can't be had; the old ones stay");
                }
                Err(err) => return Err(Problem::unavailable("fetching an issuer's keys", err)),
            }
        }
        match age(held.fetched) {
            Some(age_s) if age_s < STALE_S => Ok(held.set.get(key_id).cloned().ok_or(Denial::UnknownKey)),
            _ => Err(Problem::Unavailable { doing: "fetching an issuer's keys", source: None }),
        }
    }
}

#[cfg(test)]
impl Key {
    /// The one fit key of a set, for tests of what it verifies.
    pub(crate) fn from_set(body: &[u8]) -> Self {
        let mut keys = jwk::read_set(body).unwrap().into_values();
        let key = keys.next().unwrap();
        assert!(keys.next().is_none());
        key
    }
}
