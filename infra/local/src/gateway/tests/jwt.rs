use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::atomic::{AtomicUsize, Ordering};
use time::OffsetDateTime;

use super::*;

/// An issuer: its discovery document, its keys, its key.
struct Issuer {
    name: String,
    key: RsaKeyPair,
    asked: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Issuer {
    async fn new() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        // RSAPublicKey: after nine bytes the modulus of 256, then 65537.
        let der = key.public_key().as_ref();
        let n = URL_SAFE_NO_PAD.encode(&der[9..265]);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let name = format!("http://idp.localhost:{}", listener.local_addr().unwrap().port());
        let discovery = json!({ "issuer": name, "jwks_uri": format!("{name}/jwks") }).to_string();
        let keys = json!([
            { "kty": "EC", "kid": "ec" },
            { "kty": "RSA", "kid": "one", "use": "sig", "n": n, "e": "AQAB" },
        ]);
        let keys = json!({ "keys": keys }).to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let count = Arc::clone(&asked);
        #[expect(clippy::disallowed_methods, reason = "a server of the test, which ends with the set")]
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 2048];
                let length = stream.read(&mut head).await.unwrap();
                let is_keys = head[..length].starts_with(b"GET /jwks ");
                let body = if is_keys { &keys } else { &discovery };
                count.fetch_add(1, Ordering::SeqCst);
                let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}", body.len());
                stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
            }
        });
        Self { name, key, asked, _tasks: tasks }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.name, "aud": ["other", "me"], "exp": later(60), "nbf": later(-1), "iat": later(-1),
            "sub": "u", "admin": true, "map": { "a": 1 },
        })
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; 256];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    async fn running(&self) -> Running {
        let authorizer = Authorizer::Jwt {
            issuer: self.name.clone(),
            audiences: vec!["me".to_owned()],
            identity_source: "$request.header.Authorization".to_owned(),
        };
        let mut api = http_api();
        api.authorizers.insert("jwt".to_owned(), authorizer);
        api.routes.push(route("POST", "/jwt", "Mcp", Some("jwt")));
        Running::new(api).await
    }
}

async fn ask(running: &Running, authorization: &str) -> Answer {
    let head = format!("POST /jwt HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}");
    running.ask(&head, "").await
}

fn later(seconds: i64) -> i64 {
    OffsetDateTime::now_utc().unix_timestamp().saturating_add(seconds)
}

fn header() -> Value {
    json!({ "alg": "RS256", "kid": "one" })
}

#[tokio::test]
async fn claims_reach_the_function_as_text_and_keys_are_asked_for_once() {
    let issuer = Issuer::new().await;
    let running = issuer.running().await;
    let claims = issuer.claims();
    let token = issuer.token(&header(), &claims);
    for authorization in [format!("Bearer {token}"), token.clone()] {
        let event = ask(&running, &authorization).await.event();
        let jwt = &event["requestContext"]["authorizer"]["jwt"];
        assert_eq!(jwt["scopes"], Value::Null);
        let text = |name: &str| jwt["claims"][name].as_str().unwrap().to_owned();
        assert_eq!(text("aud"), "[other me]");
        assert_eq!(text("exp"), claims["exp"].to_string());
        assert_eq!((text("sub"), text("admin"), text("map")), ("u".into(), "true".into(), "map[a:1]".into()));
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_token_that_is_wrong_in_one_thing_is_refused() {
    let issuer = Issuer::new().await;
    let running = issuer.running().await;
    let good = issuer.token(&header(), &issuer.claims());
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[name] = value;
        issuer.token(&header(), &claims)
    };
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for (token, why) in [
        (with("aud", json!("you")), "the token does not have a valid audience"),
        (with("aud", Value::Null), "the token does not have a valid audience"),
        (with("iss", json!("http://localhost:1")), "the token does not have a valid issuer"),
        (with("exp", json!(1)), "the token has expired"),
        (with("exp", json!("9999999999")), "the token has an invalid time"),
        (with("nbf", json!(later(100))), "the token is not valid yet"),
        (
            issuer.token(&json!({ "alg": "RS256", "kid": "two" }), &issuer.claims()),
            "unable to find a signing key",
        ),
        (issuer.token(&json!({ "alg": "RS256" }), &issuer.claims()), "unable to find a signing key"),
        (
            issuer.token(&json!({ "alg": "none", "kid": "one" }), &issuer.claims()),
            "signing method is invalid",
        ),
        (
            issuer.token(&json!({ "alg": "HS256", "kid": "one" }), &issuer.claims()),
            "signing method is invalid",
        ),
        (format!("{signed}.{flipped}{}", signature.split_at(1).1), "crypto/rsa: verification error"),
        (signed.to_owned(), "token contains an invalid number of segments"),
        (format!("{good}.x"), "token contains an invalid number of segments"),
        (format!("{good}, {good}"), "token contains an invalid number of segments"),
        ("Basic eDp5".to_owned(), "token contains an invalid number of segments"),
        ("a.b.c".to_owned(), "illegal base64 data"),
    ] {
        let answer = ask(&running, &format!("Bearer {token}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, r#"{"message":"Unauthorized"}"#), "{why}");
        let challenge = answer.header("www-authenticate").unwrap();
        let start = format!("Bearer scope=\"\" error=\"invalid_token\" error_description=\"{why}");
        assert!(challenge.starts_with(&start), "{challenge}");
    }
    assert_eq!(ask(&running, &format!("Bearer {good}")).await.status, 200);
    let anonymous = running.ask("POST /jwt HTTP/1.1\r\nHost: localhost", "").await;
    assert_eq!((anonymous.status, anonymous.header("www-authenticate")), (401, Some("Bearer")));
    running.stop().await;
}

#[tokio::test]
async fn a_client_id_counts_only_where_there_is_no_audience() {
    let issuer = Issuer::new().await;
    let running = issuer.running().await;
    let mut claims = issuer.claims();
    claims["client_id"] = json!("me");
    claims["aud"] = json!("you");
    assert_eq!(ask(&running, &issuer.token(&header(), &claims)).await.status, 401);
    claims.as_object_mut().unwrap().remove("aud");
    assert_eq!(ask(&running, &issuer.token(&header(), &claims)).await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_lets_nobody_in() {
    let mut issuer = Issuer::new().await;
    let running = issuer.running().await;
    issuer._tasks.shutdown().await;
    let answer = ask(&running, &issuer.token(&header(), &issuer.claims())).await;
    assert_eq!(answer.status, 401);
    running.stop().await;
}
