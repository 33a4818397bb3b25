//! The signature parameters of a presigned URL.
//!
//! Reads the query only; whether the signature is right is for later.
//! Rules: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>.

use super::canonical::decode_query;
use super::error::QueryFault;
use super::{ALGORITHM, PRESIGN_EXPIRES_S_MAX};

/// The parameter that carries the signature, and is not itself signed.
pub(crate) const SIGNATURE: &str = "X-Amz-Signature";

/// The signature parameters found in a query, unescaped.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    pub(crate) algorithm: Option<String>,
    pub(crate) credential: Option<String>,
    pub(crate) date: Option<String>,
    pub(crate) expires: Option<String>,
    pub(crate) signed_headers: Option<String>,
    pub(crate) signature: Option<String>,
    pub(crate) security_token: Option<String>,
    pub(crate) content_sha256: Option<String>,
    /// A parameter that may occur once occurs again.
    repeated: bool,
    /// Parameters of Signature Version 2.
    v2: bool,
}

/// What a query claims.
#[derive(Debug)]
pub(crate) enum QueryClaim {
    None,
    V2,
    V4(Box<Parameters>),
}

/// The parameters of a presigned URL, all there and of the right form.
#[derive(Debug)]
pub(crate) struct Presigned {
    pub(crate) credential: String,
    pub(crate) date: String,
    pub(crate) expires_s: u32,
    pub(crate) signed_headers: String,
    pub(crate) signature: String,
}

/// The names and values of a raw query, still escaped; empty parts are no pair.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// Finds out whether, and how, a query claims to be signed.
pub(crate) fn find(query: &str) -> QueryClaim {
    let mut found = Parameters::default();
    for (name, value) in pairs(query) {
        found.take(name, value);
    }
    let v4 = [&found.algorithm, &found.credential, &found.signature];
    if v4.into_iter().any(Option::is_some) {
        QueryClaim::V4(Box::new(found))
    } else if found.v2 {
        QueryClaim::V2
    } else {
        QueryClaim::None
    }
}

impl Parameters {
    fn take(&mut self, name: &str, value: &str) {
        let place = match name {
            "X-Amz-Algorithm" => &mut self.algorithm,
            "X-Amz-Credential" => &mut self.credential,
            "X-Amz-Date" => &mut self.date,
            "X-Amz-Expires" => &mut self.expires,
            "X-Amz-SignedHeaders" => &mut self.signed_headers,
            SIGNATURE => &mut self.signature,
            "X-Amz-Security-Token" => &mut self.security_token,
            "X-Amz-Content-Sha256" => &mut self.content_sha256,
            "AWSAccessKeyId" => {
                self.v2 = true;
                return;
            }
            _ => return,
        };
        let value = String::from_utf8_lossy(&decode_query(value)).into_owned();
        self.repeated |= place.replace(value).is_some();
    }

    /// The required ones, checked.
    pub(crate) fn required(self) -> Result<Presigned, QueryFault> {
        let missing = QueryFault::Parameters;
        if self.repeated {
            return Err(missing);
        }
        if self.algorithm.ok_or(QueryFault::Parameters)? != ALGORITHM {
            return Err(QueryFault::Algorithm);
        }
        let Self { credential, date, expires, signed_headers, signature, .. } = self;
        let (Some(credential), Some(date), Some(expires), Some(signed_headers), Some(signature)) =
            (credential, date, expires, signed_headers, signature)
        else {
            return Err(missing);
        };
        let expires_s = parse_expires(&expires)?;
        Ok(Presigned { credential, date, expires_s, signed_headers, signature })
    }
}

fn parse_expires(text: &str) -> Result<u32, QueryFault> {
    let seconds: i64 = text.parse().map_err(|_| QueryFault::ExpiresNumber)?;
    match u32::try_from(seconds) {
        Ok(seconds @ 1..=PRESIGN_EXPIRES_S_MAX) => Ok(seconds),
        Ok(0) => Err(QueryFault::ExpiresTooSmall),
        Err(_) if seconds < 0 => Err(QueryFault::ExpiresTooSmall),
        Ok(_) | Err(_) => Err(QueryFault::ExpiresTooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries() {
        let rows: &[(&str, Result<u32, QueryFault>)] = &[
            ("1", Ok(1)),
            ("604800", Ok(604_800)),
            ("604801", Err(QueryFault::ExpiresTooLarge)),
            ("99999999999", Err(QueryFault::ExpiresTooLarge)),
            ("0", Err(QueryFault::ExpiresTooSmall)),
            ("-1", Err(QueryFault::ExpiresTooSmall)),
            ("", Err(QueryFault::ExpiresNumber)),
            ("1h", Err(QueryFault::ExpiresNumber)),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_expires(text), *expected, "{text}");
        }
    }
}
