use serde_json::json;

use super::*;

#[test]
fn a_profile_is_read_by_its_word_alone() {
    for (word, profile) in ALL {
        assert_eq!((word.parse(), profile.word()), (Ok(profile), word));
    }
    for wrong in ["", "RFC9068", "oidc", "okta "] {
        assert_eq!(wrong.parse::<Profile>(), Err(UnknownWord), "{wrong}");
    }
}

#[test]
fn a_type_is_that_of_the_profile() {
    let all = ALL.map(|(_, profile)| profile);
    for (typ, good) in [
        (Some("at+jwt"), all.as_slice()),
        (Some("AT+JWT"), &all),
        (Some("application/at+jwt"), &all),
        (None, &[Profile::Cognito, Profile::Okta]),
        (Some("JWT"), &[Profile::Cognito, Profile::Okta, Profile::Entra, Profile::Auth0]),
        (Some("id+jwt"), &[]),
        (Some("logout+jwt"), &[]),
        (Some(""), &[]),
        (Some("application/jwt"), &[]),
    ] {
        for profile in all {
            let said = profile.check_type(typ).is_ok();
            assert_eq!(said, good.contains(&profile), "{} with {typ:?}", profile.word());
        }
    }
}

#[test]
fn a_marker_tells_an_access_token_from_an_id_token() {
    for (profile, claims, good) in [
        (Profile::Rfc9068, json!({}), true),
        (Profile::Rfc9068, json!({ "token_use": "id" }), false),
        (Profile::Cognito, json!({ "token_use": "access" }), true),
        (Profile::Cognito, json!({ "token_use": "id" }), false),
        (Profile::Cognito, json!({ "token_use": ["access"] }), false),
        (Profile::Cognito, json!({}), false),
        (Profile::Okta, json!({ "cid": "c", "scp": ["a"] }), true),
        (Profile::Okta, json!({ "cid": "c" }), false),
        (Profile::Okta, json!({ "scp": ["a"] }), false),
        (Profile::Entra, json!({ "ver": "2.0", "scp": "a" }), true),
        (Profile::Entra, json!({ "ver": "1.0", "scp": "a" }), false),
        (Profile::Entra, json!({ "ver": 2.0, "scp": "a" }), false),
        (Profile::Entra, json!({ "ver": "2.0" }), false),
        (Profile::Auth0, json!({ "scope": "a" }), true),
        (Profile::Auth0, json!({}), false),
    ] {
        let members = claims.as_object().unwrap().clone().into_iter().collect();
        assert_eq!(profile.check_marker(&members).is_ok(), good, "{} with {claims}", profile.word());
    }
}
