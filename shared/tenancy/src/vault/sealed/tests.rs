use super::*;

const TEXT: &str = "https://hooks.slack.com/services/T000/B000/XXXX";

fn key(number: u32, byte: u8) -> DataKey {
    DataKey::take(KeyId::new(number), vec![byte; 32]).unwrap()
}

fn tenant(n: u8) -> TenantId {
    TenantId::spell([n; 16])
}

fn place<'p>(tenant: &'p TenantId, name: &'p str, version: u64) -> Place<'p> {
    Place { tenant, name, version }
}

fn sealed() -> String {
    Sealed::make(&key(1, 7), place(&tenant(1), "slack_webhook", 2), &TEXT.into()).unwrap().text()
}

/// Whether it opens with the key and at the place of [`sealed`].
fn opens(text: &str) -> bool {
    let opened =
        Sealed::read(text).and_then(|seal| seal.open(&key(1, 7), place(&tenant(1), "slack_webhook", 2)).ok());
    assert!(opened.as_ref().is_none_or(|text| text.expose_secret() == TEXT));
    opened.is_some()
}

#[test]
fn a_seal_opens_at_its_own_place_alone() {
    let text = sealed();
    for (who, name, version, expected) in [
        (1, "slack_webhook", 2, true),
        (2, "slack_webhook", 2, false),
        (1, "slack_webhooks", 2, false),
        (1, "slack_webhoo", 2, false),
        (1, "", 2, false),
        (1, "slack_webhook", 1, false),
        (1, "slack_webhook", 3, false),
        (1, "slack_webhook", 2 << 8, false),
    ] {
        let who = tenant(who);
        let opened = Sealed::read(&text).unwrap().open(&key(1, 7), place(&who, name, version));
        assert_eq!(opened.is_ok(), expected, "{who} {name} {version}");
    }
}

#[test]
fn a_seal_opens_with_its_own_key_alone() {
    let text = sealed();
    for (number, byte, expected) in [(1, 7, true), (2, 7, false), (1, 8, false), (1 << 24, 7, false)] {
        let seal = Sealed::read(&text).unwrap();
        assert_eq!(seal.key(), KeyId::new(1));
        let opened = seal.open(&key(number, byte), place(&tenant(1), "slack_webhook", 2));
        assert_eq!(opened.is_ok(), expected, "{number} {byte}");
    }
}

#[test]
fn one_bit_or_one_byte_less_or_more_does_not_open() {
    let text = sealed();
    assert!(opens(&text));
    let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(!opens(&URL_SAFE_NO_PAD.encode(altered)), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(!opens(&URL_SAFE_NO_PAD.encode(&bytes[..length])), "{length} bytes");
    }
    for altered in [format!("{text}AAAA"), format!("{text}="), format!(" {text}"), text.replace('-', "+")] {
        assert!(altered == text || !opens(&altered), "{altered}");
    }
}

#[test]
fn another_format_is_not_read() {
    let mut bytes = URL_SAFE_NO_PAD.decode(sealed()).unwrap();
    assert!(Sealed::read(&URL_SAFE_NO_PAD.encode(&bytes)).is_some());
    for format in [0, 2, 255] {
        bytes[0] = format;
        assert_eq!(Sealed::read(&URL_SAFE_NO_PAD.encode(&bytes)), None, "{format}");
    }
}

#[test]
fn two_seals_of_one_text_differ() {
    assert_ne!(sealed(), sealed());
}

#[test]
fn neither_a_seal_nor_what_it_opens_to_shows_its_text() {
    let seal = Sealed::read(&sealed()).unwrap();
    let shown =
        format!("{seal:?} {:?}", seal.clone().open(&key(1, 7), place(&tenant(1), "slack_webhook", 2)));
    assert!(shown.contains("Sealed") && !shown.contains("hooks") && !shown.contains("body"), "{shown}");
}

/// The vectors were made by another implementation, `AESGCM` of Python's `cryptography` 48: what is stored today must open
/// in every later version of this program.
#[test]
fn golden_vectors_are_sealed_and_opened_to_the_byte() {
    let ascending = || (0..32).collect::<Vec<u8>>();
    let counting: [u8; NONCE_LEN] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let long_name = format!("pem_{}", "x".repeat(60));
    for ((bytes, number), nonce, (who, name, version), text, golden) in [
        (
            (ascending(), 1),
            counting,
            (1, "slack_webhook", 1),
            TEXT,
            "AQAAAAEAAQIDBAUGBwgJCgsvdqJrtt_tNOUu-ODCxwsB4rXsGpMUMlNLApfzdAplwS5Ensyf7lCoRJRQtdDfcLOOB89_86-YNudeNmGBaVU",
        ),
        (
            (vec![0xff; 32], 0x0102_0304),
            [0xab; NONCE_LEN],
            (255, "a", u64::MAX),
            "",
            "AQECAwSrq6urq6urq6urq6uWdrMp1KQ9VagOXXhadjSg",
        ),
        (
            (ascending(), 7),
            [0; NONCE_LEN],
            (0, long_name.as_str(), 2),
            "ä\n",
            "AQAAAAcAAAAAAAAAAAAAAADNGL_ZF2spWpyphCJNltyqNiOZ",
        ),
    ] {
        let key = DataKey::take(KeyId::new(number), bytes).unwrap();
        let who = tenant(who);
        let at = place(&who, name, version);
        assert_eq!(Sealed::with_nonce(&key, nonce, at, &text.into()).unwrap().text(), golden);
        let opened = Sealed::read(golden).unwrap().open(&key, at).unwrap();
        assert_eq!(opened.expose_secret(), text);
    }
}
