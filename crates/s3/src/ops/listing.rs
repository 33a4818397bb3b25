//! What all listings share: limits, encodings, tokens, common prefixes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tidelock_store::{ChecksumAlgorithm, ChecksumType};

use crate::call::Call;
use crate::checksum;
use crate::error::{S3Error, S3Result};
use crate::xml::XmlWriter;

/// AWS's largest page, and the page of a client that asks for none.
pub(super) const ENTRIES_MAX: usize = 1000;

/// Length of a `<CommonPrefixes>` without its prefix.
const COMMON_PREFIX_BYTES: usize = 60;

/// What `encoding-type=url` leaves as it is.
const URL_ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Whether names are percent-encoded, so that control characters survive XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    /// `encoding-type`.
    pub(super) fn of(call: &Call<'_>) -> S3Result<Self> {
        match call.query.value("encoding-type") {
            None => Ok(Self::Plain),
            Some(text) if text.eq_ignore_ascii_case("url") => Ok(Self::Url),
            Some(text) => Err(S3Error::invalid_argument(
                "Invalid Encoding Method specified in Request",
                "encoding-type",
                text,
            )),
        }
    }

    /// An element whose text is a name.
    pub(super) fn write(self, xml: &mut XmlWriter, element: &str, name: &str) {
        match self {
            Self::Plain => xml.text(element, name),
            Self::Url => xml.text(element, &utf8_percent_encode(name, URL_ENCODED).to_string()),
        }
    }

    /// The same, if there is a name.
    pub(super) fn write_optional(self, xml: &mut XmlWriter, element: &str, name: Option<&str>) {
        if let Some(name) = name {
            self.write(xml, element, name);
        }
    }

    /// `<Prefix>` of the first ListObjects: clients do not decode it there, so it is encoded only
    /// where XML has no way to write it.
    pub(super) fn write_own_prefix(self, xml: &mut XmlWriter, prefix: &str) {
        let writable = |character: char| !character.is_control() || "\t\n\r".contains(character);
        if prefix.chars().all(writable) {
            xml.text("Prefix", prefix);
        } else {
            self.write(xml, "Prefix", prefix);
        }
    }

    /// `<EncodingType>`, if there is one.
    pub(super) fn write_type(self, xml: &mut XmlWriter) {
        match self {
            Self::Plain => {}
            Self::Url => xml.text("EncodingType", "url"),
        }
    }

    /// `<CommonPrefixes>` for each prefix.
    pub(super) fn write_common_prefixes(self, xml: &mut XmlWriter, prefixes: &[String]) {
        xml.reserve(prefixes.iter().map(|prefix| COMMON_PREFIX_BYTES + prefix.len()).sum());
        for prefix in prefixes {
            xml.element("CommonPrefixes", |xml| self.write(xml, "Prefix", prefix));
        }
    }
}

/// `max-keys`, `max-uploads` or `max-parts`: 0 to 1,000, larger ones are cut.
pub(super) fn limit(call: &Call<'_>, name: &'static str) -> S3Result<usize> {
    Ok(number(call, name)?.map_or(ENTRIES_MAX, |limit| limit.min(ENTRIES_MAX)))
}

/// A parameter that is a number, if it is there.
pub(super) fn number(call: &Call<'_>, name: &'static str) -> S3Result<Option<usize>> {
    let Some(text) = call.query.filled(name) else { return Ok(None) };
    match text.parse::<i32>() {
        Ok(number) => usize::try_from(number).map(Some).map_err(|_| {
            S3Error::invalid_argument(
                format!("Argument {name} must be an integer between 0 and 2147483647"),
                name,
                text,
            )
        }),
        Err(_) => Err(S3Error::invalid_argument(
            format!("Provided {name} not an integer or within integer range"),
            name,
            text,
        )),
    }
}

/// A continuation token: opaque to clients.
pub(super) fn encode_token(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

/// The name in a continuation token.
///
/// # Errors
///
/// `InvalidArgument` for a token that is not ours.
pub(super) fn decode_token(token: &str) -> S3Result<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        S3Error::invalid_argument(
            "The continuation token provided is incorrect",
            "continuation-token",
            token,
        )
    })
}

/// `<ChecksumAlgorithm>` and `<ChecksumType>` of a listed object.
pub(super) fn write_checksum_kind(
    xml: &mut XmlWriter,
    kind: Option<(ChecksumAlgorithm, ChecksumType)>,
) {
    if let Some((algorithm, kind)) = kind {
        xml.text("ChecksumAlgorithm", checksum::Algorithm::of(algorithm).name());
        xml.text("ChecksumType", checksum::type_text(kind));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded() {
        let check = |name: &str, expected: &str| {
            let mut xml = XmlWriter::document();
            Encoding::Url.write(&mut xml, "K", name);
            assert!(xml.finish().ends_with(&format!("<K>{expected}</K>")), "{name}");
        };
        check("foo+1/bar", "foo%2B1/bar");
        check("quux ab/thud", "quux%20ab/thud");
        check("a-b_c.d~e", "a-b_c.d~e");
        check("\u{7}ü", "%07%C3%BC");
    }

    #[test]
    fn tokens_come_back() {
        for name in ["", "a", "ü/b c", "\u{1}"] {
            assert_eq!(decode_token(&encode_token(name)).unwrap(), name);
        }
        assert!(decode_token("not a token!").is_err());
    }
}
