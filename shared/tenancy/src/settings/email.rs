//! The e-mails that a tenant's people get: a closed set, each with the variables that it knows. Sending is the SaaS's.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use super::{
    branding::Branding,
    color::ColorName,
    reading::{Faults, Node, shown},
};
use crate::tenant::UnknownWord;

/// Characters of a subject. Source: RFC 5322 § 2.1.1 has lines of at most 998; mail readers show far fewer.
const SUBJECT_CHARS_MAX: usize = 200;
/// Characters of a text.
const TEXT_CHARS_MAX: usize = 10_000;

/// An e-mail that is sent for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EmailTemplate {
    /// `invitation`: somebody is asked to join.
    Invitation,
    /// `welcome`: somebody has joined.
    Welcome,
    /// `quota_warning`: a quota is nearly used up.
    QuotaWarning,
}

/// What stands for a value in a template, as `{{word}}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variable {
    /// `company_name`: that of the branding, which nobody has to give.
    CompanyName,
    /// `recipient_name`
    RecipientName,
    /// `inviter_name`
    InviterName,
    /// `link`: where the recipient goes on.
    Link,
    /// `quota_name`
    QuotaName,
    /// `quota_used`
    QuotaUsed,
    /// `quota_limit`
    QuotaLimit,
}

/// A tenant's own texts of a template; the default counts for one that is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EmailTexts {
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Pattern>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Pattern>,
}

/// A text with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(Variable),
}

/// An e-mail, ready to be sent by the SaaS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Email {
    /// One line.
    pub subject: String,
    /// For readers without HTML.
    pub text: String,
    /// The same for readers with it. All of template and values is escaped.
    pub html: String,
}

impl EmailTemplate {
    /// Every template.
    pub const ALL: [Self; 3] = [Self::Invitation, Self::Welcome, Self::QuotaWarning];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::Welcome => "welcome",
            Self::QuotaWarning => "quota_warning",
        }
    }

    /// The variables that it knows.
    #[must_use]
    pub const fn variables(self) -> &'static [Variable] {
        use Variable::{CompanyName, InviterName, Link, QuotaLimit, QuotaName, QuotaUsed, RecipientName};
        match self {
            Self::Invitation => &[CompanyName, RecipientName, InviterName, Link],
            Self::Welcome => &[CompanyName, RecipientName, Link],
            Self::QuotaWarning => &[CompanyName, RecipientName, QuotaName, QuotaUsed, QuotaLimit],
        }
    }

    /// Subject and text where a tenant has none of its own.
    const fn defaults(self) -> (&'static str, &'static str) {
        match self {
            Self::Invitation => (
                "{{inviter_name}} invites you to {{company_name}}",
                "Hello {{recipient_name}},\n\n{{inviter_name}} invites you to the workspace of {{company_name}}.\n\n\
                 {{link}}",
            ),
            Self::Welcome => (
                "Welcome to {{company_name}}",
                "Hello {{recipient_name}},\n\nyou are now a member of the workspace of {{company_name}}.\n\n{{link}}",
            ),
            Self::QuotaWarning => (
                "{{company_name}}: {{quota_name}} is nearly used up",
                "Hello {{recipient_name}},\n\nthe workspace of {{company_name}} has used {{quota_used}} of \
                 {{quota_limit}} of {{quota_name}}.",
            ),
        }
    }
}

impl FromStr for EmailTemplate {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|template| template.word() == text).ok_or(UnknownWord)
    }
}

impl Serialize for EmailTemplate {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.word())
    }
}

impl Variable {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::CompanyName => "company_name",
            Self::RecipientName => "recipient_name",
            Self::InviterName => "inviter_name",
            Self::Link => "link",
            Self::QuotaName => "quota_name",
            Self::QuotaUsed => "quota_used",
            Self::QuotaLimit => "quota_limit",
        }
    }

    /// What a preview shows for it; the company's name is always the tenant's own.
    #[must_use]
    pub const fn sample(self) -> &'static str {
        match self {
            Self::CompanyName => "Example & Sons",
            Self::RecipientName => "Ada Lovelace",
            Self::InviterName => "Grace Hopper",
            Self::Link => "https://example.com/start?from=mail&step=1",
            Self::QuotaName => "tool calls a month",
            Self::QuotaUsed => "9000",
            Self::QuotaLimit => "10000",
        }
    }
}

