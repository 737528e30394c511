//! The AWS clients: one HTTP client for all, pinned roots, bounded waits.

use std::{collections::HashMap, fmt, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_dynamodb::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    types::{AttributeValue, CancellationReason, KeysAndAttributes, WriteRequest},
};
use aws_smithy_http_client::{
    Builder,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use secrecy::{ExposeSecret, SecretString};

use crate::{Config, Problem};

/// The certificate authorities of AWS's own endpoints. Source: <https://www.amazontrust.com/repository/>.
const AMAZON_ROOTS: &str = include_str!("aws/amazon-roots.pem");

/// Credentials, an endpoint and a way to it other than those of the process's environment.
#[derive(Debug, Clone)]
pub struct Access {
    /// The endpoint of every service.
    pub endpoint_url: String,
    /// The access key's id.
    pub access_key_id: String,
    /// The signing secret.
    pub secret_access_key: SecretString,
    /// The session's token.
    pub session_token: SecretString,
    /// The client of HTTP under the SDK; `None` for ours, which trusts the pinned roots alone.
    pub http_client: Option<SharedHttpClient>,
}

/// What all clients of one function share. Credentials are those of the function's own role.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    pub(crate) sdk: SdkConfig,
}

impl Aws {
    /// Reads region, endpoints and credentials as every AWS SDK does.
    ///
    /// # Errors
    /// [`Problem::Internal`] when the pinned roots can't be read: there is no falling back to others.
    pub(crate) async fn load(config: &Config) -> Result<Self, Problem> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_millis(1_000))
            .operation_attempt_timeout(Duration::from_millis(2_500))
            .operation_timeout(Duration::from_millis(6_000))
            .build();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .region(aws_config::Region::new(config.region.clone()))
            .http_client(http_client()?)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .load()
            .await;
        Ok(Self { sdk })
    }

    /// The same with these credentials at this endpoint.
    ///
    /// # Errors
    /// As [`Aws::load`].
    pub(crate) async fn at(config: &Config, access: Access) -> Result<Self, Problem> {
        let credentials = Credentials::new(
            access.access_key_id,
            access.secret_access_key.expose_secret(),
            Some(access.session_token.expose_secret().to_owned()),
            None,
            "access",
        );
        let mut sdk = Self::load(config).await?.sdk.into_builder();
        sdk.set_endpoint_url(Some(access.endpoint_url))
            .set_credentials_provider(Some(SharedCredentialsProvider::new(credentials)));
        if access.http_client.is_some() {
            sdk.set_http_client(access.http_client);
        }
        Ok(Self { sdk: sdk.build() })
    }
}

/// TLS by ring: aws-lc's jitter entropy would cost 22 ms of CPU at the first handshake. Only Amazon's roots are
/// trusted, which is less to parse and nobody else to trust.
fn http_client() -> Result<SharedHttpClient, Problem> {
    let roots = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS.as_bytes());
    let context = TlsContext::builder()
        .with_trust_store(roots)
        .build()
        .map_err(|err| Problem::internal("reading the pinned roots", err))?;
    let provider = tls::Provider::Rustls(CryptoMode::Ring);
    Ok(Builder::new().tls_provider(provider).tls_context(context).build_https())
}

/// An item as it is now, not as a replica had it.
///
/// # Errors
/// [`store_problem`]'s, of what is being done.
pub(crate) async fn read_item(
    client: &Client,
    table: &str,
    key: HashMap<String, AttributeValue>,
    doing: &'static str,
) -> Result<Option<HashMap<String, AttributeValue>>, Problem> {
    let request = client.get_item().table_name(table).set_key(Some(key)).consistent_read(true);
    let reply = request.send().await.map_err(|err| store_problem(doing, err))?;
    Ok(reply.item)
}

/// Turns of a batch that is not done as a whole.
const BATCH_ATTEMPTS_MAX: u32 = 6;
/// Items of one batch that writes. Source: BatchWriteItem's own limit.
const BATCH_WRITES_MAX: usize = 25;

