//! Which keys an object's data key is wrapped with, beyond the keyring's first one: a named key of the
//! keyring (SSE-KMS), or a key that only the client has (SSE-C).
//!
//! ```text
//! SSE-S3    keyring's first key ( data key )                    bound to: place
//! SSE-KMS   keyring's named key ( data key )                    bound to: "kms\0" | context length:u64 | context | place
//! SSE-C     keyring's first key ( nonce:12 | client ( data key ) )    bound to: "sse-c\0" | key md5:16 | place, both
//! ```
//! `client` is AES-256-GCM under a key that is derived from the client's, so that neither the keyring nor
//! the client's key alone opens anything. The client's key is never stored; its MD5 is. What a reader
//! without the key must not learn of the content is blinded with the data key: entity tag and checksum.
//!
//! Knows no header.

use std::borrow::Cow;
use std::fmt;

use md5::{Digest as _, Md5};
use ring::hmac;
use tidelock_meta::record::bucket::{BucketRow, DefaultEncryption};
use tidelock_meta::record::controls::ServerSideEncryption;
use tidelock_meta::record::version::Checksum;
use zeroize::Zeroizing;

use crate::Store;
use crate::body::seal::DataKey;
use crate::error::{EncryptionError, StorageError};
use crate::identity::ACCOUNT_ID;
use crate::keyring::{self, Keyring, KeyringError};
use crate::lock::data_key;

/// Bytes of a customer's key: it is one for AES-256.
pub const CUSTOMER_KEY_BYTES: usize = 32;
/// The alias of AWS's own key for S3, which stands for the keyring's first key.
const DEFAULT_ALIAS: &str = "alias/aws/s3";
/// Where keys are that do not say it.
const DEFAULT_REGION: &str = "us-east-1";
/// What a customer's key signs to make the key that wraps; nothing else is done with it, but for the
/// next one.
const WRAPPING_LABEL: &[u8] = b"tidelock sse-c wrapping key 1";
/// The same, to make what tells two states under one key apart.
const DIGEST_LABEL: &[u8] = b"tidelock sse-c state digest 1";
/// What a data key or the key of an upload signs to blind an entity tag; they seal besides.
const ETAG_LABEL: &[u8] = b"tidelock sse-c entity tag 1";
/// The same for a checksum.
const CHECKSUM_LABEL: &[u8] = b"tidelock sse-c checksum 1";

/// A key that a client sent along. It is wiped when it is dropped, and shows its MD5 only.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey {
    bytes: Zeroizing<[u8; CUSTOMER_KEY_BYTES]>,
    md5: [u8; 16],
}

impl CustomerKey {
    /// A key from its bytes; none if they are not [`CUSTOMER_KEY_BYTES`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let bytes = Zeroizing::new(<[u8; CUSTOMER_KEY_BYTES]>::try_from(bytes).ok()?);
        Some(Self { md5: Md5::digest(*bytes).into(), bytes })
    }

    /// Its MD5, which names it.
    pub fn md5(&self) -> [u8; 16] {
        self.md5
    }

    /// Tells states under this key apart, where their own digest would tell others what they say.
    pub(crate) fn digest_of(&self, sha256: &[u8; 32]) -> [u8; 32] {
        self.derive(&[DIGEST_LABEL, sha256].concat())
    }

    fn derive(&self, label: &[u8]) -> [u8; 32] {
        signed(&*self.bytes, label)
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomerKey").field("md5", &hex::encode(self.md5)).finish_non_exhaustive()
    }
}

/// What a writer asks of an object's encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EncryptionRequest {
    /// Nothing: what the bucket says.
    #[default]
    BucketDefault,
    /// SSE-S3.
    S3,
    /// SSE-KMS.
    Kms {
        /// A key by name or ARN; none for the keyring's first one.
        key: Option<String>,
        /// The encryption context, base64 of JSON.
        context: Option<String>,
        /// Whether a bucket key is asked for; none: what the bucket says.
        bucket_key: Option<bool>,
    },
    /// SSE-C.
    Customer(CustomerKey),
}

