//! Functions that somebody else runs: `cargo lambda watch`.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::lambda::{Invocation, InvokeError, Invoked};
use crate::template::Function;

/// How often is asked whether somebody runs the functions by now.
const PAUSE: Duration = Duration::from_millis(250);

/// An HTTP invoke endpoint.
pub(super) struct Remote {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Remote {
    pub(super) fn new(base: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { base: base.trim_end_matches('/').to_owned(), client }
    }

    /// Returns when the function has answered. What it is sent is no event of any kind, so an error is its answer.
    pub(super) async fn wait_for(&self, function: &Function) {
        let nothing = Invocation {
            function: function.name.clone(),
            tenant: None,
            trace_id: None,
            payload: Bytes::from_static(b"{}"),
        };
        while self.invoke(function, nothing.clone()).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(super) async fn invoke(
        &self,
        function: &Function,
        invocation: Invocation,
    ) -> Result<Invoked, InvokeError> {
        let uri = format!("{}/2015-03-31/functions/{}/invocations", self.base, function.binary);
        let mut request = Request::post(uri).header("Content-Type", "application/json");
        if let Some(tenant) = &invocation.tenant {
            request = request.header("X-Amz-Tenant-Id", tenant);
        }
        if let Some(trace_id) = &invocation.trace_id {
            request = request.header("X-Amzn-Trace-Id", trace_id);
        }
        let request = request.body(Full::new(invocation.payload)).map_err(refused)?;
        let (parts, body) = self.client.request(request).await.map_err(refused).map(Response::into_parts)?;
        let payload = Incoming::collect(body).await.map_err(refused)?.to_bytes();
        let failed = !parts.status.is_success() || parts.headers.contains_key("x-amz-function-error");
        Ok(Invoked { payload, function_error: failed.then(|| "Unhandled".to_owned()) })
    }
}

fn refused(err: impl std::error::Error) -> InvokeError {
    InvokeError::Remote(format!("the watched functions do not answer: {err}"))
}
