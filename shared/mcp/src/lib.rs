//! The Model Context Protocol, stateless, for both eras: bytes and headers in, a reply or a call out.
//!
//! A [`Server`] is declared once, with its tools, resources and prompts, and refuses to be built from an
//! incomplete declaration. [`Server::receive`] answers by itself all that runs no code of a tool; the rest is
//! a [`Call`], which its caller authorises, runs and replies to. The crate knows no tenant and no cloud: the
//! context `C` and the error `E` of the tools are its caller's.
//!
//! Eras: revision 2026-07-28, where each request carries its version and capabilities, and the `initialize`
//! era (2025-11-25, 2025-06-18, 2025-03-26), served without a session. Batches, which 2025-03-26 alone had,
//! are refused: no client in use sends them, and one request is what is authorised and charged.

mod answer;
mod builder;
mod call;
mod content;
mod entry;
mod era;
mod exchange;
mod header;
mod introduction;
mod message;
mod outcome;
mod reply;
mod resource;
mod schema;
mod server;
mod spec;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Ask, Elicited, InputRequest, NoState, Refusal, StateSeal};
pub use builder::{Builder, Flaws};
pub use call::Call;
pub use content::{Content, PromptMessage, ResourceContents, Rich, Role, Structured, ToolOutput, ToolResult};
pub use entry::{Completion, CompletionArgument, CompletionContext, CompletionReference, NoArguments};
pub use exchange::{Exchange, LogLevel};
pub use introduction::Introduction;
pub use outcome::{Outcome, OutcomeKind};
pub use reply::Reply;
pub use schema::of_input as schema_of;
pub use server::{Server, Step};
pub use spec::{ClientCapability, Hints, Implementation, PromptSpec, ResourceSpec, ToolSpec};
