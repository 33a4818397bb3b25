//! Terraform and OpenTofu state and lock bodies: bytes in, facts out.
//!
//! Pure: no I/O, no clock, no network. A body is only ever looked at; the one change there is
//! replaces the digits of a serial ([`SerialSplice`]).
//!
//! Two passes. [`State`] is what every write of a state needs, is read in pieces and in constant
//! memory, and decides what a state object is. [`Document`] is the rest, for a body in memory: its
//! [`Summary`], what [`Mask`] hides, and the [`Diff`] of two of them. Both read JSON as Go's
//! `encoding/json` does, because that is what reads it back; neither recurses, and every limit has a
//! name. Errors give byte offsets and never quote a value.
//!
//! ```
//! use tidelock_tfstate::{Diff, Document, SerialSplice, Show, State};
//!
//! let old = br#"{"version":4,"serial":1,"lineage":"l","outputs":{"a":{"value":1}}}"#;
//! let new = br#"{"version":4,"serial":2,"lineage":"l","outputs":{"a":{"value":2}}}"#;
//! assert_eq!(State::parse(new)?.serial, 2);
//!
//! let diff = Diff::of(&Document::parse(old)?, &Document::parse(new)?, Show::Masked);
//! assert_eq!(diff.outputs[0].name, "a");
//!
//! let rolled_back = SerialSplice::new(&State::parse(old)?, 3)?.apply(old)?;
//! assert_eq!(State::parse(&rolled_back)?.serial, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod diff;
mod document;
mod json;
mod lock;
mod mask;
mod query;
mod serial;
mod state;
mod summary;

pub use diff::{
    AttributeChange, CHANGES_BYTES_MAX, CHANGES_MAX, Diff, InstanceAddress, InstanceChange,
    LEAVES_MAX, OutputChange, PATH_BYTES_MAX, PATH_STEPS_MAX, Show, VALUE_BYTES_MAX, Value,
};
pub use document::{
    DOCUMENT_BYTES_MAX, Document, DocumentError, ITEMS_MAX, NAME_BYTES_MAX, SERVED_BYTES_MAX,
};
pub use json::{SyntaxError, SyntaxErrorKind};
pub use lock::{LOCK_BYTES_MAX, Lock, Operation};
pub use mask::{MASKED, MASKED_VALUES_MAX, Mask};
pub use query::{AttributeQuery, ResourceQuery};
pub use serial::{SerialSplice, SpliceError};
pub use state::{Format, NotAState, State, StateReader, TEXT_BYTES_MAX};
pub use summary::{
    Check, CheckStatus, Counts, Index, Instance, Mode, Output, Resource, Summary, resource_address,
};
