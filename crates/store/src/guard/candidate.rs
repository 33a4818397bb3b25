//! What is to be written and what is stored, looked at before the commit: bodies are read here, so
//! that the commit itself decides on facts alone.

use std::collections::VecDeque;
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use tidelock_meta::record::guard::{self, GuardRow};
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::version::{ObjectVersion, VersionId};
use tidelock_tfstate::{NotAState, State, StateReader};
use tokio::sync::SemaphorePermit;

use super::rules::{Stored, StoredState};
use crate::Store;
use crate::body::read::{OpenError, OpenSegment, Segment};
use crate::body::write::WrittenBody;
use crate::bucket::OpenBucket;
use crate::encryption::{CustomerKey, is_customers};
use crate::error::StorageError;
use crate::object::{ObjectReader, Target};
use crate::state::{DERIVED_BODY_BYTES_MAX, Derived, Index, derive};

/// Memory for bodies that are looked into at once, in KiB: four of the largest.
pub(crate) const LOOKED_INTO_KIB_MAX: usize = 4 * (DERIVED_BODY_BYTES_MAX >> 10);
/// Larger bodies are looked into on a thread of their own.
const LOOKED_INTO_AT_ONCE_BYTES: usize = 128 << 10;

/// A body that is to become the current one.
pub(crate) struct Candidate {
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) state: Result<State, NotAState>,
    /// What it holds, as far as it was looked into.
    pub(crate) derived: Derived,
    /// Its index, written.
    pub(crate) index: Option<WrittenBody>,
}

/// What is current under the key of a state.
pub(crate) struct CurrentState {
    /// Which version this is about; none where there is nothing.
    pub(crate) version: Option<VersionId>,
    pub(crate) stored: Stored,
    /// What it holds, if that is known.
    pub(crate) index: Option<Index>,
}

impl CurrentState {
    /// Whether it is a state.
    pub(crate) fn is_state(&self) -> bool {
        match self.stored {
            Stored::State(_) => true,
            Stored::Nothing | Stored::Other => false,
        }
    }
}

/// What a body says of itself.
struct ReadBody {
    sha256: [u8; 32],
    state: Result<State, NotAState>,
    /// The bytes of a state that is small enough to be looked into.
    bytes: Option<Vec<u8>>,
}

/// Whether a body stays in memory while it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeptBytes {
    /// It is to be looked into.
    All,
    None,
}

/// Reads a body as far as it is a state.
struct BodyLook {
    reader: StateReader,
    digest: Context,
    bytes: Option<Vec<u8>>,
    refusal: Option<NotAState>,
}

impl BodyLook {
    fn new(keeping: KeptBytes) -> Self {
        let (reader, digest) = (StateReader::new(), Context::new(&SHA256));
        let bytes = (keeping == KeptBytes::All).then(Vec::new);
        Self { reader, digest, bytes, refusal: None }
    }

    /// One more piece; false once it is known to be no state, and the rest need not be read.
    fn push(&mut self, piece: &[u8]) -> bool {
        self.digest.update(piece);
        if let Some(bytes) = &mut self.bytes {
            bytes.extend_from_slice(piece);
        }
        self.refusal = self.reader.push(piece).err();
        self.refusal.is_none()
    }

    fn finish(self) -> ReadBody {
        let state = match self.refusal {
            Some(error) => Err(error),
            None => self.reader.finish(),
        };
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.finish().as_ref());
        ReadBody { sha256, bytes: self.bytes.filter(|_| state.is_ok()), state }
    }
}

impl Store {
    /// What a body is that was written, and that nothing refers to yet.
    pub(crate) async fn candidate_of(
        self: &Arc<Self>,
        written: &WrittenBody,
        customer: Option<&CustomerKey>,
    ) -> Result<Candidate, StorageError> {
        let open = self.open_written(written).await?;
        let body = ObjectReader::new(Arc::clone(self), Some(open), VecDeque::new());
        self.candidate_of_bytes(body, written.size, customer).await
    }

