//! What is a state object, and the facts that every write of one needs: serial, lineage, version.
//!
//! One pass in constant memory, over pieces as they arrive. Refuses to know resources and outputs.
//!
//! A state object is a JSON object with an integer `serial`, a string `lineage`, and either an integer
//! `version` or a string `encryption_version` (OpenTofu's envelope of a state that the client
//! encrypted, <https://opentofu.org/docs/language/state/encryption/>). Both programs read it with Go's
//! `encoding/json`, so this reads it the same way, or the fence would compare another serial than
//! Terraform does: names match in any case, of duplicates the last one wins, `null` changes nothing,
//! and a serial is what fits 64 bits without sign, point or exponent.

use std::ops::Range;

use serde::Serialize;

use crate::json::{Container, Kind, Lexer, SyntaxError, Token, decode, is_field};

/// Longest top-level string that is read, escapes included. A lineage is a UUID of 36 bytes.
pub const TEXT_BYTES_MAX: usize = 4 << 10;

/// Longest name, escapes included, that can still be that of a field.
const KEY_BYTES_MAX: usize = 128;

/// The facts of a state object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// Rises with every change. Any `u64`, also above 2^53, as Terraform's own.
    pub serial: u64,
    /// Names the state through all its serials; a UUID in practice.
    pub lineage: String,
    /// How the rest is written.
    #[serde(flatten)]
    pub format: Format,
    /// The version of the program that wrote it; none in an encrypted envelope.
    pub terraform_version: Option<String>,
    /// The bytes that hold the digits of `serial`.
    #[serde(skip)]
    pub(crate) serial_span: Range<u64>,
}

/// How the body of a state is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Format {
    /// JSON in the clear, of this format version: 4 since Terraform 0.12, 3 before.
    Clear {
        /// The top-level `version`.
        version: u64,
    },
    /// Encrypted by OpenTofu on the client; only serial and lineage are in the clear.
    Encrypted {
        /// The top-level `encryption_version`, `v0` in practice.
        encryption_version: String,
    },
}

/// Why a body is not a state object. Says where, never what stands there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAState {
    /// No byte at all. Terraform takes an empty object for no state and starts anew.
    #[error("the body is empty")]
    Empty,
    /// Not JSON.
    #[error("not JSON: {0}")]
    Syntax(#[from] SyntaxError),
    /// JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A field that a state has is not there.
    #[error("no {field:?}")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field is there, but Terraform could not read it.
    #[error("{field:?} at byte {offset} is not {expected}")]
    WrongType {
        /// Its name.
        field: &'static str,
        /// Where its value begins.
        offset: u64,
        /// What it should be.
        expected: &'static str,
    },
    /// A field holds more text than is read.
    #[error("{field:?} at byte {offset} is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong {
        /// Its name.
        field: &'static str,
        /// Where its value begins.
        offset: u64,
    },
}

impl State {
    /// The facts in `body`.
    pub fn parse(body: &[u8]) -> Result<Self, NotAState> {
        let mut reader = StateReader::new();
        reader.push(body)?;
        reader.finish()
    }
}

/// Reads the facts from a body that comes in pieces. Holds at most [`TEXT_BYTES_MAX`] bytes for each
/// fact, and one bit for each open container.
pub struct StateReader {
    lexer: Lexer,
    /// What earlier pieces held of a top-level token that is not yet over.
    carry: Vec<u8>,
    /// The value that comes next is that of this field.
    field: Option<Field>,
    serial: Option<(u64, Range<u64>)>,
    lineage: Option<String>,
    version: Option<u64>,
    encryption_version: Option<String>,
    terraform_version: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Field {
    Serial,
    Lineage,
    Version,
    EncryptionVersion,
    TerraformVersion,
}

impl Default for StateReader {
    fn default() -> Self {
        Self::new()
    }
}

impl StateReader {
    /// A reader that has seen nothing yet.
    pub fn new() -> Self {
        Self {
            lexer: Lexer::new(),
            carry: Vec::new(),
            field: None,
            serial: None,
            lineage: None,
            version: None,
            encryption_version: None,
            terraform_version: None,
        }
    }

