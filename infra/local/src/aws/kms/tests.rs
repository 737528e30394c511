//! Each refusal beside its twin.

use super::*;

const ARN: &str = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555";
const ID: &str = "11111111-2222-3333-4444-555555555555";

async fn kms(data: Option<&Path>) -> Kms {
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": "*",
        "Action": "kms:*", "Resource": "*" }] });
    let key = Key { name: "TenantsKey".to_owned(), arn: ARN.to_owned(), policy };
    Kms::open(&[key], "123456789012", "eu-central-1", data).await.unwrap()
}

fn text<'b>(reply: &'b Reply, member: &str) -> &'b str {
    reply.body.get(member).and_then(Value::as_str).unwrap()
}

#[tokio::test]
async fn a_need_names_the_key_and_every_pair_of_the_encryption_context() {
    let kms = kms(None).await;
    for key in [ARN, ID] {
        let body = json!({ "KeyId": key, "EncryptionContext": { "tenant": "acme" }, "KeySpec": "AES_256" });
        let needs = kms.needs("GenerateDataKey", &body).unwrap();
        let [need] = needs.as_slice() else { panic!("{needs:?}") };
        assert_eq!((need.action.as_str(), need.resource.as_str()), ("kms:GenerateDataKey", ARN));
        assert_eq!(need.context.get("kms:EncryptionContext:tenant"), Some(&["acme".to_owned()][..]));
        assert_eq!(need.context.get("kms:EncryptionContextKeys"), Some(&["tenant".to_owned()][..]));
    }
    for without in [json!({ "KeyId": ARN }), json!({ "KeyId": ARN, "EncryptionContext": {} })] {
        let needs = kms.needs("GenerateDataKey", &without).unwrap();
        assert!(needs.iter().all(|need| need.context.get("kms:EncryptionContextKeys").is_none()));
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused_beside_its_twin() {
    let kms = kms(None).await;
    let good = json!({ "KeyId": ARN, "EncryptionContext": { "tenant": "acme", "purpose": "a" } });
    assert!(kms.needs("GenerateDataKey", &good).is_ok());
    for bad in [
        json!({ "EncryptionContext": { "tenant": "acme" } }),
        json!({ "KeyId": "alias/other" }),
        json!({ "KeyId": format!("{ID}/../{ID}") }),
        json!({ "KeyId": ARN, "EncryptionContext": { "tenant": "acme", "Tenant": "globex" } }),
        json!({ "KeyId": ARN, "EncryptionContext": { "tenant": 1 } }),
        json!({ "KeyId": ARN, "EncryptionContext": null }),
        json!({ "KeyId": ARN, "keyId": ARN }),
        json!({ "KeyId": ARN, "GrantTokens": ["t"] }),
        json!([ARN]),
    ] {
        assert!(kms.needs("GenerateDataKey", &bad).is_err(), "{bad}");
    }
    assert!(kms.needs("CreateGrant", &good).is_err());
    assert_eq!(text(&kms.serve("CreateGrant", good).await, "__type"), "UnknownOperationException");
}

#[tokio::test]
async fn a_data_key_is_unwrapped_under_its_own_context_only() {
    let kms = kms(None).await;
    let acme = json!({ "tenant": "acme" });
    let made = kms
        .serve("GenerateDataKey", json!({ "KeyId": ARN, "EncryptionContext": acme, "KeySpec": "AES_256" }))
        .await;
    assert_eq!((made.status, text(&made, "KeyId")), (200, ARN));
    let blob = text(&made, "CiphertextBlob");
    for key in [Some(ARN), Some(ID), None] {
        let mut body = json!({ "CiphertextBlob": blob, "EncryptionContext": acme });
        if let (Some(key), Some(body)) = (key, body.as_object_mut()) {
            body.insert("KeyId".to_owned(), json!(key));
        }
        assert!(kms.needs("Decrypt", &body).unwrap().iter().all(|need| need.resource == ARN));
        assert_eq!(text(&kms.serve("Decrypt", body).await, "Plaintext"), text(&made, "Plaintext"));
    }
    let foreign =
        json!({ "CiphertextBlob": blob, "EncryptionContext": { "tenant": "globex" }, "KeyId": ARN });
    let refused = kms.serve("Decrypt", foreign).await;
    assert_eq!((refused.status, text(&refused, "__type")), (400, "InvalidCiphertextException"));
    let garbage = json!({ "CiphertextBlob": "AAAA", "EncryptionContext": acme });
    assert!(kms.needs("Decrypt", &garbage).is_err());
}

#[tokio::test]
async fn wrapping_anew_needs_both_sides_and_says_whether_they_are_one_key() {
    let kms = kms(None).await;
    let acme = json!({ "tenant": "acme" });
    let body = json!({ "CiphertextBlob": "AAAA", "SourceKeyId": ARN, "SourceEncryptionContext": acme,
        "DestinationKeyId": ID, "DestinationEncryptionContext": { "tenant": "globex", "more": "x" } });
    let needs = kms.needs("ReEncrypt", &body).unwrap();
    let said = |need: &Need, key: &str| need.context.get(key).unwrap_or_default().join(",");
    let table: Vec<_> = needs
        .iter()
        .map(|need| {
            let keys =
                ["kms:EncryptionContext:tenant", "kms:EncryptionContextKeys", "kms:ReEncryptOnSameKey"];
            (need.action.as_str(), need.resource.as_str(), keys.map(|key| said(need, key)))
        })
        .collect();
    let texts = |texts: [&str; 3]| texts.map(str::to_owned);
    assert_eq!(
        table,
        [
            ("kms:ReEncryptFrom", ARN, texts(["acme", "tenant", "true"])),
            ("kms:ReEncryptTo", ARN, texts(["globex", "more,tenant", "true"])),
        ]
    );
    for (member, value) in [
        ("DestinationKeyId", json!("alias/other")),
        ("DestinationEncryptionContext", json!({ "tenant": "a", "Tenant": "b" })),
        ("EncryptionContext", acme.clone()),
        ("KeyId", json!(ARN)),
        ("DryRun", json!(true)),
    ] {
        let mut bad = body.clone();
        bad.as_object_mut().unwrap().insert(member.to_owned(), value);
        assert!(kms.needs("ReEncrypt", &bad).is_err(), "{member}");
    }
}

#[tokio::test]
async fn a_key_that_was_wrapped_anew_is_the_same_key_under_the_context_that_it_was_given() {
    let kms = kms(None).await;
    let (acme, globex) = (json!({ "tenant": "acme" }), json!({ "tenant": "globex" }));
    let made = kms
        .serve("GenerateDataKey", json!({ "KeyId": ARN, "EncryptionContext": acme, "KeySpec": "AES_256" }))
        .await;
    let blob = text(&made, "CiphertextBlob");
    for (source, to, status) in [(&acme, &acme, 200), (&globex, &acme, 400), (&acme, &globex, 200)] {
        let body = json!({ "CiphertextBlob": blob, "SourceKeyId": ARN, "SourceEncryptionContext": source,
            "DestinationKeyId": ARN, "DestinationEncryptionContext": to });
        let anew = kms.serve("ReEncrypt", body).await;
        assert_eq!(anew.status, status, "{source} {to}");
        if status == 200 {
            assert_ne!(text(&anew, "CiphertextBlob"), blob);
            let open = |context: &Value| json!({ "CiphertextBlob": text(&anew, "CiphertextBlob"), "EncryptionContext": context });
            assert_eq!(text(&kms.serve("Decrypt", open(to)).await, "Plaintext"), text(&made, "Plaintext"));
            let other = if to == &acme { &globex } else { &acme };
            assert_eq!(kms.serve("Decrypt", open(other)).await.status, 400);
        }
    }
}

#[tokio::test]
async fn a_kept_key_opens_what_it_sealed_before_and_is_its_owners_alone() {
    let folder = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    std::fs::create_dir(&folder).unwrap();
    let sealed =
        kms(Some(&folder)).await.serve("Encrypt", json!({ "KeyId": ARN, "Plaintext": "aGk=" })).await;
    let open = json!({ "KeyId": ARN, "CiphertextBlob": text(&sealed, "CiphertextBlob") });
    assert_eq!(text(&kms(Some(&folder)).await.serve("Decrypt", open.clone()).await, "Plaintext"), "aGk=");
    assert_eq!(kms(None).await.serve("Decrypt", open).await.status, 400);
    #[cfg(unix)]
    {
        let mode = std::fs::metadata(folder.join(FILE)).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    }
    std::fs::remove_dir_all(folder).unwrap();
}
