//! Events of an HTTP API, payload format 2.0.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::gateway::authorize::Authorized;
use crate::gateway::request::Request;
use crate::gateway::routes::Matched;
use crate::template::Stack;

/// The event of a proxy integration.
pub(super) fn proxy(stack: &Stack, request: &Request, matched: &Matched<'_>, by: &Authorized) -> Value {
    let mut event = common(stack, request, matched);
    let authorizer = match by {
        Authorized::Open | Authorized::Policy { .. } => None,
        Authorized::Lambda { context } => Some(json!({ "lambda": context })),
        // No route asks for scopes, and then API Gateway names none.
        Authorized::Jwt { claims } => Some(json!({ "jwt": { "claims": claims, "scopes": null } })),
    };
    let context = event.get_mut("requestContext").and_then(Value::as_object_mut);
    if let (Some(context), Some(authorizer)) = (context, authorizer) {
        context.insert("authorizer".to_owned(), authorizer);
    }
    let text = std::str::from_utf8(&request.body).ok().filter(|_| is_text(request));
    event.insert("isBase64Encoded".to_owned(), (!request.body.is_empty() && text.is_none()).into());
    if !request.body.is_empty() {
        let body = text.map_or_else(|| STANDARD.encode(&request.body), str::to_owned);
        event.insert("body".to_owned(), body.into());
    }
    event.into()
}

/// The event of a Lambda authorizer.
pub(super) fn authorizer(
    stack: &Stack,
    request: &Request,
    matched: &Matched<'_>,
    arn: &str,
    identity: &[String],
) -> Value {
    let mut event = common(stack, request, matched);
    event.insert("type".to_owned(), "REQUEST".into());
    event.insert("routeArn".to_owned(), arn.into());
    event.insert("identitySource".to_owned(), json!(identity));
    event.into()
}

fn common(stack: &Stack, request: &Request, matched: &Matched<'_>) -> Map<String, Value> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &request.headers {
        if !name.eq_ignore_ascii_case("cookie") {
            join(&mut headers, name.to_ascii_lowercase(), value);
        }
    }
    let mut query: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(request.query.as_bytes()) {
        join(&mut query, name.into_owned(), &value);
    }
    let cookies: Vec<&str> = request.all("cookie").flat_map(|each| each.split("; ")).collect();
    let mut event = Map::new();
    let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
    put("version", "2.0".into());
    put("routeKey", matched.key().into());
    put("rawPath", request.path.clone().into());
    put("rawQueryString", request.query.clone().into());
    put("headers", json!(headers));
    put("requestContext", context(stack, request, matched));
    if !cookies.is_empty() {
        put("cookies", json!(cookies));
    }
    if !query.is_empty() {
        put("queryStringParameters", json!(query));
    }
    if !matched.parameters.is_empty() {
        put("pathParameters", json!(matched.parameters));
    }
    event
}

fn join(map: &mut BTreeMap<String, String>, name: String, value: &str) {
    map.entry(name)
        .and_modify(|joined| {
            joined.push(',');
            joined.push_str(value);
        })
        .or_insert_with(|| value.to_owned());
}

fn context(stack: &Stack, request: &Request, matched: &Matched<'_>) -> Value {
    let own = json!({
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": request.header("user-agent").unwrap_or_default(),
        },
        "requestId": request.ids.extended,
        "routeKey": matched.key(),
        "time": request.clf_time(),
        "timeEpoch": request.epoch_ms(),
    });
    request.context(stack, own)
}

/// Whether the body is passed on as text; a form is not, nor is what is encoded or has no type.
fn is_text(request: &Request) -> bool {
    let essence = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let essence = essence.split(';').next().unwrap_or_default().trim().to_owned();
    let named = ["application/json", "application/javascript", "application/xml"];
    let is_text = essence.starts_with("text/") || named.contains(&essence.as_str());
    let is_suffixed = essence.ends_with("+json") || essence.ends_with("+xml");
    (is_text || is_suffixed) && request.header("content-encoding").is_none()
}
