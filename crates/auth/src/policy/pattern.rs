//! Text with wildcards and variables, as it stands in actions, resources and conditions.
//!
//! `*` stands for any text, `?` for one character, `${KEY}` for the value of a condition key, with a
//! default as `${KEY, 'text'}`; `${*}`, `${?}` and `${$}` are these characters themselves
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).
//! What a variable stands for is never a wildcard.

use std::borrow::Cow;

use super::keys::ConditionKeys;

/// What a pattern is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    /// `*` and `?` are wildcards.
    pub(super) wildcards: bool,
    /// `${KEY}` is a variable: since version 2012-10-17 of the language.
    pub(super) variables: bool,
}

/// Whether `a` is `A`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Sensitive,
    Insensitive,
}

/// Text to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Unit>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Unit {
    Char(char),
    One,
    Run,
    Variable { key: String, default: Option<String> },
}

impl Pattern {
    /// A text in which `*` and `?` are wildcards and nothing is a variable.
    pub(super) fn without_variables(text: &str) -> Self {
        let unit = |character| match character {
            '*' => Unit::Run,
            '?' => Unit::One,
            other => Unit::Char(other),
        };
        Self(text.chars().map(unit).collect())
    }

    /// None if something begins like a variable and is none.
    pub(super) fn parse(text: &str, syntax: Syntax) -> Option<Self> {
        let mut units = Vec::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if syntax.variables && rest.starts_with("${") {
                let (unit, after) = variable(rest)?;
                units.push(unit);
                rest = after;
                continue;
            }
            units.push(match next {
                '*' if syntax.wildcards => Unit::Run,
                '?' if syntax.wildcards => Unit::One,
                other => Unit::Char(other),
            });
            rest = &rest[next.len_utf8()..];
        }
        Some(Self(units))
    }

    /// Whether it matches whatever it is compared with.
    pub(super) fn is_anything(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|unit| *unit == Unit::Run)
    }

    /// Whether it has neither wildcards nor variables.
    pub(super) fn is_fixed(&self) -> bool {
        self.0.iter().all(|unit| matches!(unit, Unit::Char(_)))
    }

    /// Whether `text` is what it describes. A variable without a value is like nothing.
    pub(super) fn matches(&self, text: &str, keys: &ConditionKeys, case: Case) -> bool {
        let text: Vec<char> = text.chars().collect();
        let Some(units) = self.resolve(keys, text.len()) else { return false };
        is_match(&units, &text, case)
    }

    /// With the values of its variables; none if one has no value, or if they are longer than a text of
    /// so many characters, which then cannot match.
    fn resolve(&self, keys: &ConditionKeys, chars_max: usize) -> Option<Cow<'_, [Unit]>> {
        if !self.0.iter().any(|unit| matches!(unit, Unit::Variable { .. })) {
            return Some(Cow::Borrowed(&self.0));
        }
        let mut resolved = Vec::with_capacity(self.0.len());
        let mut from_variables = 0;
        for unit in &self.0 {
            match unit {
                Unit::Variable { key, default } => {
                    let value = keys.single(key).or(default.as_deref())?;
                    from_variables += value.chars().count();
                    if from_variables > chars_max {
                        return None;
                    }
                    resolved.extend(value.chars().map(Unit::Char));
                }
                other => resolved.push(other.clone()),
            }
        }
        Some(Cow::Owned(resolved))
    }
}

/// What `${…}` at the beginning of `text` is, and what follows it; none if it is no variable.
fn variable(text: &str) -> Option<(Unit, &str)> {
    let (inside, after) = text.strip_prefix("${")?.split_once('}')?;
    let unit = match inside {
        "*" => Unit::Char('*'),
        "?" => Unit::Char('?'),
        "$" => Unit::Char('$'),
        _ => {
            let (key, default) = match inside.split_once(',') {
                None => (inside, None),
                Some((key, rest)) => {
                    let quoted = rest.trim().strip_prefix('\'')?.strip_suffix('\'')?;
                    (key, Some(quoted.to_owned()))
                }
            };
            let key = key.trim();
            let is_name = |byte: u8| byte.is_ascii_graphic() && !b"${}*?'".contains(&byte);
            if key.is_empty() || !key.bytes().all(is_name) {
                return None;
            }
            Unit::Variable { key: key.to_owned(), default }
        }
    };
    Some((unit, after))
}

