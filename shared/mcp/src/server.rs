//! From the bytes of a request to a reply, or to the call that makes one.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
};

use http::HeaderMap;
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    builder::Builder,
    call::{Call, Method},
    entry::{Completion, CompletionReference, Entry},
    era::{self, Client, Era, LEGACY},
    exchange::LogLevel,
    header,
    introduction::{Introduced, Introduction},
    message::{Id, Message},
    reply::{self, Accepted, Fault, Reply},
    resource::Template,
    spec::Implementation,
};

/// A declared server. It keeps nothing between requests.
pub struct Server<C, E> {
    pub(crate) implementation: Implementation,
    pub(crate) instructions: &'static str,
    pub(crate) logging: bool,
    pub(crate) capabilities: Value,
    /// The results that never change but for who the server says it is, by method.
    pub(crate) answers: BTreeMap<&'static str, Introduced>,
    pub(crate) tools: HashMap<&'static str, Entry<C, E>>,
    pub(crate) prompts: HashMap<&'static str, Entry<C, E>>,
    pub(crate) resources: HashMap<&'static str, Entry<C, E>>,
    pub(crate) templates: Vec<(Template, Entry<C, E>)>,
    pub(crate) completion: Option<Entry<C, E>>,
}

/// What a request needs next.
#[derive(Debug)]
pub enum Step<'s, C, E> {
    /// Nothing: this is the reply. No code of a tool has run, nothing of a tenant is in it.
    Reply(Reply),
    /// A reply too, in which the server says who it is.
    Introduction(Box<Introduction<'s>>),
    /// To be authorised and run.
    Call(Box<Call<'s, C, E>>),
}

impl<C, E> Server<C, E> {
    /// The name of everything that can be called, as [`Call::name`] says it.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let named = self.tools.values().chain(self.prompts.values()).chain(self.resources.values());
        let templates = self.templates.iter().map(|(_, entry)| entry);
        named.chain(templates).chain(&self.completion).map(|entry| entry.name)
    }
}

impl<C, E> fmt::Debug for Server<C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("implementation", &self.implementation).finish_non_exhaustive()
    }
}

impl<C, E> Server<C, E> {
    /// The reply to every HTTP method but POST: 405 with `Allow: POST`.
    #[must_use]
    pub fn method_not_allowed() -> Reply {
        reply::method_not_allowed()
    }
}

impl<C: Send + 'static, E: Send + 'static> Server<C, E> {
    /// Begins a declaration. The instructions tell the model what the server is for.
    #[must_use]
    pub fn builder(implementation: Implementation, instructions: &'static str) -> Builder<C, E> {
        Builder::new(implementation, instructions)
    }

