//! A data key as it is held in memory, and its number.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    error::Unspecified,
};
use secrecy::{ExposeSecret, SecretBox, zeroize::Zeroizing};

/// Bytes of AES-256's key.
const KEY_BYTES: usize = 32;

/// Numbers a tenant's data keys from 1. The plan says which one new seals are made under, and a call that began under
/// another is run again: after a rotation nothing more is sealed under the key before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyId(u32);

impl KeyId {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }
}

/// The sort key of a wrapped key's row: ten digits, so that rows sort as their numbers do.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

/// An unwrapped data key. Its bytes are overwritten when it is dropped.
#[derive(Debug)]
pub(crate) struct DataKey {
    id: KeyId,
    bytes: SecretBox<[u8; KEY_BYTES]>,
}

impl DataKey {
    /// Takes what KMS unwrapped, which is overwritten here; `None` unless it has the length of a key.
    pub(crate) fn take(id: KeyId, plaintext: Vec<u8>) -> Option<Self> {
        let plaintext = Zeroizing::new(plaintext);
        let bytes: &[u8; KEY_BYTES] = plaintext.as_slice().try_into().ok()?;
        Some(Self { id, bytes: SecretBox::init_with_mut(|own: &mut [u8; KEY_BYTES]| *own = *bytes) })
    }

    pub(crate) const fn id(&self) -> KeyId {
        self.id
    }

    /// The cipher with this key. aws-lc overwrites the schedule when it is freed.
    pub(super) fn cipher(&self) -> Result<LessSafeKey, Unspecified> {
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, self.bytes.expose_secret())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_length_is_none() {
        assert!(DataKey::take(KeyId::new(1), vec![7; 32]).is_some());
        for wrong in [0, 16, 31, 33] {
            assert!(DataKey::take(KeyId::new(1), vec![7; wrong]).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_key_shows_its_number_and_nothing_more() {
        let shown = format!("{:?}", DataKey::take(KeyId::new(3), vec![0xa5; 32]).unwrap());
        assert!(shown.contains("KeyId(3)") && shown.contains("REDACTED"), "{shown}");
        assert!(!shown.contains("165") && !shown.contains("a5"), "{shown}");
    }

    #[test]
    fn rows_of_keys_sort_as_their_numbers_do() {
        let rows = [1, 2, 10, 99, u32::MAX].map(|number| KeyId::new(number).to_string());
        assert!(rows.is_sorted(), "{rows:?}");
        assert_eq!(rows[0], "0000000001");
    }
}
