//! What a browser asks, taken apart once.

use http::{HeaderValue, Method, header, request::Parts};
use percent_encoding::percent_decode_str;

use crate::PREFIX;

/// Names and values of a query or a form, in the order they were sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

/// One request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// After [`PREFIX`], with its first slash.
    pub(crate) path: String,
    /// The path with its query, for a way back.
    pub(crate) place: String,
    pub(crate) query: Fields,
    pub(crate) form: Fields,
    pub(crate) cookies: Cookies,
    /// Whether the browser says that a page of another origin made it send this.
    pub(crate) is_foreign: bool,
    /// The host that the browser reaches; empty if it does not say.
    pub(crate) host: String,
    /// Whether the browser speaks TLS.
    pub(crate) is_secure: bool,
}

/// The cookies of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cookies(Vec<(String, String)>);

impl Fields {
    /// Fields of an `application/x-www-form-urlencoded` text
    /// (<https://url.spec.whatwg.org/#urlencoded-parsing>).
    pub(crate) fn parse(text: &str) -> Self {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// The value of the first field called `name`; an empty one counts as none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// The same; an empty one is one.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.raw(name).unwrap_or_default()
    }
}

impl Cookies {
    fn of(head: &Parts) -> Self {
        let texts = head.headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
        let pairs = texts.flat_map(|text| text.split(';'));
        let pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Whether the browser says that a page of another origin made it send this: in `Sec-Fetch-Site`, or
/// where it does not know that in `Origin`, which is not that of the host it asks. What is no browser
/// sends neither. A browser that is too old for both is what the token in each form is for.
pub fn is_foreign(head: &Parts) -> bool {
    let site = head.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    match site {
        // Also behind a proxy that passes on another host than the browser asked.
        Some(b"same-origin") => false,
        Some(b"cross-site" | b"same-site") => true,
        _ => {
            let host = host(head);
            head.headers.get_all(header::ORIGIN).iter().any(|origin| !is_of(origin, host))
        }
    }
}

/// The host that the browser reaches; empty if it does not say.
fn host(head: &Parts) -> &str {
    let named = head.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = head.uri.authority().map(|authority| authority.as_str());
    named.or(authority).unwrap_or_default()
}

/// Whether an origin is that of `host`. One that a browser keeps to itself is `null`, and nobody's.
fn is_of(origin: &HeaderValue, host: &str) -> bool {
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let Some((scheme, authority)) = origin else { return false };
    let port = if scheme == "https" { ":443" } else { ":80" };
    !host.is_empty() && authority.eq_ignore_ascii_case(host.strip_suffix(port).unwrap_or(host))
}

impl Asked {
    pub(crate) fn of(head: &Parts, body: &[u8], is_secure: bool) -> Self {
        let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let path = if path.is_empty() { "/" } else { path };
        let query = head.uri.query().unwrap_or_default();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let is_form = header("content-type")
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        let form = if is_form { String::from_utf8_lossy(body) } else { "".into() };
        Self {
            host: host(head).to_owned(),
            is_secure,
            method: head.method.clone(),
            path: path.to_owned(),
            place: head.uri.path_and_query().map_or(PREFIX, |place| place.as_str()).to_owned(),
            query: Fields::parse(query),
            form: Fields::parse(&form),
            cookies: Cookies::of(head),
            is_foreign: is_foreign(head),
        }
    }

    /// A field of the query.
    pub(crate) fn query(&self, name: &str) -> &str {
        self.query.text(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let rows = [
            ("a=1&b=2", "b", Some("2")),
            ("a=x+y%2Fz", "a", Some("x y/z")),
            ("a=1&a=2", "a", Some("1")),
            ("a=", "a", None),
            ("a", "a", None),
            ("%C3%BC=%F0%9F%94%92", "ü", Some("🔒")),
            ("a=%zz", "a", Some("%zz")),
            ("", "a", None),
        ];
        for (text, name, expected) in rows {
            assert_eq!(Fields::parse(text).get(name), expected, "{text}");
        }
    }

    #[test]
    fn what_another_site_sends_is_foreign() {
        let rows: &[(&[(&str, &str)], bool)] = &[
            (&[], false),
            (&[("host", "a.test")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("host", "a.test"),
                    ("origin", "http://a.test"),
                ],
                true,
            ),
            (
                &[("sec-fetch-site", "same-origin"), ("host", "b"), ("origin", "http://a.test")],
                false,
            ),
            (&[("host", "a.test"), ("origin", "https://a.test")], false),
            (&[("host", "A.test:9000"), ("origin", "http://a.test:9000")], false),
            (&[("host", "a.test:443"), ("origin", "https://a.test")], false),
            (&[("host", "a.test:80"), ("origin", "http://a.test")], false),
            (&[("host", "a.test:443"), ("origin", "http://a.test")], true),
            (&[("host", "a.test:9000"), ("origin", "http://a.test:9001")], true),
            (&[("host", "a.test"), ("origin", "http://a.test.evil")], true),
            (&[("host", "a.test"), ("origin", "http://b.test")], true),
            (&[("host", "a.test"), ("origin", "null")], true),
            (&[("host", "a.test"), ("origin", "")], true),
            (&[("host", ""), ("origin", "http://")], true),
            (&[("origin", "http://a.test")], true),
            (&[("host", "a.test"), ("origin", "http://a.test"), ("origin", "null")], true),
        ];
        for (headers, expected) in rows {
            let mut request = http::Request::builder();
            for (name, value) in *headers {
                request = request.header(*name, *value);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(is_foreign(&head), *expected, "{headers:?}");
        }
    }
}
