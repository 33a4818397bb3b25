//! JSON as Go's `encoding/json` reads it, which is how Terraform and OpenTofu read their states.
//!
//! Knows no state and no lock. [`Lexer`] takes bytes in pieces and needs no memory but its stack of
//! open containers; [`Reader`] walks a body that is in memory. Neither recurses.

mod lexer;
mod reader;
mod text;

pub(crate) use lexer::{Container, Kind, Lexer, Token};
pub(crate) use reader::{Reader, compact, same};
pub(crate) use text::{decode, is_field};

/// Most containers open at once. Go's decoder has the same limit, so Terraform reads nothing deeper
/// (`maxNestingDepth` of <https://pkg.go.dev/encoding/json>).
pub(crate) const NESTING_DEPTH_MAX: usize = 10_000;

/// Where and why a body is not JSON. Never quotes the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct SyntaxError {
    /// Bytes of the body before the one that is wrong.
    pub offset: u64,
    /// What is wrong there.
    pub kind: SyntaxErrorKind,
}

/// What is wrong with a body that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxErrorKind {
    /// A byte that cannot stand here, such as a byte order mark or what follows the last brace.
    #[error("unexpected byte")]
    UnexpectedByte,
    /// The body is cut off.
    #[error("unexpected end")]
    UnexpectedEnd,
    /// A control character in a string; JSON wants it escaped.
    #[error("control character in a string")]
    ControlCharacter,
    /// More than 10,000 containers open at once.
    #[error("nested too deeply")]
    TooDeep,
}
