//! Requests whose head can be read in two ways: for another host, or with another end, by whoever stands
//! in front. They are refused before anybody is asked who sent them.
//!
//! Sources: RFC 9112, sections 3.2 (one `Host`) and 6 (one length, one transfer coding); RFC 9113, section
//! 8.3.1 (`Host` says what `:authority` says). Heads that cannot be parsed and lengths that differ hyper has
//! refused already; it closes a connection whose request has both a length and a transfer coding. Knows no
//! operation.

use http::{HeaderMap, Request, Version, header};

/// Whether the request must not be answered as any of the things it may mean.
pub(crate) fn is_ambiguous<B>(request: &Request<B>) -> bool {
    !names_one_host(request) || !ends_in_one_place(request.headers())
}

/// HTTP/1.1 needs the header; where the target names a host, too, it is the same one.
fn names_one_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next(), request.uri().authority()) {
        (None, _, _) => request.version() != Version::HTTP_11,
        (Some(_), None, None) => true,
        (Some(host), None, Some(authority)) => {
            host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
        }
        (Some(_), Some(_), _) => false,
    }
}

/// A coding beside `chunked`, or a second one, is not known to everybody; then the body ends elsewhere.
fn ends_in_one_place(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_in_two_ways() {
        let check = |version: Version, target: &str, headers: &[(&str, &str)], expected: bool| {
            let mut request = Request::builder().version(version).uri(target);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(()).unwrap();
            assert_eq!(is_ambiguous(&request), expected, "{version:?} {target} {headers:?}");
        };
        let host = ("host", "a.test:9000");
        let (one, two, zero) = (Version::HTTP_11, Version::HTTP_2, Version::HTTP_10);
        check(one, "/b/k", &[host], false);
        check(one, "/b/k", &[], true);
        check(zero, "/b/k", &[], false);
        check(one, "/b/k", &[host, ("host", "b.test")], true);
        check(zero, "/b/k", &[host, ("host", "b.test")], true);
        check(one, "http://A.test:9000/b/k", &[host], false);
        check(one, "http://b.test/b/k", &[host], true);
        check(one, "http://root@a.test:9000/b/k", &[host], true);
        check(two, "https://a.test:9000/b/k", &[], false);
        check(two, "https://a.test:9000/b/k", &[host], false);
        check(two, "https://b.test/b/k", &[host], true);
        check(one, "/b/k", &[host, ("content-length", "3")], false);
        check(one, "/b/k", &[host, ("transfer-encoding", "Chunked")], false);
        for coding in ["gzip, chunked", "chunked, chunked", "identity", ""] {
            check(one, "/b/k", &[host, ("transfer-encoding", coding)], true);
        }
        let chunked = ("transfer-encoding", "chunked");
        check(one, "/b/k", &[host, chunked, chunked], true);
    }
}
