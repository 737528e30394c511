//! What the public may know of a host: where tokens come from (RFC 9728), and the proof of the domain for ChatGPT.

use http::{Method, StatusCode};
use insula_gateway::{Error, Reply, Request, cors, serve as serve_requests, telemetry};
use insula_tenancy::{Config, Problem, Resolver, start_resolver};
use serde_json::json;

/// How long a document may be cached: an issuer that is added is found within this.
const MAX_AGE_S: u32 = 300;

/// The function: who has which address, and the proof of the domain, if one is set.
#[derive(Debug)]
pub struct Discover {
    resolver: Resolver,
    challenge: Option<String>,
}

/// Starts the function and serves until Lambda ends it.
///
/// # Errors
/// A setting that is wrong, or a registry that does not answer in init.
pub async fn serve() -> Result<(), Error> {
    let config = Config::from_env()?;
    telemetry::start(config.log_level());
    let challenge = config.require("APPS_CHALLENGE").ok().map(str::to_owned);
    let discover = Discover { resolver: start_resolver(config).await?, challenge };
    serve_requests(|request| discover.answer(request)).await
}

impl Discover {
    /// Answers one request.
    pub async fn answer(&self, request: Request) -> Reply {
        if request.route.ends_with("/openai-apps-challenge") {
            return self.challenge(&request);
        }
        let found = match self.resolver.describe(&request.evidence).await {
            Ok(Some(found)) => found,
            Ok(None) => return Reply::problem(&Problem::NotFound { kind: "resource" }),
            Err(problem) => return Reply::problem(&problem),
        };
        match request.method {
            Method::OPTIONS => cors::preflight(&request, &found.origins),
            Method::GET => {
                let document = json!({
                    "resource": found.resource,
                    "authorization_servers": found.issuers,
                    "scopes_supported": insula_tools::SCOPES,
                    "bearer_methods_supported": ["header"],
                });
                let reply = Reply::json(StatusCode::OK, document.to_string()).public(MAX_AGE_S);
                cors::expose(reply, &request, &found.origins)
            }
            _ => Reply::empty(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn challenge(&self, request: &Request) -> Reply {
        match (&self.challenge, &request.method) {
            (Some(text), &Method::GET) => Reply::text(StatusCode::OK, text.clone()),
            _ => Reply::problem(&Problem::NotFound { kind: "challenge" }),
        }
    }
}
