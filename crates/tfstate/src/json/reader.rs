//! Walks a body in memory value by value. Copies nothing but text with escapes.

use std::borrow::Cow;
use std::ops::Range;

use super::{Container, Kind, Lexer, SyntaxError, SyntaxErrorKind, Token, decode};

pub(crate) struct Reader<'a> {
    body: &'a [u8],
    rest: &'a [u8],
    lexer: Lexer,
    /// Where `body` begins in the whole body, so that a reader of one value gives whole offsets.
    base: u64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body, rest: body, lexer: Lexer::new(), base: 0 }
    }

    /// A reader of the one value at `span` of `body`.
    pub(crate) fn of(body: &'a [u8], span: &Range<usize>) -> Self {
        let value = body.get(span.clone()).unwrap_or_default();
        Self { base: span.start as u64, ..Self::new(value) }
    }

    /// The next token; none at the end of the body.
    pub(crate) fn next(&mut self) -> Result<Option<Token>, SyntaxError> {
        let token = match self.lexer.next(&mut self.rest) {
            Ok(None) => self.lexer.finish(),
            other => other,
        };
        match token {
            Ok(token) => Ok(token.map(|token| Token {
                start: self.base + token.start,
                end: self.base + token.end,
                ..token
            })),
            Err(error) => Err(SyntaxError { offset: self.base + error.offset, ..error }),
        }
    }

    /// The next token where one has to follow.
    pub(crate) fn value(&mut self) -> Result<Token, SyntaxError> {
        self.next()?
            .ok_or(SyntaxError { offset: self.position(), kind: SyntaxErrorKind::UnexpectedEnd })
    }

    /// The next name in the object that is open; none after its last member.
    pub(crate) fn key(&mut self) -> Result<Option<Cow<'a, str>>, SyntaxError> {
        let token = self.value()?;
        Ok((token.kind == Kind::Key).then(|| decode(self.raw(token))))
    }

    /// The first token of the next element of the array that is open; none after its last.
    pub(crate) fn element(&mut self) -> Result<Option<Token>, SyntaxError> {
        let token = self.value()?;
        Ok((token.kind != Kind::Close(Container::Array)).then_some(token))
    }

    /// Bytes of the whole body up to the end of the last token.
    pub(crate) fn position(&self) -> u64 {
        self.base + self.lexer.offset()
    }

    /// The bytes of `token`.
    pub(crate) fn raw(&self, token: Token) -> &'a [u8] {
        let (start, end) = (token.start - self.base, token.end - self.base);
        self.body.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Goes to the end of the value that begins with `first`, and says which bytes it covers.
    pub(crate) fn skip(&mut self, first: Token) -> Result<Range<usize>, SyntaxError> {
        let mut end = first.end;
        if let Kind::Open(_) = first.kind {
            let outside = self.lexer.depth() - 1;
            while self.lexer.depth() > outside {
                end = self.value()?.end;
            }
        }
        Ok(first.start as usize..end as usize)
    }
}

/// Whether two values are the same but for white space and the way their text is escaped.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    if left == right {
        return true;
    }
    let (mut lefts, mut rights) = (Reader::new(left), Reader::new(right));
    loop {
        match (lefts.next(), rights.next()) {
            (Ok(Some(left)), Ok(Some(right))) if left.kind == right.kind => {
                let equal = match left.kind {
                    Kind::Key | Kind::String => {
                        decode(lefts.raw(left)) == decode(rights.raw(right))
                    }
                    Kind::Number => lefts.raw(left) == rights.raw(right),
                    _ => true,
                };
                if !equal {
                    return false;
                }
            }
            (Ok(None), Ok(None)) => return true,
            _ => return false,
        }
    }
}

/// A value without white space between its tokens.
pub(crate) fn compact(value: &[u8]) -> String {
    let (mut inside, mut escaped) = (false, false);
    let mut kept = Vec::with_capacity(value.len());
    for &byte in value {
        if !inside && matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            continue;
        }
        if byte == b'"' && !escaped {
            inside = !inside;
        }
        escaped = inside && byte == b'\\' && !escaped;
        kept.push(byte);
    }
    String::from_utf8(kept)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
