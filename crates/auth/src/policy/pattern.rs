//! Text with wildcards and variables, as it stands in actions, resources and conditions.
//!
//! `*` stands for any text, `?` for one character, `${KEY}` for the value of a condition key, with a
//! default as `${KEY, 'text'}`; `${*}`, `${?}` and `${$}` are these characters themselves
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).
//! What a variable stands for is never a wildcard.

use std::borrow::Cow;

use super::keys::ConditionKeys;

/// Bits of a word.
const WORD_BITS: usize = u64::BITS as usize;

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

/// What stands before the first run begins the text, what stands after the last one ends it, and each
/// piece between two runs is taken where it comes first: a later place would leave less to the next.
fn is_match(units: &[Unit], text: &[char], case: Case) -> bool {
    let mut pieces = units.split(|unit| *unit == Unit::Run);
    let first = pieces.next().unwrap_or_default();
    let Some(last) = pieces.next_back() else {
        return first.len() == text.len() && fit(first, text, case);
    };
    let Some((begin, rest)) = text.split_at_checked(first.len()) else { return false };
    let Some(middle) = rest.len().checked_sub(last.len()) else { return false };
    let (mut middle, end) = rest.split_at(middle);
    if !fit(first, begin, case) || !fit(last, end, case) {
        return false;
    }
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        let Some(end) = end_of_first(piece, middle, case) else { return false };
        middle = &middle[end..];
    }
    true
}

/// Whether each unit of a piece is the character at its place.
fn fit(piece: &[Unit], text: &[char], case: Case) -> bool {
    piece.iter().zip(text).all(|(unit, character)| match unit {
        Unit::One => true,
        Unit::Char(expected) => is_same(*expected, *character, case),
        Unit::Run | Unit::Variable { .. } => false,
    })
}

/// Where the first place of a piece in `text` ends. Whoever writes the pattern or the text may want it
/// to take long, so that it holds all the beginnings of the piece that the text so far ends with as
/// bits, and takes one character to each of them at once (Shift-And, Baeza-Yates and Gonnet): both
/// lengths multiplied, by 64 in a step.
fn end_of_first(piece: &[Unit], text: &[char], case: Case) -> Option<usize> {
    if piece.len() > text.len() {
        return None;
    }
    let (last, words) = (piece.len().checked_sub(1)?, piece.len().div_ceil(WORD_BITS));
    let letter = |unit: &Unit| match unit {
        Unit::Char(expected) => Some(folded(*expected, case)),
        Unit::One | Unit::Run | Unit::Variable { .. } => None,
    };
    let mut letters: Vec<char> = piece.iter().filter_map(letter).collect();
    letters.sort_unstable();
    letters.dedup();
    let set = |bits: &mut [u64], at: usize| bits[at / WORD_BITS] |= 1 << (at % WORD_BITS);
    let mut of_any = vec![0_u64; words];
    for (at, _) in piece.iter().enumerate().filter(|(_, unit)| **unit == Unit::One) {
        set(&mut of_any, at);
    }
    // Where each letter may stand in the piece, and after them what is none of them.
    let mut places = of_any.repeat(letters.len() + 1);
    let row = |letter: &char| {
        let at = letters.binary_search(letter).unwrap_or(letters.len()) * words;
        at..at + words
    };
    for (at, unit) in piece.iter().enumerate() {
        if let Some(letter) = letter(unit) {
            set(&mut places[row(&letter)], at);
        }
    }
    let mut begun = vec![0_u64; words];
    for (at, character) in text.iter().enumerate() {
        let mut carried = 1;
        for (begun, places) in begun.iter_mut().zip(&places[row(&folded(*character, case))]) {
            let carries = *begun >> (WORD_BITS - 1);
            *begun = (*begun << 1 | carried) & places;
            carried = carries;
        }
        if begun[last / WORD_BITS] >> (last % WORD_BITS) & 1 == 1 {
            return Some(at + 1);
        }
    }
    None
}

