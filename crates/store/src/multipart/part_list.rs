//! The list of parts in a CompleteMultipartUpload, held against the parts that are there. Pure.

use ring::digest;
use tidelock_meta::record::part::PartRow;
use tidelock_meta::record::version::{Checksum, ChecksumAlgorithm, ChecksumType, ETag};

use super::UploadChecksum;
use crate::checksum;
use crate::config::StoreConfig;
use crate::error::CompleteError;

/// A part as the client lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedPart {
    /// Its number.
    pub number: u16,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// Its checksum, if the client says one.
    pub checksum: Option<(ChecksumAlgorithm, Vec<u8>)>,
}

/// What the parts come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assembled {
    pub(crate) size: u64,
    pub(crate) etag: ETag,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) ranges: Vec<(u16, u16)>,
}

/// Names a list of parts, to know it again when it comes a second time.
pub(crate) fn request_digest(parts: &[RequestedPart]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.number.to_be_bytes());
        context.update(&(part.etag.len() as u64).to_be_bytes());
        context.update(part.etag.as_bytes());
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// Puts the listed parts together.
pub(crate) fn assemble(
    requested: &[RequestedPart],
    stored: &[(u16, PartRow)],
    upload_checksum: Option<UploadChecksum>,
    config: &StoreConfig,
) -> Result<Assembled, CompleteError> {
    if !requested.is_sorted_by(|before, after| before.number < after.number) {
        return Err(CompleteError::InvalidPartOrder);
    }
    let parts = requested
        .iter()
        .map(|part| find(part, stored, upload_checksum))
        .collect::<Result<Vec<_>, _>>()?;
    for (part, asked) in parts.iter().zip(requested).take(parts.len().saturating_sub(1)) {
        if part.size < config.part_bytes_min {
            let (number, size, etag) = (asked.number, part.size, asked.etag.clone());
            return Err(CompleteError::TooSmall { number, size, etag });
        }
    }
    let size = parts
        .iter()
        .try_fold(0, |sum: u64, part| sum.checked_add(part.size))
        .filter(|size| *size <= config.object_bytes_max)
        .ok_or(CompleteError::TooLarge)?;
    let count = u32::try_from(parts.len()).map_err(|_| CompleteError::TooLarge)?;
    let md5 = checksum::multipart_md5(parts.iter().map(|part| &part.md5));
    Ok(Assembled {
        size,
        etag: ETag { md5, parts: Some(count) },
        checksum: combined(&parts, upload_checksum),
        ranges: ranges(requested),
    })
}

fn find<'a>(
    asked: &RequestedPart,
    stored: &'a [(u16, PartRow)],
    upload_checksum: Option<UploadChecksum>,
) -> Result<&'a PartRow, CompleteError> {
    let invalid = || CompleteError::InvalidPart { number: asked.number, etag: asked.etag.clone() };
    let found = stored.binary_search_by_key(&asked.number, |(number, _)| *number);
    let part = &stored[found.map_err(|_| invalid())?].1;
    if hex::encode(part.md5) != asked.etag.to_ascii_lowercase() {
        return Err(invalid());
    }
    let stored_checksum = part.checksum.as_ref();
    match &asked.checksum {
        Some((algorithm, value)) => {
            let same = |it: &Checksum| it.algorithm == *algorithm && it.value == *value;
            if !stored_checksum.is_some_and(same) {
                return Err(invalid());
            }
        }
        None if upload_checksum.is_some_and(|(_, kind)| kind == ChecksumType::Composite) => {
            return Err(CompleteError::MissingPartChecksum { number: asked.number });
        }
        None => {}
    }
    Ok(part)
}

/// The object's checksum: as the upload was begun, or the default one if every part has it.
fn combined(parts: &[&PartRow], upload_checksum: Option<UploadChecksum>) -> Option<Checksum> {
    let (algorithm, kind) =
        upload_checksum.unwrap_or((checksum::DEFAULT_ALGORITHM, ChecksumType::FullObject));
    let values: Option<Vec<_>> = parts
        .iter()
        .map(|part| {
            let checksum = part.checksum.as_ref().filter(|it| it.algorithm == algorithm)?;
            Some((checksum.value.as_slice(), part.size))
        })
        .collect();
    checksum::combine(algorithm, kind, &values?)
}

fn ranges(requested: &[RequestedPart]) -> Vec<(u16, u16)> {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for part in requested {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == part.number => *last = part.number,
            Some(_) | None => ranges.push((part.number, part.number)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use tidelock_meta::record::version::Body;

    use super::*;

    fn stored(number: u16, size: u64) -> (u16, PartRow) {
        let md5 = [number as u8; 16];
        let row = PartRow {
            modified_ms: 0,
            size,
            md5,
            checksum: None,
            body: Body::Empty,
            wrapped_key: Vec::new(),
        };
        (number, row)
    }

    fn asked(number: u16) -> RequestedPart {
        RequestedPart { number, etag: hex::encode([number as u8; 16]), checksum: None }
    }

    #[test]
    fn lists() {
        const BIG: u64 = 5 << 20;
        let there = [stored(1, BIG), stored(2, BIG), stored(4, BIG), stored(5, 7)];
        let config = StoreConfig::default();
        let wrong = RequestedPart { etag: "00".to_owned(), ..asked(2) };
        let invalid = |part: &RequestedPart| CompleteError::InvalidPart {
            number: part.number,
            etag: part.etag.clone(),
        };
        let small = CompleteError::TooSmall { number: 5, size: 7, etag: asked(5).etag };
        let rows = [
            (vec![asked(1), asked(2), asked(4), asked(5)], Ok((3 * BIG + 7, vec![(1, 2), (4, 5)]))),
            (vec![asked(5)], Ok((7, vec![(5, 5)]))),
            (vec![asked(2), asked(1)], Err(CompleteError::InvalidPartOrder)),
            (vec![asked(1), asked(1)], Err(CompleteError::InvalidPartOrder)),
            (vec![asked(1), asked(3)], Err(invalid(&asked(3)))),
            (vec![asked(1), wrong.clone()], Err(invalid(&wrong))),
            (vec![asked(5), asked(9)], Err(invalid(&asked(9)))),
        ];
        for (list, expected) in rows {
            let got = assemble(&list, &there, None, &config).map(|it| (it.size, it.ranges));
            assert_eq!(got, expected, "{list:?}");
        }
        let there = [stored(5, 7), stored(6, BIG)];
        let got = assemble(&[asked(5), asked(6)], &there, None, &config);
        assert_eq!(got, Err(small));
    }
}
