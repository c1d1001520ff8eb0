//! The glob matcher against a model: the pattern is first taken apart into tokens, then all positions it could have
//! reached are followed at once. Slow, without backtracking, and with nothing in common with the matcher but Redis's
//! rules.

use tessera_core::glob::{glob_match, glob_match_nocase, literal_prefix};

enum Token {
    Star,
    Any,
    Literal(u8),
    Class { negated: bool, items: Vec<Item> },
}

enum Item {
    Escaped(u8),
    Plain(u8),
    Range(u8, u8),
}

/// A pattern and a string, split by the first byte.
pub(crate) fn glob(data: &[u8]) {
    let (pattern, string) = super::split::split(data);
    let tokens = tokens(pattern);
    let matched = glob_match(pattern, string);
    assert_eq!(matched, model(&tokens, string, false));
    assert_eq!(
        glob_match_nocase(pattern, string),
        model(&tokens, string, true)
    );
    assert!(!matched || string.starts_with(literal_prefix(pattern)));
}

fn tokens(pattern: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = pattern;
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        tokens.push(match first {
            b'*' => Token::Star,
            b'?' => Token::Any,
            b'[' => class(&mut rest),
            b'\\' if !behind.is_empty() => {
                rest = &behind[1..];
                Token::Literal(behind[0])
            }
            other => Token::Literal(other),
        });
    }
    tokens
}

fn class(rest: &mut &[u8]) -> Token {
    let negated = rest.first() == Some(&b'^');
    if negated {
        *rest = &rest[1..];
    }
    let mut items = Vec::new();
    while let Some(&first) = rest.first() {
        let (item, length) = match rest.len() {
            2.. if first == b'\\' => (Item::Escaped(rest[1]), 2),
            _ if first == b']' => {
                *rest = &rest[1..];
                break;
            }
            3.. if rest[1] == b'-' => (Item::Range(first, rest[2]), 3),
            _ => (Item::Plain(first), 1),
        };
        items.push(item);
        *rest = &rest[length..];
    }
    Token::Class { negated, items }
}

/// `reached[n]`: the first n tokens can match what was read so far.
fn model(tokens: &[Token], string: &[u8], nocase: bool) -> bool {
    if string.is_empty() {
        return tokens.is_empty();
    }
    let mut reached = vec![false; tokens.len() + 1];
    reached[0] = true;
    skip_stars(tokens, &mut reached);
    for &byte in string {
        let mut next = vec![false; tokens.len() + 1];
        for (at, token) in tokens.iter().enumerate().filter(|&(at, _)| reached[at]) {
            match token {
                Token::Star => next[at] = true,
                Token::Any => next[at + 1] = true,
                Token::Literal(literal) => next[at + 1] |= same(*literal, byte, nocase),
                Token::Class { negated, items } => {
                    let found = items.iter().any(|item| takes(item, byte, nocase));
                    next[at + 1] |= found != *negated;
                }
            }
        }
        skip_stars(tokens, &mut next);
        reached = next;
    }
    reached[tokens.len()]
}

/// A star may match nothing.
fn skip_stars(tokens: &[Token], reached: &mut [bool]) {
    for (at, token) in tokens.iter().enumerate() {
        if reached[at] && matches!(token, Token::Star) {
            reached[at + 1] = true;
        }
    }
}

fn takes(item: &Item, byte: u8, nocase: bool) -> bool {
    match *item {
        Item::Escaped(literal) => literal == byte,
        Item::Plain(literal) => same(literal, byte, nocase),
        Item::Range(from, to) => {
            let (low, high) = ((from as i8).min(to as i8), (from as i8).max(to as i8));
            let number = |byte: i8| match byte {
                _ if !nocase => i32::from(byte),
                -1 => -1,
                _ => i32::from((byte as u8).to_ascii_lowercase()),
            };
            number(low) <= number(byte as i8) && number(byte as i8) <= number(high)
        }
    }
}

fn same(a: u8, b: u8, nocase: bool) -> bool {
    a == b || nocase && a.eq_ignore_ascii_case(&b)
}
