//! Who asks: HTTP Basic with an access key, which is all that Terraform's `http` backend can send, or
//! a Signature Version 4 like everywhere else.
//!
//! Says nothing of what the caller may do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header, request};
use tidelock_auth::sigv4::PayloadMode;
use tidelock_console::is_foreign;
use tidelock_s3::{Authenticated, Authenticator, Signing};
use tidelock_store::Store;
use zeroize::Zeroizing;

use super::error::TfError;
use crate::dispatch::equal_in_constant_time;

/// Services whose signatures are taken.
const SERVICES: &[&str] = &["s3"];
/// What [`Authenticated::service`] is where nothing was signed.
const NO_SERVICE: &str = "";

/// A user name and a password, as they were sent.
struct Basic {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
}

/// Whoever sent the request.
///
/// # Errors
///
/// 401 where nobody says who they are, or a password is wrong; 403 where another site's page has had a
/// browser send a password; S3's errors for a wrong signature.
pub(super) async fn authenticate(
    store: &Store,
    authenticator: &Authenticator,
    parts: &request::Parts,
) -> Result<Authenticated, TfError> {
    let Some(credentials) = parts.headers.get(header::AUTHORIZATION).and_then(basic) else {
        let found = authenticator.authenticate(parts, SERVICES, None).await?;
        return found.ok_or_else(TfError::anonymous);
    };
    // A browser that was told the password sends it for every page that asks for it.
    if is_foreign(parts) {
        return Err(TfError::foreign());
    }
    // One answer for an unknown key and a wrong secret: neither is to be found out by trying.
    let given = Basic::parse(credentials).ok_or_else(TfError::unauthorized)?;
    let known = store.credentials(&given.access_key_id).await?;
    let known = known.map_err(|_refusal| TfError::unauthorized())?;
    let (secret, sent) = (known.secret_access_key.as_bytes(), given.secret_access_key.as_bytes());
    if !equal_in_constant_time(secret, sent) {
        // Only a key that there is: whoever swaps the two sends a secret in its place.
        return Err(TfError::wrong_secret(given.access_key_id));
    }
    authenticator.admit(&parts.extensions, &given.access_key_id)?;
    Ok(Authenticated {
        principal: known.principal,
        access_key_id: given.access_key_id,
        service: NO_SERVICE.to_owned(),
        payload_mode: PayloadMode::Unsigned,
        chunk_signer: None,
        signing: Signing::default(),
    })
}

/// What follows the word `Basic`, whatever its case (RFC 7617).
fn basic(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, credentials) = value.as_bytes().split_at_checked("Basic ".len())?;
    scheme.eq_ignore_ascii_case(b"Basic ").then_some(credentials)
}

impl Basic {
    fn parse(credentials: &[u8]) -> Option<Self> {
        let decoded = Zeroizing::new(STANDARD.decode(credentials.trim_ascii()).ok()?);
        let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        Some(Self {
            access_key_id: id.to_owned(),
            secret_access_key: Zeroizing::new(secret.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Id and secret; none where Basic is malformed; none at all where it is not Basic.
    type Expected = Option<Option<(&'static str, &'static str)>>;

    #[test]
    fn basic_credentials() {
        let rows: &[(&str, Expected)] = &[
            ("Basic QTpz", Some(Some(("A", "s")))),
            ("basic  QTpz ", Some(Some(("A", "s")))),
            ("BASIC QTpzOnQ=", Some(Some(("A", "s:t")))),
            ("Basic Og==", Some(Some(("", "")))),
            ("Basic QQ==", Some(None)),
            ("Basic ", Some(None)),
            ("Basic /////w==", Some(None)),
            ("Basic no base64", Some(None)),
            ("Basic", None),
            ("Bearer QTpz", None),
            ("AWS4-HMAC-SHA256 Credential=A/...", None),
        ];
        for (header, expected) in rows {
            let header = HeaderValue::from_str(header).unwrap();
            let found = basic(&header).map(Basic::parse);
            let found = found.as_ref().map(|parsed| {
                let parsed = parsed.as_ref();
                parsed.map(|it| (it.access_key_id.as_str(), it.secret_access_key.as_str()))
            });
            assert_eq!(found, *expected, "{header:?}");
        }
    }
}