    /// What so many bytes are that are to become an object. Of a state under a customer's key nothing is
    /// derived but what the rules need, and its digest says nothing without that key.
    pub(crate) async fn candidate_of_bytes(
        &self,
        body: ObjectReader,
        size: u64,
        customer: Option<&CustomerKey>,
    ) -> Result<Candidate, StorageError> {
        let keeping = match customer.is_none() && size <= DERIVED_BODY_BYTES_MAX as u64 {
            true => KeptBytes::All,
            false => KeptBytes::None,
        };
        let _room = match keeping {
            KeptBytes::All => self.room_to_look_into(size).await,
            KeptBytes::None => None,
        };
        let ReadBody { sha256, state, bytes } = look_at(body, keeping).await?;
        let derived = match bytes {
            None => Derived::default(),
            Some(bytes) if bytes.len() <= LOOKED_INTO_AT_ONCE_BYTES => derive(&bytes),
            Some(bytes) => tokio::task::spawn_blocking(move || derive(&bytes))
                .await
                .map_err(|error| StorageError::Unavailable(error.to_string()))?,
        };
        let index = match &derived.index {
            Some(index) => Some(self.write_index(index).await?),
            None => None,
        };
        let sha256 = customer.map_or(sha256, |customer| customer.digest_of(&sha256));
        Ok(Candidate { size, sha256, state, derived, index })
    }

    /// Forgets what has not become an object.
    pub(crate) async fn abandon_candidate(&self, candidate: Option<Candidate>) {
        if let Some(index) = candidate.and_then(|candidate| candidate.index) {
            self.abandon(index).await;
        }
    }

    /// Held while a body is in memory; the semaphore is never closed.
    async fn room_to_look_into(&self, size: u64) -> Option<SemaphorePermit<'_>> {
        let kib = u32::try_from(size.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        self.looking_into.acquire_many(kib).await.ok()
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
        self.open_segment(segment).await.map_err(OpenError::of_known_body)
    }

    /// What is current under the key of a state. The commit checks that it still is.
    pub(crate) async fn current_state(
        self: &Arc<Self>,
        target: Target<'_>,
        bucket: &OpenBucket,
    ) -> Result<CurrentState, StorageError> {
        let id = bucket.row.id;
        let keys = [head::key(id, target.key.as_str()), guard::key(id, target.key.as_str())];
        let looked = self.rows.look(|reading| async move { reading.get(&keys).await });
        let rows: Vec<_> = looked.await?;
        let head = rows[0].as_ref().map(|row| HeadRow::decode(&row.value)).transpose()?;
        let guard = rows[1].as_ref().map(|row| GuardRow::decode(&row.value)).transpose()?;
        let Some(version) = head.and_then(|head| head.current) else {
            return Ok(CurrentState { version: None, stored: Stored::Nothing, index: None });
        };
        let stored = self.stored_state(target, bucket, &version).await?;
        let index = guard.and_then(|guard| guard.index).filter(|it| it.version == version.id);
        let index = match index {
            Some(index) => self.read_index(id, target.key, &index).await?,
            None => None,
        };
        Ok(CurrentState { version: Some(version.id), stored, index })
    }

    async fn stored_state(
        self: &Arc<Self>,
        target: Target<'_>,
        bucket: &OpenBucket,
        version: &ObjectVersion,
    ) -> Result<Stored, StorageError> {
        let Some(facts) = version.object() else { return Ok(Stored::Nothing) };
        let encryption = &facts.controls.encryption;
        if let Some(facts) = self.unseal_state_facts(bucket.row.id, target.key, version)? {
            let is_empty = facts.counts.is_some_and(|counts| {
                (counts.managed, counts.data, counts.deposed, counts.outputs) == (0, 0, 0, 0)
            });
            let (serial, lineage, sha256) = (facts.serial, facts.lineage, facts.sha256);
            return Ok(Stored::State(StoredState { serial, lineage, sha256, is_empty }));
        }
        // Written before the bucket was guarded: its body has to tell.
        let reader = match self.open_version(target, bucket, version).await {
            Ok(reader) => reader,
            // Replaced at this moment: the commit will find another version and ask again.
            Err(OpenError::Gone) => return Ok(Stored::Other),
            // What it is only its customer can tell: a state is known as one once it was written here.
            Err(OpenError::Encryption(_)) if is_customers(encryption) => return Ok(Stored::Other),
            Err(error) => return Err(error.of_known_body()),
        };
        let ReadBody { sha256, state, .. } = look_at(reader, KeptBytes::None).await?;
        Ok(match state {
            Ok(State { serial, lineage, .. }) => {
                Stored::State(StoredState { serial, lineage, sha256, is_empty: false })
            }
            Err(_) => Stored::Other,
        })
    }
}

async fn look_at(mut body: ObjectReader, keeping: KeptBytes) -> Result<ReadBody, StorageError> {
    let mut look = BodyLook::new(keeping);
    while let Some(piece) = body.next_bytes().await? {
        if !look.push(&piece) {
            break;
        }
    }
    Ok(look.finish())
}
