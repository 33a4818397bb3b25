//! The name of a blob: 16 bytes, in text 32 lowercase hex digits.

use std::fmt;
use std::str::FromStr;

/// Names a blob. Random, so that no two writers choose the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub [u8; 16]);

impl fmt::Display for BlobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BlobId({self})")
    }
}

/// The text is not 32 lowercase hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a blob id has 32 lowercase hex digits")]
pub struct ParseBlobIdError;

impl FromStr for BlobId {
    type Err = ParseBlobIdError;

    fn from_str(text: &str) -> Result<Self, ParseBlobIdError> {
        // One spelling for each id, or a file could be listed under a name it cannot be opened by.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ParseBlobIdError);
        }
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id).map_err(|_| ParseBlobIdError)?;
        Ok(Self(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_in_one_spelling() {
        let id = BlobId([0xAB; 16]);
        assert_eq!(id.to_string(), "ab".repeat(16));
        let rows = [
            ("ab".repeat(16), Ok(id)),
            ("AB".repeat(16), Err(ParseBlobIdError)),
            ("ab".repeat(15), Err(ParseBlobIdError)),
            ("ab".repeat(17), Err(ParseBlobIdError)),
            ("zz".repeat(16), Err(ParseBlobIdError)),
            (String::new(), Err(ParseBlobIdError)),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }
}
