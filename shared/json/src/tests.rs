use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> Result<Value, String> {
    parse(text.as_bytes(), 3).map_err(|err| err.to_string())
}

#[test]
fn an_object_with_a_name_twice_is_refused_at_any_depth() {
    for (twice, once) in [
        (r#"{"a":1,"a":1}"#, r#"{"a":1,"b":1}"#),
        (r#"{"a":1,"\u0061":2}"#, r#"{"a":1,"\u0062":2}"#),
        (r#"[{"a":{"b":1,"b":2}}]"#, r#"[{"a":{"b":1,"c":2}}]"#),
    ] {
        assert!(read(twice).is_err_and(|why| why.contains("same name twice")), "{twice}");
        assert_eq!(read(once).unwrap(), serde_json::from_str::<Value>(once).unwrap());
    }
}

#[test]
fn the_depth_is_bounded_and_its_bound_is_said() {
    assert_eq!(read("[[[1]]]").unwrap(), json!([[[1]]]));
    let brackets = r#"["[[[[\"[[",[[2]],{"]":"}"}]"#;
    assert_eq!(read(brackets).unwrap(), json!(["[[[[\"[[", [[2]], { "]": "}" }]));
    for (deep, levels) in [
        ("[[[[1]]]]", 4),
        (r#"{"a":[{"b":[]}]}"#, 4),
        (r#"["[[[[\"[[",[[[[2]]]],{"]":"}"}]"#, 5),
        (&"[".repeat(100_000), 100_000),
    ] {
        let said = format!("not JSON that is served: {levels} levels, of at most 3");
        assert_eq!(read(deep).unwrap_err(), said);
    }
}

#[test]
fn what_is_not_one_json_text_is_refused() {
    for text in ["", "{", "1 2", "{} {}", "nul", "'a'", "[1,]", "{a:1}", "1e999", "\u{feff}{}"] {
        assert!(read(text).is_err(), "{text}");
    }
    assert!(parse(b"\"\xff\"", 3).is_err());
    for text in [" {} ", "null", "-0.5", "\"\u{e4}\"", "18446744073709551615"] {
        assert!(read(text).is_ok(), "{text}");
    }
}

#[test]
fn an_integer_that_would_be_read_back_as_another_is_refused_with_its_path() {
    for kept in [
        "18446744073709551615",
        "-9223372036854775808",
        "9223372036854775808",
        "9007199254740993",
        "0",
        "1.5",
        "-0.1",
        "1e300",
        "1E+20",
        "123456789012345678901.0",
        "0.30000000000000004",
        "5e-324",
        "1.7976931348623157e308",
    ] {
        let value = read(&format!(r#"{{"a":{kept}}}"#)).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(&format!(r#"{{"a":{kept}}}"#)).unwrap(), "{kept}");
        if value["a"].is_u64() || value["a"].is_i64() {
            assert_eq!(value["a"].to_string(), kept);
        }
    }
    for (text, path, digits) in [
        (r#"{"a":[1e300,{"b":18446744073709551616}]}"#, "`a[1].b`", 20),
        (r#"{"a":-9223372036854775809}"#, "`a`", 19),
        ("[1, 1234567890123456789012345678901]", "`[1]`", 31),
        ("100000000000000000000", "the number", 21),
    ] {
        let why = read(text).unwrap_err();
        let said =
            format!("{path} is an integer of {digits} digits, and only those of at most 64 bits are kept");
        assert!(why.contains(&said), "{why}");
    }
    // What looks like one inside a string or a name is none.
    assert!(read(r#"{"18446744073709551616":["18446744073709551616",1e300]}"#).is_ok());
    let long = format!(r#"{{"{}":18446744073709551616}}"#, "é".repeat(100_000));
    assert!(read(&long).unwrap_err().len() < 1_000);
}

#[test]
fn the_canonical_form_does_not_depend_on_order_or_space() {
    let one = read(r#"{ "b": [ {"y":1, "x":2} ], "a": null }"#).unwrap();
    let other = read(r#"{"a":null,"b":[{"x":2,"y":1}]}"#).unwrap();
    assert_eq!(canonical(&one).unwrap(), br#"{"a":null,"b":[{"x":2,"y":1}]}"#);
    assert_eq!(canonical(&one).unwrap(), canonical(&other).unwrap());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn the_canonical_form_is_the_same_value(value in any_json()) {
        prop_assert_eq!(parse(&canonical(&value).unwrap(), 8).unwrap(), value);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        drop(parse(&bytes, 8));
    }
}

#[test]
fn a_merge_patch_is_that_of_the_rfc() {
    // RFC 7396, appendix A.
    for (target, patch, result) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": "b"}), json!(["c"]), json!(["c"])),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ] {
        assert_eq!(merged(target.clone(), &patch), result, "{target} {patch}");
    }
}
