mod rotation;

use super::*;

const MADE_S: i64 = 1_795_000_000;
const TEXT: &str = "where the listing goes on";

/// A ring of these keys, the newest first, which were all made at one time.
fn ring(secrets: &[&str]) -> Ring {
    let made = Clock::fixed_at_s(MADE_S).now();
    Ring { keys: secrets.iter().map(|secret| Master::new(&SecretString::from(*secret), made)).collect() }
}

fn mine() -> Ring {
    ring(&["a secret of the platform of over 32 characters"])
}

fn tenant(n: u8) -> TenantId {
    TenantId::spell([n; 16])
}

fn sealed(ring: &Ring) -> String {
    ring.seal(Purpose::Cursor, &tenant(1), "notes", TEXT).unwrap()
}

#[test]
fn a_seal_opens_for_its_own_tenant_purpose_and_context_alone() {
    let ring = mine();
    let sealed = sealed(&ring);
    for (purpose, who, context, opens) in [
        (Purpose::Cursor, 1, "notes", true),
        (Purpose::Cursor, 2, "notes", false),
        (Purpose::RequestState, 1, "notes", false),
        (Purpose::Idempotency, 1, "notes", false),
        (Purpose::Cursor, 1, "tasks", false),
        (Purpose::Cursor, 1, "", false),
        (Purpose::Cursor, 1, "notes\0", false),
    ] {
        let text = ring.open(purpose, &tenant(who), context, &sealed);
        assert_eq!(text.as_deref(), opens.then_some(TEXT), "{purpose:?} of {who} in {context}");
    }
}

#[test]
fn one_bit_or_one_byte_less_does_not_open() {
    let ring = mine();
    let sealed = sealed(&ring);
    let open = |sealed: &str| ring.open(Purpose::Cursor, &tenant(1), "notes", sealed);
    assert_eq!(open(&sealed).as_deref(), Some(TEXT));
    let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&URL_SAFE_NO_PAD.encode(altered)), None, "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert_eq!(open(&URL_SAFE_NO_PAD.encode(&bytes[..length])), None, "{length} bytes");
    }
    for altered in [format!("{sealed}A"), format!("{sealed}="), format!(" {sealed}"), format!("{sealed}AAAA")]
    {
        assert_eq!(open(&altered), None, "{altered}");
    }
}

#[test]
fn a_seal_outlives_one_rotation_and_no_other_platform_opens_it() {
    let (old, new) =
        ("the secret before, which has over 32 characters", "the secret now, which has over 32 too");
    let sealed = sealed(&ring(&[old]));
    let open = |ring: &Ring| ring.open(Purpose::Cursor, &tenant(1), "notes", &sealed);
    assert_eq!(open(&ring(&[old])).as_deref(), Some(TEXT));
    assert_eq!(open(&ring(&[new, old])).as_deref(), Some(TEXT));
    assert_eq!(open(&ring(&[new])), None);
    assert_eq!(open(&ring(&[])), None);
}

#[test]
fn two_seals_of_one_text_differ() {
    let ring = mine();
    assert_ne!(sealed(&ring), sealed(&ring));
}

#[test]
fn a_name_depends_on_tenant_purpose_and_each_part() {
    let ring = mine();
    let key = ring.shared(Clock::fixed_at_s(MADE_S).now())[0];
    let name = |purpose, who, parts: &[&str]| key.name(purpose, &tenant(who), parts).unwrap();
    let one = name(Purpose::Idempotency, 1, &["ab", "c"]);
    assert_eq!(one, name(Purpose::Idempotency, 1, &["ab", "c"]));
    for other in [
        name(Purpose::Idempotency, 2, &["ab", "c"]),
        name(Purpose::Cursor, 1, &["ab", "c"]),
        name(Purpose::Idempotency, 1, &["a", "bc"]),
        name(Purpose::Idempotency, 1, &["abc"]),
        name(Purpose::Idempotency, 1, &["ab", "c", ""]),
    ] {
        assert_ne!(one, other);
    }
}

#[test]
fn names_are_made_by_the_newest_key_that_everybody_holds_and_looked_for_under_the_other_while_they_count() {
    let (old, new) =
        ("a secret of the platform of over 32 characters", "the secret now, which has over 32 too");
    let name = |key: &Shared<'_>| key.name(Purpose::Idempotency, &tenant(1), &["a"]).unwrap();
    let of = |secret: &str| name(&ring(&[secret]).shared(Clock::System.now())[0]);
    let both = ring(&[new, old]);
    let over_s = SETTLES_S + NAMES_COUNT_S;
    for (after_s, expected) in [
        (0, vec![of(old), of(new)]),
        (SETTLES_S - 1, vec![of(old), of(new)]),
        (SETTLES_S, vec![of(new), of(old)]),
        (over_s - 1, vec![of(new), of(old)]),
        (over_s, vec![of(new)]),
    ] {
        // So whatever two instances think what time it is, each looks where the other writes.
        let now = Clock::fixed_at_s(MADE_S).now().plus_s(after_s);
        let names: Vec<_> = both.shared(now).iter().map(name).collect();
        assert_eq!(names, expected, "{after_s}");
    }
}

#[test]
fn a_key_does_not_show_its_secret() {
    let shown = format!("{:?}", mine());
    assert!(shown.contains("Master") && !shown.contains("secret") && !shown.contains("prk"), "{shown}");
}
