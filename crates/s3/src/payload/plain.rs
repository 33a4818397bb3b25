//! Checks a body that travels as it is: its length, and its hash where that was signed.

use ring::digest;

use super::PayloadError;

/// The running length and hash of one body.
pub(super) struct PlainChecker {
    remaining_bytes: Option<u64>,
    hash: Option<(digest::Context, [u8; 32])>,
}

impl PlainChecker {
    pub(super) fn new(sha256: Option<[u8; 32]>, content_bytes: Option<u64>) -> Self {
        let hash = sha256.map(|sha256| (digest::Context::new(&digest::SHA256), sha256));
        Self { remaining_bytes: content_bytes, hash }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) -> Result<(), PayloadError> {
        if let Some(remaining_bytes) = &mut self.remaining_bytes {
            let left = remaining_bytes.checked_sub(bytes.len() as u64);
            *remaining_bytes = left.ok_or(PayloadError::TooLong)?;
        }
        if let Some((context, _)) = &mut self.hash {
            context.update(bytes);
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), PayloadError> {
        if self.remaining_bytes.is_some_and(|remaining_bytes| remaining_bytes > 0) {
            return Err(PayloadError::Incomplete);
        }
        let Some((context, expected)) = self.hash.take() else { return Ok(()) };
        let computed = context.finish();
        if computed.as_ref() == expected {
            return Ok(());
        }
        Err(PayloadError::ContentSha256 {
            client: hex::encode(expected),
            computed: hex::encode(computed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(signed: Option<&str>, announced: Option<u64>, body: &str, expected: Option<&str>) {
        let sha256 = signed.map(|text| {
            let mut hash = [0; 32];
            hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
            hash
        });
        let mut checker = PlainChecker::new(sha256, announced);
        let result = checker.update(body.as_bytes()).and_then(|()| checker.finish());
        let shown = result.err().map(|error| error.to_string());
        assert_eq!(shown.as_deref(), expected, "{signed:?} {announced:?} {body:?}");
    }

    #[test]
    fn lengths_and_hashes_are_checked() {
        check(None, None, "abc", None);
        check(None, Some(3), "abc", None);
        check(Some("abc"), Some(3), "abc", None);
        check(None, Some(4), "abc", Some("the body ended early"));
        check(None, Some(2), "abc", Some("the body is longer than announced"));
        check(Some("abd"), Some(3), "abc", Some("the body does not match its signed hash"));
    }
}
