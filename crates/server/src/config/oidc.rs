//! Identity providers whose tokens are taken.

use std::net::IpAddr;

use http::Uri;

use super::ConfigError;

const NAME: &str = "oidc-issuer";
/// Providers at most.
const ISSUERS_MAX: usize = 32;
/// Names for issuers that everybody would have to look up.
const PRESETS: [(&str, &str); 2] =
    [("github", "https://token.actions.githubusercontent.com"), ("gitlab", "https://gitlab.com")];

/// What the URL of an issuer has to be.
pub(super) const URL_RULE: &str = "takes an https URL; http only of this machine";

/// A provider, and whom its tokens must be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcIssuer {
    /// Its URL, as its tokens have it.
    pub url: String,
    /// One of these must be among a token's audiences.
    pub audiences: Vec<String>,
}

/// The providers of `--oidc-issuer URL=AUDIENCE`; one that is named twice has two audiences.
pub(super) fn issuers(texts: &[String]) -> Result<Vec<OidcIssuer>, ConfigError> {
    let mut issuers: Vec<OidcIssuer> = Vec::new();
    for text in texts {
        let wrong =
            |reason: &str| ConfigError::Value { name: NAME, reason: format!("{text}: {reason}") };
        let (url, audience) = text.rsplit_once('=').ok_or_else(|| wrong("takes URL=AUDIENCE"))?;
        let url = issuer_url(url);
        if audience.is_empty() {
            return Err(wrong("takes URL=AUDIENCE"));
        }
        if !is_secure(url) {
            return Err(wrong(URL_RULE));
        }
        add(&mut issuers, url, audience);
    }
    if issuers.len() > ISSUERS_MAX {
        let reason = format!("more than {ISSUERS_MAX} issuers");
        return Err(ConfigError::Value { name: NAME, reason });
    }
    Ok(issuers)
}

/// The URL of an issuer that may be called by the name of a preset.
pub(super) fn issuer_url(text: &str) -> &str {
    PRESETS.iter().find(|(name, _)| *name == text).map_or(text, |(_, url)| url)
}

/// Takes tokens of the provider at `url` that are for `audience`, too.
pub(super) fn add(issuers: &mut Vec<OidcIssuer>, url: &str, audience: &str) {
    let audience = audience.to_owned();
    match issuers.iter_mut().find(|issuer| issuer.url == url) {
        Some(issuer) if issuer.audiences.contains(&audience) => {}
        Some(issuer) => issuer.audiences.push(audience),
        None => issuers.push(OidcIssuer { url: url.to_owned(), audiences: vec![audience] }),
    }
}

/// Whether a provider's keys may be fetched from a URL: over TLS, or from this machine.
pub(crate) fn is_secure(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let is_plain = uri.query().is_none() && !url.contains(['#', '@']) && !host.is_empty();
    match uri.scheme_str() {
        Some("https") => is_plain,
        Some("http") => is_plain && is_here,
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_urls_with_audiences() {
        let rows = [
            ("https://id.test=sts", Some("https://id.test")),
            ("https://id.test/realm=sts", Some("https://id.test/realm")),
            ("github=sts.amazonaws.com", Some("https://token.actions.githubusercontent.com")),
            ("gitlab=x", Some("https://gitlab.com")),
            ("http://127.0.0.1:8080=x", Some("http://127.0.0.1:8080")),
            ("http://localhost/r=x", Some("http://localhost/r")),
            ("http://[::1]:8080=x", Some("http://[::1]:8080")),
            ("http://id.test=x", None),
            ("http://127.0.0.1@id.test=x", None),
            ("http://localhost.id.test=x", None),
            ("ftp://id.test=x", None),
            ("https://id.test", None),
            ("https://id.test=", None),
            ("https://id.test?x=y", None),
            ("bitbucket=x", None),
        ];
        for (text, expected) in rows {
            let found = issuers(&[text.to_owned()]).ok();
            let url = found.as_ref().map(|issuers| issuers[0].url.as_str());
            assert_eq!(url, expected, "{text}");
        }
        let thrice = ["github=a", "github=b", "github=a"].map(str::to_owned);
        assert_eq!(issuers(&thrice).unwrap()[0].audiences, ["a", "b"]);
    }
}
