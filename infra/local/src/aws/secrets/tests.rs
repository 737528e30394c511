//! Each refusal beside its twin.

use super::*;

const TOKEN: &str = "11111111-2222-4333-8444-555555555555";
const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:sealing-key-AbCdEf";

async fn secrets(data: Option<&Path>) -> Secrets {
    let generate = json!({
        "SecretStringTemplate": "{\"id\":\"k1\"}", "GenerateStringKey": "key", "PasswordLength": 43,
        "ExcludePunctuation": true,
    });
    let secret = Secret { name: "SealingSecret".to_owned(), arn: ARN.to_owned(), generate };
    Secrets::open(&[secret], "123456789012", "eu-central-1", data).await.unwrap()
}

fn text<'b>(reply: &'b Reply, member: &str) -> &'b str {
    reply.body.get(member).and_then(Value::as_str).unwrap()
}

async fn value(secrets: &Secrets, body: Value) -> Value {
    let reply = secrets.serve("GetSecretValue", body).await;
    assert_eq!((reply.status, text(&reply, "ARN")), (200, ARN), "{:?}", reply.body);
    serde_json::from_str(text(&reply, "SecretString")).unwrap()
}

#[tokio::test]
async fn a_secret_is_generated_as_the_template_says() {
    let secrets = secrets(None).await;
    let by_arn = value(&secrets, json!({ "SecretId": ARN })).await;
    let by_name = value(&secrets, json!({ "SecretId": "sealing-key", "VersionStage": "AWSCURRENT" })).await;
    assert_eq!(by_arn, by_name);
    assert_eq!(by_arn.get("id"), Some(&json!("k1")));
    let key = by_arn.get("key").and_then(Value::as_str).unwrap();
    assert!(key.len() == 43 && key.bytes().all(|b| b.is_ascii_alphanumeric()), "{key}");
    assert_ne!(value(&self::secrets(None).await, json!({ "SecretId": ARN })).await, by_arn);
}

#[tokio::test]
async fn the_previous_version_is_there_once_there_was_one() {
    let secrets = secrets(None).await;
    let previous = json!({ "SecretId": ARN, "VersionStage": "AWSPREVIOUS" });
    let refused = secrets.serve("GetSecretValue", previous.clone()).await;
    assert_eq!((refused.status, text(&refused, "__type")), (400, "ResourceNotFoundException"));
    let before = value(&secrets, json!({ "SecretId": ARN })).await;
    let put = json!({ "SecretId": ARN, "SecretString": "{\"id\":\"k2\"}", "ClientRequestToken": TOKEN });
    assert_eq!(secrets.serve("PutSecretValue", put).await.status, 200);
    assert_eq!(value(&secrets, previous).await, before);
    assert_eq!(value(&secrets, json!({ "SecretId": ARN })).await, json!({ "id": "k2" }));
    assert_eq!(secrets.serve("DescribeSecret", json!({ "SecretId": ARN })).await.status, 200);
}

#[tokio::test]
async fn a_need_names_the_secret_and_the_stage_and_nothing_else_is_understood() {
    let secrets = secrets(None).await;
    let need = |body: Value| secrets.needs("GetSecretValue", &body).map(|mut needs| needs.remove(0));
    let plain = need(json!({ "SecretId": "sealing-key" })).unwrap();
    assert_eq!((plain.action.as_str(), plain.resource.as_str()), ("secretsmanager:GetSecretValue", ARN));
    assert_eq!(plain.context.get("secretsmanager:VersionStage"), None);
    let staged = need(json!({ "SecretId": ARN, "VersionStage": "AWSPREVIOUS" })).unwrap();
    assert_eq!(staged.context.get("secretsmanager:VersionStage"), Some(&["AWSPREVIOUS".to_owned()][..]));
    for bad in [
        json!({ "SecretId": "another" }),
        json!({ "SecretId": format!("{ARN}x") }),
        json!({ "SecretId": ARN, "VersionStage": null }),
        json!({ "SecretId": ARN, "VersionStage": 1 }),
        json!({ "SecretId": ARN, "secretId": "another" }),
        json!({}),
    ] {
        assert!(need(bad.clone()).is_err(), "{bad}");
    }
    assert!(secrets.needs("DeleteSecret", &json!({ "SecretId": ARN })).is_err());
}

#[tokio::test]
async fn a_kept_secret_is_the_same_after_a_restart_and_its_owners_alone() {
    let folder = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    std::fs::create_dir(&folder).unwrap();
    let first = secrets(Some(&folder)).await;
    let put = json!({ "SecretId": ARN, "SecretString": "{\"id\":\"k2\"}", "ClientRequestToken": TOKEN });
    assert_eq!(first.serve("PutSecretValue", put).await.status, 200);
    let again = secrets(Some(&folder)).await;
    assert_eq!(value(&again, json!({ "SecretId": ARN })).await, json!({ "id": "k2" }));
    let previous = json!({ "SecretId": ARN, "VersionStage": "AWSPREVIOUS" });
    assert_eq!(value(&again, previous.clone()).await, value(&first, previous).await);
    #[cfg(unix)]
    {
        let mode = std::fs::metadata(folder.join(FILE)).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    }
    std::fs::remove_dir_all(folder).unwrap();
}
