//! What the headers of a request say of server-side encryption, and what an answer says of it
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html>).
//!
//! A customer's key is read here into a value that shows nothing of it; no error repeats it. Knows
//! nothing of how anything is encrypted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidelock_store::{CustomerKey, EncryptionRequest, ServerSideEncryption};
use zeroize::Zeroizing;

use crate::error::{S3Error, S3Result};

const ENCRYPTION: &str = "x-amz-server-side-encryption";
const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const KMS_CONTEXT: &str = "x-amz-server-side-encryption-context";
const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";
const AES256: &str = "AES256";
const KMS: &str = "aws:kms";
/// KMS twice, which is not built.
const KMS_DSSE: &str = "aws:kms:dsse";
/// Bytes of an encryption context, as it is sent (AWS: 8 KB). More would not fit the row of an object
/// beside its headers.
const CONTEXT_BYTES_MAX: usize = 2048;

/// The three headers of a customer's key.
struct KeyHeaders {
    algorithm: &'static str,
    key: &'static str,
    md5: &'static str,
}

/// Of the object that a request is about.
const OF_OBJECT: KeyHeaders = KeyHeaders {
    algorithm: "x-amz-server-side-encryption-customer-algorithm",
    key: "x-amz-server-side-encryption-customer-key",
    md5: "x-amz-server-side-encryption-customer-key-md5",
};

/// Of the source of a copy.
const OF_SOURCE: KeyHeaders = KeyHeaders {
    algorithm: "x-amz-copy-source-server-side-encryption-customer-algorithm",
    key: "x-amz-copy-source-server-side-encryption-customer-key",
    md5: "x-amz-copy-source-server-side-encryption-customer-key-md5",
};

/// Headers whose values are secrets.
pub(crate) const SECRET_HEADERS: [&str; 2] = [OF_OBJECT.key, OF_SOURCE.key];
/// Headers that make a copy of an object onto itself a change.
pub(crate) const CHANGING_HEADERS: [&str; 2] = [ENCRYPTION, OF_OBJECT.algorithm];

/// Puts on an answer how the object is encrypted.
pub(crate) fn write(headers: &mut HeaderMap, encryption: &ServerSideEncryption) {
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    match encryption {
        ServerSideEncryption::S3 => set(ENCRYPTION, AES256),
        ServerSideEncryption::Kms { key, bucket_key, .. } => {
            set(ENCRYPTION, KMS);
            set(KMS_KEY, key);
            if *bucket_key {
                set(BUCKET_KEY, "true");
            }
        }
        ServerSideEncryption::Customer { key_md5 } => {
            set(OF_OBJECT.algorithm, AES256);
            set(OF_OBJECT.md5, &STANDARD.encode(key_md5));
        }
    }
}

/// What a write asks for.
///
/// # Errors
///
/// `InvalidArgument` for contradictions and malformed keys, 501 for encryption with two layers.
pub(crate) fn of_write(headers: &HeaderMap) -> S3Result<EncryptionRequest> {
    if !says_anything(headers) {
        return Ok(EncryptionRequest::BucketDefault);
    }
    let asked = text(headers, ENCRYPTION);
    let customer = customer_key(headers, &OF_OBJECT)?;
    if let (Some(asked), true) = (asked, customer.is_some()) {
        return Err(S3Error::invalid_argument(
            "Server Side Encryption with Customer provided key is incompatible with the encryption \
             method specified",
            ENCRYPTION,
            asked,
        ));
    }
    let of_kms = [KMS_KEY, KMS_CONTEXT].map(|name| (name, text(headers, name)));
    match (asked, customer) {
        (Some(KMS), _) => Ok(EncryptionRequest::Kms {
            key: of_kms[0].1.filter(|key| !key.is_empty()).map(str::to_owned),
            context: of_kms[1].1.map(context).transpose()?,
            bucket_key: bucket_key(headers)?,
        }),
        (Some(KMS_DSSE), _) => Err(S3Error::header_not_implemented(ENCRYPTION)),
        (None | Some(AES256), customer) => {
            refuse_without_kms(&of_kms)?;
            Ok(match (asked, customer) {
                (_, Some(key)) => EncryptionRequest::Customer(key),
                (None, None) => EncryptionRequest::BucketDefault,
                (Some(_), None) => EncryptionRequest::S3,
            })
        }
        (Some(other), _) => Err(unknown_method(other)),
    }
}

/// The customer's key of a part. It is encrypted as its upload; clients repeat the method all the same.
///
/// # Errors
///
/// `InvalidArgument` as of [`of_write`].
pub(crate) fn of_part(headers: &HeaderMap) -> S3Result<Option<CustomerKey>> {
    match of_write(headers)? {
        EncryptionRequest::Customer(key) => Ok(Some(key)),
        EncryptionRequest::BucketDefault
        | EncryptionRequest::S3
        | EncryptionRequest::Kms { .. } => Ok(None),
    }
}

