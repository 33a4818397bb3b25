//! The store through its public face, as one binary: a file for each part of it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod audit;
mod deposed;
mod encryption;
mod fixture;
mod groups;
mod guard;
mod interleavings;
mod keys;
mod lifecycle;
mod locks;
mod model;
mod object_lock;
mod objects;
mod roles;
mod servers;
mod uploads;