/// Compares from left to right; at a mismatch, the last run takes one character more. Needs
/// `units * text` steps at worst, both of which are bounded by the sizes of policies and requests.
fn is_match(units: &[Unit], text: &[char], case: Case) -> bool {
    let (mut unit, mut at) = (0, 0);
    let mut run: Option<(usize, usize)> = None;
    while at < text.len() {
        match units.get(unit) {
            Some(Unit::Run) => {
                run = Some((unit, at));
                unit += 1;
            }
            Some(Unit::One) => (unit, at) = (unit + 1, at + 1),
            Some(Unit::Char(expected)) if is_same(*expected, text[at], case) => {
                (unit, at) = (unit + 1, at + 1);
            }
            Some(Unit::Char(_) | Unit::Variable { .. }) | None => match run {
                Some((begun, taken)) => {
                    run = Some((begun, taken + 1));
                    (unit, at) = (begun + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    units[unit..].iter().all(|rest| *rest == Unit::Run)
}

fn is_same(left: char, right: char, case: Case) -> bool {
    match case {
        Case::Sensitive => left == right,
        Case::Insensitive => left == right || left.to_lowercase().eq(right.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Syntax = Syntax { wildcards: true, variables: true };
    const WILD: Syntax = Syntax { wildcards: true, variables: false };
    const PLAIN: Syntax = Syntax { wildcards: false, variables: true };

    #[test]
    fn patterns_match() {
        let keys: ConditionKeys =
            [("aws:username", "a*b"), ("many", "x"), ("many", "y")].into_iter().collect();
        let rows = [
            ("", "", ALL, true),
            ("", "a", ALL, false),
            ("*", "", ALL, true),
            ("?", "", ALL, false),
            ("?", "é", ALL, true),
            ("a*c", "abbc", ALL, true),
            ("a*c", "abbcd", ALL, false),
            ("*a*b*", "xxaxxbxx", ALL, true),
            ("*aab", "aaaaab", ALL, true),
            ("a**b", "ab", ALL, true),
            ("a?b*", "acb", ALL, true),
            ("A", "a", ALL, false),
            ("home/${aws:username}/*", "home/a*b/x", ALL, true),
            ("home/${AWS:UserName}/*", "home/a*b/x", ALL, true),
            ("home/${aws:username}/*", "home/acb/x", ALL, false),
            ("${aws:username}", "a*b", WILD, false),
            ("${aws:username}", "${aws:username}", WILD, true),
            ("${aws:username}", "a*b", PLAIN, true),
            ("a*b", "a*b", PLAIN, true),
            ("a*b", "acb", PLAIN, false),
            ("${none}", "", ALL, false),
            ("${none, 'd*'}", "d*", ALL, true),
            ("${none, 'd*'}", "dd", ALL, false),
            ("${aws:username, 'd'}", "a*b", ALL, true),
            ("${many}", "x", ALL, false),
            ("${*}${?}${$}", "*?$", ALL, true),
            ("${*}", "x", ALL, false),
        ];
        for (pattern, text, syntax, expected) in rows {
            let parsed = Pattern::parse(pattern, syntax).unwrap();
            assert_eq!(parsed.matches(text, &keys, Case::Sensitive), expected, "{pattern} {text}");
        }
        for malformed in ["${open", "${none, d}", "${}", "a${ }", "${a${b}}", "${none,'d}"] {
            assert_eq!(Pattern::parse(malformed, ALL), None, "{malformed}");
            assert!(Pattern::parse(malformed, WILD).is_some(), "{malformed}");
        }
        let insensitive = Pattern::parse("S3:get*", WILD).unwrap();
        assert!(insensitive.matches("s3:GetObject", &keys, Case::Insensitive));
    }

    #[test]
    fn hostile_patterns_are_compared_in_bounded_time() {
        let pattern = Pattern::without_variables(&"*a".repeat(1_000));
        let text = "a".repeat(1_000) + "b";
        assert!(!pattern.matches(&text, &ConditionKeys::new(), Case::Sensitive));
        let keys: ConditionKeys = [("long", "a".repeat(1_000))].into_iter().collect();
        let many = Pattern::parse(&"${long}".repeat(1_000), ALL).unwrap();
        assert_eq!(many.resolve(&keys, 5_000), None, "what cannot match is not written out");
        assert!(!many.matches(&text, &keys, Case::Sensitive));
    }
}
