//! A call: a request that runs a function of the SaaS, and how it is replied to.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Map, Value, json};

use crate::{
    answer::{Ask, Refusal, StateSeal},
    entry::{self, Done, Entry, Prepared},
    era::Era,
    exchange::{Asked, Exchange},
    message::Id,
    outcome::{self, Ended, Outcome, OutcomeKind},
    reply::{Accepted, Fault, Reply},
    server::{Request, Step},
    spec::{ClientCapability, Hints},
};

const IDEMPOTENCY_KEY: &str = "tenancy/idempotencyKey";
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// A call with its arguments read and found right, to be authorised, run and replied to.
pub struct Call<'s, C, E> {
    method: Method,
    entry: &'s Entry<C, E>,
    prepared: Option<Prepared<C, E>>,
    arguments: Value,
    /// The canonical form of the method, the name and the arguments.
    canonical: Vec<u8>,
    idempotency_key: Option<String>,
    client_name: Option<String>,
    sealed_state: Option<String>,
    asked: Arc<Asked>,
    notes: Arc<Mutex<Vec<Value>>>,
    wire: Wire,
}

/// What a reply needs to know of its request.
#[derive(Debug)]
struct Wire {
    id: Id,
    era: Era,
    accepted: Accepted,
    /// The URI of a read, which an error repeats.
    uri: Option<String>,
}

/// The methods that run a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    ToolsCall,
    PromptsGet,
    ResourcesRead,
    CompletionComplete,
}

impl Method {
    fn word(self) -> &'static str {
        match self {
            Method::ToolsCall => "tools/call",
            Method::PromptsGet => "prompts/get",
            Method::ResourcesRead => "resources/read",
            Method::CompletionComplete => "completion/complete",
        }
    }
}

impl<C, E> fmt::Debug for Call<'_, C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.entry.name;
        f.debug_struct("Call").field("method", &self.method).field("name", &name).finish_non_exhaustive()
    }
}

impl<C, E> Call<'_, C, E> {
    /// `tools/call`, `prompts/get`, `resources/read` or `completion/complete`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method.word()
    }

    /// The declared name of the tool or prompt; of a resource its declared URI or template, never one that the
    /// client made; `completion`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.entry.name
    }

    /// The method, the name and the arguments in one form, whatever order and white space the client sent them
    /// in: what an idempotency record compares.
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The address of what the call is about, as its tool declares it; its variables are names of arguments.
    #[must_use]
    pub fn resource(&self) -> Option<&'static str> {
        self.entry.resource
    }

    /// Whether a call with the same arguments a moment ago was the same call.
    #[must_use]
    pub fn retry_safe(&self) -> bool {
        self.entry.retry_safe
    }

    /// The text of an argument, where there is one of this name.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.get(name)?.as_str()
    }

    /// What the call may do.
    #[must_use]
    pub fn hints(&self) -> Hints {
        self.entry.hints
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.entry.hints.read_only
    }

    /// The scopes, all of which it needs.
    #[must_use]
    pub fn scopes(&self) -> &'static [&'static str] {
        self.entry.scopes
    }

    /// `_meta["tenancy/idempotencyKey"]` of a tool call: 1 to 128 visible ASCII characters.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    /// The name that the client gives itself, one line of at most 128 characters. A hint, for logs.
    #[must_use]
    pub fn client_name(&self) -> Option<&str> {
        self.client_name.as_deref()
    }
}

impl<'s, C: Send + 'static, E: Into<Refusal> + Send + 'static> Call<'s, C, E> {
    /// Runs the function, once for each time it is asked to. What it remembers for a later round is sealed, and
    /// what an earlier round remembered is opened, by `seal`.
    ///
    /// # Errors
    /// What the function returned.
    pub async fn run(&mut self, context: C, seal: &impl StateSeal) -> Result<Outcome, E> {
        let state = match &self.sealed_state {
            None => None,
            Some(sealed) => match seal.open(&self.canonical, sealed) {
                Some(state) => Some(state),
                None => {
                    let why = "requestState was not made for this call, or is no longer good";
                    return Ok(Outcome(Ended::Fault(Fault::params(why))));
                }
            },
        };
        let prepared = match self.prepared.take() {
            Some(prepared) => prepared,
            // Arguments that were read once can be read again.
            None => match (self.entry.prepare)(&self.arguments) {
                Ok(prepared) => prepared,
                Err(why) => return Ok(Outcome(Ended::Fault(Fault::params(why)))),
            },
        };
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let exchange = Exchange { asked: Arc::clone(&self.asked), state, notes: Arc::clone(&self.notes) };
        let done = prepared(context, exchange).await?;
        Ok(Outcome(self.end(done, seal)))
    }

