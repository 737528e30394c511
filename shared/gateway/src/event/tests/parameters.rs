//! Parameters of path and query: decoded once, on both edges alike, or refused.

use super::*;

/// Both events of a request to a greedy route: what was sent, and what an HTTP API makes of it.
fn greedy(sent: &str, decoded: &str) -> [Value; 2] {
    let (mut rest, mut http) = (v1(), v2());
    for (event, key) in [(&mut rest, "resource"), (&mut http, "routeKey")] {
        event[key] = json!("/v1/collections/{proxy+}");
    }
    rest["requestContext"]["resourcePath"] = rest["resource"].clone();
    http["requestContext"]["routeKey"] = http["routeKey"].clone();
    rest["pathParameters"] = json!({"proxy": sent});
    http["pathParameters"] = json!({"proxy": decoded});
    [rest, http]
}

/// Both events with a query: what was sent, and what a REST API makes of it.
fn queried(sent: &str, parts: &Value) -> [Value; 2] {
    let (mut rest, mut http) = (v1(), v2());
    rest["multiValueQueryStringParameters"] = parts.clone();
    http["rawQueryString"] = json!(sent);
    [rest, http]
}

#[test]
fn a_greedy_path_is_decoded_once_on_both_edges() {
    for (sent, once) in [
        ("notes/items", "notes/items"),
        ("a%20b/%C3%BC", "a b/ü"),
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("%2e%2e/x", "../x"),
        ("a+b", "a+b"),
    ] {
        for event in greedy(sent, once) {
            let request = read(&event).unwrap();
            assert_eq!(request.parameters, BTreeMap::from([("proxy".to_owned(), once.to_owned())]), "{sent}");
        }
    }
}

#[test]
fn a_path_that_is_no_plain_text_is_refused() {
    for (sent, once) in [("a%00b", "a\0b"), ("a%0Ab", "a\nb"), ("a%7Fb", "a\u{7f}b")] {
        greedy(sent, once).iter().for_each(|event| refused(event, 400));
    }
    // An HTTP API has decoded already, so these are letters there.
    for sent in ["%", "a%", "a%2", "%zz", "%ff", "%c3%28", "%%20"] {
        let [rest, http] = greedy(sent, sent);
        refused(&rest, 400);
        assert_eq!(read(&http).unwrap().parameters["proxy"], sent);
    }
    for (more, status) in [(0, None), (1, Some(414))] {
        let long = "a".repeat(TARGET_BYTES_MAX + more);
        for event in greedy(&long, &long) {
            assert_eq!(read(&event).err().map(|(status, _)| status), status);
        }
    }
}

#[test]
fn a_handler_sees_the_variables_of_its_route_and_never_the_tenant() {
    for mut event in greedy("notes", "notes") {
        event["pathParameters"]["other"] = json!("x");
        event["pathParameters"]["tenant"] = json!("globex");
        let request = read(&event).unwrap();
        assert_eq!(request.parameters.keys().collect::<Vec<_>>(), ["proxy"]);
        assert_eq!(request.evidence.path_tenant, None);
        event["pathParameters"].as_object_mut().unwrap().remove("proxy");
        refused(&event, 400);
    }
    for event in [v1(), v2()] {
        assert_eq!(read(&event).unwrap().parameters, BTreeMap::new());
    }
}

#[test]
fn a_query_is_decoded_once_on_both_edges() {
    let sent = "limit=20&cursor=a%252Bb&q=a+b%26c&empty=&flag&%C3%BC=%3D";
    let parts = json!({"limit": ["20"], "cursor": ["a%2Bb"], "q": ["a b&c"], "empty": [""], "flag": [""], "ü": ["="]});
    let expected =
        [("cursor", "a%2Bb"), ("empty", ""), ("flag", ""), ("limit", "20"), ("q", "a b&c"), ("ü", "=")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for event in queried(sent, &parts) {
        assert_eq!(read(&event).unwrap().query, Ok(BTreeMap::from(expected.clone())));
    }
    for event in queried("", &Value::Null) {
        assert_eq!(read(&event).unwrap().query, Ok(BTreeMap::new()));
    }
    let mut single = v1();
    single["queryStringParameters"] = json!({"limit": "20"});
    assert_eq!(read(&single).unwrap().query.unwrap()["limit"], "20");
}

#[test]
fn a_query_name_that_comes_twice_is_refused() {
    let parts = json!({"a": ["1", "2"]});
    for event in queried("a=1&a=2", &parts).iter().chain(&queried("a=1&%61=1", &json!({"a": ["1", "1"]}))) {
        assert_eq!(read(event).unwrap().query, Err("query: a parameter comes twice"));
    }
    for event in queried("a=1&A=2&&", &json!({"a": ["1"], "A": ["2"]})) {
        assert_eq!(read(&event).unwrap().query.unwrap().len(), 2);
    }
}

#[test]
fn a_query_of_too_many_names_or_of_no_plain_text_is_refused() {
    for (count, flaw) in [(32, None), (33, Some("query: at most 32 parameters"))] {
        let names: Vec<String> = (0..count).map(|n| format!("n{n}")).collect();
        let parts = names.iter().map(|name| (name.clone(), json!([""]))).collect();
        for event in queried(&names.join("&"), &Value::Object(parts)) {
            assert_eq!(read(&event).unwrap().query.err(), flaw);
        }
    }
    let flaw = Some("query: percent-encoded text without control characters");
    for sent in ["a=%", "a=%2", "a=%zz", "a=%ff", "%00=a", "a=%0d%0a"] {
        let [_, http] = queried(sent, &Value::Null);
        assert_eq!(read(&http).unwrap().query.err(), flaw, "{sent}");
    }
    for parts in [json!({"a": ["\0"]}), json!({"a\n": [""]})] {
        let [rest, _] = queried("", &parts);
        assert_eq!(read(&rest).unwrap().query.err(), flaw);
    }
}
