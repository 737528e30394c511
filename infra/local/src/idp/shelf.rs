//! A bounded store of things that expire, found by the digest of a secret.

use std::collections::VecDeque;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// SHA-256 of a secret or a name: what is stored can't be presented, and looking up can't be timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(secret: &str) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Digest(bytes)
    }

    pub(super) fn base64url(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// 32 random bytes in base64url: a code, a ticket, a client id, half of a refresh token.
pub(super) fn secret() -> Result<String, Unspecified> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// At most `max` entries: one more pushes the oldest out, and what has expired is never found.
#[derive(Debug)]
pub(super) struct Shelf<V> {
    entries: VecDeque<Entry<V>>,
    max: usize,
}

#[derive(Debug)]
struct Entry<V> {
    key: Digest,
    expires_s: u64,
    value: V,
}

impl<V> Shelf<V> {
    pub(super) fn new(max: usize) -> Shelf<V> {
        Shelf { entries: VecDeque::new(), max }
    }

    pub(super) fn put(&mut self, key: Digest, value: V, expires_s: u64, now_s: u64) {
        self.entries.retain(|entry| entry.expires_s > now_s && entry.key != key);
        while self.entries.len() >= self.max {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { key, expires_s, value });
    }

    pub(super) fn take(&mut self, key: Digest, now_s: u64) -> Option<V> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        self.entries.remove(at).filter(|entry| entry.expires_s > now_s).map(|entry| entry.value)
    }

    pub(super) fn get(&self, key: Digest, now_s: u64) -> Option<&V> {
        let found = self.entries.iter().find(|entry| entry.key == key)?;
        (found.expires_s > now_s).then_some(&found.value)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|entry| &entry.value)
    }
}