impl EncryptionRequest {
    /// Whether an object that is encrypted like this is what was asked for.
    pub(crate) fn is_met_by(&self, encryption: &ServerSideEncryption) -> bool {
        match (self, encryption) {
            (Self::BucketDefault, _) | (Self::S3, ServerSideEncryption::S3) => true,
            (
                Self::Kms { key: asked, context: wanted, .. },
                ServerSideEncryption::Kms { key, context, .. },
            ) => {
                // By name or by ARN, which ends in the name; the alias stands for whichever is the first.
                let is_key = |asked: &String| {
                    asked.ends_with("alias/aws/s3")
                        || key.rsplit('/').next() == asked.rsplit('/').next()
                };
                asked.as_ref().is_none_or(is_key) && wanted == context
            }
            (Self::Customer(asked), ServerSideEncryption::Customer { key_md5 }) => {
                asked.md5 == *key_md5
            }
            (Self::S3 | Self::Kms { .. } | Self::Customer(_), _) => false,
        }
    }

    /// The customer's key, if one was sent.
    pub(crate) fn customer_key(&self) -> Option<&CustomerKey> {
        match self {
            Self::Customer(key) => Some(key),
            Self::BucketDefault | Self::S3 | Self::Kms { .. } => None,
        }
    }
}

/// How a new object is encrypted, and what that takes.
pub(crate) struct Protection<'a> {
    /// As its row says it.
    pub(crate) encryption: ServerSideEncryption,
    /// Name of the keyring's key that wraps.
    wrapping: String,
    customer: Option<&'a CustomerKey>,
}

impl Store {
    /// What `asked` comes to in a bucket.
    ///
    /// # Errors
    ///
    /// When the keyring has no such key.
    pub(crate) fn protection<'a>(
        &self,
        asked: &'a EncryptionRequest,
        bucket: &BucketRow,
    ) -> Result<Protection<'a>, EncryptionError> {
        let of_bucket = bucket.encryption.as_ref();
        match (asked, of_bucket) {
            (EncryptionRequest::Customer(key), _) => Ok(Protection {
                encryption: ServerSideEncryption::Customer { key_md5: key.md5 },
                wrapping: self.keyring.active().to_owned(),
                customer: Some(key),
            }),
            (EncryptionRequest::Kms { key, context, bucket_key }, _) => {
                let (default_key, default_bucket_key) = match of_bucket {
                    Some(DefaultEncryption::Kms { key, bucket_key }) => (key.as_ref(), *bucket_key),
                    Some(DefaultEncryption::Aes256 { .. }) | None => (None, false),
                };
                let bucket_key = bucket_key.unwrap_or(default_bucket_key);
                self.kms(key.as_ref().or(default_key), context.clone(), bucket_key, bucket)
            }
            (
                EncryptionRequest::BucketDefault,
                Some(DefaultEncryption::Kms { key, bucket_key }),
            ) => self.kms(key.as_ref(), None, *bucket_key, bucket),
            (EncryptionRequest::S3 | EncryptionRequest::BucketDefault, _) => Ok(Protection {
                encryption: ServerSideEncryption::S3,
                wrapping: self.keyring.active().to_owned(),
                customer: None,
            }),
        }
    }

    fn kms(
        &self,
        key: Option<&String>,
        context: Option<String>,
        bucket_key: bool,
        bucket: &BucketRow,
    ) -> Result<Protection<'static>, EncryptionError> {
        let (key, wrapping) = find_key(&self.keyring, key.map(String::as_str), &bucket.region)?;
        let encryption = ServerSideEncryption::Kms { key, context, bucket_key };
        Ok(Protection { encryption, wrapping, customer: None })
    }

    /// What keeps on protecting what is protected already: the object of an upload, as its upload.
    ///
    /// # Errors
    ///
    /// When the keyring has lost the key.
    pub(crate) fn protection_of<'a>(
        &self,
        encryption: &ServerSideEncryption,
        customer: Option<&'a CustomerKey>,
    ) -> Result<Protection<'a>, EncryptionError> {
        let wrapping = match encryption {
            ServerSideEncryption::Kms { key, .. } => find_key(&self.keyring, Some(key), "")?.1,
            ServerSideEncryption::S3 | ServerSideEncryption::Customer { .. } => {
                self.keyring.active().to_owned()
            }
        };
        Ok(Protection { encryption: encryption.clone(), wrapping, customer })
    }

    /// Wraps the data key of an object; only the same protection and `place` open it.
    ///
    /// # Errors
    ///
    /// When the keyring has lost the key.
    pub(crate) fn wrap_data_key(
        &self,
        protection: &Protection<'_>,
        data_key: &DataKey,
        place: &[u8],
    ) -> Result<Vec<u8>, StorageError> {
        let place = bound(&protection.encryption, place);
        let under_customer = protection
            .customer
            .map(|customer| seal_under(customer, &**data_key, &place, &*self.entropy))
            .transpose()?;
        let secret = under_customer.as_deref().unwrap_or(&**data_key);
        let wrapped = self.keyring.wrap_under(&protection.wrapping, secret, &place, &*self.entropy);
        wrapped.map_err(|error| StorageError::Corrupt(error.to_string()))
    }

    /// The data key of an object from its wrapping.
    ///
    /// # Errors
    ///
    /// [`KeyFailure::Encryption`] when the customer's key is not the right one, or the named key is gone.
    pub(crate) fn unwrap_data_key(
        &self,
        encryption: &ServerSideEncryption,
        customer: Option<&CustomerKey>,
        wrapped: &[u8],
        place: &[u8],
    ) -> Result<DataKey, KeyFailure> {
        check_customer_key(encryption, customer)?;
        let place = bound(encryption, place);
        let opened =
            self.keyring.unwrap(wrapped, &place).map_err(|error| match (encryption, error) {
                (ServerSideEncryption::Kms { key, .. }, KeyringError::NoSuchKey(_)) => {
                    KeyFailure::Encryption(EncryptionError::NoSuchKey(key.clone()))
                }
                (_, error) => StorageError::Corrupt(error.to_string()).into(),
            })?;
        match customer {
            Some(customer) => Ok(data_key(&open_under(customer, &opened, &place)?)?),
            None => Ok(data_key(&opened)?),
        }
    }

    /// A key of the keyring by name, ARN or alias, as it is shown: its ARN.
    ///
    /// # Errors
    ///
    /// When the keyring has no such key.
    pub fn kms_key(&self, asked: Option<&str>, region: &str) -> Result<String, EncryptionError> {
        find_key(&self.keyring, asked, region).map(|(shown, _)| shown)
    }
}

