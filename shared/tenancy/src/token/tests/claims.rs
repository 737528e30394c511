use super::{Change::*, *};

const REFUSED: Option<Denial> = Some(Denial::TokenClaims);
const AUDIENCE: Option<Denial> = Some(Denial::Audience);
const EXPIRED: Option<Denial> = Some(Denial::Expired);

#[test]
fn a_claim_that_is_missing_twice_or_of_another_type_is_refused() {
    assert_table(&[
        ("no iss", NoClaim("iss"), REFUSED),
        ("no sub", NoClaim("sub"), REFUSED),
        ("no aud", NoClaim("aud"), REFUSED),
        ("no exp", NoClaim("exp"), REFUSED),
        ("no iat", NoClaim("iat"), REFUSED),
        ("no client_id", NoClaim("client_id"), REFUSED),
        ("no tenant_id, which is the resolver's to miss", NoClaim("tenant_id"), None),
        ("iss twice", ClaimTwice("iss", r#""https://login.example.com""#), REFUSED),
        ("aud twice", ClaimTwice("aud", r#""https://acme.mcp.example.com/mcp""#), REFUSED),
        ("exp twice", ClaimTwice("exp", "1790000600"), REFUSED),
        ("tenant_id twice", ClaimTwice("tenant_id", r#""t-1""#), REFUSED),
        ("tenant_id twice by an escape", ClaimTwice(r"tenant\u005fid", r#""t-2""#), REFUSED),
        ("a name twice inside", Claim("x", r#"{"roles":["a"],"roles":["b"]}"#), REFUSED),
        ("two names inside", Claim("x", r#"{"roles":["a"],"other":["b"]}"#), None),
        ("iss is an array", Claim("iss", r#"["https://login.example.com"]"#), REFUSED),
        ("iss null", Claim("iss", "null"), REFUSED),
        ("iss empty", Claim("iss", r#""""#), REFUSED),
        ("another iss", Claim("iss", r#""https://login.example.com/""#), Some(Denial::Issuer)),
        ("sub is a number", Claim("sub", "7"), REFUSED),
        ("sub empty", Claim("sub", r#""""#), REFUSED),
        ("sub with a line break", Claim("sub", r#""a\nb""#), REFUSED),
        ("sub with a NUL", Claim("sub", r#""a\u0000b""#), REFUSED),
        ("client_id empty", Claim("client_id", r#""""#), REFUSED),
        ("client_id is an array", Claim("client_id", r#"["client-1"]"#), REFUSED),
        ("scope is an array", Claim("scope", r#"["a"]"#), REFUSED),
        ("scope null", Claim("scope", "null"), REFUSED),
        ("scope is a text", Claim("scope", r#""a b""#), None),
        ("scp is a text", Claim("scp", r#""a b""#), None),
        ("scp is an array", Claim("scp", r#"["a","b"]"#), None),
        ("scp is an array of numbers", Claim("scp", "[1]"), REFUSED),
    ]);
}

#[test]
fn an_audience_is_this_address_and_no_other_of_ours() {
    assert_table(&[
        ("a number", Claim("aud", "7"), REFUSED),
        ("null", Claim("aud", "null"), REFUSED),
        ("an object", Claim("aud", "{}"), REFUSED),
        ("an empty array", Claim("aud", "[]"), REFUSED),
        ("an empty text", Claim("aud", r#""""#), AUDIENCE),
        ("another host", Claim("aud", r#""https://globex.mcp.example.com/mcp""#), AUDIENCE),
        ("a slash more", Claim("aud", r#""https://acme.mcp.example.com/mcp/""#), AUDIENCE),
        ("a path less", Claim("aud", r#""https://acme.mcp.example.com""#), AUDIENCE),
        ("upper case", Claim("aud", r#""https://ACME.mcp.example.com/mcp""#), AUDIENCE),
        ("http", Claim("aud", r#""http://acme.mcp.example.com/mcp""#), AUDIENCE),
        ("an array of it alone", Claim("aud", r#"["https://acme.mcp.example.com/mcp"]"#), None),
        ("it and a stranger's", Claim("aud", r#"["https://acme.mcp.example.com/mcp","urn:x"]"#), None),
        ("it and a number", Claim("aud", r#"["https://acme.mcp.example.com/mcp",7]"#), REFUSED),
        (
            "two of ours",
            Claim("aud", r#"["https://acme.mcp.example.com/mcp","https://globex.mcp.example.com/mcp"]"#),
            AUDIENCE,
        ),
        ("eight", Claim("aud", r#"["https://acme.mcp.example.com/mcp","1","2","3","4","5","6","7"]"#), None),
        (
            "nine",
            Claim("aud", r#"["https://acme.mcp.example.com/mcp","1","2","3","4","5","6","7","8"]"#),
            REFUSED,
        ),
        ("the client too", Claim("aud", r#"["https://acme.mcp.example.com/mcp","client-1"]"#), REFUSED),
        ("the client is the address", Claim("client_id", r#""https://acme.mcp.example.com/mcp""#), REFUSED),
    ]);
}

#[test]
fn a_time_is_a_whole_number_of_seconds_with_five_of_leeway() {
    assert_table(&[
        ("exp is a text", Claim("exp", r#""1790000600""#), REFUSED),
        ("exp has a fraction", Claim("exp", "1790000600.5"), REFUSED),
        ("exp has an exponent", Claim("exp", "1.7900006e9"), REFUSED),
        ("exp is negative", Claim("exp", "-1"), REFUSED),
        ("exp is after the year 9999", Claim("exp", "253402300800"), REFUSED),
        ("exp is the end of the year 9999", Claim("exp", "253402300799"), None),
        ("exp is the largest u64", Claim("exp", "18446744073709551615"), REFUSED),
        ("exp is larger than a u64", Claim("exp", "99999999999999999999"), REFUSED),
        ("exp null", Claim("exp", "null"), REFUSED),
        ("exp in milliseconds", Claim("exp", "1790000600000"), REFUSED),
        ("iat is a text", Claim("iat", r#""1789999940""#), REFUSED),
        ("iat is negative", Claim("iat", "-1"), REFUSED),
        ("nbf is a text", Claim("nbf", r#""1789999940""#), REFUSED),
        ("nbf null", Claim("nbf", "null"), REFUSED),
        ("expired four seconds ago", Claim("exp", "1789999996"), None),
        ("expired five seconds ago", Claim("exp", "1789999995"), EXPIRED),
        ("issued in five seconds", Claim("iat", "1790000005"), None),
        ("issued in six seconds", Claim("iat", "1790000006"), EXPIRED),
        ("good from five seconds on", Claim("nbf", "1790000005"), None),
        ("good from six seconds on", Claim("nbf", "1790000006"), EXPIRED),
        ("good before it was issued, as some say", Claim("nbf", "1789999000"), None),
        ("ends a second after it was issued", Claim("exp", "1789999999"), None),
    ]);
}

#[test]
fn a_token_that_ends_before_it_begins_is_refused() {
    let signer = Signer::new();
    for (issued_s, expires_s, denial) in
        [(NOW_S + 3, NOW_S + 4, None), (NOW_S + 3, NOW_S + 3, EXPIRED), (NOW_S + 3, NOW_S + 2, EXPIRED)]
    {
        let (header, mut claims) = members(Nothing);
        set(&mut claims, "iat", &issued_s.to_string());
        set(&mut claims, "exp", &expires_s.to_string());
        let token = signer.sign(&object(&header), &object(&claims));
        assert_eq!(accept(&token, &signer.key).err(), denial, "{issued_s} to {expires_s}");
    }
}

#[test]
fn an_id_token_is_no_access_token() {
    assert_table(&[
        ("nonce", Claim("nonce", r#""n""#), REFUSED),
        ("nonce null", Claim("nonce", "null"), REFUSED),
        ("at_hash", Claim("at_hash", r#""h""#), REFUSED),
        ("c_hash", Claim("c_hash", r#""h""#), REFUSED),
        ("s_hash", Claim("s_hash", r#""h""#), REFUSED),
        ("events", Claim("events", "{}"), REFUSED),
        ("sub_jwk", Claim("sub_jwk", "{}"), REFUSED),
        ("azp, which an access token may have", Claim("azp", r#""client-1""#), None),
    ]);
}

#[test]
fn scope_and_scp_are_read_and_both_are_one_too_many() {
    let signer = Signer::new();
    let scopes = |also: &[(&'static str, &str)]| {
        let (header, mut claims) = members(Nothing);
        also.iter().for_each(|(name, raw)| set(&mut claims, name, raw));
        let accepted = accept(&signer.sign(&object(&header), &object(&claims)), &signer.key);
        accepted.map(|claims| claims.scopes.into_iter().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(scopes(&[]), Ok(String::new()));
    assert_eq!(scopes(&[("scope", r#""b a  a""#)]), Ok("a b".to_owned()));
    assert_eq!(scopes(&[("scp", r#"["b","a"]"#)]), Ok("a b".to_owned()));
    assert_eq!(scopes(&[("scope", r#""a""#), ("scp", r#"["a"]"#)]), Err(Denial::TokenClaims));
}

#[test]
fn a_text_claim_has_at_most_256_bytes() {
    let signer = Signer::new();
    for (bytes, denial) in [(256, None), (257, REFUSED)] {
        for name in ["sub", "client_id"] {
            let (header, mut claims) = members(Nothing);
            set(&mut claims, name, &format!(r#""{}""#, "s".repeat(bytes)));
            let token = signer.sign(&object(&header), &object(&claims));
            assert_eq!(accept(&token, &signer.key).err(), denial, "{name} of {bytes}");
        }
    }
}

#[test]
fn api_gateway_must_have_seen_the_same_claims() {
    let signer = Signer::new();
    let token = signer.changed(Claim("aud", r#"["https://acme.mcp.example.com/mcp","urn:x"]"#));
    let claims = accept(&token, &signer.key).unwrap();
    let tenant = ["tenant_id".to_owned(), "tenant_slug".to_owned()];
    let agrees = |changes: &[(&str, Option<&str>)]| {
        let mut seen = BTreeMap::from(
            [
                ("iss", ISSUER),
                ("sub", "user-1"),
                ("aud", "[https://acme.mcp.example.com/mcp urn:x]"),
                ("exp", "1790000600"),
                ("tenant_id", "t-1"),
                ("client_id", "not compared"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        for (name, value) in changes {
            match value {
                Some(value) => seen.insert((*name).to_owned(), (*value).to_owned()),
                None => seen.remove(*name),
            };
        }
        claims.agree_with(&seen, &tenant)
    };
    assert!(agrees(&[]));
    assert!(agrees(&[("jti", Some("one more, which nobody reads"))]));
    for name in ["iss", "sub", "aud", "exp", "tenant_id"] {
        assert!(!agrees(&[(name, None)]), "{name} is missing");
        assert!(!agrees(&[(name, Some(""))]), "{name} is empty");
        assert!(!agrees(&[(name, Some("another"))]), "{name} differs");
    }
    for (name, value) in [
        ("exp", "1.7900006E9"),
        ("exp", "1790000601"),
        ("aud", "https://acme.mcp.example.com/mcp"),
        ("aud", "[https://acme.mcp.example.com/mcp, urn:x]"),
        ("aud", "[urn:x https://acme.mcp.example.com/mcp]"),
        ("tenant_id", "t-2"),
        ("tenant_id", "T-1"),
        ("tenant_slug", "globex"),
    ] {
        assert!(!agrees(&[(name, Some(value))]), "{name}: {value}");
    }
}

#[test]
fn a_claims_text_is_absent_or_a_plain_text() {
    let signer = Signer::new();
    let of = |change| accept(&signer.changed(change), &signer.key).unwrap();
    assert_eq!(of(Nothing).text("tenant_id"), Ok(Some("t-1")));
    assert_eq!(of(NoClaim("tenant_id")).text("tenant_id"), Ok(None));
    for raw in ["null", "7", "[]", r#"["t-1"]"#, r#""""#, r#""t\u0007""#] {
        assert_eq!(of(Claim("tenant_id", raw)).text("tenant_id"), Err(Denial::TokenClaims), "{raw}");
    }
}

#[test]
fn the_role_is_the_claims_where_the_issuer_has_one_and_the_scopes_else() {
    let signer = Signer::new();
    let role = |raw: Option<&str>, role_claim| {
        let (header, mut claims) = members(Nothing);
        set(&mut claims, "scope", r#""notes:write workspace:admin""#);
        if let Some(raw) = raw {
            set(&mut claims, "role", raw);
        }
        accept(&signer.sign(&object(&header), &object(&claims)), &signer.key).unwrap().role(role_claim)
    };
    for (raw, expected) in
        [(r#""admin""#, Role::Admin), (r#""member""#, Role::Member), (r#""read_only""#, Role::ReadOnly)]
    {
        assert_eq!(role(Some(raw), Some("role")), expected, "{raw}");
    }
    for raw in [r#""Admin""#, r#""owner""#, r#""""#, "null", r#"["admin"]"#, r#"{"admin":true}"#, "1"] {
        assert_eq!(role(Some(raw), Some("role")), Role::ReadOnly, "{raw}");
    }
    assert_eq!(role(None, Some("role")), Role::ReadOnly, "no claim is no role, whatever the scopes are");
    for raw in [None, Some(r#""read_only""#)] {
        assert_eq!(role(raw, None), Role::Admin, "a claim that the issuer is not pinned with says nothing");
    }
}
