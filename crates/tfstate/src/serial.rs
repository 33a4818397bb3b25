//! A new serial in an old state: the digits change and no other byte does.
//!
//! The digits are those that count: of a `serial` that stands there twice, the last that is not `null`.

use std::ops::Range;

use crate::state::{Format, State};

/// The one change that gives a state another serial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialSplice {
    span: Range<u64>,
    digits: String,
}

/// Why a state cannot be given another serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// OpenTofu compares the serial outside with the one inside, which only the client can decrypt.
    #[error(
        "encrypted by the client: the serial is sealed inside as well, so only OpenTofu can change it"
    )]
    Encrypted,
    /// The body is not the one that the facts were read from.
    #[error("the bytes at {offset} are not the digits of the serial")]
    AnotherBody {
        /// Where the digits should stand.
        offset: u64,
    },
}

impl SerialSplice {
    /// The change that makes `state` have the serial `serial`.
    pub fn new(state: &State, serial: u64) -> Result<Self, SpliceError> {
        match state.format {
            Format::Encrypted { .. } => Err(SpliceError::Encrypted),
            Format::Clear { .. } => {
                Ok(Self { span: state.serial_span.clone(), digits: serial.to_string() })
            }
        }
    }

    /// Which bytes of the body give way to [`digits`](Self::digits); for a body that is streamed.
    pub fn span(&self) -> Range<u64> {
        self.span.clone()
    }

    /// The new digits.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// A copy of `body` with the new serial.
    pub fn apply(&self, body: &[u8]) -> Result<Vec<u8>, SpliceError> {
        let offset = self.span.start;
        let (start, end) = (offset as usize, self.span.end as usize);
        match (body.get(..start), body.get(start..end), body.get(end..)) {
            (Some(before), Some(old), Some(after)) if old.iter().all(u8::is_ascii_digit) => {
                Ok([before, self.digits.as_bytes(), after].concat())
            }
            _ => Err(SpliceError::AnotherBody { offset }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, serial: u64, expected: &str) {
        let state = State::parse(body.as_bytes()).unwrap();
        let splice = SerialSplice::new(&state, serial).unwrap();
        let spliced = splice.apply(body.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(spliced.clone()).unwrap(), expected);
        let again = State::parse(&spliced).unwrap();
        assert_eq!((again.serial, again.lineage), (serial, state.lineage));
    }

    #[test]
    fn only_the_digits_change() {
        let rows = [
            (
                r#"{"version":4,"serial":7,"lineage":"l"}"#,
                12,
                r#"{"version":4,"serial":12,"lineage":"l"}"#,
            ),
            (
                "{ \"serial\" :\n\t70 , \"lineage\":\"7\",\"version\":4}\n",
                8,
                "{ \"serial\" :\n\t8 , \"lineage\":\"7\",\"version\":4}\n",
            ),
            (
                r#"{"x":{"serial":1},"ser\u0069al":1,"lineage":"l","version":4,"y":1}"#,
                2,
                r#"{"x":{"serial":1},"ser\u0069al":2,"lineage":"l","version":4,"y":1}"#,
            ),
            (
                r#"{"serial":1,"SERIAL":2,"serial":null,"lineage":"l","version":4}"#,
                u64::MAX,
                r#"{"serial":1,"SERIAL":18446744073709551615,"serial":null,"lineage":"l","version":4}"#,
            ),
        ];
        for (body, serial, expected) in rows {
            check(body, serial, expected);
        }
    }

    #[test]
    fn what_cannot_be_spliced_says_why() {
        let sealed = br#"{"serial":3,"lineage":"l","encryption_version":"v0"}"#;
        let sealed = State::parse(sealed).unwrap();
        assert_eq!(SerialSplice::new(&sealed, 4), Err(SpliceError::Encrypted));
        let state = State::parse(br#"{"version":4,"serial":7,"lineage":"l"}"#).unwrap();
        let splice = SerialSplice::new(&state, 8).unwrap();
        let another = SpliceError::AnotherBody { offset: 22 };
        assert_eq!(splice.apply(b"{}"), Err(another));
        assert_eq!(splice.apply(br#"{"lineage":"abcdefghijklmnopq"}"#), Err(another));
    }
}
