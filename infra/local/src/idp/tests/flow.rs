//! Sign-in that succeeds.

use super::*;

#[tokio::test]
async fn a_client_gets_an_access_token_for_the_resource_that_it_asked_for() {
    let local = Local::start().await;
    let page = local.ask(&[]).await;
    let answer = local.press(&page, "acme/alice").await;
    assert!(answer.header("location").starts_with("http://127.0.0.1:7001/callback?code="), "{answer:?}");
    assert_eq!(answer.redirect("state"), "a&b");
    assert_eq!(answer.redirect("iss"), local.idp.issuer());

    let tokens = local.exchange(&answer.redirect("code"), &[("resource", Some(RESOURCE))]).await;
    assert_eq!((tokens.status, tokens.header("cache-control")), (200, "no-store"));
    let body = tokens.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["scope"], "notes:read notes:write");
    assert!(body.get("id_token").is_none());
    let (header, claims) = decode(&tokens.text("access_token"));
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["alg"], "ES256");
    assert_eq!(claims["iss"], local.idp.issuer());
    assert_eq!(claims["aud"], RESOURCE);
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["tenant_id"], "acme");
    assert_eq!(claims["client_id"], "fixed");
    assert_eq!(claims["iat"], NOW_S);
    assert_eq!(claims["exp"], NOW_S + 3600);
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() == 43));
    assert!(claims.get("roles").is_none());
}

#[tokio::test]
async fn the_same_id_in_two_tenants_is_two_users() {
    let local = Local::start().await;
    let code = local.code("globex/alice", &[]).await;
    let tokens = local.exchange(&code, &[]).await;
    let (_, claims) = decode(&tokens.text("access_token"));
    assert_eq!((&claims["sub"], &claims["tenant_id"]), (&"alice".into(), &"globex".into()));
    assert_eq!(claims["roles"], serde_json::json!(["admin"]));
    // This one may only read.
    assert_eq!(claims["scope"], "notes:read");
}

#[tokio::test]
async fn openid_gives_an_id_token_that_is_for_the_client_and_is_no_access_token() {
    let local = Local::start().await;
    let changes = [("scope", Some("openid notes:read nonsense")), ("nonce", Some("n-1"))];
    let code = local.code("acme/bob", &changes).await;
    let tokens = local.exchange(&code, &[]).await;
    assert_eq!(tokens.text("scope"), "openid notes:read");
    let (header, claims) = decode(&tokens.text("id_token"));
    assert_eq!(header["typ"], "JWT");
    assert_eq!(claims["aud"], "fixed");
    assert_eq!(claims["nonce"], "n-1");
    assert_eq!(claims["sub"], "bob");
}

#[tokio::test]
async fn without_a_scope_everything_of_the_resource_is_granted() {
    let local = Local::start().await;
    let code = local.code("acme/bob", &[("scope", None)]).await;
    assert_eq!(local.exchange(&code, &[]).await.text("scope"), "notes:read notes:write");
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_may_narrow_the_scope() {
    let local = Local::start().await;
    let code = local.code("acme/alice", &[]).await;
    let first = local.exchange(&code, &[]).await;
    let second = local.refresh(&first.text("refresh_token"), &[("scope", Some("notes:read"))]).await;
    assert_eq!(second.text("scope"), "notes:read");
    assert_ne!(second.text("refresh_token"), first.text("refresh_token"));
    assert_ne!(second.text("access_token"), first.text("access_token"));
    // The narrowing was for one access token.
    let third = local.refresh(&second.text("refresh_token"), &[("resource", Some(RESOURCE))]).await;
    assert_eq!(third.text("scope"), "notes:read notes:write");
    assert_eq!(decode(&third.text("access_token")).1["aud"], RESOURCE);
}

#[tokio::test]
async fn cancel_tells_the_client_that_access_was_denied() {
    let local = Local::start().await;
    let page = local.ask(&[]).await;
    let body = changed(&[("ticket", &page.ticket()), ("deny", "1")], &[]);
    let answer = local.post("/authorize", FORM, &body).await;
    assert_eq!((answer.redirect("error"), answer.redirect("state")), ("access_denied".into(), "a&b".into()));
    assert_eq!(answer.redirect("iss"), local.idp.issuer());
}

#[tokio::test]
async fn the_sign_in_page_has_a_button_a_user_and_no_markup_of_others() {
    let local = Local::start().await;
    let page = local.ask(&[]).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.body.matches("name=\"user\"").count(), 3);
    assert!(
        page.body.contains("value=\"acme/alice\">&lt;b&gt;alice&lt;/b&gt; (acme)</button>"),
        "{}",
        page.body
    );
    assert!(page.body.contains("Fixed &amp; known"));
    assert!(!page.body.contains("<b>"));
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("x-frame-options"), "DENY");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.header("access-control-allow-origin"), "");
}