/// The customer's key of a read. No method is asked for: an object has the one it was written with.
///
/// # Errors
///
/// `InvalidArgument`, as AWS answers.
pub(crate) fn of_read(headers: &HeaderMap) -> S3Result<Option<CustomerKey>> {
    if !says_anything(headers) {
        return Ok(None);
    }
    if let Some(asked) = text(headers, ENCRYPTION) {
        return Err(S3Error::invalid_argument(
            "x-amz-server-side-encryption header is not supported for this operation.",
            ENCRYPTION,
            asked,
        ));
    }
    customer_key(headers, &OF_OBJECT)
}

/// The customer's key of an upload's end.
///
/// # Errors
///
/// `InvalidArgument` for malformed keys.
pub(crate) fn of_completion(headers: &HeaderMap) -> S3Result<Option<CustomerKey>> {
    customer_key(headers, &OF_OBJECT)
}

/// The customer's key of the source of a copy.
///
/// # Errors
///
/// `InvalidArgument` for malformed keys.
pub(crate) fn of_copy_source(headers: &HeaderMap) -> S3Result<Option<CustomerKey>> {
    customer_key(headers, &OF_SOURCE)
}

/// The customer's key, if there is one, with all that belongs to it.
fn customer_key(headers: &HeaderMap, names: &KeyHeaders) -> S3Result<Option<CustomerKey>> {
    let [algorithm, key, md5] =
        [names.algorithm, names.key, names.md5].map(|name| text(headers, name));
    if algorithm.is_none() && key.is_none() && md5.is_none() {
        return Ok(None);
    }
    let wrong = |message: &'static str, name: &str, value: Option<&str>| {
        Err(S3Error::invalid_argument(message, name, value.unwrap_or("null")))
    };
    if algorithm != Some(AES256) {
        return wrong(
            "Requests specifying Server Side Encryption with Customer provided keys must provide a \
             valid encryption algorithm.",
            names.algorithm,
            algorithm,
        );
    }
    let decoded = key.and_then(|key| STANDARD.decode(key).ok()).map(Zeroizing::new);
    let Some(key) = decoded.and_then(|bytes| CustomerKey::new(&bytes)) else {
        return wrong(
            "Requests specifying Server Side Encryption with Customer provided keys must provide an \
             appropriate secret key.",
            names.key,
            None,
        );
    };
    let Some(stated) = md5.and_then(|md5| STANDARD.decode(md5).ok()) else {
        return wrong(
            "Requests specifying Server Side Encryption with Customer provided keys must provide \
             the client calculated MD5 of the secret key.",
            names.md5,
            md5,
        );
    };
    if stated != key.md5() {
        return wrong(
            "The calculated MD5 hash of the key did not match the hash that was provided.",
            names.md5,
            md5,
        );
    }
    Ok(Some(key))
}

/// Whether a request says anything of its object's encryption: most say nothing, and then no header is looked up.
fn says_anything(headers: &HeaderMap) -> bool {
    // All the others begin with it.
    headers.keys().any(|name| name.as_str().starts_with(ENCRYPTION))
}

