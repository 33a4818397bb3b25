//! Where a request came from, and what its client has been told on the same connection: what tells two
//! runs of one principal apart.
//!
//! No client of S3 says which run it belongs to. What there is: the address, the `User-Agent`, and the
//! connection, which a process keeps as long as it is not idle for long. A [`Conversation`] remembers
//! what the other end has seen, so that a write can be taken for what its client meant. It decides
//! nothing by itself: a server that knows less answers as S3 would.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::digest::{SHA256, digest};
pub use tidelock_meta::record::run::{CallId, ConnectionId};
use tidelock_meta::record::version::VersionId;
use tidelock_meta::record::{BucketId, audit_entry};

/// Longest `User-Agent` that is kept.
pub const USER_AGENT_BYTES_MAX: usize = 512;
/// Locks of which a connection remembers what it has read.
const LOCKS_REMEMBERED_MAX: usize = 32;
/// Buckets of which a connection remembers that it listed them.
const BUCKETS_REMEMBERED_MAX: usize = 16;

/// Which protocol a request speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// S3.
    S3,
    /// Terraform's `http` backend.
    TerraformHttp,
    /// The JSON API.
    Api,
    /// The server itself, at nobody's request.
    #[default]
    Server,
}

/// Where a request came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Names the request in answers and logs.
    pub request_id: String,
    /// The access key that signed it.
    pub access_key_id: String,
    /// The client's IP address.
    pub address: String,
    /// Its `User-Agent`, cut at [`USER_AGENT_BYTES_MAX`].
    pub user_agent: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Which attempt of the client's SDK it is, from 1; 0 where it does not say.
    pub attempt: u32,
    /// The call of the client's SDK that it belongs to (`amz-sdk-invocation-id`), where it says.
    pub call: Option<CallId>,
    /// The ID of the lock that the client says it holds; only Terraform's `http` backend says.
    pub lock_id: Option<String>,
    /// What its connection has seen before.
    pub conversation: Arc<Conversation>,
    /// Whether the audit log has been told of the request.
    pub audited: Audited,
}

/// Whether the audit log has been told of a request. Copies are of one request. Says nothing of where
/// the request came from: two are always equal.
#[derive(Clone, Debug, Default)]
pub struct Audited(Arc<AtomicBool>);

impl Audited {
    /// Whether it has.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl PartialEq for Audited {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Audited {}

/// What the client at the other end of a connection has asked and been told.
#[derive(Debug, Default)]
pub struct Conversation {
    connection: ConnectionId,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    listed: VecDeque<BucketId>,
    locks: VecDeque<LockRead>,
}

/// A lock that the client was given.
#[derive(Debug)]
struct LockRead {
    bucket: BucketId,
    key: String,
    lock: VersionId,
    /// To whom: a proxy sends requests of many over one connection.
    principal: String,
    at_ms: i64,
}

impl LockRead {
    fn is_of(&self, (bucket, key): (BucketId, &str), principal: &str) -> bool {
        (self.bucket, self.key.as_str(), self.principal.as_str()) == (bucket, key, principal)
    }
}

impl Conversation {
    /// A connection that was just opened.
    pub fn new(connection: ConnectionId) -> Self {
        Self { connection, memory: Mutex::default() }
    }

    /// Names the connection among all of all servers.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// The client was given a list of the bucket: every Terraform process begins with one.
    pub(crate) fn has_listed(&self, bucket: BucketId) {
        let mut memory = self.memory();
        if !memory.listed.contains(&bucket) {
            memory.listed.push_back(bucket);
            if memory.listed.len() > BUCKETS_REMEMBERED_MAX {
                memory.listed.pop_front();
            }
        }
    }

    /// Whether [`Self::has_listed`] was said of the bucket.
    pub(crate) fn began_here(&self, bucket: BucketId) -> bool {
        self.memory().listed.contains(&bucket)
    }

    /// The client was given this lock.
    pub(crate) fn has_read_lock(
        &self,
        place: (BucketId, &str),
        principal: &str,
        lock: VersionId,
        at_ms: i64,
    ) {
        let mut memory = self.memory();
        memory.locks.retain(|read| !read.is_of(place, principal));
        let (bucket, key, principal) = (place.0, place.1.to_owned(), principal.to_owned());
        memory.locks.push_back(LockRead { bucket, key, lock, principal, at_ms });
        if memory.locks.len() > LOCKS_REMEMBERED_MAX {
            memory.locks.pop_front();
        }
    }

    /// The lock that the client was given last, if that was not before `since_ms`.
    pub(crate) fn last_lock_read(
        &self,
        place: (BucketId, &str),
        principal: &str,
        since_ms: i64,
    ) -> Option<VersionId> {
        let memory = self.memory();
        let read = memory.locks.iter().rev().find(|read| read.is_of(place, principal));
        read.filter(|read| read.at_ms >= since_ms).map(|read| read.lock)
    }

    /// Each change is whole: a panic elsewhere leaves nothing half done.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Conversation {
    fn eq(&self, other: &Self) -> bool {
        self.connection == other.connection
    }
}

impl Eq for Conversation {}

/// The call that a client calls `name`.
pub fn call_id(name: &[u8]) -> CallId {
    let mut id = [0; 16];
    id.copy_from_slice(&digest(&SHA256, name).as_ref()[..16]);
    CallId(id)
}

/// A `User-Agent`, cut where it is too long to be kept.
pub fn user_agent(text: &str) -> String {
    audit_entry::cut(text, USER_AGENT_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKET: BucketId = BucketId([1; 16]);

    fn lock(sequence: u64) -> VersionId {
        VersionId { sequence, random: 0 }
    }

    #[test]
    fn the_last_lock_read_counts_for_a_while_and_for_whom_it_was_read() {
        let conversation = Conversation::new(ConnectionId([1; 16]));
        let last = |key, principal, since_ms| {
            conversation.last_lock_read((BUCKET, key), principal, since_ms)
        };
        assert_eq!(last("k", "me", 0), None);
        conversation.has_read_lock((BUCKET, "k"), "me", lock(1), 10);
        conversation.has_read_lock((BUCKET, "other"), "me", lock(2), 10);
        conversation.has_read_lock((BUCKET, "k"), "you", lock(4), 10);
        conversation.has_read_lock((BUCKET, "k"), "me", lock(3), 20);
        assert_eq!(last("k", "me", 20), Some(lock(3)));
        assert_eq!(last("k", "me", 21), None);
        assert_eq!(last("k", "you", 0), Some(lock(4)));
    }

    #[test]
    fn its_memory_is_bounded() {
        let conversation = Conversation::new(ConnectionId([1; 16]));
        for number in 0..2 * LOCKS_REMEMBERED_MAX as u64 {
            conversation.has_read_lock((BUCKET, &number.to_string()), "me", lock(number), 0);
        }
        assert_eq!(conversation.last_lock_read((BUCKET, "0"), "me", 0), None);
        for number in 0..2 * BUCKETS_REMEMBERED_MAX as u8 {
            conversation.has_listed(BucketId([number; 16]));
        }
        assert!(!conversation.began_here(BucketId([0; 16])));
        assert!(conversation.began_here(BucketId([2 * BUCKETS_REMEMBERED_MAX as u8 - 1; 16])));
    }

    #[test]
    fn a_user_agent_is_cut_between_characters() {
        let long = "ä".repeat(USER_AGENT_BYTES_MAX);
        assert_eq!(user_agent(&long).len(), USER_AGENT_BYTES_MAX);
        assert_eq!(user_agent("Terraform/1.11.4"), "Terraform/1.11.4");
    }
}
