use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Feature, Overrides, Plan, Tier};

/// A value that only the tests have.
#[derive(Debug, PartialEq, Eq)]
struct Crm(String);

impl FromStr for Crm {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        text.strip_prefix("crm_").map(|id| Self(id.to_owned())).ok_or("an id begins with crm_")
    }
}

impl Integration for Crm {
    const NAME: &'static str = "crm";
}

fn known() -> Integrations {
    Integrations::default().with::<Crm>()
}

fn faults(document: &Value) -> Vec<(String, String)> {
    match Settings::read(document, &known()) {
        Ok(_) => Vec::new(),
        Err(Problem::Faulty { faults, .. }) => faults.into_iter().map(|one| (one.path, one.reason)).collect(),
        Err(other) => panic!("{other}"),
    }
}

fn whole() -> Value {
    json!({
        "branding": {
            "company_name": "Acme Ltd",
            "colors": { "primary": "#1A2B3C", "accent": "#b45309", "background": "#ffffff", "text": "#000000" },
            "logo": "logo-2",
            "emails": { "invitation": { "subject": "Join {{company_name}}", "text": "Come,\n\tcome: {{link}}" } },
        },
        "integrations": { "crm": "crm_7" },
        "tools": { "confirm_deletes": "allow" },
    })
}

#[test]
fn a_whole_document_is_read_and_written_as_it_was() {
    let settings = Settings::read(&whole(), &known()).unwrap();
    assert_eq!(settings.tools.confirm_deletes, ConfirmDeletes::Allow);
    assert_eq!(settings.integration::<Crm>(), Some(Crm("7".to_owned())));
    let mut expected = whole();
    expected["branding"]["colors"]["primary"] = json!("#1a2b3c");
    let written = serde_json::to_value(&settings).unwrap();
    assert_eq!(written, expected);
    assert_eq!(Settings::read(&written, &known()).unwrap(), settings);
    assert_eq!(Settings::of_stored(&written), settings);
}

#[test]
fn an_empty_document_is_the_default() {
    let settings = Settings::read(&json!({}), &known()).unwrap();
    assert_eq!(settings, Settings::default());
    assert_eq!(serde_json::to_value(&settings).unwrap(), json!({ "tools": { "confirm_deletes": "ask" } }));
}

