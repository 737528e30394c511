//! The rules of the protocol, asked through `receive`: each refusal beside the request that differs from it in
//! one thing and succeeds.

mod asking;
mod calls;
mod declaring;
mod lists;
mod messages;
mod revisions;

use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Answer, Ask, Call, ClientCapability, Completion, Content, Elicited, Exchange, Hints, Implementation,
    LogLevel, NoArguments, OutcomeKind, PromptMessage, PromptSpec, Refusal, Reply, ResourceContents,
    ResourceSpec, Rich, Server, StateSeal, Step, ToolSpec,
};

const MODERN: &str = "2026-07-28";
const SCOPES: &[&str] = &["notes:read"];

/// The error of the test's tools.
#[derive(Debug)]
enum Problem {
    Limit,
    SignIn,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        match problem {
            Problem::Limit => Refusal {
                code: "limit_reached",
                message: "no calls are left until Monday".to_owned(),
                data: Some(json!({ "limit": 100 })),
                www_authenticate: None,
            },
            Problem::SignIn => Refusal {
                code: "unauthorized",
                message: "sign in again".to_owned(),
                data: None,
                www_authenticate: Some(
                    r#"Bearer error="invalid_token", error_description="expired""#.to_owned(),
                ),
            },
        }
    }
}

/// Stands for an AEAD: enough to see what it is asked to bind.
struct Seal;

impl StateSeal for Seal {
    fn seal(&self, call: &[u8], state: &str) -> Option<String> {
        Some(format!("sealed {state} for {}", String::from_utf8_lossy(call)))
    }