    /// Reads one POST. Its caller has checked already who sends it.
    #[must_use]
    pub fn receive(&self, headers: &HeaderMap, body: &[u8]) -> Step<'_, C, E> {
        let accepted = match Accepted::read(headers) {
            Ok(accepted) => accepted,
            Err(fault) => return Step::Reply(fault.reply(Era::Legacy, None)),
        };
        let mut message = match Message::read(body) {
            Ok(message) => message,
            Err(bad) => return Step::Reply(bad.fault.reply(Era::Modern, bad.id.as_ref())),
        };
        let Some(id) = message.id.take() else {
            let refused = era::check_notification(headers).err();
            return Step::Reply(refused.map_or_else(reply::accepted, |fault| fault.reply(Era::Modern, None)));
        };
        let client = match Client::of_request(headers, &message) {
            Ok(client) => client,
            Err(fault) => return Step::Reply(fault.reply(Era::Modern, Some(&id))),
        };
        let era = client.era;
        let request = Request { id, accepted, client, headers, params: message.params };
        let id = request.id.clone();
        self.answer(&message.method, request).unwrap_or_else(|fault| Step::Reply(fault.reply(era, Some(&id))))
    }

    fn answer(&self, method: &str, request: Request<'_>) -> Result<Step<'_, C, E>, Fault> {
        let era = request.client.era;
        if let Some(result) = self.answers.get(method) {
            return match request.params.get("cursor") {
                None | Some(Value::Null) => Ok(request.introduce(Cow::Borrowed(result))),
                // Every list is one page, so there is no cursor that is one of ours.
                Some(_) => Err(Fault::params("the cursor is not one of this server")),
            };
        }
        match (method, era) {
            ("initialize", Era::Legacy) => {
                let result = self.initialize(&request.params)?;
                Ok(request.introduce(Cow::Owned(result)))
            }
            ("ping", Era::Legacy) => Ok(request.reply(&raw(&json!({}))?)),
            ("logging/setLevel", Era::Legacy) if self.logging => {
                // There is no session to keep it in, so it is checked and forgotten.
                let known = request.params.get("level").and_then(LogLevel::read);
                known.ok_or_else(|| Fault::params("the log level is not known"))?;
                Ok(request.reply(&raw(&json!({}))?))
            }
            ("tools/call", _) if !self.tools.is_empty() => self.call_tool(request),
            ("prompts/get", _) if !self.prompts.is_empty() => self.get_prompt(request),
            ("resources/read", _) if self.answers.contains_key("resources/list") => {
                self.read_resource(request)
            }
            ("completion/complete", _) => self.complete(request),
            _ => Err(Fault::method(method)),
        }
    }

    /// The version that is asked for if it is served, else the newest of the era: the client decides whether
    /// it goes on. Source: MCP 2025-11-25, "Version Negotiation".
    fn initialize(&self, params: &Map<String, Value>) -> Result<Introduced, Fault> {
        let asked = params.get("protocolVersion").and_then(Value::as_str);
        let asked = asked.ok_or_else(|| Fault::params("protocolVersion is missing, or not a string"))?;
        let version = LEGACY.iter().copied().find(|version| *version == asked).unwrap_or(era::LEGACY_NEWEST);
        let result = json!({
            "protocolVersion": version,
            "capabilities": self.capabilities,
            "serverInfo": self.implementation,
            "instructions": self.instructions,
        });
        Ok(Introduced::new(result, "/serverInfo")?)
    }

    fn call_tool(&self, request: Request<'_>) -> Result<Step<'_, C, E>, Fault> {
        let name = request.text("name")?;
        let entry = self.tools.get(name).ok_or_else(|| Fault::params(format!("unknown tool: {name}")))?;
        let arguments = request.object("arguments")?;
        if request.client.era == Era::Modern {
            header::check_params(request.headers, &entry.param_headers, &arguments)?;
        }
        Call::prepare(Method::ToolsCall, entry, request, Value::Object(arguments))
    }

    fn get_prompt(&self, request: Request<'_>) -> Result<Step<'_, C, E>, Fault> {
        let name = request.text("name")?;
        let entry = self.prompts.get(name).ok_or_else(|| Fault::params(format!("unknown prompt: {name}")))?;
        let arguments = request.object("arguments")?;
        Call::prepare(Method::PromptsGet, entry, request, Value::Object(arguments))
    }

    fn read_resource(&self, request: Request<'_>) -> Result<Step<'_, C, E>, Fault> {
        let uri = request.text("uri")?;
        if let Some(entry) = self.resources.get(uri) {
            return Call::prepare(Method::ResourcesRead, entry, request, json!({}));
        }
        let matched =
            self.templates.iter().find_map(|(template, entry)| Some((template.matches(uri)?, entry)));
        let Some((variables, entry)) = matched else { return Err(Fault::absent(request.client.era, uri)) };
        Call::prepare(Method::ResourcesRead, entry, request, Value::Object(variables))
    }

    fn complete(&self, request: Request<'_>) -> Result<Step<'_, C, E>, Fault> {
        let Some(entry) = &self.completion else { return Err(Fault::method("completion/complete")) };
        let mut asked = request.params.clone();
        asked.retain(|member, _| ["ref", "argument", "context"].contains(&member.as_str()));
        let asked = Value::Object(asked);
        let reference = <Completion as serde::Deserialize>::deserialize(&asked).map(|asked| asked.reference);
        let known = match reference.map_err(|err| Fault::params(format!("wrong completion: {err}")))? {
            CompletionReference::Prompt { name } => self.prompts.contains_key(name.as_str()),
            CompletionReference::Resource { uri } => {
                self.templates.iter().any(|(_, entry)| entry.name == uri)
            }
        };
        if !known {
            return Err(Fault::params("there is no such prompt or resource template"));
        }
        Call::prepare(Method::CompletionComplete, entry, request, asked)
    }
}

/// A request that is well formed and of a known era.
pub(crate) struct Request<'h> {
    pub(crate) id: Id,
    pub(crate) accepted: Accepted,
    pub(crate) client: Client,
    pub(crate) headers: &'h HeaderMap,
    pub(crate) params: Map<String, Value>,
}

impl Request<'_> {
    pub(crate) fn reply<'s, C, E>(&self, result: &RawValue) -> Step<'s, C, E> {
        Step::Reply(self.accepted.success(&self.id, result, &[]))
    }

    fn introduce<C, E>(self, result: Cow<'_, Introduced>) -> Step<'_, C, E> {
        Step::Introduction(Box::new(Introduction { id: self.id, accepted: self.accepted, result }))
    }

    pub(crate) fn text(&self, member: &str) -> Result<&str, Fault> {
        let text = self.params.get(member).and_then(Value::as_str);
        text.ok_or_else(|| Fault::params(format!("{member} is missing, or not a string")))
    }

    /// An object of the params; one that is absent is empty.
    pub(crate) fn object(&self, member: &str) -> Result<Map<String, Value>, Fault> {
        match self.params.get(member) {
            None => Ok(Map::new()),
            Some(Value::Object(members)) => Ok(members.clone()),
            Some(_) => Err(Fault::params(format!("{member} is not an object"))),
        }
    }
}

fn raw(value: &Value) -> Result<Box<RawValue>, Fault> {
    Ok(serde_json::value::to_raw_value(value)?)
}
