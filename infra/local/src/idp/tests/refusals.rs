//! What `/authorize` and `/token` refuse; each beside the twin that succeeds.

use super::*;

const BAD_GRANT: (u16, &str) = (400, "invalid_grant");

fn owned((status, code): (u16, &str)) -> (u16, String) {
    (status, code.to_owned())
}

/// Changes of the token request that a fresh code is refused for, and the error.
#[tokio::test]
async fn a_code_is_good_only_for_the_request_that_it_was_made_for() {
    let local = Local::start().await;
    let wrong = VERIFIER.to_lowercase();
    let cases: [(Changes<'_>, (u16, &str)); 11] = [
        (&[("code_verifier", Some(&wrong))], BAD_GRANT),
        (&[("code_verifier", Some(CHALLENGE))], BAD_GRANT),
        (&[("code_verifier", None)], (400, "invalid_request")),
        (&[("client_id", Some("other"))], BAD_GRANT),
        (&[("client_id", Some("nobody"))], (401, "invalid_client")),
        (&[("client_id", None)], (401, "invalid_client")),
        (&[("redirect_uri", Some("http://127.0.0.1:7002/callback"))], BAD_GRANT),
        (&[("redirect_uri", None)], (400, "invalid_request")),
        (&[("resource", Some("http://localhost:9000/globex/mcp"))], (400, "invalid_target")),
        (&[("grant_type", Some("password"))], (400, "unsupported_grant_type")),
        (&[("client_secret", Some("x"))], (401, "invalid_client")),
    ];
    for (changes, error) in cases {
        let code = local.code("acme/alice", &[]).await;
        assert_eq!(local.exchange(&code, changes).await.error(), owned(error), "{changes:?}");
    }
    let code = local.code("acme/alice", &[]).await;
    assert_eq!(local.exchange(&code, &[]).await.status, 200);
}

#[tokio::test]
async fn a_code_that_was_guessed_at_is_spent() {
    let local = Local::start().await;
    let code = local.code("acme/alice", &[]).await;
    assert_eq!(local.exchange(&code, &[("code_verifier", Some("x"))]).await.error(), owned(BAD_GRANT));
    assert_eq!(local.exchange(&code, &[]).await.error(), owned(BAD_GRANT));
}

#[tokio::test]
async fn a_code_that_is_used_twice_ends_what_it_began() {
    let local = Local::start().await;
    let code = local.code("acme/alice", &[]).await;
    let tokens = local.exchange(&code, &[]).await;
    let newer = local.refresh(&tokens.text("refresh_token"), &[]).await;
    assert_eq!(newer.status, 200);
    assert_eq!(local.exchange(&code, &[]).await.error(), owned(BAD_GRANT));
    assert_eq!(local.refresh(&newer.text("refresh_token"), &[]).await.error(), owned(BAD_GRANT));
}

#[tokio::test]
async fn a_code_lives_sixty_seconds() {
    let local = Local::start().await;
    let (early, late) = (local.code("acme/alice", &[]).await, local.code("acme/alice", &[]).await);
    local.pass_s(59);
    assert_eq!(local.exchange(&early, &[]).await.status, 200);
    local.pass_s(1);
    assert_eq!(local.exchange(&late, &[]).await.error(), owned(BAD_GRANT));
}

#[tokio::test]
async fn a_refresh_token_that_is_used_twice_ends_its_family_and_no_other() {
    let local = Local::start().await;
    let first = local.exchange(&local.code("acme/alice", &[]).await, &[]).await;
    let other = local.exchange(&local.code("acme/alice", &[]).await, &[]).await;
    let second = local.refresh(&first.text("refresh_token"), &[]).await;
    assert_eq!(second.status, 200);
    assert_eq!(local.refresh(&first.text("refresh_token"), &[]).await.error(), owned(BAD_GRANT));
    assert_eq!(local.refresh(&second.text("refresh_token"), &[]).await.error(), owned(BAD_GRANT));
    assert_eq!(local.refresh(&other.text("refresh_token"), &[]).await.status, 200);
}

#[tokio::test]
async fn a_refresh_token_is_bound_to_client_resource_scope_and_time() {
    let local = Local::start().await;
    let token = local.exchange(&local.code("globex/alice", &[]).await, &[]).await.text("refresh_token");
    let foreign = [("resource", Some("http://localhost:9000/globex/mcp"))];
    assert_eq!(local.refresh(&token, &foreign).await.error(), (400, "invalid_target".into()));
    let wider = [("scope", Some("notes:read notes:write"))];
    assert_eq!(local.refresh(&token, &wider).await.error(), (400, "invalid_scope".into()));
    // Those two asked for too much with the right token, which stays good.
    let token = local.refresh(&token, &[]).await.text("refresh_token");
    let other = [("client_id", Some("other"))];
    assert_eq!(local.refresh(&token, &other).await.error(), owned(BAD_GRANT));
    assert_eq!(local.refresh(&token, &[]).await.error(), owned(BAD_GRANT), "it leaked, so it is ended");

    let token = local.exchange(&local.code("globex/alice", &[]).await, &[]).await.text("refresh_token");
    local.pass_s(30 * 86_400);
    assert_eq!(local.refresh(&token, &[]).await.error(), owned(BAD_GRANT));
}

#[tokio::test]
async fn an_authorization_request_that_is_wrong_is_answered_to_the_client() {
    let local = Local::start().await;
    let cases: [(&str, Option<&str>, &str); 20] = [
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_type", None, "invalid_request"),
        ("response_mode", Some("fragment"), "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some("short"), "invalid_request"),
        ("resource", None, "invalid_target"),
        ("resource", Some("http://localhost:9001/acme/mcp"), "invalid_target"),
        ("resource", Some("http://localhost.evil.example:9000/mcp"), "invalid_target"),
        ("resource", Some("http://evillocalhost:9000/mcp"), "invalid_target"),
        ("resource", Some("https://localhost:9000/mcp"), "invalid_target"),
        ("resource", Some("http://localhost:9000/mcp#x"), "invalid_target"),
        ("resource", Some("http://localhost:9000/mcp?x"), "invalid_target"),
        ("resource", Some("http://u@localhost:9000/mcp"), "invalid_target"),
        ("resource", Some("http://LOCALHOST:9000/mcp"), "invalid_target"),
        ("resource", Some("http://localhost:9000/acme/../globex/mcp"), "invalid_target"),
        ("scope", Some("nonsense"), "invalid_scope"),
        ("prompt", Some("none"), "login_required"),
        ("request", Some("e30.e30."), "request_not_supported"),
    ];
    for (name, value, error) in cases {
        let answer = local.ask(&[(name, value)]).await;
        assert_eq!(answer.redirect("error"), error, "{name}={value:?}");
        assert_eq!(
            (answer.redirect("state"), answer.redirect("iss")),
            ("a&b".into(), local.idp.issuer().into())
        );
        assert_eq!(answer.redirect("code"), "");
    }
    for resource in ["http://localhost:9000/mcp", "http://acme.localhost:9000/mcp", "http://localhost:9000"] {
        let answer = local.ask(&[("resource", Some(resource))]).await;
        assert_eq!(answer.status, 200, "{resource}");
    }
    assert_eq!(local.ask(&[("response_mode", Some("query"))]).await.status, 200);
}

#[tokio::test]
async fn a_repeated_parameter_is_refused() {
    let local = Local::start().await;
    for name in ["scope", "resource", "code_challenge"] {
        let twice = [(name, Some(RESOURCE)), (name, Some(RESOURCE))];
        assert_ne!(local.ask(&twice).await.redirect("error"), "", "{name}");
    }
    for name in ["client_id", "redirect_uri"] {
        let twice = [(name, Some("fixed")), (name, Some("fixed"))];
        assert_eq!(local.ask(&twice).await.status, 400, "{name}");
    }
}

/// Nothing is ever sent to a redirect URI that is not the client's.
#[tokio::test]
async fn an_unknown_client_or_redirect_uri_is_answered_to_the_person() {
    let local = Local::start().await;
    let cases = [
        ("client_id", None),
        ("client_id", Some("nobody")),
        ("redirect_uri", None),
        ("redirect_uri", Some("http://127.0.0.1:7001/other")),
        ("redirect_uri", Some("http://127.0.0.1:7001/callback?x=1")),
        ("redirect_uri", Some("http://localhost:7001/callback")),
        ("redirect_uri", Some("http://127.0.0.1.evil.example/callback")),
        ("redirect_uri", Some("https://app.example:444/cb")),
        ("redirect_uri", Some("https://evil.example/cb")),
        ("redirect_uri", Some("javascript:alert(1)")),
    ];
    for (name, value) in cases {
        let answer = local.ask(&[(name, value)]).await;
        assert_eq!((answer.status, answer.header("location")), (400, ""), "{name}={value:?}");
    }
    for uri in ["http://127.0.0.1:1/callback", "https://app.example/cb"] {
        assert_eq!(local.ask(&[("redirect_uri", Some(uri))]).await.status, 200, "{uri}");
    }
}

#[tokio::test]
async fn a_user_without_any_of_the_scopes_is_denied() {
    let local = Local::start().await;
    let write = [("scope", Some("notes:write"))];
    let page = local.ask(&write).await;
    assert_eq!(local.press(&page, "globex/alice").await.redirect("error"), "access_denied");
    let page = local.ask(&write).await;
    assert_ne!(local.press(&page, "acme/alice").await.redirect("code"), "");
}
