//! Each refusal beside the call that differs by one thing and arrives.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// Names with one answer for each time that they are asked for.
#[derive(Debug)]
pub(super) struct Listed {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Listed {
    pub(super) fn answer(&self, _name: &str) -> Vec<SocketAddr> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let addresses = self.answers.lock().unwrap().pop_front().unwrap_or_default();
        addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect()
    }
}

/// A way out with these answers, and their list.
fn egress(laptop: bool, answers: &[&[&str]]) -> (Egress, Arc<Listed>) {
    let read = |addresses: &&[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
    let answers = Mutex::new(answers.iter().map(read).collect());
    let listed = Arc::new(Listed { answers, asked: AtomicUsize::new(0) });
    let guard = Guard { names: Names::Listed(Arc::clone(&listed)), laptop };
    (Egress { guard, wait_max: TIMEOUT, client: OnceLock::new() }, listed)
}

/// A server that answers every connection with these bytes, and what it was sent by each.
#[derive(Debug)]
struct Server {
    port: u16,
    got: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(reply: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&got);
        #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = vec![0; 4096];
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                kept.lock().unwrap().push(String::from_utf8_lossy(&buffer[..count]).into_owned());
                drop(stream.write_all(reply.as_bytes()).await);
            }
        });
        Self { port, got }
    }

    fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

async fn post(egress: &Egress, url: &str) -> Result<Bytes, CallError> {
    egress.post(&SecretString::from(url), b"{}".to_vec()).await
}

