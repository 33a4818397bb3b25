//! What reads the network's bytes, each with what has to be true of it whatever the bytes are.
//!
//! Only where `fuzz/` builds this crate: so the parsers stay private, and a target is a call of what stands
//! here. Knows no engine that makes up inputs.
#![allow(missing_docs, clippy::unwrap_used, reason = "a panic is how a target fails")]

mod bodies;
mod documents;
mod headers;

pub use bodies::{chunked, chunked_signed, form};
pub use documents::document;
pub use headers::headers;

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tidelock_store::{BucketName, ObjectKey};

use crate::query::Query;
use crate::route::{Address, Operation, Scope};

/// The head of a request, to the names it carries and the operation it asks for.
pub fn route(method: &Method, host: &str, path: &str, query: &str, has_copy_source: bool) {
    let domains = [String::from("s3.test"), String::from("test")];
    let address = Address::parse(host, path, &domains).ok();
    let query = Query::parse(query).ok();
    address.iter().for_each(check_address);
    query.iter().for_each(check_query);
    let (Some(address), Some(query)) = (address, query) else { return };
    check_operation(address.scope(), method, &query, has_copy_source);
}

/// Written in the other form, with all that can be escaped, it is the same address.
fn check_address(address: &Address) {
    let Some(bucket) = &address.bucket else { return assert_eq!(address.key, None) };
    let key = address.key.as_deref().unwrap_or_default();
    assert!(!bucket.is_empty() && address.key.as_deref() != Some(""));
    let path = format!("/{}/{}", encode(bucket), encode(key));
    assert_eq!(Address::parse("localhost:9000", &path, &[]).ok().as_ref(), Some(address));
    if let (Ok(bucket), Ok(key)) = (bucket.parse::<BucketName>(), key.parse::<ObjectKey>()) {
        let (host, path) = (format!("{bucket}.s3.test"), format!("/{}", encode(key.as_str())));
        let domains = [String::from("s3.test")];
        assert_eq!(Address::parse(&host, &path, &domains).ok().as_ref(), Some(address));
    }
}

fn check_query(query: &Query) {
    let pairs = query.pairs().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    let again: Vec<String> = pairs.collect();
    assert_eq!(Query::parse(&again.join("&")).ok().as_ref(), Some(query));
}

/// What is asked for is found whatever else stands in the query, and copies nothing unless it says so.
fn check_operation(scope: Scope, method: &Method, query: &Query, has_copy_source: bool) {
    let choose =
        |query: &Query, has_source| Operation::choose(scope, method, query, has_source).ok();
    let chosen = choose(query, has_copy_source);
    let pairs = query.pairs().map(|(name, value)| format!("&{}={}", encode(name), encode(value)));
    let longer = format!("x-unknown=1{}", pairs.collect::<String>());
    assert_eq!(choose(&Query::parse(&longer).unwrap(), has_copy_source), chosen);
    let copies = matches!(chosen, Some(Operation::CopyObject | Operation::UploadPartCopy));
    assert!(has_copy_source || !copies);
    assert!(copies || choose(query, false) == chosen);
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
