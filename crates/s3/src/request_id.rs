//! The two ids of an answer: `x-amz-request-id` and `x-amz-id-2`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidelock_store::Entropy;

/// Names the request in logs and in answers.
pub(crate) const X_AMZ_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
/// Names the host that answered; AWS support asks for both.
pub(crate) const X_AMZ_ID_2: HeaderName = HeaderName::from_static("x-amz-id-2");

const RANDOM_BYTES: usize = 24;
const REQUEST_ID_CHARS: usize = 16;
const HOST_ID_CHARS: usize = RANDOM_BYTES / 3 * 4;
/// AWS's request ids use digits and capital letters.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The ids of one request: 16 characters of base 32, and 32 of base 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    /// Text, as the other.
    request_id: [u8; REQUEST_ID_CHARS],
    host_id: [u8; HOST_ID_CHARS],
}

impl RequestId {
    /// Fresh ids.
    pub fn generate(random: &dyn Entropy) -> Self {
        let mut bytes = [0; RANDOM_BYTES];
        random.fill(&mut bytes);
        Self::from_random(bytes)
    }

    pub(crate) fn from_random(bytes: [u8; RANDOM_BYTES]) -> Self {
        let request_id = std::array::from_fn(|at| ALPHABET[usize::from(bytes[at] & 31)]);
        let mut host_id = [0; HOST_ID_CHARS];
        // It has the length that base 64 makes of the bytes.
        let _filled = STANDARD.encode_slice(bytes, &mut host_id);
        Self { request_id, host_id }
    }

    /// The value of `x-amz-request-id`.
    pub fn request_id(&self) -> &str {
        std::str::from_utf8(&self.request_id).unwrap_or_default()
    }

    /// The value of `x-amz-id-2`.
    pub fn host_id(&self) -> &str {
        std::str::from_utf8(&self.host_id).unwrap_or_default()
    }

    /// Puts both ids on an answer.
    pub(crate) fn insert_into(&self, headers: &mut HeaderMap) {
        let ids = [(X_AMZ_REQUEST_ID, &self.request_id[..]), (X_AMZ_ID_2, &self.host_id[..])];
        for (name, value) in ids {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_length_and_alphabet_of_aws() {
        let id = RequestId::generate(&tidelock_store::SystemEntropy::new());
        assert_eq!(id.request_id().len(), REQUEST_ID_CHARS);
        assert!(id.request_id().bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_eq!(id.host_id().len(), 32);
    }
}
