use super::{Change::*, *};

const REFUSED: Option<Denial> = Some(Denial::TokenHeader);

#[test]
fn a_header_that_says_more_or_other_than_a_pinned_issuers_is_refused() {
    assert_table(&[
        ("no algorithm", NoHeader("alg"), REFUSED),
        ("alg none", Header("alg", r#""none""#), REFUSED),
        ("alg None", Header("alg", r#""None""#), REFUSED),
        ("alg empty", Header("alg", r#""""#), REFUSED),
        ("alg null", Header("alg", "null"), REFUSED),
        ("alg HS256", Header("alg", r#""HS256""#), REFUSED),
        ("alg HS512", Header("alg", r#""HS512""#), REFUSED),
        ("alg ES256K", Header("alg", r#""ES256K""#), REFUSED),
        ("alg in lower case", Header("alg", r#""es256""#), REFUSED),
        ("alg with a space", Header("alg", r#""ES256 ""#), REFUSED),
        ("alg is an array", Header("alg", r#"["ES256"]"#), REFUSED),
        ("no kid", NoHeader("kid"), REFUSED),
        ("kid empty", Header("kid", r#""""#), REFUSED),
        ("kid a number", Header("kid", "1"), REFUSED),
        ("kid null", Header("kid", "null"), REFUSED),
        ("another kid", Header("kid", r#""k2""#), Some(Denial::UnknownKey)),
        ("crit", Header("crit", r#"["exp"]"#), REFUSED),
        ("crit empty", Header("crit", "[]"), REFUSED),
        ("jwk", Header("jwk", r#"{"kty":"oct","k":"AA"}"#), REFUSED),
        ("jku", Header("jku", r#""https://login.example.com/jwks""#), REFUSED),
        ("x5u", Header("x5u", r#""https://login.example.com/cert""#), REFUSED),
        ("x5c", Header("x5c", r#"["AA"]"#), REFUSED),
        ("zip", Header("zip", r#""DEF""#), REFUSED),
        ("b64", Header("b64", "false"), REFUSED),
        ("enc", Header("enc", r#""A256GCM""#), REFUSED),
        ("cty", Header("cty", r#""JWT""#), REFUSED),
        ("a name that nobody knows", Header("x", "1"), REFUSED),
        ("a thumbprint, which is not read", Header("x5t", r#""AA""#), None),
        ("alg twice", HeaderTwice("alg", r#""ES256""#), REFUSED),
        ("kid twice", HeaderTwice("kid", r#""k1""#), REFUSED),
        ("typ twice", HeaderTwice("typ", r#""at+jwt""#), REFUSED),
        ("a name twice by an escape", HeaderTwice(r"\u0061lg", r#""ES256""#), REFUSED),
        ("no typ", NoHeader("typ"), REFUSED),
        ("typ null", Header("typ", "null"), REFUSED),
        ("typ JWT", Header("typ", r#""JWT""#), REFUSED),
        ("typ of an ID token", Header("typ", r#""id+jwt""#), REFUSED),
        ("typ of a logout token", Header("typ", r#""logout+jwt""#), REFUSED),
        ("typ of a DPoP proof", Header("typ", r#""dpop+jwt""#), REFUSED),
        ("typ with a space", Header("typ", r#"" at+jwt""#), REFUSED),
        ("typ in upper case", Header("typ", r#""AT+JWT""#), None),
        ("typ in full", Header("typ", r#""application/at+jwt""#), None),
    ]);
}

#[test]
fn a_key_id_has_at_most_128_bytes() {
    let signer = Signer::new();
    for (bytes, denial) in [(128, Denial::UnknownKey), (129, Denial::TokenHeader)] {
        let (mut header, claims) = members(Nothing);
        set(&mut header, "kid", &format!(r#""{}""#, "k".repeat(bytes)));
        let token = signer.sign(&object(&header), &object(&claims));
        assert_eq!(accept(&token, &signer.key).err(), Some(denial), "{bytes}");
    }
}

#[test]
fn a_header_that_is_no_object_is_refused() {
    let signer = Signer::new();
    let (header, claims) = members(Nothing);
    let claims = object(&claims);
    assert!(accept(&signer.sign(&object(&header), &claims), &signer.key).is_ok());
    for header in [r#"["ES256","k1","at+jwt",null]"#, "null", r#""ES256""#, "", "{}", "{}{}", "\u{feff}{}"] {
        assert_eq!(accept(&signer.sign(header, &claims), &signer.key).err(), REFUSED, "{header}");
    }
    let trailing = format!("{} x", object(&members(Nothing).0));
    assert_eq!(accept(&signer.sign(&trailing, &claims), &signer.key).err(), REFUSED);
}

#[test]
fn a_profile_takes_its_own_type_and_marker_and_no_other() {
    let signer = Signer::new();
    let refused = Some(Denial::TokenClaims);
    let jwt = Header("typ", r#""JWT""#);
    for (profile, change, denial) in [
        (Profile::Cognito, Claim("token_use", r#""access""#), None),
        (Profile::Cognito, Claim("token_use", r#""id""#), refused),
        (Profile::Cognito, NoHeader("typ"), refused),
        (Profile::Rfc9068, Claim("token_use", r#""access""#), None),
        (Profile::Rfc9068, Claim("token_use", r#""id""#), refused),
        (Profile::Okta, Nothing, refused),
        (Profile::Okta, jwt, refused),
        (Profile::Entra, jwt, refused),
        (Profile::Entra, NoHeader("typ"), REFUSED),
        (Profile::Auth0, jwt, refused),
        (Profile::Auth0, NoHeader("typ"), REFUSED),
    ] {
        let said = accept_as(profile, &signer.changed(change), &signer.key).err();
        assert_eq!(said, denial, "{}", profile.word());
    }
}