/// Why a data key could not be had.
pub(crate) enum KeyFailure {
    Encryption(EncryptionError),
    Storage(StorageError),
}

impl From<EncryptionError> for KeyFailure {
    fn from(error: EncryptionError) -> Self {
        Self::Encryption(error)
    }
}

impl From<StorageError> for KeyFailure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Whether `customer` is the key that an object or upload has, or none where it has none.
pub(crate) fn check_customer_key(
    encryption: &ServerSideEncryption,
    customer: Option<&CustomerKey>,
) -> Result<(), EncryptionError> {
    match (encryption, customer) {
        (ServerSideEncryption::Customer { key_md5 }, Some(key)) if key.md5 == *key_md5 => Ok(()),
        (ServerSideEncryption::Customer { .. }, Some(_)) => Err(EncryptionError::WrongKey),
        (ServerSideEncryption::Customer { .. }, None) => Err(EncryptionError::KeyMissing),
        (ServerSideEncryption::S3 | ServerSideEncryption::Kms { .. }, None) => Ok(()),
        (ServerSideEncryption::S3 | ServerSideEncryption::Kms { .. }, Some(_)) => {
            Err(EncryptionError::KeyNotApplicable)
        }
    }
}

/// Whether only a customer can read it.
pub(crate) fn is_customers(encryption: &ServerSideEncryption) -> bool {
    matches!(encryption, ServerSideEncryption::Customer { .. })
}

/// The entity tag of a customer's object in place of its MD5. AWS's is no MD5 either.
pub(crate) fn blind_md5(tagging: &DataKey, md5: &[u8; 16]) -> [u8; 16] {
    let signed = signed(&**tagging, &[ETAG_LABEL, md5].concat());
    let mut blinded = [0; 16];
    blinded.copy_from_slice(&signed[..16]);
    blinded
}

/// Blinds the checksum of a customer's object, and shows it again: a data key blinds one checksum.
pub(crate) fn blind_checksum(data_key: &DataKey, checksum: &Checksum) -> Checksum {
    let mask = Zeroizing::new(signed(&**data_key, CHECKSUM_LABEL));
    // No checksum is longer than the mask.
    let value = checksum.value.iter().zip(mask.iter()).map(|(byte, mask)| byte ^ mask);
    Checksum { value: value.collect(), ..checksum.clone() }
}

