//! The names that resources have on the laptop: made of the template alone, so they are the same in every run.

use uuid::Uuid;

use super::{
    TemplateError,
    document::Resource,
    place::Place,
    scope::{Scope, text_of},
};

/// What `Ref` gives.
///
/// # Errors
/// A resource of this type has no name on the laptop.
pub(super) fn reference(
    scope: &Scope<'_>,
    resource: &Resource,
    place: &Place,
) -> Result<String, TemplateError> {
    let id = resource.id.as_str();
    Ok(match resource.kind.as_str() {
        "AWS::Serverless::Function"
        | "AWS::IAM::Role"
        | "AWS::ApiGatewayV2::Authorizer"
        | "AWS::ApiGatewayV2::Integration"
        | "AWS::SQS::Queue" => id.to_owned(),
        "AWS::DynamoDB::Table" => property(scope, resource, "TableName")?,
        "AWS::Logs::LogGroup" => property(scope, resource, "LogGroupName")?,
        "AWS::KMS::Key" => uuid(id),
        "AWS::SecretsManager::Secret" => secret_arn(scope, id),
        "AWS::Serverless::Api" | "AWS::ApiGatewayV2::Api" => id.to_ascii_lowercase(),
        kind => return Err(place.error(format!("{id}, of type {kind}, has no name on the laptop"))),
    })
}

/// What `GetAtt` gives.
///
/// # Errors
/// A resource of this type has no such attribute on the laptop.
pub(super) fn attribute(
    scope: &Scope<'_>,
    resource: &Resource,
    attribute: &str,
    place: &Place,
) -> Result<String, TemplateError> {
    let name = reference(scope, resource, place)?;
    let arn = |rest: String| format!("arn:aws:{rest}");
    let (account, region) = (&scope.local.account, &scope.local.region);
    Ok(match (resource.kind.as_str(), attribute) {
        ("AWS::Serverless::Function", "Arn") => arn(format!("lambda:{region}:{account}:function:{name}")),
        ("AWS::IAM::Role", "Arn") => arn(format!("iam::{account}:role/{name}")),
        ("AWS::DynamoDB::Table", "Arn") => arn(format!("dynamodb:{region}:{account}:table/{name}")),
        ("AWS::DynamoDB::Table", "StreamArn") => {
            arn(format!("dynamodb:{region}:{account}:table/{name}/stream/local"))
        }
        ("AWS::SQS::Queue", "Arn") => arn(format!("sqs:{region}:{account}:{name}")),
        ("AWS::SQS::Queue", "QueueName") => name,
        ("AWS::KMS::Key", "Arn") => arn(format!("kms:{region}:{account}:key/{name}")),
        ("AWS::Logs::LogGroup", "Arn") => arn(format!("logs:{region}:{account}:log-group:{name}:*")),
        ("AWS::SecretsManager::Secret", "Id") => name,
        (kind, _) => return Err(place.error(format!("a {kind} has no attribute {attribute} on the laptop"))),
    })
}

fn property(scope: &Scope<'_>, resource: &Resource, key: &str) -> Result<String, TemplateError> {
    let place = resource.place.at("Properties").at(key);
    let value = resource.properties.get(key).ok_or_else(|| place.error("this name must be given"))?;
    text_of(&scope.require(value, &place)?).ok_or_else(|| place.error("a name is a text"))
}

/// The bytes of the logical id, folded into sixteen.
fn uuid(id: &str) -> String {
    let mut bytes = [0_u8; 16];
    for chunk in id.as_bytes().chunks(bytes.len()) {
        for (byte, letter) in bytes.iter_mut().zip(chunk) {
            *byte ^= letter;
        }
    }
    Uuid::from_bytes(bytes).to_string()
}

fn secret_arn(scope: &Scope<'_>, id: &str) -> String {
    let (account, region) = (&scope.local.account, &scope.local.region);
    let letters: String =
        id.chars().filter(char::is_ascii_alphabetic).chain("xxxxxx".chars()).take(6).collect();
    format!("arn:aws:secretsmanager:{region}:{account}:secret:{id}-{letters}")
}
