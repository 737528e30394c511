//! What a declaration says. What a tool may do is written out: nothing of it is true by default.

use serde::Serialize;
use serde_json::Value;

/// Who the server says it is.
#[derive(Clone, Debug, Serialize)]
pub struct Implementation {
    /// For programs.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// The version of the server, not of the protocol.
    pub version: &'static str,
}

/// A tool. Its schemas come from the types of its function.
#[derive(Clone, Debug, Default)]
pub struct ToolSpec {
    /// Grammar: 1 to 128 of `A-Z`, `a-z`, `0-9`, `_`, `-`, `.`. Source: MCP 2025-11-25, "Tool Names".
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// For the model: what it does and when to use it.
    pub description: &'static str,
    /// What a call may do.
    pub hints: Hints,
    /// OAuth scopes, all of which a call needs; at least one.
    pub scopes: &'static [&'static str],
    /// What the client must be able to do, or the call is refused before it runs.
    pub needs: &'static [ClientCapability],
    /// The address of what a call is about, with the names of arguments in its `{variables}`: what an audit trail says of
    /// it, and all that it may say of the arguments.
    pub resource: Option<&'static str>,
    /// A call with the arguments of one a moment ago, by the same caller, is that call sent again: it is not done twice. For
    /// what a client repeats when a reply was lost, and nobody means twice.
    pub retry_safe: bool,
    /// Further members of the tool's `_meta`, an object such as `{"openai/profile": true}`.
    pub meta: Option<Value>,
}

/// A default is what has to be feared of a tool that says nothing. Source: MCP 2025-11-25, `ToolAnnotations`.
impl Default for Hints {
    fn default() -> Self {
        Self { read_only: false, destructive: true, idempotent: false, open_world: true }
    }
}

/// What a call of a tool may do. ChatGPT asks for all of them, and asks its user by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hints {
    /// Changes nothing.
    #[serde(rename = "readOnlyHint")]
    pub read_only: bool,
    /// May overwrite or remove.
    #[serde(rename = "destructiveHint")]
    pub destructive: bool,
    /// The second call with the same arguments changes nothing more.
    #[serde(rename = "idempotentHint")]
    pub idempotent: bool,
    /// Reaches beyond this system.
    #[serde(rename = "openWorldHint")]
    pub open_world: bool,
}

impl Hints {
    /// Of what only reads this system.
    pub(crate) const READ: Hints =
        Hints { read_only: true, destructive: false, idempotent: true, open_world: false };
}

/// A resource, or with `{variables}` in its URI a template of resources.
#[derive(Clone, Debug)]
pub struct ResourceSpec {
    /// An absolute URI. A template's variables are whole `{name}`s of RFC 6570, level 1, none next to another.
    pub uri: &'static str,
    /// For programs.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// For the model.
    pub description: &'static str,
    /// The media type of the contents.
    pub mime_type: &'static str,
    /// OAuth scopes, all of which a read needs; at least one.
    pub scopes: &'static [&'static str],
}

/// A prompt. Its arguments come from the type of its function: strings, some of them optional.
#[derive(Clone, Debug)]
pub struct PromptSpec {
    /// The same grammar as a tool's.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// OAuth scopes, all of which getting it needs; at least one.
    pub scopes: &'static [&'static str],
}

/// What a client of revision 2026-07-28 can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCapability {
    /// To ask its model.
    Sampling,
    /// To ask its user.
    Elicitation,
    /// To list the folders it works in.
    Roots,
}

impl ClientCapability {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ClientCapability::Sampling => "sampling",
            ClientCapability::Elicitation => "elicitation",
            ClientCapability::Roots => "roots",
        }
    }
}
