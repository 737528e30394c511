//! Registration, secrets, client id metadata documents.

use std::convert::Infallible;

use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::task::JoinSet;

use super::*;

async fn register(local: &Local, metadata: &Value) -> Answer {
    local.post("/register", "application/json", &metadata.to_string()).await
}

#[tokio::test]
async fn a_client_registers_and_signs_in_on_any_port_of_loopback() {
    let local = Local::start().await;
    let answer = register(
        &local,
        &json!({
            "client_name": "<i>Inspector</i>",
            "redirect_uris": ["http://127.0.0.1:6274/oauth/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "client_secret_post",
            "logo_uri": "https://evil.example/logo.png",
        }),
    )
    .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.text("token_endpoint_auth_method"), "none");
    assert!(answer.json().get("client_secret").is_none());
    let id = answer.text("client_id");
    let own =
        [("client_id", Some(id.as_str())), ("redirect_uri", Some("http://127.0.0.1:7777/oauth/callback"))];
    let page = local.ask(&own).await;
    assert!(page.body.contains("&lt;i&gt;Inspector&lt;/i&gt;") && !page.body.contains("<i>"));
    let code = local.press(&page, "acme/alice").await.redirect("code");
    let tokens = local.exchange(&code, &own).await;
    assert_eq!(decode(&tokens.text("access_token")).1["client_id"], id);
    assert_ne!(tokens.text("refresh_token"), "");
}

#[tokio::test]
async fn a_client_that_did_not_register_for_refreshing_gets_no_refresh_token() {
    let local = Local::start().await;
    let answer = register(&local, &json!({ "redirect_uris": [REDIRECT] })).await;
    assert_eq!(answer.json()["grant_types"], json!(["authorization_code"]));
    let id = answer.text("client_id");
    let code = local.code("acme/alice", &[("client_id", Some(&id))]).await;
    let tokens = local.exchange(&code, &[("client_id", Some(&id))]).await;
    assert_eq!(tokens.status, 200);
    assert!(tokens.json().get("refresh_token").is_none());
}

#[tokio::test]
async fn a_registration_with_a_bad_redirect_uri_is_refused() {
    let local = Local::start().await;
    let bad = [
        "http://app.example/cb",
        "http://localhost.evil.example/cb",
        "javascript:alert(1)",
        "cursor://callback",
        "/cb",
        "https://app.example/cb#fragment",
        "https://user@app.example/cb",
        "http://192.168.0.1/cb",
        "https://app.example/\ncb",
        "https://app.example\\@evil.example/cb",
    ];
    for uri in bad {
        let answer = register(&local, &json!({ "redirect_uris": ["https://app.example/cb", uri] })).await;
        assert_eq!(answer.error(), (400, "invalid_redirect_uri".into()), "{uri}");
    }
    assert_eq!(register(&local, &json!({ "redirect_uris": [] })).await.status, 400);
    assert_eq!(register(&local, &json!({})).await.status, 400);
    for uri in ["https://app.example/cb", "http://localhost/cb", "http://127.0.0.1:1/cb", "http://[::1]:1/cb"]
    {
        assert_eq!(register(&local, &json!({ "redirect_uris": [uri] })).await.status, 201, "{uri}");
    }
}

#[tokio::test]
async fn a_registration_that_is_not_for_codes_is_refused() {
    let local = Local::start().await;
    for (name, value) in [("grant_types", "client_credentials"), ("response_types", "token")] {
        let answer = register(&local, &json!({ "redirect_uris": [REDIRECT], name: [value] })).await;
        assert_eq!(answer.error(), (400, "invalid_client_metadata".into()), "{name}");
    }
    let twice = format!("{{\"redirect_uris\":[\"{REDIRECT}\"],\"redirect_uris\":[]}}");
    for body in ["", "[]", "{\"redirect_uris\":1}", &twice] {
        let answer = local.post("/register", "application/json", body).await;
        assert_eq!(answer.error(), (400, "invalid_client_metadata".into()), "{body}");
    }
}

