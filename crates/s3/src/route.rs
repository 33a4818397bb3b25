//! From a raw request to what it addresses and which operation it asks for.

mod address;
mod operation;

pub(crate) use address::Address;
pub use address::bucket_of_host;
pub use operation::{Operation, Scope, State};
