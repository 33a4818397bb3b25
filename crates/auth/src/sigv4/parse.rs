//! Reads what a request claims: who signed it, when, for what, and which of it.
//!
//! Checks all that needs neither a key nor the time; believes nothing yet.

use std::borrow::Cow;

use super::credential::Credential;
use super::error::{AuthError, Malformed, QueryFault};
use super::payload::{self, PayloadMode, UNSIGNED_PAYLOAD};
use super::presigned::{self, Parameters, QueryClaim};
use super::request::{RequestHead, Sole, names};
use super::timestamp::AmzDate;
use super::verify::{Placement, SignedRequest};
use super::{ALGORITHM, SIGNED_HEADERS_MAX};

const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// What a request claims.
#[expect(clippy::large_enum_variant, reason = "one a request, on its stack: a box would only cost")]
#[derive(Clone, Debug)]
pub enum Claim<'a> {
    /// Nothing: nobody in particular asks.
    Anonymous,
    /// To be signed with Signature Version 4, in the header or the query.
    Signed(SignedRequest<'a>),
}

/// Reads the claim of a request.
///
/// # Errors
/// Any [`AuthError`] but those that need a key or the time: [`AuthError::SignatureMismatch`],
/// [`AuthError::TimeTooSkewed`], [`AuthError::NotYetValid`] and [`AuthError::Expired`].
pub fn parse<'a>(head: RequestHead<'a>) -> Result<Claim<'a>, AuthError> {
    let header = match head.sole("authorization") {
        Sole::Absent | Sole::One(b"") => None,
        Sole::One(value) => Some(value),
        Sole::Many => return Err(AuthError::SeveralMechanisms),
    };
    match (header, presigned::find(head.query)) {
        (None, QueryClaim::None) => Ok(Claim::Anonymous),
        (None, QueryClaim::V2) => Err(AuthError::SignatureV2),
        (None, QueryClaim::V4(found)) => parse_query(head, *found).map(Claim::Signed),
        (Some(value), QueryClaim::None) => parse_header(head, value).map(Claim::Signed),
        (Some(_), QueryClaim::V2 | QueryClaim::V4(_)) => Err(AuthError::SeveralMechanisms),
    }
}

fn parse_header<'a>(
    head: RequestHead<'a>,
    value: &'a [u8],
) -> Result<SignedRequest<'a>, AuthError> {
    let components = Components::parse(value)?;
    let credential = components.credential;
    let credential = Credential::parse(credential.into()).map_err(AuthError::Header)?;
    let date = header_date(&head)?;
    same_day(&credential, &date).map_err(AuthError::Header)?;
    check_names(components.signed_headers).map_err(AuthError::Header)?;
    check_signed(&head, components.signed_headers, |_, _| false)?;
    let (payload_mode, payload) = match head.sole(CONTENT_SHA256) {
        Sole::One(value) => (PayloadMode::parse(value)?, text(value)),
        Sole::Absent if credential.scope().service != "s3" => (PayloadMode::Undeclared, ""),
        Sole::Absent => return Err(AuthError::MissingContentSha256),
        Sole::Many => return Err(payload::invalid(b"")),
    };
    let session_token = match head.sole("x-amz-security-token") {
        Sole::One(token) => Some(text(token).into()),
        Sole::Absent | Sole::Many => None,
    };
    Ok(SignedRequest {
        head,
        credential,
        date,
        signed_headers: components.signed_headers.into(),
        signature: components.signature.into(),
        placement: Placement::Header,
        session_token,
        payload_mode,
        payload: payload.into(),
    })
}

fn parse_query(
    head: RequestHead<'_>,
    mut found: Parameters,
) -> Result<SignedRequest<'_>, AuthError> {
    let session_token = found.security_token.take().map(Cow::Owned);
    let content_sha256 = found.content_sha256.take();
    let presigned = found.required().map_err(AuthError::Query)?;
    let malformed = |fault| AuthError::Query(QueryFault::Credential(fault));
    let credential = Credential::parse(presigned.credential.into()).map_err(malformed)?;
    let date = AmzDate::parse(presigned.date.as_bytes());
    let date = date.ok_or(AuthError::Query(QueryFault::Date))?;
    same_day(&credential, &date).map_err(malformed)?;
    check_names(&presigned.signed_headers)
        .map_err(|_| AuthError::Query(QueryFault::SignedHeaders))?;
    // Clients send this header with a presigned URL though nothing asked them to.
    let harmless = |name: &str, value: &[u8]| {
        name.eq_ignore_ascii_case(CONTENT_SHA256) && value == UNSIGNED_PAYLOAD.as_bytes()
    };
    check_signed(&head, &presigned.signed_headers, harmless)?;
    let payload: Cow<'_, str> = match (content_sha256, head.sole(CONTENT_SHA256)) {
        (Some(value), _) => value.into(),
        (None, Sole::One(value)) => String::from_utf8_lossy(value),
        (None, Sole::Absent) => UNSIGNED_PAYLOAD.into(),
        (None, Sole::Many) => return Err(payload::invalid(b"")),
    };
    Ok(SignedRequest {
        head,
        credential,
        date,
        signed_headers: presigned.signed_headers.into(),
        signature: presigned.signature.into(),
        placement: Placement::Query { expires_s: presigned.expires_s },
        session_token,
        payload_mode: PayloadMode::parse(payload.as_bytes())?,
        payload,
    })
}

