use aws_lc_rs::hmac;

use super::{Change::*, *};

#[test]
fn one_bit_of_any_part_is_noticed() {
    let signer = Signer::new();
    let good = signer.changed(Nothing);
    assert!(accept(&good, &signer.key).is_ok());
    let parts: Vec<Vec<u8>> = good.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    for (which, name) in ["header", "claims", "signature"].into_iter().enumerate() {
        for bit in 0..parts[which].len() * 8 {
            let mut altered = parts.clone();
            altered[which][bit / 8] ^= 1 << (bit % 8);
            let altered =
                altered.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect::<Vec<_>>().join(".");
            let denial = accept(&altered, &signer.key).err();
            assert!(denial.is_some(), "bit {bit} of the {name}");
            assert!(name != "signature" || denial == Some(Denial::Signature), "bit {bit} of the signature");
        }
    }
}

#[test]
fn another_key_of_the_same_id_does_not_verify() {
    let (mine, foreign) = (Signer::new(), Signer::new());
    let token = mine.changed(Nothing);
    assert!(accept(&token, &mine.key).is_ok());
    assert_eq!(accept(&token, &foreign.key).err(), Some(Denial::Signature));
}

#[test]
fn a_signature_of_one_token_is_none_of_another() {
    let signer = Signer::new();
    let (good, other) = (signer.changed(Nothing), signer.changed(Claim("tenant_id", r#""t-2""#)));
    assert!(accept(&good, &signer.key).is_ok() && accept(&other, &signer.key).is_ok());
    let swapped = format!("{}.{}", other.rsplit_once('.').unwrap().0, good.rsplit_once('.').unwrap().1);
    assert_eq!(accept(&swapped, &signer.key).err(), Some(Denial::Signature));
    for trivial in [vec![0; 64], vec![0xff; 64], vec![0; 63], vec![1]] {
        let forged = format!("{}.{}", good.rsplit_once('.').unwrap().0, URL_SAFE_NO_PAD.encode(trivial));
        assert_eq!(accept(&forged, &signer.key).err(), Some(Denial::Signature));
    }
}

#[test]
fn a_key_is_good_for_its_own_algorithm_alone() {
    let (curve, rsa) = (Signer::new(), RsaSigner::new());
    let (pkcs, pss) = (rsa.sign("RS256", &RSA_PKCS1_SHA256), rsa.sign("PS256", &RSA_PSS_SHA256));
    let elliptic = curve.changed(Nothing);
    let (rs256, ps256) = (rsa.key("RS256"), rsa.key("PS256"));
    for (name, token, key, denial) in [
        ("RS256 by its key", &pkcs, &rs256, None),
        ("PS256 by its key", &pss, &ps256, None),
        ("ES256 by its key", &elliptic, &curve.key, None),
        ("RS256 by a key for PS256", &pkcs, &ps256, Some(Denial::Signature)),
        ("PS256 by a key for RS256", &pss, &rs256, Some(Denial::Signature)),
        ("RS256 by a curve's key", &pkcs, &curve.key, Some(Denial::Signature)),
        ("ES256 by an RSA key", &elliptic, &rs256, Some(Denial::Signature)),
        (
            "PKCS #1 that says it is PSS",
            &rsa.sign("PS256", &RSA_PKCS1_SHA256),
            &ps256,
            Some(Denial::Signature),
        ),
        ("PSS that says it is PKCS #1", &rsa.sign("RS256", &RSA_PSS_SHA256), &rs256, Some(Denial::Signature)),
        (
            "SHA-256 that says it is SHA-512",
            &rsa.sign("RS512", &RSA_PKCS1_SHA256),
            &rs256,
            Some(Denial::Signature),
        ),
    ] {
        assert_eq!(accept(token, key).err(), denial, "{name}");
    }
    let header = Header("alg", r#""RS256""#);
    assert_eq!(
        accept(&curve.changed(header), &curve.key).err(),
        Some(Denial::Signature),
        "the curve's signature, another name"
    );
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let rsa = RsaSigner::new();
    assert!(accept(&rsa.sign("RS256", &RSA_PKCS1_SHA256), &rsa.key("RS256")).is_ok());
    let der = rsa.pair.public_key().as_der().unwrap();
    for secret in [der.as_ref(), rsa.pair.public_key().as_ref(), rsa.n.as_bytes(), b""] {
        let (header, claims) = members(Header("alg", r#""HS256""#));
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(object(&header)),
            URL_SAFE_NO_PAD.encode(object(&claims))
        );
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac));
        assert_eq!(accept(&forged, &rsa.key("RS256")).err(), Some(Denial::TokenHeader));
    }
}
