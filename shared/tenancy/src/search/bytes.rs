//! The bytes of the index: written plainly, read with suspicion.

use std::fmt;

use crate::Problem;

/// The version of everything that is written here. A row of another one is refused, not guessed at.
const VERSION: u8 = 1;

/// What a row holds: its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    News = 1,
    Manifest = 2,
    Outline = 3,
    Page = 4,
    Dead = 5,
}

/// Bytes that this version of the index does not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row of the search index is malformed")
    }
}

impl std::error::Error for Malformed {}

impl From<Malformed> for Problem {
    fn from(err: Malformed) -> Self {
        Self::internal("reading the search index", err)
    }
}

/// A row that grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(form: Form) -> Self {
        Self(vec![form as u8, VERSION])
    }

    /// Bytes within a row.
    pub(super) const fn within() -> Self {
        Self(Vec::new())
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Seven bits a byte, the lowest first; the highest bit says that another byte follows.
    pub(super) fn number(&mut self, n: u64) {
        put_number(&mut self.0, n);
    }

    /// Bytes behind their length.
    pub(super) fn chunk(&mut self, bytes: &[u8]) {
        self.number(bytes.len().try_into().unwrap_or(u64::MAX));
        self.bytes(bytes);
    }

    /// A key behind what it shares with the one before.
    pub(super) fn key(&mut self, before: &[u8], key: &[u8]) {
        let shared = before.iter().zip(key).take_while(|(left, right)| left == right).count();
        self.number(shared.try_into().unwrap_or(u64::MAX));
        self.chunk(key.get(shared..).unwrap_or_default());
    }

    pub(super) fn end(self) -> Vec<u8> {
        self.0
    }
}

pub(super) fn put_number(to: &mut Vec<u8>, mut n: u64) {
    loop {
        let [low, ..] = n.to_le_bytes();
        n >>= 7;
        if n == 0 {
            to.push(low & 0x7f);
            return;
        }
        to.push(low | 0x80);
    }
}

/// What is left of a row to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    /// Begins a row that must have this form and this version.
    pub(super) fn open(row: &'b [u8], form: Form) -> Result<Self, Malformed> {
        match row {
            [found, VERSION, rest @ ..] if *found == form as u8 => Ok(Self { rest }),
            _ => Err(Malformed),
        }
    }

    /// Bytes within a row.
    pub(super) const fn within(rest: &'b [u8]) -> Self {
        Self { rest }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let (byte, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'b [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A number in its one shortest form.
    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let mut n: u64 = 0;
        for place in [0_u32, 7, 14, 21, 28, 35, 42, 49, 56, 63] {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            let placed = part.wrapping_shl(place);
            if placed.wrapping_shr(place) != part {
                return Err(Malformed);
            }
            n |= placed;
            if byte < 0x80 {
                return if byte == 0 && place > 0 { Err(Malformed) } else { Ok(n) };
            }
        }
        Err(Malformed)
    }

    /// A number that counts what follows, each of which has at least one byte.
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= self.rest.len());
        count.ok_or(Malformed)
    }

    pub(super) fn chunk(&mut self) -> Result<&'b [u8], Malformed> {
        let length = self.count()?;
        self.bytes(length)
    }

    pub(super) fn text(&mut self) -> Result<&'b str, Malformed> {
        std::str::from_utf8(self.chunk()?).map_err(|_err| Malformed)
    }

    /// Makes the key before into this one, which is behind it.
    pub(super) fn key(&mut self, key: &mut Vec<u8>) -> Result<(), Malformed> {
        let shared = usize::try_from(self.number()?).map_err(|_err| Malformed)?;
        let own = self.chunk()?;
        // Behind the one before: longer than what is shared, and greater where the two part.
        let parts = key.get(shared..).ok_or(Malformed)?;
        if own <= parts {
            return Err(Malformed);
        }
        key.truncate(shared);
        key.extend_from_slice(own);
        Ok(())
    }

    /// Makes sure that nothing is left.
    pub(super) const fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(n: u64) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, n);
            let mut reader = Reader::within(&bytes);
            prop_assert_eq!(reader.number(), Ok(n));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, mut key: Vec<u8>) {
            let mut reader = Reader::within(&bytes);
            let before = key.clone();
            if reader.key(&mut key).is_ok() {
                prop_assert!(key > before);
            }
            while reader.number().is_ok() {}
        }
    }

    #[test]
    fn a_number_has_one_form() {
        assert_eq!(Reader::within(&[0x01]).number(), Ok(1));
        for wrong in [&[0x81, 0x00][..], &[0x81], &[0xff; 10], &[0xff; 11]] {
            assert_eq!(Reader::within(wrong).number(), Err(Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn a_row_of_another_form_or_version_is_refused() {
        let row = Writer::new(Form::Page).end();
        assert!(Reader::open(&row, Form::Page).is_ok());
        assert!(Reader::open(&row, Form::Outline).is_err());
        assert!(Reader::open(&[Form::Page as u8, 2], Form::Page).is_err());
        assert!(Reader::open(&[], Form::Page).is_err());
    }
}
