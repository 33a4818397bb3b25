//! The parts of a request that a signature covers, borrowed from wherever they live.
//!
//! Not an HTTP library: it neither splits a URI nor validates a header.

/// The head of a request, exactly as it was (or will be) sent.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method, for example `PUT`.
    pub method: &'a str,
    /// The raw path: escapes untouched, nothing normalised.
    pub path: &'a str,
    /// The raw query without `?`; empty if there is none.
    pub query: &'a str,
    /// HTTP/2's `:authority` (or that of an absolute-form target); stands in for a missing `host`.
    pub authority: Option<&'a str>,
    /// Header names, in any case, and values, in the order sent; repeated names are repeated.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// The names of a list of signed headers. They are few and short, so they are looked for byte by byte.
pub(crate) fn names(signed_headers: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(signed_headers);
    std::iter::from_fn(move || {
        let list = rest?;
        let Some(end) = list.bytes().position(|byte| byte == b';') else { return rest.take() };
        rest = Some(&list[end + 1..]);
        Some(&list[..end])
    })
}

/// How often a header occurs that may occur once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sole<'a> {
    Absent,
    One(&'a [u8]),
    Many,
}

impl<'a> RequestHead<'a> {
    /// The host the request is for: the `host` header, else the authority. Whoever routes by host
    /// should route by this one, since it is the one that is signed.
    pub fn host(&self) -> Option<&'a [u8]> {
        let header = self.values("host").next();
        header.or_else(|| self.authority.map(str::as_bytes))
    }

    /// The values of the header `name`, in the order sent.
    pub(crate) fn values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let named = move |(header, _): &&(&str, &[u8])| header.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|(_, value)| *value)
    }

    /// The value of a header that may occur once, its surrounding blanks taken off.
    pub(crate) fn sole(&self, name: &str) -> Sole<'a> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (None, _) => Sole::Absent,
            (Some(value), None) => Sole::One(value.trim_ascii()),
            (Some(_), Some(_)) => Sole::Many,
        }
    }
}
