//! What is derived of a state when it is written, so that lists and searches read no body: its facts,
//! its index, and what changed against the version before. Decides nothing about writes.

mod codec;
mod derive;
mod facts;
#[cfg(test)]
pub(crate) mod fixture;
mod index;
mod keep;
mod list;
#[cfg(test)]
mod listing_tests;
mod page;
mod search;
#[cfg(test)]
mod tests;

pub(crate) use derive::{DERIVED_BODY_BYTES_MAX, Derived, changes, derive};
pub(crate) use facts::place;
pub(crate) use index::Index;
pub use list::{ListStates, ListedState, ListedStateVersion, StatePage, UnknownObject};
pub use search::{FoundInstance, SearchCursor, SearchPage, SearchStates};
