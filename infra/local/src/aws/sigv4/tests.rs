use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use http::{HeaderName, HeaderValue, Request, request::Parts};
use insula_tenancy::Clock;

use super::{
    super::sessions::{Credentials, NewSession, WHILE_IT_RUNS_S},
    *,
};

const NOW_S: i64 = 1_790_000_000;
const REGION: &str = "eu-central-1";
const BODY: &[u8] = br#"{"TableName":"data"}"#;
const PATH: &str = "/2015-03-31/functions/arn%3Aaws%3Alambda/invocations?a=1&b=2";

fn sessions(ttl_s: i64) -> (Sessions, Credentials) {
    let sessions = Sessions::new(Clock::fixed_at_s(NOW_S));
    let new = NewSession {
        role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
        ttl_s,
        ..NewSession::default()
    };
    let credentials = sessions.issue(new).unwrap();
    (sessions, credentials)
}

/// Signed by the signer that the SDK uses, at a time and for a region.
fn signed(credentials: &Credentials, at_s: i64, region: &str) -> Parts {
    signed_with(credentials, at_s, region, None)
}

/// Signed together with a hash of the payload that the request says it has.
fn signed_with(credentials: &Credentials, at_s: i64, region: &str, payload: Option<&str>) -> Parts {
    let Credentials { access_key_id, secret_access_key, session_token, .. } = credentials;
    let token = Some(session_token.clone());
    let identity =
        aws_credential_types::Credentials::new(access_key_id, secret_access_key, token, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("dynamodb")
        .time(UNIX_EPOCH.checked_add(Duration::from_secs(at_s.unsigned_abs())).unwrap())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let mut request = Request::post(format!("http://127.0.0.1:9{PATH}"))
        .header("host", "127.0.0.1:9")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", "DynamoDB_20120810.GetItem")
        .body(())
        .unwrap();
    if let Some(payload) = payload {
        request.headers_mut().insert("x-amz-content-sha256", HeaderValue::from_str(payload).unwrap());
    }
    let url = request.uri().to_string();
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let signable = SignableRequest::new("POST", &url, headers, SignableBody::Bytes(BODY)).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    instructions.apply_to_request_http1x(&mut request);
    request.into_parts().0
}

fn header_of(head: &Parts, name: &str) -> String {
    head.headers.get(name).unwrap().to_str().unwrap().to_owned()
}

fn put(head: &mut Parts, name: &str, value: &str) {
    head.headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
}

/// Every text that differs in one bit and can still be sent, each with its place.
fn one_bit_changes(text: &str) -> Vec<(usize, String)> {
    let mut changes = Vec::new();
    for at in 0..text.len() {
        for bit in 0..7 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            if bytes[at].is_ascii_graphic() {
                changes.push((at, String::from_utf8(bytes).unwrap()));
            }
        }
    }
    changes
}

#[test]
fn what_the_sdk_signs_is_believed() {
    let (sessions, credentials) = sessions(900);
    let believed = verify(&signed(&credentials, NOW_S, REGION), BODY, &sessions, REGION).unwrap();
    assert_eq!(
        (believed.service.as_str(), &*believed.session.role_arn),
        ("dynamodb", "arn:aws:iam::000000000000:role/r")
    );
}

#[test]
fn one_bit_of_any_signed_header_or_of_the_authorization_is_noticed() {
    let (sessions, credentials) = sessions(900);
    let head = signed(&credentials, NOW_S, REGION);
    assert!(verify(&head, BODY, &sessions, REGION).is_ok());
    for name in
        ["authorization", "host", "content-type", "x-amz-date", "x-amz-security-token", "x-amz-target"]
    {
        for (at, changed) in one_bit_changes(&header_of(&head, name)) {
            let mut altered = head.clone();
            put(&mut altered, name, &changed);
            let said = verify(&altered, BODY, &sessions, REGION);
            assert!(said.is_err(), "{name}, byte {at}: {changed}");
        }
    }
}

#[test]
fn one_bit_of_the_payload_the_path_the_query_or_the_method_is_noticed() {
    let (sessions, credentials) = sessions(900);
    let head = signed(&credentials, NOW_S, REGION);
    assert!(verify(&head, BODY, &sessions, REGION).is_ok());
    for bit in 0..BODY.len() * 8 {
        let mut body = BODY.to_vec();
        body[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            verify(&head, &body, &sessions, REGION).unwrap_err(),
            Unsigned::InvalidSignature,
            "bit {bit}"
        );
    }
    for (at, changed) in one_bit_changes(PATH) {
        let mut altered = head.clone();
        let Ok(uri) = changed.parse() else { continue };
        altered.uri = uri;
        assert!(verify(&altered, BODY, &sessions, REGION).is_err(), "byte {at}: {changed}");
    }
    let mut altered = head;
    altered.method = http::Method::PUT;
    assert_eq!(verify(&altered, BODY, &sessions, REGION).unwrap_err(), Unsigned::InvalidSignature);
}

