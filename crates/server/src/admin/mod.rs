//! What an operator does to a store that no server has open, or before one is started.
//!
//! `tidelock admin` prints what these answer; nothing here prints, and nothing here serves.

pub mod backup;
pub mod check;
pub mod copy;
pub mod extract;
pub mod recover;
pub mod verify;
