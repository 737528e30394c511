//! No event makes the check or the conversion behind it panic.

use proptest::prelude::*;

use super::*;

fn near_misses() -> impl Strategy<Value = Value> {
    let odd = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[ -~]{0,40}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({"a": {"b": []}})),
        Just(json!([null, 1])),
    ];
    let pointers = prop::sample::select(vec![
        "/path",
        "/rawPath",
        "/rawQueryString",
        "/headers/Host",
        "/headers/host",
        "/headers/x-forwarded-proto",
        "/headers/X-Forwarded-Proto",
        "/multiValueHeaders/Host/0",
        "/multiValueHeaders",
        "/headers",
        "/body",
        "/isBase64Encoded",
        "/requestContext/domainName",
        "/requestContext/stage",
        "/requestContext/http",
        "/requestContext/http/method",
        "/httpMethod",
        "/requestContext/authorizer",
        "/pathParameters",
        "/queryStringParameters",
        "/multiValueQueryStringParameters",
        "/resource",
        "/routeKey",
        "/requestContext/identity",
        "/requestContext/requestTimeEpoch",
        "/requestContext",
    ]);
    (any::<bool>(), prop::collection::vec((pointers, odd), 1..4)).prop_map(|(rest, changes)| {
        let mut event = if rest { v1() } else { v2() };
        for (pointer, value) in changes {
            if let Some(place) = event.pointer_mut(pointer) {
                *place = value;
            }
        }
        event
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_a_valid_event_panics(event in near_misses()) {
        drop(read(&event));
    }

    #[test]
    fn no_host_path_or_query_that_passes_panics(
        host in "\\PC{0,20}", path in "/\\PC{0,20}", query in "[\\x00-\\x7f]{0,20}", scheme in "(https?|.{0,3})",
    ) {
        let [mut rest, mut http] = with_header("Host", &json!(host));
        rest["path"] = json!(path);
        rest["queryStringParameters"] = json!({"q": query});
        rest["headers"]["X-Forwarded-Proto"] = json!(scheme);
        http["rawPath"] = json!(path);
        http["rawQueryString"] = json!(query);
        http["requestContext"]["stage"] = json!(query);
        drop((read(&rest), read(&http)));
    }

    #[test]
    fn no_bytes_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), rest in any::<bool>()) {
        let mut bytes = if rest { v1() } else { v2() }.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(event) = Event::read(&text) {
            drop(Request::read(&event, &text, &context(10_000)));
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,200}") {
        prop_assert!(Event::read(&text).is_err());
    }
}
