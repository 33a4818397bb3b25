//! Bytes in pieces to tokens. Holds one bit for each open container and no byte of the body.

use super::{NESTING_DEPTH_MAX, SyntaxError, SyntaxErrorKind};

/// One token and the bytes it covers, counted from the start of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Open(Container),
    Close(Container),
    /// The name of a member, with its quotes.
    Key,
    /// With its quotes.
    String,
    Number,
    True,
    False,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Object,
    Array,
}

/// Reads a body in as many pieces as it comes in.
pub(crate) struct Lexer {
    state: State,
    open: OpenContainers,
    /// Bytes consumed.
    offset: u64,
    token_start: u64,
}

#[derive(Clone, Copy)]
enum State {
    Value,
    /// After `[`.
    ValueOrClose,
    /// After `{`.
    KeyOrClose,
    /// After a comma in an object.
    Key,
    Colon,
    /// After a value in a container.
    CommaOrClose,
    /// After the one value of the body.
    End,
    Text {
        key: bool,
        escape: Escape,
    },
    Number(Digits),
    Literal {
        kind: Kind,
        rest: &'static [u8],
    },
}

#[derive(Clone, Copy)]
enum Escape {
    None,
    /// After a backslash.
    Letter,
    /// This many hexadecimal digits to go.
    Hex(u8),
}

/// Where in a number: `-0`, `12`, `12.`, `12.5`, `12e`, `12e+`, `12e+3`.
#[derive(Clone, Copy)]
enum Digits {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl Lexer {
    pub(crate) fn new() -> Self {
        Self { state: State::Value, open: OpenContainers::default(), offset: 0, token_start: 0 }
    }

    /// Bytes consumed so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Containers open now.
    pub(crate) fn depth(&self) -> usize {
        self.open.depth
    }

    /// Where the token began that the last piece ended in; none between tokens.
    pub(crate) fn token_in_progress(&self) -> Option<u64> {
        match self.state {
            State::Text { .. } | State::Number(_) | State::Literal { .. } => Some(self.token_start),
            State::Value
            | State::ValueOrClose
            | State::KeyOrClose
            | State::Key
            | State::Colon
            | State::CommaOrClose
            | State::End => None,
        }
    }

    /// The next token that ends in `piece`, which shrinks from the front; none when it is used up.
    pub(crate) fn next(&mut self, piece: &mut &[u8]) -> Result<Option<Token>, SyntaxError> {
        while let Some(&byte) = piece.first() {
            let token = match self.state {
                State::Text { key, escape: Escape::None } => self.text(key, piece)?,
                State::Text { key, escape } => {
                    self.escaped(key, escape, byte)?;
                    self.consume(piece, 1);
                    None
                }
                State::Number(digits) => match digits.after(byte) {
                    Some(digits) => {
                        self.state = State::Number(digits);
                        self.consume(piece, 1);
                        None
                    }
                    None => Some(self.number(digits)?),
                },
                State::Literal { kind, rest } => {
                    self.literal(kind, rest, byte)?;
                    self.consume(piece, 1);
                    (rest.len() == 1).then(|| self.value_ended(kind))
                }
                State::Value
                | State::ValueOrClose
                | State::KeyOrClose
                | State::Key
                | State::Colon
                | State::CommaOrClose
                | State::End => {
                    self.token_start = self.offset;
                    let step = self.between(byte)?;
                    self.consume(piece, 1);
                    step.map(|kind| self.bracket(kind))
                }
            };
            if token.is_some() {
                return Ok(token);
            }
        }
        Ok(None)
    }

    /// The number that only the end of the body ends; an error if the body is cut off.
    pub(crate) fn finish(&mut self) -> Result<Option<Token>, SyntaxError> {
        match self.state {
            State::End => Ok(None),
            State::Number(digits) if self.open.depth == 0 && digits.may_end() => {
                self.number(digits).map(Some)
            }
            _ => Err(self.error(SyntaxErrorKind::UnexpectedEnd)),
        }
    }

    /// A run of plain bytes in a string, and what ends it.
    fn text(&mut self, key: bool, piece: &mut &[u8]) -> Result<Option<Token>, SyntaxError> {
        let plain = piece.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        self.consume(piece, plain.unwrap_or(piece.len()));
        let Some(&byte) = piece.first() else { return Ok(None) };
        match byte {
            b'"' => {
                self.consume(piece, 1);
                if key {
                    self.state = State::Colon;
                    return Ok(Some(self.token(Kind::Key)));
                }
                Ok(Some(self.value_ended(Kind::String)))
            }
            b'\\' => {
                self.consume(piece, 1);
                self.state = State::Text { key, escape: Escape::Letter };
                Ok(None)
            }
            _ => Err(self.error(SyntaxErrorKind::ControlCharacter)),
        }
    }

