//! What a result is made of.

use base64::{Engine, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{answer::Refusal, schema};

/// One piece of content.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Content {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    Image {
        /// Base64.
        data: String,
        /// Such as `image/png`.
        mime_type: String,
    },
    /// A sound.
    Audio {
        /// Base64.
        data: String,
        /// Such as `audio/wav`.
        mime_type: String,
    },
    /// A resource, in full.
    Resource {
        /// What a read of it would give.
        resource: ResourceContents,
    },
    /// A resource that can be read.
    ResourceLink {
        /// Its URI.
        uri: String,
        /// Its name.
        name: String,
        /// Its media type.
        mime_type: String,
    },
}

impl Content {
    /// Text.
    pub fn text(text: impl Into<String>) -> Content {
        Content::Text { text: text.into() }
    }

    /// An image from its bytes.
    pub fn image(bytes: &[u8], mime_type: impl Into<String>) -> Content {
        Content::Image { data: STANDARD.encode(bytes), mime_type: mime_type.into() }
    }

    /// A sound from its bytes.
    pub fn audio(bytes: &[u8], mime_type: impl Into<String>) -> Content {
        Content::Audio { data: STANDARD.encode(bytes), mime_type: mime_type.into() }
    }

    /// A resource in full.
    pub fn resource(resource: ResourceContents) -> Content {
        Content::Resource { resource }
    }
}

/// The contents of a resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceContents {
    uri: String,
    mime_type: String,
    #[serde(flatten)]
    body: Body,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Body {
    Text(String),
    Blob(String),
}

impl ResourceContents {
    /// A resource that is text.
    pub fn text(uri: impl Into<String>, mime_type: impl Into<String>, text: impl Into<String>) -> Self {
        ResourceContents { uri: uri.into(), mime_type: mime_type.into(), body: Body::Text(text.into()) }
    }

    /// A resource that is bytes.
    pub fn blob(uri: impl Into<String>, mime_type: impl Into<String>, bytes: &[u8]) -> Self {
        let body = Body::Blob(STANDARD.encode(bytes));
        ResourceContents { uri: uri.into(), mime_type: mime_type.into(), body }
    }
}

/// One message of a prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PromptMessage {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: Content,
}

impl PromptMessage {
    /// A message of the user.
    pub fn user(content: Content) -> PromptMessage {
        PromptMessage { role: Role::User, content }
    }
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// A result of free content, without a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Rich {
    /// The content, in order.
    pub content: Vec<Content>,
    /// Whether the content says what went wrong.
    pub is_error: bool,
}

impl Rich {
    /// A result.
    pub fn new(content: impl IntoIterator<Item = Content>) -> Rich {
        Rich { content: content.into_iter().collect(), is_error: false }
    }

    /// What went wrong, for the model to read.
    pub fn failure(message: impl Into<String>) -> Rich {
        Rich { content: vec![Content::text(message)], is_error: true }
    }
}

/// A result that has a schema: `structuredContent`, and the same as JSON text for clients that read only that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structured<T>(pub T);

/// What a tool may return.
pub trait ToolOutput {
    /// The schema of the structured content, if there is some.
    fn output_schema() -> Option<Value>;

    /// The result, serialised once.
    ///
    /// # Errors
    /// The value can't be written as the JSON object that its schema promises.
    fn into_result(self) -> Result<ToolResult, serde_json::Error>;
}

impl ToolOutput for Rich {
    fn output_schema() -> Option<Value> {
        None
    }

    fn into_result(self) -> Result<ToolResult, serde_json::Error> {
        Ok(ToolResult { is_error: self.is_error, ..ToolResult::new(self.content) })
    }
}

impl<T: Serialize + JsonSchema> ToolOutput for Structured<T> {
    fn output_schema() -> Option<Value> {
        Some(schema::of_output::<T>())
    }

    fn into_result(self) -> Result<ToolResult, serde_json::Error> {
        let text = serde_json::to_string(&self.0)?;
        if !text.starts_with('{') {
            return Err(serde::ser::Error::custom("a structured result is an object"));
        }
        let structured_content = Some(RawValue::from_string(text)?);
        Ok(ToolResult { content: None, structured_content, ..ToolResult::new(Vec::new()) })
    }
}

/// The result of `tools/call` as it is kept; content that is the structured content once more is added when it is sent.
/// Both eras get the same bytes: the older revisions let a result have members that they do not know.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResult {
    result_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Vec<Content>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<Box<RawValue>>,
    pub(crate) is_error: bool,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<Value>,
}

impl ToolResult {
    fn new(content: Vec<Content>) -> ToolResult {
        let content = Some(content);
        ToolResult { result_type: "complete", content, structured_content: None, is_error: false, meta: None }
    }

    /// A failure has no structured content, since it would have to be of the tool's schema.
    pub(crate) fn refusal(refusal: Refusal) -> ToolResult {
        let mut error = serde_json::Map::from_iter([("code".to_owned(), Value::from(refusal.code))]);
        error.extend(refusal.data.map(|data| ("data".to_owned(), data)));
        let mut meta = serde_json::Map::from_iter([("tenancy/error".to_owned(), Value::Object(error))]);
        let challenge = refusal.www_authenticate.map(|challenge| Value::from(vec![challenge]));
        meta.extend(challenge.map(|challenge| ("mcp/www_authenticate".to_owned(), challenge)));
        ToolResult {
            is_error: true,
            meta: Some(Value::Object(meta)),
            ..ToolResult::new(vec![Content::text(refusal.message)])
        }
    }
}
