//! The trailer of an aws-chunked body: the headers that come after the data.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use super::PayloadError;

/// A checksum needs 60 bytes and a signature 90; nothing else belongs into a trailer.
const TRAILER_BYTES_MAX: usize = 4096;
/// One checksum, its signature, and room for what clients may add.
const TRAILER_FIELDS_MAX: usize = 8;
const SIGNATURE: &str = "x-amz-trailer-signature";

/// The trailer as it is collected.
#[derive(Debug, Default)]
pub(super) struct Trailer {
    fields: Vec<(String, String)>,
    signature: Option<String>,
    read_bytes: usize,
}

impl Trailer {
    /// Takes one line, without its line end.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), PayloadError> {
        self.read_bytes += line.len();
        let fits = self.read_bytes <= TRAILER_BYTES_MAX && self.fields.len() < TRAILER_FIELDS_MAX;
        let text = std::str::from_utf8(line).ok().filter(|_| fits);
        let (name, value) =
            text.and_then(|text| text.split_once(':')).ok_or(PayloadError::MalformedTrailer)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        if name == SIGNATURE {
            self.signature = Some(value);
        } else {
            self.fields.push((name, value));
        }
        Ok(())
    }

    /// Whether every announced field came, and none else.
    pub(super) fn matches(&self, announced: &[String]) -> bool {
        self.fields.len() == announced.len()
            && self.fields.iter().all(|(name, _)| announced.contains(name))
    }

    /// The fields that its signature covers, in the order sent.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    pub(super) fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// The fields, names in lower case.
    pub(super) fn into_fields(self) -> Vec<(String, String)> {
        self.fields
    }
}
