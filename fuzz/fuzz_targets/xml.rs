//! Any XML document, for the reader of every kind of request: never panics, at most one kind reads it, and
//! what is kept of it and written again reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| tidelock_s3::fuzz::document(document));
