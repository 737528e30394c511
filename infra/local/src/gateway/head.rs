//! The request's head as the client sent it: hyper lowers the names of headers, a REST API's event does not.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// More headers than any client sends, and than fit into API Gateway's 10,240 bytes with names that mean something.
pub(super) const HEADERS_MAX: usize = 200;

/// Names in the client's letters, with values, in the client's order.
pub(super) type Headers = Vec<(String, Vec<u8>)>;

/// What was read of a connection and belongs to no request yet. hyper reads the body only when it is asked
/// for, so this is never more than hyper's own buffer.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    bytes: Vec<u8>,
    /// Bytes of the current request's body that are still to come.
    body_left: u64,
}

impl Recorder {
    fn seen(&mut self, bytes: &[u8]) {
        let skipped = usize::try_from(self.body_left).unwrap_or(usize::MAX).min(bytes.len());
        self.body_left = self.body_left.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
        self.bytes.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
    }

    /// The headers of the request that hyper has just read. A body of unknown length is the last that can be
    /// on the connection. None when the two parsers do not agree, which is a reason to refuse.
    pub(super) fn take(&mut self, body_bytes: Option<u64>) -> Option<Headers> {
        let bytes = std::mem::take(&mut self.bytes);
        let mut headers = vec![httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = request.parse(&bytes) else { return None };
        let headers: Headers =
            request.headers.iter().map(|each| (each.name.to_owned(), each.value.to_vec())).collect();
        self.body_left = body_bytes.unwrap_or(u64::MAX);
        self.seen(bytes.get(length..).unwrap_or_default());
        Some(headers)
    }
}

/// A connection whose reads are recorded.
#[derive(Debug)]
pub(super) struct Tee {
    stream: TcpStream,
    recorder: Arc<Mutex<Recorder>>,
}

impl Tee {
    pub(super) fn new(stream: TcpStream, recorder: Arc<Mutex<Recorder>>) -> Self {
        Self { stream, recorder }
    }
}

impl AsyncRead for Tee {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner).seen(new);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tee {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
