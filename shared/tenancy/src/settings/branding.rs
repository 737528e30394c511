//! How a tenant shows itself: what its admins set, and what counts of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    color::Colors,
    email::{EmailTemplate, EmailTexts},
    reading::{Faults, Node},
};
use crate::{Feature, Plan, scope::AssetName};

/// The name of the product, which every tenant sees that has no white label. A SaaS puts its own here.
pub const PRODUCT: &str = "Insula";
/// What a tenant is called that has white label and no name.
const NAMELESS: &str = "Workspace";
/// Characters of a company's name.
const COMPANY_CHARS_MAX: usize = 80;

/// What a tenant's admins set of its branding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BrandingSettings {
    /// One line of 1 to 80 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_name: Option<String>,
    /// Those that can be read on the background.
    #[serde(skip_serializing_if = "Colors::is_empty")]
    pub colors: Colors,
    /// An asset of the tenant's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo: Option<AssetName>,
    /// The tenant's own texts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub emails: BTreeMap<EmailTemplate, EmailTexts>,
}

/// The branding that counts: the tenant's own with [`Feature::CustomBranding`], else the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branding {
    /// The company's name, or what stands for it.
    pub company_name: String,
    /// The colours.
    pub colors: Colors,
    /// The logo, an asset of the tenant's.
    pub logo: Option<AssetName>,
    /// The product's name, where it may be shown: nowhere with [`Feature::WhiteLabel`].
    pub product: Option<&'static str>,
    pub(super) emails: BTreeMap<EmailTemplate, EmailTexts>,
}

impl BrandingSettings {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn read(node: &Node<'_>, faults: &mut Faults) -> Option<Self> {
        let mut members = node.members(faults)?;
        let company_name = members.take("company_name").and_then(|node| node.line(COMPANY_CHARS_MAX, faults));
        let colors = members.take("colors").and_then(|node| Colors::read(&node, faults));
        let logo = members.take("logo").and_then(|node| node.parsed(faults));
        let emails = members.take("emails").and_then(|node| read_emails(&node, faults));
        members.end(|_| None, faults);
        Some(Self {
            company_name,
            colors: colors.unwrap_or_default(),
            logo,
            emails: emails.unwrap_or_default(),
        })
    }

    /// What of this counts under a plan.
    pub(crate) fn under(self, plan: &Plan) -> Branding {
        let own = if plan.has(Feature::CustomBranding) { self } else { Self::default() };
        let product = (!plan.has(Feature::WhiteLabel)).then_some(PRODUCT);
        let Self { company_name, colors, logo, emails } = own;
        let company_name = company_name.unwrap_or_else(|| product.unwrap_or(NAMELESS).to_owned());
        Branding { company_name, colors, logo, product, emails }
    }
}

fn read_emails(node: &Node<'_>, faults: &mut Faults) -> Option<BTreeMap<EmailTemplate, EmailTexts>> {
    let mut members = node.members(faults)?;
    let mut emails = BTreeMap::new();
    for template in EmailTemplate::ALL {
        let texts = members.take(template.word()).and_then(|node| EmailTexts::read(template, &node, faults));
        emails.extend(texts.filter(|texts| !texts.is_empty()).map(|texts| (template, texts)));
    }
    members.end(|_| None, faults);
    Some(emails)
}