/// The items of at most 100 keys, those that are there, in any order. DynamoDB may do a part of a batch and leave the rest
/// to be asked for again.
///
/// # Errors
/// [`store_problem`]'s, of what is being done; [`Problem::Unavailable`] when not all of it was done.
pub(crate) async fn read_batch(
    client: &Client,
    table: &str,
    mut asked: KeysAndAttributes,
    doing: &'static str,
) -> Result<Vec<HashMap<String, AttributeValue>>, Problem> {
    let mut items = Vec::with_capacity(asked.keys.len());
    for attempt in 0..BATCH_ATTEMPTS_MAX {
        pause(attempt).await;
        let reply = client.batch_get_item().request_items(table, asked).send().await;
        let reply = reply.map_err(|err| store_problem(doing, err))?;
        items.extend(reply.responses.unwrap_or_default().remove(table).unwrap_or_default());
        match reply.unprocessed_keys.unwrap_or_default().remove(table) {
            Some(left) if !left.keys.is_empty() => asked = left,
            _ => return Ok(items),
        }
    }
    Err(Problem::Unavailable { doing, source: None })
}

/// Writes in batches that are no transaction: for rows that nothing leads to yet, or any more.
///
/// # Errors
/// [`store_problem`]'s, of what is being done; [`Problem::Unavailable`] when not all of it was done.
pub(crate) async fn write_batch(
    client: &Client,
    table: &str,
    writes: &[WriteRequest],
    doing: &'static str,
) -> Result<(), Problem> {
    for batch in writes.chunks(BATCH_WRITES_MAX) {
        let mut left = batch.to_vec();
        for attempt in 0..BATCH_ATTEMPTS_MAX {
            pause(attempt).await;
            let reply = client.batch_write_item().request_items(table, left).send().await;
            let reply = reply.map_err(|err| store_problem(doing, err))?;
            left = reply.unprocessed_items.unwrap_or_default().remove(table).unwrap_or_default();
            if left.is_empty() {
                break;
            }
        }
        if !left.is_empty() {
            return Err(Problem::Unavailable { doing, source: None });
        }
    }
    Ok(())
}

/// A text as DynamoDB has it.
pub(crate) fn text(s: &str) -> AttributeValue {
    AttributeValue::S(s.to_owned())
}

/// A number as DynamoDB has it.
pub(crate) fn number(n: u64) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

/// Whether a transaction was cancelled by what passes by itself.
pub(crate) fn is_passing(reason: &CancellationReason) -> bool {
    matches!(reason.code(), Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"))
}

/// Waits before another attempt, longer each time; not before the first.
pub(crate) async fn pause(attempt: u32) {
    if attempt > 0 {
        let pause_ms = 10_u64.saturating_mul(1 << attempt.min(8));
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}

/// A failed call of the store as a problem. Whatever may pass by itself is retryable; the rest is ours.
pub(crate) fn store_problem<E>(doing: &'static str, err: SdkError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let passes = match &err {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(service) => passes_by_itself(service.err().code()),
        _ => true,
    };
    let cause = StoreError(match &err {
        SdkError::ServiceError(service) => service.err().meta().to_string(),
        other => DisplayErrorContext(other).to_string(),
    });
    let is_denied = matches!(&err, SdkError::ServiceError(service) if is_denied(service.err().code()));
    match (is_denied, passes) {
        (true, _) => Problem::Denied { doing, source: Some(cause.into()) },
        (false, true) => Problem::unavailable(doing, cause),
        (false, false) => Problem::internal(doing, cause),
    }
}

/// DynamoDB, KMS and Secrets Manager say it one way, STS another.
fn is_denied(code: Option<&str>) -> bool {
    matches!(code, Some("AccessDeniedException" | "AccessDenied"))
}

fn passes_by_itself(code: Option<&str>) -> bool {
    matches!(
        code,
        None | Some(
            "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "InternalServerError"
                | "InternalServiceError"
                | "InternalFailure"
                | "ServiceUnavailable"
                | "TransactionInProgressException"
                | "LimitExceededException"
                | "KMSInternalException"
                | "DependencyTimeoutException"
                | "ExpiredTokenException"
        )
    )
}

/// What the SDK said, for the log.
#[derive(Debug)]
struct StoreError(String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}