    /// Reads one more piece. After an error the body is not a state, whatever follows.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), NotAState> {
        let piece_start = self.lexer.offset();
        let mut rest = piece;
        while let Some(token) = self.lexer.next(&mut rest)? {
            let level = match token.kind {
                Kind::Open(_) | Kind::Close(_) => self.lexer.depth() + usize::from(is_close(token)),
                _ => self.lexer.depth() + 1,
            };
            if level == 2 || level == 1 {
                self.top_level(level, token, piece, piece_start)?;
            }
            self.carry.clear();
        }
        if let Some(start) = self.lexer.token_in_progress()
            && self.lexer.depth() == 1
        {
            let seen = bytes_from(piece, piece_start, start);
            let room = (TEXT_BYTES_MAX + 3).saturating_sub(self.carry.len());
            self.carry.extend_from_slice(seen.get(..room).unwrap_or(seen));
        }
        Ok(())
    }

    /// The facts, if all that was pushed is a state.
    pub fn finish(mut self) -> Result<State, NotAState> {
        if self.lexer.offset() == 0 {
            return Err(NotAState::Empty);
        }
        if self.lexer.finish()?.is_some() {
            return Err(NotAState::NotAnObject);
        }
        let (serial, serial_span) = self.serial.ok_or(NotAState::Missing { field: "serial" })?;
        let lineage = self.lineage.ok_or(NotAState::Missing { field: "lineage" })?;
        // OpenTofu takes any version that is not empty for the sign of an envelope.
        let encryption_version = self.encryption_version.filter(|version| !version.is_empty());
        let format = match (encryption_version, self.version) {
            (Some(encryption_version), _) => Format::Encrypted { encryption_version },
            (None, Some(version)) => Format::Clear { version },
            (None, None) => return Err(NotAState::Missing { field: "version" }),
        };
        let terraform_version = self.terraform_version;
        Ok(State { serial, lineage, format, terraform_version, serial_span })
    }

    /// A token of the outermost object (level 2: its names and values), or the body itself (level 1).
    fn top_level(
        &mut self,
        level: usize,
        token: Token,
        piece: &[u8],
        piece_start: u64,
    ) -> Result<(), NotAState> {
        if level == 1 {
            return match token.kind {
                Kind::Open(Container::Object) | Kind::Close(Container::Object) => Ok(()),
                _ => Err(NotAState::NotAnObject),
            };
        }
        let seen = bytes_until(piece, piece_start, token);
        let joined;
        let bytes = if self.carry.is_empty() {
            seen
        } else {
            joined = [self.carry.as_slice(), seen].concat();
            &joined
        };
        if token.kind == Kind::Key {
            let is_short = token.end - token.start <= KEY_BYTES_MAX as u64;
            self.field = if is_short { Field::named(&decode(bytes)) } else { None };
        } else if let Some(field) = self.field.take() {
            self.fact(field, token, bytes)?;
        }
        Ok(())
    }

    fn fact(&mut self, field: Field, token: Token, bytes: &[u8]) -> Result<(), NotAState> {
        if token.kind == Kind::Null {
            return Ok(());
        }
        match field {
            Field::Serial => {
                self.serial = Some((field.integer(token, bytes)?, token.start..token.end));
            }
            Field::Version => self.version = Some(field.integer(token, bytes)?),
            Field::Lineage => self.lineage = Some(field.text(token, bytes)?),
            Field::EncryptionVersion => self.encryption_version = Some(field.text(token, bytes)?),
            // No rule needs it, so nothing fails for it.
            Field::TerraformVersion => self.terraform_version = field.text(token, bytes).ok(),
        }
        Ok(())
    }
}

impl Field {
    const ALL: [Self; 5] = [
        Self::Serial,
        Self::Lineage,
        Self::Version,
        Self::EncryptionVersion,
        Self::TerraformVersion,
    ];

    fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| is_field(key, field.name()))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Lineage => "lineage",
            Self::Version => "version",
            Self::EncryptionVersion => "encryption_version",
            Self::TerraformVersion => "terraform_version",
        }
    }

    fn integer(self, token: Token, bytes: &[u8]) -> Result<u64, NotAState> {
        let digits = match token.kind {
            Kind::Number => std::str::from_utf8(bytes).ok(),
            _ => None,
        };
        digits.and_then(|digits| digits.parse().ok()).ok_or(NotAState::WrongType {
            field: self.name(),
            offset: token.start,
            expected: "a whole number of 64 bits, without sign, point or exponent",
        })
    }

    fn text(self, token: Token, bytes: &[u8]) -> Result<String, NotAState> {
        let (field, offset) = (self.name(), token.start);
        if token.kind != Kind::String {
            return Err(NotAState::WrongType { field, offset, expected: "a string" });
        }
        if token.end - token.start > TEXT_BYTES_MAX as u64 + 2 {
            return Err(NotAState::TooLong { field, offset });
        }
        Ok(decode(bytes).into_owned())
    }
}

