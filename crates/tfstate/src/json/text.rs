//! What a JSON string says, as Go's `encoding/json` understands it.

use std::borrow::Cow;

/// The text of a string token with its quotes: escapes resolved, and like Go's decoder U+FFFD for
/// each byte that is not UTF-8 and for each half of a surrogate pair that stands alone.
pub(crate) fn decode(token: &[u8]) -> Cow<'_, str> {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    match std::str::from_utf8(inner) {
        Ok(text) if !inner.contains(&b'\\') => Cow::Borrowed(text),
        _ => Cow::Owned(unescape(inner)),
    }
}

/// Whether `key` names the field `field`: Go ignores the case of ASCII letters, and its folding has
/// the long s (U+017F) for `s` and the Kelvin sign (U+212A) for `k`.
pub(crate) fn is_field(key: &str, field: &str) -> bool {
    let mut folded = key.chars().map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    field.chars().all(|wanted| folded.next() == Some(wanted)) && folded.next().is_none()
}

fn unescape(inner: &[u8]) -> String {
    let mut text = String::with_capacity(inner.len());
    let mut runs = inner.split(|byte| *byte == b'\\');
    if let Some(run) = runs.next() {
        push_lossy(&mut text, run);
    }
    let mut pending_high = None;
    while let Some(run) = runs.next() {
        let Some((&letter, mut rest)) = run.split_first() else {
            // Two backslashes: the escaped one is the separator of the next run.
            end_pair(&mut text, &mut pending_high);
            text.push('\\');
            if let Some(run) = runs.next() {
                push_lossy(&mut text, run);
            }
            continue;
        };
        if letter == b'u' {
            let (digits, after) = rest.split_at(rest.len().min(4));
            rest = after;
            push_unit(&mut text, &mut pending_high, hex(digits));
        } else {
            end_pair(&mut text, &mut pending_high);
            text.push(match letter {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                other => char::from(other),
            });
        }
        if !rest.is_empty() {
            end_pair(&mut text, &mut pending_high);
            push_lossy(&mut text, rest);
        }
    }
    end_pair(&mut text, &mut pending_high);
    text
}

/// One escape of `\u` and four hexadecimal digits: a character, or half of one.
fn push_unit(text: &mut String, pending_high: &mut Option<u16>, unit: u16) {
    if let Some(high) = pending_high.take() {
        if let Some(Ok(character)) = char::decode_utf16([high, unit]).next() {
            text.push(character);
            return;
        }
        text.push(char::REPLACEMENT_CHARACTER);
    }
    match unit {
        0xd800..=0xdbff => *pending_high = Some(unit),
        _ => text.push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)),
    }
}

fn end_pair(text: &mut String, pending_high: &mut Option<u16>) {
    if pending_high.take().is_some() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
}

fn hex(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |unit, digit| {
        unit << 4 | char::from(*digit).to_digit(16).unwrap_or_default() as u16
    })
}

fn push_lossy(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_go_reads() {
        let rows: [(&[u8], &str); 13] = [
            (br#""""#, ""),
            (br#""plain""#, "plain"),
            (br#""a\"b\\c\/d""#, "a\"b\\c/d"),
            (br#""\b\f\n\r\t""#, "\u{8}\u{c}\n\r\t"),
            (br#""\u0073erial""#, "serial"),
            (br#""\ud83d\ude00""#, "\u{1f600}"),
            (br#""\ud83d""#, "\u{fffd}"),
            (br#""\ud83dx\ude00""#, "\u{fffd}x\u{fffd}"),
            (br#""\ud83d\u0041""#, "\u{fffd}A"),
            (br#""\ud83d\n""#, "\u{fffd}\n"),
            (br#""\\\\""#, "\\\\"),
            (br#""\\u0041\\""#, "\\u0041\\"),
            (b"\"\xe2\x82x\xff\"", "\u{fffd}\u{fffd}x\u{fffd}"),
        ];
        for (token, text) in rows {
            assert_eq!(decode(token), text, "{}", String::from_utf8_lossy(token));
        }
    }

    #[test]
    fn field_names_fold_as_in_go() {
        let rows = [
            ("serial", true),
            ("Serial", true),
            ("SERIAL", true),
            ("\u{17f}erial", true),
            ("serial ", false),
            ("seria", false),
            ("serials", false),
            ("s\u{e9}rial", false),
            ("", false),
        ];
        for (key, is) in rows {
            assert_eq!(is_field(key, "serial"), is, "{key}");
        }
        assert!(is_field("\u{212a}ey", "key"));
    }
}
