//! From a raw request to what it addresses and which operation it asks for.

mod address;
mod operation;

pub(crate) use address::Address;
pub use operation::{Operation, Scope, State};