#[tokio::test]
async fn a_client_with_a_secret_must_prove_it() {
    let local = Local::start().await;
    let own = [("client_id", Some("web"))];
    let by_post = |secret: &'static str| [("client_id", Some("web")), ("client_secret", Some(secret))];
    for changes in [own.as_slice(), by_post("wrong").as_slice()] {
        let code = local.code("acme/alice", &own).await;
        assert_eq!(local.exchange(&code, changes).await.error(), (401, "invalid_client".into()));
        // Who the client is was not known, so the code is not spent.
        assert_eq!(local.exchange(&code, &by_post("s3cret of: web")).await.status, 200);
    }
    for (header, status) in
        [("web:s3cret+of%3A+web", 200), ("web:s3cret", 401), ("fixed:s3cret+of%3A+web", 401)]
    {
        let code = local.code("acme/alice", &own).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("redirect_uri", REDIRECT),
            ("code", code.as_str()),
            ("code_verifier", VERIFIER),
        ];
        let basic = format!("Authorization: Basic {}", STANDARD.encode(header));
        let headers = [format!("Content-Type: {FORM}"), basic];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = local.post_with("/token", &headers, &changed(&form, &[])).await;
        assert_eq!(answer.status, status, "{header}");
    }
}

/// A server of client metadata documents, by path.
async fn documents(
    make: impl Fn(&str, &str) -> Response<Full<Bytes>> + Clone + Send + 'static,
) -> (JoinSet<()>, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    #[expect(clippy::disallowed_methods, reason = "a server of the test, which ends with the set")]
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let make = make.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let path = request.uri().path().to_owned();
                let reply = make(&path, &format!("http://localhost:{port}{path}"));
                async move { Ok::<_, Infallible>(reply) }
            });
            // A client that hangs up has seen enough.
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        }
    });
    (tasks, port)
}

fn document(path: &str, url: &str) -> Response<Full<Bytes>> {
    let mut metadata = json!({ "client_id": url, "client_name": "Docs", "redirect_uris": [REDIRECT] });
    let mut reply = Response::builder().header("content-type", "application/json");
    match path {
        "/other" => metadata["client_id"] = "http://localhost:1/x".into(),
        "/secret" => metadata["token_endpoint_auth_method"] = "client_secret_post".into(),
        "/redirects" => metadata["redirect_uris"] = json!(["http://evil.example/"]),
        "/large" => metadata["client_name"] = "x".repeat(5_120).into(),
        "/moved" => reply = reply.status(302).header("location", "/client"),
        "/html" => reply = Response::builder().header("content-type", "text/html"),
        _ => {}
    }
    reply.body(Full::new(Bytes::from(metadata.to_string()))).unwrap()
}

#[tokio::test]
async fn a_client_may_be_described_by_a_document_on_loopback() {
    let local = Local::start().await;
    let (_documents, port) = documents(document).await;
    let id = format!("http://localhost:{port}/client");
    let own = [("client_id", Some(id.as_str()))];
    let page = local.ask(&own).await;
    assert!(page.body.contains("Docs"), "{page:?}");
    let code = local.press(&page, "acme/alice").await.redirect("code");
    let tokens = local.exchange(&code, &own).await;
    assert_eq!(decode(&tokens.text("access_token")).1["client_id"], id);

    let at = |path: &str| format!("http://localhost:{port}{path}");
    let mut bad: Vec<String> =
        ["/other", "/secret", "/redirects", "/large", "/moved", "/html"].into_iter().map(at).collect();
    bad.push(at("/"));
    bad.push(at("/a/../client"));
    bad.push(format!("http://user@localhost:{port}/client"));
    // The document says `localhost`, so this is not its id.
    bad.push(format!("http://127.0.0.1:{port}/client"));
    bad.push("http://client.example/client".to_owned());
    bad.push(format!("http://localhost:{}/client", local.port));
    for id in bad {
        let answer = local.ask(&[("client_id", Some(&id))]).await;
        assert_eq!((answer.status, answer.header("location")), (400, ""), "{id}");
    }
    let https = local.ask(&[("client_id", Some("https://client.example/client"))]).await;
    assert!(https.status == 400 && https.body.contains("let the client register"), "{https:?}");
}

#[tokio::test]
async fn registered_clients_and_keys_survive_a_restart_in_a_data_directory() {
    let data = Scratch::new();
    let with_data = || Options { data: Some(data.path.clone()), ..options() };
    let local = Local::start_with(with_data()).await;
    let id = register(&local, &json!({ "redirect_uris": [REDIRECT] })).await.text("client_id");
    let keys = local.get("/jwks").await.body;
    local.idp.stop().await;
    let local = Local::start_with(with_data()).await;
    assert_eq!(local.ask(&[("client_id", Some(&id))]).await.status, 200);
    assert_eq!(local.get("/jwks").await.body, keys);
    // Without the directory, neither is known.
    let forgetful = Local::start().await;
    assert_eq!(forgetful.ask(&[("client_id", Some(&id))]).await.status, 400);
    assert_ne!(forgetful.get("/jwks").await.body, keys);
}