    /// The reply to an outcome or a refusal, also of a call that did not run. A refusal of a tool is a result
    /// that the model reads; that of anything else is an error.
    #[must_use]
    pub fn reply(&self, outcome: Result<Outcome, E>) -> Reply {
        let ended = match outcome {
            Ok(Outcome(ended)) => ended,
            Err(err) => self.refuse(err.into()),
        };
        let wire = &self.wire;
        match ended {
            Ended::Fault(fault) => fault.reply(wire.era, Some(&wire.id)),
            Ended::Result { json, .. } => match outcome::whole(&json) {
                Ok(whole) => {
                    let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
                    wire.accepted.success(&wire.id, &whole, &notes)
                }
                Err(err) => Fault::from(err).reply(wire.era, Some(&wire.id)),
            },
        }
    }

    fn end(&self, done: Done, seal: &impl StateSeal) -> Ended {
        match done {
            Done::Complete(json) => Ended::Result { json, kind: OutcomeKind::Complete },
            Done::Failed(json) => Ended::Result { json, kind: OutcomeKind::Failed },
            Done::Absent => {
                Ended::Fault(Fault::absent(self.wire.era, self.wire.uri.as_deref().unwrap_or_default()))
            }
            Done::Broken => Ended::Fault(Fault::internal()),
            Done::Ask(_) if self.wire.era == Era::Legacy => self.refuse(needs_modern_client()),
            Done::Ask(ask) => self.ask(&ask, seal).unwrap_or_else(Ended::Fault),
        }
    }

    /// A client is asked only for what it said it can do. Source: MCP 2026-07-28, SEP-2322.
    fn ask(&self, ask: &Ask, seal: &impl StateSeal) -> Result<Ended, Fault> {
        for request in ask.requests.values() {
            check_capability(&self.asked.capabilities, request.needs())?;
        }
        let requests: Map<_, _> =
            ask.requests.iter().map(|(name, request)| (name.clone(), request.to_value())).collect();
        let mut result = json!({ "resultType": "input_required", "inputRequests": requests });
        if let (Some(state), Some(result)) = (&ask.state, result.as_object_mut()) {
            let sealed = seal.seal(&self.canonical, state).ok_or_else(Fault::internal)?;
            result.insert("requestState".to_owned(), sealed.into());
        }
        let json = serde_json::value::to_raw_value(&result)?;
        Ok(Ended::Result { json, kind: OutcomeKind::Asking })
    }

    fn refuse(&self, refusal: Refusal) -> Ended {
        if self.method == Method::ToolsCall {
            return match entry::refused(refusal) {
                Done::Failed(json) => Ended::Result { json, kind: OutcomeKind::Failed },
                _ => Ended::Fault(Fault::internal()),
            };
        }
        let mut data = json!({ "code": refusal.code });
        if let Some(members) = data.as_object_mut() {
            members.extend(refusal.data.map(|data| ("data".to_owned(), data)));
            let challenge = refusal.www_authenticate.map(|challenge| json!([challenge]));
            members.extend(challenge.map(|challenge| ("mcp/www_authenticate".to_owned(), challenge)));
        }
        Ended::Fault(Fault::new(REFUSED, refusal.message, Some(data)))
    }
}

/// The range -32000 to -32019 is the implementation's. Source: MCP 2026-07-28, error codes.
const REFUSED: i64 = -32000;

