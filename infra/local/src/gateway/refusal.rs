//! API Gateway's own answers: a REST API's gateway responses, and the fixed ones of an HTTP API.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::gateway::expression::Expression;
use crate::gateway::reply::Reply;
use crate::gateway::request::{Ids, Request};
use crate::template::{Api, ApiKind, GatewayResponse};

/// Why API Gateway answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    UnknownHost,
    BadRequest,
    HeadTooLarge,
    SlowBody,
    BodyTooLarge,
    NoRoute,
    /// Nothing to authorize with, or the authorizer's error says `Unauthorized`.
    Unauthorized,
    ImplicitDeny,
    ExplicitDeny,
    /// The authorizer did not answer.
    AuthorizerFailure,
    /// The authorizer's answer is not understood.
    AuthorizerConfiguration,
    /// The function failed, or its reply is not understood.
    Integration,
    /// Lambda refused the call.
    IntegrationConfiguration,
    IntegrationTimeout,
}

/// An answer of API Gateway itself.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: Kind,
    /// What the authorizer said beside its decision.
    pub(super) context: BTreeMap<String, String>,
    /// An HTTP API's `www-authenticate`.
    pub(super) challenge: Option<String>,
}

impl From<Kind> for Refusal {
    fn from(kind: Kind) -> Self {
        Self { kind, context: BTreeMap::new(), challenge: None }
    }
}

/// What can be asked for in the expressions and templates of a gateway response.
struct Scope<'a> {
    refusal: &'a Refusal,
    rest: &'a Rest,
    ids: &'a Ids,
    request: Option<&'a Request>,
}

/// A REST API's answer before it is customised. Source: the gateway response types.
struct Rest {
    /// None for what can't be customised.
    response_type: Option<&'static str>,
    status: u16,
    message: Option<&'static str>,
    error_type: &'static str,
}

impl Refusal {
    /// The answer to the client. The request is absent when it could not be read.
    pub(super) fn reply(&self, api: &Api, ids: &Ids, request: Option<&Request>) -> Reply {
        match api.kind {
            ApiKind::Rest => self.rest_reply(api, ids, request),
            ApiKind::Http => self.http_reply(),
        }
    }

    fn http_reply(&self) -> Reply {
        let (status, message) = http(self.kind);
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(self.challenge.clone().map(|challenge| ("www-authenticate".to_owned(), challenge)));
        Reply { status, headers, body: json!({ "message": message }).to_string().into() }
    }

    fn rest_reply(&self, api: &Api, ids: &Ids, request: Option<&Request>) -> Reply {
        let rest = rest(self.kind);
        let custom = rest.response_type.and_then(|name| customised(api, name, rest.status));
        let scope = Scope { refusal: self, rest: &rest, ids, request };
        let status = custom.and_then(|custom| custom.status).unwrap_or(rest.status);
        let (content_type, body) = scope.body(custom);
        let mut headers = vec![
            ("Content-Type".to_owned(), content_type),
            ("x-amzn-ErrorType".to_owned(), rest.error_type.to_owned()),
        ];
        for (name, value) in custom.iter().flat_map(|custom| &custom.parameters) {
            let name = name.strip_prefix("gatewayresponse.header.");
            let value = Expression::parse(value).and_then(|value| scope.evaluate(&value));
            if let Some((name, value)) = name.zip(value) {
                headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
                headers.push((name.to_owned(), value));
            }
        }
        Reply { status, headers, body: Bytes::from(body) }
    }
}

fn customised<'a>(api: &'a Api, response_type: &str, status: u16) -> Option<&'a GatewayResponse> {
    let fallback = if status < 500 { "DEFAULT_4XX" } else { "DEFAULT_5XX" };
    api.gateway_responses.get(response_type).or_else(|| api.gateway_responses.get(fallback))
}

