//! How a tool or a prompt ends: with its result, with a question to the user, or with a refusal.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{schema, spec::ClientCapability};

/// What a function that may ask returns.
#[derive(Debug)]
pub enum Answer<T> {
    /// The result.
    Done(T),
    /// Something is needed from the client first; the same call comes again with the answers.
    Ask(Ask),
}

impl<T> From<T> for Answer<T> {
    fn from(result: T) -> Answer<T> {
        Answer::Done(result)
    }
}

/// Why a call did not do what it was asked, in words that the model can say aloud.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// A stable word for programs.
    pub code: &'static str,
    /// For the model and its user.
    pub message: String,
    /// For programs: a limit, when it resets.
    pub data: Option<Value>,
    /// A challenge of RFC 6750 with `error` and `error_description`, for a client that must sign in again.
    pub www_authenticate: Option<String>,
}

/// Questions to the client, each under a name of the server's choice, and what to remember meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub(crate) requests: BTreeMap<String, InputRequest>,
    pub(crate) state: Option<String>,
}

/// One question.
#[derive(Clone, Debug)]
pub enum InputRequest {
    /// To the user, answered by a form of this schema: one level, strings, numbers, booleans and choices.
    Elicit {
        /// What the user reads.
        message: String,
        /// The schema of the form.
        requested_schema: Value,
    },
    /// To the client's model: the params of `sampling/createMessage`.
    Sample(Map<String, Value>),
    /// Which folders the client works in.
    ListRoots,
}

impl Ask {
    /// Adds a question.
    #[must_use]
    pub fn request(mut self, name: impl Into<String>, request: InputRequest) -> Ask {
        self.requests.insert(name.into(), request);
        self
    }

    /// Adds a question to the user, answered by the fields of `T`.
    #[must_use]
    pub fn elicit<T: JsonSchema>(self, name: impl Into<String>, message: impl Into<String>) -> Ask {
        let mut requested_schema = schema::of_input::<T>();
        if let Some(schema) = requested_schema.as_object_mut() {
            schema.retain(|member, _| ["type", "properties", "required"].contains(&member.as_str()));
        }
        self.request(name, InputRequest::Elicit { message: message.into(), requested_schema })
    }

    /// Remembers a text until the answers come. It is sealed before the client gets it.
    #[must_use]
    pub fn remember(mut self, state: impl Into<String>) -> Ask {
        self.state = Some(state.into());
        self
    }
}

impl InputRequest {
    pub(crate) fn needs(&self) -> ClientCapability {
        match self {
            InputRequest::Elicit { .. } => ClientCapability::Elicitation,
            InputRequest::Sample(_) => ClientCapability::Sampling,
            InputRequest::ListRoots => ClientCapability::Roots,
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match self {
            InputRequest::Elicit { message, requested_schema } => json!({
                "method": "elicitation/create",
                "params": { "mode": "form", "message": message, "requestedSchema": requested_schema },
            }),
            InputRequest::Sample(params) => json!({ "method": "sampling/createMessage", "params": params }),
            InputRequest::ListRoots => json!({ "method": "roots/list", "params": {} }),
        }
    }
}

/// What the user did with a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elicited<T> {
    /// Filled in the form.
    Accepted(T),
    /// Said no.
    Declined,
    /// Closed it.
    Cancelled,
}

impl<T: DeserializeOwned> Elicited<T> {
    /// None for an answer that is not of the form that was asked for.
    pub(crate) fn read(response: &Value) -> Option<Elicited<T>> {
        match Response::deserialize(response).ok()? {
            Response { action: Action::Accept, content } => {
                T::deserialize(content).ok().map(Elicited::Accepted)
            }
            Response { action: Action::Decline, .. } => Some(Elicited::Declined),
            Response { action: Action::Cancel, .. } => Some(Elicited::Cancelled),
        }
    }
}

#[derive(Deserialize)]
struct Response {
    action: Action,
    #[serde(default)]
    content: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Accept,
    Decline,
    Cancel,
}

/// Keeps what a call remembers out of the client's hands: an AEAD of the caller's.
///
/// `call` is the canonical form of the method, the name and the arguments, and goes into the authenticated data
/// beside whatever else the caller binds a state to (who called, and until when it is good).
pub trait StateSeal {
    /// The state as the client may carry it. None fails the call.
    fn seal(&self, call: &[u8], state: &str) -> Option<String>;
    /// The state that was sealed for this very call. None, for anything else, fails the call.
    fn open(&self, call: &[u8], sealed: &str) -> Option<String>;
}

/// For a server whose tools remember nothing: no state is made, none is believed.
#[derive(Clone, Copy, Debug)]
pub struct NoState;

impl StateSeal for NoState {
    fn seal(&self, _call: &[u8], _state: &str) -> Option<String> {
        None
    }

    fn open(&self, _call: &[u8], _sealed: &str) -> Option<String> {
        None
    }
}
