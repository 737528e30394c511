use super::*;

async fn small() -> Running {
    Running::new(rest_api()).await
}

fn open(extra: &str) -> String {
    format!("POST /open HTTP/1.1\r\nHost: localhost\r\n{extra}\r\n\r\n")
}

#[tokio::test]
async fn the_head_may_have_10240_bytes() {
    let running = small().await;
    let status = async |letters: usize| {
        let head = format!("POST /open HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(letters));
        running.ask(&head, "").await.status
    };
    assert_eq!(status(10_000).await, 200);
    assert_eq!(status(10_240).await, 431);
    assert_eq!(status(70_000).await, 431);
    let many = "X: y\r\n".repeat(300);
    assert_eq!(running.ask(&format!("POST /open HTTP/1.1\r\n{many}Host: localhost"), "").await.status, 431);
    running.stop().await;
}

#[tokio::test]
async fn the_body_may_have_10_mib_for_the_gateway_and_6_for_lambda() {
    let running = small().await;
    let said = running.raw(open("Content-Length: 10485761").as_bytes()).await;
    assert_eq!((said[0].status, said[0].body.as_str()), (413, r#"{"message":"Request Too Long"}"#));
    let large = running.ask("POST /open HTTP/1.1\r\nHost: localhost", &"x".repeat(7_000_000)).await;
    assert_eq!(large.status, 413);
    let fits = r#"POST /open HTTP/1.1
Host: localhost
x-fake: {"do":"reply","reply":{"statusCode":200}}"#
        .replace('\n', "\r\n");
    assert_eq!(running.ask(&fits, &"x".repeat(5_000_000)).await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn a_request_that_names_no_host_or_two_is_bad() {
    let running = small().await;
    for (head, status) in [
        ("POST /open HTTP/1.1\r\nHost: localhost\r\nhost: localhost", 400),
        ("POST /open HTTP/1.1\r\nHost: ", 400),
        ("POST /open HTTP/1.1\r\nX: y", 400),
        ("POST http://localhost/open HTTP/1.1\r\nHost: localhost", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost", 400),
        ("POST /open HTTP/1.1\r\nHost: u@localhost", 400),
        ("POST /open HTTP/1.1\r\nHost: localhost", 200),
    ] {
        assert_eq!(running.ask(head, "").await.status, status, "{head}");
    }
    running.stop().await;
}

#[tokio::test]
async fn hostile_bytes_end_their_own_connection_only() {
    let running = small().await;
    for bytes in [
        &b"\0\0\0\0"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /open HTTP/1.1\r\nHost: localhost\r\nX\0Y: z\r\n\r\n",
        b"POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /open HTTP/1.1\r\nHost: localhost\r\n Folded: z\r\n\r\n",
        b"POST /o pen HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /open HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let answers = running.raw(bytes).await;
        assert!(answers.iter().all(|answer| answer.status == 400), "{answers:?}");
    }
    let latin = b"POST /open HTTP/1.1\r\nHost: localhost\r\nX: \xff\r\nConnection: close\r\nContent-Length: 1\r\n\r\n\xff";
    let event = running.raw(latin).await[0].event();
    assert_eq!((&event["headers"]["X"], &event["body"]), (&json!("\u{fffd}"), &json!("\u{fffd}")));
    running.stop().await;
}

#[tokio::test]
async fn requests_on_one_connection_keep_their_own_headers() {
    let running = small().await;
    let one = "POST /open HTTP/1.1\r\nHost: localhost\r\nX-oNe: 1\r\nContent-Length: 3\r\n\r\nabc";
    let two = "POST /open HTTP/1.1\r\nHost: localhost\r\nx-TWO: 2\r\nContent-Length: 0\r\n\r\n";
    let last = "POST /open HTTP/1.1\r\nHost: localhost\r\nX-lAST: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
                3\r\nxyz\r\n0\r\n\r\n";
    let answers = running.raw(format!("{one}{two}{last}").as_bytes()).await;
    let events: Vec<Value> = answers.iter().map(Answer::event).collect();
    assert_eq!(events.len(), 3);
    assert_eq!((&events[0]["headers"]["X-oNe"], &events[0]["body"]), (&json!("1"), &json!("abc")));
    assert_eq!((&events[1]["headers"]["x-TWO"], &events[1]["body"]), (&json!("2"), &Value::Null));
    assert_eq!((&events[2]["headers"]["X-lAST"], &events[2]["body"]), (&json!("3"), &json!("xyz")));
    assert_eq!(answers[2].header("connection"), Some("close"));
    running.stop().await;
}

#[tokio::test]
async fn a_body_that_comes_later_hides_no_header_of_the_next_request() {
    let running = small().await;
    let mut stream = TcpStream::connect(running.gateway.addr()).await.unwrap();
    let body = "GET / HTTP/1.1\r\nX-Evil: 1\r\n\r\n";
    let length = body.len();
    stream.write_all(open(&format!("Content-Length: {length}")).as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    tokio::task::yield_now().await;
    let next = open("X-Next: 2\r\nConnection: close\r\nContent-Length: 0");
    stream.write_all(format!("{body}{next}").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let events: Vec<Value> = answers(&bytes).iter().map(Answer::event).collect();
    assert_eq!(events[0]["body"], body);
    assert_eq!(events[1]["headers"]["X-Next"], "2");
    assert_eq!(events[1]["headers"]["X-Evil"], Value::Null);
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_is_too_slow_is_cut_off() {
    let running = small().await;
    let head = running.raw(b"POST /open HTTP/1.1\r\nHost: local").await;
    assert!(head.iter().all(|answer| answer.status == 408), "{head:?}");
    let body = running.raw(open("Content-Length: 5").as_bytes()).await;
    assert_eq!(body[0].status, 408);
    running.stop().await;
}
