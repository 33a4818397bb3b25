//! The S3 wire protocol: routes, payload encodings, XML documents, error codes.
//!
//! A request comes in as [`http::Request`], is routed by its raw path, authenticated by its
//! signature, run by one file under `ops/` over [`tidelock_store::Store`], and leaves as
//! [`http::Response`]. This crate knows no socket, no disk and no configuration file; what a write
//! means, and whether its conditions hold, is the store's to decide.

mod access;
mod acl;
mod authn;
mod call;
mod checksum;
mod conditions;
mod config;
mod cors;
mod date;
mod document;
mod encryption;
mod error;
mod etag;
mod form;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
mod object_lock;
mod ops;
mod owner;
mod payload;
mod query;
mod query_api;
mod range;
mod request_id;
mod response;
mod route;
mod service;
mod settings;
mod tags;
mod web_identity;
mod xml;

pub use access::{Asked, Authorizer, ByList, Circumstances, Need, headers_of_anybody};
pub use authn::{
    Authenticated, Authenticator, KeyRoom, SignatureVersion, Signing, Turnstile, claimed_key,
};
pub use checksum::content_md5;
pub use config::S3Config;
pub use date::iso8601;
pub use error::{ErrorCode, S3Error};
pub use payload::{Payload, WireBody, drain};
pub use query::Query;
pub use request_id::RequestId;
pub use response::{Response, ResponseBody, StreamError};
pub use route::{Operation, Scope, State, bucket_of_host};
pub use service::{Peer, Requester, S3Service};
use tidelock_store::Clock;
pub use web_identity::{NoWebIdentities, WebIdentities, WebIdentityError};