/// How a key of the keyring is shown, and its name. `asked` is a name, an ARN, or an alias of AWS's.
fn find_key(
    keyring: &Keyring,
    asked: Option<&str>,
    region: &str,
) -> Result<(String, String), EncryptionError> {
    let region = if region.is_empty() { DEFAULT_REGION } else { region };
    let unknown = |asked: &str| EncryptionError::NoSuchKey(asked.to_owned());
    let arn = |region: &str, name: &str| format!("arn:aws:kms:{region}:{ACCOUNT_ID}:key/{name}");
    let (region, resource) = match asked {
        None => (region, DEFAULT_ALIAS),
        Some(asked) => match asked.strip_prefix("arn:aws:kms:") {
            Some(rest) => {
                let parts: Vec<_> = rest.splitn(3, ':').collect();
                match parts.as_slice() {
                    [region, ACCOUNT_ID, resource] if !region.is_empty() => (*region, *resource),
                    _ => return Err(unknown(asked)),
                }
            }
            None => (region, asked),
        },
    };
    let name = match resource {
        DEFAULT_ALIAS => keyring.active(),
        resource => resource.strip_prefix("key/").unwrap_or(resource),
    };
    if keyring.fingerprint(name).is_none() {
        return Err(unknown(asked.unwrap_or_default()));
    }
    Ok((arn(region, name), name.to_owned()))
}

/// The name in what names a key; none for AWS's own key for S3.
pub(crate) fn named_key(asked: &str) -> Option<&str> {
    let resource = match asked.strip_prefix("arn:aws:kms:") {
        Some(rest) => rest.splitn(3, ':').nth(2).unwrap_or(rest),
        None => asked,
    };
    (resource != DEFAULT_ALIAS).then(|| resource.strip_prefix("key/").unwrap_or(resource))
}

/// The key `name`, shown as `shown` shows another one of the same region.
pub(crate) fn renamed_key(shown: &str, name: &str) -> String {
    match shown.rsplit_once("key/") {
        Some((before, _)) => format!("{before}key/{name}"),
        None => name.to_owned(),
    }
}

/// What a wrapping is bound to. Other kinds than SSE-S3 begin with a word that no place begins with.
pub(crate) fn bound<'a>(encryption: &ServerSideEncryption, place: &'a [u8]) -> Cow<'a, [u8]> {
    match encryption {
        ServerSideEncryption::S3 => Cow::Borrowed(place),
        ServerSideEncryption::Kms { context, .. } => {
            let context = context.as_deref().unwrap_or_default().as_bytes();
            let length = (context.len() as u64).to_be_bytes();
            Cow::Owned([b"kms\0", &length[..], context, place].concat())
        }
        ServerSideEncryption::Customer { key_md5 } => {
            Cow::Owned([b"sse-c\0", &key_md5[..], place].concat())
        }
    }
}

fn seal_under(
    customer: &CustomerKey,
    secret: &[u8],
    place: &[u8],
    entropy: &dyn crate::Entropy,
) -> Result<Vec<u8>, StorageError> {
    let key = wrapping_key(customer)?;
    let nonce = crate::entropy::array(entropy);
    let mut sealed = secret.to_vec();
    keyring::seal(&key, nonce, place, &mut sealed);
    Ok([&nonce[..], &sealed].concat())
}

