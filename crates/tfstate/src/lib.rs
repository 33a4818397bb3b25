//! Terraform and OpenTofu state and lock bodies: bytes in, facts out.
//!
//! Pure: no I/O, no clock, no network. A body is only ever looked at, never written anew. What this
//! crate does not understand is an answer (`None`), not an error: the store keeps it all the same.

mod lock;

pub use lock::Lock;