    fn open(&self, call: &[u8], sealed: &str) -> Option<String> {
        let (state, of) = sealed.strip_prefix("sealed ")?.split_once(" for ")?;
        (of.as_bytes() == call).then(|| state.to_owned())
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Greeting {
    /// Whom to greet
    name: String,
    times: Option<u32>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Greeted {
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Query {
    #[schemars(extend("x-mcp-header" = "Region"))]
    region: String,
    page: Option<Page>,
    #[serde(default)]
    #[schemars(extend("x-mcp-header" = "Limit"))]
    limit: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    number: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Sure {
    sure: bool,
}

#[derive(Deserialize)]
struct Variables {
    id: NoteId,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct NoteId(u32);

impl TryFrom<String> for NoteId {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<NoteId, Self::Error> {
        text.parse().map(NoteId)
    }
}

async fn greet(who: &'static str, Greeting { name, times, tags }: Greeting) -> Result<Greeted, Problem> {
    match name.as_str() {
        "limit" => Err(Problem::Limit),
        "stranger" => Err(Problem::SignIn),
        _ => Ok(Greeted { text: format!("{who} greets {name} {}{}", times.unwrap_or(1), tags.concat()) }),
    }
}

async fn query(_: &'static str, _: Exchange, query: Query) -> Result<Answer<Rich>, Problem> {
    let page = query.page.map_or(0, |page| page.number);
    Ok(Rich::new([Content::text(format!("{} {page} {}", query.region, query.limit))]).into())
}

async fn erase(_: &'static str, exchange: Exchange, _: NoArguments) -> Result<Answer<Rich>, Problem> {
    Ok(match (exchange.state(), exchange.elicited::<Sure>("sure")) {
        (Some("asked"), Some(Elicited::Accepted(Sure { sure: true }))) => {
            Rich::new([Content::text("erased")]).into()
        }
        (Some("asked"), Some(_)) => Rich::failure("not erased").into(),
        _ => Answer::Ask(Ask::default().elicit::<Sure>("sure", "Are you sure?").remember("asked")),
    })
}

async fn chatty(_: &'static str, exchange: Exchange, _: NoArguments) -> Result<Answer<Rich>, Problem> {
    exchange.progress(1.0, 2.0);
    exchange.log(LogLevel::Debug, "looking");
    exchange.log(LogLevel::Warning, "found");
    Ok(Rich::new([Content::text("done")]).into())
}

async fn welcome(
    _: &'static str,
    _: Exchange,
    args: Greeting,
) -> Result<Answer<Vec<PromptMessage>>, Problem> {
    Ok(vec![PromptMessage::user(Content::text(args.name))].into())
}

async fn about(_: &'static str) -> Result<Option<Vec<ResourceContents>>, Problem> {
    Ok(Some(vec![ResourceContents::text("notes://about", "text/plain", "notes")]))
}

async fn note(
    who: &'static str,
    Variables { id: NoteId(id) }: Variables,
) -> Result<Option<Vec<ResourceContents>>, Problem> {
    match id {
        404 => Ok(None),
        429 => Err(Problem::Limit),
        id => Ok(Some(vec![ResourceContents::text(format!("notes://note/{id}.txt"), "text/plain", who)])),
    }
}

async fn complete(_: &'static str, asked: Completion) -> Result<Vec<String>, Problem> {
    Ok((0..150).map(|number| format!("{}{number}", asked.argument.value)).collect())
}

const WRITES: Hints = Hints { read_only: false, destructive: false, idempotent: false, open_world: false };

fn tool(name: &'static str) -> ToolSpec {
    let (title, description) = ("A tool", "Does something");
    ToolSpec { name, title, description, hints: WRITES, scopes: SCOPES, ..ToolSpec::default() }
}

fn resource(uri: &'static str) -> ResourceSpec {
    let (title, description) = ("A resource", "Something to read");
    ResourceSpec { uri, name: "resource", title, description, mime_type: "text/plain", scopes: SCOPES }
}

fn prompt(name: &'static str) -> PromptSpec {
    PromptSpec { name, title: "A prompt", description: "Something to say", scopes: SCOPES }
}

fn builder() -> crate::Builder<&'static str, Problem> {
    Server::builder(Implementation { name: "notes", title: "Notes", version: "1.0.0" }, "Keeps notes.")
}

fn server() -> Server<&'static str, Problem> {
    let needy = ToolSpec { needs: &[ClientCapability::Sampling], ..tool("needy") };
    builder()
        .logging()
        .tool(tool("greet"), greet)
        .talking_tool(tool("query"), query)
        .talking_tool(tool("erase"), erase)
        .talking_tool(tool("chatty"), chatty)
        .talking_tool(needy, chatty)
        .resource(resource("notes://about"), about)
        .resource_template(resource("notes://note/{id}.txt"), note)
        .prompt(prompt("welcome"), |who, exchange, args: WelcomeArgs| welcome(who, exchange, args.into()))
        .completion(SCOPES, complete)
        .build()
        .unwrap()
}

#[derive(Deserialize, JsonSchema)]
struct WelcomeArgs {
    /// Whom to welcome
    name: String,
    #[expect(dead_code, reason = "it is there to be an optional argument")]
    mood: Option<String>,
}

impl From<WelcomeArgs> for Greeting {
    fn from(args: WelcomeArgs) -> Greeting {
        Greeting { name: args.name, times: None, tags: Vec::new() }
    }
}

/// A request to be changed before it is sent.
#[derive(Clone)]
struct Post {
    headers: HeaderMap,
    body: Value,
}

impl Post {
    /// A request of revision 2026-07-28 as its clients send it.
    fn modern(method: &str, params: Value) -> Post {
        let mut params = params;
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": {} });
        let name = params.get("name").or(params.get("uri")).and_then(Value::as_str).map(str::to_owned);
        let post =
            Post::legacy(method, params).header("mcp-protocol-version", MODERN).header("mcp-method", method);
        match name {
            Some(name) => post.header("mcp-name", &name),
            None => post,
        }
    }

    /// A request of the initialize era.
    fn legacy(method: &str, params: Value) -> Post {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        Post { headers: HeaderMap::new(), body }
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
    }

    fn call(tool: &str, arguments: Value) -> Post {
        Post::modern("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    fn header(mut self, name: &str, value: &str) -> Post {
        let name: HeaderName = name.parse().unwrap();
        self.headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    fn without(mut self, header: &str) -> Post {
        self.headers.remove(header).unwrap();
        self
    }

    fn twice(mut self, header: &str, value: &str) -> Post {
        self.headers.append(header.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Value)) -> Post {
        change(&mut self.body);
        self
    }

    fn meta(self, member: &str, value: Value) -> Post {
        self.with(|body| body["params"]["_meta"][member] = value)
    }

    fn params(self, member: &str, value: Value) -> Post {
        self.with(|body| body["params"][member] = value)
    }

    /// Sends it, and runs the call that it makes.
    fn send(&self) -> Answered {
        send(&self.headers, &serde_json::to_vec(&self.body).unwrap())
    }

    /// The status and the code of the error, 0 for a result.
    fn sent(&self) -> (u16, i64) {
        let Answered { reply, .. } = self.send();
        (reply.status.as_u16(), code(&reply))
    }
}

struct Answered {
    reply: Reply,
    /// None if no code of a tool ran.
    kind: Option<OutcomeKind>,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.reply.body).unwrap()
    }

    fn result(&self) -> Value {
        self.json()["result"].take()
    }

    fn error(&self) -> Value {
        self.json()["error"].take()
    }
}

fn send(headers: &HeaderMap, body: &[u8]) -> Answered {
    let server = server();
    match server.receive(headers, body) {
        Step::Reply(reply) => Answered { reply, kind: None },
        Step::Introduction(introduction) => Answered { reply: introduction.reply(None), kind: None },
        Step::Call(mut call) => {
            let outcome = run(&mut call);
            let kind = outcome.as_ref().ok().map(crate::Outcome::kind);
            Answered { reply: call.reply(outcome), kind }
        }
    }
}

fn run(call: &mut Call<'_, &'static str, Problem>) -> Result<crate::Outcome, Problem> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(call.run("acme", &Seal))
}

fn code(reply: &Reply) -> i64 {
    match serde_json::from_slice::<Value>(&reply.body) {
        Ok(body) => body["error"]["code"].as_i64().unwrap_or(0),
        Err(_) => 0,
    }
}
