//! The credential of a signature: the access key id and the scope of the key that signed.
//!
//! Any region is taken, and any service: which are served is the caller's to say.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::error::Malformed;
use super::timestamp::is_day;

/// What ends every credential scope.
pub(crate) const TERMINAL: &str = "aws4_request";

/// What a signing key is good for: one day, one region, one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope<'a> {
    /// `yyyyMMdd`, in UTC.
    pub date: &'a str,
    /// The region as the client named it.
    pub region: &'a str,
    /// The service as the client named it: `s3`, `sts`, `iam`.
    pub service: &'a str,
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{TERMINAL}", self.date, self.region, self.service)
    }
}

/// `AKID/yyyyMMdd/REGION/SERVICE/aws4_request`, kept as sent.
#[derive(Clone, Debug)]
pub(crate) struct Credential<'a> {
    text: Cow<'a, str>,
    date: Range<usize>,
    region: Range<usize>,
    service: Range<usize>,
}

impl<'a> Credential<'a> {
    /// Splits the credential from its end, as an access key id may hold what it likes.
    pub(crate) fn parse(text: Cow<'a, str>) -> Result<Self, Malformed> {
        let mut end = text.len();
        let mut next = || {
            let slash = text.as_bytes()[..end].iter().rposition(|byte| *byte == b'/');
            end = slash.ok_or(Malformed::Credential)?;
            Ok(end)
        };
        let [terminal, service, region, date] = [next()?, next()?, next()?, next()?];
        let [date, region, service] =
            [date + 1..region, region + 1..service, service + 1..terminal];
        if date.start == 1 {
            return Err(Malformed::AccessKeyId);
        }
        if region.is_empty() || service.is_empty() {
            return Err(Malformed::Credential);
        }
        if !is_day(&text[date.clone()]) {
            return Err(Malformed::Date { sent: text[date].to_owned() });
        }
        if &text[terminal + 1..] != TERMINAL {
            return Err(Malformed::Terminal { sent: text[terminal + 1..].to_owned() });
        }
        Ok(Self { text, date, region, service })
    }

    pub(crate) fn access_key_id(&self) -> &str {
        &self.text[..self.date.start - 1]
    }

    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            date: &self.text[self.date.clone()],
            region: &self.text[self.region.clone()],
            service: &self.text[self.service.clone()],
        }
    }

    /// The scope as it stands in a string to sign.
    pub(crate) fn scope_text(&self) -> &str {
        &self.text[self.date.start..]
    }

    /// The whole credential: names one key of one day, region and service.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials() {
        type Parts<'a> = (&'a str, &'a str, &'a str, &'a str);
        let rows: &[(&str, Result<Parts<'_>, Malformed>)] = &[
            (
                "AKID/20130524/us-east-1/s3/aws4_request",
                Ok(("AKID", "20130524", "us-east-1", "s3")),
            ),
            (
                "a/b/20130524/eu-west-par/sts/aws4_request",
                Ok(("a/b", "20130524", "eu-west-par", "sts")),
            ),
            ("AKID/20130524/us-east-1/s3", Err(Malformed::Credential)),
            ("AKID", Err(Malformed::Credential)),
            ("", Err(Malformed::Credential)),
            ("AKID/20130524//s3/aws4_request", Err(Malformed::Credential)),
            ("AKID/20130524/r//aws4_request", Err(Malformed::Credential)),
            ("/20130524/us-east-1/s3/aws4_request", Err(Malformed::AccessKeyId)),
            ("AKID/2013052/r/s3/aws4_request", Err(Malformed::Date { sent: "2013052".into() })),
            (
                "AKID/20130524/r/s3/aws5_request",
                Err(Malformed::Terminal { sent: "aws5_request".into() }),
            ),
        ];
        for (text, expected) in rows {
            let parsed = Credential::parse(Cow::Borrowed(text));
            let parsed = parsed.as_ref().map(|credential| {
                let Scope { date, region, service } = credential.scope();
                (credential.access_key_id(), date, region, service)
            });
            assert_eq!(parsed.map_err(Clone::clone), *expected, "{text}");
        }
    }
}
