//! Any token, key set and discovery document at all: reading and verifying them never panics, and what
//! nobody signed proves nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidelock_auth::oidc::{Discovery, KeySet, Token, unverified_issuer};

fuzz_target!(|input: (&str, &[u8])| {
    let (token, document) = input;
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
