//! Texts of a policy: literals, wildcards and variables.

use super::Context;

/// A text of a policy, before its variables have values.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Token(Token),
    /// The condition key of a `${variable}`, lower case.
    Variable(String),
}

/// A text of a policy that is ready to be compared.
#[derive(Debug, Clone)]
pub(super) struct Resolved(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    AnyOne,
    AnyMany,
}

/// What `*` and `?` are in a text of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcards {
    Match,
    Literal,
}

impl Pattern {
    /// Reads a text with `${key}`, `${*}`, `${?}` and `${$}`; the error says what is wrong with it.
    pub(super) fn parse(text: &str, wildcards: Wildcards) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, opened)) = rest.split_once("${") {
            parts.extend(tokens(before, wildcards).map(Part::Token));
            let Some((name, after)) = opened.split_once('}') else {
                return Err(format!("the variable in {text:?} is not closed"));
            };
            parts.push(match name {
                "*" => Part::Token(Token::Char('*')),
                "?" => Part::Token(Token::Char('?')),
                "$" => Part::Token(Token::Char('$')),
                _ if name.contains([',', '\'']) => {
                    return Err(format!("the variable in {text:?} has a default, which is not understood"));
                }
                _ => Part::Variable(name.to_lowercase()),
            });
            rest = after;
        }
        parts.extend(tokens(rest, wildcards).map(Part::Token));
        Ok(Self(parts))
    }

    /// The condition keys of its variables, lower case.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Token(_) => None,
            Part::Variable(key) => Some(key.as_str()),
        })
    }

    /// Fills in the variables; `None` if one of them has not exactly one value.
    ///
    /// Values are literals: a `*` in a tag that a caller chose is never a wildcard.
    pub(super) fn resolve(&self, context: &Context) -> Option<Resolved> {
        let mut resolved = Vec::with_capacity(self.0.len());
        for part in &self.0 {
            match part {
                Part::Token(token) => resolved.push(*token),
                Part::Variable(key) => {
                    let [value] = context.get(key)? else { return None };
                    resolved.extend(value.chars().map(Token::Char));
                }
            }
        }
        Some(Resolved(resolved))
    }
}

impl Resolved {
    /// A text without variables, compared without case.
    pub(super) fn without_case(text: &str) -> Self {
        Self(tokens(text, Wildcards::Match).collect()).lower_case()
    }

    /// Lower case, to be matched with texts of lower case.
    pub(super) fn lower_case(&self) -> Self {
        let mut lowered = Vec::with_capacity(self.0.len());
        for token in &self.0 {
            match token {
                Token::Char(letter) => lowered.extend(letter.to_lowercase().map(Token::Char)),
                Token::AnyOne | Token::AnyMany => lowered.push(*token),
            }
        }
        Self(lowered)
    }

    /// Whether the whole of a text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        matches(&self.0, &text.chars().collect::<Vec<_>>())
    }

    /// Whether an ARN matches field by field, so that no wildcard reaches over a colon of the first five; `None` if the
    /// pattern has not the six fields of an ARN.
    pub(super) fn matches_arn(&self, arn: &str) -> Option<bool> {
        let mut wanted = self.0.splitn(ARN_FIELDS, |token| *token == Token::Char(':'));
        let mut given = arn.splitn(ARN_FIELDS, ':');
        let mut all = true;
        for _ in 0..ARN_FIELDS {
            let field = wanted.next()?;
            all &= given.next().is_some_and(|text| matches(field, &text.chars().collect::<Vec<_>>()));
        }
        Some(all)
    }
}

/// `arn:partition:service:region:account:resource`; the resource may have colons of its own.
const ARN_FIELDS: usize = 6;

/// Lower case in the way of `Resolved::lower_case`: letter by letter, without the final sigma of `str::to_lowercase`.
pub(super) fn lower_case(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn tokens(text: &str, wildcards: Wildcards) -> impl Iterator<Item = Token> {
    text.chars().map(move |letter| match (letter, wildcards) {
        ('*', Wildcards::Match) => Token::AnyMany,
        ('?', Wildcards::Match) => Token::AnyOne,
        _ => Token::Char(letter),
    })
}

fn matches(pattern: &[Token], text: &[char]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // What follows the last `*`, and the text where it was last tried: going back to earlier ones is never needed.
    let mut retry: Option<(&[Token], &[char])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => return true,
            (Some((Token::AnyMany, rest)), _) => {
                retry = Some((rest, text));
                pattern = rest;
            }
            (Some((token, rest)), Some((letter, after)))
                if *token == Token::AnyOne || *token == Token::Char(*letter) =>
            {
                pattern = rest;
                text = after;
            }
            _ => {
                let Some((rest, tried)) = retry else { return false };
                let Some((_, after)) = tried.split_first() else { return false };
                retry = Some((rest, after));
                pattern = rest;
                text = after;
            }
        }
    }
}
