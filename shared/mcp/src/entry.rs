//! A function of the SaaS with its types taken off: arguments in, a future of bytes out.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

use crate::{
    answer::{Answer, Ask, Refusal},
    content::{PromptMessage, ResourceContents, ToolOutput, ToolResult},
    exchange::Exchange,
    schema::ParamHeader,
    spec::{ClientCapability, Hints},
};

/// Arguments of a tool or prompt that has none; any that come are refused.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoArguments {}

/// What a client wants completed.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Completion {
    /// What the argument belongs to.
    #[serde(rename = "ref")]
    pub reference: CompletionReference,
    /// The argument, as far as it is typed.
    pub argument: CompletionArgument,
    /// What is filled in already.
    #[serde(default)]
    pub context: CompletionContext,
}

/// What an argument belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type")]
pub enum CompletionReference {
    /// A prompt.
    #[serde(rename = "ref/prompt")]
    Prompt {
        /// Its name.
        name: String,
    },
    /// A resource template.
    #[serde(rename = "ref/resource")]
    Resource {
        /// The template.
        uri: String,
    },
}

/// An argument, as far as it is typed.
#[derive(Clone, Debug, Deserialize)]
pub struct CompletionArgument {
    /// Its name.
    pub name: String,
    /// Its value so far.
    pub value: String,
}

/// The other arguments.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CompletionContext {
    /// By name.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
}

/// How a function ended, before it is known for whom.
#[derive(Debug)]
pub(crate) enum Done {
    Complete(Box<RawValue>),
    /// A tool's result with `isError`.
    Failed(Box<RawValue>),
    Ask(Ask),
    /// There is no such resource.
    Absent,
    /// The result can't be written as JSON.
    Broken,
}

type Running<E> = Pin<Box<dyn Future<Output = Result<Done, E>> + Send>>;
/// A function with its arguments read, waiting for its context.
pub(crate) type Prepared<C, E> = Box<dyn FnOnce(C, Exchange) -> Running<E> + Send + Sync>;
/// Reads the arguments, or says in a sentence what is wrong with them.
pub(crate) type Prepare<C, E> = Box<dyn Fn(&Value) -> Result<Prepared<C, E>, String> + Send + Sync>;

/// One declared function.
pub(crate) struct Entry<C, E> {
    pub(crate) name: &'static str,
    pub(crate) scopes: &'static [&'static str],
    pub(crate) hints: Hints,
    pub(crate) needs: &'static [ClientCapability],
    pub(crate) resource: Option<&'static str>,
    pub(crate) retry_safe: bool,
    pub(crate) param_headers: Vec<ParamHeader>,
    pub(crate) prepare: Prepare<C, E>,
}

impl<C: Send + 'static, E: Send + 'static> Entry<C, E> {
    /// A function that only reads this system.
    pub(crate) fn reader(
        name: &'static str,
        scopes: &'static [&'static str],
        prepare: Prepare<C, E>,
    ) -> Entry<C, E> {
        Entry {
            name,
            scopes,
            hints: Hints::READ,
            needs: &[],
            resource: None,
            retry_safe: false,
            param_headers: Vec::new(),
            prepare,
        }
    }
}

/// Takes the types off a function whose result `write` can write.
pub(crate) fn erase<C, E, A, R, F, Fut>(function: F, write: fn(R) -> Done) -> Prepare<C, E>
where
    C: Send + 'static,
    E: Send + 'static,
    A: DeserializeOwned + Send + Sync + 'static,
    R: 'static,
    F: Fn(C, Exchange, A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
{
    let function = Arc::new(function);
    Box::new(move |arguments| {
        let arguments: A = serde_path_to_error::deserialize(arguments).map_err(|err| wrong(&err))?;
        let function = Arc::clone(&function);
        Ok(Box::new(move |context, exchange| {
            let running = function(context, exchange, arguments);
            Box::pin(async move { running.await.map(write) })
        }))
    })
}

pub(crate) fn write_tool<R: ToolOutput>(answer: Answer<R>) -> Done {
    match answer {
        Answer::Ask(ask) => Done::Ask(ask),
        Answer::Done(result) => match result.into_result() {
            Ok(result) => tool_result(&result),
            Err(_) => Done::Broken,
        },
    }
}

pub(crate) fn refused(refusal: Refusal) -> Done {
    tool_result(&ToolResult::refusal(refusal))
}

pub(crate) fn write_contents(contents: Option<Vec<ResourceContents>>) -> Done {
    match contents {
        Some(contents) if !contents.is_empty() => raw(&json!({
            "resultType": "complete", "contents": contents, "ttlMs": 0, "cacheScope": "private",
        })),
        _ => Done::Absent,
    }
}

pub(crate) fn write_prompt(answer: Answer<Vec<PromptMessage>>) -> Done {
    match answer {
        Answer::Done(messages) => raw(&json!({ "resultType": "complete", "messages": messages })),
        Answer::Ask(ask) => Done::Ask(ask),
    }
}

pub(crate) fn write_completion(mut values: Vec<String>) -> Done {
    // The protocol allows at most 100 values.
    let (total, has_more) = (values.len(), values.len() > 100);
    values.truncate(100);
    let completion = json!({ "values": values, "total": total, "hasMore": has_more });
    raw(&json!({ "resultType": "complete", "completion": completion }))
}

fn tool_result(result: &ToolResult) -> Done {
    match serde_json::value::to_raw_value(result) {
        Ok(json) if result.is_error => Done::Failed(json),
        Ok(json) => Done::Complete(json),
        Err(_) => Done::Broken,
    }
}

fn raw(result: &impl Serialize) -> Done {
    serde_json::value::to_raw_value(result).map_or(Done::Broken, Done::Complete)
}

fn wrong(err: &serde_path_to_error::Error<serde_json::Error>) -> String {
    match err.path().to_string().as_str() {
        "." => format!("wrong arguments: {}", err.inner()),
        path => format!("wrong arguments: `{path}`: {}", err.inner()),
    }
}
