//! Listener, configuration, telemetry and the JSON API of Tidelock.
//!
//! This crate wires the others together: it opens the engines, listens, and hands requests to the
//! S3 service or to what stands under `/_/`. It knows no S3 document and decides no write.

pub mod admin;
mod api;
pub mod args;
pub mod backend_block;
mod background;
mod bootstrap;
mod certificate_facts;
pub mod config;
mod console;
pub mod credentials;
mod dispatch;
mod engine;
mod error;
mod failpoint;
mod forwarded;
mod framing;
mod history;
mod listener;
mod metrics;
mod notify;
mod observe;
mod oidc;
mod outgoing;
mod pace;
mod private_file;
mod room;
mod serve;
mod server;
mod short_day;
mod stall;
mod status;
mod target;
mod telemetry;
mod tfhttp;
pub mod tls;
mod webhooks;

pub use args::ServeArgs;
pub use config::Config;
pub use engine::{Close, Engines, Ownership};
pub use error::{FailureKind, ServeError};
pub use metrics::{Finished, Metrics};
pub use serve::{effective, object_store_variables, resolve, serve};
pub use server::{Server, Surroundings};
pub use telemetry::TelemetryError;
