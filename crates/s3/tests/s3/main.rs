//! The S3 service through its public face, as one binary: a file for each part of it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod access;
mod agreement;
mod compatibility_document;
mod conditions;
mod fixture;
mod operations;
mod requests;
