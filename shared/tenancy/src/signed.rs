//! Requests signed with `aws-sigv4`, for services of which one request is all that is needed: an SDK crate for each would be
//! another large build.

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use url::Url;

use crate::Problem;

/// Signs as the function's own role.
#[derive(Debug)]
pub(crate) struct Signer {
    credentials: SharedCredentialsProvider,
    region: String,
    /// Where a service is, where it is not at AWS's own address.
    endpoint: Option<String>,
}

impl Signer {
    pub(crate) fn new(sdk: &aws_config::SdkConfig, region: &str) -> Result<Self, Problem> {
        let credentials = sdk
            .credentials_provider()
            .ok_or_else(|| Problem::internal("reading the function's credentials", "there are none"))?;
        let endpoint = sdk.endpoint_url().map(str::to_owned);
        Ok(Self { credentials, region: region.to_owned(), endpoint })
    }

    /// The address of a service.
    pub(crate) fn url(&self, service: &str) -> Result<Url, Problem> {
        let url = match &self.endpoint {
            Some(url) => url.clone(),
            None => format!("https://{service}.{}.amazonaws.com", self.region),
        };
        Url::parse(&url).map_err(|err| Problem::internal("reading a service's endpoint", err))
    }

    /// A POST of this body with these headers, all of them signed.
    pub(crate) async fn post(
        &self,
        service: &str,
        url: &Url,
        headers: &[(&'static str, &'static str)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Problem> {
        self.request(service, (Method::POST, url), headers, body).await
    }

    /// The same of any method.
    pub(crate) async fn request(
        &self,
        service: &str,
        (method, url): (Method, &Url),
        headers: &[(&'static str, &'static str)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Problem> {
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
            .name(service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|err| Problem::internal("signing", err))?
            .into();
        let mut request = Request::builder().method(&method).uri(url.as_str());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request =
            request.body(Full::new(body.clone())).map_err(|err| Problem::internal("signing", err))?;
        let signed = headers.iter().copied();
        let signable =
            SignableRequest::new(method.as_str(), url.as_str(), signed, SignableBody::Bytes(&body))
                .map_err(|err| Problem::internal("signing", err))?;
        let (instructions, _signature) =
            sign(signable, &params).map_err(|err| Problem::internal("signing", err))?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}
