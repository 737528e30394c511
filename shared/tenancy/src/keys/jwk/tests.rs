use aws_lc_rs::{
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    },
};
use serde_json::json;

use super::*;

fn rsa() -> Value {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    // DER of an RSA public key of 2048 bits: nine bytes of lengths and sign, the modulus, the exponent.
    let n = URL_SAFE_NO_PAD.encode(&pair.public_key().as_ref()[9..265]);
    json!({ "kid": "k", "kty": "RSA", "use": "sig", "alg": "RS256", "n": n, "e": "AQAB" })
}

fn curve(name: &str, algorithm: &'static EcdsaSigningAlgorithm) -> Value {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
    json!({ "kid": "k", "kty": "EC", "crv": name, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
}

fn p256() -> Value {
    curve("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING)
}

fn edwards() -> Value {
    let pair = Ed25519KeyPair::generate().unwrap();
    json!({ "kid": "k", "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key()) })
}

fn read(keys: &[Value]) -> BTreeMap<String, Key> {
    read_set(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn is_fit(key: &Value) -> bool {
    !read(std::slice::from_ref(key)).is_empty()
}

fn with(key: &Value, name: &str, value: Value) -> Value {
    let mut changed = key.clone();
    changed[name] = value;
    changed
}

/// The bytes of a member, changed.
fn altered(key: &Value, name: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    with(key, name, json!(URL_SAFE_NO_PAD.encode(change(bytes))))
}

fn assert_changes(key: &Value, changes: &[(&str, Value, bool)]) {
    assert!(is_fit(key), "the fit twin");
    for (name, value, fit) in changes {
        assert_eq!(is_fit(&with(key, name, value.clone())), *fit, "{name}: {value}");
    }
}

#[test]
fn a_key_that_is_not_public_not_for_verifying_or_not_named_is_left_out() {
    assert_changes(
        &p256(),
        &[
            ("use", json!("sig"), true),
            ("use", json!("enc"), false),
            ("use", json!(""), false),
            ("key_ops", json!(["verify"]), true),
            ("key_ops", json!(["sign"]), false),
            ("key_ops", json!(["verify", "sign"]), false),
            ("key_ops", json!([]), false),
            ("key_ops", json!("verify"), false),
            ("d", json!("AA"), false),
            ("d", json!(7), false),
            ("k", json!("AA"), false),
            ("kty", json!("oct"), false),
            ("kty", json!("RSA"), false),
            ("kty", json!("OKP"), false),
            ("kty", json!("ec"), false),
            ("kid", json!(""), false),
            ("kid", json!(7), false),
            ("kid", json!("k".repeat(128)), true),
            ("kid", json!("k".repeat(129)), false),
            ("x5t", json!("a member that is not read"), true),
        ],
    );
    let symmetric = json!({ "kid": "k", "kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 32]) });
    assert!(!is_fit(&symmetric));
    assert!(!is_fit(&with(&symmetric, "alg", json!("HS256"))));
}

#[test]
fn an_rsa_key_has_2048_bits_an_odd_modulus_and_the_usual_exponent() {
    let fit = rsa();
    assert_changes(
        &fit,
        &[
            ("alg", json!("RS512"), true),
            ("alg", json!("PS256"), true),
            ("alg", Value::Null, true),
            ("alg", json!("ES256"), false),
            ("alg", json!("HS256"), false),
            ("alg", json!("RS1"), false),
            ("alg", json!("RSA-OAEP"), false),
            ("alg", json!("none"), false),
            ("e", json!("Aw"), false),
            ("e", json!("AQ"), false),
            ("e", json!("AAEAAQ"), false),
            ("e", json!("AQAB="), false),
            ("e", json!(""), false),
            ("e", Value::Null, false),
            ("n", json!(""), false),
            ("n", Value::Null, false),
        ],
    );
    let modulus = |change: fn(Vec<u8>) -> Vec<u8>| is_fit(&altered(&fit, "n", change));
    assert!(modulus(|n| n));
    assert!(!modulus(|n| [&[0], n.as_slice()].concat()), "a leading zero byte");
    assert!(!modulus(|n| [&n[..255], &[n[255] & 0xfe]].concat()), "an even modulus");
    assert!(!modulus(|n| n[128..].to_vec()), "1,024 bits");
    assert!(!modulus(|n| [&[n[0] & 0x7f], &n[1..]].concat()), "2,047 bits");
    assert!(!modulus(|n| [n.as_slice(), &[1; 769]].concat()), "8,200 bits");
}

#[test]
fn a_curves_key_is_a_point_of_a_listed_curve() {
    let (fit, larger) = (p256(), curve("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING));
    assert_changes(
        &fit,
        &[
            ("alg", json!("ES256"), true),
            ("alg", json!("ES384"), false),
            ("alg", json!("RS256"), false),
            ("alg", json!("none"), false),
            ("crv", json!("P-384"), false),
            ("crv", json!("P-521"), false),
            ("crv", json!("secp256k1"), false),
            ("crv", json!("p-256"), false),
            ("crv", Value::Null, false),
            ("y", Value::Null, false),
            ("y", json!(""), false),
        ],
    );
    assert_changes(&larger, &[("alg", json!("ES384"), true), ("crv", json!("P-256"), false)]);
    for name in ["x", "y"] {
        assert!(!is_fit(&altered(&fit, name, |part| part[1..].to_vec())), "{name} is short");
        assert!(!is_fit(&altered(&fit, name, |part| [&[0], part.as_slice()].concat())), "{name} is long");
        assert!(!is_fit(&altered(&fit, name, |_| vec![0; 32])), "{name} is zero");
        assert!(!is_fit(&altered(&fit, name, |_| vec![0xff; 32])), "{name} is over the prime");
    }
    // Of a point only y and its negative go with x, and one bit is not that.
    let off = altered(&fit, "y", |part| [&part[..31], &[part[31] ^ 1]].concat());
    assert!(!is_fit(&off), "a point off the curve");
}

#[test]
fn an_edwards_key_is_for_signing() {
    let fit = edwards();
    assert_changes(
        &fit,
        &[
            ("alg", json!("EdDSA"), true),
            ("alg", json!("ES256"), false),
            ("crv", json!("X25519"), false),
            ("crv", json!("Ed448"), false),
            ("crv", Value::Null, false),
        ],
    );
    assert!(!is_fit(&altered(&fit, "x", |part| part[1..].to_vec())), "short");
}

#[test]
fn an_id_that_stands_twice_is_nobodys() {
    let (one, two) = (p256(), p256());
    assert_eq!(read(&[one.clone(), with(&two, "kid", json!("l"))]).len(), 2);
    assert!(read(&[one.clone(), two.clone()]).is_empty());
    assert!(read(&[one.clone(), two.clone(), p256()]).is_empty());
    // Even an unfit one takes the id with it: which of the two the issuer means is not known.
    assert!(read(&[one.clone(), with(&two, "use", json!("enc"))]).is_empty());
    assert_eq!(read(&[one, with(&two, "kid", json!("l"))]).into_keys().collect::<Vec<_>>(), ["k", "l"]);
}

#[test]
fn an_unfit_key_does_not_take_the_others_with_it() {
    let fit = with(&p256(), "kid", json!("fit"));
    let odd = [json!(7), json!({}), json!({ "kty": "EC" }), with(&p256(), "crv", json!("P-521")), fit];
    assert_eq!(read(&odd).into_keys().collect::<Vec<_>>(), ["fit"]);
}

#[test]
fn a_set_is_json_and_has_at_most_64_keys() {
    let keys = |count: usize| {
        let key = p256();
        let keys: Vec<Value> = (0..count).map(|n| with(&key, "kid", json!(n.to_string()))).collect();
        read_set(json!({ "keys": keys }).to_string().as_bytes()).map(|keys| keys.len()).ok()
    };
    assert_eq!((keys(0), keys(64), keys(65)), (Some(0), Some(64), None));
    for body in ["", "{}", "null", r#"{"keys":{}}"#, r#"{"keys":[]"#, r#"{"keys":[],"keys":[]}"#, "<html>"] {
        assert!(read_set(body.as_bytes()).is_err(), "{body}");
    }
}