/// The three components of the `Authorization` header.
struct Components<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Components<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, AuthError> {
        let owned = || String::from_utf8_lossy(value).into_owned();
        let unsupported = || AuthError::UnsupportedAuthorization { value: owned() };
        let header = std::str::from_utf8(value).map_err(|_| unsupported())?;
        let (scheme, rest) = header.split_once([' ', '\t']).unwrap_or((header, ""));
        match scheme {
            ALGORITHM => Self::split(rest).ok_or(AuthError::Header(Malformed::Components)),
            "AWS" if is_v2(rest) => Err(AuthError::SignatureV2),
            "AWS" => Err(AuthError::SignatureV2Malformed { value: owned() }),
            _ => Err(unsupported()),
        }
    }

    fn split(rest: &'a str) -> Option<Self> {
        let [mut credential, mut signed_headers, mut signature] = [None; 3];
        for component in rest.split(',') {
            let (name, value) = component.trim().split_once('=')?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return None,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(Self {
            credential: credential?,
            signed_headers: signed_headers?,
            signature: signature?,
        })
    }
}

fn is_v2(rest: &str) -> bool {
    let parts = rest.trim().split_once(':');
    parts.is_some_and(|(key, signature)| !key.is_empty() && !signature.is_empty())
}

/// `x-amz-date`, else `Date`.
fn header_date(head: &RequestHead<'_>) -> Result<AmzDate, AuthError> {
    let date = match head.sole("x-amz-date") {
        Sole::One(value) => AmzDate::parse_date_header(value),
        Sole::Many => None,
        Sole::Absent => match head.sole("date") {
            Sole::One(value) => AmzDate::parse_date_header(value),
            Sole::Absent | Sole::Many => None,
        },
    };
    date.ok_or(AuthError::Date)
}

fn same_day(credential: &Credential<'_>, date: &AmzDate) -> Result<(), Malformed> {
    let (scope, request) = (credential.scope().date, date.day());
    if scope == request {
        return Ok(());
    }
    Err(Malformed::OtherDay { scope: scope.to_owned(), request: request.to_owned() })
}

/// A list names each header once, and not so many that verifying is work.
fn check_names(signed_headers: &str) -> Result<(), Malformed> {
    let names: Vec<_> = names(signed_headers).take(SIGNED_HEADERS_MAX + 1).collect();
    let is_repeated = |(at, name): (usize, &&str)| {
        names[..at].iter().any(|before| before.eq_ignore_ascii_case(name))
    };
    let is_fine = names.len() <= SIGNED_HEADERS_MAX
        && !names.iter().any(|name| name.is_empty())
        && !names.iter().enumerate().any(is_repeated);
    if is_fine { Ok(()) } else { Err(Malformed::SignedHeaders) }
}

/// The host and every `x-amz-` header must be signed, or a thief of the signature could change
/// what the request does. `exempt` says which need not be.
fn check_signed(
    head: &RequestHead<'_>,
    signed_headers: &str,
    exempt: impl Fn(&str, &[u8]) -> bool,
) -> Result<(), AuthError> {
    let is_signed = |name: &str| names(signed_headers).any(|it| it.eq_ignore_ascii_case(name));
    let is_amz = |name: &str| name.get(..6).is_some_and(|p| p.eq_ignore_ascii_case("x-amz-"));
    let mut unsigned = Vec::new();
    if !is_signed("host") {
        unsigned.push("host".to_owned());
    }
    for (name, value) in head.headers {
        if is_amz(name) && !is_signed(name) && !exempt(name, value.trim_ascii()) {
            unsigned.push(name.to_ascii_lowercase());
        }
    }
    if unsigned.is_empty() {
        return Ok(());
    }
    Err(AuthError::HeadersNotSigned { names: unsigned.join(", ") })
}

/// Text that was already found to be ASCII, or is nobody's token.
fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap_or_default()
}
