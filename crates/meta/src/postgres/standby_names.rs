//! `synchronous_standby_names`: which standbys a commit waits for.
//!
//! The grammar is PostgreSQL's (documentation, "Replication": `[FIRST] n (a, b)`, `ANY n (a, b)`, or a
//! plain list, which means `FIRST 1`). Refuses to know whether that is safe.

use std::fmt;

/// A parsed value of the setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StandbyNames {
    /// How many must acknowledge.
    pub(super) needed: usize,
    /// As listed; `*` stands for any standby.
    pub(super) names: Vec<String>,
}

impl StandbyNames {
    /// Reads a value of the setting; none when it is empty or no value that PostgreSQL would take.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let tokens = tokens(text)?;
        let (needed, list) = match tokens.as_slice() {
            [Token::Name(word), Token::Name(count), Token::Open, list @ .., Token::Close]
                if ["first", "any"].contains(&word.to_ascii_lowercase().as_str()) =>
            {
                (count.parse().ok()?, list)
            }
            [Token::Name(count), Token::Open, list @ .., Token::Close] => {
                (count.parse().ok()?, list)
            }
            list => (1, list),
        };
        let names = names(list)?;
        (needed > 0).then_some(Self { needed, names })
    }

    /// Whether a commit waits for each of the standbys listed, and those are named.
    pub(super) fn all_must_acknowledge(&self) -> bool {
        self.needed >= self.names.len() && !self.names.iter().any(|name| name == "*")
    }
}

impl fmt::Display for StandbyNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.needed, self.names.join(", "))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    Open,
    Close,
    Comma,
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '"' => quoted(rest)?,
            _ => {
                let stop = |c: char| c.is_whitespace() || "(),\"".contains(c);
                let length = rest.find(stop).unwrap_or(rest.len());
                (Token::Name(rest[..length].to_owned()), length)
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

/// A name in double quotes (a doubled one stands for itself), and the bytes it takes.
fn quoted(text: &str) -> Option<(Token, usize)> {
    let mut name = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            name.push(c);
        } else if chars.next_if(|(_, next)| *next == '"').is_some() {
            name.push('"');
        } else {
            return Some((Token::Name(name), at + 1));
        }
    }
    None
}

/// The names of a list with commas between them; at least one.
fn names(list: &[Token]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for (index, token) in list.iter().enumerate() {
        match (index % 2, token) {
            (0, Token::Name(name)) => names.push(name.clone()),
            (1, Token::Comma) => {}
            _ => return None,
        }
    }
    (list.len() % 2 == 1).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_postgresql_reads_them() {
        for (text, shown, safe) in [
            ("s1", "1 of s1", true),
            ("s1, s2", "1 of s1, s2", false),
            ("*", "1 of *", false),
            ("FIRST 1 (s1)", "1 of s1", true),
            ("first 2 (s1,s2)", "2 of s1, s2", true),
            ("2 (s1,s2)", "2 of s1, s2", true),
            ("2(s1,s2)", "2 of s1, s2", true),
            ("FIRST 1 (s1, s2)", "1 of s1, s2", false),
            ("ANY 1 (s1, s2)", "1 of s1, s2", false),
            ("ANY 2 (s1, s2)", "2 of s1, s2", true),
            ("any 3 (s1, s2)", "3 of s1, s2", true),
            ("FIRST 1 (*)", "1 of *", false),
            ("ANY 2 (\"a b\", \"c\"\"d\")", "2 of a b, c\"d", true),
            ("\"first\"", "1 of first", true),
            ("  s1  ", "1 of s1", true),
        ] {
            let names = StandbyNames::parse(text).unwrap();
            assert_eq!((names.to_string().as_str(), names.all_must_acknowledge()), (shown, safe));
        }
        for text in
            ["", "  ", "s1,", ",s1", "2 (s1", "ANY (s1)", "FIRST x (s1)", "0 (s1)", "2 ()", "\"s1"]
        {
            assert_eq!(StandbyNames::parse(text), None, "{text}");
        }
    }
}
