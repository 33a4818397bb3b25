//! What is to be written and what is stored, looked at before the commit: bodies are read here, so
//! that the commit itself decides on facts alone.

use ring::digest::{Context, SHA256};
use tidelock_meta::record::guard::{self, GuardRow};
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::version::{ObjectVersion, VersionId};
use tidelock_tfstate::{NotAState, State, StateReader};

use super::rules::{Stored, StoredState};
use crate::Store;
use crate::body::read::{OpenSegment, Segment};
use crate::body::write::WrittenBody;
use crate::bucket::OpenBucket;
use crate::error::{GetObjectError, StorageError};
use crate::object::{ObjectReader, Target};

/// A body that is to become the current one, or that is.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) state: Result<State, NotAState>,
}

/// What is current under the key of a state.
#[derive(Clone, Debug)]
pub(crate) struct CurrentState {
    /// Which version this is about; none where there is nothing.
    pub(crate) version: Option<VersionId>,
    pub(crate) stored: Stored,
}

/// Reads a body as far as it is a state.
pub(crate) struct CandidateReader {
    reader: StateReader,
    digest: Context,
    size: u64,
    refusal: Option<NotAState>,
}

impl CandidateReader {
    pub(crate) fn new() -> Self {
        let (reader, digest) = (StateReader::new(), Context::new(&SHA256));
        Self { reader, digest, size: 0, refusal: None }
    }

    /// One more piece; false once it is known to be no state, and the rest need not be read.
    pub(crate) fn push(&mut self, piece: &[u8]) -> bool {
        self.size += piece.len() as u64;
        self.digest.update(piece);
        if self.refusal.is_none()
            && let Err(error) = self.reader.push(piece)
        {
            self.refusal = Some(error);
        }
        self.refusal.is_none()
    }

    /// What it is; `size` is that of the whole body.
    pub(crate) fn finish(self, size: u64) -> Candidate {
        let state = match self.refusal {
            Some(error) => Err(error),
            None => self.reader.finish(),
        };
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.finish().as_ref());
        Candidate { size, sha256, state }
    }
}

impl Store {
    /// What a body is that was written, and that nothing refers to yet.
    pub(crate) async fn candidate_of(
        &self,
        written: &WrittenBody,
    ) -> Result<Candidate, StorageError> {
        let mut body = self.open_written(written).await?;
        let mut reader = CandidateReader::new();
        while let Some(piece) = body.next().await? {
            if !reader.push(&piece) {
                break;
            }
        }
        Ok(reader.finish(written.size))
    }

    /// A written body, to be read back.
    async fn open_written(&self, written: &WrittenBody) -> Result<OpenSegment, StorageError> {
        let segment = Segment {
            body: written.body.clone(),
            size: written.size,
            data_key: written.data_key.clone(),
            wanted: 0..written.size,
        };
        if let Some(open) = OpenSegment::of_chunks(&segment, written.chunks()) {
            return Ok(open);
        }
        self.open_segment(segment).await.map_err(|error| error.of_known_body())
    }

    /// What a body is that comes in pieces.
    pub(crate) async fn candidate_of_reader(
        &self,
        mut body: ObjectReader,
        size: u64,
    ) -> Result<Candidate, StorageError> {
        let mut reader = CandidateReader::new();
        while let Some(piece) = body.next_bytes().await? {
            if !reader.push(&piece) {
                break;
            }
        }
        Ok(reader.finish(size))
    }

    /// What is current under the key of a state. The commit checks that it still is.
    pub(crate) async fn current_state(
        self: &std::sync::Arc<Self>,
        target: Target<'_>,
        bucket: &OpenBucket,
    ) -> Result<CurrentState, StorageError> {
        let id = bucket.row.id;
        let keys = [head::key(id, target.key.as_str()), guard::key(id, target.key.as_str())];
        let looked = self.rows.look(|reading| async move { reading.get(&keys).await });
        let rows: Vec<_> = looked.await?;
        let decoded = rows[0].as_ref().map(|row| HeadRow::decode(&row.value)).transpose()?;
        let _guard = rows[1].as_ref().map(|row| GuardRow::decode(&row.value)).transpose()?;
        let Some(version) = decoded.and_then(|head| head.current) else {
            return Ok(CurrentState { version: None, stored: Stored::Nothing });
        };
        let stored = self.stored_state(target, bucket, &version).await?;
        Ok(CurrentState { version: Some(version.id), stored })
    }

    async fn stored_state(
        self: &std::sync::Arc<Self>,
        target: Target<'_>,
        bucket: &OpenBucket,
        version: &ObjectVersion,
    ) -> Result<Stored, StorageError> {
        if version.object().is_none() {
            return Ok(Stored::Nothing);
        }
        if let Some(facts) = self.unseal_state_facts(bucket.row.id, target.key, version)? {
            let is_empty = facts.counts.is_some_and(|counts| {
                (counts.managed, counts.data, counts.deposed, counts.outputs) == (0, 0, 0, 0)
            });
            let (serial, lineage, sha256) = (facts.serial, facts.lineage, facts.sha256);
            return Ok(Stored::State(StoredState { serial, lineage, sha256, is_empty }));
        }
        // Written before the bucket was guarded: its body has to tell.
        let size = version.object().map_or(0, |facts| facts.size);
        let opened = self.open_version(target, bucket, version, None).await;
        let reader = match opened {
            Ok(reader) => reader,
            // Replaced at this moment: the commit will find another version and ask again.
            Err(GetObjectError::NoSuchVersion) => return Ok(Stored::Other),
            Err(error) => return Err(error.into_storage()),
        };
        let candidate = self.candidate_of_reader(reader, size).await?;
        Ok(match candidate.state {
            Ok(state) => Stored::State(StoredState {
                serial: state.serial,
                lineage: state.lineage,
                sha256: candidate.sha256,
                is_empty: false,
            }),
            Err(_) => Stored::Other,
        })
    }
}
