//! Declaring a server. What is incomplete or contradicts itself is found here, before the first request.

mod flaws;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

pub use flaws::Flaws;

use crate::{
    answer::Answer,
    content::{PromptMessage, ResourceContents, Structured, ToolOutput},
    entry::{self, Completion, Entry},
    era::MODERN,
    exchange::Exchange,
    introduction::Introduced,
    resource::{self, Template},
    schema,
    server::Server,
    spec::{Implementation, PromptSpec, ResourceSpec, ToolSpec},
};

/// How long a client may keep a list: it changes with a deployment only.
const LIST_TTL_MS: u64 = 300_000;

/// A server being declared. Lists are served in the order of declaration.
pub struct Builder<C, E> {
    implementation: Implementation,
    instructions: &'static str,
    logging: bool,
    listings: Listings,
    tools: HashMap<&'static str, Entry<C, E>>,
    prompts: HashMap<&'static str, Entry<C, E>>,
    resources: HashMap<&'static str, Entry<C, E>>,
    templates: Vec<(Template, Entry<C, E>)>,
    completion: Option<Entry<C, E>>,
    flaws: Flaws,
}

#[derive(Default)]
struct Listings {
    tools: Vec<Value>,
    prompts: Vec<Value>,
    resources: Vec<Value>,
    templates: Vec<Value>,
}

impl<C, E> fmt::Debug for Builder<C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("tools", &self.tools.keys()).finish_non_exhaustive()
    }
}

impl<C: Send + 'static, E: Send + 'static> Builder<C, E> {
    pub(crate) fn new(implementation: Implementation, instructions: &'static str) -> Builder<C, E> {
        let mut flaws = Flaws::default();
        flaws.check_texts("the server", &[implementation.name, implementation.title, implementation.version]);
        Builder {
            implementation,
            instructions,
            logging: false,
            listings: Listings::default(),
            tools: HashMap::new(),
            prompts: HashMap::new(),
            resources: HashMap::new(),
            templates: Vec::new(),
            completion: None,
            flaws,
        }
    }

