//! Functions that somebody else runs: `cargo lambda watch`.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::lambda::{Invocation, InvokeError, Invoked};
use crate::template::Function;

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