#[tokio::test]
async fn a_name_that_leads_to_loopback_is_called_on_the_laptop_alone() {
    let server = Server::start(reply("200 OK", "", "ok")).await;
    let local = format!("http://localhost:{}/hook", server.port);
    let (laptop, listed) = egress(true, &[&["127.0.0.1"]]);
    assert_eq!(post(&laptop, &local).await.unwrap(), "ok");
    assert_eq!((server.got().len(), listed.asked.load(Ordering::Relaxed)), (1, 1));

    let (deployed, _) = egress(false, &[&["127.0.0.1"]]);
    assert_eq!(post(&deployed, &local).await, Err(CallError::Refused));
    let https = format!("https://hooks.example.com:{}/hook", server.port);
    let (deployed, listed) = egress(false, &[&["127.0.0.1"]]);
    assert_eq!(post(&deployed, &https).await, Err(CallError::Refused));
    assert_eq!((server.got().len(), listed.asked.load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_called() {
    let server = Server::start(reply("200 OK", "", "ok")).await;
    let local = format!("http://localhost:{}/hook", server.port);
    // A name that answers otherwise when it is asked again: it is asked once a call, and each answer is checked.
    let (laptop, listed) = egress(true, &[&["127.0.0.1"], &["169.254.169.254"], &["127.0.0.1"]]);
    assert!(post(&laptop, &local).await.is_ok());
    assert_eq!(post(&laptop, &local).await, Err(CallError::Refused));
    assert!(post(&laptop, &local).await.is_ok());
    assert_eq!((server.got().len(), listed.asked.load(Ordering::Relaxed)), (2, 3));
}

#[tokio::test]
async fn one_address_that_is_not_public_is_enough_for_a_refusal() {
    let server = Server::start(reply("200 OK", "", "ok")).await;
    let local = format!("http://localhost:{}/hook", server.port);
    for (answer, called) in [
        (&["127.0.0.1"][..], true),
        (&["127.0.0.1", "10.0.0.1"], false),
        (&["10.0.0.1", "127.0.0.1"], false),
        (&["127.0.0.1", "::ffff:192.168.0.1"], false),
        (&["127.0.0.1", "fd00:ec2::254"], false),
        (&[], false),
    ] {
        let (laptop, _) = egress(true, &[answer]);
        let said = post(&laptop, &local).await.err();
        assert_eq!(said, (!called).then_some(CallError::Refused), "{answer:?}");
    }
    assert_eq!(server.got().len(), 1);
}

#[test]
fn a_url_is_https_without_a_user_and_its_address_is_public() {
    for (url, deployed, laptop) in [
        ("https://hooks.slack.com/services/T0/B0/x", true, true),
        ("https://8.8.8.8/", true, true),
        ("https://[2600:1f18::1]/", true, true),
        ("http://hooks.slack.com/services/T0/B0/x", false, false),
        ("http://8.8.8.8/", false, false),
        ("http://127.0.0.1:9/", false, true),
        ("http://[::1]:9/", false, true),
        ("https://127.0.0.1/", false, true),
        ("https://127.1/", false, true),
        ("https://0x7f000001/", false, true),
        ("https://2130706433/", false, true),
        ("https://10.0.0.1/", false, false),
        ("https://169.254.169.254/latest/meta-data/", false, false),
        ("https://0xa9fea9fe/", false, false),
        ("https://[::ffff:10.0.0.1]/", false, false),
        ("https://[64:ff9b::a9fe:a9fe]/", false, false),
        ("https://user@hooks.slack.com/", false, false),
        ("https://user:word@hooks.slack.com/", false, false),
        ("https://:word@hooks.slack.com/", false, false),
        ("ftp://hooks.slack.com/", false, false),
        ("file:///etc/passwd", false, false),
        ("gopher://127.0.0.1:9/", false, false),
        ("data:text/plain,x", false, false),
    ] {
        let url = Url::parse(url).unwrap();
        for (laptop, expected) in [(false, deployed), (true, laptop)] {
            let guard = Guard { names: Names::System, laptop };
            assert_eq!(guard.may_call(&url), expected, "{url} {laptop}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::start(reply("200 OK", "", "ok")).await;
    let location = format!("location: http://127.0.0.1:{}/\r\n", target.port);
    for (status, answered) in [
        ("200 OK", None),
        ("204 No Content", None),
        ("301 Moved Permanently", Some(CallError::Status(301))),
        ("302 Found", Some(CallError::Status(302))),
        ("307 Temporary Redirect", Some(CallError::Status(307))),
        ("404 Not Found", Some(CallError::Status(404))),
        ("500 Internal Server Error", Some(CallError::Status(500))),
    ] {
        let server = Server::start(reply(status, &location, "")).await;
        let (laptop, _) = egress(true, &[]);
        let said = post(&laptop, &format!("http://127.0.0.1:{}/", server.port)).await.err();
        assert_eq!(said, answered, "{status}");
        assert_eq!(server.got().len(), 1, "{status}");
    }
    assert_eq!(target.got().len(), 0);
}

#[tokio::test]
async fn a_reply_of_more_than_64_kib_is_none() {
    for (bytes, answered) in [(REPLY_BYTES_MAX, None), (REPLY_BYTES_MAX + 1, Some(CallError::NoAnswer))] {
        let server = Server::start(reply("200 OK", "", &"x".repeat(bytes))).await;
        let (laptop, _) = egress(true, &[]);
        let said = post(&laptop, &format!("http://127.0.0.1:{}/", server.port)).await.err();
        assert_eq!(said, answered, "{bytes}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for_longer_than_the_limit() {
    // It accepts, and never answers.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let (laptop, _) = egress(true, &[]);
    assert_eq!(laptop.wait_max.as_secs(), 3);
    let hasty = Egress { wait_max: Duration::from_millis(50), ..laptop };
    assert_eq!(post(&hasty, &url).await, Err(CallError::NoAnswer));
}

#[tokio::test]
async fn what_was_not_sent_is_told_from_what_may_have_arrived() {
    let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
    let garbage = Server::start("garbage".to_owned()).await;
    for (url, said, sent) in [
        (format!("http://127.0.0.1:{closed}/"), CallError::Unreached, false),
        // Not a server of TLS: the handshake fails before anything of the request is sent.
        (format!("https://127.0.0.1:{}/", garbage.port), CallError::Unreached, false),
        (format!("http://127.0.0.1:{}/", garbage.port), CallError::NoAnswer, true),
        ("http://10.0.0.1/".to_owned(), CallError::Refused, false),
        ("no URL".to_owned(), CallError::Refused, false),
    ] {
        let (laptop, _) = egress(true, &[]);
        assert_eq!(post(&laptop, &url).await, Err(said), "{url}");
        assert_eq!(said.was_sent(), sent, "{url}");
    }
}

#[tokio::test]
async fn nothing_of_ours_goes_out_and_no_error_has_the_url() {
    let server = Server::start(reply("200 OK", "", "")).await;
    let (laptop, _) = egress(true, &[]);
    post(&laptop, &format!("http://127.0.0.1:{}/hook?key=k#part", server.port)).await.unwrap();
    let sent = server.got().concat();
    let mut lines: Vec<_> = sent.lines().map(str::to_ascii_lowercase).collect();
    lines.sort_unstable();
    let host = format!("host: 127.0.0.1:{}", server.port);
    let expected =
        ["", "content-length: 2", "content-type: application/json", &host, "post /hook?key=k http/1.1", "{}"];
    assert_eq!(lines, expected);

    let secret = "hunter2hunter2";
    for url in [
        format!("http://hooks.example.com/{secret}"),
        format!("{secret}://x"),
        format!("https://{secret}@example.com"),
    ] {
        let problem = Problem::from(post(&laptop, &url).await.unwrap_err());
        let said = format!("{problem} {problem:?} {:?}", problem.source().map(ToString::to_string));
        assert!(said.contains("public hosts") && !said.contains(secret), "{said}");
    }
}
