//! What the black-box lanes share: a server process over the engine of the lane, an HTTP client that sends exactly what it is
//! told, a signer of its own (so that client and server cannot share a mistake), and seeded chance.
//!
//! It knows the wire and the command line, and nothing of the crates behind them.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each lane uses its part of the harness"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

pub mod ask;
pub mod chance;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod digest;
pub mod engine;
pub mod http;
pub mod image;
pub mod load;
pub mod metrics;
pub mod process;
pub mod server;
pub mod sigv4;
pub mod xml;

pub use ask::{Ask, Payload};
pub use client::{Client, Session};
pub use cluster::Cluster;
pub use engine::Engine;
pub use http::Response;
pub use image::Image;
pub use server::Server;

/// A count from the environment, so that a longer run needs no other build.
pub fn count_from_env(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a count")),
        Err(_) => default,
    }
}
