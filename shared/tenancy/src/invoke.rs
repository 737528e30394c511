//! Lambda's Invoke, signed with `aws-sigv4`: one request, for which the whole of `aws-sdk-lambda` would be built.

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::{Problem, fetch::Fetch};

/// Bytes of a reply of `vend`.
const REPLY_BYTES_MAX: usize = 16 * 1024;
const DOING: &str = "asking for credentials";

/// Invokes one function and waits for its reply.
#[derive(Debug)]
pub(crate) struct Invoker {
    fetch: Fetch,
    credentials: SharedCredentialsProvider,
    region: String,
    url: Url,
}

impl Invoker {
    /// An invoker of the function with this name or ARN.
    pub(crate) fn new(
        fetch: Fetch,
        sdk: &aws_config::SdkConfig,
        region: &str,
        function: &str,
    ) -> Result<Self, Problem> {
        let credentials = sdk
            .credentials_provider()
            .ok_or_else(|| Problem::internal("reading the function's credentials", "there are none"))?;
        let endpoint = match sdk.endpoint_url() {
            Some(url) => url.to_owned(),
            None => format!("https://lambda.{region}.amazonaws.com"),
        };
        let mut url =
            Url::parse(&endpoint).map_err(|err| Problem::internal("reading Lambda's endpoint", err))?;
        url.path_segments_mut()
            .map_err(|()| Problem::internal("reading Lambda's endpoint", "it is no base"))?
            .pop_if_empty()
            .extend(["2015-03-31", "functions", function, "invocations"]);
        Ok(Self { fetch, credentials, region: region.to_owned(), url })
    }

    /// Sends a payload and reads the reply.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when Lambda or the function did not answer as it should.
    pub(crate) async fn invoke<I, O>(&self, payload: &I) -> Result<O, Problem>
    where
        I: Serialize,
        O: DeserializeOwned,
    {
        let body = serde_json::to_vec(payload).map_err(|err| Problem::internal(DOING, err))?;
        let request = self.signed(body.into()).await?;
        let reply = self
            .fetch
            .send(&self.url, request, REPLY_BYTES_MAX)
            .await
            .map_err(|err| Problem::unavailable(DOING, err))?;
        if reply.status() != 200 || reply.headers().contains_key("x-amz-function-error") {
            return Err(Problem::unavailable(DOING, format!("Lambda answered {}", reply.status())));
        }
        // The parser's own error could quote a credential, so it is not kept.
        serde_json::from_slice(reply.body()).map_err(|_err| Problem::internal(DOING, "not a reply of vend"))
    }

    /// One request that opens the connection: it is refused by Lambda for want of a body, and nothing runs.
    pub(crate) async fn warm(&self) {
        let request = Request::get(self.url.origin().ascii_serialization()).body(Full::default());
        if let Ok(request) = request {
            let warmed = self.fetch.send(&self.url, request, REPLY_BYTES_MAX).await;
            tracing::debug!(opened = warmed.is_ok(), "warmed the way to Lambda");
        }
    }

    async fn signed(&self, body: Bytes) -> Result<Request<Full<Bytes>>, Problem> {
        let credentials = self
            .credentials
            .provide_credentials()
            .await
            .map_err(|err| Problem::unavailable("reading the function's credentials", err))?;
        let identity: Identity = credentials.into();
        #[expect(clippy::disallowed_methods, reason = "aws-sigv4 takes the system's own type of time")]
        let now = std::time::SystemTime::now();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("lambda")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|err| Problem::internal("signing", err))?
            .into();
        let mut request = Request::post(self.url.as_str())
            .header("content-type", "application/json")
            .body(Full::new(body.clone()))
            .map_err(|err| Problem::internal("signing", err))?;
        let headers = std::iter::once(("content-type", "application/json"));
        let signable = SignableRequest::new("POST", self.url.as_str(), headers, SignableBody::Bytes(&body))
            .map_err(|err| Problem::internal("signing", err))?;
        let (instructions, _signature) =
            sign(signable, &params).map_err(|err| Problem::internal("signing", err))?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}