fn is_close(token: Token) -> bool {
    matches!(token.kind, Kind::Close(_))
}

/// What `piece` holds of the bytes from `start` on.
fn bytes_from(piece: &[u8], piece_start: u64, start: u64) -> &[u8] {
    piece.get(start.saturating_sub(piece_start) as usize..).unwrap_or_default()
}

/// What `piece` holds of `token`.
fn bytes_until(piece: &[u8], piece_start: u64, token: Token) -> &[u8] {
    let seen = bytes_from(piece, piece_start, token.start);
    let length = token.end - token.start.max(piece_start);
    seen.get(..length as usize).unwrap_or(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"{"version":4,"serial":7,"lineage":"l"}"#;

    fn check(body: &[u8], expected: Result<u64, NotAState>) {
        let name = String::from_utf8_lossy(body);
        assert_eq!(State::parse(body).map(|state| state.serial), expected, "{name}");
        let mut reader = StateReader::new();
        let pushed = body.iter().try_for_each(|byte| reader.push(std::slice::from_ref(byte)));
        let in_bytes = pushed.and_then(|()| reader.finish());
        assert_eq!(in_bytes.map(|state| state.serial), expected, "byte by byte: {name}");
    }

    #[test]
    fn what_terraform_reads_is_a_state() {
        let rows: [(&[u8], u64); 21] = [
            (MINIMAL.as_bytes(), 7),
            (b" {\n\"lineage\" : \"\", \"serial\" : 0 , \"version\":1}\r\n\t", 0),
            (br#"{"version":4,"serial":18446744073709551615,"lineage":"l"}"#, u64::MAX),
            (br#"{"version":4,"serial":9007199254740993,"lineage":"l"}"#, 9_007_199_254_740_993),
            (br#"{"version":99,"serial":1,"lineage":"l"}"#, 1),
            (br#"{"version":4,"serial":1,"serial":2,"lineage":"l"}"#, 2),
            (br#"{"version":4,"serial":1,"Serial":2,"lineage":"l"}"#, 2),
            (br#"{"version":4,"SERIAL":2,"serial":1,"lineage":"l"}"#, 1),
            (br#"{"version":4,"ser\u0069al":3,"lineage":"l"}"#, 3),
            (br#"{"version":4,"\u017ferial":3,"lineage":"l"}"#, 3),
            ("{\"version\":4,\"\u{17f}erial\":3,\"lineage\":\"l\"}".as_bytes(), 3),
            (br#"{"version":4,"serial":1,"serial":null,"lineage":"l"}"#, 1),
            (br#"{"version":4,"serial":1,"lineage":"l","terraform_version":7}"#, 1),
            (br#"{"version":4,"serial":1,"lineage":"l","outputs":{"serial":5}}"#, 1),
            (br#"{"version":4,"serial":1,"lineage":"l","x":["serial",5,{"serial":6}]}"#, 1),
            (br#"{"encryption_version":"v0","serial":4,"lineage":"l","meta":{}}"#, 4),
            (br#"{"encryption_version":"","version":4,"serial":4,"lineage":"l"}"#, 4),
            (b"{\"version\":4,\"serial\":1,\"lineage\":\"\xff\"}", 1),
            (b"{\"version\":4,\"serial\":1,\"lineage\":\"l\",\"\xc3\x28\":\"\xed\xa0\x80\"}", 1),
            (br#"{"version":4,"serial":1,"lineage":"\ud800"}"#, 1),
            (br#"{"version":4,"serial":1,"lineage":"l","x":[-0.5e+7,1E3,true,false,null]}"#, 1),
        ];
        for (body, serial) in rows {
            check(body, Ok(serial));
        }
    }

    #[test]
    fn what_terraform_does_not_read_is_none() {
        let wrong = |offset| NotAState::WrongType {
            field: "serial",
            offset,
            expected: "a whole number of 64 bits, without sign, point or exponent",
        };
        let rows: [(&[u8], NotAState); 20] = [
            (b"", NotAState::Empty),
            (b"[]", NotAState::NotAnObject),
            (b"7", NotAState::NotAnObject),
            (b"\"state\"", NotAState::NotAnObject),
            (b"null", NotAState::NotAnObject),
            (b"{}", NotAState::Missing { field: "serial" }),
            (br#"{"serial":1,"version":4}"#, NotAState::Missing { field: "lineage" }),
            (br#"{"serial":1,"lineage":"l"}"#, NotAState::Missing { field: "version" }),
            (br#"{"serial":null,"lineage":"l"}"#, NotAState::Missing { field: "serial" }),
            (
                br#"{"serial":1,"lineage":"l","encryption_version":""}"#,
                NotAState::Missing { field: "version" },
            ),
            (br#"{"serial":1e3}"#, wrong(10)),
            (br#"{"serial":1.0}"#, wrong(10)),
            (br#"{"serial":-1}"#, wrong(10)),
            (br#"{"serial":-0}"#, wrong(10)),
            (br#"{"serial":18446744073709551616}"#, wrong(10)),
            (br#"{"serial":"1"}"#, wrong(10)),
            (br#"{"serial":[1]}"#, wrong(10)),
            (br#"{"serial":true}"#, wrong(10)),
            (
                br#"{"lineage":1}"#,
                NotAState::WrongType { field: "lineage", offset: 11, expected: "a string" },
            ),
            (
                br#"{"encryption_version":{}}"#,
                NotAState::WrongType {
                    field: "encryption_version",
                    offset: 22,
                    expected: "a string",
                },
            ),
        ];
        for (body, error) in rows {
            check(body, Err(error));
        }
    }

    #[test]
    fn what_is_no_json_says_where() {
        use crate::json::SyntaxErrorKind::{self, ControlCharacter, UnexpectedByte, UnexpectedEnd};
        let rows: [(&[u8], u64, SyntaxErrorKind); 22] = [
            (b"\xef\xbb\xbf{}", 0, UnexpectedByte),
            (b"garbage", 0, UnexpectedByte),
            (b"  ", 2, UnexpectedEnd),
            (b"{", 1, UnexpectedEnd),
            (b"{\"a\"", 4, UnexpectedEnd),
            (b"{\"a", 3, UnexpectedEnd),
            (b"{\"a\" 1}", 5, UnexpectedByte),
            (b"{\"a\":1,}", 7, UnexpectedByte),
            (b"{,}", 1, UnexpectedByte),
            (b"{\"a\":[1,]}", 8, UnexpectedByte),
            (b"{\"a\":[1}", 7, UnexpectedByte),
            (b"{\"a\":01}", 6, UnexpectedByte),
            (b"{\"a\":1.}", 7, UnexpectedByte),
            (b"{\"a\":-}", 6, UnexpectedByte),
            (b"{\"a\":+1}", 5, UnexpectedByte),
            (b"{\"a\":nul}", 8, UnexpectedByte),
            (b"{\"a\":\"\n\"}", 6, ControlCharacter),
            (b"{\"a\":\"\\x\"}", 7, UnexpectedByte),
            (b"{\"a\":\"\\u12g4\"}", 10, UnexpectedByte),
            (b"{}{}", 2, UnexpectedByte),
            (b"{}\0", 2, UnexpectedByte),
            (b"{a:1}", 1, UnexpectedByte),
        ];
        for (body, offset, kind) in rows {
            check(body, Err(NotAState::Syntax(SyntaxError { offset, kind })));
        }
    }

    #[test]
    fn the_longest_lineage_is_named() {
        for (bytes, is_read) in [(TEXT_BYTES_MAX, true), (TEXT_BYTES_MAX + 1, false)] {
            let lineage = "x".repeat(bytes);
            let body = format!(r#"{{"lineage":"{lineage}","version":4,"serial":1}}"#);
            check(
                body.as_bytes(),
                if is_read {
                    Ok(1)
                } else {
                    Err(NotAState::TooLong { field: "lineage", offset: 11 })
                },
            );
        }
        let long = "9".repeat(3 * TEXT_BYTES_MAX);
        let body = format!(r#"{{"serial":{long},"{long}":1}}"#);
        assert!(matches!(State::parse(body.as_bytes()), Err(NotAState::WrongType { .. })));
    }

    #[test]
    fn an_envelope_shows_serial_and_lineage() {
        let body = br#"{"serial":3,"lineage":"l","meta":{"key_provider.pbkdf2.k":"e30="},"encrypted_data":"AAAA","encryption_version":"v0"}"#;
        let state = State::parse(body).unwrap();
        let encryption_version = "v0".to_owned();
        assert_eq!(state.format, Format::Encrypted { encryption_version });
        assert_eq!((state.serial, state.lineage.as_str()), (3, "l"));
        assert_eq!(state.terraform_version, None);
    }

    #[test]
    fn errors_do_not_quote_the_body() {
        for body in [r#"{"serial":"hunter2"}"#, r#"{"lineage":["hunter2"]}"#, "hunter2", "{hunter2"]
        {
            let error = State::parse(body.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
        }
    }
}
