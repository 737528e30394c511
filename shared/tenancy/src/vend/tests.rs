use super::*;

const SECRETS: [&str; 3] = ["the-bearer", "the-secret-key", "the-session-token"];

fn grant() -> Grant {
    Grant {
        tenant: "the-tenant".to_owned(),
        access_key_id: "the-key-id".to_owned(),
        secret_access_key: SECRETS[1].to_owned(),
        session_token: SECRETS[2].to_owned(),
        expires_s: 1_790_000_000,
    }
}

fn request() -> VendRequest {
    VendRequest {
        bearer: SECRETS[0].to_owned(),
        domain_name: "acme.mcp.example.com".to_owned(),
        api_id: None,
        path_tenant: None,
    }
}

#[test]
fn nothing_that_is_asked_or_answered_shows_a_secret() {
    for shown in
        [format!("{:?}", request()), format!("{:?}", grant()), format!("{:?}", VendReply::Granted(grant()))]
    {
        assert!(!shown.is_empty());
        assert!(SECRETS.iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
}

#[test]
fn what_is_asked_and_answered_goes_through_json_and_back() {
    let asked = serde_json::to_string(&request()).unwrap();
    assert_eq!(serde_json::from_str::<VendRequest>(&asked).unwrap().bearer, SECRETS[0]);
    let answered = serde_json::to_string(&VendReply::Granted(grant())).unwrap();
    let VendReply::Granted(back) = serde_json::from_str(&answered).unwrap() else { panic!("{answered}") };
    assert_eq!((back.session_token.as_str(), back.expires_s), (SECRETS[2], 1_790_000_000));
}

#[test]
fn an_asker_cannot_name_the_tenant() {
    let mut asked = serde_json::to_value(request()).unwrap();
    assert!(serde_json::from_value::<VendRequest>(asked.clone()).is_ok());
    asked["tenant"] = "globex".into();
    assert!(serde_json::from_value::<VendRequest>(asked).is_err());
}
