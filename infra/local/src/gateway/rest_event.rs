//! Events of a REST API, payload format 1.0.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::gateway::authorize::Authorized;
use crate::gateway::request::Request;
use crate::gateway::routes::Matched;
use crate::template::Stack;

/// Parameters of the query, decoded, in the client's order.
type Query = Vec<(String, String)>;

/// The event of a proxy integration.
pub(super) fn proxy(stack: &Stack, request: &Request, matched: &Matched<'_>, by: &Authorized) -> Value {
    let mut event = common(stack, request, matched);
    for name in ["queryStringParameters", "multiValueQueryStringParameters", "pathParameters"] {
        if event.get(name).and_then(Value::as_object).is_some_and(Map::is_empty) {
            event.insert(name.to_owned(), Value::Null);
        }
    }
    event.insert("stageVariables".to_owned(), Value::Null);
    let is_binary =
        !request.body.is_empty() && stack.api.is_binary(request.header("content-type").as_deref());
    let body = match (request.body.is_empty(), is_binary) {
        (true, _) => None,
        (false, true) => Some(STANDARD.encode(&request.body)),
        (false, false) => Some(String::from_utf8_lossy(&request.body).into_owned()),
    };
    event.insert("body".to_owned(), json!(body));
    event.insert("isBase64Encoded".to_owned(), is_binary.into());
    let context = event.get_mut("requestContext").and_then(Value::as_object_mut);
    if let (Some(context), Authorized::Policy { principal, context: said, latency_ms }) = (context, by) {
        let mut authorizer: Map<String, Value> =
            said.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        authorizer.insert("principalId".to_owned(), principal.clone().into());
        authorizer.insert("integrationLatency".to_owned(), (*latency_ms).into());
        context.insert("authorizer".to_owned(), authorizer.into());
    }
    event.into()
}

/// The event of a REQUEST authorizer, in which absent parameters are empty maps.
pub(super) fn authorizer(stack: &Stack, request: &Request, matched: &Matched<'_>, arn: &str) -> Value {
    let mut event = common(stack, request, matched);
    event.insert("type".to_owned(), "REQUEST".into());
    event.insert("methodArn".to_owned(), arn.into());
    event.insert("stageVariables".to_owned(), json!({}));
    event.into()
}

fn common(stack: &Stack, request: &Request, matched: &Matched<'_>) -> Map<String, Value> {
    let (mut headers, mut multi_headers) = (Map::new(), Map::new());
    for (name, value) in &request.headers {
        collect(&mut headers, &mut multi_headers, name, value);
    }
    let (mut query, mut multi_query) = (Map::new(), Map::new());
    for (name, value) in &parsed(&request.query) {
        collect(&mut query, &mut multi_query, name, value);
    }
    let event = json!({
        "resource": matched.route.path,
        "path": request.path,
        "httpMethod": request.method,
        "headers": headers,
        "multiValueHeaders": multi_headers,
        "queryStringParameters": query,
        "multiValueQueryStringParameters": multi_query,
        "pathParameters": matched.parameters,
        "requestContext": context(stack, request, matched),
    });
    match event {
        Value::Object(event) => event,
        _ => Map::new(),
    }
}

/// The last value is the one of the plain map; the other map has them all.
fn collect(last: &mut Map<String, Value>, all: &mut Map<String, Value>, name: &str, value: &str) {
    last.insert(name.to_owned(), value.into());
    let values = all.entry(name).or_insert_with(|| json!([]));
    if let Some(values) = values.as_array_mut() {
        values.push(value.into());
    }
}

/// The semicolon splits as the ampersand does. Source: the important notes on REST APIs.
fn parsed(query: &str) -> Query {
    let query = query.replace(';', "&");
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn context(stack: &Stack, request: &Request, matched: &Matched<'_>) -> Value {
    let own = json!({
        "extendedRequestId": request.ids.extended,
        "httpMethod": request.method,
        "identity": {
            "accessKey": null,
            "accountId": null,
            "caller": null,
            "cognitoAuthenticationProvider": null,
            "cognitoAuthenticationType": null,
            "cognitoIdentityId": null,
            "cognitoIdentityPoolId": null,
            "principalOrgId": null,
            "sourceIp": request.source_ip,
            "user": null,
            "userAgent": request.all("user-agent").last(),
            "userArn": null,
        },
        "path": request.path,
        "protocol": request.protocol,
        "requestId": request.ids.request,
        "requestTime": request.clf_time(),
        "requestTimeEpoch": request.epoch_ms(),
        // Six letters and digits, the same in every run.
        "resourceId": format!("r{:05}", matched.index),
        "resourcePath": matched.route.path,
    });
    request.context(stack, own)
}
