//! Any form: reading it never panics, pieces make no difference, and its fields and file read the same when
//! they are sent again.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The first line is the `Content-Type`; the rest is the body.
fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let Ok(content_type) = std::str::from_utf8(&input[..end]) else { return };
    tidelock_s3::fuzz::form(content_type, input.get(end + 1..).unwrap_or_default());
});