#[test]
fn a_payload_hash_that_is_sent_must_be_signed_and_that_of_the_body() {
    let (sessions, credentials) = sessions(900);
    let say = |payload: &str| signed_with(&credentials, NOW_S, REGION, Some(payload));
    assert!(verify(&say(&sha256(BODY)), BODY, &sessions, REGION).is_ok());
    for wrong in [sha256(b""), sha256(BODY).to_uppercase(), "UNSIGNED-PAYLOAD".to_owned(), String::new()] {
        let said = verify(&say(&wrong), BODY, &sessions, REGION).unwrap_err();
        assert_eq!(said, Unsigned::InvalidSignature, "{wrong}");
    }
    let mut unsigned = signed(&credentials, NOW_S, REGION);
    assert!(verify(&unsigned, BODY, &sessions, REGION).is_ok());
    put(&mut unsigned, "x-amz-content-sha256", &sha256(BODY));
    assert_eq!(verify(&unsigned, BODY, &sessions, REGION).unwrap_err(), Unsigned::IncompleteSignature);
}

#[test]
fn a_date_is_believed_for_five_minutes_before_and_after() {
    let (sessions, credentials) = sessions(900);
    for (distance_s, believed) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)] {
        let head = signed(&credentials, NOW_S + distance_s, REGION);
        assert_eq!(verify(&head, BODY, &sessions, REGION).is_ok(), believed, "{distance_s}");
    }
}

#[test]
fn another_region_is_another_signature() {
    let (sessions, credentials) = sessions(900);
    assert!(verify(&signed(&credentials, NOW_S, "us-east-1"), BODY, &sessions, REGION).is_err());
    assert!(verify(&signed(&credentials, NOW_S, "us-east-1"), BODY, &sessions, "us-east-1").is_ok());
}

#[test]
fn what_decides_must_be_signed() {
    let (sessions, credentials) = sessions(900);
    let head = signed(&credentials, NOW_S, REGION);
    for name in ["content-type;", "host;", "x-amz-date;", "x-amz-security-token;", ";x-amz-target"] {
        let mut altered = head.clone();
        let without = header_of(&head, "authorization").replacen(name, "", 1);
        assert_ne!(without, header_of(&head, "authorization"), "{name}");
        put(&mut altered, "authorization", &without);
        assert_eq!(
            verify(&altered, BODY, &sessions, REGION).unwrap_err(),
            Unsigned::IncompleteSignature,
            "{name}"
        );
    }
    for name in ["x-amz-security-token", "x-amz-date", "host", "x-amz-target"] {
        let mut absent = head.clone();
        absent.headers.remove(name);
        assert!(verify(&absent, BODY, &sessions, REGION).is_err(), "{name} absent");
        let mut twice = head.clone();
        twice.headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("second"));
        assert!(verify(&twice, BODY, &sessions, REGION).is_err(), "{name} twice");
    }
}

#[test]
fn a_functions_session_is_good_after_a_month_and_a_tenants_is_gone() {
    let micros = Arc::new(AtomicI64::new(NOW_S * 1_000_000));
    let sessions = Sessions::new(Clock::Fixed(Arc::clone(&micros)));
    let issue = |ttl_s| sessions.issue(NewSession { ttl_s, ..NewSession::default() }).unwrap();
    let (function, tenant) = (issue(WHILE_IT_RUNS_S), issue(900));
    let verified = |credentials, at_s| verify(&signed(credentials, at_s, REGION), BODY, &sessions, REGION);
    assert!(verified(&function, NOW_S).is_ok() && verified(&tenant, NOW_S).is_ok());
    let later_s = NOW_S + 30 * 24 * 3600;
    micros.store(later_s * 1_000_000, Ordering::Relaxed);
    // A new session sweeps those that have ended.
    issue(900);
    assert!(verified(&function, later_s).is_ok());
    assert_eq!(verified(&tenant, later_s).unwrap_err(), Unsigned::UnknownToken);
}

#[test]
fn a_session_that_ended_is_called_expired_and_a_foreign_one_unknown() {
    let (ended, credentials) = sessions(0);
    let head = signed(&credentials, NOW_S, REGION);
    assert_eq!(verify(&head, BODY, &ended, REGION).unwrap_err(), Unsigned::ExpiredToken);
    let (alive, mine) = sessions(900);
    assert_eq!(verify(&head, BODY, &alive, REGION).unwrap_err(), Unsigned::UnknownToken);
    let other = alive.issue(NewSession { ttl_s: 900, ..NewSession::default() }).unwrap();
    let mixed = Credentials { session_token: other.session_token, ..mine.clone() };
    assert_eq!(
        verify(&signed(&mixed, NOW_S, REGION), BODY, &alive, REGION).unwrap_err(),
        Unsigned::UnknownToken
    );
    assert!(verify(&signed(&mine, NOW_S, REGION), BODY, &alive, REGION).is_ok());
}

#[test]
fn nothing_unsigned_is_believed() {
    let (sessions, credentials) = sessions(900);
    let head = signed(&credentials, NOW_S, REGION);
    let whole = header_of(&head, "authorization");
    for altered in [
        "",
        "Bearer x",
        "AWS4-HMAC-SHA256",
        &whole.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        &format!("{whole}, More=1"),
    ] {
        let mut head = head.clone();
        put(&mut head, "authorization", altered);
        assert!(verify(&head, BODY, &sessions, REGION).is_err(), "{altered}");
    }
    let mut without = head;
    without.headers.remove("authorization");
    assert_eq!(verify(&without, BODY, &sessions, REGION).unwrap_err(), Unsigned::MissingAuthentication);
}
