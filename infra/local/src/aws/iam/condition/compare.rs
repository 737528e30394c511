//! What an operator compares, and how.

use std::cmp::Ordering;

use crate::aws::iam::Context;
use crate::aws::iam::pattern::{Pattern, Resolved, Wildcards, lower_case};
use crate::aws::iam::truth::Truth;

/// An operator without its prefix and suffix, and its operands.
#[derive(Debug, Clone)]
pub(super) enum Comparison {
    Text(TextOperator, Vec<Pattern>),
    Number(NumberOperator, Vec<f64>),
    Bool(Vec<bool>),
    Null(Vec<bool>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextOperator {
    Equals,
    NotEquals,
    EqualsIgnoreCase,
    Like,
    NotLike,
    /// `ArnLike` and `ArnEquals`, which AWS treats alike.
    Arn,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum NumberOperator {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

/// Operands whose variables have values.
#[derive(Debug)]
pub(super) enum Operands<'a> {
    Text(TextOperator, Vec<Resolved>),
    Number(NumberOperator, &'a [f64]),
    Bool(&'a [bool]),
}

impl Comparison {
    /// Reads an operator; `None` if it is unknown. The error says which operand it can't compare with.
    pub(super) fn parse(name: &str, operands: &[String]) -> Result<Option<Self>, String> {
        let comparison = match name {
            "StringEquals" => text(TextOperator::Equals, operands)?,
            "StringNotEquals" => text(TextOperator::NotEquals, operands)?,
            "StringEqualsIgnoreCase" => text(TextOperator::EqualsIgnoreCase, operands)?,
            "StringLike" => text(TextOperator::Like, operands)?,
            "StringNotLike" => text(TextOperator::NotLike, operands)?,
            "ArnLike" | "ArnEquals" => text(TextOperator::Arn, operands)?,
            "NumericEquals" => number(NumberOperator::Equals, operands)?,
            "NumericLessThan" => number(NumberOperator::LessThan, operands)?,
            "NumericLessThanEquals" => number(NumberOperator::LessThanEquals, operands)?,
            "NumericGreaterThan" => number(NumberOperator::GreaterThan, operands)?,
            "NumericGreaterThanEquals" => number(NumberOperator::GreaterThanEquals, operands)?,
            "Bool" => Self::Bool(read_all(operands, read_bool)?),
            "Null" => Self::Null(read_all(operands, read_bool)?),
            _ => return Ok(None),
        };
        Ok(Some(comparison))
    }

    /// Whether a value passes by being like none of the operands.
    pub(super) const fn is_negated(&self) -> bool {
        matches!(self, Self::Text(TextOperator::NotEquals | TextOperator::NotLike, _))
    }

    /// The operands that may have variables: AWS has them in texts and ARNs only.
    pub(super) fn patterns(&self) -> &[Pattern] {
        match self {
            Self::Text(_, patterns) => patterns,
            Self::Number(..) | Self::Bool(_) | Self::Null(_) => &[],
        }
    }

    /// Fills in the variables; `None` if one has no value, or for `Null`, which compares nothing.
    pub(super) fn resolve(&self, context: &Context) -> Option<Operands<'_>> {
        match self {
            Self::Text(operator, patterns) => {
                let resolved =
                    patterns.iter().map(|pattern| pattern.resolve(context)).collect::<Option<_>>()?;
                Some(Operands::Text(*operator, resolved))
            }
            Self::Number(operator, numbers) => Some(Operands::Number(*operator, numbers)),
            Self::Bool(wanted) => Some(Operands::Bool(wanted)),
            Self::Null(_) => None,
        }
    }
}

impl Operands<'_> {
    /// Whether a value is like one of the operands, before any negation; `Unknown` if they can't be compared.
    pub(super) fn any_equals(&self, value: &str) -> Truth {
        match self {
            Self::Text(operator, patterns) => {
                Truth::any(patterns.iter().map(|pattern| operator.compare(pattern, value)))
            }
            Self::Number(operator, numbers) => read_number(value).map_or(Truth::Unknown, |value| {
                numbers.iter().any(|number| operator.accepts(value.partial_cmp(number))).into()
            }),
            Self::Bool(wanted) => {
                read_bool(value).map_or(Truth::Unknown, |value| wanted.contains(&value).into())
            }
        }
    }
}

impl TextOperator {
    const fn wildcards(self) -> Wildcards {
        match self {
            Self::Equals | Self::NotEquals | Self::EqualsIgnoreCase => Wildcards::Literal,
            Self::Like | Self::NotLike | Self::Arn => Wildcards::Match,
        }
    }

    fn compare(self, pattern: &Resolved, value: &str) -> Truth {
        match self {
            Self::Equals | Self::NotEquals | Self::Like | Self::NotLike => pattern.matches(value).into(),
            Self::EqualsIgnoreCase => pattern.lower_case().matches(&lower_case(value)).into(),
            Self::Arn => pattern.matches_arn(value).map_or(Truth::Unknown, Truth::from),
        }
    }
}

impl NumberOperator {
    const fn accepts(self, ordering: Option<Ordering>) -> bool {
        match self {
            Self::Equals => matches!(ordering, Some(Ordering::Equal)),
            Self::LessThan => matches!(ordering, Some(Ordering::Less)),
            Self::LessThanEquals => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            Self::GreaterThan => matches!(ordering, Some(Ordering::Greater)),
            Self::GreaterThanEquals => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

fn text(operator: TextOperator, operands: &[String]) -> Result<Comparison, String> {
    let patterns = operands.iter().map(|operand| Pattern::parse(operand, operator.wildcards()));
    Ok(Comparison::Text(operator, patterns.collect::<Result<_, _>>()?))
}

fn number(operator: NumberOperator, operands: &[String]) -> Result<Comparison, String> {
    Ok(Comparison::Number(operator, read_all(operands, read_number)?))
}

fn read_all<T>(operands: &[String], read: fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let read =
        |operand: &String| read(operand).ok_or_else(|| format!("the operand {operand:?} is of another type"));
    operands.iter().map(read).collect()
}

fn read_number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

fn read_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}
