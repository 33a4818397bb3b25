//! What the headers of a request say of server-side encryption.
//!
//! Every object is encrypted under keys of ours (SSE-S3), asked for or not. Other forms are checked
//! as AWS checks them, so that a wrong request hears what is wrong, and then refused with 501
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use md5::{Digest as _, Md5};

use crate::error::{S3Error, S3Result};

const ENCRYPTION: &str = "x-amz-server-side-encryption";
const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const CUSTOMER_ALGORITHM: &str = "x-amz-server-side-encryption-customer-algorithm";
const CUSTOMER_KEY: &str = "x-amz-server-side-encryption-customer-key";
const CUSTOMER_KEY_MD5: &str = "x-amz-server-side-encryption-customer-key-md5";
const SOURCE_CUSTOMER_ALGORITHM: &str =
    "x-amz-copy-source-server-side-encryption-customer-algorithm";
const AES256: &str = "AES256";
const CUSTOMER_KEY_BYTES: usize = 32;

/// Puts on an answer what is true of every object.
pub(crate) fn write(headers: &mut HeaderMap) {
    headers.insert(ENCRYPTION, HeaderValue::from_static(AES256));
}

/// Takes a write that asks for SSE-S3 or for nothing.
///
/// # Errors
///
/// `InvalidArgument` for contradictions and malformed keys, 501 for SSE-KMS and SSE-C.
pub(crate) fn check_write(headers: &HeaderMap) -> S3Result<()> {
    let asked = text(headers, ENCRYPTION);
    let has_customer_key = check_customer_key(headers)?;
    if let (Some(asked), true) = (asked, has_customer_key) {
        return Err(S3Error::invalid_argument(
            "Server Side Encryption with Customer provided key is incompatible with the encryption \
             method specified",
            ENCRYPTION,
            asked,
        ));
    }
    let kms_key = text(headers, KMS_KEY);
    match (asked, kms_key) {
        (None | Some(AES256), Some(key)) => Err(S3Error::invalid_argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header \
             x-amz-server-side-encryption : aws:kms",
            KMS_KEY,
            key,
        )),
        (Some("aws:kms" | "aws:kms:dsse"), _) => Err(S3Error::header_not_implemented(ENCRYPTION)),
        (None | Some(AES256), None) if has_customer_key => {
            Err(S3Error::header_not_implemented(CUSTOMER_ALGORITHM))
        }
        (None | Some(AES256), None) => Ok(()),
        (Some(other), _) => Err(S3Error::invalid_argument(
            "The encryption method specified is not supported",
            ENCRYPTION,
            other,
        )),
    }
}

/// Takes a read that asks for no encryption: an object has the one it was written with, and no object
/// here has a customer's key.
///
/// # Errors
///
/// `InvalidArgument` and `InvalidRequest`, as AWS answers.
pub(crate) fn check_read(headers: &HeaderMap) -> S3Result<()> {
    if let Some(asked) = text(headers, ENCRYPTION) {
        return Err(S3Error::invalid_argument(
            "x-amz-server-side-encryption header is not supported for this operation.",
            ENCRYPTION,
            asked,
        ));
    }
    refuse_customer_key(headers, CUSTOMER_ALGORITHM)
}

/// The same for the source of a copy.
pub(crate) fn check_copy_source(headers: &HeaderMap) -> S3Result<()> {
    refuse_customer_key(headers, SOURCE_CUSTOMER_ALGORITHM)
}

fn refuse_customer_key(headers: &HeaderMap, algorithm: &str) -> S3Result<()> {
    if headers.contains_key(algorithm) {
        return Err(S3Error::invalid_request(
            "The encryption parameters are not applicable to this object.",
        ));
    }
    Ok(())
}

/// Whether there is a customer's key, with all that belongs to it.
fn check_customer_key(headers: &HeaderMap) -> S3Result<bool> {
    let names = [CUSTOMER_ALGORITHM, CUSTOMER_KEY, CUSTOMER_KEY_MD5];
    let [algorithm, key, md5] = names.map(|name| text(headers, name));
    if algorithm.is_none() && key.is_none() && md5.is_none() {
        return Ok(false);
    }
    let wrong = |message: &'static str, name: &str, value: Option<&str>| {
        Err(S3Error::invalid_argument(message, name, value.unwrap_or("null")))
    };
    if algorithm != Some(AES256) {
        return wrong(
            "Requests specifying Server Side Encryption with Customer provided keys must provide a \
             valid encryption algorithm.",
            CUSTOMER_ALGORITHM,
            algorithm,
        );
    }
    let key = decoded(key).filter(|key| key.len() == CUSTOMER_KEY_BYTES);
    let Some(key) = key else {
        return wrong(
            "Requests specifying Server Side Encryption with Customer provided keys must provide an \
             appropriate secret key.",
            CUSTOMER_KEY,
            None,
        );
    };
    let Some(stated) = decoded(md5) else {
        return wrong(
            "Requests specifying Server Side Encryption with Customer provided keys must provide \
             the client calculated MD5 of the secret key.",
            CUSTOMER_KEY_MD5,
            md5,
        );
    };
    if stated != Md5::digest(&key).as_slice() {
        return wrong(
            "The calculated MD5 hash of the key did not match the hash that was provided.",
            CUSTOMER_KEY_MD5,
            md5,
        );
    }
    Ok(true)
}

fn decoded(text: Option<&str>) -> Option<Vec<u8>> {
    STANDARD.decode(text?).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn check(pairs: &[(&'static str, &'static str)], expected: Option<(&str, &str)>) {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let refusal = check_write(&headers).err();
        let shown = refusal.as_ref().map(|error| {
            (error.code().as_str(), error.extra().first().map_or("", |(_, value)| value.as_str()))
        });
        assert_eq!(shown, expected, "{pairs:?}");
    }

    #[test]
    fn forms_of_encryption() {
        const KEY: &str = "pO3upElrwuEXSoFwCfnZPdSsmt/xWeFa0N9KgDijwVs=";
        const MD5: &str = "DWygnHRtgiJ77HCm+1rvHw==";
        check(&[], None);
        check(&[(ENCRYPTION, "AES256")], None);
        check(&[(ENCRYPTION, "aws:kms")], Some(("NotImplemented", ENCRYPTION)));
        check(&[(ENCRYPTION, "aes:kms")], Some(("InvalidArgument", ENCRYPTION)));
        check(&[(KMS_KEY, "k")], Some(("InvalidArgument", KMS_KEY)));
        check(&[(ENCRYPTION, "AES256"), (KMS_KEY, "k")], Some(("InvalidArgument", KMS_KEY)));
        let customer =
            [(CUSTOMER_ALGORITHM, "AES256"), (CUSTOMER_KEY, KEY), (CUSTOMER_KEY_MD5, MD5)];
        check(&customer, Some(("NotImplemented", CUSTOMER_ALGORITHM)));
        check(&customer[1..], Some(("InvalidArgument", CUSTOMER_ALGORITHM)));
        check(&customer[..2], Some(("InvalidArgument", CUSTOMER_KEY_MD5)));
        check(&customer[..1], Some(("InvalidArgument", CUSTOMER_KEY)));
        let mut other = customer;
        other[2].1 = "AAAAAAAAAAAAAAAAAAAAAA==";
        check(&other, Some(("InvalidArgument", CUSTOMER_KEY_MD5)));
        let mut both = customer.to_vec();
        both.push((ENCRYPTION, "AES256"));
        check(&both, Some(("InvalidArgument", ENCRYPTION)));
    }
}
