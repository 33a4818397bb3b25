//! Cross-origin requests: which rule of a bucket fits one, and what headers it earns.
//!
//! The rules keep nobody out. They tell a browser whether the page that asked may see the answer; what
//! an asker may do is decided elsewhere.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html>

mod cache;
mod reading;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

pub(crate) use cache::CorsCache;

use crate::xml::documents::{CorsDocument, CorsRule};

const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// What a request tells of the page that it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CorsRequest<'a> {
    origin: &'a str,
    /// The method that the page will use, or uses.
    method: &'a str,
    /// The headers that the page will send: a list with commas.
    headers: Option<&'a str>,
}

impl<'a> CorsRequest<'a> {
    /// The request with these headers; none if no page sent it. What
    /// `Access-Control-Request-Method` says comes before the method itself, as with AWS.
    pub(crate) fn of(method: &'a Method, headers: &'a HeaderMap) -> Option<Self> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let asked = text(header::ACCESS_CONTROL_REQUEST_METHOD);
        Some(Self {
            origin: text(header::ORIGIN)?,
            method: asked.unwrap_or(method.as_str()),
            headers: text(header::ACCESS_CONTROL_REQUEST_HEADERS),
        })
    }

    fn requested_headers(&self) -> impl Iterator<Item = String> {
        let list = self.headers.unwrap_or_default().split(',');
        list.map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty())
    }
}

impl CorsDocument {
    /// What the first rule that fits `request` says; none if no rule does.
    pub(crate) fn answer(&self, request: &CorsRequest<'_>) -> Option<HeaderMap> {
        self.rules.iter().find_map(|rule| rule.answer(request))
    }
}

impl CorsRule {
    fn answer(&self, request: &CorsRequest<'_>) -> Option<HeaderMap> {
        let origin = self.origins.iter().find(|pattern| fits(pattern, request.origin))?;
        let allows = |name: String| {
            let mut patterns = self.headers.iter();
            patterns.any(|pattern| fits(&pattern.to_ascii_lowercase(), &name))
        };
        let is_allowed = self.methods.iter().any(|method| method == request.method)
            && request.requested_headers().all(allows);
        is_allowed.then(|| self.headers_for(request, origin == "*"))
    }

    fn headers_for(&self, request: &CorsRequest<'_>, is_anybody: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // A header that cannot travel is left out: the browser then refuses.
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if is_anybody {
            set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        } else {
            set(header::ACCESS_CONTROL_ALLOW_ORIGIN, request.origin);
            set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
        set(header::ACCESS_CONTROL_ALLOW_METHODS, &self.methods.join(", "));
        let requested: Vec<_> = request.requested_headers().collect();
        if !requested.is_empty() {
            set(header::ACCESS_CONTROL_ALLOW_HEADERS, &requested.join(", "));
        }
        if !self.exposed.is_empty() {
            set(header::ACCESS_CONTROL_EXPOSE_HEADERS, &self.exposed.join(", "));
        }
        if let Some(seconds) = self.max_age {
            set(header::ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
        }
        set(header::VARY, VARY);
        headers
    }
}

/// Whether `text` is `pattern`, whose only `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            let rest = text.strip_prefix(start);
            rest.is_some_and(|rest| rest.ends_with(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_texts() {
        for (pattern, text, expected) in [
            ("*", "https://example.com", true),
            ("*", "", true),
            ("https://example.com", "https://example.com", true),
            ("https://example.com", "https://EXAMPLE.com", false),
            ("https://example.com", "https://example.com:443", false),
            ("*.example.com", "https://a.example.com", true),
            ("*.example.com", "https://example.com", false),
            ("start*end", "startend", true),
            ("start*end", "start12end", true),
            ("start*end", "0start12end", false),
            ("aba*aba", "aba", false),
            ("", "", true),
            ("", "null", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    fn rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> CorsRule {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        CorsRule {
            methods: owned(methods),
            origins: owned(origins),
            headers: owned(headers),
            ..CorsRule::default()
        }
    }

    fn answer(rules: &[CorsRule], origin: &str, method: &str, headers: &str) -> String {
        let document = CorsDocument { rules: rules.to_vec() };
        let headers = Some(headers).filter(|it| !it.is_empty());
        let Some(found) = document.answer(&CorsRequest { origin, method, headers }) else {
            return "none".to_owned();
        };
        let shown = |name| found.get(name).map_or("-", |value| value.to_str().unwrap());
        format!(
            "{} {} {} {}",
            shown(header::ACCESS_CONTROL_ALLOW_ORIGIN),
            shown(header::ACCESS_CONTROL_ALLOW_CREDENTIALS),
            shown(header::ACCESS_CONTROL_ALLOW_METHODS),
            shown(header::ACCESS_CONTROL_ALLOW_HEADERS),
        )
    }

    #[test]
    fn the_first_rule_that_fits_answers() {
        let rules = [
            rule(&["https://a"], &["GET"], &["X-Amz-*"]),
            rule(&["https://a", "*"], &["GET", "PUT"], &[]),
        ];
        for (origin, method, headers, expected) in [
            ("https://a", "GET", "", "https://a true GET -"),
            (
                "https://a",
                "GET",
                "X-AMZ-Date, x-amz-acl",
                "https://a true GET x-amz-date, x-amz-acl",
            ),
            ("https://a", "PUT", "", "https://a true GET, PUT -"),
            ("https://a", "PUT", "x-amz-date", "none"),
            ("https://a", "GET", "content-type", "none"),
            ("https://b", "GET", "", "* - GET, PUT -"),
            ("https://b", "GET", " , ", "* - GET, PUT -"),
            ("https://b", "DELETE", "", "none"),
            ("https://b", "get", "", "none"),
        ] {
            assert_eq!(
                answer(&rules, origin, method, headers),
                expected,
                "{origin} {method} {headers}"
            );
        }
    }

    #[test]
    fn the_rest_of_a_rule_is_told() {
        let rule = CorsRule {
            exposed: vec!["ETag".to_owned(), "x-amz-version-id".to_owned()],
            max_age: Some(3000),
            ..rule(&["*"], &["GET"], &[])
        };
        let request = CorsRequest { origin: "https://a", method: "GET", headers: None };
        let headers = rule.answer(&request).unwrap();
        assert_eq!(headers[header::ACCESS_CONTROL_EXPOSE_HEADERS], "ETag, x-amz-version-id");
        assert_eq!(headers[header::ACCESS_CONTROL_MAX_AGE], "3000");
        assert_eq!(headers[header::VARY], VARY);
    }
}
