//! The command line as a user meets it: what stdout carries, the exit codes, the first run of `serve`,
//! and the end of it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../harness/mod.rs"]
mod harness;

mod admin;
mod audit;
mod backup;
mod bench;
mod between;
mod doctor;
mod generated;
mod guard;
mod key;
mod keyring;
mod lock;
mod migrate;
mod notify;
mod objects;
mod output;
mod policy;
mod roles;
mod serve;
mod state;
mod state_changes;
mod webhook;