impl<'s, C: Send + 'static, E: Send + 'static> Call<'s, C, E> {
    /// Checks everything that can be checked before anybody's code runs.
    pub(crate) fn prepare(
        method: Method,
        entry: &'s Entry<C, E>,
        request: Request<'_>,
        arguments: Value,
    ) -> Result<Step<'s, C, E>, Fault> {
        let era = request.client.era;
        let talk = Talk::read(method, era, &request)?;
        let prepared = match (entry.prepare)(&arguments) {
            Ok(prepared) => prepared,
            Err(why) => return wrong_arguments(method, &request, why),
        };
        for need in entry.needs {
            match era {
                Era::Modern => check_capability(&request.client.capabilities, *need)?,
                Era::Legacy => return tool_refusal(&request, needs_modern_client()),
            }
        }
        let uri = request.params.get("uri").and_then(Value::as_str).map(str::to_owned);
        let call = json!({ "method": method.word(), "name": entry.name, "arguments": arguments });
        let canonical = insula_json::canonical(&call)?;
        let asked = Asked {
            capabilities: request.client.capabilities,
            responses: talk.responses,
            progress_token: talk.progress_token,
            log_level: request.client.log_level,
        };
        Ok(Step::Call(Box::new(Call {
            method,
            entry,
            prepared: Some(prepared),
            arguments,
            canonical,
            idempotency_key: talk.idempotency_key,
            client_name: request.client.name,
            sealed_state: talk.sealed_state,
            asked: Arc::new(asked),
            notes: Arc::default(),
            wire: Wire { id: request.id, era, accepted: request.accepted, uri },
        })))
    }
}

/// What a request says about its own course, beside its arguments.
struct Talk {
    idempotency_key: Option<String>,
    progress_token: Option<Value>,
    responses: Map<String, Value>,
    sealed_state: Option<String>,
}

impl Talk {
    fn read(method: Method, era: Era, request: &Request<'_>) -> Result<Talk, Fault> {
        let meta = request.params.get("_meta");
        let progress_token = meta.and_then(|meta| meta.get("progressToken")).cloned();
        let idempotency_key = match meta.and_then(|meta| meta.get(IDEMPOTENCY_KEY)) {
            Some(Value::String(key)) if method == Method::ToolsCall && is_idempotency_key(key) => {
                Some(key.clone())
            }
            Some(_) if method == Method::ToolsCall => {
                let why = format!("_meta[\"{IDEMPOTENCY_KEY}\"] is not 1 to 128 visible ASCII characters");
                return Err(Fault::params(why));
            }
            _ => None,
        };
        let (mut responses, mut sealed_state) = (Map::new(), None);
        if era == Era::Modern {
            responses = request.object("inputResponses")?;
            if !responses.values().all(Value::is_object) {
                return Err(Fault::params("an answer in inputResponses is not an object"));
            }
            sealed_state = match request.params.get("requestState") {
                None => None,
                Some(Value::String(state)) => Some(state.clone()),
                Some(_) => return Err(Fault::params("requestState is not a string")),
            };
        }
        // Only a string or an integer may be a token; a client that sends something else gets no progress.
        let progress_token =
            progress_token.filter(|token| token.is_string() || token.is_i64() || token.is_u64());
        Ok(Talk { idempotency_key, progress_token, responses, sealed_state })
    }
}

fn is_idempotency_key(key: &str) -> bool {
    (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
}

fn check_capability(declared: &Map<String, Value>, needed: ClientCapability) -> Result<(), Fault> {
    match declared.get(needed.name()) {
        Some(Value::Object(_)) => Ok(()),
        _ => Err(Fault::capability(needed.name())),
    }
}

/// The model can mend the arguments of a tool, so it is told in a result. Source: MCP 2025-11-25, SEP-1303.
fn wrong_arguments<'s, C, E>(
    method: Method,
    request: &Request<'_>,
    why: String,
) -> Result<Step<'s, C, E>, Fault> {
    match method {
        Method::ToolsCall => tool_refusal(
            request,
            Refusal { code: "invalid_arguments", message: why, data: None, www_authenticate: None },
        ),
        Method::ResourcesRead => Err(Fault::absent(request.client.era, request.text("uri")?)),
        Method::PromptsGet | Method::CompletionComplete => Err(Fault::params(why)),
    }
}

fn tool_refusal<'s, C, E>(request: &Request<'_>, refusal: Refusal) -> Result<Step<'s, C, E>, Fault> {
    match entry::refused(refusal) {
        Done::Failed(json) => Ok(request.reply(&json)),
        _ => Err(Fault::internal()),
    }
}

fn needs_modern_client() -> Refusal {
    Refusal {
        code: "client_too_old",
        message: "this tool asks back, which needs a client of MCP revision 2026-07-28".to_owned(),
        data: None,
        www_authenticate: None,
    }
}
