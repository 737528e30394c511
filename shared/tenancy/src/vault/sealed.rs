//! The form in which a secret is stored: sealed for one tenant, name, version and data key.
//!
//! Format 1, in base64url without padding:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the format, 1 |
//! | 4 | the data key's number, big-endian |
//! | 12 | a random nonce |
//! | any | the text under AES-256-GCM |
//! | 16 | the tag |
//!
//! Authenticated with it, and not stored in it: the format, the tenant, the name, the version and the key's number, each with
//! its length before it, so that no two different places have the same bytes.

use aws_lc_rs::{
    aead::{Aad, NONCE_LEN, Nonce},
    rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::data_key::{DataKey, KeyId};
use crate::{Problem, tenant::TenantId};

const FORMAT: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const TAG_BYTES: usize = 16;

/// Where a secret belongs. A seal that is brought to another place does not open there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) tenant: &'p TenantId,
    pub(crate) name: &'p str,
    pub(crate) version: u64,
}

/// A seal taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    key: KeyId,
    nonce: [u8; NONCE_LEN],
    body: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A seal that does not open: altered, truncated, of another key or another place. Which one is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsealable;

impl Sealed {
    /// Seals a text under a fresh nonce.
    ///
    /// # Errors
    /// [`Problem::Internal`] when the generator or the cipher fails.
    pub(crate) fn make(key: &DataKey, place: Place<'_>, text: &SecretString) -> Result<Self, Problem> {
        let mut nonce = [0; NONCE_LEN];
        let made = rand::fill(&mut nonce).ok().and_then(|()| Self::with_nonce(key, nonce, place, text));
        made.ok_or_else(|| Problem::internal("sealing a secret", "the generator or the cipher failed"))
    }

    /// A nonce must never come twice under one key: but for the test vectors there is only [`Sealed::make`].
    fn with_nonce(
        key: &DataKey,
        nonce: [u8; NONCE_LEN],
        place: Place<'_>,
        text: &SecretString,
    ) -> Option<Self> {
        let text = text.expose_secret().as_bytes();
        // With room for the tag, so that the text is encrypted where it is and never moved.
        let mut body = Vec::with_capacity(text.len().checked_add(TAG_BYTES)?);
        body.extend_from_slice(text);
        let cipher = key.cipher().ok()?;
        let unique = Nonce::assume_unique_for_key(nonce);
        cipher.seal_in_place_append_tag(unique, authenticated(place, key.id()), &mut body).ok()?;
        Some(Self { key: key.id(), nonce, body })
    }

    /// Reads the text form; `None` for another format, or for less than a whole seal.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (format, rest) = bytes.split_first()?;
        let (key, rest) = rest.split_first_chunk::<KEY_ID_BYTES>()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        let whole = *format == FORMAT && body.len() >= TAG_BYTES;
        whole.then(|| Self { key: KeyId::new(u32::from_be_bytes(*key)), nonce: *nonce, body: body.to_vec() })
    }

    /// The text form.
    pub(crate) fn text(&self) -> String {
        let head = [&[FORMAT][..], &self.key.number().to_be_bytes(), &self.nonce];
        URL_SAFE_NO_PAD.encode([head.concat().as_slice(), &self.body].concat())
    }

    /// The data key that opens it.
    pub(crate) const fn key(&self) -> KeyId {
        self.key
    }

    /// The text, if this key opens it at this place.
    pub(crate) fn open(self, key: &DataKey, place: Place<'_>) -> Result<SecretString, Unsealable> {
        if self.key != key.id() {
            return Err(Unsealable);
        }
        let mut body = Zeroizing::new(self.body);
        let cipher = key.cipher().map_err(|_err| Unsealable)?;
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let opened = cipher.open_in_place(nonce, authenticated(place, self.key), &mut body);
        let text = opened.ok().and_then(|text| std::str::from_utf8(text).ok()).ok_or(Unsealable)?;
        // Copied once into its final place: a `String` that shrinks would leave its text behind.
        Ok(SecretString::from(text))
    }
}

fn authenticated(Place { tenant, name, version }: Place<'_>, key: KeyId) -> Aad<Vec<u8>> {
    let parts = [
        &[FORMAT][..],
        tenant.as_str().as_bytes(),
        name.as_bytes(),
        &version.to_be_bytes(),
        &key.number().to_be_bytes(),
    ];
    let mut bytes = Vec::with_capacity(128);
    for part in parts {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    Aad::from(bytes)
}

#[cfg(test)]
mod tests;
