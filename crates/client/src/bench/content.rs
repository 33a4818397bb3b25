//! Bodies that say where they belong: each block of one begins with the run, the client, the key and how
//! often the key was written. Nothing but these stamps is kept of a body, however large it is.

use std::fmt::Write as _;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use ring::digest::{Context, SHA256};

/// Bytes from one stamp of a body to the next.
const BLOCK_BYTES: usize = 64 << 10;
/// Bytes of a stamp.
const STAMP_BYTES: usize = 64;
/// Bytes that stand between stamps, and that all bodies share: more than a store looks back over when it
/// compresses.
const FILLER_BYTES: usize = 1 << 20;
/// What a stamp begins with.
const MARK: &str = "tidelock-bench";

/// Which writing of which key a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Of the whole run: nothing of an earlier one is taken for an answer.
    pub(super) run: u64,
    /// Number of the client that writes it.
    pub(super) client: usize,
    /// Number of the key among those of the client.
    pub(super) slot: usize,
    /// Number of the writing of this key.
    pub(super) generation: usize,
}

/// Bytes that do not compress, shared by all bodies of a run.
#[derive(Clone, Debug)]
pub(super) struct Filler(Arc<[u8]>);

/// A body, and what is signed and answered for it.
#[derive(Debug)]
pub(super) struct Content {
    origin: Origin,
    size: usize,
    /// The stamps of all blocks; of a lock, all of it.
    own: Vec<u8>,
    filler: Option<Filler>,
    sha256: String,
    md5: String,
}

/// How a body differs from the one that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// It is another writing of the same key.
    Stale,
    /// It is something else, or damaged.
    Wrong,
    /// It is the beginning of it.
    Short,
}

impl Filler {
    /// The same bytes for the same run.
    pub(super) fn new(run: u64) -> Self {
        let mut state = run;
        // splitmix64, <https://prng.di.unimi.it/splitmix64.c>
        let words = (0..FILLER_BYTES / 8).flat_map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (word ^ (word >> 31)).to_le_bytes()
        });
        Self(words.collect())
    }
}

impl Content {
    /// A body of `size` bytes.
    pub(super) fn stamped(origin: Origin, size: usize, filler: &Filler) -> Self {
        let mut own = String::with_capacity(size.div_ceil(BLOCK_BYTES) * STAMP_BYTES);
        for block in 0..size.div_ceil(BLOCK_BYTES) {
            let Origin { run, client, slot, generation } = origin;
            // Writing to a string does not fail.
            let _ = writeln!(
                own,
                "{MARK} {run:016x} {client:06x} {slot:06x} {generation:010x} {block:06x}"
            );
        }
        Self::digested(origin, size, own.into_bytes(), Some(filler.clone()))
    }

    /// The body of a lock as Terraform writes it, on the state at `path`, taken at `created`.
    pub(super) fn lock(origin: Origin, path: &str, created: jiff::Timestamp) -> Self {
        let Origin { run, client, slot, generation } = origin;
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{generation:012x}",
            run >> 32,
            client & 0xffff,
            slot & 0xfff,
            run & 0xfff
        );
        let body = format!(
            "{{\"ID\":\"{id}\",\"Operation\":\"OperationTypeApply\",\"Info\":\"\",\
             \"Who\":\"{MARK}@localhost\",\"Version\":\"1.11.4\",\"Created\":\"{created}\",\
             \"Path\":\"{path}\"}}"
        );
        Self::digested(origin, body.len(), body.into_bytes(), None)
    }

    fn digested(origin: Origin, size: usize, own: Vec<u8>, filler: Option<Filler>) -> Self {
        let (sha256, md5) = (String::new(), String::new());
        let mut content = Self { origin, size, own, filler, sha256, md5 };
        let (mut sha256, mut md5) = (Context::new(&SHA256), Md5::new());
        for piece in content.pieces() {
            sha256.update(piece);
            md5.update(piece);
        }
        content.sha256 = hex(sha256.finish().as_ref());
        content.md5 = hex(&md5.finalize());
        content
    }

    /// Which writing of which key it is.
    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// What is signed for it, in hexadecimal.
    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What its entity tag is where a store does not encrypt with keys of others, in hexadecimal.
    pub(super) fn md5(&self) -> &str {
        &self.md5
    }

    /// All of it, piece by piece.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut offset = 0;
        std::iter::from_fn(move || {
            let piece = self.piece(offset);
            offset += piece.len();
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// The bytes from `offset` on that lie beside each other; none at the end.
    fn piece(&self, offset: usize) -> &[u8] {
        let left = self.size.saturating_sub(offset);
        let (bytes, from) = match &self.filler {
            None => (&self.own[..], offset),
            Some(Filler(filler)) => {
                let (block, within) = (offset / BLOCK_BYTES, offset % BLOCK_BYTES);
                if within < STAMP_BYTES {
                    let end = self.own.len().min((block + 1) * STAMP_BYTES);
                    (&self.own[..end], block * STAMP_BYTES + within)
                } else {
                    let begin = block * BLOCK_BYTES % FILLER_BYTES;
                    (&filler[..begin + BLOCK_BYTES], begin + within)
                }
            }
        };
        let piece = bytes.get(from..).unwrap_or_default();
        &piece[..piece.len().min(left)]
    }
}

/// Holds an answer's body against what was expected, while it passes.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    expected: &'a Content,
    offset: usize,
    is_same: bool,
    begin: Vec<u8>,
}

