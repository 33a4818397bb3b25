//! Any policy of a form, and any fields: reading and checking never panics, and who is not named by a key
//! of ours has signed nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidelock_auth::identity::SecretAccessKey;
use tidelock_auth::post::{POST_POLICY_BYTES_MAX, PostClaim, PostPolicy, claim};

// The first line is a policy, each of the others is NAME=VALUE.
fuzz_target!(|input: &str| {
    let (policy, fields) = input.split_once('\n').unwrap_or((input, ""));
    let fields = fields.split('\n').filter_map(|line| line.split_once('='));
    let fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let policy = policy.as_bytes();
    if let Ok(policy) = PostPolicy::parse(policy) {
        let now = jiff::Timestamp::UNIX_EPOCH;
        if policy.check(&fields, "bucket", now).is_ok() {
            assert!(policy.check(&fields, "bucket", jiff::Timestamp::MAX).is_err(), "it expires");
        }
    }
    let field = |name: &str| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    };
    if let PostClaim::Signed(signature) = claim(field) {
        assert!(!signature.is_of(&SecretAccessKey::new("a secret that the input does not hold")));
        assert!(signature.document().is_none_or(|it| it.len() <= signature.policy().len()));
    }
    assert!(policy.len() <= POST_POLICY_BYTES_MAX || PostPolicy::parse(policy).is_err());
});
