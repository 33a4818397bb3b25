//! Any method, host, path and query: finding the operation never panics, a name is decoded once, and what
//! is asked for does not change with what else is said.

#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;

// `METHOD HOST PATH[?QUERY] [copy]`, as text.
fuzz_target!(|head: &str| {
    let mut words = head.split_ascii_whitespace();
    let (Some(method), Some(host), Some(target)) = (words.next(), words.next(), words.next())
    else {
        return;
    };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    tidelock_s3::fuzz::route(&method, host, path, query, words.next() == Some("copy"));
});
