//! A REST API: the OpenAPI document in `AWS::Serverless::Api`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    Api, ApiKind, Authorizer, GatewayResponse, Route, TemplateError, fields::Fields, place::Place,
    resources::Placed,
};

const INTEGRATION: &str = "x-amazon-apigateway-integration";

/// Reads an `AWS::Serverless::Api` with its routes in `DefinitionBody`.
///
/// # Errors
/// Anything in the document that is not understood.
pub(super) fn read(placed: Placed<'_>) -> Result<Api, TemplateError> {
    let fields = placed.fields(
        &["StageName", "DefinitionBody"],
        &[
            "Name",
            "Tags",
            "OpenApiVersion",
            "EndpointConfiguration",
            "DisableExecuteApiEndpoint",
            "MethodSettings",
            "AccessLogSetting",
        ],
    )?;
    let responses = "x-amazon-apigateway-gateway-responses";
    let binary = "x-amazon-apigateway-binary-media-types";
    let known = ["openapi", "info", "components", "paths", responses, binary];
    let body = fields.inner("DefinitionBody", &known)?;
    let schemes = body.inner("components", &["securitySchemes"])?;
    let mut authorizers = BTreeMap::new();
    for (name, scheme, place) in mappings(&schemes, "securitySchemes")? {
        authorizers.insert(name, authorizer(scheme, place)?);
    }
    let mut gateway_responses = BTreeMap::new();
    for (kind, response, place) in mappings(&body, responses)? {
        gateway_responses.insert(kind, gateway_response(response, place)?);
    }
    let mut routes = Vec::new();
    for (path, item, place) in mappings(&body, "paths")? {
        for (key, operation) in item {
            let method = match key.as_str() {
                "parameters" => continue,
                "x-amazon-apigateway-any-method" => "ANY".to_owned(),
                "get" | "put" | "post" | "delete" | "options" | "head" | "patch" => key.to_ascii_uppercase(),
                _ => return Err(place.at(&key).error("this method is not understood")),
            };
            let place = place.at(&key);
            let known = ["security", "responses", "summary", INTEGRATION];
            let operation = Fields::new(operation, place.clone(), &known)?;
            let route = route(method, path.clone(), &operation)?;
            if route.authorizer.as_ref().is_some_and(|name| !authorizers.contains_key(name)) {
                return Err(place.at("security").error("there is no such security scheme"));
            }
            routes.push(route);
        }
    }
    let binary_media_types = body.texts(binary)?;
    let (id, stage) = (placed.reference()?, fields.text("StageName")?);
    Ok(Api { id, kind: ApiKind::Rest, stage, routes, authorizers, gateway_responses, binary_media_types })
}

type Mapping = (String, Map<String, Value>, Place);

fn mappings(fields: &Fields, key: &str) -> Result<Vec<Mapping>, TemplateError> {
    let place = fields.place.at(key);
    let mut all = Vec::new();
    for (name, value) in fields.value(key).as_object().into_iter().flatten() {
        let place = place.at(name);
        let object = value.as_object().ok_or_else(|| place.error("this is a mapping"))?;
        all.push((name.clone(), object.clone(), place));
    }
    Ok(all)
}

fn authorizer(scheme: Map<String, Value>, place: Place) -> Result<Authorizer, TemplateError> {
    let own = "x-amazon-apigateway-authorizer";
    let known = ["type", "name", "in", "x-amazon-apigateway-authtype", own];
    let scheme = Fields::new(Value::Object(scheme), place, &known)?;
    scheme.only("x-amazon-apigateway-authtype", "custom")?;
    let fields =
        scheme.inner(own, &["type", "identitySource", "authorizerResultTtlInSeconds", "authorizerUri"])?;
    fields.only("type", "request")?;
    let sources = fields.text("identitySource")?;
    Ok(Authorizer::Request {
        function_arn: function_arn(&fields, "authorizerUri")?,
        identity_sources: sources.split(',').map(|source| source.trim().to_owned()).collect(),
        // API Gateway's default is five minutes.
        ttl_s: fields.number("authorizerResultTtlInSeconds", 300)?,
        simple_responses: false,
    })
}

fn gateway_response(response: Map<String, Value>, place: Place) -> Result<GatewayResponse, TemplateError> {
    let known = ["statusCode", "responseParameters", "responseTemplates"];
    let fields = Fields::new(Value::Object(response), place, &known)?;
    let status = match fields.number("statusCode", 0)? {
        0 => None,
        status => Some(u16::try_from(status).map_err(|err| fields.place.at("statusCode").error(err))?),
    };
    Ok(GatewayResponse {
        status,
        parameters: fields.text_map("responseParameters")?,
        templates: fields.text_map("responseTemplates")?,
    })
}

fn route(method: String, path: String, operation: &Fields) -> Result<Route, TemplateError> {
    let security = operation.value("security");
    let authorizer = match security.as_array().map(Vec::as_slice) {
        None if security.is_null() => None,
        Some([]) => None,
        // Two schemes would be two ways in.
        Some([Value::Object(one)]) if one.len() == 1 => one.keys().next().cloned(),
        _ => return Err(operation.place.at("security").error("this is not understood")),
    };
    let integration = operation.inner(INTEGRATION, &["type", "httpMethod", "uri", "requestParameters"])?;
    if integration.text("type")? != "aws_proxy" {
        return Err(integration.place.error("only aws_proxy is understood"));
    }
    let function_arn = function_arn(&integration, "uri")?;
    let request_parameters = integration.text_map("requestParameters")?;
    Ok(Route { method, path, function_arn, authorizer, request_parameters })
}

/// The function in a URI of API Gateway's form, or an ARN of a function.
///
/// # Errors
/// It is neither.
pub(super) fn function_arn(fields: &Fields, key: &str) -> Result<String, TemplateError> {
    let uri = fields.text(key)?;
    let inner = uri.strip_suffix("/invocations").and_then(|uri| Some(uri.split_once("/functions/")?.1));
    let arn = inner.unwrap_or(&uri);
    if arn.starts_with("arn:aws:lambda:") {
        return Ok(arn.to_owned());
    }
    Err(fields.place.at(key).error("this names no function"))
}
