//! The one place of the test harness that asks the machine for the time.
#![allow(clippy::disallowed_methods, reason = "black-box tests run on the machine's clock")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Seconds since 1970-01-01T00:00:00Z.
pub fn now_seconds() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A moment for measuring durations.
pub fn instant() -> Instant {
    Instant::now()
}

/// `20261121T203506Z`, the form of `x-amz-date`.
pub fn amz_date(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// `Sat, 21 Nov 2026 20:35:06 GMT`, the form of HTTP dates (RFC 9110 §5.6.7).
pub fn http_date(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Asks again and again until `done` says yes; panics after `limit`.
pub fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
