//! Keys: published, rotated, kept.

use std::os::unix::fs::PermissionsExt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::json;

use super::*;
use crate::idp::{KeyError, Mint, StartError};

fn bytes(jwk: &Value, member: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap()).unwrap()
}

/// Whether the key of `jwks` that the token names made its signature.
fn is_signed_by(jwks: &Value, token: &str) -> bool {
    let (header, _) = decode(token);
    let keys = jwks["keys"].as_array().unwrap();
    let Some(jwk) = keys.iter().find(|jwk| jwk["kid"] == header["kid"]) else { return false };
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert_eq!(jwk["alg"], header["alg"]);
    if jwk["kty"] == "EC" {
        let point = [vec![4], bytes(jwk, "x"), bytes(jwk, "y")].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        return key.verify(message.as_bytes(), &signature).is_ok();
    }
    let key = RsaPublicKeyComponents { n: bytes(jwk, "n"), e: bytes(jwk, "e") };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature).is_ok()
}

fn mint(local: &Local, alg: Alg) -> String {
    let mint =
        Mint { user: Some("acme".into()), resource: RESOURCE.into(), alg: Some(alg), ..Mint::default() };
    local.idp.mint(&mint).unwrap().access_token
}

#[tokio::test]
async fn tokens_of_both_algorithms_verify_by_the_published_keys() {
    let local = Local::start().await;
    let jwks = local.get("/jwks").await.json();
    for alg in [Alg::Es256, Alg::Rs256] {
        let token = mint(&local, alg);
        assert!(is_signed_by(&jwks, &token), "{alg:?}");
        let other = mint(&local, alg);
        let swapped = format!("{}.{}", token.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
        assert!(!is_signed_by(&jwks, &swapped), "{alg:?}");
    }
}

#[tokio::test]
async fn the_published_keys_are_public_and_say_what_they_are_for() {
    let local = Local::start().await;
    let jwks = local.get("/jwks").await.json();
    let keys = jwks["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0]["kid"], keys[1]["kid"]);
    for key in keys {
        assert_eq!(key["use"], "sig");
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
    }
    let rsa = keys.iter().find(|key| key["kty"] == "RSA").unwrap();
    assert_eq!((bytes(rsa, "n").len(), &rsa["e"], &rsa["alg"]), (256, &json!("AQAB"), &json!("RS256")));
    let ec = keys.iter().find(|key| key["kty"] == "EC").unwrap();
    assert_eq!((&ec["crv"], &ec["alg"], bytes(ec, "x").len()), (&json!("P-256"), &json!("ES256"), 32));
}

#[tokio::test]
async fn after_a_rotation_old_tokens_verify_until_none_can_be_alive() {
    let local = Local::start().await;
    let old = mint(&local, Alg::Es256);
    local.idp.rotate().unwrap();
    let new = mint(&local, Alg::Es256);
    assert_ne!(decode(&old).0["kid"], decode(&new).0["kid"]);
    local.pass_s(86_400);
    let jwks = local.get("/jwks").await.json();
    assert!(is_signed_by(&jwks, &old) && is_signed_by(&jwks, &new));
    local.pass_s(1);
    let jwks = local.get("/jwks").await.json();
    assert!(!is_signed_by(&jwks, &old) && is_signed_by(&jwks, &new));
}

#[tokio::test]
async fn rs256_can_be_the_default() {
    let local = Local::start_with(Options { default_alg: Alg::Rs256, ..options() }).await;
    let code = local.code("acme/alice", &[("scope", Some("openid notes:read"))]).await;
    let tokens = local.exchange(&code, &[]).await;
    let jwks = local.get("/jwks").await.json();
    for name in ["access_token", "id_token"] {
        let token = tokens.text(name);
        assert_eq!(decode(&token).0["alg"], "RS256");
        assert!(is_signed_by(&jwks, &token), "{name}");
    }
}

#[tokio::test]
async fn a_test_can_sign_whatever_it_likes() {
    let local = Local::start().await;
    let header = json!({ "alg": "ES256", "kid": local.idp.kid(Alg::Es256).unwrap(), "crit": ["x"] });
    let token = local.idp.sign(&header, &json!({ "aud": [] }), Alg::Es256).unwrap();
    assert_eq!(decode(&token), (header, json!({ "aud": [] })));
    assert!(is_signed_by(&local.get("/jwks").await.json(), &token));
}

#[tokio::test]
async fn keys_on_disk_are_for_their_owner_and_rotate_there_too() {
    let data = Scratch::new();
    let with_data = || Options { data: Some(data.path.clone()), ..options() };
    let file = data.path.join("idp-keys.json");
    let local = Local::start_with(with_data()).await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let old = mint(&local, Alg::Rs256);
    local.idp.rotate().unwrap();
    let new = mint(&local, Alg::Rs256);
    local.idp.stop().await;
    let local = Local::start_with(with_data()).await;
    let jwks = local.get("/jwks").await.json();
    assert!(is_signed_by(&jwks, &old) && is_signed_by(&jwks, &new));
    assert_eq!(decode(&mint(&local, Alg::Rs256)).0["kid"], decode(&new).0["kid"]);
    local.idp.stop().await;

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = Idp::start(listener, with_data()).await;
    assert!(matches!(refused, Err(StartError::Keys(KeyError::File(_)))), "{refused:?}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&file, "[]").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = Idp::start(listener, with_data()).await;
    assert!(matches!(refused, Err(StartError::Keys(KeyError::Missing(_)))), "{refused:?}");
}
