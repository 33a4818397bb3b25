//! From a raw request to what it addresses and which operation it asks for.

mod address;
mod operation;

pub use address::bucket_of_host;
pub(crate) use address::{Address, TAGS_PATH};
pub use operation::{Operation, Scope, State};
