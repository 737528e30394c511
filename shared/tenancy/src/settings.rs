//! The settings of a tenant: the one document that its admins may change.
//!
//! It is read as a whole, and everything that is wrong with it is said at once. What the operator decides is not in it.

use std::{collections::BTreeMap, str::FromStr};

use serde::Serialize;
use serde_json::Value;

use crate::{Problem, tenant::UnknownWord};

mod branding;
mod color;
mod email;
mod integrations;
mod reading;

pub use branding::{Branding, BrandingSettings, PRODUCT};
pub use color::{Color, ColorError, ColorName, Colors};
pub use email::{Email, EmailTemplate, EmailTexts, Pattern, Variable};
pub use integrations::{Integration, Integrations};
pub use reading::Fault;
pub(crate) use reading::Faults;
use reading::{Node, shown};

/// Bytes of the document.
pub const SETTINGS_BYTES_MAX: usize = 64 * 1024;
/// What the document is called in a message.
pub(crate) const KIND: &str = "settings document";
/// Names of what only the operator sets.
const OPERATORS: [&str; 7] = ["tier", "features", "quotas", "limits", "status", "placement", "epoch"];

/// What a tenant's admins have set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// How the tenant shows itself. It counts with [`crate::Feature::CustomBranding`].
    #[serde(skip_serializing_if = "BrandingSettings::is_empty")]
    pub branding: BrandingSettings,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    integrations: BTreeMap<String, String>,
    /// How tools behave.
    pub tools: ToolSettings,
}

/// How tools behave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ToolSettings {
    /// Whether a tool by which something is lost, be it deleted or replaced, asks first.
    pub confirm_deletes: ConfirmDeletes,
}

/// What becomes of a deletion or replacement that a model asks for, where the client can't ask its user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmDeletes {
    /// `ask`: it is refused.
    #[default]
    Ask,
    /// `allow`: it is done.
    Allow,
}

impl FromStr for ConfirmDeletes {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "ask" => Ok(Self::Ask),
            "allow" => Ok(Self::Allow),
            _ => Err(UnknownWord),
        }
    }
}

impl Settings {
    /// Reads a document that an admin sent.
    ///
    /// # Errors
    /// [`Problem::Faulty`] with everything that is wrong; [`Problem::TooLarge`] over 64 KiB.
    pub fn read(document: &Value, known: &Integrations) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let settings = Self::gather(document, known, &mut faults)?;
        faults.check(KIND)?;
        Ok(settings)
    }

    /// As [`Settings::read`], for who has more to note.
    pub(crate) fn gather(
        document: &Value,
        known: &Integrations,
        faults: &mut Faults,
    ) -> Result<Self, Problem> {
        let bytes = document.to_string().len();
        if bytes > SETTINGS_BYTES_MAX {
            return Err(Problem::TooLarge { what: KIND, bytes_max: SETTINGS_BYTES_MAX, bytes });
        }
        Ok(Self::of(&Node::root(document), |node, faults| known.read(node, faults), faults))
    }

    /// Reads a document that is kept. What this version of the program does not know is passed over: it was written by
    /// another, and must not end every call of its tenant.
    pub(crate) fn of_stored(document: &Value) -> Self {
        Self::of(&Node::root(document), |node, _| integrations::read_any(node), &mut Faults::default())
    }

    /// The same with the integrations that are known alone.
    pub(crate) fn knowing(document: &Value, known: &Integrations) -> Self {
        let known = |node: &Node<'_>, faults: &mut Faults| known.read(node, faults);
        Self::of(&Node::root(document), known, &mut Faults::default())
    }

    fn of(
        node: &Node<'_>,
        integrations: impl Fn(&Node<'_>, &mut Faults) -> Option<BTreeMap<String, String>>,
        faults: &mut Faults,
    ) -> Self {
        let Some(mut members) = node.members(faults) else { return Self::default() };
        let branding = members.take("branding").and_then(|node| BrandingSettings::read(&node, faults));
        let integrations = members.take("integrations").and_then(|node| integrations(&node, faults));
        let tools = members.take("tools").and_then(|node| ToolSettings::read(&node, faults));
        members.end(operators, faults);
        Self {
            branding: branding.unwrap_or_default(),
            integrations: integrations.unwrap_or_default(),
            tools: tools.unwrap_or_default(),
        }
    }

    /// What the tenant is connected to by this integration, if an admin has set it.
    #[must_use]
    pub fn integration<I: Integration>(&self) -> Option<I> {
        self.integrations.get(I::NAME)?.parse().ok()
    }
}

impl ToolSettings {
    fn read(node: &Node<'_>, faults: &mut Faults) -> Option<Self> {
        let mut members = node.members(faults)?;
        let confirm_deletes = members.take("confirm_deletes").and_then(|node| {
            let text = node.text(faults)?;
            let word = text.parse().ok();
            if word.is_none() {
                faults.note(&node.path, format!("one of ask and allow, and this is {}", shown(text)));
            }
            word
        });
        members.end(|_| None, faults);
        Some(Self { confirm_deletes: confirm_deletes.unwrap_or_default() })
    }
}

/// Why a member of the document is not the tenant's to set.
fn operators(name: &str) -> Option<String> {
    let is_theirs = OPERATORS.contains(&name);
    is_theirs.then(|| {
        format!(
            "{name} is not a setting of the workspace: its operator sets it, and can be asked to change it"
        )
    })
}

#[cfg(test)]
mod tests;
