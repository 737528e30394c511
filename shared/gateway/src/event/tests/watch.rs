//! Events of `cargo lambda watch`, as version 1.9.2 sent one.

use super::*;

/// An event for a path, of which the route's variables stand for these parts.
fn watched(path: &str, variables: Value) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("watch.json")).unwrap();
    event["rawPath"] = json!(path);
    event["requestContext"]["http"]["path"] = json!(path);
    event["pathParameters"] = variables;
    event
}

#[test]
fn the_event_is_read_with_the_tenant_of_its_path() {
    let request = read(&watched("/acme/mcp", json!({"tenant": "acme"}))).unwrap();
    assert_eq!((request.route.as_str(), request.path.as_str()), ("/{tenant}/mcp", "/acme/mcp"));
    assert_eq!((request.method.as_str(), &*request.body), ("POST", &b"{}"[..]));
    assert!(request.parameters.is_empty());
    let evidence = request.evidence;
    assert_eq!((evidence.event, evidence.domain_name.as_deref()), (EventKind::V2, Some("localhost")));
    assert_eq!((evidence.path_tenant.as_deref(), evidence.api_id), (Some("acme"), None));
    assert!(
        evidence.authorizer.is_none() && evidence.jwt_claims.is_none() && evidence.lambda_tenant.is_none()
    );
    assert_eq!(evidence.bearer.unwrap().expose(), "aaa.bbb.ccc");
}

#[test]
fn the_template_is_read_off_the_path() {
    for (path, variables, template) in [
        ("/mcp", Value::Null, "/mcp"),
        ("/.well-known/openai-apps-challenge", Value::Null, "/.well-known/openai-apps-challenge"),
        ("/usage/v1/usage", json!({"tenant": "usage"}), "/{tenant}/v1/usage"),
        ("/v1/secrets/a/b", json!({"proxy": "a/b"}), "/v1/secrets/{proxy+}"),
        ("/abc/v1/config/abc", json!({"tenant": "abc", "proxy": "abc"}), "/{tenant}/v1/config/{proxy+}"),
        (
            "/.well-known/oauth-protected-resource/acme/mcp",
            json!({"tenant": "acme"}),
            "/.well-known/oauth-protected-resource/{tenant}/mcp",
        ),
    ] {
        assert_eq!(read(&watched(path, variables)).unwrap().route, template);
    }
}

#[test]
fn a_variable_is_decoded_once() {
    let proxy = |sent: &str| {
        let request = read(&watched(&format!("/v1/secrets/{sent}"), json!({"proxy": sent})));
        request.map(|request| request.parameters["proxy"].clone()).map_err(|(status, _)| status)
    };
    assert_eq!(proxy("a%20b%2525").as_deref(), Ok("a b%25"));
    assert_eq!(proxy("a%2"), Err(400));
}

#[test]
fn a_variable_that_is_no_part_of_the_path_is_refused() {
    for (path, variables) in [
        ("/acme/mcp", json!({"tenant": "globex"})),
        ("/acme/mcp", json!({"tenant": ""})),
        ("/acme/v1/secrets/a", json!({"tenant": "acme", "proxy": "b"})),
        ("/{tenant}/mcp", Value::Null),
    ] {
        refused(&watched(path, variables), 400);
    }
    drop(read(&watched("/acme/v1/secrets/a", json!({"tenant": "acme", "proxy": "a"}))).unwrap());
}

#[test]
fn an_api_s_default_route_has_no_tenant_of_the_path() {
    let mut event = watched("/acme/mcp", json!({"tenant": "acme"}));
    event["requestContext"]["apiId"] = json!("a1b2c3");
    let request = read(&event).unwrap();
    assert_eq!((request.route.as_str(), request.evidence.path_tenant), ("$default", None));
}

#[test]
fn a_deadline_that_says_how_long_is_not_over() {
    let left_ms = |deadline_ms| {
        let mut context = Context::default();
        context.deadline = deadline_ms;
        crate::guard::deadline(&context).saturating_duration_since(tokio::time::Instant::now()).as_millis()
    };
    assert!((598_000..=599_500).contains(&left_ms(600_000)));
    // The last of Lambda's own in 2014, and a context that says nothing.
    for over in [0, 1_400_000_000_000] {
        assert_eq!(left_ms(over), 0);
    }
}
