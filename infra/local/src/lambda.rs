//! AWS Lambda on the laptop: the real function binaries behind a Runtime API, or `cargo lambda watch`.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::template::{Function, Stack};
use pool::Pool;
use remote::Remote;

mod environment;
mod instance;
mod pool;
mod remote;
mod runtime_api;
#[cfg(test)]
pub(crate) mod tests;

/// Lambda's limit for the payload of a synchronous invocation.
/// Source: the quota "Invocation payload (request and response)", 6 MB each.
pub const REQUEST_BYTES_MAX: usize = 6_291_456;

/// The limit as Lambda's own error for too large responses states it.
pub const RESPONSE_BYTES_MAX: usize = 6_291_556;

/// Longest tenant id. Source: `TenantId` of Lambda's Invoke.
const TENANT_ID_BYTES_MAX: usize = 256;

/// Makes the credentials of a role's session; called once for each instance that starts.
pub type CredentialsSource = Arc<dyn Fn(&str) -> Credentials + Send + Sync>;

/// Takes a line that a function wrote: the function's name, then the line without its end.
pub type LogSink = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// The three values that Lambda puts into a function's environment.
#[derive(Clone)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: String,
}

impl fmt::Debug for Credentials {
    // The secret and the token are never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// How functions are run.
#[derive(Clone)]
pub struct Config {
    /// The folder of the function binaries.
    pub bin_dir: PathBuf,
    /// `AWS_ENDPOINT_URL`: the signed front, the only AWS that a function can reach.
    pub endpoint_url: String,
    /// Another binary for a function, by the function's name.
    pub overrides: BTreeMap<String, PathBuf>,
    /// Set last in every function's environment, so it replaces what the template says.
    pub extra_environment: BTreeMap<String, String>,
    /// Most instances of one function, or of one tenant of an isolated function; calls beyond wait.
    pub instances_max: usize,
    /// Credentials by role ARN.
    pub credentials: CredentialsSource,
    /// Where the functions' output goes.
    pub log: LogSink,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("bin_dir", &self.bin_dir).finish_non_exhaustive()
    }
}

/// One call of a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The name or the ARN.
    pub function: String,
    /// Lambda's tenant id: demanded by an isolated function, refused by any other.
    pub tenant: Option<String>,
    /// The `X-Amzn-Trace-Id` to pass on; one is made when absent.
    pub trace_id: Option<String>,
    /// The event, passed on unread.
    pub payload: Bytes,
}

/// What a function that ran, or tried to, answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoked {
    /// The function's reply, or a JSON object with `errorType` and `errorMessage`.
    pub payload: Bytes,
    /// `Unhandled` when the payload is an error, as in the `X-Amz-Function-Error` header.
    pub function_error: Option<String>,
}

impl Invoked {
    fn failed(error_type: &str, message: &str) -> Self {
        let payload = json!({ "errorType": error_type, "errorMessage": message }).to_string().into();
        Self { payload, function_error: Some("Unhandled".to_owned()) }
    }
}

/// A call that Lambda refuses before any function runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvokeError {
    /// No function has this name or ARN.
    UnknownFunction,
    /// The function is isolated, and the call names no tenant or one that is not well formed.
    TenantRequired,
    /// The function is not isolated, and the call names a tenant.
    TenantRefused,
    /// The payload is above [`REQUEST_BYTES_MAX`].
    RequestTooLarge,
    /// Lambda was stopped.
    Stopped,
    /// The watched functions did not answer.
    Remote(String),
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownFunction => "no such function",
            Self::TenantRequired => {
                "The invoked function is enabled with tenancy configuration. \
                 Add a valid tenant ID in your request and try again."
            }
            Self::TenantRefused => {
                "The invoked function is not enabled with tenancy configuration. \
                 Remove the tenant ID from your request and try again."
            }
            Self::RequestTooLarge => {
                "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
            }
            Self::Stopped => "lambda was stopped",
            Self::Remote(reason) => reason,
        })
    }
}

impl std::error::Error for InvokeError {}

/// An instance that could not be had.
#[derive(Debug)]
pub enum StartError {
    /// The Runtime API has no port.
    Listen(io::Error),
    /// The call for instances is one that Lambda refuses.
    Refused(InvokeError),
    /// The function's instances end before they ask for work; the text is Lambda's error.
    Init(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(_) => f.write_str("the runtime api could not listen on 127.0.0.1"),
            Self::Refused(reason) => reason.fmt(f),
            Self::Init(reason) => write!(f, "a function did not start: {reason}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen(err) => Some(err),
            Self::Refused(err) => Some(err),
            Self::Init(_) => None,
        }
    }
}

/// A process that runs a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The function's name.
    pub function: String,
    /// The tenant that it serves, when the function is isolated.
    pub tenant: Option<String>,
    /// The process id.
    pub pid: u32,
    /// Whether it has a call in hand.
    pub busy: bool,
}

/// Every function of the stack, ready to be called.
pub struct Lambda {
    functions: BTreeMap<String, Arc<Function>>,
    backend: Backend,
}

enum Backend {
    Instances(Arc<Pool>),
    Remote(Box<Remote>),
}

