use proptest::prelude::*;

use super::*;
use crate::{Feature, Overrides, Plan, Tier, settings::BrandingSettings};

fn branding(product: bool) -> Branding {
    let overrides = Overrides::default().with(Feature::WhiteLabel, Some(!product));
    let own = BrandingSettings { company_name: Some("Acme <Ltd>".to_owned()), ..BrandingSettings::default() };
    own.under(&Plan { overrides, ..Plan::of(Tier::Professional, 1) })
}

fn with_texts(subject: &str, text: &str) -> Branding {
    let mut own = branding(false);
    let read = |source: &str| Pattern::read(source.to_owned(), EmailTemplate::Invitation, |_| {});
    own.emails.insert(EmailTemplate::Invitation, EmailTexts { subject: read(subject), text: read(text) });
    own
}

fn sample(variable: Variable) -> String {
    variable.sample().to_owned()
}

fn reasons(source: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    let read = Pattern::read(source.to_owned(), EmailTemplate::Welcome, |reason| reasons.push(reason));
    assert_eq!(read.is_none(), !reasons.is_empty(), "{source}");
    reasons
}

#[test]
fn every_default_knows_all_of_its_variables() {
    for template in EmailTemplate::ALL {
        let (subject, text) = template.defaults();
        for source in [subject, text] {
            let mut noted = Vec::new();
            assert!(Pattern::read(source.to_owned(), template, |reason| noted.push(reason)).is_some());
            assert!(noted.is_empty(), "{noted:?}");
        }
        let email = branding(true).email(template, sample);
        for rendered in [&email.subject, &email.text, &email.html] {
            assert!(!rendered.contains("{{") && !rendered.is_empty(), "{rendered}");
        }
        assert_eq!(template.word().parse(), Ok(template));
    }
}

#[test]
fn every_unknown_variable_is_said_with_those_that_are_known() {
    assert!(reasons("Hello {{recipient_name}} of {{ company_name }}, {a} }} {").is_empty());
    let said = reasons("{{name}} {{recipient_name}} {{quota_used}} {{}}");
    assert_eq!(
        said,
        [
            r#"no variable "name"; known here: company_name, recipient_name, link"#,
            r#"no variable "quota_used"; known here: company_name, recipient_name, link"#,
            r#"no variable ""; known here: company_name, recipient_name, link"#,
        ]
    );
    assert_eq!(reasons("Hello {{recipient_name"), ["{{ without }}"]);
}

#[test]
fn a_value_is_text_in_html_and_one_line_in_a_subject() {
    let own = with_texts("For {{recipient_name}}", "<b>{{recipient_name}}</b>\n{{company_name}}");
    let email = own.email(EmailTemplate::Invitation, |_| "<script>\r\nBcc: all@example.com'\"&".to_owned());
    assert_eq!(email.subject, "For <script>  Bcc: all@example.com'\"&");
    assert_eq!(email.text, "<b><script>  Bcc: all@example.com'\"&</b>\nAcme <Ltd>");
    assert_eq!(
        email.html,
        "<div style=\"background-color:#ffffff;color:#1f2933\">\n&lt;b&gt;&lt;script&gt;  Bcc: \
         all@example.com&#39;&quot;&amp;&lt;/b&gt;<br>\nAcme &lt;Ltd&gt;\n</div>"
    );
}

#[test]
fn a_value_that_looks_like_a_variable_is_none() {
    let email =
        with_texts("{{inviter_name}}", "x").email(EmailTemplate::Invitation, |variable| match variable {
            Variable::InviterName => "{{link}}".to_owned(),
            other => sample(other),
        });
    assert_eq!(email.subject, "{{link}}");
}

#[test]
fn white_label_takes_the_name_of_the_product_away() {
    for template in EmailTemplate::ALL {
        let shown = branding(true).email(template, sample);
        assert!(shown.text.ends_with("\n\n-- \nSent with Insula") && shown.html.contains("Insula"));
        let hidden = serde_json::to_string(&branding(false).email(template, sample)).unwrap();
        assert!(!hidden.to_lowercase().contains("insula"), "{hidden}");
    }
}

proptest! {
    #[test]
    fn nothing_of_a_template_or_a_value_becomes_html(source in "\\PC{0,40}", value in "\\PC{0,40}|[<>&\"'\n\r]{0,9}") {
        let text = format!("{}{{{{recipient_name}}}}", source.replace('{', "("));
        let email = with_texts("x", &text).email(EmailTemplate::Invitation, |_| value.clone());
        let inner = email.html.strip_prefix("<div style=\"background-color:#ffffff;color:#1f2933\">\n").unwrap();
        let inner = inner.strip_suffix("\n</div>").unwrap().replace("<br>\n", "\n");
        prop_assert!(!inner.contains(['<', '>', '"', '\'']));
        let back = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
        prop_assert_eq!(back.replace("&amp;", "&"), email.text);
    }

    #[test]
    fn a_subject_is_one_line_whatever_the_values_are(value in "[\\x00-\\x1f\\x7f-\\x{9f}\u{2028}\u{2029}a]{0,20}") {
        let email = with_texts("{{link}}", "x").email(EmailTemplate::Invitation, |_| value.clone());
        let ends = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
        prop_assert!(!email.subject.contains(ends), "{}", email.subject);
    }

    #[test]
    fn any_text_is_a_pattern_or_has_a_reason(source in "(\\{\\{|\\}\\}|[a-z_ ]{0,6}|company_name){0,8}") {
        let mut noted = 0_usize;
        let read = Pattern::read(source.clone(), EmailTemplate::Welcome, |_| noted = noted.saturating_add(1));
        prop_assert_eq!(read.is_none(), noted > 0);
        if let Some(pattern) = read {
            prop_assert_eq!(serde_json::to_value(&pattern).unwrap(), source);
        }
    }
}
