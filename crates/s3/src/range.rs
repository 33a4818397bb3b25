//! The `Range` header: which bytes of an object are wanted.
//!
//! One range of bytes, as AWS takes it; several ranges or another unit are ignored, which RFC 9110
//! §14.2 allows.

use std::ops::Range;

use crate::error::{ErrorCode, S3Error, S3Result};

/// A range as it was asked for; what it means depends on the size of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `first-`
    From(u64),
    /// `first-last`
    Between(u64, u64),
    /// `-length`
    Last(u64),
}

/// Reads a `Range` header; nothing if it is to be ignored.
pub(crate) fn parse(header: &str) -> Option<Wanted> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let wanted = match (first.is_empty(), last.is_empty()) {
        (true, true) => return None,
        (true, false) => Wanted::Last(number(last)?),
        (false, true) => Wanted::From(number(first)?),
        (false, false) => Wanted::Between(number(first)?, number(last)?),
    };
    match wanted {
        Wanted::Between(first, last) if first > last => None,
        wanted => Some(wanted),
    }
}

/// The bytes wanted of an object of `size_bytes`.
///
/// # Errors
///
/// 416 `InvalidRange` if there are none.
pub(crate) fn resolve(wanted: Wanted, size_bytes: u64, header: &str) -> S3Result<Range<u64>> {
    let range = match wanted {
        Wanted::From(first) => first..size_bytes,
        Wanted::Between(first, last) => first..last.saturating_add(1).min(size_bytes),
        Wanted::Last(length) => size_bytes.saturating_sub(length)..size_bytes,
    };
    if range.is_empty() {
        return Err(S3Error::new(ErrorCode::InvalidRange)
            .field("RangeRequested", header)
            .field("ActualObjectSize", size_bytes.to_string()));
    }
    Ok(range)
}

/// `bytes first-last/size`, for `Content-Range`.
pub(crate) fn content_range(range: &Range<u64>, size_bytes: u64) -> String {
    format!("bytes {}-{}/{size_bytes}", range.start, range.end.saturating_sub(1))
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number too large for an object is as good as the largest.
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// `x-amz-copy-source-range`: `bytes=first-last`, both given.
///
/// # Errors
///
/// `InvalidArgument` for another form or a range beyond the source, as AWS answers.
pub(crate) fn copy_source(header: &str, size_bytes: u64) -> S3Result<Range<u64>> {
    const NAME: &str = "x-amz-copy-source-range";
    let Some(Wanted::Between(first, last)) = parse(header) else {
        return Err(S3Error::invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy",
            NAME,
            header,
        ));
    };
    if first >= size_bytes {
        return Err(S3Error::invalid_request(
            "The specified copy range is invalid for the source object size",
        ));
    }
    if last >= size_bytes {
        return Err(S3Error::invalid_argument(
            format!("Range specified is not valid for source object of size: {size_bytes}"),
            NAME,
            header,
        ));
    }
    Ok(first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, size_bytes: u64, expected: Option<Result<Range<u64>, ()>>) {
        let resolved =
            parse(header).map(|wanted| resolve(wanted, size_bytes, header).map_err(drop));
        assert_eq!(resolved, expected, "{header} of {size_bytes}");
    }

    #[test]
    fn ranges() {
        check("bytes=0-5", 10, Some(Ok(0..6)));
        check("bytes=4-", 10, Some(Ok(4..10)));
        check("bytes=-3", 10, Some(Ok(7..10)));
        check("bytes=-30", 10, Some(Ok(0..10)));
        check("bytes=0-99999999999999999999999", 10, Some(Ok(0..10)));
        check("bytes=9-9", 10, Some(Ok(9..10)));
        check("bytes=10-", 10, Some(Err(())));
        check("bytes=40-50", 10, Some(Err(())));
        check("bytes=-0", 10, Some(Err(())));
        check("bytes=0-", 0, Some(Err(())));
        check("bytes=-5", 0, Some(Err(())));
        for ignored in ["bytes=5-4", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "items=0-1", ""] {
            check(ignored, 10, None);
        }
        assert_eq!(content_range(&(4..10), 20), "bytes 4-9/20");
    }

    #[test]
    fn copy_ranges() {
        let check = |header: &str, expected: Result<Range<u64>, &str>| {
            let result = copy_source(header, 10).map_err(|error| error.code().as_str());
            assert_eq!(result, expected, "{header}");
        };
        check("bytes=0-9", Ok(0..10));
        check("bytes=0-10", Err("InvalidArgument"));
        check("bytes=10-20", Err("InvalidRequest"));
        check("bytes=4-", Err("InvalidArgument"));
        check("bytes=-4", Err("InvalidArgument"));
        check("0-4", Err("InvalidArgument"));
        check("bytes=0-1,3-4", Err("InvalidArgument"));
    }
}
