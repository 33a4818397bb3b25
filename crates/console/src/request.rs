//! What a browser asks, taken apart once.

use http::{Method, header, request::Parts};
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

impl Asked {
    pub(crate) fn of(head: &Parts, body: &[u8], is_secure: bool) -> Self {
        let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let path = if path.is_empty() { "/" } else { path };
        let query = head.uri.query().unwrap_or_default();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let is_form = header("content-type")
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        let form = if is_form { String::from_utf8_lossy(body) } else { "".into() };
        // Absent from old browsers, which the token in each form is for.
        let site = header("sec-fetch-site");
        let authority = head.uri.authority().map(|authority| authority.as_str());
        Self {
            host: header("host").or(authority).unwrap_or_default().to_owned(),
            is_secure,
            method: head.method.clone(),
            path: path.to_owned(),
            place: head.uri.path_and_query().map_or(PREFIX, |place| place.as_str()).to_owned(),
            query: Fields::parse(query),
            form: Fields::parse(&form),
            cookies: Cookies::of(head),
            is_foreign: matches!(site, Some("cross-site" | "same-site")),
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
}