impl<'a> Comparison<'a> {
    /// Nothing has passed.
    pub(super) fn with(expected: &'a Content) -> Self {
        Self { expected, offset: 0, is_same: true, begin: Vec::new() }
    }

    /// The next bytes.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        let missing = STAMP_BYTES.saturating_sub(self.begin.len()).min(bytes.len());
        self.begin.extend_from_slice(&bytes[..missing]);
        while self.is_same && !bytes.is_empty() {
            let piece = self.expected.piece(self.offset);
            let length = piece.len().min(bytes.len());
            self.is_same = length > 0 && piece[..length] == bytes[..length];
            self.offset += length;
            bytes = &bytes[length..];
        }
    }

    /// What came of it, at the end of the body.
    pub(super) fn end(self) -> Result<(), Difference> {
        match (self.is_same, self.offset == self.expected.size) {
            (true, true) => Ok(()),
            (true, false) => Err(Difference::Short),
            (false, _) if self.is_stale() => Err(Difference::Stale),
            (false, _) => Err(Difference::Wrong),
        }
    }

    /// Whether what has passed begins as another writing of the same key.
    fn is_stale(&self) -> bool {
        // The stamp up to the generation: mark, run, client and slot.
        const SAME_BYTES: usize = MARK.len() + 1 + 17 + 7 + 7;
        const GENERATION_END: usize = SAME_BYTES + 10;
        let expected = self.expected.piece(0);
        match (expected.get(..GENERATION_END), self.begin.get(..GENERATION_END)) {
            (Some(expected), Some(seen)) => {
                self.expected.filler.is_some()
                    && expected[..SAME_BYTES] == seen[..SAME_BYTES]
                    && expected != seen
            }
            _ => false,
        }
    }
}

/// Lowercase hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin { run: 7, client: 1, slot: 2, generation: 3 };

    fn bytes(content: &Content) -> Vec<u8> {
        content.pieces().flatten().copied().collect()
    }

    #[test]
    fn bodies_have_the_size_that_was_asked_for() {
        let filler = Filler::new(ORIGIN.run);
        for size in [0, 1, 63, 64, 65, 4096, BLOCK_BYTES, BLOCK_BYTES + 1, (1 << 20) + 70, 3 << 20]
        {
            let content = Content::stamped(ORIGIN, size, &filler);
            let body = bytes(&content);
            assert_eq!((body.len(), content.size()), (size, size));
            assert_eq!(content.md5(), hex(&Md5::digest(&body)));
            assert_eq!(content.sha256(), hex(ring::digest::digest(&SHA256, &body).as_ref()));
        }
    }

    #[test]
    fn a_lock_is_as_long_as_one_of_terraform() {
        let lock =
            Content::lock(ORIGIN, "states/app/terraform.tfstate", jiff::Timestamp::UNIX_EPOCH);
        let json: serde_json::Value = serde_json::from_slice(&bytes(&lock)).unwrap();
        assert_eq!(json["Path"], "states/app/terraform.tfstate");
        assert!((190..260).contains(&lock.size()), "{}", lock.size());
    }

    #[test]
    fn a_body_that_is_not_the_expected_one_is_seen() {
        let filler = Filler::new(ORIGIN.run);
        let size = BLOCK_BYTES + 100;
        let expected = Content::stamped(ORIGIN, size, &filler);
        let of = |origin| bytes(&Content::stamped(origin, size, &filler));
        let same = of(ORIGIN);
        let flipped = |at: usize| {
            let mut body = same.clone();
            body[at] ^= 1;
            body
        };
        let rows = [
            (same.clone(), Ok(())),
            (of(Origin { generation: 4, ..ORIGIN }), Err(Difference::Stale)),
            (of(Origin { slot: 4, ..ORIGIN }), Err(Difference::Wrong)),
            (of(Origin { run: 4, ..ORIGIN }), Err(Difference::Wrong)),
            (same[..size - 1].to_vec(), Err(Difference::Short)),
            (Vec::new(), Err(Difference::Short)),
            ([&same[..], b"x"].concat(), Err(Difference::Wrong)),
            (flipped(100), Err(Difference::Wrong)),
            (flipped(size - 1), Err(Difference::Wrong)),
            (flipped(BLOCK_BYTES + 62), Err(Difference::Wrong)),
        ];
        for (at, (body, outcome)) in rows.into_iter().enumerate() {
            for step in [1, 7, 4096, size] {
                let mut comparison = Comparison::with(&expected);
                body.chunks(step).for_each(|chunk| comparison.pass(chunk));
                assert_eq!(comparison.end(), outcome, "row {at} by {step}");
            }
        }
    }
}
