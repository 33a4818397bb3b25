//! Any token, key set and discovery document at all: reading and verifying them never panics, and what
//! nobody signed proves nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidelock_auth::oidc::{Discovery, KeySet, Token, unverified_issuer};

// The first line is a token, the rest a document.
fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let Ok(token) = std::str::from_utf8(&input[..end]) else { return };
    let document = input.get(end + 1..).unwrap_or_default();
    let keys = KeySet::parse(document);
    let _ = Discovery::parse(document, "https://id.test");
    if let Ok(token) = Token::parse(token) {
        let _ = unverified_issuer(&token);
        if let Ok(keys) = keys {
            let verified = token.verify(&keys);
            assert!(!keys.is_empty() || verified.is_err());
        }
    }
});