impl Scope<'_> {
    fn evaluate(&self, expression: &Expression) -> Option<String> {
        match expression {
            Expression::Literal(text) => Some(text.clone()),
            Expression::Authorizer(key) => self.refusal.context.get(key).cloned(),
            Expression::RequestHeader(name) => self.request?.header(name),
            Expression::Context(name) => self.context(name),
        }
    }

    fn context(&self, name: &str) -> Option<String> {
        match name {
            "requestId" => Some(self.ids.request.clone()),
            "extendedRequestId" => Some(self.ids.extended.clone()),
            "error.message" => self.rest.message.map(str::to_owned),
            "error.messageString" => Some(json!(self.rest.message).to_string()),
            "error.responseType" => self.rest.response_type.map(str::to_owned),
            "domainName" => self.request.map(|request| request.domain.clone()),
            "path" => self.request.map(|request| request.path.clone()),
            _ => None,
        }
    }

    fn body(&self, custom: Option<&GatewayResponse>) -> (String, String) {
        let json_type = "application/json";
        let templates = custom.map(|custom| &custom.templates).filter(|templates| !templates.is_empty());
        let chosen = templates
            .and_then(|templates| templates.get_key_value(json_type).or_else(|| templates.first_key_value()));
        match chosen {
            Some((content_type, template)) => (content_type.clone(), self.fill(template)),
            None => (json_type.to_owned(), json!({ "message": self.rest.message }).to_string()),
        }
    }

    /// Puts the values of `$context.…` into a template; what is not known is empty, as in API Gateway.
    fn fill(&self, template: &str) -> String {
        let mut parts = template.split("$context.");
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '.' || letter == '_';
            let end = part.find(|letter| !is_name(letter)).unwrap_or(part.len());
            let (name, rest) = part.split_at_checked(end).unwrap_or((part, ""));
            let value = match name.strip_prefix("authorizer.") {
                Some(key) => self.refusal.context.get(key).cloned(),
                None => self.context(name),
            };
            filled.push_str(&value.unwrap_or_default());
            filled.push_str(rest);
        }
        filled
    }
}

fn rest(kind: Kind) -> Rest {
    let (response_type, status, message, error_type) = match kind {
        Kind::UnknownHost => (None, 403, Some("Forbidden"), "ForbiddenException"),
        Kind::BadRequest => (None, 400, Some("Bad Request"), "BadRequestException"),
        Kind::HeadTooLarge => (None, 431, Some("Request Header Fields Too Large"), "BadRequestException"),
        Kind::SlowBody => (None, 408, Some("Request Timeout"), "RequestTimeoutException"),
        // The response type REQUEST_TOO_LARGE exists, and the important notes say that it has no effect.
        Kind::BodyTooLarge => (None, 413, Some("Request Too Long"), "RequestTooLargeException"),
        Kind::NoRoute => (
            Some("MISSING_AUTHENTICATION_TOKEN"),
            403,
            Some("Missing Authentication Token"),
            "MissingAuthenticationTokenException",
        ),
        Kind::Unauthorized => (Some("UNAUTHORIZED"), 401, Some("Unauthorized"), "UnauthorizedException"),
        Kind::ImplicitDeny => (
            Some("ACCESS_DENIED"),
            403,
            Some("User is not authorized to access this resource"),
            "AccessDeniedException",
        ),
        Kind::ExplicitDeny => (
            Some("ACCESS_DENIED"),
            403,
            Some("User is not authorized to access this resource with an explicit deny"),
            "AccessDeniedException",
        ),
        Kind::AuthorizerFailure => {
            (Some("AUTHORIZER_FAILURE"), 500, Some("Internal server error"), "InternalServerErrorException")
        }
        Kind::AuthorizerConfiguration => {
            (Some("AUTHORIZER_CONFIGURATION_ERROR"), 500, None, "AuthorizerConfigurationException")
        }
        Kind::Integration => {
            (Some("DEFAULT_5XX"), 502, Some("Internal server error"), "InternalServerErrorException")
        }
        Kind::IntegrationConfiguration => (
            Some("API_CONFIGURATION_ERROR"),
            500,
            Some("Internal server error"),
            "InternalServerErrorException",
        ),
        Kind::IntegrationTimeout => (
            Some("INTEGRATION_TIMEOUT"),
            504,
            Some("Endpoint request timed out"),
            "InternalServerErrorException",
        ),
    };
    Rest { response_type, status, message, error_type }
}

fn http(kind: Kind) -> (u16, Value) {
    let (status, message) = match kind {
        Kind::UnknownHost | Kind::ImplicitDeny | Kind::ExplicitDeny => (403, "Forbidden"),
        Kind::BadRequest => (400, "Bad Request"),
        Kind::HeadTooLarge => (431, "Request Header Fields Too Large"),
        Kind::SlowBody => (408, "Request Timeout"),
        Kind::BodyTooLarge => (413, "Request Entity Too Large"),
        Kind::NoRoute => (404, "Not Found"),
        Kind::Unauthorized => (401, "Unauthorized"),
        Kind::AuthorizerFailure
        | Kind::AuthorizerConfiguration
        | Kind::Integration
        | Kind::IntegrationConfiguration => (500, "Internal Server Error"),
        Kind::IntegrationTimeout => (504, "Gateway Timeout"),
    };
    (status, message.into())
}
