//! Any lock body at all: never panics, and what is read is what `serde_json` reads.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidelock_tfstate::{LOCK_BYTES_MAX, Lock, Operation};

fuzz_target!(|body: &[u8]| {
    let Some(lock) = Lock::parse(body) else { return };
    assert!(body.len() <= LOCK_BYTES_MAX && !lock.id.is_empty());
    assert_eq!(Operation::parse(lock.operation.as_str()), lock.operation);
    let again = serde_json::json!({
        "ID": lock.id,
        "Operation": lock.operation.as_str(),
        "Info": lock.info,
        "Who": lock.who,
        "Version": lock.version,
        "Created": lock.created,
        "Path": lock.path,
    });
    let again = again.to_string();
    if again.len() <= LOCK_BYTES_MAX {
        assert_eq!(Lock::parse(again.as_bytes()), Some(lock));
    }
});
