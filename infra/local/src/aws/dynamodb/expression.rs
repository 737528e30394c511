//! Expressions, read as far as authorisation needs: which attributes they touch, and which partition a query names.

use std::collections::{BTreeMap, BTreeSet};

use super::{Malformed, members::wrong};

/// `#short` to attribute, as in `ExpressionAttributeNames`.
pub(super) type Names = BTreeMap<String, String>;

/// Every function that an expression may call.
const FUNCTIONS: [&str; 8] = [
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "if_not_exists",
    "list_append",
    "size",
];

/// Words that are never an attribute, in any case, in any expression.
const KEYWORDS: [&str; 9] = ["ADD", "AND", "BETWEEN", "DELETE", "IN", "NOT", "OR", "REMOVE", "SET"];

/// One word or sign.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// As written: a name, a keyword or a function.
    Word(String),
    /// With its `#`.
    Name(String),
    /// With its `:`.
    Value(String),
    /// An index of a list.
    Number,
    Sign(char),
}

/// The attributes at the top level of the item that the expression touches.
///
/// # Errors
/// A sign, a function or a `#short` that is not known.
pub(super) fn attributes(expression: &str, names: &Names) -> Result<BTreeSet<String>, Malformed> {
    let tokens = tokens(expression)?;
    let mut touched = BTreeSet::new();
    let mut before = None;
    for (at, token) in tokens.iter().enumerate() {
        let called = tokens.get(at.saturating_add(1)) == Some(&Token::Sign('('));
        match token {
            Token::Word(word) if is_keyword(word) => {}
            Token::Word(word) if called && FUNCTIONS.contains(&word.as_str()) => {}
            Token::Word(word) if called => return Err(wrong(word)),
            // What follows a dot is inside of the attribute.
            Token::Word(_) | Token::Name(_) if before == Some(&Token::Sign('.')) => {}
            Token::Word(_) | Token::Name(_) => {
                touched.insert(resolve(token, names)?);
            }
            _ => {}
        }
        before = Some(token);
    }
    Ok(touched)
}

/// The `:value` that the partition key must equal: exactly one equality on it, with nothing but `AND` beside it.
///
/// # Errors
/// Any other form.
pub(super) fn partition(expression: &str, names: &Names, partition_key: &str) -> Result<String, Malformed> {
    let tokens = tokens(expression)?;
    let mut rest = tokens.as_slice();
    let mut found = Vec::new();
    loop {
        rest = clause(rest, &mut |name, value| {
            let name = resolve(name, names)?;
            if name == partition_key {
                found.push(value.to_owned());
            }
            Ok(())
        })?;
        match rest {
            [] => break,
            [Token::Word(and), more @ ..] if and.eq_ignore_ascii_case("and") => rest = more,
            _ => return Err(wrong("KeyConditionExpression")),
        }
    }
    match found.as_slice() {
        [value] => Ok(value.clone()),
        _ => Err(wrong("KeyConditionExpression")),
    }
}

/// Reads one condition and hands its equality, if it is one, to `equal`; returns what follows.
fn clause<'t>(
    tokens: &'t [Token],
    equal: &mut impl FnMut(&Token, &str) -> Result<(), Malformed>,
) -> Result<&'t [Token], Malformed> {
    use Token::{Name, Sign, Value, Word};
    match tokens {
        [Sign('('), inner @ ..] => match clause(inner, equal)? {
            [Sign(')'), rest @ ..] => Ok(rest),
            // Parentheses around the whole: `(a = :a AND b = :b)`.
            [Word(and), more @ ..] if and.eq_ignore_ascii_case("and") => match conjunction(more, equal)? {
                [Sign(')'), rest @ ..] => Ok(rest),
                _ => Err(wrong("KeyConditionExpression")),
            },
            _ => Err(wrong("KeyConditionExpression")),
        },
        [Word(begins), Sign('('), Word(_) | Name(_), Sign(','), Value(_), Sign(')'), rest @ ..]
            if begins == "begins_with" =>
        {
            Ok(rest)
        }
        [Word(_) | Name(_), Word(between), Value(_), Word(and), Value(_), rest @ ..]
            if between.eq_ignore_ascii_case("between") && and.eq_ignore_ascii_case("and") =>
        {
            Ok(rest)
        }
        [Word(_) | Name(_), Sign('<' | '>'), Sign('='), Value(_), rest @ ..]
        | [Word(_) | Name(_), Sign('<' | '>'), Value(_), rest @ ..] => Ok(rest),
        [name @ (Word(_) | Name(_)), Sign('='), Value(value), rest @ ..] => {
            equal(name, value)?;
            Ok(rest)
        }
        _ => Err(wrong("KeyConditionExpression")),
    }
}

fn conjunction<'t>(
    tokens: &'t [Token],
    equal: &mut impl FnMut(&Token, &str) -> Result<(), Malformed>,
) -> Result<&'t [Token], Malformed> {
    let mut rest = clause(tokens, equal)?;
    while let [Token::Word(and), more @ ..] = rest
        && and.eq_ignore_ascii_case("and")
    {
        rest = clause(more, equal)?;
    }
    Ok(rest)
}

fn resolve(token: &Token, names: &Names) -> Result<String, Malformed> {
    match token {
        Token::Word(word) if !is_keyword(word) => Ok(word.clone()),
        Token::Name(short) => names.get(short).cloned().ok_or_else(|| wrong(short)),
        _ => Err(wrong("an attribute's name")),
    }
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

/// The same words as the store reads: a sign, a space or a letter that is not of its grammar is a refusal here.
fn tokens(expression: &str) -> Result<Vec<Token>, Malformed> {
    let mut tokens = Vec::new();
    let mut left = expression.chars().peekable();
    while let Some(first) = left.next() {
        let mut run = String::from(first);
        while first.is_ascii_alphanumeric() || matches!(first, '_' | '#' | ':') {
            match left.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
                Some(next) => run.push(next),
                None => break,
            }
        }
        tokens.push(match first {
            ' ' | '\t' | '\n' | '\r' => continue,
            '#' if run.len() > 1 => Token::Name(run),
            ':' if run.len() > 1 => Token::Value(run),
            '0'..='9' if run.chars().all(|digit| digit.is_ascii_digit()) => Token::Number,
            'a'..='z' | 'A'..='Z' | '_' => Token::Word(run),
            '=' | '<' | '>' | '+' | '-' | '(' | ')' | '[' | ']' | '.' | ',' => Token::Sign(first),
            _ => return Err(wrong("an expression")),
        });
    }
    Ok(tokens)
}
