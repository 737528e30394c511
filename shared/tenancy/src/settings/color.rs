//! The colours of a tenant, and whether what has them can be read.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Serialize, Serializer};

use super::reading::{Faults, Node, shown};

/// A colour of sRGB. Its text is `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

/// What a colour is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColorName {
    /// `primary`: buttons and the head of a page.
    Primary,
    /// `accent`: what is to be looked at.
    Accent,
    /// `background`: behind all the others.
    Background,
    /// `text`: what is read.
    Text,
}

/// What each colour but the background needs of contrast to it. Source: WCAG 2.2, criteria 1.4.3 and 1.4.11.
const CONTRASTS: [(ColorName, f64); 3] =
    [(ColorName::Text, 4.5), (ColorName::Primary, 3.0), (ColorName::Accent, 3.0)];

/// The colours of a scheme; one that is not set is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Colors(BTreeMap<ColorName, Color>);

impl ColorName {
    /// Every name.
    pub const ALL: [Self; 4] = [Self::Primary, Self::Accent, Self::Background, Self::Text];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Accent => "accent",
            Self::Background => "background",
            Self::Text => "text",
        }
    }

    const fn default_color(self) -> Color {
        let [red, green, blue] = match self {
            Self::Primary => [0x1d, 0x4e, 0xd8],
            Self::Accent => [0xb4, 0x53, 0x09],
            Self::Background => [0xff, 0xff, 0xff],
            Self::Text => [0x1f, 0x29, 0x33],
        };
        Color { red, green, blue }
    }
}

impl Colors {
    /// The colour of this name.
    #[must_use]
    pub fn get(&self, name: ColorName) -> Color {
        self.0.get(&name).copied().unwrap_or(name.default_color())
    }

    /// Whether all are the defaults.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every colour by its word, also those that are not set.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, Color> {
        ColorName::ALL.into_iter().map(|name| (name.word(), self.get(name))).collect()
    }

    pub(super) fn read(node: &Node<'_>, faults: &mut Faults) -> Option<Self> {
        let mut members = node.members(faults)?;
        let mut colors = Self::default();
        for name in ColorName::ALL {
            let color = members.take(name.word()).and_then(|node| node.parsed(faults));
            colors.0.extend(color.map(|color| (name, color)));
        }
        members.end(|_| None, faults);
        colors.check_contrasts(&node.path, faults);
        Some(colors)
    }

    fn check_contrasts(&self, path: &str, faults: &mut Faults) {
        let background = self.get(ColorName::Background);
        let is_set = |name| self.0.contains_key(&name);
        for (name, least) in CONTRASTS {
            let contrast = self.get(name).contrast(background);
            if contrast < least && (is_set(name) || is_set(ColorName::Background)) {
                // Rounded down, so that what is too little never looks like enough.
                let said = (contrast * 10.0).floor() / 10.0;
                let (color, word) = (self.get(name), name.word());
                let reason = format!(
                    "{color} has a contrast of {said:.1} to the background {background}, of at least {least:.1}"
                );
                faults.note(&format!("{path}.{word}"), reason);
            }
        }
    }
}

impl Serialize for Colors {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(self.0.iter().map(|(name, color)| (name.word(), color)))
    }
}

impl Color {
    /// From 1 for two that are the same to 21 for black and white. Source: WCAG 2.2, "contrast ratio".
    fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// Source: WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let channel = f64::from(channel) / 255.0;
            if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

impl Serialize for Color {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl FromStr for Color {
    type Err = ColorError;

    fn from_str(text: &str) -> Result<Self, ColorError> {
        let wrong = || ColorError { shown: shown(text) };
        let digits = text.strip_prefix('#').ok_or_else(wrong)?;
        // `from_str_radix` would take a sign as well.
        let fits = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok().filter(|_| fits).ok_or_else(wrong)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self { red, green, blue })
    }
}

/// A text that is no colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColorError {
    shown: String,
}

impl fmt::Display for ColorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a colour is # and six hexadecimal digits, and this is {}", self.shown)
    }
}

impl std::error::Error for ColorError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn color(text: &str) -> Color {
        text.parse().unwrap()
    }

    #[test]
    fn the_contrasts_are_those_of_wcag() {
        for (one, other, ratio) in [
            ("#000000", "#ffffff", 21.0),
            ("#ffffff", "#ffffff", 1.0),
            // The two greys that stand at both sides of 4.5 on white.
            ("#767676", "#ffffff", 4.54),
            ("#777777", "#ffffff", 4.48),
            ("#0000ff", "#ffffff", 8.59),
            ("#ff0000", "#ffffff", 4.0),
        ] {
            let contrast = color(one).contrast(color(other));
            assert!((contrast - ratio).abs() < 0.005, "{one} on {other}: {contrast}");
        }
    }

    #[test]
    fn the_defaults_can_be_read() {
        let defaults = Colors::default();
        for (name, least) in CONTRASTS {
            assert!(defaults.get(name).contrast(defaults.get(ColorName::Background)) >= least, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_colour_is_read_as_it_is_written(red: u8, green: u8, blue: u8, other: u32) {
            let one = Color { red, green, blue };
            prop_assert_eq!(one.to_string().parse::<Color>(), Ok(one));
            prop_assert_eq!(one.to_string().to_uppercase().parse::<Color>(), Ok(one));
            let [_, red, green, blue] = other.to_be_bytes();
            let other = Color { red, green, blue };
            let contrast = one.contrast(other);
            prop_assert!((1.0..=21.0).contains(&contrast));
            prop_assert!((contrast - other.contrast(one)).abs() < f64::EPSILON);
        }

        #[test]
        fn no_other_text_is_a_colour(text in "#?[0-9a-fA-F+-]{0,8}|\\PC{0,9}") {
            let fits = text.len() == 7 && text.starts_with('#') && text.bytes().skip(1).all(|b| b.is_ascii_hexdigit());
            prop_assert_eq!(text.parse::<Color>().is_ok(), fits);
        }
    }
}