fn refuse_without_kms(of_kms: &[(&'static str, Option<&str>)]) -> S3Result<()> {
    match of_kms.iter().find_map(|(name, value)| Some((name, (*value)?))) {
        None => Ok(()),
        Some((name, value)) => Err(S3Error::invalid_argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header \
             x-amz-server-side-encryption : aws:kms",
            *name,
            value,
        )),
    }
}

/// The encryption context as it was sent: base64 of JSON, which is not looked into further. The same
/// text opens what it has sealed.
fn context(text: &str) -> S3Result<String> {
    let wrong = |message: &'static str| Err(S3Error::invalid_argument(message, KMS_CONTEXT, text));
    if text.len() > CONTEXT_BYTES_MAX {
        return wrong("The header 'x-amz-server-side-encryption-context' is too long.");
    }
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let is_object = |json: &String| json.trim().starts_with('{') && json.trim().ends_with('}');
    match decoded.filter(is_object) {
        Some(_) => Ok(text.to_owned()),
        None => wrong("The header 'x-amz-server-side-encryption-context' must be base64 of JSON."),
    }
}

fn bucket_key(headers: &HeaderMap) -> S3Result<Option<bool>> {
    match text(headers, BUCKET_KEY) {
        None => Ok(None),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(value) => Err(S3Error::invalid_argument(
            "The header 'x-amz-server-side-encryption-bucket-key-enabled' is true or false.",
            BUCKET_KEY,
            value,
        )),
    }
}

fn unknown_method(asked: &str) -> S3Error {
    S3Error::invalid_argument("The encryption method specified is not supported", ENCRYPTION, asked)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "pO3upElrwuEXSoFwCfnZPdSsmt/xWeFa0N9KgDijwVs=";
    const MD5: &str = "DWygnHRtgiJ77HCm+1rvHw==";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    fn check(pairs: &[(&'static str, &str)], expected: Option<(&str, &str)>) {
        let refusal = of_write(&headers(pairs)).err();
        let shown = refusal.as_ref().map(|error| {
            let document = error.extra().iter().map(|(_, value)| value.as_str());
            assert!(!document.clone().any(|value| value.contains("pO3up")), "{pairs:?}");
            (error.code().as_str(), error.extra().first().map_or("", |(_, value)| value.as_str()))
        });
        assert_eq!(shown, expected, "{pairs:?}");
    }

    #[test]
    fn forms_of_encryption() {
        check(&[], None);
        check(&[(ENCRYPTION, AES256)], None);
        check(&[(ENCRYPTION, KMS)], None);
        check(&[(ENCRYPTION, KMS), (KMS_KEY, "k"), (KMS_CONTEXT, "e30=")], None);
        check(&[(ENCRYPTION, KMS), (KMS_CONTEXT, "k")], Some(("InvalidArgument", KMS_CONTEXT)));
        let long = "e30=".repeat(513);
        check(&[(ENCRYPTION, KMS), (KMS_CONTEXT, &long)], Some(("InvalidArgument", KMS_CONTEXT)));
        check(&[(ENCRYPTION, KMS), (BUCKET_KEY, "1")], Some(("InvalidArgument", BUCKET_KEY)));
        check(&[(ENCRYPTION, KMS_DSSE)], Some(("NotImplemented", ENCRYPTION)));
        check(&[(ENCRYPTION, "aes:kms")], Some(("InvalidArgument", ENCRYPTION)));
        check(&[(KMS_KEY, "k")], Some(("InvalidArgument", KMS_KEY)));
        check(&[(KMS_CONTEXT, "e30=")], Some(("InvalidArgument", KMS_CONTEXT)));
        check(&[(ENCRYPTION, AES256), (KMS_KEY, "k")], Some(("InvalidArgument", KMS_KEY)));
    }

    #[test]
    fn keys_of_customers() {
        let customer = [(OF_OBJECT.algorithm, AES256), (OF_OBJECT.key, KEY), (OF_OBJECT.md5, MD5)];
        check(&customer, None);
        check(&customer[1..], Some(("InvalidArgument", OF_OBJECT.algorithm)));
        check(&customer[..2], Some(("InvalidArgument", OF_OBJECT.md5)));
        check(&customer[..1], Some(("InvalidArgument", OF_OBJECT.key)));
        let with = |index: usize, value: &'static str| {
            let mut other = customer;
            other[index].1 = value;
            other
        };
        check(&with(0, "AES128"), Some(("InvalidArgument", OF_OBJECT.algorithm)));
        check(&with(1, "pO3upA=="), Some(("InvalidArgument", OF_OBJECT.key)));
        check(&with(1, "pO3up:"), Some(("InvalidArgument", OF_OBJECT.key)));
        check(&with(2, "AAAAAAAAAAAAAAAAAAAAAA=="), Some(("InvalidArgument", OF_OBJECT.md5)));
        let mut both = customer.to_vec();
        both.push((ENCRYPTION, AES256));
        check(&both, Some(("InvalidArgument", ENCRYPTION)));
        let read = of_read(&headers(&customer)).unwrap().unwrap();
        assert_eq!(STANDARD.encode(read.md5()), MD5);
        assert!(of_copy_source(&headers(&customer)).unwrap().is_none());
    }

    #[test]
    fn answers_say_how_an_object_is_encrypted() {
        let md5 = CustomerKey::new(&STANDARD.decode(KEY).unwrap()).unwrap().md5();
        let kms = |bucket_key| ServerSideEncryption::Kms {
            key: "arn".to_owned(),
            context: Some("e30=".to_owned()),
            bucket_key,
        };
        let rows: [(_, &[(&str, &str)]); 4] = [
            (ServerSideEncryption::S3, &[(ENCRYPTION, AES256)]),
            (kms(false), &[(ENCRYPTION, KMS), (KMS_KEY, "arn")]),
            (kms(true), &[(ENCRYPTION, KMS), (KMS_KEY, "arn"), (BUCKET_KEY, "true")]),
            (
                ServerSideEncryption::Customer { key_md5: md5 },
                &[(OF_OBJECT.algorithm, AES256), (OF_OBJECT.md5, MD5)],
            ),
        ];
        for (encryption, expected) in rows {
            let mut answer = HeaderMap::new();
            write(&mut answer, &encryption);
            assert_eq!(answer.len(), expected.len(), "{encryption:?}");
            for (name, value) in expected {
                assert_eq!(answer.get(*name).unwrap(), value, "{encryption:?}");
            }
        }
    }
}
