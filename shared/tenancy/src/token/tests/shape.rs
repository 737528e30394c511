use super::{Change::*, *};

/// A good token and the same token after its text was changed.
fn said_of(change: impl Fn(&str) -> String) -> Option<Denial> {
    let signer = Signer::new();
    let good = signer.changed(Nothing);
    assert!(accept(&good, &signer.key).is_ok());
    accept(&change(&good), &signer.key).err()
}

#[test]
fn a_token_has_three_parts_of_strict_base64url() {
    let malformed = Some(Denial::MalformedToken);
    assert_eq!(said_of(|good| good.rsplit_once('.').unwrap().0.to_owned()), malformed, "two parts");
    assert_eq!(said_of(|good| good.split('.').next().unwrap().to_owned()), malformed, "one part");
    assert_eq!(said_of(|good| format!("{good}.AA")), malformed, "four parts");
    assert_eq!(said_of(|good| format!("{good}.")), malformed, "an empty fourth part");
    assert_eq!(said_of(|good| format!(".{good}")), malformed, "an empty part before");
    assert_eq!(
        said_of(|good| format!("{}.", good.rsplit_once('.').unwrap().0)),
        malformed,
        "an empty signature"
    );
    assert_eq!(said_of(|good| format!("{good}=")), malformed, "padding");
    assert_eq!(said_of(|good| format!("{good}==")), malformed, "the right padding");
    assert_eq!(said_of(|good| good.replacen('.', "=.", 1)), malformed, "padding in the header");
    assert_eq!(said_of(|good| format!("{good}AAA")), malformed, "an impossible length");
    assert_eq!(said_of(|good| format!("{good} ")), malformed, "a space");
    assert_eq!(said_of(|good| format!("{good}\n")), malformed, "a line break");
    assert_eq!(said_of(|good| good.replacen('e', "+", 1)), malformed, "the other alphabet");
    assert_eq!(said_of(|_good| String::new()), malformed, "nothing");
    assert_eq!(said_of(|_good| "..".to_owned()), malformed, "dots");
}

#[test]
fn base64_with_other_trailing_bits_is_not_the_same_signature() {
    let signer = Signer::new();
    let good = signer.changed(Nothing);
    assert!(accept(&good, &signer.key).is_ok());
    let (rest, last) = good.split_at(good.len() - 1);
    let mut same_bytes = 0;
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        if last != other.to_string() {
            let denial = accept(&format!("{rest}{other}"), &signer.key).err();
            assert!(matches!(denial, Some(Denial::MalformedToken | Denial::Signature)), "{other}");
            same_bytes += usize::from(denial == Some(Denial::MalformedToken));
        }
    }
    // 64 bytes leave four bits of the last letter unused: of 64 letters four are in strict form.
    assert_eq!(same_bytes, 60);
}

#[test]
fn a_token_has_at_most_8_kib() {
    let signer = Signer::new();
    let token = |pad: usize| {
        let (header, mut claims) = members(Nothing);
        set(&mut claims, "pad", &format!(r#""{}""#, "p".repeat(pad)));
        signer.sign(&object(&header), &object(&claims))
    };
    let most = (5_000..6_200).map(token).rfind(|token| token.len() <= 8_192).unwrap();
    assert!(most.len() > 8_188 && accept(&most, &signer.key).is_ok());
    let more = (5_000..6_200).map(token).find(|token| token.len() > 8_192).unwrap();
    assert!(more.len() < 8_197);
    assert_eq!(accept(&more, &signer.key).err(), Some(Denial::MalformedToken));
}

#[test]
fn claims_that_are_no_object_are_refused() {
    let signer = Signer::new();
    let header = object(&members(Nothing).0);
    for claims in ["[]", "null", "7", r#""iss""#, "", "{", "{}{}", "\u{feff}{}", r#"{"iss":}"#] {
        let said = accept(&signer.sign(&header, claims), &signer.key).err();
        assert_eq!(said, Some(Denial::TokenClaims), "{claims}");
    }
}

#[test]
fn a_bearer_is_read_from_its_header_in_one_form() {
    let signer = Signer::new();
    let good = signer.changed(Nothing);
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let bearer = Bearer::from_authorization(&format!("{scheme} {good}")).unwrap();
        assert!(accept(bearer.expose(), &signer.key).is_ok());
        assert!(!format!("{bearer:?}").contains(good.split('.').next().unwrap()));
    }
    for value in [
        good.clone(),
        format!("Basic {good}"),
        format!("Bearer  {good}"),
        format!("Bearer\t{good}"),
        format!("Bearer {good}, Bearer {good}"),
        format!("Bearer {good} "),
        format!(" Bearer {good}"),
        "Bearer ".to_owned(),
        "Bearer".to_owned(),
    ] {
        assert_eq!(Bearer::from_authorization(&value).err(), Some(Denial::MalformedToken), "{value}");
    }
}
