//! A server outside, as a tenant's webhook would be.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Answers every request with one status, and keeps what it was sent.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) port: u16,
    got: Arc<Mutex<Vec<String>>>,
}

impl Hook {
    pub(crate) async fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&got);
        #[expect(clippy::disallowed_methods, reason = "it answers until the test's runtime ends")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let request = answer(stream, status).await;
                kept.lock().unwrap().push(request);
            }
        });
        Self { port, got }
    }

    /// Its URL, which on the laptop is called without TLS.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/services/T0/B0/hook", self.port)
    }

    /// Every request until now: head and body.
    pub(crate) fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }
}

/// Reads a request to the end that its head says, and answers.
async fn answer(mut stream: TcpStream, status: &str) -> String {
    let mut request = String::new();
    loop {
        let mut buffer = vec![0; 64 * 1024];
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        request.push_str(&String::from_utf8_lossy(&buffer[..count]));
        let whole = request.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            length.is_some_and(|length| body.len() >= length.parse().unwrap())
        });
        if whole || count == 0 {
            break;
        }
    }
    let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok");
    drop(stream.write_all(reply.as_bytes()).await);
    request
}
