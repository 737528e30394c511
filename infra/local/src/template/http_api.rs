//! An HTTP API: one resource each for the API, its stage, routes, integrations and authorizers.

use std::collections::BTreeMap;

use super::{
    Api, ApiKind, Authorizer, Route, TemplateError, fields::Fields, place::Place, resources::Placed,
    rest_api::function_arn,
};

/// The parts of an HTTP API, in whatever order they come.
#[derive(Debug, Default)]
pub(super) struct HttpParts {
    api: Option<(Place, String)>,
    stages: Vec<(Place, String, String)>,
    integrations: BTreeMap<String, Fields>,
    authorizers: BTreeMap<String, Fields>,
    routes: Vec<Fields>,
}

impl HttpParts {
    /// Takes a resource of a type that begins with `AWS::ApiGatewayV2::`; says whether it is part of an API.
    ///
    /// # Errors
    /// A property that is not understood, or a second API.
    pub(super) fn take(&mut self, placed: Placed<'_>) -> Result<bool, TemplateError> {
        match placed.resource.kind.as_str() {
            "AWS::ApiGatewayV2::Api" => {
                let fields = placed
                    .fields(&["ProtocolType"], &["Name", "Description", "DisableExecuteApiEndpoint"])?;
                fields.only("ProtocolType", "HTTP")?;
                if self.api.is_some() {
                    return Err(fields.place.error("a second API is not understood"));
                }
                self.api = Some((fields.place, placed.reference()?));
            }
            "AWS::ApiGatewayV2::Stage" => {
                let ignored = ["AutoDeploy", "DefaultRouteSettings", "AccessLogSettings"];
                let fields = placed.fields(&["ApiId", "StageName"], &ignored)?;
                let (api, name) = (fields.text("ApiId")?, fields.text("StageName")?);
                self.stages.push((fields.place, api, name));
            }
            "AWS::ApiGatewayV2::Integration" => {
                let known = ["ApiId", "IntegrationType", "IntegrationUri", "PayloadFormatVersion"];
                let fields = placed.fields(&known, &["Description", "TimeoutInMillis"])?;
                fields.only("IntegrationType", "AWS_PROXY")?;
                fields.only("PayloadFormatVersion", "2.0")?;
                self.integrations.insert(placed.reference()?, fields);
            }
            "AWS::ApiGatewayV2::Authorizer" => {
                let known = [
                    "ApiId",
                    "AuthorizerType",
                    "IdentitySource",
                    "JwtConfiguration",
                    "AuthorizerUri",
                    "AuthorizerPayloadFormatVersion",
                    "EnableSimpleResponses",
                    "AuthorizerResultTtlInSeconds",
                ];
                self.authorizers.insert(placed.reference()?, placed.fields(&known, &["Name"])?);
            }
            "AWS::ApiGatewayV2::Route" => {
                let known = ["ApiId", "RouteKey", "Target", "AuthorizationType", "AuthorizerId"];
                self.routes.push(placed.fields(&known, &[])?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Puts the parts together; nothing where there are none.
    ///
    /// # Errors
    /// A part belongs to another API, or names a part that is not there.
    pub(super) fn build(self) -> Result<Option<Api>, TemplateError> {
        let parts = self.routes.iter().chain(self.integrations.values()).chain(self.authorizers.values());
        for part in parts {
            if self.api.as_ref().is_none_or(|(_, id)| part.text("ApiId").as_ref() != Ok(id)) {
                return Err(part.place.at("ApiId").error("this is not the API"));
            }
        }
        let Some((place, id)) = self.api else {
            return Ok(None);
        };
        let mut stages = self.stages.into_iter();
        let stage = match (stages.next(), stages.next()) {
            (Some((_, api, stage)), None) if api == id => stage,
            (Some((place, ..)), _) => return Err(place.error("an API has one stage here")),
            (None, _) => return Err(place.error("the API has no stage")),
        };
        let mut authorizers = BTreeMap::new();
        for (name, fields) in self.authorizers {
            authorizers.insert(name, authorizer(&fields)?);
        }
        let mut routes = Vec::new();
        for fields in self.routes {
            routes.push(route(&fields, &self.integrations, &authorizers)?);
        }
        let (gateway_responses, binary_media_types) = (BTreeMap::new(), Vec::new());
        let kind = ApiKind::Http;
        Ok(Some(Api { id, kind, stage, routes, authorizers, gateway_responses, binary_media_types }))
    }
}

fn authorizer(fields: &Fields) -> Result<Authorizer, TemplateError> {
    match fields.text("AuthorizerType")?.as_str() {
        "JWT" => {
            let jwt = fields.inner("JwtConfiguration", &["Issuer", "Audience"])?;
            let [identity_source] = <[String; 1]>::try_from(fields.texts("IdentitySource")?)
                .map_err(|_sources| fields.place.at("IdentitySource").error("one source must be here"))?;
            let audiences = jwt.texts("Audience")?;
            if audiences.is_empty() {
                return Err(jwt.place.at("Audience").error("without an audience every token would do"));
            }
            Ok(Authorizer::Jwt { issuer: jwt.text("Issuer")?, audiences, identity_source })
        }
        "REQUEST" => {
            fields.only("AuthorizerPayloadFormatVersion", "2.0")?;
            Ok(Authorizer::Request {
                function_arn: function_arn(fields, "AuthorizerUri")?,
                identity_sources: fields.texts("IdentitySource")?,
                ttl_s: fields.number("AuthorizerResultTtlInSeconds", 0)?,
                simple_responses: fields.is_true("EnableSimpleResponses"),
            })
        }
        _ => Err(fields.place.at("AuthorizerType").error("this type is not understood")),
    }
}

fn route(
    fields: &Fields,
    integrations: &BTreeMap<String, Fields>,
    authorizers: &BTreeMap<String, Authorizer>,
) -> Result<Route, TemplateError> {
    let key = fields.text("RouteKey")?;
    let Some((method, path)) = key.split_once(' ') else {
        return Err(fields.place.at("RouteKey").error("a method and a path must be here"));
    };
    let target = fields.text("Target")?;
    let integration = target.strip_prefix("integrations/").and_then(|id| integrations.get(id));
    let integration =
        integration.ok_or_else(|| fields.place.at("Target").error("there is no such integration"))?;
    let no_authorizer = || fields.place.at("AuthorizerId").error("there is no such authorizer of this type");
    let authorizer = match fields.text("AuthorizationType")?.as_str() {
        "NONE" => None,
        kind => {
            let id = fields.text("AuthorizerId")?;
            match (kind, authorizers.get(&id).ok_or_else(no_authorizer)?) {
                ("JWT", Authorizer::Jwt { .. }) | ("CUSTOM", Authorizer::Request { .. }) => Some(id),
                _ => return Err(no_authorizer()),
            }
        }
    };
    Ok(Route {
        method: method.to_owned(),
        path: path.to_owned(),
        function_arn: function_arn(integration, "IntegrationUri")?,
        authorizer,
        request_parameters: BTreeMap::new(),
    })
}