impl EmailTexts {
    /// Whether nothing is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.subject.is_none() && self.text.is_none()
    }

    pub(super) fn read(template: EmailTemplate, node: &Node<'_>, faults: &mut Faults) -> Option<Self> {
        let mut members = node.members(faults)?;
        let subject = members.take("subject").and_then(|node| {
            let source = node.line(SUBJECT_CHARS_MAX, faults)?;
            Pattern::read(source, template, |reason| faults.note(&node.path, reason))
        });
        let text = members.take("text").and_then(|node| {
            let source = node.lines(TEXT_CHARS_MAX, faults)?;
            Pattern::read(source, template, |reason| faults.note(&node.path, reason))
        });
        members.end(|_| None, faults);
        Some(Self { subject, text })
    }
}

impl Pattern {
    /// Takes a text apart; `None` after every variable that the template does not know was noted.
    fn read(source: String, template: EmailTemplate, mut note: impl FnMut(String)) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = source.as_str();
        let mut fits = true;
        while let Some((literal, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else {
                note("{{ without }}".to_owned());
                return None;
            };
            let known = template.variables();
            match known.iter().find(|variable| variable.word() == name.trim_matches(' ')) {
                Some(variable) => {
                    parts.push(Part::Literal(literal.to_owned()));
                    parts.push(Part::Variable(*variable));
                }
                None => {
                    let words: Vec<_> = known.iter().map(|variable| variable.word()).collect();
                    note(format!("no variable {}; known here: {}", shown(name), words.join(", ")));
                    fits = false;
                }
            }
            rest = after;
        }
        parts.push(Part::Literal(rest.to_owned()));
        fits.then_some(Self { source, parts })
    }

    fn default_of(source: &str, template: EmailTemplate) -> Self {
        let literal = || Self { source: source.to_owned(), parts: vec![Part::Literal(source.to_owned())] };
        Self::read(source.to_owned(), template, |_| {}).unwrap_or_else(literal)
    }

    fn fill(&self, value_of: &impl Fn(Variable) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Variable(variable) => one_line(&value_of(*variable)),
        };
        self.parts.iter().map(part).collect()
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.source)
    }
}

impl Branding {
    /// An e-mail in the tenant's own words, or in the default ones. Every variable of the template is asked for but the
    /// company's name. A value never ends a line: a subject with a second line would be a header of the sender's choice.
    #[must_use]
    pub fn email(&self, template: EmailTemplate, value_of: impl Fn(Variable) -> String) -> Email {
        let (subject, text) = template.defaults();
        let own = self.emails.get(&template);
        let pattern = |own: Option<&Pattern>, default| {
            own.cloned().unwrap_or_else(|| Pattern::default_of(default, template))
        };
        let value_of = |variable| match variable {
            Variable::CompanyName => self.company_name.clone(),
            other => value_of(other),
        };
        let subject = pattern(own.and_then(|own| own.subject.as_ref()), subject).fill(&value_of);
        let mut text = pattern(own.and_then(|own| own.text.as_ref()), text).fill(&value_of);
        if let Some(product) = self.product {
            text.push_str("\n\n-- \nSent with ");
            text.push_str(product);
        }
        let html = self.html(&text);
        Email { subject, text, html }
    }

    fn html(&self, text: &str) -> String {
        let (background, color) = (self.colors.get(ColorName::Background), self.colors.get(ColorName::Text));
        let lines = Escaped(text).to_string().replace('\n', "<br>\n");
        format!("<div style=\"background-color:{background};color:{color}\">\n{lines}\n</div>")
    }
}

/// The text with whatever ends a line, or controls anything, as a space.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect()
}

/// A text as HTML shows it, in an element or a quoted attribute.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => fmt::Write::write_char(f, other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