impl Lambda {
    /// Opens the Runtime API. Instances start when they are first needed, or by [`Lambda::prewarm`].
    ///
    /// # Errors
    /// [`StartError::Listen`] when there is no port on 127.0.0.1.
    pub async fn start(stack: &Stack, config: Config) -> Result<Self, StartError> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.map_err(StartError::Listen)?;
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let pool = Arc::new(Pool::new(config, stack.region.clone(), address));
        let server = runtime_api::serve(listener, Arc::clone(&pool));
        pool.serve(server);
        Ok(Self { functions: functions(stack), backend: Backend::Instances(pool) })
    }

    /// Calls functions at an HTTP invoke endpoint, that of `cargo lambda watch`, by their binaries' names.
    /// The base is for instance `http://127.0.0.1:9000`.
    #[must_use]
    pub fn remote(stack: &Stack, base: &str) -> Self {
        Self { functions: functions(stack), backend: Backend::Remote(Box::new(Remote::new(base))) }
    }

    /// Calls a function, by name or ARN, and waits for its reply.
    ///
    /// # Errors
    /// Those of Lambda's Invoke: [`InvokeError`].
    pub async fn invoke(
        &self,
        function: &str,
        tenant: Option<&str>,
        payload: Bytes,
    ) -> Result<Invoked, InvokeError> {
        let (function, tenant) = (function.to_owned(), tenant.map(str::to_owned));
        self.invoke_with(Invocation { function, tenant, trace_id: None, payload }).await
    }

    /// As [`Lambda::invoke`], with a trace id.
    ///
    /// # Errors
    /// Those of Lambda's Invoke: [`InvokeError`].
    pub async fn invoke_with(&self, invocation: Invocation) -> Result<Invoked, InvokeError> {
        let function = self.admit(&invocation.function, invocation.tenant.as_deref())?;
        if invocation.payload.len() > REQUEST_BYTES_MAX {
            return Err(InvokeError::RequestTooLarge);
        }
        match &self.backend {
            Backend::Instances(pool) => pool.invoke(function, invocation).await,
            Backend::Remote(remote) => remote.invoke(function, invocation).await,
        }
    }

    /// Starts instances until `count` of the function (of the tenant, when it is isolated) wait for work. For functions
    /// that `cargo lambda watch` runs, waits until it is there and the function has answered.
    ///
    /// # Errors
    /// [`StartError::Refused`] as for a call, [`StartError::Init`] when an instance ends early.
    pub async fn prewarm(
        &self,
        function: &str,
        tenant: Option<&str>,
        count: usize,
    ) -> Result<(), StartError> {
        let function = self.admit(function, tenant).map_err(StartError::Refused)?;
        match &self.backend {
            Backend::Instances(pool) => pool.prewarm(function, tenant, count).await,
            Backend::Remote(remote) => {
                remote.wait_for(function).await;
                Ok(())
            }
        }
    }

    /// The processes that live now, in the order of their start.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        match &self.backend {
            Backend::Instances(pool) => pool.instances(),
            Backend::Remote(_) => Vec::new(),
        }
    }

    /// Instances of the function, by name, that were ever started, of all tenants.
    #[must_use]
    pub fn started(&self, function: &str) -> u64 {
        match &self.backend {
            Backend::Instances(pool) => pool.started(function),
            Backend::Remote(_) => 0,
        }
    }

    /// Ends every instance and waits for their processes. Calls in hand fail with [`InvokeError::Stopped`].
    pub async fn stop(&self) {
        if let Backend::Instances(pool) = &self.backend {
            pool.stop().await;
        }
    }

    fn admit(&self, function: &str, tenant: Option<&str>) -> Result<&Arc<Function>, InvokeError> {
        let name = function.rsplit(':').next().unwrap_or_default();
        let known = self.functions.get(name).filter(|known| function == name || function == known.arn);
        let known = known.ok_or(InvokeError::UnknownFunction)?;
        match tenant {
            None if known.isolated => Err(InvokeError::TenantRequired),
            Some(_) if !known.isolated => Err(InvokeError::TenantRefused),
            Some(id) if !is_tenant_id(id) => Err(InvokeError::TenantRequired),
            _ => Ok(known),
        }
    }
}

impl fmt::Debug for Lambda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lambda").field("functions", &self.functions.keys()).finish_non_exhaustive()
    }
}

impl Drop for Lambda {
    // The tasks of the pool hold the pool, so they are ended here and not by its own drop.
    fn drop(&mut self) {
        if let Backend::Instances(pool) = &self.backend {
            pool.abort();
        }
    }
}

/// A root of X-Ray's form, not sampled, as the services make it where a request has none.
pub(crate) fn trace_id() -> String {
    let seconds = OffsetDateTime::now_utc().unix_timestamp();
    let random = Uuid::new_v4().simple().to_string();
    let (root, _) = random.split_at_checked(24).unwrap_or_default();
    format!("Root=1-{seconds:08x}-{root};Sampled=0")
}

/// What Lambda would give to each function, by its binary: every variable but `AWS_LAMBDA_RUNTIME_API`.
pub(crate) fn environments(stack: &Stack, config: &Config) -> BTreeMap<String, BTreeMap<String, String>> {
    let of = |each: &Function| {
        let program = config.bin_dir.join(&each.binary);
        (each.binary.clone(), environment::of(each, config, &stack.region, &program))
    };
    stack.functions.iter().map(of).collect()
}

fn functions(stack: &Stack) -> BTreeMap<String, Arc<Function>> {
    stack.functions.iter().map(|each| (each.name.clone(), Arc::new(each.clone()))).collect()
}

/// Grammar: 1 to 256 of letters, digits and `._:/=+-@` and the space. Source: `TenantId` of Lambda's Invoke.
fn is_tenant_id(id: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/=+-@ ".contains(&byte);
    !id.is_empty() && id.len() <= TENANT_ID_BYTES_MAX && id.bytes().all(known)
}
