use super::*;

#[test]
fn a_name_is_lower_case_and_is_never_the_directorys() {
    for name in ["a", "slack_webhook", "key2", &"a".repeat(64)] {
        assert_eq!(name.parse::<SecretName>().map(|name| name.id().unwrap().to_string()).unwrap(), name);
    }
    for wrong in ["", "2key", "_key", "Slack", "a-b", "a b", "a#b", "é", DIRECTORY, &"a".repeat(65)] {
        assert!(wrong.parse::<SecretName>().is_err(), "{wrong}");
    }
}

#[test]
fn a_wrong_name_is_not_said_again() {
    let problem = Problem::from("https://hooks.slack.com/T0".parse::<SecretName>().unwrap_err());
    let said = problem.to_string();
    assert!(said.contains("64") && said.contains("26 bytes") && !said.contains("hooks"), "{said}");
}

#[test]
fn a_value_has_one_byte_to_64_kib() {
    let check = |bytes: usize| check_value(&SecretString::from("x".repeat(bytes)));
    assert!(check(1).is_ok() && check(SECRET_BYTES_MAX).is_ok());
    assert_eq!(check(0).unwrap_err().to_string(), "value: at least 1 byte");
    let over = check(SECRET_BYTES_MAX + 1).unwrap_err();
    assert_eq!(over.to_string(), "the secret has 65537 bytes, and at most 65536 are allowed");
}
