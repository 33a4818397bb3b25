//! Entity tags as clients see them.

use tidelock_store::ETag;
pub(crate) use tidelock_store::etag_text as text;

/// Length of an entity tag but of a multipart object's.
const TEXT_BYTES: usize = 32;

/// The text of an entity tag in quotes.
pub(crate) fn quoted(etag: &ETag) -> String {
    let mut quoted = String::with_capacity(TEXT_BYTES + 2);
    quoted.push('"');
    quoted.push_str(&text(etag));
    quoted.push('"');
    quoted
}

/// The quoted entity tag of a part.
pub(crate) fn quoted_part(md5: &[u8; 16]) -> String {
    format!("\"{}\"", hex::encode(md5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipart_etags_count_their_parts() {
        let md5 = [0xAB; 16];
        assert_eq!(text(&ETag { md5, parts: None }), "ab".repeat(16));
        assert_eq!(quoted(&ETag { md5, parts: Some(3) }), format!("\"{}-3\"", "ab".repeat(16)));
    }
}