    fn escaped(&mut self, key: bool, escape: Escape, byte: u8) -> Result<(), SyntaxError> {
        let escape = match (escape, byte) {
            (Escape::Letter, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
            | (Escape::Hex(1), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => Escape::None,
            (Escape::Letter, b'u') => Escape::Hex(4),
            (Escape::Hex(left), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => Escape::Hex(left - 1),
            _ => return Err(self.error(SyntaxErrorKind::UnexpectedByte)),
        };
        self.state = State::Text { key, escape };
        Ok(())
    }

    /// Ends a number before the byte that is no part of it.
    fn number(&mut self, digits: Digits) -> Result<Token, SyntaxError> {
        if !digits.may_end() {
            return Err(self.error(SyntaxErrorKind::UnexpectedByte));
        }
        Ok(self.value_ended(Kind::Number))
    }

    fn literal(&mut self, kind: Kind, rest: &'static [u8], byte: u8) -> Result<(), SyntaxError> {
        match rest.split_first() {
            Some((&expected, rest)) if expected == byte => {
                self.state = State::Literal { kind, rest };
                Ok(())
            }
            _ => Err(self.error(SyntaxErrorKind::UnexpectedByte)),
        }
    }

    /// A byte between tokens: the bracket it is, if it is one; else the state it leads to.
    fn between(&mut self, byte: u8) -> Result<Option<Kind>, SyntaxError> {
        match (self.state, byte) {
            (_, b' ' | b'\t' | b'\n' | b'\r') => {}
            (State::ValueOrClose, b']') => return Ok(Some(Kind::Close(Container::Array))),
            (State::Value | State::ValueOrClose, _) => return self.value_begins(byte),
            (State::KeyOrClose, b'}') => return Ok(Some(Kind::Close(Container::Object))),
            (State::KeyOrClose | State::Key, b'"') => {
                self.state = State::Text { key: true, escape: Escape::None };
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::CommaOrClose, byte) => match (self.open.innermost(), byte) {
                (Some(Container::Object), b',') => self.state = State::Key,
                (Some(Container::Array), b',') => self.state = State::Value,
                (Some(Container::Object), b'}') => {
                    return Ok(Some(Kind::Close(Container::Object)));
                }
                (Some(Container::Array), b']') => return Ok(Some(Kind::Close(Container::Array))),
                _ => return Err(self.error(SyntaxErrorKind::UnexpectedByte)),
            },
            _ => return Err(self.error(SyntaxErrorKind::UnexpectedByte)),
        }
        Ok(None)
    }

    fn value_begins(&mut self, byte: u8) -> Result<Option<Kind>, SyntaxError> {
        self.state = match byte {
            b'{' | b'[' if self.open.depth >= NESTING_DEPTH_MAX => {
                return Err(self.error(SyntaxErrorKind::TooDeep));
            }
            b'{' => return Ok(Some(Kind::Open(Container::Object))),
            b'[' => return Ok(Some(Kind::Open(Container::Array))),
            b'"' => State::Text { key: false, escape: Escape::None },
            b'-' => State::Number(Digits::Minus),
            b'0' => State::Number(Digits::Zero),
            b'1'..=b'9' => State::Number(Digits::Whole),
            b't' => State::Literal { kind: Kind::True, rest: b"rue" },
            b'f' => State::Literal { kind: Kind::False, rest: b"alse" },
            b'n' => State::Literal { kind: Kind::Null, rest: b"ull" },
            _ => return Err(self.error(SyntaxErrorKind::UnexpectedByte)),
        };
        Ok(None)
    }

    fn bracket(&mut self, kind: Kind) -> Token {
        match kind {
            Kind::Open(container) => {
                self.open.push(container);
                self.state = match container {
                    Container::Object => State::KeyOrClose,
                    Container::Array => State::ValueOrClose,
                };
                self.token(kind)
            }
            _ => {
                self.open.pop();
                self.value_ended(kind)
            }
        }
    }

    fn value_ended(&mut self, kind: Kind) -> Token {
        self.state = if self.open.depth == 0 { State::End } else { State::CommaOrClose };
        self.token(kind)
    }

    fn token(&self, kind: Kind) -> Token {
        Token { kind, start: self.token_start, end: self.offset }
    }

    fn consume(&mut self, piece: &mut &[u8], bytes: usize) {
        *piece = piece.get(bytes..).unwrap_or_default();
        self.offset += bytes as u64;
    }

    fn error(&self, kind: SyntaxErrorKind) -> SyntaxError {
        SyntaxError { offset: self.offset, kind }
    }
}

impl Digits {
    /// The place after one more byte; none if the byte is no part of the number.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Whole, b'0'..=b'9') => Self::Whole,
            (Self::Zero | Self::Whole, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::E,
            (Self::E, b'+' | b'-') => Self::Sign,
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Self::Exponent,
            _ => return None,
        })
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::Exponent)
    }
}

/// A stack of one bit each: set for an object.
#[derive(Default)]
struct OpenContainers {
    words: Vec<u64>,
    depth: usize,
}

impl OpenContainers {
    fn push(&mut self, container: Container) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.words.len() {
            self.words.push(0);
        }
        self.words[word] &= !(1 << bit);
        self.words[word] |= u64::from(container == Container::Object) << bit;
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn innermost(&self) -> Option<Container> {
        let at = self.depth.checked_sub(1)?;
        let is_object = self.words.get(at / 64)? >> (at % 64) & 1 == 1;
        Some(if is_object { Container::Object } else { Container::Array })
    }
}