#[test]
fn every_fault_is_said_at_once_with_its_path_limit_and_value() {
    let document = json!({
        "branding": {
            "company_name": "x".repeat(81),
            "colors": { "primary": "blue", "text": "#ffffff", "border": "#000000" },
            "logo": "../logo",
            "emails": {
                "invitation": { "subject": "a\nb", "text": "{{nobody}}" },
                "goodbye": {},
            },
        },
        "integrations": { "crm": "7", "fax": "1" },
        "tools": { "confirm_deletes": "never" },
        "more": 1,
    });
    let said = faults(&document);
    let expected = [
        ("branding.company_name", "81 characters, of 1 to 80"),
        ("branding.colors.primary", r##"a colour is # and six hexadecimal digits, and this is "blue""##),
        ("branding.colors.border", "unknown; known here: primary, accent, background, text"),
        ("branding.colors.text", "#ffffff has a contrast of 1.0 to the background #ffffff, of at least 4.5"),
        ("branding.logo", "an asset's name has 1 to 64 of a-z, 0-9, - and _; this has 7 bytes"),
        (
            "branding.emails.invitation.subject",
            "the character U+000A, which can't be seen, or changes how others are",
        ),
        (
            "branding.emails.invitation.text",
            r#"no variable "nobody"; known here: company_name, recipient_name, inviter_name, link"#,
        ),
        ("branding.emails.goodbye", "unknown; known here: invitation, welcome, quota_warning"),
        ("integrations.crm", "an id begins with crm_"),
        ("integrations.fax", "unknown; known here: crm"),
        ("tools.confirm_deletes", r#"one of ask and allow, and this is "never""#),
        ("more", "unknown; known here: branding, integrations, tools"),
    ];
    let said: Vec<_> = said.iter().map(|(path, reason)| (path.as_str(), reason.as_str())).collect();
    assert_eq!(said, expected);
}

#[test]
fn what_the_operator_sets_says_who_can_change_it() {
    for key in OPERATORS {
        let said = faults(&json!({ key: "business" }));
        assert_eq!(said.len(), 1);
        assert!(said[0].0 == key && said[0].1.contains("its operator sets it"), "{said:?}");
    }
    // Only where the operator's have a name: deeper down it is any unknown one.
    assert_eq!(faults(&json!({ "tools": { "tier": 1 } }))[0].1, "unknown; known here: confirm_deletes");
}

#[test]
fn a_value_of_another_type_is_named_with_its_own() {
    for (document, path, reason) in [
        (json!([]), ".", "an object is expected, not an array"),
        (json!(null), ".", "an object is expected, not null"),
        (json!({ "branding": 1 }), "branding", "an object is expected, not a number"),
        (json!({ "branding": { "logo": null } }), "branding.logo", "a text is expected, not null"),
        (
            json!({ "branding": { "colors": true } }),
            "branding.colors",
            "an object is expected, not a boolean",
        ),
        (json!({ "integrations": { "crm": {} } }), "integrations.crm", "a text is expected, not an object"),
    ] {
        assert_eq!(faults(&document), [(path.to_owned(), reason.to_owned())]);
    }
}

#[test]
fn a_text_that_hides_something_is_refused_and_its_twin_is_not() {
    let name = |name: &str| faults(&json!({ "branding": { "company_name": name } }));
    for fine in ["Acme", "株式会社", "می‌خواهم", "A", &"é".repeat(80)] {
        assert_eq!(name(fine), [], "{fine}");
    }
    for wrong in [
        "",
        " Acme",
        "Acme ",
        "a\u{202E}b",
        "a\u{0}b",
        "a\u{7F}",
        "a\u{FEFF}b",
        "a\u{E0041}",
        &"é".repeat(81),
    ] {
        assert_eq!(name(wrong).len(), 1, "{wrong:?}");
    }
}

#[test]
fn a_document_has_64_kib_and_faults_are_said_up_to_a_hundred() {
    let of = |bytes: usize| json!({ "a": "x".repeat(bytes - r#"{"a":""}"#.len()) });
    assert_eq!(faults(&of(SETTINGS_BYTES_MAX)).len(), 1);
    let over = Settings::read(&of(SETTINGS_BYTES_MAX + 1), &known()).unwrap_err();
    assert_eq!(over.to_string(), "the settings document has 65537 bytes, and at most 65536 are allowed");
    let many = |count: usize| (0..count).map(|n| (format!("k{n}"), json!(1))).collect::<Value>();
    assert_eq!(faults(&many(100)).len(), 100);
    let said = faults(&many(107));
    assert_eq!((said.len(), said[100].1.as_str()), (101, "and 7 faults more"));
}

#[test]
fn a_hostile_name_is_quoted_and_cut() {
    let said = faults(&json!({ "a\n\"b\u{202E}": 1, "n".repeat(5_000): 1 }));
    assert_eq!(said[0].0, r#""a\n\"b\u{202e}""#);
    assert!(said[1].0.chars().count() < 50 && said[1].0.ends_with("…\""), "{}", said[1].0);
}

#[test]
fn what_another_version_kept_is_passed_over() {
    let stored = json!({
        "branding": { "company_name": "Acme", "colors": { "primary": "oklch(1 2 3)" }, "motto": "x" },
        "integrations": { "crm": "7", "telex": "1", "fax": 1 },
        "tools": { "confirm_deletes": "sometimes" },
        "moods": [],
    });
    let settings = Settings::of_stored(&stored);
    assert_eq!(settings.branding.company_name.as_deref(), Some("Acme"));
    assert_eq!(settings.branding.colors, Colors::default());
    assert_eq!(settings.integration::<Crm>(), None, "it is none of today's grammar");
    assert_eq!(settings.tools, ToolSettings::default());
    let written = serde_json::to_value(Settings::knowing(&stored, &known())).unwrap();
    assert!(Settings::read(&written, &known()).is_ok(), "{written}");
}

#[test]
fn branding_counts_with_its_feature_and_the_product_is_named_without_white_label() {
    let branding = Settings::read(&whole(), &known()).unwrap().branding;
    let nameless = BrandingSettings::default();
    for (custom, white, of, name, product) in [
        (true, false, &branding, "Acme Ltd", Some(PRODUCT)),
        (true, true, &branding, "Acme Ltd", None),
        (false, false, &branding, PRODUCT, Some(PRODUCT)),
        (false, true, &branding, "Workspace", None),
        (true, true, &nameless, "Workspace", None),
    ] {
        let overrides = Overrides::default()
            .with(Feature::CustomBranding, Some(custom))
            .with(Feature::WhiteLabel, Some(white));
        let shown = of.clone().under(&Plan { overrides, ..Plan::of(Tier::Free, 1) });
        assert_eq!((shown.company_name.as_str(), shown.product), (name, product), "{custom} {white}");
        assert_eq!(shown.logo.is_some(), custom && of.logo.is_some());
        assert_eq!(shown.colors.is_empty(), !custom || of.colors.is_empty());
    }
}

/// Anything that JSON can be, often with names that the document knows.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}|#[0-9a-f]{6}|ask|allow|crm_[a-z]{1,3}|\\{\\{[a-z_]{0,9}\\}\\}|[\\x00-\\x1f]{1,3}"
            .prop_map(Value::from),
    ];
    let name = "branding|colors|primary|text|background|company_name|logo|emails|invitation|subject|integrations|crm\
                |tools|confirm_deletes|tier|[a-z]{0,3}|\\PC{0,3}";
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_taken_is_read_again_as_itself(document in any_json()) {
        if let Ok(settings) = Settings::read(&document, &known()) {
            let written = serde_json::to_value(&settings).unwrap();
            prop_assert_eq!(&Settings::read(&written, &known()).unwrap(), &settings);
            prop_assert_eq!(Settings::of_stored(&written), settings);
        }
    }

    #[test]
    fn whatever_was_kept_is_read_as_what_could_be_set(document in any_json()) {
        // Colours that another version took may be too pale for this one, and are kept.
        let settings = Settings::knowing(&document, &known());
        let written = serde_json::to_value(&settings).unwrap();
        match Settings::read(&written, &known()) {
            Ok(again) => prop_assert_eq!(again, settings),
            Err(Problem::Faulty { faults, .. }) => {
                prop_assert!(faults.iter().all(|one| one.path.starts_with("branding.colors.")), "{faults:?}");
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
