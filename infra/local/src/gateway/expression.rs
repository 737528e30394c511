//! Mapping expressions of integrations and gateway responses.

/// Where a mapped value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// `'text'`.
    Literal(String),
    /// `context.authorizer.<key>`.
    Authorizer(String),
    /// `method.request.header.<name>`.
    RequestHeader(String),
    /// Any other `context.<name>`.
    Context(String),
}

impl Expression {
    /// None for an expression that the laptop does not know.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(literal) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            return Some(Self::Literal(literal.to_owned()));
        }
        let named =
            |prefix| text.strip_prefix(prefix).filter(|name: &&str| !name.is_empty()).map(str::to_owned);
        if let Some(key) = named("context.authorizer.") {
            return Some(Self::Authorizer(key));
        }
        if let Some(name) = named("method.request.header.") {
            return Some(Self::RequestHeader(name));
        }
        named("context.").map(Self::Context)
    }
}