/// The same for characters that [`is_same`] takes for one another. A lower case of several characters is
/// that of one character only, which stands for itself.
fn folded(character: char, case: Case) -> char {
    if case == Case::Sensitive {
        return character;
    }
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => character,
    }
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

    /// What takes a run and goes back: slow, and plainly right.
    fn is_match_by_trying(units: &[Unit], text: &[char], case: Case) -> bool {
        match (units.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Unit::Run, units_after)), after) => {
                is_match_by_trying(units_after, text, case)
                    || after.is_some_and(|(_, after)| is_match_by_trying(units, after, case))
            }
            (Some((unit, units)), Some((character, text))) => {
                let is_fit = match unit {
                    Unit::One => true,
                    Unit::Char(expected) => is_same(*expected, *character, case),
                    _ => false,
                };
                is_fit && is_match_by_trying(units, text, case)
            }
            _ => false,
        }
    }

    /// Every text of at most `length` of these characters.
    fn texts(characters: &[char], length: usize) -> Vec<String> {
        let (mut all, mut longest) = (vec![String::new()], vec![String::new()]);
        for _ in 0..length {
            let longer = |text: &String| {
                let text = text.clone();
                characters.iter().map(move |character| format!("{text}{character}"))
            };
            longest = longest.iter().flat_map(longer).collect();
            all.extend(longest.iter().cloned());
        }
        all
    }

    #[test]
    fn short_patterns_match_what_they_match_by_trying() {
        let texts_of = texts(&['a', 'b'], 6);
        for pattern in texts(&['a', 'b', '?', '*'], 5) {
            let units = Pattern::without_variables(&pattern).0;
            for text in &texts_of {
                let chars: Vec<char> = text.chars().collect();
                let expected = is_match_by_trying(&units, &chars, Case::Sensitive);
                assert_eq!(is_match(&units, &chars, Case::Sensitive), expected, "{pattern} {text}");
            }
        }
    }

    /// Pieces of more than one word, in which case and characters of several lower ones matter.
    #[test]
    fn long_patterns_match_what_they_match_by_trying() {
        let alphabet = ['a', 'A', 'k', '\u{212a}', 'İ', 'i', 'ß', '\0'];
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |bound: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % bound as u64).unwrap()
        };
        let mut matched = 0;
        for round in 0..2_000 {
            let text: Vec<char> =
                (0..100 + below(200)).map(|_| alphabet[below(1 + round % 8)]).collect();
            let from = below(20);
            let piece = text[from..from + 1 + below(80)].iter().map(|character| match below(40) {
                0 => Unit::One,
                1..4 => Unit::Char(character.to_lowercase().next().unwrap()),
                _ => Unit::Char(*character),
            });
            let mut units: Vec<Unit> = std::iter::once(Unit::Run).chain(piece).collect();
            units.push(Unit::Run);
            units.push(Unit::Char(text[text.len() - 1 - below(3)]));
            for case in [Case::Sensitive, Case::Insensitive] {
                let expected = is_match_by_trying(&units, &text, case);
                matched += usize::from(expected);
                assert_eq!(is_match(&units, &text, case), expected, "{units:?} {text:?} {case:?}");
            }
        }
        assert!((500..3_500).contains(&matched), "both are tried: {matched}");
    }

    #[test]
    fn characters_fold_to_one_where_they_are_the_same() {
        let mut several = std::collections::HashSet::new();
        for character in '\0'..=char::MAX {
            let lower: String = character.to_lowercase().collect();
            let folded = folded(character, Case::Insensitive);
            match lower.chars().count() {
                1 => assert_eq!(folded.to_string(), lower),
                _ => assert!(folded == character && several.insert(lower), "{character:?}"),
            }
        }
        assert!(!several.is_empty());
    }

    /// The longest policy and the longest header there can be: over a thousand million steps each, if
    /// every place were tried.
    #[test]
    fn the_worst_patterns_are_compared_at_once() {
        let text = "a".repeat(60_000);
        let rows = [
            ("*".to_owned() + &"a".repeat(19_740) + "b", false),
            ("*".to_owned() + &"a".repeat(19_740) + "b*", false),
            ("*".to_owned() + &"?".repeat(19_740) + "b*", false),
            ("*".to_owned() + &"a?".repeat(9_870) + "b*a", false),
            ("*".to_owned() + &"a?".repeat(9_870) + "*a", true),
            ("*a".repeat(9_870) + "b*", false),
            ("*".to_owned() + &("a".repeat(63) + "?").repeat(308) + "b*", false),
        ];
        for (pattern, expected) in rows {
            let pattern = Pattern::without_variables(&pattern);
            for case in [Case::Sensitive, Case::Insensitive] {
                assert_eq!(pattern.matches(&text, &ConditionKeys::new(), case), expected);
            }
        }
    }
}
