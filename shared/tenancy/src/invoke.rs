//! Lambda's Invoke: one signed request.

use std::{fmt, time::Duration};

use http::Request;
use http_body_util::Full;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;

use crate::{Denial, Problem, fetch::Fetch, signed::Signer};

/// Bytes of a reply.
const REPLY_BYTES_MAX: usize = 16 * 1024;

/// What a function answers that believes its asker nothing but the bearer's own words.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered<T> {
    /// What was asked for.
    Granted(T),
    /// The bearer proves no tenant here, or nobody who may ask for it.
    Refused,
    /// It proves one that is suspended.
    Suspended,
    /// Something did not answer.
    Unavailable,
}

impl<T> Answered<T> {
    /// What came of an ask, as far as the asker is told; the log of the function is told the rest.
    pub(crate) fn of(result: Result<T, Problem>) -> Self {
        match result {
            Ok(granted) => Self::Granted(granted),
            Err(Problem::Unauthenticated(refusal)) => {
                tracing::warn!(denial = refusal.denial.code(), "an ask was refused");
                Self::Refused
            }
            Err(problem @ Problem::Forbidden { .. }) => {
                tracing::warn!(code = problem.code(), "an ask was refused");
                Self::Refused
            }
            Err(Problem::Suspended) => Self::Suspended,
            Err(problem) => {
                let cause = std::error::Error::source(&problem).map(ToString::to_string);
                tracing::error!(code = problem.code(), cause, "an ask failed");
                Self::Unavailable
            }
        }
    }

    /// What was granted, or why the asker's own request ends.
    pub(crate) fn granted(self, doing: &'static str) -> Result<T, Problem> {
        match self {
            Self::Granted(granted) => Ok(granted),
            Self::Refused => Err(Problem::unauthenticated(Denial::Evidence, None)),
            Self::Suspended => Err(Problem::Suspended),
            Self::Unavailable => Err(Problem::Unavailable { doing, source: None }),
        }
    }
}

impl<T> fmt::Debug for Answered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Granted(_) => "Granted",
            Self::Refused => "Refused",
            Self::Suspended => "Suspended",
            Self::Unavailable => "Unavailable",
        })
    }
}

/// What an invoker asks of whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Errand<'a> {
    /// The function's name or ARN.
    pub(crate) function: &'a str,
    /// The words for it in a problem.
    pub(crate) doing: &'static str,
    /// Longest wait for the reply.
    pub(crate) wait_max: Duration,
}

/// Invokes one function and waits for its reply.
#[derive(Debug)]
pub(crate) struct Invoker {
    doing: &'static str,
    wait_max: Duration,
    fetch: Fetch,
    signer: Signer,
    url: Url,
}

impl Invoker {
    /// An invoker for this errand.
    pub(crate) fn new(
        fetch: Fetch,
        sdk: &aws_config::SdkConfig,
        region: &str,
        Errand { function, doing, wait_max }: Errand<'_>,
    ) -> Result<Self, Problem> {
        let signer = Signer::new(sdk, region)?;
        let mut url = signer.url("lambda")?;
        url.path_segments_mut()
            .map_err(|()| Problem::internal("reading Lambda's endpoint", "it is no base"))?
            .pop_if_empty()
            .extend(["2015-03-31", "functions", function, "invocations"]);
        Ok(Self { doing, wait_max, fetch, signer, url })
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
        let doing = self.doing;
        let body = serde_json::to_vec(payload).map_err(|err| Problem::internal(doing, err))?;
        let headers = [("content-type", "application/json")];
        let request = self.signer.post("lambda", &self.url, &headers, body.into()).await?;
        let reply = self
            .fetch
            .send_within(&self.url, request, (REPLY_BYTES_MAX, self.wait_max))
            .await
            .map_err(|err| Problem::unavailable(doing, err))?;
        if reply.status() != 200 || reply.headers().contains_key("x-amz-function-error") {
            return Err(Problem::unavailable(doing, format!("Lambda answered {}", reply.status())));
        }
        // The parser's own error could quote a credential, so it is not kept.
        serde_json::from_slice(reply.body())
            .map_err(|_err| Problem::internal(doing, "not a reply of its form"))
    }

    /// One request that opens the connection: it is refused by Lambda for want of a body, and nothing runs.
    pub(crate) async fn warm(&self) {
        let request = Request::get(self.url.origin().ascii_serialization()).body(Full::default());
        if let Ok(request) = request {
            let warmed = self.fetch.send_within(&self.url, request, (REPLY_BYTES_MAX, self.wait_max)).await;
            tracing::debug!(opened = warmed.is_ok(), "warmed the way to Lambda");
        }
    }
}