fn open_under(
    customer: &CustomerKey,
    sealed: &[u8],
    place: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyFailure> {
    let Some((nonce, sealed)) = sealed.split_first_chunk() else {
        return Err(StorageError::Corrupt("a customer's wrapping is too short".to_owned()).into());
    };
    let key = wrapping_key(customer)?;
    // A key of the same MD5 is another one all the same.
    keyring::open(&key, *nonce, place, sealed).ok_or(EncryptionError::WrongKey.into())
}

fn wrapping_key(customer: &CustomerKey) -> Result<ring::aead::LessSafeKey, StorageError> {
    let bytes = Zeroizing::new(customer.derive(WRAPPING_LABEL));
    keyring::aead_key(&*bytes)
        .ok_or_else(|| StorageError::Corrupt("a derived key has another length".to_owned()))
}

fn signed(key: &[u8], text: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    fn key(byte: u8) -> CustomerKey {
        CustomerKey::new(&[byte; CUSTOMER_KEY_BYTES]).unwrap()
    }

    #[test]
    fn a_customers_key_shows_nothing_of_itself() {
        let shown = format!("{:?}", EncryptionRequest::Customer(key(0xAB)));
        assert!(!shown.contains("171") && !shown.contains("abab"), "{shown}");
        assert!(CustomerKey::new(&[1; 31]).is_none() && CustomerKey::new(&[1; 33]).is_none());
    }

    #[test]
    fn what_a_customer_sealed_opens_with_the_same_key_in_the_same_place() {
        let sealed = seal_under(&key(1), b"secret", b"here", &SystemEntropy::new()).unwrap();
        let opens = |key: CustomerKey, place: &[u8]| open_under(&key, &sealed, place).is_ok();
        assert!(opens(key(1), b"here"));
        assert!(!opens(key(2), b"here"));
        assert!(!opens(key(1), b"there"));
        assert!(open_under(&key(1), &sealed[..7], b"here").is_err());
    }

    #[test]
    fn which_key_belongs_to_what() {
        let customers = ServerSideEncryption::Customer { key_md5: key(1).md5 };
        let rows = [
            (&ServerSideEncryption::S3, None, Ok(())),
            (&ServerSideEncryption::S3, Some(key(1)), Err(EncryptionError::KeyNotApplicable)),
            (&customers, Some(key(1)), Ok(())),
            (&customers, Some(key(2)), Err(EncryptionError::WrongKey)),
            (&customers, None, Err(EncryptionError::KeyMissing)),
        ];
        for (encryption, key, expected) in rows {
            assert_eq!(check_customer_key(encryption, key.as_ref()), expected, "{encryption:?}");
        }
    }

    #[test]
    fn names_of_keys() {
        let entropy = SystemEntropy::new();
        let text =
            format!("{}{}", *Keyring::generate("1", &entropy), *Keyring::generate("b", &entropy));
        let keyring = Keyring::parse(&text).unwrap();
        let rows = [
            (None, Some("arn:aws:kms:eu-1:000000000000:key/1")),
            (Some("alias/aws/s3"), Some("arn:aws:kms:eu-1:000000000000:key/1")),
            (Some("b"), Some("arn:aws:kms:eu-1:000000000000:key/b")),
            (
                Some("arn:aws:kms:us-2:000000000000:key/b"),
                Some("arn:aws:kms:us-2:000000000000:key/b"),
            ),
            (
                Some("arn:aws:kms:us-2:000000000000:alias/aws/s3"),
                Some("arn:aws:kms:us-2:000000000000:key/1"),
            ),
            (Some("arn:aws:kms:us-2:111111111111:key/b"), None),
            (Some("arn:aws:kms::000000000000:key/b"), None),
            (Some("arn:aws:kms:us-2"), None),
            (Some("alias/other"), None),
            (Some("c"), None),
            (Some(""), None),
        ];
        for (asked, expected) in rows {
            let found = find_key(&keyring, asked, "eu-1").ok();
            assert_eq!(found.as_ref().map(|(shown, _)| shown.as_str()), expected, "{asked:?}");
            if let (Some(asked), Some((shown, name))) = (asked, found) {
                assert_eq!(named_key(asked).unwrap_or(keyring.active()), name, "{asked:?}");
                let other = renamed_key(&shown, "b");
                assert_eq!(find_key(&keyring, Some(&other), "").ok(), Some((other, "b".into())));
            }
        }
    }

    #[test]
    fn what_is_blinded_is_shown_by_the_same_key_only() {
        use tidelock_meta::record::version::{ChecksumAlgorithm, ChecksumType};

        let (one, two) = (DataKey::new([1; 32]), DataKey::new([2; 32]));
        let checksum = Checksum {
            algorithm: ChecksumAlgorithm::Sha256,
            kind: ChecksumType::FullObject,
            value: (0..32).collect(),
            parts: None,
        };
        let blinded = blind_checksum(&one, &checksum);
        assert_ne!(blinded.value, checksum.value);
        assert_eq!(blind_checksum(&one, &blinded), checksum);
        assert_ne!(blind_checksum(&two, &blinded), checksum);
        assert_ne!(blind_md5(&one, &[7; 16]), blind_md5(&two, &[7; 16]));
    }
}