    /// Declares a tool: `async fn(C, Args) -> Result<T, E>`. `Args` is its input schema, `T` its output schema.
    #[must_use]
    pub fn tool<A, T, F, Fut>(self, spec: ToolSpec, function: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + Sync + 'static,
        T: Serialize + JsonSchema + 'static,
        F: Fn(C, A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.talking_tool(spec, move |context, _: Exchange, arguments: A| {
            let running = function(context, arguments);
            async move { Ok(Answer::Done(Structured(running.await?))) }
        })
    }

    /// Declares a tool that talks with the client: it may ask before it answers, say how far it is, or return
    /// content of all kinds. Its result is [`Structured`], with a schema, or [`crate::Rich`], without.
    #[must_use]
    pub fn talking_tool<A, R, F, Fut>(mut self, spec: ToolSpec, function: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + Sync + 'static,
        R: ToolOutput + 'static,
        F: Fn(C, Exchange, A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Answer<R>, E>> + Send + 'static,
    {
        let (input, output) = (schema::of_input::<A>(), R::output_schema());
        let param_headers = self.flaws.check_tool(&spec, &input, output.as_ref());
        self.listings.tools.push(list_tool(&spec, input, output));
        let entry = Entry {
            name: spec.name,
            scopes: spec.scopes,
            hints: spec.hints,
            needs: spec.needs,
            resource: spec.resource,
            retry_safe: spec.retry_safe,
            param_headers,
            prepare: entry::erase(function, entry::write_tool::<R>),
        };
        self.flaws.insert(&mut self.tools, entry);
        self
    }

    /// Declares a prompt: `async fn(C, Exchange, Args) -> Result<Answer<Vec<PromptMessage>>, E>`.
    #[must_use]
    pub fn prompt<A, F, Fut>(mut self, spec: PromptSpec, function: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + Sync + 'static,
        F: Fn(C, Exchange, A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Answer<Vec<PromptMessage>>, E>> + Send + 'static,
    {
        let at = format!("prompt `{}`", spec.name);
        self.flaws.check_name(&at, spec.name);
        self.flaws.check_texts(&at, &[spec.title, spec.description]);
        self.flaws.check_scopes(&at, spec.scopes);
        let arguments = self.flaws.prompt_arguments(&at, &schema::of_input::<A>());
        self.listings.prompts.push(json!({
            "name": spec.name, "title": spec.title, "description": spec.description, "arguments": arguments,
        }));
        let prepare = entry::erase(function, entry::write_prompt);
        self.flaws.insert(&mut self.prompts, Entry::reader(spec.name, spec.scopes, prepare));
        self
    }

    /// Declares a resource: `async fn(C) -> Result<Option<Vec<ResourceContents>>, E>`, none for one that is not
    /// there for this caller.
    #[must_use]
    pub fn resource<F, Fut>(mut self, spec: ResourceSpec, function: F) -> Self
    where
        F: Fn(C) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Vec<ResourceContents>>, E>> + Send + 'static,
    {
        let at = format!("resource `{}`", spec.uri);
        self.flaws.check_resource(&at, &spec);
        self.flaws.unless(&at, resource::is_absolute(spec.uri), "its URI is not absolute");
        self.listings.resources.push(list_resource("uri", &spec));
        let function = move |context, _: Exchange, _: Map<String, Value>| function(context);
        let prepare = entry::erase(function, entry::write_contents);
        self.flaws.insert(&mut self.resources, Entry::reader(spec.uri, spec.scopes, prepare));
        self
    }

    /// Declares a template of resources: `async fn(C, Vars) -> Result<Option<Vec<ResourceContents>>, E>`. The
    /// variables of the URI are the members of `Vars`, each a string; a URI whose variables it does not take is not there.
    #[must_use]
    pub fn resource_template<V, F, Fut>(mut self, spec: ResourceSpec, function: F) -> Self
    where
        V: DeserializeOwned + Send + Sync + 'static,
        F: Fn(C, V) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Vec<ResourceContents>>, E>> + Send + 'static,
    {
        let at = format!("resource template `{}`", spec.uri);
        self.flaws.check_resource(&at, &spec);
        self.listings.templates.push(list_resource("uriTemplate", &spec));
        let function = move |context, _: Exchange, variables: V| function(context, variables);
        let entry = Entry::reader(spec.uri, spec.scopes, entry::erase(function, entry::write_contents));
        self.flaws.unless(
            &at,
            !self.templates.iter().any(|(_, known)| known.name == spec.uri),
            "it is there twice",
        );
        match Template::parse(spec.uri) {
            Some(template) => self.templates.push((template, entry)),
            None => self.flaws.unless(&at, false, "its URI is not a template of level 1"),
        }
        self
    }

    /// Declares the completion of arguments of prompts and templates, the best first:
    /// `async fn(C, Completion) -> Result<Vec<String>, E>`.
    #[must_use]
    pub fn completion<F, Fut>(mut self, scopes: &'static [&'static str], function: F) -> Self
    where
        F: Fn(C, Completion) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<String>, E>> + Send + 'static,
    {
        self.flaws.check_scopes("the completion", scopes);
        self.flaws.unless("the completion", self.completion.is_none(), "it is there twice");
        let function = move |context, _: Exchange, completion: Completion| function(context, completion);
        let prepare = entry::erase(function, entry::write_completion);
        self.completion = Some(Entry::reader("completion", scopes, prepare));
        self
    }

    /// Says that tools of this server write to the client's log.
    #[must_use]
    pub fn logging(mut self) -> Self {
        self.logging = true;
        self
    }

    /// The server, with all that never changes rendered once.
    ///
    /// # Errors
    /// Everything that is incomplete or contradicts itself.
    pub fn build(mut self) -> Result<Server<C, E>, Flaws> {
        let answers = self.answers().unwrap_or_else(|err| {
            self.flaws.unless("the lists", false, &err.to_string());
            BTreeMap::new()
        });
        if self.flaws.any() {
            return Err(self.flaws);
        }
        Ok(Server {
            capabilities: self.capabilities(),
            implementation: self.implementation,
            instructions: self.instructions,
            logging: self.logging,
            answers,
            tools: self.tools,
            prompts: self.prompts,
            resources: self.resources,
            templates: self.templates,
            completion: self.completion,
        })
    }

    /// Never `listChanged` or `subscribe`: there is nobody to tell, since no reply outlives its request.
    fn capabilities(&self) -> Value {
        let declared = [
            ("tools", !self.tools.is_empty()),
            ("prompts", !self.prompts.is_empty()),
            ("resources", self.has_resources()),
            ("completions", self.completion.is_some()),
            ("logging", self.logging),
        ];
        declared
            .into_iter()
            .filter(|(_, there)| *there)
            .map(|(name, _)| (name.to_owned(), json!({})))
            .collect()
    }

    fn has_resources(&self) -> bool {
        !self.resources.is_empty() || !self.templates.is_empty()
    }

    fn answers(&self) -> Result<BTreeMap<&'static str, Introduced>, serde_json::Error> {
        let lists = [
            ("tools/list", "tools", &self.listings.tools, !self.tools.is_empty()),
            ("prompts/list", "prompts", &self.listings.prompts, !self.prompts.is_empty()),
            ("resources/list", "resources", &self.listings.resources, self.has_resources()),
            ("resources/templates/list", "resourceTemplates", &self.listings.templates, self.has_resources()),
        ];
        let mut answers = BTreeMap::new();
        for (method, member, listing, _) in lists.into_iter().filter(|list| list.3) {
            answers.insert(method, self.cacheable([(member, json!(listing))])?);
        }
        let discovered = [
            ("supportedVersions", json!([MODERN])),
            ("capabilities", self.capabilities()),
            ("instructions", json!(self.instructions)),
        ];
        answers.insert("server/discover", self.cacheable(discovered)?);
        Ok(answers)
    }

    /// `private`, because `public` lets a shared cache hand the answer to another tenant.
    fn cacheable<const N: usize>(
        &self,
        members: [(&str, Value); N],
    ) -> Result<Introduced, serde_json::Error> {
        let mut result = Map::from_iter(members.map(|(name, value)| (name.to_owned(), value)));
        result.insert("resultType".to_owned(), json!("complete"));
        result.insert("ttlMs".to_owned(), json!(LIST_TTL_MS));
        result.insert("cacheScope".to_owned(), json!("private"));
        let meta = json!({ "io.modelcontextprotocol/serverInfo": self.implementation });
        result.insert("_meta".to_owned(), meta);
        Introduced::new(Value::Object(result), "/_meta/io.modelcontextprotocol~1serverInfo")
    }
}

fn list_tool(spec: &ToolSpec, input: Value, output: Option<Value>) -> Value {
    let security = json!([{ "type": "oauth2", "scopes": spec.scopes }]);
    let mut meta = spec.meta.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    meta.insert("securitySchemes".to_owned(), security.clone());
    let mut tool = json!({
        "name": spec.name,
        "title": spec.title,
        "description": spec.description,
        "inputSchema": input,
        "annotations": spec.hints,
        "securitySchemes": security,
        "_meta": meta,
    });
    if let (Some(tool), Some(output)) = (tool.as_object_mut(), output) {
        tool.insert("outputSchema".to_owned(), output);
    }
    tool
}

fn list_resource(uri_member: &str, spec: &ResourceSpec) -> Value {
    json!({
        uri_member: spec.uri,
        "name": spec.name,
        "title": spec.title,
        "description": spec.description,
        "mimeType": spec.mime_type,
    })
}
