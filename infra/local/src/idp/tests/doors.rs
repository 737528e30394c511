//! Host, cross-site requests, tickets, methods, limits, CORS.

use super::*;

#[tokio::test]
async fn a_host_that_was_rebound_to_loopback_is_refused() {
    let local = Local::start().await;
    let port = local.port;
    let line = "GET /jwks HTTP/1.1";
    for host in ["localhost".to_owned(), format!("evil.example:{port}"), format!("acme.localhost:{port}")] {
        let answer = local.raw(&[line, &format!("Host: {host}")], "").await;
        assert_eq!(answer.status, 421, "{host}");
    }
    let two = local.raw(&[line, &format!("Host: localhost:{port}"), "Host: evil.example"], "").await;
    assert!([400, 421].contains(&two.status), "{two:?}");
    let absolute = format!("GET http://evil.example:{port}/jwks HTTP/1.1");
    let answer = local.raw(&[&absolute, &format!("Host: localhost:{port}")], "").await;
    assert_eq!(answer.status, 421);
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(local.raw(&[line, &format!("Host: {host}:{port}")], "").await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_sign_in_that_another_site_posts_is_refused() {
    let local = Local::start().await;
    let own = format!("Origin: http://localhost:{}", local.port);
    let other_port = format!("Origin: http://localhost:{}", local.port ^ 1);
    let form = format!("Content-Type: {FORM}");
    for header in ["Origin: https://evil.example", "Origin: null", &other_port, "Sec-Fetch-Site: cross-site"]
    {
        let page = local.ask(&[]).await;
        let body = changed(&[("ticket", &page.ticket()), ("user", "acme/alice")], &[]);
        let answer = local.post_with("/authorize", &[&form, header], &body).await;
        assert_eq!((answer.status, answer.header("location")), (403, ""), "{header}");
        // The refusal was for the header: the very same form of the page itself is good.
        let answer =
            local.post_with("/authorize", &[&form, &own, "Sec-Fetch-Site: same-origin"], &body).await;
        assert_ne!(answer.redirect("code"), "");
    }
}

#[tokio::test]
async fn a_sign_in_page_is_good_once_and_for_ten_minutes() {
    let local = Local::start().await;
    let page = local.ask(&[]).await;
    assert_eq!(local.press(&page, "acme/alice").await.status, 303);
    assert_eq!(local.press(&page, "acme/alice").await.status, 400);
    let (early, late) = (local.ask(&[]).await, local.ask(&[]).await);
    local.pass_s(599);
    assert_eq!(local.press(&early, "acme/alice").await.status, 303);
    local.pass_s(1);
    assert_eq!(local.press(&late, "acme/alice").await.status, 400);
    let page = local.ask(&[]).await;
    assert_eq!(local.press(&page, "acme/nobody").await.status, 400);
    assert_eq!(local.post("/authorize", FORM, "ticket=guess&user=acme%2Falice").await.status, 400);
}

#[tokio::test]
async fn old_sign_in_pages_make_room_for_new_ones() {
    let local = Local::start().await;
    let first = local.ask(&[]).await;
    let second = local.ask(&[]).await;
    for _ in 0..999 {
        local.ask(&[]).await;
    }
    assert_eq!(local.press(&first, "acme/alice").await.status, 400);
    assert_eq!(local.press(&second, "acme/alice").await.status, 303);
}

#[tokio::test]
async fn other_methods_paths_and_sizes_are_refused() {
    let local = Local::start().await;
    assert_eq!(local.get("/nothing").await.status, 404);
    let answer = local.get("/token").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    assert_eq!(local.post("/jwks", FORM, "").await.status, 405);
    assert_eq!(local.post("/token", "application/json", "{}").await.error(), (400, "invalid_request".into()));
    let large = "x".repeat(65_537);
    assert_eq!(local.post("/register", "application/json", &large).await.status, 413);
    let just_fits = format!("{{\"redirect_uris\":[\"{REDIRECT}\"]}}");
    let just_fits = format!("{just_fits}{}", " ".repeat(65_536 - just_fits.len()));
    assert_eq!(local.post("/register", "application/json", &just_fits).await.status, 201);
}

#[tokio::test]
async fn a_web_page_may_read_metadata_keys_tokens_and_registrations_only() {
    let local = Local::start().await;
    let host = format!("Host: localhost:{}", local.port);
    let open = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/jwks"];
    for path in open.into_iter().chain(["/token", "/register"]) {
        let answer = local.raw(&[&format!("OPTIONS {path} HTTP/1.1"), &host], "").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, "*"), "{path}");
        assert!(answer.header("access-control-allow-headers").contains("MCP-Protocol-Version"));
        assert_eq!(local.get(path).await.header("access-control-allow-origin"), "*", "{path}");
    }
    for path in ["/authorize", "/dev/token"] {
        let answer = local.raw(&[&format!("OPTIONS {path} HTTP/1.1"), &host], "").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, ""), "{path}");
    }
}

#[tokio::test]
async fn the_metadata_say_what_clients_look_for() {
    let local = Local::start().await;
    let metadata = local.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(metadata.body, local.get("/.well-known/openid-configuration").await.body);
    let json = metadata.json();
    assert_eq!(json["issuer"], format!("http://localhost:{}", local.port));
    assert_eq!(json["jwks_uri"], local.idp.jwks_uri());
    assert_eq!(json["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(json["client_id_metadata_document_supported"], true);
    assert_eq!(json["authorization_response_iss_parameter_supported"], true);
}

#[tokio::test]
async fn a_listener_that_others_can_reach_is_refused() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(matches!(Idp::start(listener, options()).await, Err(crate::idp::StartError::NotLoopback(_))));
    let mut twice = options();
    twice.users.push(user("acme", "alice"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert!(matches!(Idp::start(listener, twice).await, Err(crate::idp::StartError::Users)));
}

#[tokio::test]
async fn stopping_closes_the_listener_and_open_connections() {
    let local = Local::start().await;
    let mut open = TcpStream::connect(("127.0.0.1", local.port)).await.unwrap();
    assert_eq!(local.get("/jwks").await.status, 200);
    let port = local.port;
    local.idp.stop().await;
    let mut rest = Vec::new();
    assert!(matches!(open.read_to_end(&mut rest).await, Ok(0) | Err(_)));
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}
