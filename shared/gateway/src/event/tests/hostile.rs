//! Events that make `lambda_http` panic, events at and over the limits, and their succeeding twins.

use std::panic;

use super::*;

/// Whether `lambda_http` alone, without the check before it, panics on this event.
fn panics_unchecked(event: &Value) -> bool {
    let text = event.to_string();
    panic::catch_unwind(|| lambda_http::request::from_str(&text).map(drop)).is_err()
}

#[test]
fn a_host_that_panics_lambda_http_is_refused() {
    let hosts = [
        "exa mple.com",
        "[::1",
        "a.example:99999",
        "999.999.999.999",
        "a%00b",
        "xn--a.example",
        "a:b:c",
        "{",
    ];
    for host in hosts {
        for event in with_header("Host", &json!(host)) {
            assert!(panics_unchecked(&event), "{host}");
            refused(&event, 400);
        }
    }
    for host in ["", "user@example.com", "a/b", "a?b", "a#b", "\\a"] {
        with_header("Host", &json!(host)).iter().for_each(|event| refused(event, 400));
    }
    for host in
        ["mcp.example.com", "acme.localhost:9000", "127.0.0.1:80", "[::1]:9000", "xn--bcher-kva.example"]
    {
        with_header("Host", &json!(host)).iter().for_each(|event| drop(read(event).unwrap()));
    }
    with_header("Host", &Value::Null).iter().for_each(|event| drop(read(event).unwrap()));
}

#[test]
fn a_forwarded_scheme_that_panics_lambda_http_is_refused() {
    for scheme in ["ht tp", "", "1"] {
        for event in with_header("X-Forwarded-Proto", &json!(scheme)) {
            assert!(panics_unchecked(&event), "{scheme}");
            refused(&event, 400);
        }
    }
    with_header("X-Forwarded-Proto", &json!("ftp")).iter().for_each(|event| refused(event, 400));
    with_header("X-Forwarded-Proto", &json!("http")).iter().for_each(|event| drop(read(event).unwrap()));
}

#[test]
fn a_raw_query_that_panics_lambda_http_is_refused() {
    let mut event = v2();
    for query in ["a=\"", "a=<", "a=>", "a= ", "a=\0", "a=\u{1}"] {
        event["rawQueryString"] = json!(query);
        assert!(panics_unchecked(&event), "{query}");
        refused(&event, 400);
    }
    event["rawQueryString"] = json!("a=%22&b=%3C%3E%20%00&c=[]|{}'");
    drop(read(&event).unwrap());

    // A REST API's query comes decoded, and lambda_http encodes it again.
    let mut event = v1();
    event["multiValueQueryStringParameters"] = json!({"a": ["\"<> \0"]});
    drop(read(&event).unwrap());
}

#[test]
fn a_path_that_panics_lambda_http_is_refused() {
    for (mut event, key) in [(v1(), "path"), (v2(), "rawPath")] {
        event[key] = json!(format!("/{}", "a".repeat(65_536)));
        assert!(panics_unchecked(&event));
        refused(&event, 414);
        for path in ["", "acme", ":x", "/a\nb", "/a\u{7f}"] {
            event[key] = json!(path);
            refused(&event, 400);
        }
        for path in ["/", "//a", "/a/../b", "/ü \"<>%00", "/a\\b"] {
            event[key] = json!(path);
            assert_eq!(read(&event).unwrap().path, path);
        }
    }
}

#[test]
fn a_body_that_panics_lambda_http_is_refused() {
    for mut event in [v1(), v2()] {
        event["isBase64Encoded"] = json!(true);
        for body in ["?", "e30", "e30=\n", "{}"] {
            event["body"] = json!(body);
            assert!(panics_unchecked(&event), "{body}");
            refused(&event, 400);
        }
        event["body"] = json!("e30=");
        assert_eq!(&*read(&event).unwrap().body, b"{}");
        event["body"] = Value::Null;
        assert_eq!(&*read(&event).unwrap().body, b"");
    }
}

