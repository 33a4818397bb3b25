//! Conformance: what one client sees, row by row, over the wire. Conditions, errors, ranges, listings,
//! versions, payload modes. Each table runs against a server as started without flags and against one
//! with `--strict-aws-conditions`. All of it holds on every engine but for `disk` and `restarts`.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::too_many_lines, reason = "a table of rows is data, as long as it is")]

#[path = "../harness/mod.rs"]
mod harness;

mod access;
mod audit;
mod cors;
mod deletes;
mod disk;
mod encryption;
mod entitlements;
mod forms;
mod hostile;
mod http;
mod identity;
mod lifecycle;
mod listings;
mod locks;
mod multipart;
mod object_lock;
mod operations;
mod payloads;
mod provider;
mod reads;
mod recorded;
mod restarts;
mod script;
mod shapes;
mod tfhttp;
mod writes;

use harness::Server;
use script::{Lane, Row, check};

/// One table in both lanes.
fn both(rows: &[Row]) {
    let server = Server::start(&[]);
    check(&server.root(), Lane::Default, rows);
    drop(server);
    let server = Server::start(&["--strict-aws-conditions"]);
    check(&server.root(), Lane::Strict, rows);
}

/// A table whose answers no lane changes.
fn one(rows: &[Row]) {
    check(&Server::start(&[]).root(), Lane::Default, rows);
}

#[test]
fn conditions_of_put() {
    both(&writes::put_rows());
}

#[test]
fn conditions_of_copy() {
    both(&writes::copy_rows());
}

#[test]
fn conditions_of_complete() {
    both(&writes::complete_rows());
}

#[test]
fn conditions_of_delete() {
    both(&deletes::rows());
}

#[test]
fn conditions_of_get() {
    both(&reads::get_rows());
}

#[test]
fn conditions_of_head() {
    both(&reads::head_rows());
}

#[test]
fn conditions_of_a_copy_source() {
    both(&reads::copy_source_rows());
}

#[test]
fn conditions_of_a_part_copy_source() {
    both(&reads::part_copy_source_rows());
}

#[test]
fn lock_objects() {
    both(&locks::rows());
}

#[test]
fn ranges_of_a_read() {
    one(&reads::range_rows());
}

#[test]
fn ranges_of_a_part_copy() {
    one(&reads::part_copy_range_rows());
}

#[test]
fn shapes_of_a_read() {
    one(&reads::shape_rows());
}

#[test]
fn versions_and_delete_markers() {
    one(&recorded::version_rows());
}

#[test]
fn bucket_and_object_settings() {
    one(&recorded::setting_rows());
}

#[test]
fn access_of_buckets_as_recorded() {
    both(&recorded::policy_rows());
}

#[test]
fn sub_resources_not_configured() {
    one(&recorded::not_configured_rows());
}

#[test]
fn buckets_that_do_not_exist() {
    one(&recorded::no_bucket_rows());
}

#[test]
fn listings_of_objects() {
    one(&listings::rows());
}

#[test]
fn multipart_uploads() {
    one(&multipart::rows());
}

#[test]
fn cross_origin_requests() {
    one(&cors::rows());
}

#[test]
fn lifecycle_rows() {
    one(&lifecycle::rows());
}

#[test]
fn object_lock_rows() {
    one(&object_lock::rows());
}

#[test]
fn documents_that_grow() {
    one(&hostile::document_rows());
}

#[test]
fn errors_and_their_shapes() {
    one(&shapes::rows());
}