#[test]
fn limits_admit_what_is_at_them_and_refuse_one_more() {
    for mut event in [v1(), v2()] {
        event["body"] = json!("a".repeat(BODY_BYTES_MAX));
        assert_eq!(read(&event).unwrap().body.len(), BODY_BYTES_MAX);
        event["body"] = json!("a".repeat(BODY_BYTES_MAX + 1));
        refused(&event, 413);
        event["isBase64Encoded"] = json!(true);
        for (bytes, status) in [(0, None), (1, Some(413)), (2, Some(413)), (3, Some(413))] {
            event["body"] = json!(STANDARD.encode(vec![7; BODY_BYTES_MAX + bytes]));
            assert_eq!(read(&event).err().map(|(status, _)| status), status);
        }
    }
    for (mut event, path, query) in [(v1(), "path", false), (v2(), "rawPath", true)] {
        for (more, status) in [(0, None), (1, Some(414))] {
            event[path] = json!("/".repeat(TARGET_BYTES_MAX + more));
            assert_eq!(read(&event).err().map(|(status, _)| status), status);
        }
        event[path] = json!("/");
        for (more, status) in [(0, None), (1, Some(414))] {
            if query {
                event["rawQueryString"] = json!("q".repeat(TARGET_BYTES_MAX + more));
            } else {
                event["multiValueQueryStringParameters"] =
                    json!({"q": ["\u{1}".repeat(TARGET_BYTES_MAX - 3 + more)]});
            }
            assert_eq!(read(&event).err().map(|(status, _)| status), status, "{more}");
        }
    }
}

#[test]
fn what_is_over_a_limit_is_told_the_limit_and_what_it_has() {
    let said = |member: &str, value: Value, encoded: bool| {
        let mut event = v2();
        event[member] = value;
        event["isBase64Encoded"] = json!(encoded);
        let (_, body) = read(&event).err().unwrap();
        serde_json::from_str::<Value>(&body).unwrap()["detail"].as_str().unwrap().to_owned()
    };
    let body = "the body has 1048577 bytes, and at most 1048576 are allowed";
    assert_eq!(said("body", json!("a".repeat(BODY_BYTES_MAX + 1)), false), body);
    for more in [1, 2, 3, 4] {
        let text = STANDARD.encode(vec![7; BODY_BYTES_MAX + more]);
        assert_eq!(
            said("body", json!(text), true),
            body.replace("1048577", &(BODY_BYTES_MAX + more).to_string())
        );
    }
    let path = said("rawPath", json!("/".repeat(8_193)), false);
    assert_eq!(path, "the path has 8193 bytes, and at most 8192 are allowed");
    let query = said("rawQueryString", json!("q".repeat(8_193)), false);
    assert_eq!(query, "the query has 8193 bytes, and at most 8192 are allowed");
    let headers = said("headers", json!({ "a": "b".repeat(headers::BYTES_MAX) }), false);
    let most = format!("{} of {}", headers::COUNT_MAX, headers::BYTES_MAX);
    assert_eq!(headers, format!("1 headers of 16385 bytes, and at most {most} bytes are allowed"));
}

#[test]
fn the_largest_path_and_query_still_make_a_uri() {
    let mut event = v1();
    event["path"] = json!("/".to_owned() + &"\"".repeat(TARGET_BYTES_MAX - 1));
    event["multiValueQueryStringParameters"] = json!({"q": ["\u{1}".repeat(TARGET_BYTES_MAX - 3)]});
    drop(read(&event).unwrap());
    event["multiValueQueryStringParameters"] = json!({"": vec![""; TARGET_BYTES_MAX / 2]});
    drop(read(&event).unwrap());
    event["multiValueQueryStringParameters"] = json!({"": vec![""; TARGET_BYTES_MAX / 2 + 1]});
    refused(&event, 414);
}

#[test]
fn header_limits_admit_what_is_at_them_and_refuse_one_more() {
    for (mut event, map) in [(v1(), "headers"), (v1(), "multiValueHeaders"), (v2(), "headers")] {
        let wrap = |value: String| if map == "headers" { json!(value) } else { json!([value]) };
        for (more, status) in [(0, None), (1, Some(431))] {
            event[map] = json!({"a": wrap("b".repeat(headers::BYTES_MAX - 1 + more))});
            assert_eq!(read(&event).err().map(|(status, _)| status), status);
        }
        for (more, status) in [(0, None), (1, Some(431))] {
            event[map] =
                (0..headers::COUNT_MAX + more).map(|n| (format!("h{n}"), wrap(String::new()))).collect();
            assert_eq!(read(&event).err().map(|(status, _)| status), status);
        }
    }
    let mut event = v2();
    event["headers"] = json!({});
    for (more, status) in [(0, None), (1, Some(431))] {
        event["cookies"] = json!(["c".repeat(headers::BYTES_MAX - 2 + more)]);
        assert_eq!(read(&event).err().map(|(status, _)| status), status);
    }
}

#[test]
fn a_header_outside_the_grammar_is_refused() {
    for (name, value) in [("a b", "c"), ("", "c"), ("ä", "c"), ("a", "b\r\nc: d"), ("a", "\0")] {
        with_header(name, &json!(value)).iter().for_each(|event| refused(event, 400));
    }
    for (name, value) in [("a-b", "c"), ("a", ""), ("a", "ä"), ("a", "b\tc")] {
        with_header(name, &json!(value)).iter().for_each(|event| drop(read(event).unwrap()));
    }
}
